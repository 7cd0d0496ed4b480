"""Every fault of reader, line and tag, in the middle of a payment: it is paid by the code, and the tag recovers.

Faults strike at each stage of presenting: while the tag is looked at, while it is written, at the last command, and
while it is cleared. `tests/drivers/nfc` sweeps them over every single command of the driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sco_payment.attempt import EndReason, Outcome
from sco_payment.customer.ui import ScreenState
from sco_payment.order import Order
from sco_sim.nfc.ntag import TEARS
from sco_sim.nfc.pn532 import Fault
from tests.payment.test_lane_tag import USE_PLATE, USE_QR, watched

pytestmark = pytest.mark.usefixtures("idle_time")

# Commands of the reader in one look and in one write of a fresh link; `test_the_stages_are_where_they_are_meant`.
LOOK, WRITE = 6, 23


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("plate", ["static", "dynamic"])
def test_a_fault_at_any_stage_costs_the_tag_and_not_the_payment(tmp_path: Path, plate: str, fault: Fault) -> None:
    with watched(tmp_path, plate, invoice_life_s=900.0) as it:
        assert it.pay("first")[1] == USE_PLATE
        stages = (0, 2, LOOK - 1) if plate == "static" else (1, LOOK + 3, LOOK + 14, LOOK + WRITE, LOOK + WRITE + 12)
        used = 0
        for number, at in enumerate(stages):
            it.settle()
            # An answer that is lost once is repeated; so one of the faults lasts.
            it.reader.inject(fault, at_command=at, lasting=number == 1)
            outcome, lines, carried = it.pay(f"struck {number}")
            (attempt,) = it.lane.journal.of_order(f"struck {number}")
            link = attempt.link
            assert outcome is Outcome.PAID
            assert lines in (USE_PLATE, USE_QR)
            if plate == "dynamic":
                assert set(carried) <= {None, link}
            if lines == USE_PLATE:
                used += 1
                assert carried == [link] or (fault is Fault.TAG_LEAVES and carried == [None])  # right after the check
            else:
                timeline = it.timeline(attempt.plan.key)
                assert any(words in timeline for words in ("is not used", "was not written", "may carry"))
            assert (it.paymaster.bank.cancels, it.paymaster.bank.refunds) == (0, 0)
            it.settle()
            it.reader.heal()
        assert used < len(stages)
        outcome, lines, carried = it.pay("healed")
        assert (outcome, lines) == (Outcome.PAID, USE_PLATE)
        (attempt,) = it.lane.journal.of_order("healed")
        assert carried == [attempt.link]
        it.settle()
        assert it.reader.tag.uri() == (attempt.link if plate == "static" else None)
        assert not it.reader.field_on
        assert not any(event.disabled for event in it.events)


def test_the_stages_are_where_they_are_meant(tmp_path: Path) -> None:
    with watched(tmp_path, "dynamic") as it:
        it.pay("1")
        it.settle()
        before, written = it.reader.command_count, []

        def customer(screen: ScreenState) -> None:
            written.append(it.reader.command_count)
            it.paymaster.phone.pay(str(screen.link))

        it.ui._on_pay = customer
        it.lane.pay(Order("2", 25300))
        assert LOOK + WRITE - 3 <= written[0] - before <= LOOK + WRITE + 3


def test_a_reader_that_is_pulled_out_while_idle_and_put_in_again_is_used_again(tmp_path: Path) -> None:
    with watched(tmp_path, "dynamic") as it:
        it.lane.start()
        it.lane.recover()
        it.reader.unplug()
        it.until(lambda: bool(it.events))
        assert not it.events[0].disabled
        assert it.pay("1")[:2] == (Outcome.PAID, USE_QR)
        it.reader.replug()
        it.until(lambda: it.events[-1].problem is None)
        assert it.pay("2")[:2] == (Outcome.PAID, USE_PLATE)


@pytest.mark.parametrize("how", ["untouched", *TEARS])
def test_a_torn_tag_never_shows_a_link_that_is_not_ours(tmp_path: Path, how: str) -> None:
    with watched(tmp_path, "dynamic") as it:
        it.pay("before")
        for cut in (0, 4, 12):
            it.settle()
            it.reader.tag.tear(cut, TEARS.get(how))
            outcome, lines, carried = it.pay(f"torn at {cut}")
            (attempt,) = it.lane.journal.of_order(f"torn at {cut}")
            assert (outcome, lines) == (Outcome.PAID, USE_PLATE)  # the second attempt repairs it
            assert carried == [attempt.link]
        it.settle()
        assert it.reader.tag.uri() is None


def only_the_tag(tmp_path: Path) -> Any:
    return watched(tmp_path, "dynamic", show_qr=False, invoice_life_s=900.0)


def test_without_a_code_on_the_screen_a_silent_tag_ends_the_payment_cleanly(tmp_path: Path) -> None:
    with only_the_tag(tmp_path) as it:
        it.reader.tag.mute = True
        result = it.lane.pay(Order("1", 25300))
        assert (result.outcome, result.reason, result.case) == (Outcome.NOT_PRESENTED, EndReason.NOT_PRESENTED, None)
        assert (it.paymaster.bank.creates, it.paymaster.bank.cancels) == (1, 1)
        it.reader.heal()
        it.settle()
        assert it.reader.tag.uri() is None


def test_without_a_code_on_the_screen_a_tag_that_may_carry_the_link_counts_as_presented(tmp_path: Path) -> None:
    """The last write was made and its acknowledgement lost: a phone may read the link, so the bank is asked."""
    with only_the_tag(tmp_path) as it:
        shown: list[ScreenState] = []

        def customer(screen: ScreenState) -> None:
            shown.append(screen)
            it.paymaster.phone.pay(str(it.reader.tag.uri()))

        it.ui._on_pay = customer
        it.lane._loop.customer._presenter._nfc.get()._attempts = 1  # type: ignore[union-attr,attr-defined]
        assert it.lane.pay(Order("0", 25300)).outcome is Outcome.PAID
        it.settle()
        # The length page is the last page of the write that is about to come; the tag dies with it programmed.
        writes = sum(it.reader.tag.page_writes.values())
        assert it.lane.pay(Order("1", 25300)).outcome is Outcome.PAID
        it.settle()
        body = sum(it.reader.tag.page_writes.values()) - writes - 2
        for cut in range(max(0, body - 3), body + 4):
            it.reader.tag.tear(cut, TEARS["whole"])
            result = it.lane.pay(Order(f"torn {cut}", 25300))
            timeline = it.timeline(result.key)
            if result.outcome is Outcome.PAID and "may carry" in timeline:
                assert (it.paymaster.bank.refunds, result.case) == (0, None)
                return
            it.settle()
            it.reader.tag._tear_in = None
    pytest.fail("the last page was never torn")


def test_without_a_code_the_customer_is_not_sent_to_one(tmp_path: Path) -> None:
    """The tag may carry the link, which could not be read back; there is no other way to pay on this lane."""
    with watched(tmp_path, "dynamic", show_qr=False, invoice_life_s=900.0) as it:
        it.ui._on_pay = lambda screen: it.paymaster.phone.pay(str(it.reader.tag.uri())) and None
        assert it.lane.pay(Order("1", 25300)).outcome is Outcome.PAID
        it.settle()
        it.ui._on_pay = lambda screen: it.lane.cancel()
        it.reader.inject(Fault.SILENT, at_command=LOOK + WRITE - 1, lasting=True)
        result = it.lane.pay(Order("2", 25300))
        assert "may carry" in it.timeline(result.key)
        assert (it.ui.pay_screens[-1].link, it.ui.pay_screens[-1].lines) == (None, ())
