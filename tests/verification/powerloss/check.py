"""A scripted life of a journal, power cuts after every operation of it, and what must be found then."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import apsw

from sco_payment import attempt as m
from sco_payment.journal import Journal, JournalError, JournalUnwritable
from tests.payment.journal.kit import opened
from tests.verification.powerloss.disk import Image, Platter
from tests.verification.powerloss.recorder import Disk, Op, RecordedJournal

Work = Callable[[Journal], object]
ID = "p1"


def life(attempts: int, fates: int = 3) -> Iterator[Work]:
    """Transactions as a lane makes them: paid, cancelled, and (the third of `fates`) watched with a closed case."""
    for n in (n for n in range(attempts) if n % 3 < fates):
        key, at = f"k{n}", 1_000 * n
        plan = m.Plan(key, f"A-{n}", 25_300 + n, "RUB", m.Mode.PRINT, begun_at_ms=at, expires_at_ms=at + 300_000)
        state, effects = m.begin(plan)
        yield _records(None, state, effects, at)
        for event in _events(n, state, at):
            event = replace(event, seq=state.seq) if isinstance(event, m.ANSWERS) else event
            before, (state, effects) = state, m.step(state, event)
            yield _notes(key, f"received: {event}", at)
            if m.significant(before, state, effects):
                yield _records(event, state, effects, at)
        if n % 3 == 2:
            yield _closes(n // 3 + 1, at)


def _records(event: m.Event | None, state: m.State, effects: Sequence[m.Effect], at: int) -> Work:
    return lambda journal: journal.record(event, state, effects, at_ms=at)


def _notes(key: str, text: str, at: int) -> Work:
    return lambda journal: journal.note(key, text, at_ms=at)


def _closes(number: int, at: int) -> Work:
    return lambda journal: journal.close_case(number, operator="Иванова", resolution="выдано", at_ms=at)


def _events(n: int, state: m.State, at: int) -> list[m.Event]:
    """The link is unverifiable on purpose: the amount does not matter here."""
    shown = [
        m.Created(
            at,
            0,
            f"{ID}-{n}",
            m.PaymentStatus.OPEN,
            state.plan.kopecks,
            "RUB",
            "https://pay.example/i/" + "x" * (n % 40),
        ),
        m.Presented(at + 10, "printed, the printer reported it"),
    ]
    match n % 3:
        case 0:
            return [
                *shown,
                m.Tick(at + 3_010),
                m.PaymentStatusReceived(
                    at + 3_020, 0, f"{ID}-{n}", m.PaymentStatus.PAID, "Settled", state.plan.kopecks, "RUB"
                ),
                m.Delivered(at + 3_030),
            ]
        case 1:
            return [
                *shown,
                m.CancelWanted(at + 500),
                m.CancelAnswered(at + 600, 0, m.Cancel.ACCEPTED),
                m.PaymentStatusReceived(
                    at + 700, 0, f"{ID}-{n}", m.PaymentStatus.CLOSED, "Cancelled", state.plan.kopecks, "RUB"
                ),
                m.Delivered(at + 800),
            ]
        case _:
            return [
                *shown,
                m.CancelWanted(at + 500),
                m.CancelAnswered(at + 600, 0, m.Cancel.UNANSWERED),
                m.StatusUnavailable(at + 700, 0, "no network"),
                m.Tick(at + 15_700),
            ]


def print_of(journal: Journal) -> str:
    """A fingerprint of all that the journal holds."""
    whole = hashlib.sha256()
    for table in ("records", "head", "attempts", "cases"):
        for row in journal._all(f"SELECT * FROM {table} ORDER BY 1"):
            whole.update(repr(row).encode())
    return whole.hexdigest()


def prints_of(works: Sequence[Work], folder: Path) -> list[str]:
    """The fingerprint before the first transaction and after each one, on an undisturbed journal."""
    folder.mkdir()
    with opened(folder / "j") as journal:
        prints = [print_of(journal)]
        for work in works:
            work(journal)
            prints.append(print_of(journal))
    return prints


def record(
    works: Sequence[Work],
    folder: Path,
    *,
    checkpoint_pages: int = 20,
    restarts: int = 1,
) -> list[Op]:
    """The record of a journal's whole life, closed and opened again `restarts` times on the way."""
    folder.mkdir()
    disk = Disk()
    done, lives = 0, restarts + 1
    for number in range(lives):
        with RecordedJournal(folder / "j", disk, checkpoint_pages=checkpoint_pages) as journal:
            for work in works[len(works) * number // lives : len(works) * (number + 1) // lives]:
                work(journal)
                done += 1
                disk.log.append(Op("ack", at=done))
    return disk.log


@dataclass(slots=True)
class Report:
    """What was cut and what was found. `failures` describes each in a sentence."""

    what: str
    operations: int = 0
    points: int = 0
    images: int = 0
    opened: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        """One line to print."""
        verdict = "nothing lost" if not self.failures else f"{len(self.failures)} failures, first: {self.failures[0]}"
        return (
            f"{self.what} at {self.points} points of {self.operations} operations, {self.images} images "
            f"({self.opened} different ones recovered), {self.seconds:.1f} s: {verdict}"
        )


def cut_everywhere(
    log: Sequence[Op],
    prints: Sequence[str],
    folder: Path,
    *,
    torn: int = 2,
    seed: int = 0,
    every: int = 1,
    most_failures: int = 5,
) -> Report:
    """Cut the power before the first and after every operation of `log` (every `every`-th), and recover each image.

    Args:
        prints: of `prints_of`; what is found must be the last acknowledged or the one after it.
        torn: random images at each point, in addition to "only what was synced" and "all of it".
    """
    started = time.perf_counter()
    platter = Platter()
    seen: set[bytes] = set()
    report = Report("power cut", sum(op.kind not in ("ack", "found") for op in log))
    for number, op in enumerate([None, *log]):
        if op is not None:
            platter.play(op)
        quiet = op is not None and op.kind in ("ack", "found") and number < len(log)
        if quiet or number % every or (op is None and log[0].kind == "found"):
            continue  # an acknowledgement changes nothing on the disk: the next point has it
        report.points += 1
        rng = random.Random(f"{seed}/{number}")
        for kind, image in (("lost", platter.lost()), ("kept", platter.kept()), *_several(platter, rng, torn)):
            report.images += 1
            mark = _mark(image, platter.acknowledged)
            if mark in seen:
                continue
            seen.add(mark)
            report.opened += 1
            problem = recovered(image, folder, prints, platter.acknowledged)
            if problem is not None:
                report.failures.append(f"cut after operation {number} ({op and op[:4]}), image {kind}: {problem}")
                if len(report.failures) >= most_failures:
                    report.seconds = time.perf_counter() - started
                    return report
    report.seconds = time.perf_counter() - started
    return report


def cut_again(
    log: Sequence[Op],
    works: Sequence[Work],
    prints: Sequence[str],
    folder: Path,
    *,
    points: int,
    seed: int = 0,
) -> Report:
    """Cut the power at `points` places of `log`, and again after every operation of the recovery and of the transaction
    that follows it."""
    total = Report("power cut, and cut again while recovering,")
    rng = random.Random(seed)
    chosen = set(rng.sample(range(1, len(log) + 1), min(points, len(log))))
    platter = Platter()
    for number, op in enumerate(log, 1):
        platter.play(op)
        if number not in chosen:
            continue
        _lay_out(platter.torn(rng), folder)
        disk = Disk()
        disk.adopt(folder)
        disk.log.append(Op("ack", at=platter.acknowledged))
        with RecordedJournal(folder / "j", disk) as journal:
            found = prints.index(print_of(journal))
            disk.log.append(Op("ack", at=found))
            if found < len(works):
                works[found](journal)
                disk.log.append(Op("ack", at=found + 1))
        again = cut_everywhere(disk.log, prints, folder, seed=number)
        total.failures += again.failures
        total.operations += again.operations
        total.points += again.points
        total.images += again.images
        total.opened += again.opened
        total.seconds += again.seconds
    return total


def fail_everywhere(
    works: Sequence[Work],
    prints: Sequence[str],
    folder: Path,
    *,
    error: type[apsw.Error] = apsw.IOError,
    broken_for: int = 1,
    every: int = 1,
    most_failures: int = 5,
) -> Report:
    """Let operation 1, 2, 3, ... of the disk fail, and the `broken_for - 1` after it; then cut the power.

    What was refused is tried again, as the lane does; in the end it must be there once. The disk keeps nothing of a
    sync that failed.
    """
    started = time.perf_counter()
    report = Report(f"disk failing ({error.__name__}, {broken_for} in a row)")
    first = 0
    while True:
        first += every
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

        def fail(call: int, kind: str, first: int = first) -> None:
            if first <= call < first + broken_for:
                raise error

        disk = Disk(fail)
        done = _live(works, folder, disk, report)
        if disk.calls < first:
            break
        _cut_after(disk, folder, prints, done, f"operations from {first} failed", report)
        if len(report.failures) >= most_failures:
            break
    report.seconds = time.perf_counter() - started
    return report


def _cut_after(disk: Disk, folder: Path, prints: Sequence[str], done: int, what: str, report: Report) -> None:
    """Cut the power once `what` has happened to `disk`, and open both images that may be on it."""
    report.points += 1
    report.operations = max(report.operations, disk.calls)
    platter = Platter()
    for op in disk.log:
        platter.play(op)
    for kind, image in (("lost", platter.lost()), ("kept", platter.kept())):
        report.images += 1
        report.opened += 1
        problem = recovered(image, folder, prints, done)
        if problem is not None:
            report.failures.append(f"{what}, image {kind}: {problem}")


def fail_everywhere_opening(older: Path, prints: Sequence[str], folder: Path) -> Report:
    """Let operation 1, 2, 3, ... fail while the journal in `older` is opened; then cut the power and open it again."""
    started = time.perf_counter()
    report = Report("disk failing while it opens")
    while True:
        begun = folder.with_name("begun to open")
        shutil.rmtree(begun, ignore_errors=True)
        shutil.copytree(older, begun)
        disk = Disk(_only(report.points + 1))
        disk.adopt(begun)
        with suppress(JournalError, sqlite3.Error):
            RecordedJournal(begun / "j", disk).close()
        if disk.calls <= report.points:
            break
        _cut_after(disk, folder, prints, 0, f"operation {report.points + 1} failed", report)
    report.seconds = time.perf_counter() - started
    return report


def _only(number: int) -> Callable[[int, str], None]:
    def fail(call: int, kind: str) -> None:
        if call == number:
            raise apsw.IOError

    return fail


_TRIES = 50


def _live(works: Sequence[Work], folder: Path, disk: Disk, report: Report) -> int:
    """Do all of `works`, each until the disk accepts it; returns how many were done."""
    for _ in range(_TRIES):
        try:
            journal = RecordedJournal(folder / "j", disk)
            break
        except JournalUnwritable:
            continue
    else:
        report.failures.append("the journal never opens after the disk works again")
        return 0
    with suppress(JournalError, sqlite3.Error), journal:  # closing may fail as well: it then checkpoints nothing
        for done, work in enumerate(works):
            for _ in range(_TRIES):
                try:
                    work(journal)
                    break
                except JournalUnwritable:
                    continue
            else:
                report.failures.append(f"transaction {done + 1} is never accepted after the disk works again")
                return done
    return len(works)


def _several(platter: Platter, rng: random.Random, torn: int) -> Iterator[tuple[str, Image]]:
    for n in range(torn):
        yield f"torn {n}", platter.torn(rng)


def _mark(image: Image, acknowledged: int) -> bytes:
    whole = hashlib.sha256(str(acknowledged).encode())
    for name, content in sorted(image.items()):
        whole.update(f"{name}:{len(content)}:".encode())
        whole.update(content)
    return whole.digest()


def recovered(image: Image, folder: Path, prints: Sequence[str], acknowledged: int) -> str | None:
    """What is wrong with the journal that `image` holds, or None."""
    _lay_out(image, folder)
    try:
        with opened(folder / "j") as journal:
            problems = journal.verify()
            if problems:
                return f"verify: {problems[0]}"
            found = print_of(journal)
            if found not in prints[acknowledged : acknowledged + 2]:
                where = prints.index(found) if found in prints else None
                return f"{acknowledged} transactions were acknowledged; the state after {where} was found"
            journal.note("k0", "the lane starts again", at_ms=0)
            if journal.verify():
                return "the chain breaks at the first row after the start"
    except JournalError as error:
        return f"it does not open: {error}"
    return None


def _lay_out(image: Image, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)
