"""What fails outside the lane: the integrator's screen and observer, the merchant's lanes."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from sco_drivers.errors import DeviceGone
from sco_payment import attempt as m
from sco_payment.attempt import CaseReason, Outcome, View
from sco_payment.customer.ui import Button, LaneUI, ScreenState, SeveralUIs
from sco_payment.events import LaneEvent, StateChanged
from sco_payment.journal import Journal
from sco_payment.lane import Lane
from sco_payment.order import Order, PaymentRefused, Result
from sco_payment.runtime import Channel
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.screen import VirtualScreen
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25300)


class BrokenOnce(OwnUI):
    """Raises what no screen may raise, the first time it shall show `view`."""

    def __init__(self, view: View, error: Exception) -> None:
        super().__init__()
        self._view = view
        self._error: Exception | None = error

    def show(self, screen: ScreenState) -> None:
        if screen.view is self._view and self._error is not None:
            error, self._error = self._error, None
            raise error
        super().show(screen)


@pytest.mark.parametrize("view", [View.WAIT, View.PAID])
def test_a_screen_that_raises_anything_costs_the_next_customer_nothing(tmp_path: Path, view: View) -> None:
    ui = BrokenOnce(view, RuntimeError("the shop's own software"))
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        lane._runtime.drain()  # the screen has raised: on a slow machine the next payment would overtake its PAID
        ui.shown.clear()
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID
        lane._runtime.close()  # what was asked of the screen is done
        assert [one.view for one in ui.shown] == [View.WAIT, View.PAY, View.PAID]


def test_a_code_that_could_not_be_shown_in_an_unforeseen_way_may_have_been_seen(tmp_path: Path) -> None:
    """The bank is asked from then on, and the code is shown again."""
    ui = BrokenOnce(View.PAY, RuntimeError("the shop's own software"))
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, _):
        result = lane.pay(ORDER)
        assert result.outcome is Outcome.PAID
        notes = [record.body.get("text") for record in lane.journal.timeline(result.key) if record.kind == "note"]
        shown = next(str(note) for note in notes if str(note).startswith("presented: "))
        assert shown.startswith("presented: unforeseen: RuntimeError in tests.payment.test_lane_others")
        assert shown.endswith("it counts as seen")
        assert ui.pay_screens


class Broken(OwnUI):
    """A further screen that always raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def show(self, screen: ScreenState) -> None:
        raise self._error

    def close(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [DeviceGone("unplugged"), BrokenPipeError(32, "Broken pipe")], ids=["gone", "pipe"])
def test_a_further_screen_that_fails_keeps_nothing_from_the_customer(tmp_path: Path, error: Exception) -> None:
    ui = OwnUI()
    with bench(tmp_path, "pays after=2", ui=SeveralUIs(ui, [Broken(error)])) as (lane, paymaster):
        assert (lane.pay(ORDER).outcome, paymaster.bank.cancels) == (Outcome.PAID, 0)
    assert [one.view for one in ui.shown] == [View.WAIT, View.PAY, View.PAID]
    assert ui.closed


def test_the_customer_is_asked_though_a_further_screen_fails() -> None:
    ui, answers = OwnUI("retry"), queue.SimpleQueue[tuple[str, str]]()
    ui.bind(lambda *choice: answers.put(choice) is None)
    dialog = ScreenState(View.DIALOG, "?", buttons=(Button("retry", "r"), Button("cancel", "c")), attempt="k1")
    SeveralUIs(ui, [Broken(RuntimeError())]).show(dialog)
    assert answers.get(timeout=10) == ("k1", "retry")


def test_an_observer_that_raises_ends_no_payment(tmp_path: Path) -> None:
    def closed_pipe(event: LaneEvent) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with bench(tmp_path, "pays after=2", ui=OwnUI(), observer=closed_pipe) as (lane, bank):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert (bank.bank.creates, bank.bank.cancels, lane.journal.cases()) == (1, 0, [])


def other_lane_creates(paymaster: PayMasterSimulator, kopecks: int, *, params: bool) -> str:
    """A payment of the same merchant under the same receipt number, which every till counts for itself."""
    body = {
        "merchantId": paymaster.merchant_id,
        "invoice": {
            "description": "x",
            "orderNo": ORDER.number,
            **({"params": {"posId": "KSO-8", "attempt": "f" * 32}} if params else {}),
        },
        "amount": {"value": kopecks / 100, "currency": "RUB"},
        "paymentData": {"paymentMethod": "SBP"},
    }
    return paymaster.bank.create(body, None, json.dumps(body).encode()).id


@pytest.mark.parametrize(("kopecks", "params"), [(25300, True), (25300, False), (9900, True), (9900, False)])
@pytest.mark.parametrize("paid", [True, False])
def test_the_payment_of_another_lane_is_neither_taken_nor_cancelled(
    tmp_path: Path, kopecks: int, params: bool, paid: bool
) -> None:
    """No create of ours reached the bank, and its list shows another lane's payment of the same number."""
    with bench(tmp_path, "leaves + cut-before on=create", ui=OwnUI()) as (lane, paymaster):
        other = other_lane_creates(paymaster, kopecks, params=params)
        if paid:
            assert paymaster.bank.settle(other)
        result = lane.pay(ORDER)
        assert (result.outcome, result.payment_id, paymaster.bank.cancels) == (Outcome.UNKNOWN, None, 0)
        assert [case.reason for case in lane.journal.cases()] == [CaseReason.CREATE_UNKNOWN.value]


def test_our_payment_is_found_next_to_one_of_another_lane(tmp_path: Path) -> None:
    with bench(tmp_path, "leaves + cut-after on=create", ui=OwnUI()) as (lane, paymaster):
        other = other_lane_creates(paymaster, ORDER.kopecks, params=False)
        result = lane.pay(ORDER)
        assert (result.outcome, result.presented) == (Outcome.UNPAID, True)
        assert result.payment_id not in (None, other)


def test_the_cancel_button_goes_when_it_can_do_nothing_any_more(tmp_path: Path) -> None:
    """«Пожалуйста, подождите» is shown with the button before the payment, and without it after the cancellation."""

    class Impatient(OwnUI):
        def show(self, screen: ScreenState) -> None:
            super().show(screen)
            if screen.view is View.WAIT and screen.offers("cancel"):
                self.choose(screen, "cancel")

    ui = Impatient()
    with bench(tmp_path, "leaves", ui=ui) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.UNPAID
        lane._runtime.close()
    waits = [one for one in ui.shown if one.view is View.WAIT]
    assert [one.offers("cancel") for one in waits] == [True, False]


def test_what_could_not_be_drawn_is_not_drawn_later(tmp_path: Path) -> None:
    """A screen that draws later what it could not draw now must not come back with the code of a cancelled payment."""

    class Wants(OwnUI):
        """Like `ScreenUI`: what it was last asked to show is shown as soon as it can be."""

        wanted: list[View]

        def show(self, screen: ScreenState) -> None:
            self.wanted.append(screen.view)
            if screen.view is View.PAY:
                raise DeviceGone("the display was pulled out")
            super().show(screen)

    ui = Wants()
    ui.wanted = []
    with bench(tmp_path, "cut-before on=cancel", ui=ui) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.UNKNOWN
        lane._runtime.close()
    assert (ui.wanted[:3], ui.wanted[-1]) == ([View.WAIT, View.PAY, View.WAIT], View.ATTENDANT)
    assert ui.wanted.count(View.PAY) == 1


def interrupted_attempt(folder: Path) -> None:
    """What a lane that died has left of the order: an attempt whose bank cannot be reached for a while."""
    with Journal(folder / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
        plan = m.Plan("a" * 32, ORDER.number, ORDER.kopecks, "RUB", m.Mode.SCREEN, 0, 4_102_444_800_000)
        state = m.State(plan, phase=m.Phase.WAITING, payment_id="00000001", presented=True, may_exist=True)
        journal.record(None, state, (), at_ms=0)


@pytest.mark.parametrize("cancelled", [True, False])
def test_while_the_attempt_before_is_asked_about(tmp_path: Path, cancelled: bool) -> None:
    """A cancellation is not forgotten, and the new attempt has its whole time."""
    interrupted_attempt(tmp_path)
    with bench(tmp_path, "leaves" if cancelled else "pays after=2", ui=OwnUI()) as (lane, paymaster):
        other_lane_creates(paymaster, ORDER.kopecks, params=False)  # plays the payment of before
        called = lane._runtime.now()
        ask, asked_at = lane._loop.acquirer.status, []

        def closed_in_the_end(payment_id: str, seq: int) -> m.Event:
            asked_at.append(lane._runtime.now())
            if payment_id != "00000001":
                return ask(payment_id, seq)
            if cancelled:
                lane.cancel()
            if len(asked_at) == 1:
                return m.StatusUnavailable(lane._runtime.now(), seq, "no network")
            at, closed = lane._runtime.now(), m.PaymentStatus.CLOSED
            return m.PaymentStatusReceived(at, seq, payment_id, closed, "Cancelled", ORDER.kopecks, "RUB")

        def at_once(channel: Channel, work: Callable[[], m.Message]) -> None:
            """The bank answers before `pay` goes on."""
            if channel == "acquirer":
                lane._runtime.post(work())
            else:
                elsewhere(channel, work)

        lane._loop.acquirer.status = closed_in_the_end  # type: ignore[method-assign, assignment]
        elsewhere = lane._runtime.submit
        lane._runtime.submit = at_once  # type: ignore[method-assign, assignment]
        result = lane.pay(ORDER)
        assert result.outcome is (Outcome.UNPAID if cancelled else Outcome.PAID)
        attempt = lane.journal.attempt(result.key)
        assert attempt is not None
        assert attempt.plan.begun_at_ms >= asked_at[1] >= called + 3_000
        if cancelled:
            assert (result.reason, attempt.presented) == (m.EndReason.CUSTOMER, False)


@pytest.mark.parametrize(
    "order",
    [
        Order("42", 19.99 * 100),  # type: ignore[arg-type]
        Order("42", Decimal(25300)),  # type: ignore[arg-type]
        Order("42", "25300"),  # type: ignore[arg-type]
        Order("42", True),
        Order("42", 10**13),
        Order("42", 25300, tendered_elsewhere=100.5),  # type: ignore[arg-type]
        Order(42, 25300),  # type: ignore[arg-type]
    ],
)
def test_an_order_of_other_types_is_refused_and_the_journal_stays_readable(tmp_path: Path, order: Order) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        with pytest.raises(PaymentRefused, match="must be a"):
            lane.pay(order)
        assert (paymaster.bank.creates, lane.journal.attempts()) == (0, [])


def test_what_is_called_from_within_deliver_spoils_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):

        def goes_on_at_once(result: Result) -> None:
            lane.run_pending()
            assert lane.recover() == [result]
            with pytest.raises(PaymentRefused, match="under way"):
                lane.pay(Order("43", 100))

        assert lane.pay(ORDER, deliver=goes_on_at_once).outcome is Outcome.PAID
        assert (paymaster.bank.creates, lane.journal.cases()) == (1, [])
        assert [state.delivered for state in lane.journal.attempts()] == [True]
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID


def test_the_watch_survives_unexpected_errors(tmp_path: Path) -> None:
    with bench(tmp_path, "leaves", ui=OwnUI()) as (lane, _):
        looks: list[int] = []
        look_well, again = lane._loop.customer.check_tag, threading.Event()

        def look() -> None:
            looks.append(len(looks))
            if len(looks) == 1:
                raise RuntimeError("can't start new thread")
            look_well()
            again.set()

        lane._loop.customer.check_tag = look  # type: ignore[method-assign]
        lane.start()
        assert again.wait(10)


@pytest.mark.parametrize(
    ("name", "these"),
    [("sco-acquirer", {1}), ("sco-acquirer", {2, 3, 4}), ("sco-devices", {1}), ("lane screen", {1})],
    ids=["no create", "no polls", "no devices", "no keeper"],
)
def test_a_machine_that_has_no_thread_to_give_for_a_while_loses_no_payment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, these: set[int]
) -> None:
    start, asked = threading.Thread.start, Counter[str]()

    def start_some(thread: threading.Thread) -> None:
        asked[thread.name] += 1
        if thread.name == name and asked[name] in these:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    with (
        VirtualScreen((800, 480)) as monitor,
        bench(tmp_path, "pays after=15", devices={"screen": monitor.url}) as (lane, paymaster),
    ):
        assert (lane.pay(ORDER).outcome, paymaster.bank.cancels) == (Outcome.PAID, 0)
        (state,) = lane.journal.attempts()
        notes = [record.body.get("text") for record in lane.journal.timeline(state.plan.key)]
        assert "presented: on the screen" in notes
    assert asked[name] > max(these)


def test_a_screen_that_raises_as_it_is_closed_keeps_no_journal_locked(tmp_path: Path) -> None:
    class NeverCloses(OwnUI):
        def close(self) -> None:
            raise RuntimeError("the shop's own software")

    with pytest.raises(RuntimeError, match="own software"), bench(tmp_path, "pays", ui=NeverCloses()) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
    with Journal(tmp_path / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
        assert [state.phase for state in journal.attempts()] == [m.Phase.PAID]


def test_a_watch_that_cannot_start_can_be_started_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no thread")))
            with pytest.raises(RuntimeError, match="no thread"):
                lane.start()
        lane.start()
        assert lane._watcher is not None
        assert lane._watcher.is_alive()


def test_an_object_that_is_not_a_screen_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    """`close` would be missed first at the end of the day."""

    class NeverCloses:
        def show(self, screen: ScreenState) -> None: ...

    for given, message in (
        (NeverCloses(), "NeverCloses is not a lane screen: it lacks close"),
        (OwnUI, "OwnUI is a class"),
    ):
        with pytest.raises(TypeError, match=message), bench(tmp_path, ui=cast(LaneUI, given)):
            pass
    assert not (tmp_path / "journal.db").exists()


def grows(lane: Lane) -> bool:
    """Whether the lane's loop becomes late, by some seconds of the lane's (fast) time."""
    return until(lambda: lane.stalled_for_s() > 2)


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def test_a_watchdog_sees_a_payment_that_hangs_and_no_other(tmp_path: Path) -> None:
    hangs, goes_on = threading.Event(), threading.Event()
    late_in_deliver: list[float] = []

    def observer(event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase is m.Phase.WAITING:
            hangs.set()
            goes_on.wait(60)

    def deliver(result: Result) -> None:  # is the till's own, and may take its time
        time.sleep(0.1)
        late_in_deliver.append(lane.stalled_for_s())
        with pytest.raises(PaymentRefused):
            lane.pay(Order("43", 100))
        late_in_deliver.append(lane.stalled_for_s())

    with bench(tmp_path, "pays after=2", ui=OwnUI(), observer=observer) as (lane, _):
        assert lane.stalled_for_s() == 0.0
        paying = threading.Thread(target=lane.pay, args=(ORDER,), kwargs={"deliver": deliver})
        paying.start()
        assert hangs.wait(60)
        assert grows(lane)
        goes_on.set()
        paying.join(60)
        assert late_in_deliver == [0.0, 0.0]
        assert lane.stalled_for_s() == 0.0  # no payment is running, and nothing watches on its own
        with pytest.raises(PaymentRefused, match="already paid"):
            lane.pay(ORDER)
        lane.run_pending()
        lane.recover()
        assert lane.stalled_for_s() == 0.0


def test_a_watchdog_sees_that_open_attempts_are_not_watched(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        lane.start()
        with lane._running:  # as if the watch hung in there
            assert grows(lane)
        assert until(lambda: lane.stalled_for_s() < 2)
    assert lane.stalled_for_s() == 0.0
