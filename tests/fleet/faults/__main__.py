"""Play seeds, with faults on every wire. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psycopg

from sco_fleet import embedded
from sco_fleet.database import migrate
from tests.fleet.faults.search import play
from tests.verification.verdict import verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (100)")
    parser.add_argument("--base", type=int, default=1, help="the first seed (1)")
    options = parser.parse_args()
    started, rows, broken, faults = time.monotonic(), 0, [], Counter[str]()
    with (
        tempfile.TemporaryDirectory() as name,
        embedded.temporary() as postgres,
        psycopg.connect(postgres.url(), autocommit=True) as db,
    ):
        db.execute("CREATE DATABASE empty")
        migrate(postgres.url("empty"))
        for seed in range(options.base, options.base + options.seeds):
            db.execute(f"CREATE DATABASE fleet_{seed} TEMPLATE empty")  # type: ignore[call-overload]
            result = play(seed, postgres.url(f"fleet_{seed}"), Path(name) / f"seed-{seed}")
            db.execute(f"DROP DATABASE fleet_{seed} WITH (FORCE)")  # type: ignore[call-overload]
            rows += result.rows
            faults += result.faults
            if result.problem is not None:
                broken.append(f"seed {seed}: {result.problem}")
                print(result.line(), flush=True)
    print(f"faults: {dict(faults)}")
    seconds = time.monotonic() - started
    print(verdict(f"{options.seeds} seeds, {rows} rows stored, {faults.total()} faults, {seconds:.0f} s", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
