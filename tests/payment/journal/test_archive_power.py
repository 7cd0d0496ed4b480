"""The power is cut, and the disk fails, at every operation of an archiving: one of the two files has all rows."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from sco_payment.journal import Journal, JournalError, archive, schema
from tests.payment.journal.kit import opened
from tests.payment.journal.test_archive import BEGIN, NOW, lived, move, rows
from tests.verification.powerloss.__main__ import fast_folder
from tests.verification.powerloss.check import _lay_out, _several
from tests.verification.powerloss.disk import Image, Platter
from tests.verification.powerloss.recorder import STATEMENTS, Disk, Op, RecordedJournal

ALL = ("records", "head", "attempts", "cases", "segment", "archived")


def content(journal: Journal) -> str:
    """A fingerprint of all tables."""
    found = [repr(journal._all(f"SELECT * FROM {table} ORDER BY 1, 2")) for table in ALL]
    return hashlib.sha256("".join(found).encode()).hexdigest()


class Scene:
    """A journal in `folder`, what it holds before and after it is archived, and what its archive must hold."""

    def __init__(self, folder: Path) -> None:
        self.begun = folder / "begun"
        self.image = folder / "image"
        self.begun.mkdir()
        lived(self.begun / "j")
        (self.begun / "j.lock").unlink()
        after = folder / "after"
        shutil.copytree(self.begun, after)
        move(after / "j", after / "a")
        self.old = rows(after / "a")
        self.contents = []
        for there in (self.begun, after):
            with opened(there / "j") as journal:
                self.contents.append(content(journal))
        (self.begun / "j.lock").unlink()

    def recorded(self, disk: Disk, name: str = "recorded") -> Path:
        """A copy of the journal that `disk` records."""
        there = self.image.with_name(name)
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(self.begun, there)
        disk.adopt(there)
        return there

    def problem(self, image: Image, acknowledged: int) -> str | None:
        """What is wrong with `image`, which a power cut left behind; None for nothing."""
        _lay_out(image, self.image)
        path, file = self.image / "j", self.image / "a"
        try:
            with opened(path) as journal:
                if found := journal.verify():
                    return f"verify: {found[0]}"
                now = content(journal)
            if now not in self.contents[acknowledged:]:
                return "neither the journal of before nor that of after"
            if now == self.contents[0]:
                move(path, file)  # the next run finishes the job
                with opened(path) as journal:
                    if content(journal) != self.contents[1]:
                        return "the next run does something else"
            with Journal(file, read_only=True) as journal:
                if found := journal.verify():
                    return f"the archive does not verify: {found[0]}"
            if rows(file) != self.old:
                return "rows are in neither file"
        except JournalError as error:
            return f"error: {error}"
        return None

    def cut_everywhere(self, log: list[Op], *, torn: int = 3) -> tuple[int, list[str]]:
        """How many different images there are when the power is cut at every operation, and what is wrong with them."""
        platter, seen, failures = Platter(), set(), []
        for number, op in enumerate(log):
            platter.play(op)
            if op.kind == "found":
                continue
            rng = random.Random(number)
            for kind, image in (("lost", platter.lost()), ("kept", platter.kept()), *_several(platter, rng, torn)):
                mark = repr((sorted(image.items()), platter.acknowledged))
                if mark in seen:
                    continue
                seen.add(mark)
                problem = self.problem(image, platter.acknowledged)
                if problem is not None:
                    failures.append(f"cut after operation {number} ({op[:4]}), image {kind}: {problem}")
                    if len(failures) == 3:
                        return len(seen), failures
        return len(seen), failures


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        yield Scene(Path(name))


def archived(folder: Path, disk: Disk, interrupted: Callable[[Journal], None] = lambda _: None) -> None:
    """The journal in `folder` is archived on `disk`, which gets a mark when that is done."""
    with RecordedJournal(folder / "j", disk) as journal:
        journal._db.execute(f"PRAGMA user_version={schema.VERSION}")  # so the log exists, and syncs no folder any more
        interrupted(journal)
        cut = journal.find_cut(BEGIN)
        if cut is not None:
            journal.move_to_archive(cut, folder / "a", at_ms=NOW)
        disk.log.append(Op("ack", at=1))
        journal.shrink()


def test_a_power_cut_at_every_operation_loses_nothing(scene: Scene) -> None:
    disk = Disk()
    archived(scene.recorded(disk), disk)
    images, failures = scene.cut_everywhere(disk.log)
    print(f"{len(disk.log)} operations, {images} images")
    assert failures == []
    assert images > 100
    assert {op.name for op in disk.log} >= {"a", "a-journal", "j", "j-wal"}


def test_a_run_that_was_killed_and_finished_loses_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run dies when its archive is written, before the folder is synced; nothing else has synced it since."""
    disk = Disk()
    there = scene.recorded(disk)

    def interrupted(journal: Journal) -> None:
        cut = journal.find_cut(BEGIN)
        assert cut is not None
        with monkeypatch.context() as patched:
            patched.setitem(STATEMENTS, "PRAGMA archive.synchronous=EXTRA", "PRAGMA archive.synchronous=FULL")
            patched.setattr(archive, "remove", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                journal.move_to_archive(cut, there / "a", at_ms=NOW)

    archived(there, disk, interrupted)
    _, failures = scene.cut_everywhere(disk.log, torn=1)
    assert failures == []


@pytest.mark.parametrize(
    ("statement", "instead"),
    [
        ("PRAGMA archive.synchronous=EXTRA", "PRAGMA archive.synchronous=FULL"),
        ("PRAGMA archive.synchronous=EXTRA", "PRAGMA archive.synchronous=OFF"),
        ("PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF"),
    ],
)
def test_a_seeded_fault_is_caught(scene: Scene, monkeypatch: pytest.MonkeyPatch, statement: str, instead: str) -> None:
    monkeypatch.setitem(STATEMENTS, statement, instead)
    disk = Disk()
    archived(scene.recorded(disk), disk)
    monkeypatch.undo()
    _, failures = scene.cut_everywhere(disk.log)
    print(failures[:1])
    assert failures


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("broken_for", [1, 40])
def test_a_disk_that_fails_at_any_operation_loses_nothing(
    scene: Scene, error: type[apsw.Error], broken_for: int
) -> None:
    """The command ends with an error; then the power is cut."""

    def failing(first: int) -> Callable[[int, str], None]:
        def fail(call: int, kind: str) -> None:
            if first <= call < first + broken_for:
                raise error

        return fail

    first = failures = 0
    while True:
        first += 3
        disk = Disk(failing(first))
        there = scene.recorded(disk)
        with suppress(JournalError, sqlite3.Error):  # also closing may fail
            archived(there, disk)
        if disk.calls < first:
            break
        platter = Platter()
        for op in disk.log:
            platter.play(op)
        for image in (platter.lost(), platter.kept()):
            problem = scene.problem(image, platter.acknowledged)
            assert problem is None, f"operation {first} failed: {problem}"
        failures += 1
    assert failures > 15
