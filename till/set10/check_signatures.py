"""Compare our signatures of the till's API with the real jar: whatever we declare must be there, word for word.

python3 till/set10/check_signatures.py SOURCES OUR_CLASSES CLASSPATH_OF_THE_REAL_API
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple


class Type(NamedTuple):
    """A type as javap prints it: its header, and its public members with their descriptors."""

    header: str
    members: set[tuple[str, str]]

    @property
    def supertypes(self) -> set[str]:
        """What it extends and implements."""
        words = self.header.rstrip("{ ").replace(",", " ").split()
        return {word for word in words[words.index(self.name) + 1 :] if "." in word}

    @property
    def name(self) -> str:
        """With its package."""
        return next(word for word in self.header.split() if "." in word)


def types(names: list[str], classpath: str) -> dict[str, Type]:
    """The types of a class path by name; those that it lacks are left out."""
    command = ["javap", "-public", "-s", "-cp", classpath, *names]
    lines = subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()
    found: dict[str, Type] = {}
    present = Type("", set())
    for line, following in pairwise([*lines, ""]):
        if line.endswith("{"):
            present = Type(line, set())
            found[present.name] = present
        elif following.strip().startswith("descriptor:"):
            present.members.add((line.strip(), following.strip()))
    return found


def differences(ours: Type, real: Type | None) -> list[str]:
    """What we declare and the real API has not."""
    if real is None:
        return [f"{ours.name} does not exist"]
    found = [f"{ours.name}: {text} {descriptor}" for text, descriptor in sorted(ours.members - real.members)]
    if missing := ours.supertypes - real.supertypes:
        found.append(f"{ours.name} is not a {', '.join(sorted(missing))}")
    if ours.header.split(ours.name)[0] != real.header.split(real.name)[0]:
        found.append(f"{ours.header} is {real.header}")
    return found


def main(sources: str, ours: str, real: str) -> int:
    """Print the differences; their number is the exit status."""
    paths = sorted(Path(sources).rglob("*.java"))
    names = [".".join(path.relative_to(sources).with_suffix("").parts) for path in paths]
    declared, existing = types(names, ours), types(names, real)
    found = [one for name in names for one in differences(declared[name], existing.get(name))]
    for difference in found:
        sys.stderr.write(f"not in the real API: {difference}\n")
    sys.stdout.write(f"{len(names)} types compared with the real API, {len(found)} differences\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
