"""`make golden`: accept the tickets as they are printed now."""

from __future__ import annotations

from tests.golden.store import FOLDER, load, save
from tests.golden.tickets import everything


def main() -> None:
    """Keep what is printed now, and print how much of it is new."""
    before, now = load(), everything()
    save(now)
    changed = sum(before.get(key) != one for key, one in now.items()) + len(before.keys() - now.keys())
    print(f"{FOLDER}: {len(now)} tickets on {len({model for _, model in now})} profiles; {changed} have changed")


if __name__ == "__main__":
    main()
