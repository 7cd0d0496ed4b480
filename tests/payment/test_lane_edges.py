"""The limits of the runner's rules: the last value that is accepted, and the call that is not made."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sco_drivers.errors import DeviceGone
from sco_payment import attempt as m
from sco_payment.attempt import EndReason, Outcome
from sco_payment.customer.ui import ScreenState
from sco_payment.events import LaneEvent, NoteAdded, ScreenFailed
from sco_payment.journal import Journal, JournalUnwritable
from sco_payment.order import Order, PaymentRefused, Refusal
from tests.payment.lane_kit import OwnUI, bench
from tests.payment.test_lane_tag import watched

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25_300)


def test_the_largest_amount_is_taken_and_one_kopeck_more_is_not(tmp_path: Path) -> None:
    """An SBP link has room for less: the bank's answer is refused, and nobody is shown it."""
    with bench(tmp_path, "pays after=30", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(Order("42", 10**12))
        assert (result.outcome, result.reason) == (Outcome.NOT_PRESENTED, EndReason.LINK_REFUSED)
        assert [payment.kopecks for payment in paymaster.bank.payments.values()] == [10**12]
        with pytest.raises(PaymentRefused, match="kopecks = 1000000000001 must be"):
            lane.pay(Order("43", 10**12 + 1))
        with pytest.raises(PaymentRefused, match="tendered_elsewhere = 1000000000001 must be"):
            lane.pay(Order("43", 100, tendered_elsewhere=10**12 + 1))


def test_a_create_that_always_fails_in_an_unforeseen_way_may_have_reached_the_bank(tmp_path: Path) -> None:
    with bench(tmp_path, "leaves", ui=OwnUI()) as (lane, paymaster):
        create = lane._loop.acquirer.create

        def breaks(*about: object) -> m.Event:
            create(*about)  # type: ignore[arg-type]
            raise RuntimeError("unexpected")

        lane._loop.acquirer.create = breaks  # type: ignore[method-assign, assignment]
        assert lane.pay(ORDER).outcome is Outcome.UNPAID  # found, presented, and left alone by the customer
        assert paymaster.bank.creates == 1


def test_a_create_that_fails_once_in_an_unforeseen_way_is_sent_again(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, paymaster):
        create, failed = lane._loop.acquirer.create, []

        def breaks_once(*about: object) -> m.Event:
            if not failed:
                failed.append(about)
                raise RuntimeError("unexpected")
            return create(*about)  # type: ignore[arg-type]

        lane._loop.acquirer.create = breaks_once  # type: ignore[method-assign, assignment]
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert paymaster.bank.creates == 1


def test_a_cancellation_that_fails_in_an_unforeseen_way_may_have_been_sent_and_is_not_sent_again(
    tmp_path: Path,
) -> None:
    ui = OwnUI(on_pay=lambda screen: lane.cancel())
    with bench(tmp_path, "leaves", ui=ui) as (lane, _):
        sent: list[object] = []

        def breaks(*about: object) -> m.CancelAnswered:
            sent.append(about)
            raise RuntimeError("unexpected")

        lane._loop.acquirer.cancel = breaks  # type: ignore[method-assign]
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.UNKNOWN, 1)
        assert lane.journal.case(1).reason == "cancel_unanswered"
        lane.recover(follow=True)
        assert len(sent) == 1


def test_a_till_that_no_longer_waits_begins_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, paymaster):
        with pytest.raises(PaymentRefused, match="no longer waits") as refused:
            lane.pay(ORDER, may_begin=lambda: False)
        assert refused.value.refusal is Refusal.BUSY
        assert (lane.journal.attempts(), paymaster.bank.creates) == ([], 0)
        assert lane.pay(ORDER).outcome is Outcome.PAID


def test_keys_of_attempts_are_32_digits(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, _):
        keys = {lane.pay(Order(number, 100)).key for number in ("1", "2")}
        assert [len(bytes.fromhex(key)) for key in keys] == [16, 16]


def test_an_outcome_that_was_taken_is_not_asked_about_as_if_the_lane_had_died(tmp_path: Path) -> None:
    """It is watched at the watch's own pace."""
    ui = OwnUI(on_pay=lambda screen: lane.cancel())
    with bench(tmp_path, "leaves + cancel-unanswered + cut-after on=get", ui=ui) as (lane, paymaster):
        asked: list[int] = []
        result = lane.pay(ORDER, deliver=lambda _: asked.append(paymaster.bank.calls["get"]))
        assert (result.outcome, result.phase) == (Outcome.UNKNOWN, m.Phase.WATCHING)
        time.sleep(0.5)  # 10 s of the lane's time
        assert asked == [paymaster.bank.calls["get"]]
        assert lane._loop.left_on_screen is None


def test_the_outcome_stays_on_the_screen(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI(), lane={"result_s": 2.5}) as (lane, _):
        paused: list[int] = []
        lane._runtime.pause = paused.append  # type: ignore[method-assign]
        lane.linger()
        assert paused == [2500]


def test_a_lane_that_starts_again_shows_nothing_of_what_was_settled_before(tmp_path: Path) -> None:
    """The case of goods that may not have been released is reported once, not to the customers of each later start."""
    with Journal(tmp_path / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
        state, effects = m.begin(m.Plan("k1", "42", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000))
        journal.record(None, state, effects, at_ms=0)
        paid = replace(state, phase=m.Phase.PAID, outcome=Outcome.PAID)
        journal.record(m.Recovered(1), *m.step(paid, m.Recovered(1)), at_ms=1)
        assert [case.reason for case in journal.cases()] == ["goods_uncertain"]
    ui = OwnUI()
    with bench(tmp_path, ui=ui) as (lane, _):
        assert lane.recover() == []
        lane._runtime.drain()  # type: ignore[attr-defined]
        assert ui.shown == []


@pytest.mark.parametrize("failures", [1, 9])
def test_a_disk_that_is_full_for_a_moment_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        tried = fails_to_record(lane.journal, monkeypatch, failures)
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert len(tried) == failures
        assert (paymaster.bank.creates, paymaster.bank.cancels, lane.journal.verify()) == (1, 0, [])


def test_a_disk_that_stays_full_is_tried_ten_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, _):
        tried = fails_to_record(lane.journal, monkeypatch, 1_000)
        paused: list[int] = []
        monkeypatch.setattr(lane._runtime, "pause", paused.append)
        with pytest.raises(JournalUnwritable):
            lane.pay(ORDER)
        assert (len(tried), paused) == (10, [1_000] * 9)
        monkeypatch.undo()


def test_after_a_full_disk_the_customer_sees_how_the_payment_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui = OwnUI()
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, _):
        fails_to_record(lane.journal, monkeypatch, 1_000)
        with pytest.raises(JournalUnwritable):
            lane.pay(ORDER)
        lane._runtime.drain()  # type: ignore[attr-defined]
        assert (ui.shown[-1].view, ui.shown[-1].lines) == (m.View.ATTENDANT, ("Касса временно не работает",))
        with pytest.raises(JournalUnwritable):
            lane.recover()
        lane._runtime.drain()  # type: ignore[attr-defined]
        assert (ui.shown[-1].view, ui.shown[-1].lines) == (m.View.ATTENDANT, ("Касса временно не работает",))
        monkeypatch.undo()
        lane.recover(follow=True)
        lane._runtime.drain()  # type: ignore[attr-defined]
        [case] = lane.journal.cases()
        assert (ui.shown[-1].view, ui.shown[-1].case) == (m.View.ATTENDANT, case.number)


def test_a_step_of_an_earlier_payment_that_cannot_be_written_does_not_end_the_one_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screens: list[ScreenState] = []

    def settle_the_earlier_one(screen: ScreenState) -> None:
        screens.append(screen)
        if len(screens) == 1:
            lane.cancel()
        else:
            paymaster.bank.force_settle(str(earlier.payment_id))

    with bench(tmp_path, "leaves + cancel-unanswered", ui=OwnUI(on_pay=settle_the_earlier_one)) as (lane, paymaster):
        earlier = lane.pay(ORDER)
        assert (earlier.outcome, earlier.phase) == (Outcome.UNKNOWN, m.Phase.WATCHING)
        paymaster.use("pays after=60")
        record, failed = lane.journal.record, []

        def record_or_not(event: m.Event | None, after: m.State, *rest: object, at_ms: int) -> int | None:
            if after.plan.key == earlier.key:
                failed.append(event)
                raise JournalUnwritable("no space left on device")
            return record(event, after, *rest, at_ms=at_ms)  # type: ignore[arg-type]

        monkeypatch.setattr(lane.journal, "record", record_or_not)
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID
        assert len(failed) == 10, "it was tried for one step, and waits for the disk since"
        monkeypatch.undo()
        lane.recover()
        assert lane.journal.attempt(earlier.key).phase is m.Phase.REFUNDABLE  # type: ignore[union-attr]


def test_a_till_names_its_payments_in_printable_words(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        for names in ({"key": "ключ"}, {"key": ""}, {"till_id": "\ud800"}, {"till_id": "x" * 65}):
            with pytest.raises(PaymentRefused, match="1 to 64 printable"):
                lane.pay(ORDER, **names)  # type: ignore[arg-type]
        assert lane.journal.attempts() == []


def fails_to_record(journal: Journal, monkeypatch: pytest.MonkeyPatch, times: int) -> list[object]:
    """From the attempt's second step on, `times` in all; the list gets an entry each."""
    record, tried = journal.record, []

    def record_or_not(event: m.Event | None, *rest: object, at_ms: int) -> int | None:
        if event is not None and len(tried) < times:
            tried.append(event)
            raise JournalUnwritable("no space left on device")
        return record(event, *rest, at_ms=at_ms)  # type: ignore[arg-type]

    monkeypatch.setattr(journal, "record", record_or_not)
    return tried


def test_the_invoice_ends_at_a_whole_second_within_its_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        monkeypatch.setattr(lane._runtime, "now", lambda: 1_700_000_000_900)
        plan = lane._plan(ORDER)
        assert (plan.begun_at_ms, plan.expires_at_ms) == (1_700_000_000_900, 1_700_000_120_000)
        monkeypatch.undo()


def test_the_tag_is_looked_at_in_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(tmp_path, "dynamic") as it:
        lane, clock, asked = it.lane, [1_000], []
        monkeypatch.setattr(lane._runtime, "now", lambda: clock[0])
        monkeypatch.setattr(lane._runtime, "submit", lambda channel, work: asked.append(clock[0]))
        for clock[0] in (1_000, 1_000, 2_999, 3_000, 3_001, 5_000):
            lane._loop.customer.check_tag()
        assert asked == [1_000, 3_000, 5_000]
        monkeypatch.undo()


def test_the_amount_is_shown_where_it_belongs(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        lane._runtime.close()
        sums = [(one.view, one.amount_kopecks) for one in ui.shown]
        assert sums == [(m.View.WAIT, None), (m.View.PAY, 25_300), (m.View.PAID, 25_300)]


def test_a_screen_that_fails_is_reported_to_the_observer(tmp_path: Path) -> None:
    reported: list[object] = []

    class Unplugged(OwnUI):
        def show(self, screen: ScreenState) -> None:
            if screen.view is m.View.PAID:
                raise DeviceGone("unplugged")
            super().show(screen)

    def observe(event: LaneEvent) -> None:
        if isinstance(event, ScreenFailed):
            reported.append((event.attempt, event.detail))

    with bench(tmp_path, "pays after=2", ui=Unplugged(), observer=observe) as (lane, _):
        result = lane.pay(ORDER)
        lane._runtime.close()
        assert reported == [(result.key, "unplugged")]


def test_a_lane_that_is_closed_closes_its_acquirer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        monkeypatch.setattr(lane._loop.acquirer, "close", lambda: closed.append("acquirer"))
    assert closed == ["acquirer"]


def test_a_lane_is_closed_when_its_watch_has_ended(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        looks: list[bool] = []

        def look() -> None:
            looks.append(True)
            time.sleep(0.5)

        lane.run_pending = look  # type: ignore[method-assign]
        lane.start()
        while not looks:
            time.sleep(0.01)
    assert lane._watcher is not None
    assert not lane._watcher.is_alive()


@pytest.mark.parametrize("named", [True, False])
def test_the_timeline_says_when_the_payment_that_was_found_names_no_attempt(tmp_path: Path, named: bool) -> None:
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, NoteAdded) and event.text.startswith("acquirer:"):
            notes.append(event.text)

    with bench(tmp_path, "leaves + cut-after on=create", ui=OwnUI(), observer=observe) as (lane, paymaster):
        find = lane._loop.acquirer.find

        def finds(*about: object) -> m.Event:
            for payment in paymaster.bank.payments.values():
                if not named:
                    payment.invoice.pop("params", None)
            return find(*about)  # type: ignore[arg-type]

        lane._loop.acquirer.find = finds  # type: ignore[method-assign, assignment]
        lane.pay(ORDER)
        [payment_id] = paymaster.bank.payments
    assert notes
    unnamed = f"that is payment {payment_id}, which agrees in order and sum and names no attempt"
    assert [unnamed in note for note in notes] == [not named] * len(notes)


@pytest.mark.parametrize(
    ("ahead_s", "noted"),
    [
        ((5.0,), ["5 s behind"]),
        ((4.9, -4.9), []),
        ((7.0, 11.9), ["7 s behind"]),
        ((7.0, 12.0), ["7 s behind", "12 s behind"]),
        ((-5.0,), ["5 s ahead of"]),
    ],
)
@pytest.mark.bank("B4")
def test_a_wrong_clock_is_noted_from_5_s_on_and_when_it_moves_by_5_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: tuple[float, ...], noted: list[str]
) -> None:
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, NoteAdded) and "clock" in event.text:
            notes.append(event.text)

    measured = [*ahead_s]
    with bench(tmp_path, "pays after=30", ui=OwnUI(), observer=observe) as (lane, _):
        monkeypatch.setattr(
            type(lane._loop.acquirer),
            "clock_ahead_s",
            property(lambda _: measured.pop(0) if len(measured) > 1 else measured[0]),
        )
        lane.pay(ORDER)
    assert notes == [f"the lane's clock is {text} the acquirer's: set it" for text in noted]


def test_an_earlier_payment_of_the_order_is_not_taken_for_the_one_that_is_looked_for(tmp_path: Path) -> None:
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, NoteAdded):
            notes.append(event.text)

    ui = OwnUI(on_pay=lambda screen: lane.cancel())
    with bench(tmp_path, "leaves", ui=ui, observer=observe) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.UNPAID
        paymaster.use("leaves + key-refused + cut-after on=create")
        find = lane._loop.acquirer.find

        def finds(*about: object) -> m.Event:
            for payment in paymaster.bank.payments.values():
                payment.invoice.pop("params", None)
            return find(*about)  # type: ignore[arg-type]

        lane._loop.acquirer.find = finds  # type: ignore[method-assign, assignment]
        lane.pay(ORDER)
        earlier, later = paymaster.bank.payments
    assert any(f"that is payment {later}," in note for note in notes), notes
    assert not any("several payments" in note for note in notes), (earlier, notes)


def test_polls_without_a_status_are_counted_also_when_overtaken_and_after_a_retry(tmp_path: Path) -> None:
    state, _ = m.begin(m.Plan("k1", "42", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000))
    waiting = replace(state, phase=m.Phase.WAITING, seq=3, last_status_at_ms=1_000)
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        loop = lane._loop
        silent = m.StatusUnavailable(9_000, 3, "no answer")
        loop._count_unanswered(waiting, silent, waiting)
        loop._count_unanswered(waiting, silent, waiting)
        assert not loop._checking("k1"), "one poll, not two"
        loop._count_unanswered(waiting, m.Tick(9_000), replace(waiting, seq=4, earlier_seq=2))
        assert loop._checking("k1"), "the one that was overtaken"
        answered = m.PaymentStatusReceived(9_100, 3, "7", m.PaymentStatus.OPEN, "word", 25_300, "RUB")
        loop._count_unanswered(waiting, answered, replace(waiting, last_status_at_ms=9_100))
        assert not loop._checking("k1")
        asking = replace(waiting, phase=m.Phase.ASKING)
        loop._count_unanswered(waiting, m.Retry(9_200), waiting)
        assert not loop._checking("k1"), "a button that changed nothing"
        loop._count_unanswered(asking, m.Retry(9_200), waiting)
        assert loop._checking("k1"), "until a status comes, the customer reads that the payment is checked"


def test_an_outcome_leaves_the_screen_unless_something_else_is_there_by_then(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "pays", ui=ui) as (lane, _):
        earlier, later = (lane.pay(Order(number, 100)).key for number in ("1", "2"))
        lane.show_idle(earlier)
        lane._runtime.drain()  # type: ignore[attr-defined]
        assert (ui.shown[-1].view, ui.shown[-1].attempt) == (m.View.PAID, later)
        lane.show_idle(later)
        lane._runtime.drain()  # type: ignore[attr-defined]
        assert ui.shown[-1].idle


def test_until_when_the_customer_can_pay_is_shown_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    """In ms, to the whole second: whoever draws it counts down to it."""
    ui = OwnUI(on_pay=lambda _: threading.Thread(target=lane.cancel).start())
    begun = time.time()
    with bench(tmp_path, ui=ui) as (lane, _):
        lane.pay(Order("42", 25_300))
    shown = [state.expires_at_ms for state in ui.shown if state.view is m.View.PAY]
    assert shown
    for until in shown:
        assert until is not None
        assert until % 1_000 == 0
        assert begun - 2 < until / 1_000 < begun + 24 * 3_600
