"""The NFC tag of a whole lane: watched while idle, out of use once tampered with, cleared after every payment."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sco_payment.assemble import open_lane
from sco_payment.attempt import Outcome, Phase
from sco_payment.events import LaneEvent, StateChanged, TagChanged, TagEnduranceExceeded
from sco_payment.journal import JournalError
from sco_payment.lane import Lane
from sco_payment.order import Order
from sco_payment.paymaster.token import Token
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.nfc.simulated_field import SimulatedField
from sco_sim.paymaster import Bank, PayMasterSimulator
from tests.payment.lane_kit import OwnUI, bench
from tests.simulators.rcs380 import VirtualRcs380

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25300)
EVIL = "https://evil.example/"
USE_QR = ("NFC-метка недоступна, используйте QR-код",)
USE_PLATE = ("Отсканируйте QR-код с наклейки или считайте NFC-метку",)
STRANGER = bytes.fromhex("04ffeeddccbbaa")


class Watched:
    """A lane with a tag, and what its observer received about the tag."""

    def __init__(self, lane: Lane, paymaster: PayMasterSimulator, reader: SimulatedField, ui: OwnUI) -> None:
        self.lane, self.paymaster, self.reader, self.ui = lane, paymaster, reader, ui
        self.events: list[TagChanged] = []
        self.worn: list[TagEnduranceExceeded] = []

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < end, f"it never happened; events so far: {self.events}"
            time.sleep(0.01)

    def settle(self) -> None:
        """Wait until the devices have done what was asked of them."""
        self.lane._runtime.drain()  # type: ignore[attr-defined]

    def timeline(self, key: str) -> str:
        return " ".join(str(record.body) for record in self.lane.journal.timeline(key))

    def pay(self, number: str = "42") -> tuple[Outcome | None, tuple[str, ...], list[str | None]]:
        """Outcome, the lines next to the code, and what the tag carried while the customer could pay."""
        carried: list[str | None] = []

        def customer(screen: Any) -> None:
            carried.append(self.reader.tag.uri() if self.reader.tags else None)
            self.paymaster.phone.pay(str(screen.link))

        self.ui._on_pay = customer
        outcome = self.lane.pay(Order(number, 25300)).outcome
        return outcome, self.ui.pay_screens[-1].lines, carried


At = Callable[[str], AbstractContextManager[tuple[SimulatedField, str]]]


@contextmanager
def pn532(uri: str) -> Iterator[tuple[SimulatedField, str]]:
    """The simulated reader, a tag with `uri` before it, and its URL."""
    with VirtualReader(uri=uri) as reader:
        yield reader, reader.url


@contextmanager
def rcs380(uri: str) -> Iterator[tuple[SimulatedField, str]]:
    reader = VirtualRcs380(uri=uri)
    with reader.on_the_bus() as url:
        yield reader, url


@contextmanager
def watched(
    tmp_path: Path, plate: str, *, show_qr: bool = True, at: At = pn532, invoice_life_s: float = 120.0
) -> Iterator[Watched]:
    """A lane with a tag. Its time runs 20 times faster than the reader's: one that is silent needs a long invoice."""
    ui = OwnUI()
    payload = Bank(lambda: 0.0).add_sticker().payload  # what the plate carries is known before the lane is set up
    events: list[TagChanged] = []
    worn: list[TagEnduranceExceeded] = []
    with at(payload if plate == "static" else "") as (reader, url):
        display: dict[str, Any] = {"mode": 2, "plate": plate, "qr_with_plate": show_qr}
        if plate == "static":
            display |= {"sticker_id": "st-000001", "plate_link": payload}
        devices = {"nfc": url, "nfc_uid": reader.tag.uid.hex()}

        def observe(event: LaneEvent) -> None:
            if isinstance(event, TagChanged):
                events.append(event)
            elif isinstance(event, TagEnduranceExceeded):
                worn.append(event)

        timing = {"invoice_life_s": invoice_life_s, "poll_timeout_s": 30.0, "grace_s": 60.0, "tag_check_s": 2.0}
        with bench(tmp_path, ui=ui, observer=observe, display=display, devices=devices, timing=timing) as (lane, bank):
            if plate == "static":
                assert bank.bank.add_sticker().payload == payload
            case = Watched(lane, bank, reader, ui)
            case.events, case.worn = events, worn
            yield case


def put_a_card_over(reader: SimulatedField) -> None:
    reader.tags[:] = [VirtualTag(uid=STRANGER, uri=str(reader.tag.uri() or ""))]


def put_a_card_next_to_it(reader: SimulatedField) -> None:
    reader.tags.append(VirtualTag(uid=STRANGER))


@pytest.mark.parametrize("plate", ["static", "dynamic"])
@pytest.mark.parametrize(
    ("act", "at", "message"),
    [
        (put_a_card_over, pn532, f"a tag {STRANGER.hex()} is there instead of"),
        (put_a_card_next_to_it, pn532, f"a second tag {STRANGER.hex()} lies with"),
        (put_a_card_over, rcs380, f"a tag {STRANGER.hex()} is there instead of"),
        (put_a_card_next_to_it, rcs380, "several tags answer at once"),
    ],
)
def test_an_object_on_the_idle_tag_is_reported_and_nfc_returns_when_it_is_gone(
    tmp_path: Path, plate: str, act: Callable[[SimulatedField], None], at: At, message: str
) -> None:
    with watched(tmp_path, plate, at=at) as it:
        ours = it.reader.tag
        it.lane.start()
        act(it.reader)
        it.until(lambda: bool(it.events))
        assert (it.events[0].disabled, it.events[0].needs_operator) == (True, False)
        assert message in str(it.events[0].problem)
        outcome, lines, _ = it.pay()
        assert (outcome, lines) == (Outcome.PAID, USE_QR)
        it.reader.tags[:] = [ours]
        it.until(lambda: it.events[-1].problem is None)
        outcome, lines, carried = it.pay("43")
        assert (outcome, lines) == (Outcome.PAID, USE_PLATE)
        assert carried != [None]


@pytest.mark.parametrize("plate", ["static", "dynamic"])
def test_a_tag_that_was_written_by_others_stays_out_of_use_until_an_operator_has_looked(
    tmp_path: Path, plate: str
) -> None:
    with watched(tmp_path, plate) as it:
        good = bytes(it.reader.tag.memory)
        it.lane.start()
        it.lane.recover()
        it.until(lambda: it.reader.commands[0x4A] >= 4)  # it has looked before the stranger comes
        it.reader.tag.put_uri(EVIL)
        it.until(lambda: bool(it.events))
        assert EVIL in str(it.events[0].problem)
        assert it.events[0].needs_operator
        outcome, lines, carried = it.pay()
        assert (outcome, lines) == (Outcome.PAID, USE_QR)
        if plate == "dynamic":
            assert carried == [None]  # the stranger's link was taken off at once
        it.reader.tag.memory[:] = good
        assert it.pay("43")[1] == USE_QR
        it.lane.enable_tag()
        assert it.pay("44")[:2] == (Outcome.PAID, USE_PLATE)


@pytest.mark.parametrize("plate", ["static", "dynamic"])
def test_a_payment_checks_the_tag_before_using_it_without_any_idle_check(tmp_path: Path, plate: str) -> None:
    with watched(tmp_path, plate) as it:
        assert it.pay("1")[1] == USE_PLATE
        it.settle()
        it.reader.tag.put_uri(EVIL)
        outcome, lines, _ = it.pay("2")
        assert (outcome, lines) == (Outcome.PAID, USE_QR)
        assert it.paymaster.bank.creates == 2
        assert len(it.events) == 1
        (attempt,) = it.lane.journal.of_order("2")
        assert EVIL in it.timeline(attempt.plan.key)


def test_our_own_link_is_not_tampering_when_something_lay_there_while_it_was_cleared(tmp_path: Path) -> None:
    with watched(tmp_path, "dynamic") as it:
        it.pay("1")
        it.settle()

        def customer(screen: Any) -> None:
            it.paymaster.phone.pay(str(screen.link))
            put_a_card_next_to_it(it.reader)

        it.ui._on_pay = customer
        it.lane.pay(Order("2", 25300))
        it.settle()
        assert it.reader.tag.uri() is not None  # nothing is written while two tags are there
        assert [event.needs_operator for event in it.events] == [False]
        it.reader.tags.pop()
        assert it.pay("3")[1] == USE_QR  # it is cleared, and good once
        assert it.pay("4")[:2] == (Outcome.PAID, USE_PLATE)
        assert [event.disabled for event in it.events] == [True, False]


def test_a_strangers_link_is_off_the_tag_before_the_customer_pays(tmp_path: Path) -> None:
    with watched(tmp_path, "dynamic") as it:
        it.pay("1")
        it.settle()
        it.reader.tag.put_uri(EVIL)
        outcome, lines, carried = it.pay("2")
        assert (outcome, lines, carried) == (Outcome.PAID, USE_QR, [None])
        assert it.events[0].needs_operator


def test_what_a_crash_left_on_a_dynamic_tag_is_cleared_at_start(tmp_path: Path) -> None:
    with watched(tmp_path, "dynamic") as it:
        it.reader.tag.put_uri("https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02")
        it.lane.start()
        it.until(lambda: it.reader.tag.uri() is None)
        assert it.events == []  # our own link is not tampering


def test_the_writes_of_a_dynamic_tag_are_counted_and_a_worn_one_is_reported(tmp_path: Path) -> None:
    count = tmp_path / "journal.db.tags"
    with watched(tmp_path, "dynamic") as it:
        for number in ("42", "43"):
            assert it.pay(number)[0] is Outcome.PAID
        it.settle()
        uid, busiest = it.reader.tag.uid.hex(), max(it.reader.tag.page_writes.values())
    assert json.loads(count.read_text()) == {uid: busiest}
    count.write_text(json.dumps({uid: 99_990}))
    with watched(tmp_path, "dynamic") as it:
        assert it.pay("44")[0] is Outcome.PAID
        it.settle()
        assert [(worn.uid, worn.write_count, worn.endurance) for worn in it.worn] == [(uid, 99_991, 100_000)]


def test_a_static_tag_is_not_counted(tmp_path: Path) -> None:
    with watched(tmp_path, "static") as it:
        assert it.pay()[0] is Outcome.PAID
    assert not (tmp_path / "journal.db.tags").exists()


def test_a_clearing_that_failed_is_noted_and_made_again_while_idle(tmp_path: Path) -> None:
    with watched(tmp_path, "dynamic") as it:

        def customer(screen: Any) -> None:
            it.paymaster.phone.pay(str(screen.link))
            it.reader.tag.mute = True

        it.ui._on_pay = customer
        result = it.lane.pay(ORDER)
        assert result.outcome is Outcome.PAID
        it.settle()
        assert "was not cleared" in it.timeline(result.key)
        assert it.reader.tag.uri() is not None
        it.reader.heal()
        it.lane.start()
        it.until(lambda: it.reader.tag.uri() is None)


def test_an_attempt_that_a_crash_left_takes_no_later_customers_link_off_the_tag(tmp_path: Path) -> None:
    """The final status of the first payment arrives while the second customer is at the lane."""
    with watched(tmp_path, "dynamic") as it:
        it.ui._on_pay = lambda screen: it.lane.journal.close()
        with pytest.raises(JournalError):
            it.lane.pay(Order("1", 25300))
        it.settle()
        it.lane._loop.customer._presenter.close()  # as the system does for a process that has died
        first_is_over, carried = threading.Event(), []

        def observe(event: LaneEvent) -> None:
            if isinstance(event, StateChanged) and event.order_no == "1" and event.phase is Phase.CLOSED:
                first_is_over.set()

        def customer(screen: Any) -> None:
            def comes_later() -> None:
                assert first_is_over.wait(15)
                time.sleep(0.1)  # what it asks of the devices follows
                it.settle()
                carried.append(it.reader.tag.uri())
                it.paymaster.phone.pay(str(screen.link))

            threading.Thread(target=comes_later).start()

        it.ui._on_pay = customer
        token = Token(it.paymaster.token)
        with open_lane(it.lane.settings, ui=it.ui, runtime=it.lane._runtime, token=token, observer=observe) as again:
            assert again.pay(Order("2", 25300)).outcome is Outcome.PAID
            (second,) = again.journal.of_order("2")
            assert carried == [second.link]
            it.settle()
            assert it.reader.tag.uri() is None


def test_a_lane_without_its_reader_says_where_the_code_is(tmp_path: Path) -> None:
    """«presented: the tag is not used» would leave open whether the customer saw anything."""
    devices = {"nfc": f"pn532://{tmp_path}/none"}
    with bench(tmp_path, "pays", display={"mode": 2, "plate": "dynamic"}, devices=devices) as (lane, _):
        result = lane.pay(ORDER)
        assert result.outcome is Outcome.PAID
        notes = [str(record.body.get("text")) for record in lane.journal.timeline(result.key)]
        assert any(text.startswith("presented: on the screen only; the tag is not used: ") for text in notes), notes
