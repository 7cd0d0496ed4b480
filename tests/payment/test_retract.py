"""A kiosk printer's presenter: a ticket that nobody took does not wait for the next customer with a dead code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sco_payment import Outcome
from sco_payment import attempt as m
from sco_payment.attempt import Phase
from sco_payment.events import LaneEvent, NoteAdded, OutcomeReached, StateChanged
from sco_payment.journal import Journal
from sco_payment.order import Order
from sco_sim.printer import VirtualPrinter
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25300)


@pytest.fixture
def kiosk() -> Iterator[VirtualPrinter]:
    with VirtualPrinter(presenter=True, process_id=False, clear_buffer=False) as one:
        yield one


def pay(
    folder: Path,
    kiosk: VirtualPrinter,
    script: str,
    when: str,
    customer: Callable[[], None] = lambda: None,
    *,
    orders: int = 1,
    then: Callable[[], None] = lambda: None,
) -> tuple[list[Outcome | None], list[str]]:
    """Outcomes and notes of the tickets' ends. `customer` acts once the code is waiting, `then` after each payment."""
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
            assert kiosk.wait_for(lambda one: one.state()["in_output"])
            customer()
        if isinstance(event, NoteAdded) and ("output" in event.text or "taken" in event.text):
            notes.append(event.text)

    settings = {"mode": 0, "retract_ticket": when}
    devices = {"printer": f"{kiosk.url}?profile=CUSTOM-VKP80&status_s=0.2"}
    outcomes = []
    with bench(folder, script, ui=OwnUI(), observer=observe, display=settings, devices=devices) as (lane, _):
        for n in range(orders):
            outcomes.append(lane.pay(Order(f"4{n}", 25300)).outcome)
            lane._runtime.drain()  # type: ignore[attr-defined]
            then()
    return outcomes, notes


def test_a_ticket_left_in_the_output_is_retracted_when_the_payment_ends(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    outcomes, (note,) = pay(tmp_path, kiosk, "pays after=6", "end")
    assert outcomes == [Outcome.PAID]
    assert (kiosk.retracted, kiosk.state()["in_output"], kiosk.state()["taken"]) == (1, False, 0)
    assert "retracted" in note


def test_a_ticket_that_the_customer_took_is_not_called_taken(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    _, (note,) = pay(tmp_path, kiosk, "pays after=6", "end", kiosk.ticket_taken)
    assert kiosk.retracted == 0
    assert note == "there is no ticket in the printer's output any more"


def test_nor_is_one_that_the_printer_retracted_by_itself(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    _, (note,) = pay(tmp_path, kiosk, "pays after=6", "end", kiosk.retract_by_itself)
    assert note == "there is no ticket in the printer's output any more"


def test_at_expiry_a_ticket_is_retracted_before_the_status_is_known(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    outcomes, (note,) = pay(tmp_path, kiosk, "leaves", "expiry")
    assert Outcome.PAID not in outcomes
    assert kiosk.retracted == 1
    assert "retracted" in note


def test_with_expiry_a_paid_ticket_stays_until_its_code_expires(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    def still_there() -> None:
        assert kiosk.state()["in_output"]
        assert kiosk.retracted == 0

    _, notes = pay(tmp_path, kiosk, "pays after=6", "expiry", then=still_there)
    assert notes == []


def test_a_lane_retracts_between_payments_what_expired_there(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    settings = {"mode": 0, "retract_ticket": "expiry"}
    devices = {"printer": f"{kiosk.url}?profile=CUSTOM-VKP80"}
    with bench(tmp_path, "pays after=6", ui=OwnUI(), display=settings, devices=devices) as (lane, _):
        lane.pay(ORDER)
        for _ in range(200):
            lane._runtime.pause(2_000)
            lane.run_pending()
            lane._runtime.drain()  # type: ignore[attr-defined]
            if kiosk.retracted:
                break
        assert kiosk.retracted == 1


def test_a_new_process_retracts_what_the_one_before_left_in_the_output(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    pay(tmp_path, kiosk, "pays after=6", "never")
    assert kiosk.state()["in_output"]
    devices = {"printer": f"{kiosk.url}?profile=CUSTOM-VKP80"}
    with bench(tmp_path, ui=OwnUI(), display={"mode": 0}, devices=devices) as (lane, _):
        lane.run_pending()
        assert kiosk.wait_for(lambda one: one.retracted == 1)


def test_never_leaves_it_for_the_next_ticket(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    outcomes, notes = pay(tmp_path, kiosk, "pays after=6", "never", orders=2)
    assert outcomes == [Outcome.PAID, Outcome.PAID]
    assert notes == []
    assert (kiosk.retracted, kiosk.state()["in_output"]) == (1, True)  # the first one, before the second was printed


def test_a_jam_is_reported_and_stops_no_payment(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    outcomes, (note,) = pay(tmp_path, kiosk, "pays after=6", "end", kiosk.jam_output)
    assert outcomes == [Outcome.PAID]
    assert "jammed" in note
    assert kiosk.retracted == 0


def test_a_ticket_that_is_held_is_retracted_once_it_is_let_go(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
            kiosk.hold_ticket()
        if isinstance(event, NoteAdded) and "output" in event.text:
            notes.append(event.text)

    display, devices = {"mode": 0}, {"printer": f"{kiosk.url}?profile=CUSTOM-VKP80"}
    with bench(tmp_path, "pays after=6", ui=OwnUI(), observer=observe, display=display, devices=devices) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        lane._runtime.drain()  # type: ignore[attr-defined]
        assert notes == ["the ticket is still in the printer's output: it could not be retracted"]
        kiosk.hold_ticket(False)
        lane.run_pending()
        assert kiosk.wait_for(lambda one: one.retracted == 1)


def test_without_an_answer_from_the_sensor_nothing_is_claimed_and_nothing_moved(tmp_path: Path) -> None:
    with VirtualPrinter(presenter=True, process_id=False, clear_buffer=False, output_sensor=False) as kiosk:
        outcomes, (note,) = pay(tmp_path, kiosk, "pays after=6", "end")
        assert outcomes == [Outcome.PAID]
        assert note == "it is not known whether the ticket was taken: the printer does not report it"
        assert kiosk.retracted == 0


def test_a_printer_that_is_gone_by_then_delays_no_outcome(tmp_path: Path, kiosk: VirtualPrinter) -> None:
    outcomes, (note,) = pay(tmp_path, kiosk, "pays after=6", "end", kiosk.unplug)
    assert outcomes == [Outcome.PAID]
    assert note.startswith("it is not known whether the ticket was taken")


def test_a_printer_without_a_presenter_is_not_asked(tmp_path: Path) -> None:
    notes: list[LaneEvent] = []
    with VirtualPrinter() as paper:
        display, devices = {"mode": 0, "retract_ticket": "end"}, {"printer": paper.url}
        with bench(tmp_path, "pays after=6", ui=OwnUI(), observer=notes.append, display=display, devices=devices) as (
            lane,
            _,
        ):
            assert lane.pay(ORDER).outcome is Outcome.PAID
            lane._runtime.drain()  # type: ignore[attr-defined]
        assert not any("taken" in str(event) for event in notes)
        assert "GS e" not in paper.commands


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_ticket_stays_in_the_output_while_its_payment_is_under_way(
    tmp_path: Path, kiosk: VirtualPrinter, interrupted: bool
) -> None:
    """Also where an earlier payment, which a crash interrupted, ends meanwhile."""
    if interrupted:
        with Journal(tmp_path / "journal.db", lane_id="KSO-7", acquirer="paymaster") as journal:
            begun_at_ms = round(time.time() * 1000)
            plan = m.Plan("k1", "41", 100, "RUB", m.Mode.PRINT, begun_at_ms, begun_at_ms + 60_000)
            journal.record(None, *m.begin(plan), at_ms=begun_at_ms)
    retracted: dict[str, int] = {}

    def observe(event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
            assert kiosk.wait_for(lambda one: one.state()["in_output"])
        if isinstance(event, OutcomeReached):
            retracted[event.order_no] = kiosk.retracted

    display, devices = {"mode": 0}, {"printer": f"{kiosk.url}?profile=CUSTOM-VKP80&status_s=0.2"}
    with bench(tmp_path, "pays after=90", ui=OwnUI(), observer=observe, display=display, devices=devices) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        lane._runtime.drain()  # type: ignore[attr-defined]
    assert retracted == ({"41": 0} if interrupted else {}) | {"42": 0}
    assert kiosk.retracted == 1
