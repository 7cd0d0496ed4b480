"""The journal over a year: bytes a payment by how it ends, and a year's size, start, steps, verification and archive.

    python -m benchmarks.core.bench_journal

A real lane makes each kind of payment with the simulated PayMaster; its steps are then written again, under other
keys and times, until there is a year of 300 payments a day. `PAYMENTS=10950` in the environment makes a tenth of it.
The journals lie in `out/`, on a real disk. Limits: the text of the rows without the database around it, an empty
journal, and a copy of the file with a sync.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from benchmarks.report import Row, finish, options
from sco_payment import attempt as m
from sco_payment.assemble import open_lane
from sco_payment.journal import Journal
from sco_payment.order import Order
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.printer import VirtualPrinter
from tests.payment.journal.kit import opened
from tests.payment.lane_kit import SPEED, OwnUI, document

ROOT = Path(__file__).resolve().parents[2]
A_DAY, DAYS = 300, 365
DAY_MS = 86_400_000
MEMORY_GOAL, KEPT_GOAL, START_GOAL = 100.0, 250.0, 4.0

Step = Callable[[Journal, int, int], object]
"""Writes one step again: into a journal, for the payment of that number, which began at that ms."""


@dataclass(frozen=True)
class Kind:
    """How a payment ends.

    Attributes:
        name: in a few words.
        share: of a thousand payments, how many end so.
        script: what the customer and PayMaster do.
        ends: the phase that it must come to.
        mode: the display mode.
        cancels: the customer presses cancel.
    """

    name: str
    share: int
    script: str
    ends: m.Phase = m.Phase.PAID
    mode: int = 1
    cancels: bool = False


KINDS = (
    Kind("paid, on the screen", 849, "pays after=8"),
    Kind("paid, on paper", 50, "pays after=8", mode=0),
    Kind("cancelled by the customer", 60, "leaves", m.Phase.UNPAID, cancels=True),
    Kind("not paid in time", 40, "leaves", m.Phase.UNPAID),
    Kind("paid after the cancellation, with its case", 1, "pays-after-cancel", m.Phase.PAID_LATE, cancels=True),
)


class JumpingRuntime(ThreadRuntime[m.Message]):
    """A lane's time that can be put forward: the days for which a closed payment is watched pass in a second."""

    ahead_ms = 0

    def now(self) -> int:
        return super().now() + self.ahead_ms


def taped(folder: Path, kind: Kind) -> list[Step]:
    """The steps that a lane writes for one such payment, until it is final and its case is closed."""
    steps: list[Step] = []
    folder.mkdir()
    runtime = JumpingRuntime(SPEED)
    ui = OwnUI(on_pay=(lambda screen: lane.cancel()) if kind.cancels else None)
    with (
        PayMasterSimulator(clock=lambda: runtime.now() / 1000, script=kind.script) as bank,
        VirtualPrinter() as printer,
    ):
        data = document(bank, folder / "j", display={"mode": kind.mode}, devices={"printer": printer.url})
        settings = settings_from_mapping(data, {TOKEN_VARIABLE: bank.token})
        with open_lane(settings, ui=ui, runtime=runtime, token=Token(bank.token)) as lane:
            started_ms = runtime.now()
            lane.journal.record = taping(lane.journal, steps, started_ms)  # type: ignore[method-assign]
            note = lane.journal.note

            def noting(key: str, text: str, *, at_ms: int) -> None:
                note(key, text, at_ms=at_ms)
                after_ms = at_ms - started_ms
                steps.append(lambda journal, n, begun: journal.note(f"{n:032x}", text, at_ms=begun + after_ms))

            lane.journal.note = noting  # type: ignore[method-assign]
            lane.pay(Order("A-1", 25_300), deliver=lambda result: None)
            lane.start()
            while (phase := lane.journal.attempts()[0].phase) not in m.FINAL:
                runtime.ahead_ms += 10 * 60_000
                time.sleep(0.002)
            assert phase is kind.ends, (kind, phase)
            if lane.journal.cases():
                steps.append(_closes_the_case)
    return steps


def taping(journal: Journal, steps: list[Step], started_ms: int) -> Callable[..., int | None]:
    """The journal's `record`, which keeps what it writes."""
    record = journal.record

    def recording(event: m.Event | None, state: m.State, effects: Iterable[m.Effect], *, at_ms: int) -> int | None:
        effects = tuple(effects)
        after_ms = at_ms - started_ms

        def again(into: Journal, number: int, begun_ms: int) -> object:
            plan = replace(state.plan, key=f"{number:032x}", order_no=f"A-{number}")
            return into.record(event, replace(state, plan=plan), effects, at_ms=begun_ms + after_ms)

        steps.append(again)
        return record(event, state, effects, at_ms=at_ms)

    return recording


def _closes_the_case(journal: Journal, number: int, begun_ms: int) -> object:
    (case,) = journal.cases()
    words = {"operator": "Иванова", "resolution": "Деньги возвращены через PayMaster"}
    return journal.close_case(case.number, **words, at_ms=begun_ms + DAY_MS)


def written(path: Path, tapes: dict[Kind, list[Step]], payments: int) -> None:
    """A journal of that many payments; its syncs are left out."""
    kinds = [kind for kind in KINDS for _ in range(kind.share)]
    Random(1).shuffle(kinds)
    with opened(path) as journal:
        journal._db.execute("PRAGMA synchronous=OFF")
        for number in range(payments):
            for step in tapes[kinds[number % len(kinds)]]:
                step(journal, number, number * DAY_MS // A_DAY)


def text_bytes(path: Path) -> int:
    """What the journal's rows hold, as text."""
    with Journal(path, read_only=True) as journal:
        columns = "seq || at_ms || attempt || kind || version || lane_id || acquirer || body || hash"
        return int(journal._all(f"SELECT sum(length(CAST({columns} AS BLOB))) FROM records")[0][0])


def by_outcome(folder: Path, tapes: dict[Kind, list[Step]], many: int) -> list[Row]:
    """Bytes on disk for a payment of each kind."""
    rows = []
    for kind, steps in tapes.items():
        path = folder / f"only {kind.name}"
        only = dict.fromkeys(KINDS, steps)
        written(path, only, many)
        rows.append(
            Row(
                "core", f"journal: a payment, {kind.name} ({len(steps)} steps)", "KB", path.stat().st_size / many / 1e3,
                limit=text_bytes(path) / many / 1e3, limit_name="the text of its rows",
            )
        )  # fmt: skip
        path.unlink()
    return rows


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def copied(path: Path) -> None:
    """A copy of the file, on disk."""
    copy = path.with_name("copy")
    with path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    copy.unlink()


def verified(path: Path) -> None:
    """As `sco-pay journal verify` does it."""
    with Journal(path, read_only=True) as journal:
        assert journal.verify() == []


def step_ms(path: Path, rounds: int) -> float:
    """A first step of a payment on disk, as a lane writes it: the median."""
    times = []
    with opened(path) as journal:
        for number in range(rounds):
            plan = m.Plan(f"s{number}", f"S-{number}", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=1)
            state, effects = m.begin(plan)
            times.append(timed(lambda: journal.record(None, state, effects, at_ms=2**41)))  # noqa: B023 - called here
    return statistics.median(times) * 1000


def year(folder: Path, tapes: dict[Kind, list[Step]], payments: int, rounds: int) -> list[Row]:
    """A journal of that many payments: size, start, a step, verification."""
    path, empty = folder / "year", folder / "empty"
    written(path, tapes, payments)
    opened(empty).close()
    size = path.stat().st_size
    copy_s = timed(lambda: copied(path))
    start_s, bare_s = (timed(lambda place=place: opened(place).close()) for place in (path, empty))  # type: ignore[misc]
    verify_s = timed(lambda: verified(path))
    bare_ms, ours_ms = step_ms(empty, rounds), step_ms(path, rounds)
    anchor = path.with_name(path.name + ".anchor").stat().st_size
    what = _what(payments)
    return [
        Row("core", f"{what}: size", "MB", size / 1e6, limit=text_bytes(path) / 1e6, limit_name="the text of its rows"),
        Row(
            "core", f"{what}: opened by a lane that starts", "s", start_s, limit=bare_s, limit_name="an empty journal",
            goal=f"at most {START_GOAL:g} s", met=start_s <= START_GOAL,
        ),
        Row("core", f"{what}: a step on disk, median", "ms", ours_ms, limit=bare_ms, limit_name="an empty journal"),
        Row("core", f"{what}: verify", "s", verify_s, limit=copy_s, limit_name="copy of the file"),
        Row("core", f"{what}: an anchor, of which there are one or two", "bytes", anchor),
    ]  # fmt: skip


def archived(folder: Path, payments: int) -> list[Row]:
    """What moving the year into an archive takes, and what it leaves."""
    path, file = folder / "year", folder / "archive"
    size, copy_s = path.stat().st_size, timed(lambda: copied(path))
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with opened(path) as journal:
        cut = journal.find_cut(DAYS * 2 * DAY_MS)
        assert cut is not None
        moved_s = timed(lambda: journal.move_to_archive(cut, file, at_ms=DAYS * 3 * DAY_MS))
        shrunk_s = timed(journal.shrink)
        (remembered,) = journal._all("SELECT sum(pgsize) FROM dbstat WHERE name = 'archived'")[0]
    grown_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mib
    what, left = _what(payments), path.stat().st_size
    kept = remembered / cut.attempts
    return [
        Row("core", f"{what}: archived", "s", moved_s + shrunk_s, limit=copy_s, limit_name="copy of the file"),
        Row(
            "core", f"{what}: memory for that", "MiB", grown_mib,
            goal=f"at most {MEMORY_GOAL:g} MiB", met=grown_mib <= MEMORY_GOAL,
        ),
        Row("core", f"{what}: taken out of the journal", "%", (size - left) / size * 100),
        Row("core", f"{what}: its archive", "MB", file.stat().st_size / 1e6, limit=size / 1e6, limit_name="journal"),
        Row("core", f"{what}: the journal afterwards", "MB", left / 1e6),
        Row("core", f"{what}: verify it afterwards", "s", timed(lambda: verified(path))),
        Row(
            "core", f"{what}: kept in it for each archived payment", "bytes", kept,
            goal=f"at most {KEPT_GOAL:g}", met=kept <= KEPT_GOAL,
        ),
    ]  # fmt: skip


def _what(payments: int) -> str:
    return "a year of 300 payments a day" if payments == A_DAY * DAYS else f"a journal of {payments:,} payments"


def main() -> None:
    """The command line."""
    asked = options(__doc__ or "")
    payments = int(os.environ.get("PAYMENTS", "1000" if asked.quick else str(A_DAY * DAYS)))
    (ROOT / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "out") as name:
        folder = Path(name)
        tapes = {kind: taped(folder / kind.name, kind) for kind in KINDS}
        rows = by_outcome(folder, tapes, 200 if asked.quick else 2_000)
        rows += year(folder, tapes, payments, rounds=20 if asked.quick else 500)
        rows += archived(folder, payments)
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
