"""What a till in another process needs of the lane: an attempt's key from its own id, and an outcome to be refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from sco_drivers.printer import PaperOut
from sco_payment.attempt import Outcome, Phase, View
from sco_payment.cli.story import story
from sco_payment.events import CaseOpened, LaneEvent
from sco_payment.journal import Journal, JournalBusy, JournalUnwritable, codec
from sco_payment.lane import Lane
from sco_payment.order import NotAcceptable, Order, PaymentRefused, Refusal, UnknownAttempt
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

KEY = "0123456789abcdef" * 2


def refusal(lane: Lane, order: Order, key: str | None = None) -> Refusal:
    with pytest.raises(PaymentRefused) as caught:
        lane.pay(order, key=key)
    return caught.value.refusal


def test_a_payment_has_the_till_s_id_and_key_and_begins_once(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, paymaster):
        begun: list[tuple[int, int]] = []

        def on_disk() -> None:
            begun.append((lane.journal.count(), paymaster.bank.creates))

        result = lane.pay(Order("A-1", 100), key=KEY, till_id="till 7/1", begun=on_disk)
        assert begun == [(1, 0)], "called once, when the first step is on disk and nothing was sent"
        assert (result.key, result.outcome) == (KEY, Outcome.PAID)
        state = lane.journal.attempt(KEY)
        assert state is not None
        assert state.plan.till_id == "till 7/1"
        rows = lane.journal.count()
        assert refusal(lane, Order("A-2", 100), KEY) is Refusal.KNOWN
        assert (lane.journal.count(), paymaster.bank.creates) == (rows, 1)


def test_a_record_without_a_till_s_id_is_written_as_before(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, _):
        lane.pay(Order("A-1", 100))
        [state] = lane.journal.attempts()
        data = codec.encode_state(state)
        assert "till_id" not in data["plan"]
        assert codec.decode_state(codec.RECORD_VERSION, data) == state


def test_a_refusal_says_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acting: list[Callable[[object], None]] = []
    ui = OwnUI(on_pay=lambda state: [act(state) for act in acting] and None)
    with bench(tmp_path, "pays", ui=ui) as (lane, paymaster):
        assert refusal(lane, Order("A-1", 0)) is Refusal.ORDER
        assert refusal(lane, Order("A-1", 300, tendered_by_sbp=100)) is Refusal.ORDER
        lane.pay(Order("A-1", 300, leg_kopecks=100))
        assert refusal(lane, Order("A-1", 300)) is Refusal.PAID
        lane.pay(Order("A-1", 300, tendered_by_sbp=100))
        assert refusal(lane, Order("A-1", 300)) is Refusal.PAID
        busy: list[Refusal] = []
        lane.pay(Order("A-2", 100), deliver=lambda result: busy.append(refusal(lane, Order("A-3", 100))))
        assert busy == [Refusal.BUSY]
        paymaster.use("leaves")

        def lose_the_network(state: object) -> None:
            paymaster.go_offline()
            lane.cancel()

        acting.append(lose_the_network)
        unknown = lane.pay(Order("A-4", 100))
        assert unknown.outcome is Outcome.UNKNOWN
        assert refusal(lane, Order("A-4", 100)) is Refusal.OPEN
        paymaster.go_online()
        paymaster.bank.force_settle(str(unknown.payment_id))
        assert [one.phase for one in lane.recover(follow=True)] == [Phase.PAID_LATE]
        assert refusal(lane, Order("A-4", 100)) is Refusal.PAID
        monkeypatch.setattr(lane.journal, "archived_payment", lambda order_no: "paid long ago")
        assert refusal(lane, Order("A-5", 100)) is Refusal.PAID


def test_an_outcome_that_the_till_refuses_is_a_case_at_once(tmp_path: Path) -> None:
    seen: list[LaneEvent] = []
    ui = OwnUI()
    with bench(tmp_path, "pays", ui=ui, observer=seen.append) as (lane, _):
        key = lane.pay(Order("A-1", 100), acknowledge_later=True).key
        lane.refuse_outcome(key, "the till's disk is full")
        lane.refuse_outcome(key, "again")
        [case] = lane.journal.cases()
        assert (case.reason, case.attempt) == ("goods_uncertain", key)
        notes = [record.body["text"] for record in lane.journal.timeline(key) if record.kind == "note"]
        assert "the till did not accept the outcome: the till's disk is full" in notes
        assert sum(isinstance(event, CaseOpened) for event in seen) == 1
        until = time.monotonic() + 5
        while ui.shown[-1].view is not View.ATTENDANT and time.monotonic() < until:
            time.sleep(0.01)
        assert (ui.shown[-1].view, ui.shown[-1].case) == (View.ATTENDANT, case.number)
        assert lane.journal.verify() == []


def test_a_sale_that_the_till_voids_after_it_took_the_outcome_is_one_case(tmp_path: Path) -> None:
    """Its goods are kept, and the customer's money is there."""
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, _):
        key = lane.pay(Order("A-1", 100), acknowledge_later=True).key
        lane.acknowledge(key)
        lane.refuse_outcome(key, "too late to be a surprise", unless_taken=True)
        assert lane.journal.cases() == []
        for _ in range(2):
            lane.refuse_outcome(key, "the receipt is annulled")
        [case] = lane.journal.cases()
        assert (case.reason, case.attempt) == ("goods_uncertain", key)
        timeline = lane.journal.timeline(key)
        assert [record.kind for record in timeline].count("case_opened") == 1
        told = [text for _, text in story(timeline, "en")]
        assert "the till did not accept the outcome: the receipt is annulled" in told
        assert any(text.startswith("The till did not accept the payment") for text in told)
        assert "The lane started again" not in told
        lane.journal.close_case(case.number, operator="A", resolution="refunded", at_ms=1)
        lane.refuse_outcome(key, "sent again")
        assert lane.journal.cases() == [], "an operator has decided"
        assert lane.journal.verify() == []


def test_only_a_paid_outcome_can_be_refused(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, paymaster):
        with pytest.raises(UnknownAttempt):
            lane.refuse_outcome("none", "x")
        paymaster.use("declines")
        unpaid = lane.pay(Order("A-2", 100), acknowledge_later=True)
        assert unpaid.outcome is Outcome.UNPAID
        with pytest.raises(NotAcceptable, match="not paid"):
            lane.refuse_outcome(unpaid.key, "x")
        assert lane.journal.cases() == []


def test_cancelling_one_attempt_concerns_no_other(tmp_path: Path) -> None:
    def act(state: object) -> None:
        lane.cancel_attempt("another")
        lane.cancel_attempt(KEY)

    with bench(tmp_path, "leaves", ui=OwnUI(on_pay=act)) as (lane, paymaster):
        result = lane.pay(Order("A-1", 100), key=KEY)
        assert (result.outcome, paymaster.bank.cancels) == (Outcome.UNPAID, 1)
    (tmp_path / "other").mkdir()
    with bench(tmp_path / "other", "pays", ui=OwnUI(on_pay=lambda state: lane.cancel_attempt(KEY))) as (
        lane,
        paymaster,
    ):
        assert lane.pay(Order("B-1", 100), key="f" * 32).outcome is Outcome.PAID
        assert paymaster.bank.cancels == 0


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_busy_journal_names_the_service_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(path, lane_id="lane-1", acquirer="a") as journal:
        with pytest.raises(JournalBusy) as caught:
            Journal(path, lane_id="lane-1", acquirer="a")
        assert caught.value.service == ""
        journal.announce("http://127.0.0.1:8723")
        with pytest.raises(JournalBusy, match=r"the lane's service at http://127.0.0.1:8723 has it open") as caught:
            Journal(path, lane_id="lane-1", acquirer="a")
        assert caught.value.service == "http://127.0.0.1:8723"


def test_what_the_service_reads_of_a_journal(tmp_path: Path) -> None:
    commits: list[int] = []
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, _):
        journal = lane.journal
        journal.on_commit = lambda: commits.append(journal.count())
        first = lane.pay(Order("A-1", 100), acknowledge_later=True).key
        assert commits == sorted(commits)
        assert commits[-1] == journal.count(), "called after each commit, when it can be read"
        second = lane.pay(Order("A-2", 100), acknowledge_later=True).key
        lane.refuse_outcome(second, "no")
        everything = journal.records()
        for key in (first, second):
            own = [record for record in everything if record.attempt == key]
            assert journal.records(attempt=key) == own
            assert journal.records(attempt=key, after=own[1].seq, limit=2) == own[2:4]
            assert journal.last_row(key) == own[-1].seq
            assert journal.phase_before(key, own[0].seq) is None
            steps = [record for record in own if record.kind in ("attempt_started", "attempt_step")]
            for before, after in pairwise(steps):
                assert journal.phase_before(key, after.seq) == before.body["state"]["phase"]
        opened = next(record.seq for record in everything if record.kind == "case_opened")
        assert journal.case_number(second) == 1
        assert journal.case_number(second, until=opened - 1) is None
        assert journal.case_number(first) is None
        assert (journal.last_row("none"), journal.has_archived("none")) == (0, False)


def test_a_commit_that_fails_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[None] = []
    with Journal(tmp_path / "journal.db", lane_id="lane-1", acquirer="a") as journal:
        journal.on_commit = lambda: woken.append(None)

        def full(*_: object) -> None:
            raise JournalUnwritable("full")

        monkeypatch.setattr(journal, "_append", full)
        with pytest.raises(JournalUnwritable):
            journal.note("k", "x", at_ms=1)
        assert woken == []


def test_health_names_each_device_and_what_was_found(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI(), devices={"printer": "sim://"}, display={"mode": 0}) as (lane, _):
        before = lane.health()
        assert [(one.kind, one.state) for one in before.devices] == [("printer", "not_opened")]
        assert (before.last_contact_ms, before.recording, before.tag) == (None, True, None)
        result = lane.pay(Order("A-1", 100))
        after = lane.health()
        assert [(one.kind, one.state, one.problem) for one in after.devices] == [("printer", "ok", None)]
        assert after.last_contact_ms is not None
        assert result.phase is Phase.PAID
        lane.printer_lost(PaperOut("no paper"))
        [found] = lane.health().devices
        assert (found.state, found.problem) == ("fault", "no paper")
