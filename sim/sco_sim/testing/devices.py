"""The simulators with assertions: printer, tag, screen, touch panel and customer display for an integrator's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sco_sim.display import VirtualDisplay
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import Fault, VirtualReader
from sco_sim.printer import PrintedTicket, VirtualPrinter
from sco_sim.screen import VirtualScreen
from sco_sim.touch import VirtualTouch

if TYPE_CHECKING:
    from PIL.Image import Image

_IDLE_S = 20.0
_SOON_S = 10.0
FOREIGN_UID = bytes.fromhex("04ffffffffffff")


def codes_in(image: Image) -> list[str]:
    """The QR codes that an independent decoder reads in a picture, as a phone would."""
    try:
        import zxingcpp
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "zxingcpp is missing: pip install 'sco-paymaster[simulator]'", name="zxingcpp"
        ) from error

    kind = zxingcpp.barcode_formats_from_str("QRCode")
    return [str(code.text) for code in zxingcpp.read_barcodes(image.convert("L"), kind) if code.valid]


def _shown(values: list[str]) -> str:
    return ", ".join(map(repr, values)) or "nothing"


class BenchPrinter(VirtualPrinter):
    """A receipt printer on TCP. Its faults are the methods of `VirtualPrinter`: `open_cover`, `unplug`, `mute`, ..."""

    @property
    def readable_codes(self) -> list[str]:
        """What a phone reads on the paper that came out, ticket by ticket."""
        self._finish()
        return [code for ticket in self.tickets for code in codes_in(ticket.image())]

    def _finish(self) -> None:
        """Let the head finish, unless it cannot."""
        if self._machine.online:
            self.wait_idle(_IDLE_S)

    def run_out_of_paper(self, *, after_mm: float = 0.0) -> None:
        """Fault: the paper ends, at once or when `after_mm` more millimetres have come out."""
        self.load_paper(after_mm)

    def unplug_after(self, count: int) -> None:
        """Fault: the cable is pulled once `count` more bytes have come in."""
        self.after(count, self.unplug)

    def power_off_after(self, count: int) -> None:
        """Fault: the power fails once `count` more bytes have come in."""
        self.after(count, self.power_off)

    def assert_printed_once(self, *, qr: str | None = None, text: str | None = None) -> PrintedTicket:
        """Exactly one ticket with a readable code came out, whole and cut off, with the code `qr` and with `text`.

        Returns the ticket.
        """
        codes = self.readable_codes
        assert len(codes) == 1, f"expected one readable code on the paper, found {_shown(codes)}"
        if qr is not None:
            assert codes[0] == qr, f"expected the code {qr!r} on the paper, found {codes[0]!r}"
        [ticket] = [ticket for ticket in self.tickets if codes_in(ticket.image())]
        assert ticket.cut, "the ticket was not cut off"
        if text is not None:
            assert text in ticket.text, f"expected {text!r} on the ticket, found:\n{ticket.text}"
        return ticket

    def assert_no_code_printed(self) -> None:
        """No code that a phone could read came out."""
        codes = self.readable_codes
        assert not codes, f"expected no readable code on the paper, found {_shown(codes)}"

    def assert_nothing_printed(self) -> None:
        """Nothing came out at all."""
        self._finish()
        tickets = self.tickets
        assert not tickets, f"expected an empty roll, found {len(tickets)} tickets:\n{self.text}"


class BenchTag(VirtualReader):
    """A PN532 reader on a serial line with one tag on it; `url` is the reader's."""

    @property
    def link(self) -> str | None:
        """The link that a phone held to the tag opens; None for none."""
        return self.tags[0].uri() if self.tags else None

    def put(self, link: str) -> None:
        """Write `link` to the tag directly: the link of a static plate."""
        self.tag.put_uri(link)

    def tag_goes(self) -> None:
        """Fault: somebody takes the tag away, until `heal`."""
        self.inject(Fault.TAG_LEAVES)

    def foreign_tag_comes(self) -> None:
        """Fault: somebody sticks another tag over ours."""
        self.tags.append(VirtualTag(uid=FOREIGN_UID))

    def assert_carries(self, link: str) -> None:
        """A phone opens `link`."""
        assert self.link == link, f"expected the tag to carry {link!r}, it carries {self.link!r}"

    def assert_carries_nothing(self) -> None:
        """A phone opens nothing."""
        assert self.link is None or not self.link, f"expected an empty tag, it carries {self.link!r}"


class BenchScreen(VirtualScreen):
    """A screen that is mapped memory."""

    @property
    def code(self) -> str | None:
        """What a phone reads on the screen; None for nothing."""
        codes = codes_in(self.image()) if self.path.exists() else []
        return codes[0] if len(codes) == 1 else None

    def assert_shows_code(self, qr: str | None = None) -> str:
        """A phone reads exactly one code on the screen, with the content `qr`. Returns its content."""
        code = self.code
        assert code is not None, "expected a readable code on the screen, found none"
        assert qr is None or code == qr, f"expected the code {qr!r} on the screen, found {code!r}"
        return code

    def assert_shows_no_code(self) -> None:
        """A phone reads nothing on the screen."""
        assert self.code is None, f"expected no code on the screen, found {self.code!r}"

    def assert_offers(self, *actions: str) -> None:
        """Exactly these buttons are on the screen: `retry`, `cancel`."""
        found = [action for action in ("retry", "cancel") if self.button(action) is not None]
        assert found == list(actions), f"expected the buttons {_shown(list(actions))}, found {_shown(found)}"


class BenchTouch(VirtualTouch):
    """A finger on the touch panel of a `BenchScreen`."""

    def __init__(self, screen: VirtualScreen, **more: Any) -> None:
        wide, high = screen.geometry.width, screen.geometry.height
        super().__init__((high, wide) if screen.rotate in (90, 270) else (wide, high), **more)
        self._screen = screen

    def tap_button(self, action: str) -> None:
        """Tap the middle of a button on the screen: `retry`, `cancel`.

        Raises:
            AssertionError: there is no such button now.
        """
        box = self._screen.button(action)
        assert box is not None, f"there is no button {action!r} on the screen to tap"
        self.tap(box.x + box.width // 2, box.y + box.height // 2)


class BenchDisplay(VirtualDisplay):
    """A customer QR display on a serial line. Its faults are methods of `VirtualDisplay`: `unplug`, `freeze`, ..."""

    @property
    def code(self) -> str | None:
        """What a phone reads on the display; None for nothing."""
        codes = codes_in(self.image(2))
        return codes[0] if len(codes) == 1 else None

    def assert_shows_code(self, qr: str | None = None) -> str:
        """A phone reads exactly one code on the display, with the content `qr`. Returns its content."""
        self.wait(lambda face: bool(face.link) and qr in (None, face.link), _SOON_S)
        code = self.code
        assert code is not None, "expected a readable code on the customer display, found none"
        assert qr is None or code == qr, f"expected the code {qr!r} on the customer display, found {code!r}"
        return code

    def assert_shows_no_code(self) -> None:
        """A phone reads nothing on the display."""
        self.wait(lambda face: not face.link, _SOON_S)
        assert self.code is None, f"expected no code on the customer display, found {self.code!r}"
