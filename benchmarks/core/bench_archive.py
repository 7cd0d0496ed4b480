"""A journal of years: its size, the time to verify it, and what moving its closed years into an archive takes.

    python -m benchmarks.core.bench_archive

The journals lie in `out/`, on a real disk. Nine of ten attempts are archived. The limit is a copy of the file, with a
sync. `ATTEMPTS=1000000` in the environment measures a journal of that many; it needs three times its size.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row, finish, options
from sco_payment.journal import Journal
from tests.payment.journal.kit import opened
from tests.verification.powerloss.check import life

ROOT = Path(__file__).resolve().parents[2]
MEMORY_GOAL, KEPT_GOAL = 100.0, 250.0


def written(path: Path, attempts: int) -> None:
    """A journal as of a lane's; its syncs are left out."""
    with opened(path) as journal:
        journal._db.execute("PRAGMA synchronous=OFF")
        for work in life(attempts * 3 // 2, fates=2):  # all of them are final
            work(journal)


def copied(path: Path) -> float:
    """Seconds that a copy of the file takes, on disk."""
    start = time.perf_counter()
    copy = path.with_name("copy")
    with path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    spent = time.perf_counter() - start
    copy.unlink()
    return spent


def archived(folder: Path, attempts: int) -> list[Row]:
    """All of it."""
    path, file = folder / "j", folder / "a"
    written(path, attempts)
    size, copy_s = path.stat().st_size, copied(path)
    with Journal(path, read_only=True) as journal:
        start = time.perf_counter()
        assert journal.verify() == []
        verify_s = time.perf_counter() - start
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    with opened(path) as journal:
        cut = journal.find_cut(attempts * 1_350)  # of `life`'s seconds, two of three have an attempt
        assert cut is not None
        journal.move_to_archive(cut, file, at_ms=attempts * 2_000)
        moved_s = time.perf_counter() - start
        journal.shrink()
    shrunk_s = time.perf_counter() - start - moved_s
    grown_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mib
    with Journal(path, read_only=True) as journal:
        start = time.perf_counter()
        assert journal.verify() == []
        after_s = time.perf_counter() - start
        remaining = len(journal.attempts())
        (remembered,) = journal._all("SELECT sum(pgsize) FROM dbstat WHERE name = 'archived'")[0]
    what, kept = f"a journal of {attempts:,} attempts", remembered / cut.attempts
    return [
        Row("core", f"{what}: size", "MB", size / 1e6),
        Row("core", f"{what}: verify", "s", verify_s, limit=copy_s, limit_name="copy of the file"),
        Row("core", f"{what}: archive nine of ten", "s", moved_s, limit=copy_s, limit_name="copy of the file"),
        Row("core", f"{what}: then give the space back", "s", shrunk_s),
        Row(
            "core", f"{what}: memory more than before", "MiB", grown_mib,
            goal=f"at most {MEMORY_GOAL:g} MiB", met=grown_mib <= MEMORY_GOAL,
        ),
        Row("core", f"{what}: the archive's size", "MB", file.stat().st_size / 1e6),
        Row("core", f"{what}: size afterwards, {remaining:,} attempts", "MB", path.stat().st_size / 1e6),
        Row("core", f"{what}: verify afterwards", "s", after_s),
        Row(
            "core", "kept in the journal for each archived attempt", "bytes", kept,
            goal=f"at most {KEPT_GOAL:g}", met=kept <= KEPT_GOAL,
        ),
    ]  # fmt: skip


def main() -> None:
    """The command line."""
    asked = options(__doc__ or "")
    attempts = int(os.environ.get("ATTEMPTS", "300" if asked.quick else "5000"))
    (ROOT / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "out") as name:
        finish(archived(Path(name), attempts), asked.json)


if __name__ == "__main__":
    main()
