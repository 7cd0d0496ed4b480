"""The machine step by step, with real time-outs: what the explorer, whose clock has whole ticks, cannot see."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from sco_payment import attempt as m
from tests.payment.test_link import with_crc

P, S = m.Phase, m.PaymentStatus
BEGIN, END = 1_000_000, 1_300_000
OVER = END + 600_000
DAYS = 7 * 24 * 3_600_000
T = m.Timing()
SUM = 253
LINK = with_crc(f"https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum={SUM}&cur=RUB")
PLATE = with_crc("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001")
ID = "p-1"


def plan(**changes: Any) -> m.Plan:
    return replace(m.Plan("k1", "A-1", SUM, "RUB", m.Mode.SCREEN, BEGIN, END), **changes)


def test_the_total_is_what_all_legs_add_up_to() -> None:
    assert plan().total_kopecks == SUM
    assert plan(tendered_elsewhere=10, tendered_by_sbp=200, remaining=3_000).total_kopecks == SUM + 3_210


def state(phase: m.Phase, **changes: Any) -> m.State:
    """An attempt whose request number 7 is under way; the acquirer knows it where the phase implies that."""
    early = phase in (P.CREATING, P.FINDING)
    known = {"may_exist": not early, "payment_id": None if early else ID, "link": None if early else LINK}
    shown = phase in (P.WAITING, P.ASKING)
    base = m.State(
        plan(),
        phase,
        seq=7,
        busy=True,
        presented=shown,
        next_at_ms=BEGIN,
        until_ms=END,
        last_status_at_ms=BEGIN,
        **known,
    )
    return replace(base, **changes)


def idle(phase: m.Phase, **changes: Any) -> m.State:
    return state(phase, busy=False, **changes)


def created(at: int = BEGIN + 500, **changes: Any) -> m.Created:
    return replace(m.Created(at, 7, ID, S.OPEN, SUM, "RUB", LINK), **changes)


def answer(status: m.PaymentStatus, at: int = BEGIN + 9_000, **changes: Any) -> m.PaymentStatusReceived:
    return replace(m.PaymentStatusReceived(at, 7, ID, status, "word", SUM, "RUB"), **changes)


def silent(at: int = BEGIN + 9_000, wait_ms: int = 0) -> m.StatusUnavailable:
    return m.StatusUnavailable(at, 7, "no network", wait_ms)


def ends(view: m.View, outcome: m.Outcome, reason: m.EndReason) -> tuple[m.Effect, ...]:
    return m.Withdraw(), m.Show(view), m.Finish(outcome, reason)


def cancels(seq: int = 8) -> tuple[m.Effect, ...]:
    return m.Withdraw(), m.Show(m.View.WAIT), m.SendCancel(seq, ID)


# --- the schedule, as the requirement and the settings' reference state it --------------------------------------------


@pytest.mark.requirement("R11", "R13")
def test_the_default_schedule_is_that_of_the_requirement() -> None:
    assert m.Timing() == m.Timing(
        3_000, 90_000, 20_000, 2_000, 40_000, 15_000, 30_000, 600_000, 7 * 24 * 3_600_000, False, True
    )  # fmt: skip
    assert plan().tendered_elsewhere == 0
    assert not m.NoteCase("the acquirer has closed the payment unpaid").reopens


def test_foreground_phases_are_all_but_the_background_and_the_final_ones() -> None:
    assert {P.PAID, P.UNPAID, P.PAID_LATE, P.UNSETTLED} == m.FINAL
    assert {P.WATCHING, P.CLOSED, P.OVERDUE, P.REFUNDABLE} == m.BACKGROUND
    assert {
        P.CREATING, P.FINDING, P.PRESENTING, P.WAITING, P.ASKING, P.CANCELLING, P.CONFIRMING,
    } == m.FOREGROUND  # fmt: skip


def test_the_defaults_of_a_new_state() -> None:
    assert m.State(plan()) == m.State(
        plan(), P.CREATING, None, None, m.EndReason.NONE, m.Cancel.NOT_ASKED, None, None,
        delivered=False, may_exist=False, presented=False, asked=False,
        seq=0, busy=False, next_at_ms=0, until_ms=0, put_off_ms=0, resumed_at_ms=0, last_status_at_ms=0,
    )  # fmt: skip
    assert m.CreateFailed(1, 2, "", may_exist=True, final=True).wait_ms == 0
    assert m.StatusUnavailable(1, 2, "").wait_ms == 0
    assert m.CancelAnswered(1, 2, m.Cancel.REFUSED).wait_ms == 0


# --- creating -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5", "R6")
def test_an_attempt_begins_with_the_wait_screen_and_a_create() -> None:
    begun, effects = m.begin(plan())
    assert effects == (m.Show(m.View.WAIT), m.SendCreate(1))
    assert begun == m.State(plan(), seq=1, busy=True, until_ms=BEGIN + 20_000, last_status_at_ms=BEGIN)
    assert (begun.outcome, begun.case, begun.delivered, begun.may_exist, begun.presented, begun.asked) == (
        None, None, False, False, False, False,
    )  # fmt: skip
    short, _ = m.begin(plan(expires_at_ms=BEGIN + 5_000))
    assert short.until_ms == BEGIN + 5_000


@pytest.mark.parametrize(("link", "verified"), [(LINK, True), ("https://pay.example/i/1", False)])
@pytest.mark.requirement("R6")
def test_a_good_link_is_presented(link: str, verified: bool) -> None:
    after, effects = m.step(state(P.CREATING), created(link=link))
    assert effects == (m.Present(link, verified),)
    assert after == idle(
        P.PRESENTING, payment_id=ID, link=link, may_exist=True, until_ms=BEGIN + 40_500, last_status_at_ms=BEGIN + 500
    )


@pytest.mark.parametrize(
    "event",
    [
        created(link=LINK.replace("sum=253", "sum=254")),
        created(kopecks=254),
        created(currency="USD"),
        created(link="http://pay.example"),
    ],
    ids=["altered", "sum", "currency", "no https"],
)
@pytest.mark.requirement("R6")
def test_a_bad_link_is_cancelled_unseen(event: m.Created) -> None:
    after, effects = m.step(state(P.CREATING), event)
    assert effects == cancels()
    assert (after.phase, after.reason, after.cancel, after.seq, after.busy) == (
        P.CANCELLING, m.EndReason.LINK_REFUSED, m.Cancel.ASKED, 8, True,
    )  # fmt: skip


@pytest.mark.bank("B12")
@pytest.mark.requirement("R20")
def test_on_a_plate_only_its_own_link_will_do() -> None:
    before = state(P.CREATING, plan=plan(mode=m.Mode.PLATE, sticker_id="s", plate_link=PLATE))
    assert m.step(before, created(link=PLATE))[0].phase is P.PRESENTING
    assert m.step(before, created(link=LINK))[0].reason is m.EndReason.LINK_REFUSED
    with_sum = with_crc(PLATE.partition("&crc=")[0] + f"&sum={before.plan.kopecks}&cur=RUB")
    assert m.step(before, created(link=with_sum))[0].phase is P.PRESENTING
    other_sum = with_crc(PLATE.partition("&crc=")[0] + f"&sum={before.plan.kopecks + 1}&cur=RUB")
    assert m.step(before, created(link=other_sum))[0].reason is m.EndReason.LINK_REFUSED


@pytest.mark.parametrize(("late", "phase"), [(-1, P.PRESENTING), (0, P.CANCELLING), (1, P.CANCELLING)])
def test_a_create_answered_at_the_invoices_end_is_not_presented(late: int, phase: m.Phase) -> None:
    after, _ = m.step(state(P.CREATING), created(at=END + late))
    assert after.phase is phase
    assert phase is P.PRESENTING or after.reason is m.EndReason.NOT_PRESENTED


@pytest.mark.bank("B2")
def test_a_create_that_is_answered_with_a_final_status_ends_the_attempt() -> None:
    """Nobody can have paid a link that was never shown; a plate can be paid as soon as it is armed."""
    after, effects = m.step(state(P.CREATING), created(status=S.PAID))
    assert (after.phase, after.case) == (P.UNSETTLED, m.CaseReason.PAID_UNSHOWN)
    assert effects[1:] == ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, m.EndReason.NONE)
    armed = state(P.CREATING, plan=plan(mode=m.Mode.PLATE, sticker_id="s", plate_link=PLATE))
    after, effects = m.step(armed, created(status=S.PAID, link=PLATE))
    assert (after.phase, effects) == (P.PAID, ends(m.View.PAID, m.Outcome.PAID, m.EndReason.NONE))
    after, effects = m.step(state(P.CREATING), created(status=S.CLOSED))
    assert (after.phase, effects) == (P.UNPAID, ends(m.View.UNPAID, m.Outcome.UNPAID, m.EndReason.DECLINED))
    for wrong in ({"kopecks": 254}, {"currency": "USD"}):
        after, effects = m.step(state(P.CREATING), created(status=S.PAID, **wrong))
        assert (after.phase, after.case) == (P.UNSETTLED, m.CaseReason.AMOUNT_MISMATCH)
        assert effects[0] == m.OpenCase(
            m.CaseReason.AMOUNT_MISMATCH,
            f"the acquirer took 2,5{wrong.get('kopecks', 253) % 10}\u00a0{wrong.get('currency', '₽')}, "
            "the attempt is for 2,53\u00a0₽",
        )
        assert effects[1:] == ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, m.EndReason.NONE)


@pytest.mark.parametrize("phase", [P.FINDING, P.WAITING, P.ASKING, P.CONFIRMING])
@pytest.mark.bank("B18")
def test_a_refund_is_a_case_and_never_silently_not_paid(phase: m.Phase) -> None:
    refunded = "the acquirer took 2,53\u00a0₽ and has refunded the customer"
    after, effects = m.step(state(phase, cancel=m.Cancel.REFUSED), answer(S.REFUNDED))
    assert (after.phase, after.case) == (P.UNSETTLED, m.CaseReason.REFUNDED)
    assert effects == (
        m.OpenCase(m.CaseReason.REFUNDED, refunded), *ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, m.EndReason.NONE),
    )  # fmt: skip
    assert m.step(state(P.CREATING), created(status=S.REFUNDED))[0].case is m.CaseReason.REFUNDED


@pytest.mark.bank("B18")
def test_a_refund_found_while_watching_is_a_case_or_added_to_the_one_that_is_open() -> None:
    refunded = "the acquirer took 2,53\u00a0₽ and has refunded the customer"
    after, effects = m.step(watched(), answer(S.REFUNDED))
    assert (after.phase, after.case) == (P.UNSETTLED, m.CaseReason.REFUNDED)
    assert effects == (m.OpenCase(m.CaseReason.REFUNDED, refunded),)
    after, effects = m.step(watched(case=m.CaseReason.CANCEL_UNANSWERED), answer(S.REFUNDED))
    assert (after.phase, after.case) == (P.UNSETTLED, m.CaseReason.REFUNDED)
    assert effects == (m.NoteCase(refunded, reopens=True),)


@pytest.mark.parametrize(("wait_ms", "next_at_ms"), [(0, 2_500), (2_001, 2_501), (60_000, 60_500)])
@pytest.mark.parametrize("may_exist", [False, True])
def test_a_create_that_failed_is_tried_again_when_the_acquirer_allows_it(
    wait_ms: int, next_at_ms: int, may_exist: bool
) -> None:
    event = m.CreateFailed(BEGIN + 500, 7, "busy", may_exist, final=False, wait_ms=wait_ms)
    after, effects = m.step(state(P.CREATING), event)
    assert (after, effects) == (idle(P.CREATING, may_exist=may_exist, next_at_ms=BEGIN + next_at_ms), ())


def test_a_payment_that_may_exist_may_exist_until_the_acquirer_denies_it() -> None:
    event = m.CreateFailed(BEGIN, 7, "refused", may_exist=False, final=True)
    after, _ = m.step(state(P.CREATING, may_exist=True), event)
    assert (after.phase, after.reason, after.may_exist) == (P.FINDING, m.EndReason.NOT_CREATED, True)


def test_a_refused_create_is_not_presented() -> None:
    event = m.CreateFailed(BEGIN, 7, "refused", may_exist=False, final=True)
    after, effects = m.step(state(P.CREATING), event)
    assert (after.phase, after.outcome) == (P.UNPAID, m.Outcome.NOT_PRESENTED)
    assert effects == ends(m.View.UNPAID, m.Outcome.NOT_PRESENTED, m.EndReason.NOT_CREATED)


@pytest.mark.bank("B6")
def test_a_payment_whose_create_cannot_be_repeated_is_looked_for() -> None:
    event = m.CreateFailed(BEGIN + 500, 7, "key violation", may_exist=True, final=True)
    after, effects = m.step(state(P.CREATING), event)
    assert effects == (m.SendFind(8),)
    assert after == state(
        P.FINDING,
        reason=m.EndReason.NOT_CREATED,
        may_exist=True,
        seq=8,
        until_ms=BEGIN + 15_500,
        next_at_ms=BEGIN + 3_500,
    )
    after, _ = m.step(state(P.CREATING, reason=m.EndReason.CUSTOMER), event)
    assert after.reason is m.EndReason.CUSTOMER


@pytest.mark.parametrize("may_exist", [False, True])
def test_the_create_window_ends(may_exist: bool) -> None:
    before = idle(P.CREATING, may_exist=may_exist, until_ms=BEGIN + 20_000, next_at_ms=BEGIN + 19_999)
    again, effects = m.step(before, m.Tick(BEGIN + 19_999))
    assert (again.phase, effects) == (P.CREATING, (m.SendCreate(8),))
    assert m.step(before, m.Tick(BEGIN + 19_998)) == (before, ())
    after, effects = m.step(before, m.Tick(BEGIN + 20_000))
    assert after.reason is m.EndReason.NOT_CREATED
    if may_exist:
        assert (after.phase, effects) == (P.FINDING, (m.SendFind(8),))
    else:
        assert effects == ends(m.View.UNPAID, m.Outcome.NOT_PRESENTED, m.EndReason.NOT_CREATED)
    after, _ = m.step(replace(before, reason=m.EndReason.CUSTOMER), m.Tick(BEGIN + 20_000))
    assert after.reason is m.EndReason.CUSTOMER


def test_the_customer_cancels_before_the_acquirer_has_answered() -> None:
    wanted = m.CancelWanted(BEGIN + 100)
    for before in (state(P.CREATING), idle(P.CREATING, may_exist=True)):
        after, effects = m.step(before, wanted)
        assert (after, effects) == (replace(before, reason=m.EndReason.CUSTOMER), ())
    after, effects = m.step(idle(P.CREATING), wanted)
    assert (after.phase, effects) == (P.UNPAID, ends(m.View.UNPAID, m.Outcome.UNPAID, m.EndReason.CUSTOMER))
    after, effects = m.step(state(P.CREATING, reason=m.EndReason.CUSTOMER), created())
    assert (after.phase, after.reason, effects) == (P.CANCELLING, m.EndReason.CUSTOMER, cancels())
    failed = m.CreateFailed(BEGIN, 7, "no network", may_exist=False, final=False)
    after, _ = m.step(state(P.CREATING, reason=m.EndReason.CUSTOMER), failed)
    assert (after.phase, after.reason) == (P.UNPAID, m.EndReason.CUSTOMER)
    after, _ = m.step(state(P.CREATING, reason=m.EndReason.CUSTOMER, may_exist=True), failed)
    assert after.phase is P.CREATING


# --- finding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [m.EndReason.NONE, m.EndReason.NOT_CREATED])
@pytest.mark.bank("B6")
def test_an_open_payment_that_was_found_is_presented(reason: m.EndReason) -> None:
    """A repeated key was refused, or the answer was lost, and the customer still waits."""
    after, effects = m.step(state(P.FINDING, reason=reason), answer(S.OPEN, link=LINK))
    assert effects == (m.Present(LINK, True),)
    assert after == idle(
        P.PRESENTING,
        payment_id=ID,
        link=LINK,
        may_exist=False,
        until_ms=BEGIN + 49_000,
        last_status_at_ms=BEGIN + 9_000,
    )


@pytest.mark.parametrize(
    ("before", "found", "reason"),
    [
        ({"reason": m.EndReason.RESTART}, answer(S.OPEN, link=LINK), m.EndReason.RESTART),
        ({"reason": m.EndReason.CUSTOMER}, answer(S.OPEN, link=LINK), m.EndReason.CUSTOMER),
        ({}, answer(S.OPEN, at=END, link=LINK), m.EndReason.NOT_PRESENTED),
        ({}, answer(S.OPEN, link=LINK, kopecks=254), m.EndReason.LINK_REFUSED),
        ({}, answer(S.OPEN, link=LINK.replace("sum=253", "sum=254")), m.EndReason.LINK_REFUSED),
        ({"plan": plan(mode=m.Mode.PLATE, plate_link=PLATE)}, answer(S.OPEN, link=LINK), m.EndReason.LINK_REFUSED),
    ],
    ids=["restart", "customer", "too late", "amount", "altered", "another plate"],
)
@pytest.mark.bank("B6")
def test_a_payment_that_was_found_is_cancelled_where_it_cannot_be_presented(
    before: dict[str, Any], found: m.PaymentStatusReceived, reason: m.EndReason
) -> None:
    after, effects = m.step(state(P.FINDING, **before), found)
    assert (after.phase, after.payment_id, after.reason, effects) == (P.CANCELLING, ID, reason, cancels())


@pytest.mark.bank("B8")
def test_a_link_that_has_not_come_yet_is_asked_for_in_the_create_window() -> None:
    begun = state(P.CREATING, until_ms=BEGIN + 20_000)
    after, effects = m.step(begun, created(link=None))
    assert effects == (m.SendPoll(8, ID),)
    assert (after.phase, after.until_ms, after.reason) == (P.FINDING, BEGIN + 20_000, m.EndReason.NONE)
    asked = replace(after, seq=7)
    waiting, effects = m.step(asked, answer(S.OPEN))
    assert (waiting.phase, waiting.next_at_ms, effects) == (P.FINDING, BEGIN + 9_000, ())
    assert m.step(waiting, m.Tick(BEGIN + 9_000))[1] == (m.SendPoll(8, ID),)
    assert m.step(asked, answer(S.OPEN, link=LINK))[1] == (m.Present(LINK, True),)
    after, effects = m.step(waiting, m.Tick(BEGIN + 20_000))
    assert (after.reason, effects) == (m.EndReason.LINK_REFUSED, cancels())
    after, effects = m.step(replace(waiting, reason=m.EndReason.NOT_CREATED), m.Tick(BEGIN + 20_000))
    assert (after.reason, effects) == (m.EndReason.NOT_CREATED, cancels())


@pytest.mark.bank("B8")
def test_a_link_is_asked_for_also_where_the_create_was_answered_late() -> None:
    begun = state(P.CREATING, until_ms=BEGIN + 20_000)
    after, _ = m.step(begun, created(BEGIN + 22_000, link=None))
    assert after.until_ms == BEGIN + 22_000 + begun.plan.timing.confirm_ms


@pytest.mark.parametrize(
    ("event", "plate", "why"),
    [
        (created(), None, ""),
        (created(link=None), None, ""),
        (created(kopecks=SUM + 100), None, "the payment is of 3,53\u00a0₽, the attempt of 2,53\u00a0₽"),
        (created(currency="USD"), None, "the payment is of 2,53\u00a0USD, the attempt of 2,53\u00a0₽"),
        (created(link="http://pay.example"), None, "not an https link"),
        (answer(S.OPEN, link="https://pay.example/1"), None, "display.link_hosts"),
        (answer(S.OPEN, link=LINK), PLATE, "not the plate's link"),
        (m.Tick(BEGIN), None, "no link in time"),
    ],
)
def test_a_refusal_says_why(event: m.Event, plate: str | None, why: str) -> None:
    before = state(P.FINDING, plan=plan(plate_link=plate, link_hosts=()))
    said = m.refusal(before, event)
    assert why in said
    assert bool(said) == bool(why)


def test_the_customer_cancels_while_the_payment_or_its_link_is_looked_for() -> None:
    wanted = m.CancelWanted(BEGIN + 100)
    looked_for = state(P.FINDING)
    assert m.step(looked_for, wanted) == (replace(looked_for, reason=m.EndReason.CUSTOMER), ())
    after, effects = m.step(state(P.FINDING, payment_id=ID), wanted)
    assert (after.phase, after.reason, effects) == (P.CANCELLING, m.EndReason.CUSTOMER, cancels())
    recovered = state(P.FINDING, payment_id=ID, reason=m.EndReason.RESTART)
    assert m.step(recovered, wanted) == (recovered, ())


@pytest.mark.parametrize("plate", [{}, {"mode": m.Mode.PLATE, "sticker_id": "s-1", "plate_link": LINK}])
@pytest.mark.parametrize("status", [S.OPEN, S.PAID, S.CLOSED])
@pytest.mark.bank("B1")
def test_a_payment_that_agrees_only_in_number_and_amount_changes_nothing(
    status: m.PaymentStatus, plate: dict[str, Any]
) -> None:
    """Each till of a shop numbers its receipts itself: it is not cancelled, and its money does not count here."""
    before = state(P.FINDING, reason=m.EndReason.NOT_CREATED, plan=plan(**plate))
    after, effects = m.step(before, answer(status, proved=False))
    assert (after, effects) == (replace(before, busy=False, next_at_ms=BEGIN + 9_000), ())


@pytest.mark.parametrize("phase", [P.FINDING, P.CONFIRMING])
@pytest.mark.bank("B2")
def test_paid_where_this_lane_showed_no_link_is_a_case(phase: m.Phase) -> None:
    """It cannot have been paid here: it may be another till's, under the same number. A plate can always be paid."""
    asked = state(phase, reason=m.EndReason.NOT_CREATED, payment_id=None if phase is P.FINDING else ID)
    after, effects = m.step(asked, answer(S.PAID))
    assert (after.phase, after.payment_id, after.case) == (P.UNSETTLED, ID, m.CaseReason.PAID_UNSHOWN)
    assert effects == (
        m.OpenCase(
            m.CaseReason.PAID_UNSHOWN,
            "payment p-1 is paid, but this lane never showed its link: find out whose it is",
        ),
        *ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, m.EndReason.NOT_CREATED),
    )
    on_plate = replace(asked, plan=plan(mode=m.Mode.PLATE, sticker_id="s-1", plate_link=LINK))
    assert m.step(on_plate, answer(S.PAID))[0].phase is P.PAID
    shown = replace(asked, presented=True)
    assert m.step(shown, answer(S.PAID))[0].phase is P.PAID


@pytest.mark.parametrize("phase", [P.FINDING, P.CONFIRMING, P.WATCHING])
@pytest.mark.bank("B17")
@pytest.mark.requirement("R11")
def test_the_pace_is_counted_from_request_to_request(phase: m.Phase) -> None:
    """A slow answer does not stretch it; only the acquirer may ask for more time."""
    pace = 30_000 if phase is P.WATCHING else 3_000
    asked, _ = m.step(idle(phase, next_at_ms=BEGIN + 6_000), m.Tick(BEGIN + 6_000))
    assert (asked.busy, asked.seq, asked.next_at_ms) == (True, 8, BEGIN + 6_000 + pace)
    for wait_ms, next_at_ms in [(0, 6_000 + pace), (pace - 3_000, 6_000 + pace), (pace - 2_999, 6_001 + pace)]:
        after, effects = m.step(asked, m.StatusUnavailable(BEGIN + 9_000, 8, "no network", wait_ms))
        put_off = 0 if phase is P.WATCHING else wait_ms
        assert (after, effects) == (
            replace(asked, busy=False, next_at_ms=BEGIN + next_at_ms, until_ms=END + put_off, put_off_ms=put_off),
            (),
        )


def test_an_empty_list_changes_nothing() -> None:
    after, effects = m.step(state(P.FINDING), m.PaymentNotListed(BEGIN + 9_000, 7))
    assert (after, effects) == (idle(P.FINDING, next_at_ms=BEGIN + 9_000), ())


def test_a_payment_that_is_never_found_becomes_a_case_and_is_watched() -> None:
    before = idle(P.FINDING, until_ms=BEGIN + 15_000, next_at_ms=BEGIN + 14_000, reason=m.EndReason.NOT_CREATED)
    assert m.step(before, m.Tick(BEGIN + 13_999)) == (before, ())
    assert m.step(before, m.Tick(BEGIN + 14_000))[1] == (m.SendFind(8),)
    after, effects = m.step(before, m.Tick(BEGIN + 15_000))
    assert isinstance(effects[0], m.OpenCase)
    assert effects[0].reason is m.CaseReason.CREATE_UNKNOWN
    assert effects[1:] == ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, m.EndReason.NOT_CREATED)
    assert after == replace(
        before,
        phase=P.WATCHING,
        case=m.CaseReason.CREATE_UNKNOWN,
        outcome=m.Outcome.UNKNOWN,
        until_ms=END + 600_000,
        next_at_ms=BEGIN + 45_000,
    )


# --- presenting and waiting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [m.Presented(BEGIN + 700, "printed"), m.Tick(BEGIN + 700)])
def test_polling_begins_with_the_presentation(event: m.Event) -> None:
    before = idle(P.PRESENTING, until_ms=BEGIN + 700)
    after, effects = m.step(before, event)
    assert effects == (m.Show(m.View.PAY),)
    assert after == replace(
        before, phase=P.WAITING, presented=True, next_at_ms=BEGIN + 3_700, last_status_at_ms=BEGIN + 700, until_ms=END
    )
    assert m.step(before, m.Tick(BEGIN + 699)) == (before, ())


@pytest.mark.parametrize(("phase", "counted"), [(P.PRESENTING, False), (P.WAITING, True)])
def test_a_link_that_cannot_be_seen_is_cancelled(phase: m.Phase, counted: bool) -> None:
    """A printer may report it late, when the presentation has already counted as seen."""
    after, effects = m.step(idle(phase, presented=counted), m.PresentFailed(BEGIN, "no paper"))
    assert (after.phase, after.reason, after.presented, effects) == (
        P.CANCELLING, m.EndReason.NOT_PRESENTED, False, cancels(),
    )  # fmt: skip


@pytest.mark.parametrize("phase", [P.PRESENTING, P.WAITING, P.ASKING])
@pytest.mark.requirement("R16")
def test_the_customer_cancels(phase: m.Phase) -> None:
    after, effects = m.step(state(phase, presented=False), m.CancelWanted(BEGIN))
    assert effects == cancels()
    assert (after.phase, after.reason, after.cancel, after.presented, after.seq, after.busy) == (
        P.CANCELLING, m.EndReason.CUSTOMER, m.Cancel.ASKED, True, 8, True,
    )  # fmt: skip


@pytest.mark.requirement("R16")
def test_no_cancellation_is_sent_without_an_id_or_a_second_time() -> None:
    for bad in ({"payment_id": None}, {"cancel": m.Cancel.REFUSED}):
        with pytest.raises(AssertionError, match="no cancellation can be sent"):
            m.step(state(P.WAITING, **bad), m.CancelWanted(BEGIN))


@pytest.mark.parametrize(
    ("before", "phase", "outcome", "reason"),
    [
        (state(P.WAITING), P.PAID, m.Outcome.PAID, m.EndReason.NONE),
        (state(P.ASKING), P.PAID, m.Outcome.PAID, m.EndReason.NONE),
        (state(P.CONFIRMING, reason=m.EndReason.EXPIRED, presented=True), P.PAID, m.Outcome.PAID, m.EndReason.EXPIRED),
        (state(P.CONFIRMING, cancel=m.Cancel.REFUSED, presented=True), P.PAID, m.Outcome.PAID, m.EndReason.NONE),
    ],
)
@pytest.mark.requirement("R12")
def test_paid_in_full(before: m.State, phase: m.Phase, outcome: m.Outcome, reason: m.EndReason) -> None:
    after, effects = m.step(before, answer(S.PAID))
    assert (after.phase, after.outcome, after.busy, after.case) == (phase, outcome, False, None)
    assert effects == ends(m.View.PAID, outcome, reason)


def test_paid_while_the_lane_was_down_is_a_case() -> None:
    after, effects = m.step(state(P.CONFIRMING, presented=True, reason=m.EndReason.RESTART), answer(S.PAID))
    reason = m.CaseReason.PAID_AFTER_RESTART
    assert (after.phase, after.case, after.outcome) == (P.PAID_LATE, reason, m.Outcome.UNKNOWN)
    assert effects[0] == m.OpenCase(reason, "paid; the lane restarted before it knew")


# --- paid, and the lane's own cancellation may still refund it --------------------------------------------------------


@pytest.mark.parametrize(("cancel", "word"), [(m.Cancel.ACCEPTED, "accepted"), (m.Cancel.UNANSWERED, "never answered")])
@pytest.mark.parametrize("reason", [m.EndReason.CUSTOMER, m.EndReason.RESTART])
@pytest.mark.bank("B18")
def test_no_goods_for_what_the_lanes_own_cancellation_may_still_refund(
    cancel: m.Cancel, word: str, reason: m.EndReason
) -> None:
    before = state(P.CONFIRMING, presented=True, cancel=cancel, reason=reason, until_ms=BEGIN + 15_000)
    after, effects = m.step(before, answer(S.PAID))
    assert after == replace(
        before,
        phase=P.REFUNDABLE,
        case=m.CaseReason.CANCEL_PAY_RACE,
        outcome=m.Outcome.UNKNOWN,
        busy=False,
        until_ms=OVER,
        next_at_ms=BEGIN + 39_000,
    )
    detail = f"the acquirer {word} the cancellation, reports the payment as paid, and may still refund it"
    assert effects == (
        m.OpenCase(m.CaseReason.CANCEL_PAY_RACE, detail), *ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, reason),
    )  # fmt: skip
    assert m.due(after) == BEGIN + 39_000
    _, effects = m.step(replace(before, presented=False), answer(S.PAID))
    assert effects[0] == m.OpenCase(m.CaseReason.CANCEL_PAY_RACE, f"{detail}; this lane never showed its link")


@pytest.mark.parametrize("cancel", [m.Cancel.NOT_ASKED, m.Cancel.REFUSED])
@pytest.mark.bank("B18")
def test_what_no_cancellation_can_refund_is_final(cancel: m.Cancel) -> None:
    assert m.step(state(P.CONFIRMING, presented=True, cancel=cancel), answer(S.PAID))[0].phase is P.PAID
    for phase in (P.WATCHING, P.CLOSED, P.OVERDUE):
        assert m.step(state(phase, presented=True, cancel=cancel), answer(S.PAID))[0].phase is P.PAID_LATE


@pytest.mark.parametrize("cancel", list(m.Cancel))
@pytest.mark.bank("B18")
def test_another_amount_is_watched_too_while_it_may_be_refunded(cancel: m.Cancel) -> None:
    if cancel is m.Cancel.ASKED:
        return  # its answer comes first
    after, _ = m.step(state(P.CONFIRMING, presented=True, cancel=cancel), answer(S.PAID, kopecks=254))
    may_be = cancel in (m.Cancel.ACCEPTED, m.Cancel.UNANSWERED)
    assert (after.phase, after.case) == (P.REFUNDABLE if may_be else P.UNSETTLED, m.CaseReason.AMOUNT_MISMATCH)
    if may_be:
        asked = replace(after, busy=True, sent_at_ms=OVER)
        assert m.step(asked, answer(S.PAID, OVER + 9_000, kopecks=254))[0].phase is P.UNSETTLED


@pytest.mark.parametrize("phase", [P.WATCHING, P.CLOSED, P.OVERDUE])
@pytest.mark.parametrize("cancel", [m.Cancel.ACCEPTED, m.Cancel.UNANSWERED])
@pytest.mark.parametrize(("at", "until"), [(BEGIN + 9_000, 1_900_000), (1_900_000 + 9_000, 2_509_000)])
@pytest.mark.bank("B18")
def test_late_money_that_may_be_refunded_is_watched_for_a_grace_period(
    phase: m.Phase, cancel: m.Cancel, at: int, until: int
) -> None:
    before = state(phase, presented=True, cancel=cancel, outcome=m.Outcome.UNPAID, sent_at_ms=at - 9_000)
    detail = "the acquirer has 2,53\u00a0₽; the goods were not released; the cancellation may still refund it"
    after, effects = m.step(before, answer(S.PAID, at))
    assert effects == (m.OpenCase(m.CaseReason.LATE_MONEY, detail),)
    assert (after.phase, after.case, after.until_ms, after.next_at_ms) == (
        P.REFUNDABLE, m.CaseReason.LATE_MONEY, until, at + 30_000,
    )  # fmt: skip
    _, effects = m.step(replace(before, case=m.CaseReason.CANCEL_UNANSWERED), answer(S.PAID, at))
    assert effects == (m.NoteCase(detail, reopens=True),)


def refundable(**changes: Any) -> m.State:
    """Paid; asked about when the cancellation has had its time."""
    base = state(P.REFUNDABLE, presented=True, cancel=m.Cancel.UNANSWERED, outcome=m.Outcome.UNKNOWN, until_ms=OVER)
    return replace(base, case=m.CaseReason.CANCEL_PAY_RACE, sent_at_ms=OVER, next_at_ms=OVER + 30_000, **changes)


@pytest.mark.bank("B18")
def test_money_that_is_still_there_when_all_is_over_stays() -> None:
    before = refundable()
    after, effects = m.step(before, answer(S.PAID, ANSWERED))
    assert (after.phase, after.case, effects) == (
        P.PAID_LATE, m.CaseReason.CANCEL_PAY_RACE, (m.NoteCase("the money was not refunded"),),
    )  # fmt: skip
    for early in (replace(before, sent_at_ms=OVER - 1), replace(before, until_ms=OVER + 1)):
        asked_on, effects = m.step(early, answer(S.PAID, ANSWERED))
        assert (asked_on, effects) == (replace(early, busy=False), ())


@pytest.mark.parametrize("sent_at_ms", [BEGIN, OVER])
@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (S.REFUNDED, "the acquirer took 2,53\u00a0₽ and has refunded the customer"),
        (S.CLOSED, "the payment was paid, and is closed as unpaid now: the customer may have the money back"),
    ],
)
@pytest.mark.bank("B18")
def test_a_refund_that_shows_later_reaches_the_operator(status: m.PaymentStatus, detail: str, sent_at_ms: int) -> None:
    before = replace(refundable(), sent_at_ms=sent_at_ms)
    after, effects = m.step(before, answer(status, ANSWERED))
    assert (after.phase, after.case, effects) == (
        P.UNSETTLED, m.CaseReason.REFUNDED, (m.NoteCase(detail, reopens=True),),
    )  # fmt: skip


@pytest.mark.bank("B18")
def test_what_may_be_refunded_is_asked_about_until_an_answer_ends_it() -> None:
    before = refundable()
    for event in (silent(OVER + DAYS), answer(S.OPEN, OVER + DAYS - 1), answer(S.UNKNOWN, OVER + DAYS - 1)):
        after, effects = m.step(before, event)
        assert (after.phase, effects) == (P.REFUNDABLE, ())
    after, effects = m.step(before, answer(S.OPEN, OVER + DAYS))
    assert (after.phase, effects) == (
        P.UNSETTLED, (m.NoteCase("still no final status: the lane has stopped asking", reopens=True),),
    )  # fmt: skip


@pytest.mark.bank("B18")
def test_a_cancellation_under_way_at_a_crash_may_still_refund() -> None:
    """The lane stopped before the answer came; the customer had paid."""
    back, _ = m.step(state(P.CANCELLING, presented=True, cancel=m.Cancel.ASKED), m.Recovered(BEGIN + 5_000))
    after, _ = m.step(replace(back, seq=7), answer(S.PAID))
    assert (after.phase, after.case) == (P.REFUNDABLE, m.CaseReason.CANCEL_PAY_RACE)
    again, effects = m.step(after, m.Recovered(BEGIN + 60_000))
    assert (again.phase, again.until_ms, effects) == (P.REFUNDABLE, OVER, (m.SendPoll(8, ID),))


@pytest.mark.requirement("R12")
def test_a_status_that_is_not_final() -> None:
    for number in (1, 2, 3, 4):
        after, effects = m.step(state(P.WAITING), answer(number))
        assert (after, effects) == (idle(P.WAITING, last_status_at_ms=BEGIN + 9_000, next_at_ms=BEGIN + 9_000), ())
    after, effects = m.step(state(P.ASKING), answer(S.UNKNOWN))
    assert effects == (m.Show(m.View.PAY),)
    assert after == idle(P.WAITING, last_status_at_ms=BEGIN + 9_000, next_at_ms=BEGIN + 9_000)


@pytest.mark.parametrize("phase", [P.WAITING, P.ASKING])
@pytest.mark.bank("B5")
@pytest.mark.requirement("R12")
def test_declined(phase: m.Phase) -> None:
    """A declined try may leave the payment payable: it is watched until all is over."""
    after, effects = m.step(state(phase), answer(S.CLOSED))
    assert effects == ends(m.View.UNPAID, m.Outcome.UNPAID, m.EndReason.DECLINED)
    assert (after.phase, after.next_at_ms, m.due(after)) == (P.CLOSED, BEGIN + 39_000, BEGIN + 39_000)


@pytest.mark.parametrize(
    ("reason", "presented", "outcome"),
    [
        (m.EndReason.NOT_PRESENTED, False, m.Outcome.NOT_PRESENTED),
        (m.EndReason.LINK_REFUSED, False, m.Outcome.NOT_PRESENTED),
        (m.EndReason.NOT_CREATED, False, m.Outcome.NOT_PRESENTED),
        (m.EndReason.NOT_PRESENTED, True, m.Outcome.UNPAID),
        (m.EndReason.CUSTOMER, False, m.Outcome.UNPAID),
        (m.EndReason.EXPIRED, False, m.Outcome.UNPAID),
    ],
)
def test_unpaid_and_never_seen_are_different_outcomes(reason: m.EndReason, presented: bool, outcome: m.Outcome) -> None:
    after, effects = m.step(state(P.CONFIRMING, reason=reason, presented=presented), answer(S.CLOSED))
    assert (after.outcome, effects) == (outcome, ends(m.View.UNPAID, outcome, reason))
    assert after.phase is (P.CLOSED if presented else P.UNPAID)


@pytest.mark.requirement("R13", "R14")
def test_after_the_poll_timeout_the_customer_is_asked_once() -> None:
    before = state(P.WAITING, next_at_ms=BEGIN + 200_000)
    assert m.step(before, m.Tick(BEGIN + 89_999)) == (before, ())
    after, effects = m.step(before, m.Tick(BEGIN + 90_000))
    assert (after, effects) == (replace(before, phase=P.ASKING, asked=True), (m.Show(m.View.DIALOG),))
    asked = replace(before, asked=True)
    assert m.step(asked, m.Tick(BEGIN + 90_000)) == (asked, ())
    again = replace(asked, plan=plan(timing=replace(T, dialog_again=True)))
    assert m.step(again, m.Tick(BEGIN + 90_000))[0].phase is P.ASKING


@pytest.mark.requirement("R14")
def test_polling_goes_on_during_the_dialog_unless_the_settings_forbid_it() -> None:
    before = idle(P.ASKING, asked=True, next_at_ms=BEGIN + 95_000)
    assert m.step(before, m.Tick(BEGIN + 94_999)) == (before, ())
    assert m.step(before, m.Tick(BEGIN + 95_000))[1] == (m.SendPoll(8, ID),)
    quiet = replace(before, plan=plan(timing=replace(T, poll_in_dialog=False)))
    assert m.step(quiet, m.Tick(BEGIN + 95_000)) == (replace(quiet, next_at_ms=END), ())
    waiting = replace(quiet, phase=P.WAITING, last_status_at_ms=BEGIN + 90_000)
    assert m.step(waiting, m.Tick(BEGIN + 95_000))[1] == (m.SendPoll(8, ID),)


@pytest.mark.requirement("R15")
def test_the_customer_wants_to_wait_on() -> None:
    before = idle(P.ASKING, asked=True)
    after, effects = m.step(before, m.Retry(BEGIN + 100_000))
    assert effects == (m.Show(m.View.PAY), m.SendPoll(8, ID))
    assert after == replace(
        before, phase=P.WAITING, last_status_at_ms=BEGIN + 100_000, next_at_ms=BEGIN + 103_000, seq=8, busy=True
    )
    busy, effects = m.step(replace(before, busy=True, earlier_seq=6), m.Retry(BEGIN + 100_000))
    assert (busy.seq, busy.busy, effects) == (7, True, (m.Show(m.View.PAY),))


@pytest.mark.parametrize("phase", [P.WAITING, P.ASKING])
@pytest.mark.bank("B17")
def test_a_poll_that_is_late_is_overtaken_once(phase: m.Phase) -> None:
    """A bank that takes 5 s is asked every 3 s all the same, and never more than two at a time."""
    before = state(phase, asked=True, next_at_ms=BEGIN + 3_000)
    assert m.due(before) == BEGIN + 3_000
    two, effects = m.step(before, m.Tick(BEGIN + 3_000))
    assert effects == (m.SendPoll(8, ID),)
    assert two == replace(before, seq=8, earlier_seq=7, next_at_ms=BEGIN + 6_000)
    assert m.step(two, m.Tick(BEGIN + 6_000)) == (two, ())
    assert m.due(two) == END
    one, effects = m.step(two, silent(BEGIN + 5_000))
    assert (one, effects) == (replace(two, earlier_seq=0), ())
    assert m.due(one) == BEGIN + 6_000
    late, _ = m.step(two, replace(silent(BEGIN + 5_000), seq=8))
    assert (late.busy, late.earlier_seq) == (False, 0)
    assert m.step(late, answer(S.PAID)) == (late, ())
    assert m.step(two, answer(S.PAID))[0].phase is P.PAID
    for ended in (m.step(two, m.Tick(END))[0], m.step(two, m.CancelWanted(BEGIN))[0]):
        assert ended.earlier_seq == 0


@pytest.mark.parametrize("phase", [P.WAITING, P.ASKING])
def test_at_the_invoices_end_the_link_is_withdrawn_and_the_status_requested(phase: m.Phase) -> None:
    before = idle(phase, last_status_at_ms=END - 1, next_at_ms=END + 5)
    assert m.step(before, m.Tick(END - 1)) == (before, ())
    after, effects = m.step(before, m.Tick(END))
    assert effects == (m.Withdraw(), m.Show(m.View.WAIT), m.SendPoll(8, ID))
    assert after == replace(
        before,
        phase=P.CONFIRMING,
        reason=m.EndReason.EXPIRED,
        until_ms=END + 15_000,
        next_at_ms=END + 3_000,
        seq=8,
        busy=True,
    )


# --- cancelling and confirming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [m.Cancel.ACCEPTED, m.Cancel.REFUSED, m.Cancel.UNANSWERED])
def test_after_any_answer_to_the_cancellation_the_status_is_requested(result: m.Cancel) -> None:
    before = state(P.CANCELLING, cancel=m.Cancel.ASKED, reason=m.EndReason.CUSTOMER)
    after, effects = m.step(before, m.CancelAnswered(BEGIN + 1_000, 7, result))
    assert effects == (m.SendPoll(8, ID),)
    assert after == replace(
        before, phase=P.CONFIRMING, cancel=result, seq=8, until_ms=BEGIN + 16_000, next_at_ms=BEGIN + 4_000
    )


@pytest.mark.parametrize(
    ("cancel", "reason"),
    [
        (m.Cancel.REFUSED, m.CaseReason.CANCEL_REFUSED),
        (m.Cancel.UNANSWERED, m.CaseReason.CANCEL_UNANSWERED),
        (m.Cancel.NOT_ASKED, m.CaseReason.EXPIRED_UNCONFIRMED),
    ],
)
def test_without_a_final_status_it_is_a_case_and_watched(cancel: m.Cancel, reason: m.CaseReason) -> None:
    before = idle(
        P.CONFIRMING, cancel=cancel, until_ms=BEGIN + 15_000, next_at_ms=BEGIN + 14_000, reason=m.EndReason.CUSTOMER
    )
    assert m.step(before, m.Tick(BEGIN + 13_999)) == (before, ())
    assert m.step(before, m.Tick(BEGIN + 14_000))[1] == (m.SendPoll(8, ID),)
    after, effects = m.step(before, m.Tick(BEGIN + 15_000))
    assert (after.phase, after.case, after.outcome) == (P.WATCHING, reason, m.Outcome.UNKNOWN)
    assert (after.until_ms, after.next_at_ms) == (END + 600_000, BEGIN + 45_000)
    assert isinstance(effects[0], m.OpenCase)
    assert effects[0].reason is reason
    assert effects[1:] == ends(m.View.ATTENDANT, m.Outcome.UNKNOWN, m.EndReason.CUSTOMER)


@pytest.mark.requirement("R17")
def test_an_accepted_cancellation_is_unpaid_and_the_payment_is_watched() -> None:
    before = idle(P.CONFIRMING, cancel=m.Cancel.ACCEPTED, until_ms=BEGIN, reason=m.EndReason.CUSTOMER, presented=True)
    after, effects = m.step(before, m.Tick(BEGIN))
    assert effects == ends(m.View.UNPAID, m.Outcome.UNPAID, m.EndReason.CUSTOMER)
    assert (after.phase, after.case, after.outcome) == (P.WATCHING, None, m.Outcome.UNPAID)


@pytest.mark.parametrize("reason", [m.EndReason.RESTART, m.EndReason.EXPIRED, m.EndReason.CUSTOMER])
def test_an_open_payment_is_cancelled_unless_its_cancellation_was_sent(reason: m.EndReason) -> None:
    after, effects = m.step(state(P.CONFIRMING, reason=reason), answer(S.OPEN))
    assert (after.phase, after.reason, after.cancel, effects) == (
        P.CONFIRMING, reason, m.Cancel.ASKED, (m.SendCancel(8, ID),),
    )  # fmt: skip
    for cancel in (m.Cancel.ACCEPTED, m.Cancel.REFUSED, m.Cancel.UNANSWERED):
        after, effects = m.step(state(P.CONFIRMING, reason=reason, cancel=cancel), answer(S.OPEN))
        assert (after, effects) == (
            idle(P.CONFIRMING, last_status_at_ms=BEGIN + 9_000, next_at_ms=BEGIN + 9_000, reason=reason, cancel=cancel),
            (),
        )


@pytest.mark.parametrize("phase", [P.CONFIRMING, P.WATCHING])
def test_a_late_cancellation_gets_no_more_time(phase: m.Phase) -> None:
    before = state(phase, cancel=m.Cancel.ASKED, until_ms=BEGIN + 15_000)
    after, effects = m.step(before, m.CancelAnswered(BEGIN + 14_000, 7, m.Cancel.ACCEPTED))
    assert (after.phase, after.cancel, after.until_ms) == (phase, m.Cancel.ACCEPTED, BEGIN + 15_000)
    assert effects == (m.SendPoll(8, ID),)


@pytest.mark.parametrize("phase", [P.CONFIRMING, P.WATCHING])
@pytest.mark.bank("B15")
@pytest.mark.requirement("R16")
def test_a_cancellation_that_never_left_is_sent_after_the_next_answer(phase: m.Phase) -> None:
    before = state(phase, cancel=m.Cancel.ASKED, next_at_ms=BEGIN + 5_000, until_ms=BEGIN + 60_000)
    waiting, effects = m.step(before, m.CancelAnswered(BEGIN + 3_000, 7, m.Cancel.NOT_ASKED))
    assert (waiting, effects) == (replace(before, cancel=m.Cancel.NOT_ASKED, busy=False), ())
    asking, effects = m.step(waiting, m.Tick(BEGIN + 5_000))
    assert effects == (m.SendPoll(8, ID),)
    _, effects = m.step(replace(asking, seq=7), answer(S.OPEN))
    assert effects == (m.SendCancel(8, ID),)


@pytest.mark.parametrize(("wait_ms", "put_off"), [(15_000, 15_000), (90_000, 90_000), (3_600_000, 90_000)])
@pytest.mark.bank("B15")
def test_too_many_requests_leaves_time_to_cancel_and_to_confirm(wait_ms: int, put_off: int) -> None:
    """Otherwise the time for a final status would be over before the acquirer may be asked: a case about nothing."""
    before = state(P.CANCELLING, cancel=m.Cancel.ASKED, reason=m.EndReason.CUSTOMER, put_off_ms=7)
    at = BEGIN + 1_000
    after, effects = m.step(before, m.CancelAnswered(at, 7, m.Cancel.NOT_ASKED, "too many requests", wait_ms))
    assert effects == ()
    assert after == replace(
        before,
        phase=P.CONFIRMING,
        cancel=m.Cancel.NOT_ASKED,
        busy=False,
        next_at_ms=at + wait_ms,
        until_ms=at + 15_000 + put_off,
        put_off_ms=put_off,
    )
    assert m.due(after) == min(at + wait_ms, at + 15_000 + put_off)
    if wait_ms <= put_off:
        asking, effects = m.step(after, m.Tick(at + wait_ms))
        assert effects == (m.SendPoll(8, ID),)
        _, effects = m.step(replace(asking, seq=7), answer(S.OPEN, at + wait_ms + 500))
        assert effects == (m.SendCancel(8, ID),)


@pytest.mark.parametrize("phase", [P.FINDING, P.CONFIRMING])
@pytest.mark.bank("B17")
def test_the_acquirer_can_put_off_an_outcome_only_for_so_long(phase: m.Phase) -> None:
    before = state(phase, payment_id=ID, until_ms=BEGIN + 15_000, put_off_ms=60_000)
    for wait_ms, put_off in ((20_000, 20_000), (30_000, 30_000), (50_000, 30_000)):
        after, _ = m.step(before, silent(BEGIN + 1_000, wait_ms))
        assert (after.until_ms, after.put_off_ms) == (BEGIN + 15_000 + put_off, 60_000 + put_off)
        assert after.next_at_ms == BEGIN + 1_000 + wait_ms
    for begins in (
        m.step(idle(P.WAITING, put_off_ms=60_000), m.Tick(END))[0],
        m.step(state(P.CREATING, put_off_ms=60_000), m.Recovered(BEGIN))[0],
        m.step(state(P.CREATING, put_off_ms=60_000), created(link=None))[0],
    ):
        assert begins.put_off_ms == 0


@pytest.mark.parametrize("result", [m.Cancel.NOT_ASKED, m.Cancel.REFUSED])
@pytest.mark.parametrize(("phase", "put_off"), [(P.CONFIRMING, 20_000), (P.WATCHING, 0), (P.OVERDUE, 0)])
@pytest.mark.bank("B15")
def test_a_later_cancellation_waits_as_long_as_the_acquirer_wants(
    phase: m.Phase, put_off: int, result: m.Cancel
) -> None:
    before = state(phase, cancel=m.Cancel.ASKED, next_at_ms=BEGIN + 4_000, until_ms=BEGIN + 60_000)
    after, effects = m.step(before, m.CancelAnswered(BEGIN + 3_000, 7, result, "", 20_000))
    assert effects == ()
    assert after == replace(
        before,
        cancel=result,
        busy=False,
        next_at_ms=BEGIN + 23_000,
        until_ms=BEGIN + 60_000 + put_off,
        put_off_ms=put_off,
    )


# --- watching -----------------------------------------------------------------------------------------------------


def watched(**changes: Any) -> m.State:
    base = state(P.WATCHING, outcome=m.Outcome.UNPAID, until_ms=END + 600_000, cancel=m.Cancel.ACCEPTED)
    return replace(base, **changes)


def test_late_money_is_a_case_or_added_to_the_one_that_is_open() -> None:
    refused = watched(cancel=m.Cancel.REFUSED)
    after, effects = m.step(refused, answer(S.PAID))
    detail = "the acquirer has 2,53\u00a0₽; the goods were not released"
    assert (after.phase, after.case) == (P.PAID_LATE, m.CaseReason.LATE_MONEY)
    assert effects == (m.OpenCase(m.CaseReason.LATE_MONEY, detail),)
    after, effects = m.step(replace(refused, case=m.CaseReason.CANCEL_REFUSED), answer(S.PAID))
    assert (after.phase, after.case) == (P.PAID_LATE, m.CaseReason.CANCEL_REFUSED)
    assert effects == (m.NoteCase(detail, reopens=True),)


def asked_when_over(**changes: Any) -> m.State:
    """The status was requested when all was over."""
    return watched(sent_at_ms=OVER, next_at_ms=OVER + 30_000, **changes)


ANSWERED = OVER + 9_000


def test_what_nobody_could_see_ends_when_the_acquirer_has_closed_it() -> None:
    after, effects = m.step(watched(payment_id=None), answer(S.CLOSED))
    assert (after.phase, after.payment_id, effects) == (P.UNPAID, ID, ())
    after, effects = m.step(watched(case=m.CaseReason.CANCEL_REFUSED), answer(S.CLOSED))
    assert (after.phase, effects) == (P.UNPAID, (m.NoteCase("the acquirer has closed the payment unpaid"),))


@pytest.mark.parametrize("seen", [{"presented": True}, {"plan": plan(mode=m.Mode.PLATE, plate_link=PLATE)}])
@pytest.mark.bank("B5")
@pytest.mark.requirement("R17")
def test_what_could_be_seen_is_watched_until_all_is_over(seen: dict[str, Any]) -> None:
    closed, effects = m.step(watched(**seen), answer(S.CLOSED))
    assert (closed.phase, effects) == (P.CLOSED, ())
    noted, effects = m.step(watched(case=m.CaseReason.CANCEL_REFUSED, **seen), answer(S.CLOSED))
    assert (noted.phase, effects) == (P.CLOSED, (m.NoteCase("the acquirer has closed the payment unpaid"),))
    again, effects = m.step(replace(noted, busy=True), answer(S.CLOSED))
    assert (again.phase, effects) == (P.CLOSED, ())
    for before in (closed, noted):
        asked = replace(before, busy=True, sent_at_ms=OVER)
        after, effects = m.step(asked, answer(S.CLOSED, at=ANSWERED))
        assert (after.phase, effects) == (P.UNPAID, ())
        assert m.step(replace(asked, sent_at_ms=OVER - 1), answer(S.CLOSED, at=ANSWERED))[0].phase is P.CLOSED
    paid = replace(closed, busy=True, cancel=m.Cancel.REFUSED)
    after, effects = m.step(paid, answer(S.PAID))
    assert (after.phase, after.case, type(effects[0])) == (P.PAID_LATE, m.CaseReason.LATE_MONEY, m.OpenCase)


@pytest.mark.bank("B7")
def test_silence_about_a_closed_payment_changes_nothing() -> None:
    closed = state(P.CLOSED, presented=True, outcome=m.Outcome.UNPAID, until_ms=OVER)
    after, effects = m.step(closed, silent(OVER + DAYS))
    assert (after, effects) == (replace(closed, busy=False, next_at_ms=OVER + DAYS), ())


@pytest.mark.parametrize("cancel", [m.Cancel.NOT_ASKED, m.Cancel.REFUSED])
@pytest.mark.bank("B5")
def test_a_closed_payment_that_can_be_paid_again_is_open_again(cancel: m.Cancel) -> None:
    closed = state(P.CLOSED, presented=True, outcome=m.Outcome.UNPAID, cancel=cancel, next_at_ms=BEGIN + 30_000)
    after, effects = m.step(closed, answer(S.OPEN))
    assert (after.phase, after.until_ms) == (P.WATCHING, OVER)
    assert after.next_at_ms == BEGIN + 30_000
    assert effects == ((m.SendCancel(8, ID),) if cancel is m.Cancel.NOT_ASKED else ())
    assert m.gate("A-1", None, [after]) is not None
    after, effects = m.step(closed, answer(S.OPEN, at=OVER + 1))
    assert (after.phase, type(effects[0])) == (P.OVERDUE, m.OpenCase)


@pytest.mark.bank("B3")
def test_an_open_payment_found_while_watching_is_cancelled() -> None:
    lost = watched(payment_id=None, cancel=m.Cancel.NOT_ASKED)
    for at in (END - 1, END + 1):
        after, effects = m.step(lost, answer(S.OPEN, at=at))
        assert (after.phase, after.payment_id, after.cancel, effects) == (
            P.WATCHING, ID, m.Cancel.ASKED, (m.SendCancel(8, ID),),
        )  # fmt: skip
    after, effects = m.step(lost, answer(S.OPEN, at=ANSWERED))
    assert (after.phase, after.cancel) == (P.OVERDUE, m.Cancel.ASKED)
    assert [type(effect) for effect in effects] == [m.OpenCase, m.SendCancel]
    after, effects = m.step(lost, m.StatusUnavailable(END + 50, 7, "", 31_000))
    assert after.next_at_ms == END + 31_050
    answered, effects = m.step(watched(cancel=m.Cancel.ASKED), m.CancelAnswered(BEGIN + 1_000, 7, m.Cancel.REFUSED))
    assert (answered.cancel, answered.next_at_ms, answered.seq, effects) == (
        m.Cancel.REFUSED, BEGIN + 31_000, 8, (m.SendPoll(8, ID),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "pace"),
    [
        (BEGIN, 30_000),
        (OVER, 30_000),
        (OVER + 120_000, 30_000),
        (OVER + 240_000, 60_000),
        (OVER + 14_400_000, 3_600_000),
        (OVER + DAYS, 3_600_000),
    ],
)
@pytest.mark.parametrize("phase", [P.WATCHING, P.CLOSED, P.OVERDUE])
@pytest.mark.bank("B3", "B7")
def test_the_watch_asks_ever_more_slowly(phase: m.Phase, at: int, pace: int) -> None:
    before = idle(phase, outcome=m.Outcome.UNKNOWN, next_at_ms=at)
    assert m.due(before) == at
    assert m.step(before, m.Tick(at - 1)) == (before, ())
    after, effects = m.step(before, m.Tick(at))
    assert effects == (m.SendPoll(8, ID),)
    assert (after.sent_at_ms, after.next_at_ms) == (at, at + pace)


@pytest.mark.parametrize("event", [answer(S.PAID, ANSWERED, proved=False), m.PaymentNotListed(ANSWERED, 7)])
def test_an_answer_that_was_asked_for_before_all_was_over_does_not_end_the_watch(event: m.Event) -> None:
    """It may be from before: it took long, and only the last search covers days before and after."""
    before = watched(payment_id=None, until_ms=ANSWERED + 1, sent_at_ms=OVER - 1)
    after, effects = m.step(before, event)
    assert (after, effects) == (replace(before, busy=False, next_at_ms=ANSWERED), ())


@pytest.mark.parametrize("event", [silent(ANSWERED), answer(S.OPEN, ANSWERED), answer(S.OPEN, ANSWERED, proved=False)])
@pytest.mark.bank("B3")
def test_without_a_final_status_in_time_an_operator_decides_and_the_acquirer_is_asked_on(event: m.Event) -> None:
    before = asked_when_over()
    after, effects = m.step(before, event)
    assert (after.phase, after.case, m.due(after)) == (P.OVERDUE, m.CaseReason.EXPIRED_UNCONFIRMED, OVER + 30_000)
    assert isinstance(effects[0], m.OpenCase)
    _, (note,) = m.step(replace(before, case=m.CaseReason.CREATE_UNKNOWN), event)
    assert isinstance(note, m.NoteCase)
    assert note.reopens
    early = replace(event, at_ms=OVER - 1)
    assert m.step(before, early)[0].phase is P.WATCHING


def overdue(**changes: Any) -> m.State:
    base = state(P.OVERDUE, outcome=m.Outcome.UNKNOWN, case=m.CaseReason.EXPIRED_UNCONFIRMED, cancel=m.Cancel.REFUSED)
    return replace(base, presented=True, sent_at_ms=OVER + DAYS, next_at_ms=OVER + DAYS + 3_600_000, **changes)


@pytest.mark.bank("B7")
def test_only_an_answer_ends_the_days_of_asking() -> None:
    last = OVER + DAYS
    for event in (silent(last), silent(last + DAYS), answer(S.OPEN, last - 1), answer(S.UNKNOWN, last - 1)):
        after, effects = m.step(overdue(), event)
        assert (after, effects) == (replace(overdue(), busy=False, next_at_ms=after.next_at_ms), ())
    for status in (S.OPEN, S.UNKNOWN):
        after, effects = m.step(overdue(), answer(status, last))
        assert (after.phase, effects) == (
            P.UNSETTLED,
            (m.NoteCase("still no final status: the lane has stopped asking", reopens=True),),
        )


@pytest.mark.parametrize("status", [S.OPEN, S.UNKNOWN])
@pytest.mark.bank("B3")
def test_the_one_cancellation_is_sent_before_the_days_of_asking_end(status: m.PaymentStatus) -> None:
    """The network came back after days, and the payment is open: the first answer must not be the end."""
    last = OVER + DAYS
    before = replace(overdue(), cancel=m.Cancel.NOT_ASKED)
    asked, effects = m.step(before, answer(status, last))
    assert (asked.phase, asked.cancel, effects) == (P.OVERDUE, m.Cancel.ASKED, (m.SendCancel(8, ID),))
    unsent, effects = m.step(asked, m.CancelAnswered(last + 500, 8, m.Cancel.NOT_ASKED))
    assert (unsent.phase, unsent.cancel, effects) == (P.OVERDUE, m.Cancel.NOT_ASKED, ())
    answered, effects = m.step(asked, m.CancelAnswered(last + 500, 8, m.Cancel.REFUSED))
    assert effects == (m.SendPoll(9, ID),)
    after, (note,) = m.step(answered, replace(answer(status, last + 1_000), seq=9))
    assert (after.phase, note) == (
        P.UNSETTLED, m.NoteCase("still no final status: the lane has stopped asking", reopens=True),
    )  # fmt: skip


def test_what_cannot_be_cancelled_ends_all_the_same() -> None:
    before = replace(overdue(), cancel=m.Cancel.NOT_ASKED, payment_id=None)
    after, effects = m.step(before, answer(S.OPEN, OVER + DAYS, proved=False))
    assert (after.phase, len(effects)) == (P.UNSETTLED, 1)


@pytest.mark.bank("B3")
def test_money_and_a_final_status_that_come_after_days_reach_the_operator() -> None:
    after, (note,) = m.step(overdue(), answer(S.PAID, OVER + DAYS // 2))
    assert (after.phase, isinstance(note, m.NoteCase) and note.reopens) == (P.PAID_LATE, True)
    after, (note,) = m.step(overdue(), answer(S.CLOSED, OVER + DAYS // 2))
    assert (after.phase, note) == (P.UNPAID, m.NoteCase("the acquirer has closed the payment unpaid"))


def test_a_payment_missing_from_the_list_when_all_is_over_was_never_created() -> None:
    lost = asked_when_over(payment_id=None, case=m.CaseReason.CREATE_UNKNOWN)
    for phase in (P.WATCHING, P.OVERDUE):
        after, effects = m.step(replace(lost, phase=phase), m.PaymentNotListed(ANSWERED, 7))
        assert (after.phase, effects) == (P.UNPAID, (m.NoteCase("the acquirer lists no payment of this order"),))


@pytest.mark.bank("B1")
def test_a_payment_that_agrees_only_in_number_and_amount_is_judged_when_all_is_over() -> None:
    """By then the acquirer's list is complete: it is the attempt's, or the attempt was never created."""
    case = m.CaseReason.CREATE_UNKNOWN
    lost = asked_when_over(payment_id=None, case=case, cancel=m.Cancel.NOT_ASKED)
    young = replace(lost, sent_at_ms=BEGIN)
    for status in (S.OPEN, S.PAID, S.CLOSED):
        after, effects = m.step(young, answer(status, proved=False))
        assert (after, effects) == (replace(young, busy=False), ())
    after, (note,) = m.step(lost, answer(S.CLOSED, ANSWERED, proved=False))
    assert (after.phase, after.payment_id) == (P.UNPAID, ID)
    assert note == m.NoteCase("the one payment of this order and amount, p-1, was closed unpaid")
    detail = "payment p-1 of this order and amount is paid, and may be another till's: find out whose it is"
    after, (note,) = m.step(lost, answer(S.PAID, ANSWERED, proved=False))
    assert (after.phase, after.payment_id, after.case, note) == (
        P.UNSETTLED, ID, case, m.NoteCase(detail, reopens=True),
    )  # fmt: skip
    after, (note,) = m.step(lost, answer(S.REFUNDED, ANSWERED, proved=False))
    assert (after.phase, note) == (P.UNSETTLED, m.NoteCase(detail.replace("is paid", "is refunded"), reopens=True))
    after, effects = m.step(replace(lost, case=None), answer(S.PAID, ANSWERED, proved=False))
    assert (after.case, effects) == (m.CaseReason.PAID_UNSHOWN, (m.OpenCase(m.CaseReason.PAID_UNSHOWN, detail),))
    after, (note,) = m.step(lost, answer(S.OPEN, ANSWERED, proved=False))
    assert (after.phase, after.payment_id, note.reopens) == (P.OVERDUE, None, True)


def test_a_watch_that_begins_late_goes_on_at_its_pace() -> None:
    late = END + 700_000
    before = idle(P.CONFIRMING, cancel=m.Cancel.ACCEPTED, until_ms=late)
    after, _ = m.step(before, m.Tick(late))
    assert (after.until_ms, after.next_at_ms) == (late, late + 30_000)


# --- a lane that starts again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [P.CREATING, P.FINDING])
def test_recovered_before_an_id_was_known(phase: m.Phase) -> None:
    after, effects = m.step(state(phase), m.Recovered(BEGIN + 60_000))
    assert effects == (m.SendFind(8),)
    assert after == state(
        P.FINDING,
        reason=m.EndReason.RESTART,
        may_exist=True,
        seq=8,
        until_ms=BEGIN + 75_000,
        next_at_ms=BEGIN + 63_000,
        resumed_at_ms=BEGIN + 60_000,
    )


@pytest.mark.parametrize("phase", [P.PRESENTING, P.WAITING, P.ASKING])
def test_recovered_while_the_customer_could_pay(phase: m.Phase) -> None:
    after, effects = m.step(state(phase, presented=False), m.Recovered(BEGIN + 60_000))
    assert effects == (m.Withdraw(), m.SendPoll(8, ID))
    assert after == state(
        P.CONFIRMING,
        reason=m.EndReason.RESTART,
        presented=True,
        seq=8,
        until_ms=BEGIN + 75_000,
        next_at_ms=BEGIN + 63_000,
        resumed_at_ms=BEGIN + 60_000,
    )


@pytest.mark.parametrize("phase", [P.CANCELLING, P.CONFIRMING, P.WATCHING])
@pytest.mark.parametrize("cancel", list(m.Cancel))
@pytest.mark.bank("B15")
@pytest.mark.requirement("R16")
def test_a_cancellation_whose_answer_was_lost_is_never_sent_again(phase: m.Phase, cancel: m.Cancel) -> None:
    after, effects = m.step(state(phase, cancel=cancel), m.Recovered(BEGIN + 60_000))
    assert after.cancel is (m.Cancel.UNANSWERED if cancel is m.Cancel.ASKED else cancel)
    assert effects == ((m.SendPoll(8, ID),) if phase is P.WATCHING else (m.Withdraw(), m.SendPoll(8, ID)))
    assert after.phase is (P.WATCHING if phase is P.WATCHING else P.CONFIRMING)
    if phase is P.WATCHING:
        assert (after.until_ms, after.next_at_ms) == (END + 600_000, BEGIN + 90_000)


@pytest.mark.parametrize("phase", [P.WATCHING, P.CLOSED, P.OVERDUE])
@pytest.mark.bank("B7")
def test_a_lane_that_starts_when_all_is_over_waits_for_the_network(phase: m.Phase) -> None:
    """The lane may be up before the network: no case in the first seconds, and the lane keeps asking."""
    at = OVER + 3_600_000
    recovered, effects = m.step(state(phase, outcome=m.Outcome.UNPAID, presented=True), m.Recovered(at))
    assert (recovered.phase, effects) == (phase, (m.SendPoll(8, ID),))
    asked = replace(recovered, seq=7)
    after, effects = m.step(asked, silent(at + 6_000))
    assert (after.phase, effects) == (phase, ())
    assert m.due(after) == at + 900_000
    after, _ = m.step(asked, silent(at + 90_000))
    assert after.phase is (P.OVERDUE if phase is P.WATCHING else phase)


LIFE_AND_GRACE = 900_000
RESUMED = BEGIN + 3_600_000
"""The clock was set an hour forward while the lane was down: the invoice lives on."""


@pytest.mark.parametrize("phase", [P.CLOSED, P.WATCHING, P.OVERDUE, P.REFUNDABLE])
@pytest.mark.bank("B4")
def test_after_a_restart_the_invoice_is_given_its_whole_life_again(phase: m.Phase) -> None:
    """Whatever the clock says: it may have been set."""
    case = m.CaseReason.CANCEL_UNANSWERED
    down = state(phase, presented=True, outcome=m.Outcome.UNPAID, cancel=m.Cancel.UNANSWERED, case=case)
    back, _ = m.step(down, m.Recovered(RESUMED))
    status = S.PAID if phase is P.REFUNDABLE else S.CLOSED
    end = P.PAID_LATE if phase is P.REFUNDABLE else P.UNPAID
    watched_on = P.REFUNDABLE if phase is P.REFUNDABLE else P.CLOSED
    over = RESUMED + LIFE_AND_GRACE
    for sent_at_ms, expected in ((RESUMED, watched_on), (over - 1, watched_on), (over, end)):
        asked = replace(back, seq=7, sent_at_ms=sent_at_ms)
        assert m.step(asked, answer(status, over + 9_000))[0].phase is expected
    assert back.until_ms == RESUMED + 90_000, "the case opens by the lane's clock"


@pytest.mark.bank("B4")
def test_a_create_that_is_not_listed_after_a_restart_may_be_listed_yet() -> None:
    lost = watched(payment_id=None, case=m.CaseReason.CREATE_UNKNOWN)
    back, _ = m.step(lost, m.Recovered(RESUMED))
    for sent_at_ms, phase in ((RESUMED + LIFE_AND_GRACE - 1, P.WATCHING), (RESUMED + LIFE_AND_GRACE, P.UNPAID)):
        asked = replace(back, seq=7, sent_at_ms=sent_at_ms)
        assert m.step(asked, m.PaymentNotListed(sent_at_ms + 1_000, 7))[0].phase is phase


@pytest.mark.bank("B4")
def test_a_clock_set_back_makes_the_lane_wait_for_its_own_end() -> None:
    back, _ = m.step(state(P.CLOSED, presented=True, outcome=m.Outcome.UNPAID), m.Recovered(BEGIN - 3_600_000))
    for sent_at_ms, phase in ((OVER - 1, P.CLOSED), (OVER, P.UNPAID)):
        assert m.step(replace(back, seq=7, sent_at_ms=sent_at_ms), answer(S.CLOSED, OVER + 1))[0].phase is phase


@pytest.mark.bank("B4")
def test_the_days_of_asking_do_not_end_right_after_a_restart() -> None:
    """A clock that was set a year forward."""
    late = OVER + 365 * 86_400_000
    back, _ = m.step(overdue(), m.Recovered(late))
    for sent_at_ms, phase in ((late, P.OVERDUE), (late + LIFE_AND_GRACE, P.UNSETTLED)):
        asked = replace(back, seq=7, sent_at_ms=sent_at_ms)
        assert m.step(asked, answer(S.OPEN, sent_at_ms + 1_000))[0].phase is phase


def test_paid_and_never_taken_is_a_case() -> None:
    paid = idle(P.PAID, outcome=m.Outcome.PAID)
    after, effects = m.step(paid, m.Recovered(BEGIN))
    assert after == replace(paid, case=m.CaseReason.GOODS_UNCERTAIN)
    assert isinstance(effects[0], m.OpenCase)
    assert effects[0].reason is m.CaseReason.GOODS_UNCERTAIN
    for settled in (replace(paid, delivered=True), replace(paid, case=m.CaseReason.GOODS_UNCERTAIN)):
        assert m.step(settled, m.Recovered(BEGIN)) == (settled, ())


def test_an_outcome_that_the_till_gives_back_is_a_case_once_whether_it_was_taken_or_not() -> None:
    for delivered in (False, True):
        paid = idle(P.PAID, outcome=m.Outcome.PAID, delivered=delivered)
        after, effects = m.step(paid, m.Recovered(BEGIN, not_accepted=True))
        assert after == replace(paid, case=m.CaseReason.GOODS_UNCERTAIN)
        assert isinstance(effects[0], m.OpenCase)
        assert "did not accept" in effects[0].detail
        assert m.step(after, m.Recovered(BEGIN, not_accepted=True)) == (after, ())


@pytest.mark.parametrize("phase", [P.WATCHING, P.CLOSED, P.OVERDUE, P.PAID, P.UNPAID, P.PAID_LATE, P.UNSETTLED])
def test_delivered(phase: m.Phase) -> None:
    before = idle(phase, outcome=m.Outcome.UNPAID)
    assert m.step(before, m.Delivered(BEGIN)) == (replace(before, delivered=True), ())
    untold = idle(phase)
    assert m.step(untold, m.Delivered(BEGIN)) == (untold, ())


# --- around the table ---------------------------------------------------------------------------------------------


def test_answers_to_other_requests_change_nothing() -> None:
    for event in (
        replace(created(), seq=6), replace(answer(S.PAID), seq=8), replace(silent(), seq=6),
        m.CancelAnswered(BEGIN, 6, m.Cancel.ACCEPTED), m.PaymentNotListed(BEGIN, 6),
        m.CreateFailed(BEGIN, 6, "", may_exist=True, final=True),
    ):  # fmt: skip
        for phase in P:
            before = state(phase)
            assert m.step(before, event) == (before, ())
    assert m.step(idle(P.WAITING), answer(S.PAID)) == (idle(P.WAITING), ())


def test_a_status_of_another_payment_counts_as_no_answer() -> None:
    after, effects = m.step(state(P.WAITING), answer(S.PAID, payment_id="p-2"))
    assert (after, effects) == (idle(P.WAITING, next_at_ms=BEGIN + 9_000), ())


def test_events_that_the_table_does_not_list_change_nothing() -> None:
    for phase, event in [(P.WAITING, m.Retry(BEGIN)), (P.PAID, m.CancelWanted(BEGIN)), (P.CANCELLING, m.Tick(END))]:
        assert m.step(state(phase), event) == (state(phase), ())


def test_a_handler_that_leaves_the_table_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = m.Rule(lambda state, event: (replace(state, phase=P.PAID), ()))
    monkeypatch.setitem(m.TABLE[P.WAITING], m.Retry, wrong)
    with pytest.raises(AssertionError, match="waiting --Retry--> paid is not in the table"):
        m.step(idle(P.WAITING), m.Retry(BEGIN))


@pytest.mark.parametrize(
    ("before", "at"),
    [
        (idle(P.CREATING, next_at_ms=5, until_ms=9), 5),
        (idle(P.CREATING, next_at_ms=9, until_ms=5), 5),
        (state(P.CREATING), None),
        (idle(P.PRESENTING, next_at_ms=5, until_ms=9), 9),
        (state(P.CANCELLING), None),
        (idle(P.WAITING, next_at_ms=BEGIN + 90_001), BEGIN + 90_000),
        (idle(P.WAITING, next_at_ms=BEGIN + 89_999), BEGIN + 89_999),
        (idle(P.WAITING, next_at_ms=END + 1, asked=True), END),
        (state(P.WAITING, next_at_ms=5), 5),
        (state(P.ASKING, next_at_ms=5), 5),
        (state(P.WAITING, next_at_ms=5, earlier_seq=6), BEGIN + 90_000),
        (state(P.ASKING, next_at_ms=5, earlier_seq=6), END),
        (idle(P.WATCHING, next_at_ms=9, until_ms=5), 9),
        (idle(P.ASKING, next_at_ms=5), 5),
        (state(P.WATCHING), None),
        *((idle(phase), None) for phase in sorted(m.FINAL, key=str)),
    ],
)
def test_due(before: m.State, at: int | None) -> None:
    assert m.due(before) == at


def test_when_an_attempt_can_be_cancelled() -> None:
    offered = [phase for phase in P if m.may_cancel(idle(phase))]
    assert offered == [P.CREATING, P.FINDING, P.PRESENTING, P.WAITING, P.ASKING]
    assert not m.may_cancel(state(P.CREATING, reason=m.EndReason.CUSTOMER))
    assert not m.may_cancel(state(P.FINDING, reason=m.EndReason.RESTART))


def test_what_must_be_on_disk_first() -> None:
    begun, _ = m.begin(plan())
    assert m.significant(None, begun, ())
    assert not m.significant(
        begun,
        replace(
            begun,
            seq=9,
            earlier_seq=8,
            busy=False,
            sent_at_ms=4,
            next_at_ms=1,
            until_ms=2,
            put_off_ms=5,
            resumed_at_ms=6,
            last_status_at_ms=3,
        ),
        (),
    )
    assert not m.significant(begun, begun, (m.SendPoll(1, ID), m.SendFind(2)))
    assert m.significant(begun, begun, (m.SendPoll(1, ID), m.SendCreate(2)))
    for changes in (
        {"may_exist": True}, {"presented": True}, {"asked": True}, {"reason": m.EndReason.CUSTOMER},
        {"delivered": True}, {"payment_id": ID}, {"phase": P.FINDING},
    ):  # fmt: skip
        assert m.significant(begun, replace(begun, **changes), ())


def test_which_states_need_recovery() -> None:
    assert [phase for phase in P if m.needs_recovery(idle(phase))] == [
        P.CREATING, P.FINDING, P.PRESENTING, P.WAITING, P.ASKING, P.CANCELLING, P.CONFIRMING, P.WATCHING,
        P.CLOSED, P.OVERDUE, P.REFUNDABLE, P.PAID,
    ]  # fmt: skip
    assert not m.needs_recovery(idle(P.PAID, delivered=True))
    assert not m.needs_recovery(idle(P.PAID, case=m.CaseReason.GOODS_UNCERTAIN))


@pytest.mark.parametrize("phase", list(P))
@pytest.mark.requirement("R17", "R18")
def test_the_gate(phase: m.Phase) -> None:
    other = idle(phase)
    reason = m.gate("A-1", None, [idle(P.UNPAID), other])
    if phase in (P.UNPAID, P.CLOSED):
        assert reason is None
    else:
        words = {
            P.PAID: "A-1 is already paid",
            P.PAID_LATE: "A-1 is already paid",
            P.REFUNDABLE: "A-1 is paid by attempt k1, whose cancellation may still refund it",
        }.get(phase, "may still be paid")
        assert words in (reason or "")
    assert m.gate("B-2", None, [other]) is None
    assert m.gate("B-2", "s", [other]) is None
    armed = idle(phase, plan=plan(sticker_id="s"))
    reason = m.gate("B-2", "s", [idle(P.PAID), armed])
    if phase in (P.PAID, P.UNPAID, P.PAID_LATE, P.CLOSED, P.REFUNDABLE):
        assert reason is None
    else:
        assert "may still be armed for order A-1" in (reason or "")
    assert m.gate("B-2", "another", [armed]) is None
    assert m.gate("B-2", None, [armed]) is None


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (m.CaseReason.AMOUNT_MISMATCH, "the acquirer took another amount for order A-1 (attempt k1)"),
        (m.CaseReason.REFUNDED, "the acquirer took and refunded the payment of order A-1 (attempt k1)"),
    ],
)
def test_the_gate_after_a_payment_that_can_take_no_more_money(case: m.CaseReason, words: str) -> None:
    """The order waits for an operator; the plate is free, since the acquirer has reported a final status."""
    armed = plan(mode=m.Mode.PLATE, sticker_id="s", plate_link=PLATE)
    other = idle(P.UNSETTLED, plan=armed, case=case)
    reason = m.gate("A-1", "s", [other])
    assert words in (reason or "")
    assert m.gate("B-2", "s", [other]) is None
    reason = m.gate("B-2", "s", [other, replace(other, case=m.CaseReason.CREATE_UNKNOWN)])
    assert "the plate s may still be armed" in (reason or "")


def leg(kopecks: int, before: int = 0, remaining: int = 0, key: str = "k1") -> m.State:
    """A paid leg of the order A-1."""
    return idle(P.PAID, plan=plan(key=key, kopecks=kopecks, tendered_by_sbp=before, remaining=remaining))


@pytest.mark.parametrize(
    ("paid", "tendered_by_sbp", "total", "reason"),
    [
        ([], 0, 253, None),
        ([], 0, None, None),
        ([], 1, 253, "this request counts 0,01"),
        ([leg(100, remaining=153)], 100, 253, None),
        ([leg(100, remaining=153)], 100, None, None),
        ([leg(100, remaining=153), leg(50, 100, 103, "k2")], 150, 253, None),
        ([leg(100, remaining=153)], 0, 253, r"paid in part \(attempt k1\): 1,00"),
        ([leg(100, remaining=153)], 99, 253, "paid in part"),
        ([leg(100, remaining=153)], 101, 253, "this lane's journal 1,00"),
        ([leg(100, remaining=153)], 100, 254, "of a total of 2,53.* and not of 2,54"),
        ([leg(252, remaining=1)], 252, 253, None),
        ([leg(253)], 253, 253, r"A-1 is already paid \(attempt k1\)"),
        ([leg(253)], 0, None, r"A-1 is already paid \(attempt k1\)"),
    ],
)
def test_the_gate_for_the_next_leg(
    paid: list[m.State], tendered_by_sbp: int, total: int | None, reason: str | None
) -> None:
    found = m.gate("A-1", None, paid, tendered_by_sbp, total)
    assert (found is None) == (reason is None), found
    if reason is not None:
        assert re.search(reason, found or "")


def test_another_orders_paid_leg_is_not_this_ones() -> None:
    assert m.gate("B-2", None, [leg(100, remaining=153)], 0, 100) is None
