"""`python -m powerloss`: the power cut everywhere, once and again while recovering, and the disk failing everywhere."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import apsw

from tests.verification.powerloss.check import cut_again, cut_everywhere, fail_everywhere, life, prints_of, record


def fast_folder() -> str | None:
    """Memory, where there is such a file system: the images are many and small."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> int:
    """The exit code is 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="powerloss", description=__doc__)
    parser.add_argument("--attempts", type=int, default=12, help="attempts in the journal's life")
    parser.add_argument("--torn", type=int, default=8, help="random images at each point")
    parser.add_argument("--again", type=int, default=100, help="points that are cut again while recovering")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-pages", type=int, default=20, help="1000 is what ships")
    options = parser.parse_args()
    works = list(life(options.attempts))
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        folder = Path(name)
        prints = prints_of(works, folder / "reference")
        log = record(works, folder / "record", checkpoint_pages=options.checkpoint_pages)
        reports = [cut_everywhere(log, prints, folder / "image", torn=options.torn, seed=options.seed)]
        print(reports[-1].line(), flush=True)
        reports.append(cut_again(log, works, prints, folder / "image", points=options.again, seed=options.seed))
        print(reports[-1].line(), flush=True)
        short = works[: len(list(life(3)))]
        for error in (apsw.IOError, apsw.FullError):
            for broken_for in (1, 2, 40):
                reports.append(fail_everywhere(short, prints, folder / "image", error=error, broken_for=broken_for))
                print(reports[-1].line(), flush=True)
    print(f"crash points: {sum(report.points for report in reports)}")
    return int(any(report.failures for report in reports))


if __name__ == "__main__":
    sys.exit(main())
