"""A till in another process takes the outcome with `Lane.acknowledge`; until then a restart opens a case."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sco_payment.assemble import open_lane
from sco_payment.attempt import Outcome, Phase, State
from sco_payment.customer.ui import ScreenState
from sco_payment.events import LaneEvent, OutcomeReached, OutcomeTaken
from sco_payment.journal import JournalError, JournalUnwritable
from sco_payment.lane import Lane
from sco_payment.order import LaneError, Order, Result, UnknownAttempt
from sco_payment.paymaster.token import Token
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25300)


def restarted(lane: Lane, paymaster: PayMasterSimulator, ui: OwnUI | None = None) -> Lane:
    """The lane after its process has ended and started again on the same journal."""
    lane.journal.close()
    ui = OwnUI() if ui is None else ui
    return open_lane(lane.settings, ui=ui, runtime=lane._runtime, token=Token(paymaster.token))


def cases(lane: Lane) -> list[str]:
    return [case.reason for case in lane.journal.cases()]


def test_a_restart_before_the_acknowledgement_opens_a_case(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER, acknowledge_later=True)
        assert (result.outcome, result.case, cases(lane)) == (Outcome.PAID, None, [])
        lane.run_pending()
        assert lane.recover() == []  # only a restart opens the case: the till may still be at work
        assert cases(lane) == []
        ui = OwnUI()
        with restarted(lane, paymaster, ui) as again:
            (found,) = again.recover()
            assert (found.key, found.phase, found.case) == (result.key, Phase.PAID, 1)
            assert cases(again) == ["goods_uncertain"]
        assert ui.headlines == ["Позовите сотрудника магазина"]  # the status is known: nothing to wait for


def test_an_acknowledged_outcome_needs_nothing_after_a_restart(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER, acknowledge_later=True)
        lane.acknowledge(result.key)
        (attempt,) = lane.journal.attempts()
        assert attempt.delivered
        with restarted(lane, paymaster) as again:
            assert (again.recover(), cases(again)) == ([], [])


def test_acknowledging_again_changes_nothing(tmp_path: Path) -> None:
    seen: list[LaneEvent] = []
    with bench(tmp_path, "pays after=2", ui=OwnUI(), observer=seen.append) as (lane, _):
        result = lane.pay(ORDER, acknowledge_later=True)
        assert not [event for event in seen if isinstance(event, OutcomeTaken)]
        lane.acknowledge(result.key)
        rows = lane.journal.count()
        lane.acknowledge(result.key)
        assert lane.journal.count() == rows
        taken = [event.attempt for event in seen if isinstance(event, OutcomeTaken)]
        assert taken == [result.key]
        assert lane.journal.verify() == []


def test_what_deliver_takes_needs_no_acknowledgement(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, _):
        delivered: list[Result] = []
        result = lane.pay(ORDER, deliver=delivered.append)
        rows = lane.journal.count()
        lane.acknowledge(result.key)
        assert (delivered, lane.journal.count()) == ([result], rows)


def test_deliver_may_acknowledge_itself(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, _):
        result = lane.pay(ORDER, deliver=lambda result: lane.acknowledge(result.key))
        taken = [row for row in lane.journal.timeline(result.key) if row.body.get("state", {}).get("outcome_taken")]
        assert len(taken) == 1


def test_deliver_that_only_passes_the_outcome_on_leaves_it_to_be_acknowledged(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        sent: list[Result] = []
        lane.pay(ORDER, deliver=sent.append, acknowledge_later=True)
        assert len(sent) == 1
        with restarted(lane, paymaster) as again:
            again.recover()
            assert cases(again) == ["goods_uncertain"]


def test_deliver_that_fails_opens_the_case_at_once(tmp_path: Path) -> None:
    def fails(result: Result) -> None:
        raise RuntimeError("the till's own software")

    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, _):
        with pytest.raises(RuntimeError):
            lane.pay(ORDER, deliver=fails, acknowledge_later=True)
        assert cases(lane) == ["goods_uncertain"]


def test_a_case_stays_open_for_the_operator_when_the_acknowledgement_comes_after_the_restart(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        key = lane.pay(ORDER, acknowledge_later=True).key
        with restarted(lane, paymaster) as again:
            again.recover()
            again.acknowledge(key)
            assert cases(again) == ["goods_uncertain"]
            assert again.journal.verify() == []


def test_the_lane_dies_while_it_writes_the_acknowledgement(tmp_path: Path) -> None:
    """The till has not got an answer: the outcome counts as not taken, and an operator looks at the goods."""
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER, acknowledge_later=True)
        lane.journal._db.execute("PRAGMA query_only=1")
        with pytest.raises(JournalError):
            lane.acknowledge(result.key)
        with restarted(lane, paymaster) as again:
            again.recover()
            assert cases(again) == ["goods_uncertain"]


def test_an_acknowledgement_that_could_not_be_written_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*step: object, at_ms: int) -> int | None:
        raise JournalUnwritable("no space left on device")

    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER, acknowledge_later=True)
        with monkeypatch.context() as patched:
            patched.setattr(lane.journal, "record", full)
            with pytest.raises(JournalUnwritable):
                lane.acknowledge(result.key)
        lane.run_pending()
        assert cases(lane) == []
        lane.acknowledge(result.key)
        with restarted(lane, paymaster) as again:
            assert (again.recover(), cases(again)) == ([], [])


def test_an_acknowledgement_while_open_attempts_are_read_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane whose disk was full at its start reads them again while its till is at work."""
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        key = lane.pay(ORDER, acknowledge_later=True).key
        with restarted(lane, paymaster) as again:
            read = again.journal.attempts

            def attempts(*, open_only: bool = False) -> list[State]:
                found = read(open_only=open_only)
                again.acknowledge(key)
                return found

            monkeypatch.setattr(again.journal, "attempts", attempts)
            again.recover()
            assert cases(again) == []
            assert again.journal.verify() == []


def test_an_unknown_outcome_can_be_acknowledged_while_it_is_watched(tmp_path: Path) -> None:
    ui = OwnUI(on_pay=lambda state: paymaster.go_offline())
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER, acknowledge_later=True)
        assert (result.outcome, result.phase) == (Outcome.UNKNOWN, Phase.WATCHING)
        lane.acknowledge(result.key)
        assert [state.delivered for state in lane.journal.attempts()] == [True]
        assert lane._loop.attempts[result.key].delivered
        paymaster.go_online()
        assert [one.key for one in lane.recover(follow=True)] == [result.key]
        assert [state.delivered for state in lane.journal.attempts()] == [True]


def test_what_cannot_be_acknowledged_is_refused(tmp_path: Path) -> None:
    refused: list[LaneError] = []

    def too_early(state: ScreenState) -> None:
        if not refused:
            with pytest.raises(UnknownAttempt, match="has no outcome yet") as error:
                lane.acknowledge(state.attempt)
            refused.append(error.value)

    with bench(tmp_path, "pays after=2", ui=OwnUI(on_pay=too_early)) as (lane, _):
        with pytest.raises(UnknownAttempt, match="no attempt 'never' is in this lane's journal"):
            lane.acknowledge("never")
        assert lane.journal.count() == 0
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert refused


def test_the_payment_before_is_acknowledged_while_the_next_one_is_under_way(tmp_path: Path) -> None:
    ui, waiting = OwnUI(), threading.Event()
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, paymaster):
        first = lane.pay(ORDER, acknowledge_later=True)
        ui._on_pay = lambda state: waiting.set()
        paymaster.use("leaves")
        second: list[Result] = []
        paying = threading.Thread(target=lambda: second.append(lane.pay(Order("43", 100))))
        paying.start()
        assert waiting.wait(30)
        lane.acknowledge(first.key)
        assert not second  # it did not wait for the customer
        attempt = lane.journal.attempt(first.key)
        assert attempt is not None
        assert attempt.delivered
        lane.cancel()
        paying.join(30)
        assert [result.outcome for result in second] == [Outcome.UNPAID]
        assert lane.journal.verify() == []


def test_an_outcome_is_reported_before_it_is_taken(tmp_path: Path) -> None:
    seen: list[LaneEvent] = []
    with bench(tmp_path, "pays after=2", ui=OwnUI(), observer=seen.append) as (lane, _):
        taken: list[int] = []
        lane.pay(ORDER, deliver=lambda result: taken.append(len(seen)))
        ends = [at for at, event in enumerate(seen) if isinstance(event, OutcomeReached | OutcomeTaken)]
        assert len(ends) == 2
        assert ends[0] < taken[0] <= ends[1]
