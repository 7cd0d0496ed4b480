"""Whole payments on real kernel devices: the lane that ships, PayMaster's simulator on the loopback, a customer.

The customer sees what a customer sees: the paper, the guest's display as the host photographs it, the tag's memory.
Devices are named as on a lane, by /dev/sco. In the middle they are pulled out.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import devices
from kernel import settle, wait_for
from report import Report
from usb_reader import UsbReader

from sco_drivers import open_nfc
from sco_payment.assemble import open_lane, screen_ui
from sco_payment.attempt import Message, Outcome, Phase
from sco_payment.customer.ui import ScreenUI
from sco_payment.events import LaneEvent, NoteAdded, StateChanged
from sco_payment.lane import Lane
from sco_payment.order import Order, Result
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.demo import decode
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.printer import VirtualPrinter
from tests.simulators.uinput import UinputTouch

SPEED = 5.0
SCREEN = "drm:///dev/sco/screen-drm"
TOUCH = "evdev:///dev/sco/touch"
_orders = iter(range(1, 1000))


class Shop:
    """A lane, its bank, and one payment at a time.

    Attributes:
        plate: the link of the lane's static plate; empty for a lane without one.
        presented: how the link of the latest payment was presented to the customer.
    """

    def __init__(self, lane: Lane, bank: PayMasterSimulator, ui: ScreenUI) -> None:
        self.lane, self.bank, self._ui = lane, bank, ui
        self.plate = lane.settings.display.plate_link
        self.presented = ""
        self.waiting = threading.Event()
        self._result: list[Result] = []
        self._thread = threading.Thread()

    def observe(self, event: LaneEvent) -> None:
        """The lane's observer."""
        if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
            self.waiting.set()
        elif isinstance(event, NoteAdded) and event.text.startswith("presented: "):
            self.presented = event.text

    def begin(self) -> None:
        """A customer chose to pay by QR code."""
        self.waiting.clear()
        self._result.clear()
        order = Order(str(next(_orders)), 25300, 0)
        self._thread = threading.Thread(target=lambda: self._result.append(self.lane.pay(order)), daemon=True)
        self._thread.start()

    def end(self, seconds: float = 120) -> Result:
        """How it ended."""
        self._thread.join(seconds)
        assert self._result, f"the payment has not ended in {seconds:.0f} s"
        return self._result[0]

    def paid(self) -> None:
        """AssertionError unless it ended paid, with one payment at the bank and no cancellation."""
        before = self.bank.bank.cancels
        result = self.end()
        assert result.outcome is Outcome.PAID, f"{result.outcome}, {result.reason}"
        assert self.bank.bank.cancels == before, "a paid payment was cancelled"

    def button(self, action: str) -> tuple[int, int]:
        """A place on the screen where that button answers."""
        screen = self._ui._screen.get()
        wide, high = screen.size
        for y in range(0, high, 12):
            for x in range(0, wide, 12):
                if screen.button_at(x, y, None) == action and screen.button_at(x + 12, y + 12, None) == action:
                    return x + 8, y + 8
        raise AssertionError(f"the screen has no button {action}")


@contextmanager
def shop(mode: int, **sections: dict[str, Any]) -> Iterator[Shop]:
    """A lane in this display mode; sections of settings are merged over the usual ones."""
    folder = Path("/tmp/lane")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    runtime: ThreadRuntime[Message] = ThreadRuntime(SPEED)
    with PayMasterSimulator(clock=lambda: runtime.now() / 1000, script="leaves") as bank:
        display = {"mode": mode} | sections.get("display", {})
        if display.get("plate") == "static":
            sticker = bank.bank.add_sticker()
            display |= {"sticker_id": sticker.id, "plate_link": sticker.payload}
        document: dict[str, dict[str, Any]] = {
            "lane": {"pos_id": "KSO-1", "shop": "Магазин у дома"},
            "paymaster": {"base_url": bank.base_url, "merchant_id": bank.merchant_id},
            "display": display,
            "devices": {"screen": SCREEN} | sections.get("devices", {}),
            "timing": {"invoice_life_s": 200.0, "poll_timeout_s": 60.0, "grace_s": 60.0},
            "journal": {"path": str(folder / "journal.db")},
        }
        settings = settings_from_mapping(document, {TOKEN_VARIABLE: bank.token}, source="virtual bench")
        ui = screen_ui(settings)
        assert isinstance(ui, ScreenUI)
        seen: list[Shop] = []
        with open_lane(
            settings,
            ui=ui,
            runtime=runtime,
            token=Token(bank.token),
            observer=lambda event: seen[0].observe(event),
        ) as lane:
            seen.append(Shop(lane, bank, ui))
            yield seen[0]
            problems = lane.journal.verify()
            assert not problems, f"the journal: {problems}"


def run_all(report: Report, printer: devices.UsbPrinter, reader: UsbReader) -> None:
    """Each display mode, and what is pulled out in the middle."""

    def printed() -> None:
        """Mode 0: the code comes out of the USB printer, is read from the paper, and is paid."""
        with printer.on() as paper, shop(0, devices={"printer": "lp:///dev/sco/printer"}) as lane:
            lane.begin()
            lane.bank.phone.pay(read_from(paper, 1))
            lane.paid()
            assert lane.bank.bank.creates == 1
            assert len(paper.codes) == 1

    def printer_pulled_out() -> None:
        """Mode 0: the printer is pulled out in mid-ticket; no second payment is created; the next order is paid."""
        with printer.on() as paper, shop(0, devices={"printer": "lp:///dev/sco/printer"}) as lane:
            paper.after(60, paper.unplug)
            lane.begin()
            result = lane.end()
            assert result.outcome is not Outcome.PAID, f"{result.outcome}, {result.reason}"
            assert lane.bank.bank.creates == 1, f"{lane.bank.bank.creates} payments were created"
            assert lane.bank.bank.cancels <= 1, f"{lane.bank.bank.cancels} cancellations"
            assert not paper.codes, "a whole code is on the paper"
            paper.plug_in()
            wait_for(lambda: Path("/dev/sco/printer").exists(), "udev names the printer again")
            lane.begin()
            lane.bank.phone.pay(read_from(paper, 1))
            lane.paid()

    def printer_absent() -> None:
        """Mode 0: without a printer the order is not presented; once it is plugged in the next one is paid."""
        with printer.on() as paper, shop(0, devices={"printer": "lp:///dev/sco/printer"}) as lane:
            paper.unplug()
            wait_for(lambda: not Path("/dev/sco/printer").exists(), "the printer is gone")
            lane.begin()
            result = lane.end()
            assert result.outcome is Outcome.NOT_PRESENTED, f"{result.outcome}, {result.reason}"
            paper.plug_in()
            wait_for(lambda: Path("/dev/sco/printer").exists(), "udev names the printer again")
            lane.begin()
            lane.bank.phone.pay(read_from(paper, 1))
            lane.paid()

    def on_the_screen() -> None:
        """Mode 1: the host photographs the code on the guest's display, and it is paid."""
        with UinputTouch((800, 600)), shop(1, devices={"touch": TOUCH}) as lane:
            lane.begin()
            lane.bank.phone.pay(read_from_screen(report, lane, "payment-mode-1"))
            lane.paid()
            assert lane.bank.bank.creates == 1

    def dialog_by_touch() -> None:
        """Mode 1: no network; the customer taps "Повторить" on the panel, and it is paid."""
        with UinputTouch((800, 600)) as finger, shop(1, devices={"touch": TOUCH}) as lane:
            lane.begin()
            link = read_from_screen(report, lane, "payment-mode-1")
            lane.bank.go_offline()
            lane.bank.phone.pay(link)
            wait_for(lambda: has_button(lane, "retry"), "the dialog is shown", 90)
            report.ask(look="payment-dialog")
            lane.bank.go_online()
            finger.tap(*lane.button("retry"))
            lane.paid()

    def panel_and_display_pulled_out() -> None:
        """Mode 1: panel and display are pulled out and come back; a tap on the new panel cancels."""
        status = next(Path("/sys/class/drm").glob("card*-*/status"))
        with shop(1, devices={"touch": TOUCH}) as lane:
            with UinputTouch((800, 600)):
                settle()
                lane.begin()
                read_from_screen(report, lane, "payment-mode-1")
            status.write_text("off")
            wait_for(lambda: not Path("/dev/sco/touch").exists(), "the panel is gone")
            status.write_text("on")
            try:
                with UinputTouch((800, 600)) as finger:
                    wait_for(lambda: Path("/dev/sco/touch").exists(), "udev names the new panel")
                    read_from_screen(report, lane, "payment-mode-1-replugged")
                    tap_until_cancelled(finger, lane)
                    result = lane.end()
            finally:
                status.write_text("detect")
            assert result.outcome is Outcome.UNPAID, f"{result.outcome}, {result.reason}"
            assert lane.bank.bank.cancels == 1, f"{lane.bank.bank.cancels} cancellations"

    def from_the_tag() -> None:
        """Mode 2: the link is on the tag, is read from it and paid; the tag is cleared."""
        reader.plug()
        tag = reader.chip.tag
        with shop(2, display={"plate": "dynamic"}, devices={"nfc": reader.url}) as lane:
            lane.begin()
            lane.bank.phone.pay(read_from_tag(lane, reader))
            lane.paid()
            wait_for(lambda: not tag.uri(), "the tag is cleared")
            wait_for(lambda: not reader.chip.field_on, "the field is off, so that phones can read the tag")

    def reader_pulled_out() -> None:
        """Mode 2: the reader is pulled out once the link is on the tag; it is paid, and the tag is cleared later."""
        reader.plug()
        tag = reader.chip.tag
        with shop(2, display={"plate": "dynamic"}, devices={"nfc": reader.url}) as lane:
            lane.lane.start()
            lane.begin()
            link = read_from_tag(lane, reader)
            reader.unplug()
            lane.bank.phone.pay(link)
            lane.paid()
            assert tag.uri() == link, "who cleared the tag?"
            reader.plug()
            wait_for(lambda: not tag.uri(), "the tag is cleared", 90)

    def from_the_plate() -> None:
        """Mode 2, static: the tag is verified, the plate armed; its link is scanned and paid, and waits no longer."""
        reader.plug()
        tag = reader.chip.tag
        with shop(2, display={"plate": "static"}, devices={"nfc": reader.url}) as lane:
            encode(reader, lane.plate)
            writes = tag.page_writes.total()
            (sticker,) = lane.bank.bank.stickers.values()
            lane.begin()
            assert read_from_tag(lane, reader) == read_from_screen(report, lane, "payment-plate") == lane.plate
            assert lane.presented == "presented: on the plate and the verified tag", lane.presented
            assert sticker.armed_by in lane.bank.bank.payments, "no sum waits on the plate"
            lane.bank.phone.pay(lane.plate)
            lane.paid()
            assert (tag.uri(), tag.page_writes.total()) == (lane.plate, writes), "the tag was written to"
            assert sticker.armed_by is None, "a sum still waits on the plate"

    def reader_pulled_out_of_the_plate() -> None:
        """Mode 2, static: the printed plate is paid while its reader is out; once it is back the tag is used again."""
        reader.plug()
        with shop(2, display={"plate": "static"}, devices={"nfc": reader.url}) as lane:
            encode(reader, lane.plate)
            lane.begin()
            read_from_tag(lane, reader)
            reader.unplug()
            lane.bank.phone.pay(lane.plate)
            lane.paid()
            for plugged, presented in (
                (False, "presented: on the plate; the tag is not used: "),
                (True, "presented: on the plate and the verified tag"),
            ):
                if plugged:
                    reader.plug()
                lane.begin()
                assert lane.waiting.wait(60), "the lane does not wait for the customer"
                lane.bank.phone.pay(lane.plate)
                lane.paid()
                assert lane.presented.startswith(presented), lane.presented
            assert lane.bank.bank.creates == 3, f"{lane.bank.bank.creates} payments were created"

    for device, function in (
        ("payment-mode-0", printed),
        ("payment-mode-0", printer_pulled_out),
        ("payment-mode-0", printer_absent),
        ("payment-mode-1", on_the_screen),
        ("payment-mode-1", dialog_by_touch),
        ("payment-mode-1", panel_and_display_pulled_out),
        ("payment-mode-2", from_the_tag),
        ("payment-mode-2", reader_pulled_out),
        ("payment-mode-2-static", from_the_plate),
        ("payment-mode-2-static", reader_pulled_out_of_the_plate),
    ):
        report.check(device, function.__name__.replace("_", "-"), function)


def read_from(paper: VirtualPrinter, tickets: int) -> str:
    """What a phone reads on the last ticket, once so many tickets have a code."""
    wait_for(lambda: len(paper.codes) >= tickets and paper.tickets[-1].cut, "the ticket comes out", 60)
    link = decode(paper.tickets[-1].image())
    assert link, "the code on the paper cannot be read"
    return link


def read_from_screen(report: Report, lane: Shop, name: str) -> str:
    """What a phone reads on the display."""
    assert lane.waiting.wait(60), "the lane does not wait for the customer"
    found: list[str] = []

    def look() -> bool:
        found[:] = report.ask(look=name)["codes"]
        return len(found) == 1

    wait_for(look, "the display shows the code", 60)
    return found[0]


def read_from_tag(lane: Shop, reader: UsbReader) -> str:
    """What a phone reads from the tag."""
    assert lane.waiting.wait(60), "the lane does not wait for the customer"
    assert not reader.chip.field_on, "the reader's field is on: no phone can read the tag"
    link = reader.chip.tag.uri()
    assert link, "the tag carries no link"
    return str(link)


def encode(reader: UsbReader, link: str) -> None:
    """Make the tag the plate's, as is done once in the shop."""
    with open_nfc(reader.url) as nfc:
        nfc.write_uri(link)


def has_button(lane: Shop, action: str) -> bool:
    """Whether the screen has that button now."""
    try:
        lane.button(action)
    except AssertionError:
        return False
    return True


def tap_until_cancelled(finger: UinputTouch, lane: Shop) -> None:
    """Tap "Отменить" until the acquirer has the cancellation, as a customer does: a new panel is not read at once, and
    the scene may be redrawn under the finger."""

    def cancelled() -> bool:
        if lane.bank.bank.cancels:
            return True
        if has_button(lane, "cancel"):
            finger.tap(*lane.button("cancel"))
        return False

    wait_for(cancelled, "the tap on the button is received", 30, every_s=0.5)
