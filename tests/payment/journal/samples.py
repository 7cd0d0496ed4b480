"""A journal with every kind of record, event, effect and enum member; the kept `version-1` files hold the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from sco_payment import attempt as m
from tests.payment.journal.kit import opened

EVENTS: tuple[m.Event, ...] = (
    m.Tick(1_000),
    m.Created(2_000, 1, "p-1", m.PaymentStatus.OPEN, 25_300, "RUB", "https://qr.nspk.ru/AS1"),
    m.Created(2_001, 1, "p-2", m.PaymentStatus.PAID, 25_301, "RUB", None),
    m.CreateFailed(3_000, 2, "нет сети", may_exist=True, final=False, wait_ms=2_000),
    m.PaymentStatusReceived(
        4_000, 3, "p-1", m.PaymentStatus.OPEN, "Confirmation", 25_300, "RUB", link="https://qr.nspk.ru/AS1"
    ),
    m.PaymentStatusReceived(4_001, 4, "p-1", m.PaymentStatus.PAID, "Settled", 25_300, "RUB", proved=False),
    m.PaymentStatusReceived(4_002, 5, "p-1", m.PaymentStatus.CLOSED, "Rejected", 25_300, "RUB"),
    m.PaymentStatusReceived(4_003, 5, "p-1", m.PaymentStatus.REFUNDED, "RETURNED", 25_300, "RUB"),
    m.PaymentStatusReceived(4_004, 5, "p-1", m.PaymentStatus.UNKNOWN, "Dancing", 25_300, "RUB"),
    m.StatusUnavailable(5_000, 6, "timed out", wait_ms=500),
    m.PaymentNotListed(6_000, 7),
    *(m.CancelAnswered(7_000, 8, result, "") for result in m.Cancel),
    m.CancelAnswered(7_001, 8, m.Cancel.NOT_ASKED, "too many requests", wait_ms=15_000),
    m.Presented(8_000, "printed"),
    m.PresentFailed(9_000, "no paper"),
    m.Retry(10_000),
    m.CancelWanted(11_000),
    m.Recovered(12_000),
    m.Delivered(13_000),
)
EFFECTS: tuple[m.Effect, ...] = (
    m.SendCreate(1),
    m.SendPoll(2, "p-1"),
    m.SendFind(3),
    m.SendCancel(4, "p-1"),
    m.Present("https://qr.nspk.ru/AS1", verified=True),
    m.Withdraw(),
    *(m.Show(view) for view in m.View),
    *(m.Finish(outcome, m.EndReason.CUSTOMER) for outcome in m.Outcome),
    *(m.Finish(m.Outcome.UNPAID, reason) for reason in m.EndReason),
)
_PLAN = m.Plan("k0", "A-0", 25_300, "RUB", m.Mode.PLATE, 500, 301_000, "sticker-7", "https://qr.nspk.ru/BS1", 700)


def states() -> Iterator[m.State]:
    """States that hold every member of every enum, each field set and unset."""
    for n, mode in enumerate(m.Mode):
        plan = m.Plan(f"k{n}", f"A-{n}", 25_300 + n, "RUB", mode, begun_at_ms=500, expires_at_ms=301_000)
        yield m.State(plan)
    timing = m.Timing(1, 2, 3, 4, 5, 6, 7, 8, 9, True, False)
    whole = m.State(
        replace(_PLAN, timing=timing), m.Phase.PAID, "p-1", "https://qr.nspk.ru/AS1", m.EndReason.CUSTOMER,
        m.Cancel.ACCEPTED, m.Outcome.UNKNOWN, m.CaseReason.LATE_MONEY, delivered=True, may_exist=True, presented=True,
        asked=True, seq=9, earlier_seq=8, busy=True, sent_at_ms=9, next_at_ms=10, until_ms=11, put_off_ms=13,
        resumed_at_ms=14, last_status_at_ms=12,
    )  # fmt: skip
    yield whole
    yield from (replace(whole, phase=phase) for phase in m.Phase)
    yield from (replace(whole, reason=reason) for reason in m.EndReason)
    yield from (replace(whole, cancel=cancel) for cancel in m.Cancel)
    yield from (replace(whole, outcome=outcome) for outcome in m.Outcome)
    yield from (replace(whole, case=case) for case in m.CaseReason)


def write(path: Path) -> None:
    """The journal, written by this release."""
    at_ms = count(1_700_000_000_000, 1_000)
    with opened(path) as journal:
        for state in states():
            journal.record(None, state, (), at_ms=next(at_ms))
        for n, event in enumerate(EVENTS):
            journal.record(event, m.State(replace(_PLAN, key="k9")), EFFECTS if n == 0 else (), at_ms=next(at_ms))
        journal.note("k9", 'оплата "по QR": \\ \n', at_ms=next(at_ms))
        for number, reason in enumerate(m.CaseReason, 1):
            state = m.State(replace(_PLAN, key=f"c{number}"), m.Phase.WATCHING, case=reason)
            opening = m.OpenCase(reason, f"detail {number}")
            assert journal.record(m.Tick(1), state, (opening,), at_ms=next(at_ms)) == number
        journal.close_case(1, operator="Иванова", resolution="деньги вернули", at_ms=next(at_ms))
        news = (m.NoteCase("nothing new"), m.NoteCase("money came", reopens=True))
        state = m.State(replace(_PLAN, key="c1"), m.Phase.PAID_LATE, case=m.CaseReason.CANCEL_REFUSED)
        assert journal.record(m.Tick(2), state, news, at_ms=next(at_ms)) == 1
        journal.close_case(2, operator="Петров", resolution="выдано", at_ms=next(at_ms))
