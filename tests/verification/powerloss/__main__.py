"""Cut the power at every operation of a journal's life, once and again while it recovers, and let the disk fail at
every operation. The exit status is 1 when something acknowledged is lost."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import apsw

from tests.verification.powerloss.check import cut_again, cut_everywhere, fail_everywhere, life, prints_of, record
from tests.verification.verdict import verdict


def fast_folder() -> str | None:
    """Memory, where there is such a file system: the images are many and small."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.powerloss", description=__doc__)
    parser.add_argument("--attempts", type=int, default=12, help="attempts in the journal's life (12)")
    parser.add_argument("--torn", type=int, default=8, help="random images at each point (8)")
    parser.add_argument("--again", type=int, default=100, help="points that are cut again while recovering (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the random images (0)")
    parser.add_argument(
        "--checkpoint-pages", type=int, default=20, help="as SQLite's wal_autocheckpoint; the product has 1000 (20)"
    )
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
    points, images = (sum(getattr(report, what) for report in reports) for what in ("points", "images"))
    seconds = sum(report.seconds for report in reports)
    broken = [failure for report in reports for failure in report.failures]
    print(verdict(f"{points} crash points, {images} images, {seconds:.0f} s", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
