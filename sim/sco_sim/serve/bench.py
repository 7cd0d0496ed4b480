"""The mock devices of one lane, the settings that use them, and what they show."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import PIL.Image

from sco_sim.display import VirtualDisplay
from sco_sim.local import free_port, settings_text, write_private
from sco_sim.nfc import ntag_picture
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.printer import VirtualPrinter
from sco_sim.screen import VirtualScreen
from sco_sim.serve.faults import BY_NAME, Fault, FaultOptions
from sco_sim.serve.sight import Button, button_in, code_in
from sco_sim.touch import VirtualTouch

if TYPE_CHECKING:
    from PIL.Image import Image

Place = Literal["paper", "screen", "display", "tag"]
PLACES: tuple[Place, ...] = ("paper", "screen", "display", "tag")
Plate = Literal["static", "dynamic"]
_ROLES = ("till", "attendant")


class Refused(Exception):
    """The bench cannot do that now; says why."""


class MockBench:
    """Printer, NFC reader with a tag, screen, touch panel, customer display, PayMaster and its phones.

    Args:
        folder: for the settings file, tokens, screen and touch panel; a temporary one if None.
        mode: display mode of the settings.
        plate: of display mode 2; with "static" the tag carries a plate's link, and gets it back at each reset.
        size: of the screen, px.
        paper_mm: width of the roll, 80 or 58.
        protocol: of the customer display, "mertech" or "qrscreen".
        host: address of the printer and PayMaster.
        printer_port, paymaster_port: 0 for free ones; the phone is on the next one of PayMaster's.
        settings_out: where the settings file goes; `lane.toml` in `folder` if None.

    Raises:
        OSError: a port is taken, or the folder cannot be used.
    """

    paymaster: PayMasterSimulator
    printer: VirtualPrinter
    reader: VirtualReader
    screen: VirtualScreen
    touch: VirtualTouch
    display: VirtualDisplay

    def __init__(
        self,
        folder: Path | None = None,
        *,
        mode: int = 1,
        plate: Plate = "dynamic",
        size: tuple[int, int] = (1024, 768),
        paper_mm: int = 80,
        protocol: str = "mertech",
        host: str = "127.0.0.1",
        printer_port: int = 0,
        paymaster_port: int = 0,
        settings_out: Path | None = None,
    ) -> None:
        self.mode, self.plate = mode, plate
        self._lock = threading.RLock()
        self._on: dict[str, FaultOptions] = {}
        self._stack = contextlib.ExitStack()
        with self._stack:
            if folder is None:
                folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sco-bench-")))
            folder.mkdir(parents=True, exist_ok=True)
            self.folder = folder.resolve()
            self.settings_path = (settings_out or self.folder / "lane.toml").resolve()
            for name in ("screen.fb", "touch.events"):
                (self.folder / name).unlink(missing_ok=True)
            enter = self._stack.enter_context
            self.paymaster = enter(
                PayMasterSimulator(
                    host=host, port=paymaster_port, phone_port=paymaster_port + 1 if paymaster_port else 0
                )
            )
            self.printer = enter(VirtualPrinter(paper_mm=paper_mm, wire=f"tcp://{host}:{printer_port}"))
            self.reader = enter(VirtualReader(_blank_tag()))
            self.screen = enter(VirtualScreen(size, path=self.folder / "screen.fb"))
            self.touch = enter(VirtualTouch(size, path=self.folder / "touch.events"))
            self.display = enter(VirtualDisplay(protocol))
            self.sticker = self.paymaster.bank.add_sticker(description="plate")
            self._renew_tag()
            self.tokens = {role: self.folder / f"{role}.token" for role in (*_ROLES, "paymaster")}
            for role in _ROLES:
                write_private(self.tokens[role], secrets.token_urlsafe(24))
            write_private(self.tokens["paymaster"], self.paymaster.token)
            self.service_url = f"http://127.0.0.1:{free_port()}"
            self.settings_path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self.settings_path, self.settings_toml())
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    # --- how a lane uses it -------------------------------------------------------------------------------------

    @property
    def devices(self) -> dict[str, str]:
        """The device URLs, by the settings' names."""
        return {
            "printer": _local(self.printer.url),
            "nfc": self.reader.url,
            "screen": self.screen.url,
            "touch": self.touch.url,
            "display": self.display.url,
        }

    @property
    def paymaster_url(self) -> str:
        """PayMaster's address for a lane on this machine."""
        return _local(self.paymaster.base_url)

    def urls(self) -> dict[str, Any]:
        """All that a test needs to find it, as JSON."""
        return {
            **self.devices,
            "paymaster": self.paymaster_url,
            "merchant_id": self.paymaster.merchant_id,
            "paymaster_token_file": str(self.tokens["paymaster"]),
            "phone": _local(self.paymaster.phone_url),
            "settings": str(self.settings_path),
            "service": self.service_url,
            **{f"{role}_token_file": str(self.tokens[role]) for role in _ROLES},
        }

    def settings_toml(self) -> str:
        """A whole settings file of a lane on these devices."""
        display: dict[str, object] = {"mode": self.mode, "plate": self.plate}
        if self.plate == "static":
            display |= {"sticker_id": self.sticker.id, "plate_link": self.sticker.payload}
        document: dict[str, Mapping[str, object]] = {
            "lane": {"pos_id": "KSO-1", "shop": "Магазин у дома"},
            "paymaster": {
                "base_url": self.paymaster_url,
                "merchant_id": self.paymaster.merchant_id,
                "token_file": str(self.tokens["paymaster"]),
            },
            "display": display,
            "devices": {**self.devices, "touch": [self.devices["touch"]]},
            "journal": {"path": "journal.db"},
            "service": {"listen": self.service_url.removeprefix("http://")},
        }
        for role in _ROLES:
            document[f"service.clients.{role}"] = {"role": role, "token_file": str(self.tokens[role])}
        return "# A lane on the mock devices of `sco-sim serve`, while it runs.\n\n" + settings_text(document)

    # --- what it shows ------------------------------------------------------------------------------------------

    def picture(self, of: Place | Literal["roll"]) -> Image:
        """The last ticket (`paper`), the whole roll, screen, display or tag, as a picture.

        Raises:
            Refused: nothing was printed yet; the screen is unplugged; there is no tag.
        """
        match of:
            case "paper":
                tickets = self.printer.tickets
                if not tickets:
                    raise Refused("nothing was printed")
                return tickets[-1].image()
            case "roll":
                return self.printer.image()
            case "screen":
                if not self.screen.plugged:
                    raise Refused("the screen is unplugged")
                size = self.screen.geometry
                return (
                    self.screen.image()
                    if self.screen.path.exists()
                    else PIL.Image.new("RGB", (size.width, size.height))
                )
            case "display":
                return self.display.image(2)
            case "tag":
                tags = list(self.reader.tags)
                if not tags:
                    raise Refused("the tag was taken away")
                return ntag_picture.image(tags[0])

    def read(self, place: Place) -> str | None:
        """What a phone reads there now: the code in the picture, or the link on the tag that answers it; None for
        nothing. No phone can read a tag while the lane's reader has its field on, or one of two tags."""
        if place == "tag":
            tags = [tag for tag in self.reader.tags if not tag.mute]
            return tags[0].uri() or None if len(tags) == 1 and not self.reader.field_on else None
        try:
            return code_in(self.picture(place))
        except (Refused, FileNotFoundError):  # the screen was unplugged just now
            return None

    def state(self) -> dict[str, Any]:
        """How everything is now, as JSON."""
        bank, face = self.paymaster.bank, self.display.face
        with self._lock:
            on = {name: options.given() for name, options in self._on.items()}
        return {
            "faults": on,
            "printer": {**self.printer.state(), "text": self.printer.text},
            "nfc": {
                "plugged": self.reader.plugged,
                "field_on": self.reader.field_on,
                "commands": self.reader.command_count,
                "tags": [
                    {
                        "product": tag.product,
                        "uid": tag.uid.hex(),
                        "link": tag.uri() or None,
                        "page_writes": sum(tag.page_writes.values()),
                    }
                    for tag in list(self.reader.tags)
                ],
            },
            "screen": {"plugged": self.screen.plugged, "frames": self.screen.frames},
            "touch": {"plugged": self.touch.plugged},
            "display": {
                "plugged": self.display.plugged,
                "link": face.link or None,
                "above": face.above,
                "below": face.below,
                "paid": face.paid,
            },
            "paymaster": {
                "offline": self.paymaster.offline,
                "creates": bank.creates,
                "cancels": bank.cancels,
                "refunds": bank.refunds,
                "payments": [
                    {
                        "id": payment.id,
                        "order": str(payment.invoice.get("orderNo", "")),
                        "amount_kopecks": payment.kopecks,
                        "status": payment.status,
                        "cancels": payment.cancel_requests,
                        "link": payment.link,
                    }
                    for payment in bank.list(None, None)
                ],
            },
        }

    # --- what is done to it -------------------------------------------------------------------------------------

    @property
    def faults(self) -> Mapping[str, FaultOptions]:
        """The faults that are on."""
        with self._lock:
            return dict(self._on)

    def begin_fault(self, name: str, options: FaultOptions) -> None:
        """Bring a fault about; one that is on begins afresh with these options.

        Raises:
            KeyError: no such fault. Refused: it does not take these options, or cannot begin now.
        """
        fault = BY_NAME[name]
        if unused := sorted(options.given().keys() - set(fault.options)):
            takes = ", ".join(fault.options) or "none"
            raise Refused(f"{name} takes no {', '.join(unused)}; its options: {takes}")
        with self._lock:
            if fault.end is not None:
                self.end_fault(name)
                self._on[name] = options
            try:
                fault.begin(self, options)
            except ValueError as error:
                self._on.pop(name, None)
                raise Refused(f"{name}: {error}") from None

    def end_fault(self, name: str) -> None:
        """End a fault; nothing happens if it is not on.

        Raises:
            KeyError: no such fault. Refused: it cannot be ended, only undone by a reset.
        """
        fault = BY_NAME[name]
        with self._lock:
            if fault.end is None:
                raise Refused(f"{name} happens once: what it leaves is undone by a reset")
            if self._on.pop(name, None) is None:
                return
            fault.end(self)
            if fault.ends_others:  # of the same device, which are still on
                for other, options in self._on.items():
                    if BY_NAME[other].end is fault.end:
                        BY_NAME[other].begin(self, options)

    def script_paymaster(self) -> None:
        """Let PayMaster do what its faults that are on say."""
        words = [
            BY_NAME[name].scripted(options) for name, options in self._on.items() if BY_NAME[name].word is not None
        ]
        self.paymaster.use(" + ".join(["leaves", *words]))

    def load_paper(self, left_mm: float | None) -> None:
        """Put a roll in with so much paper; None for one without end."""
        self.end_fault("printer.paper-out")
        self.printer.load_paper(left_mm)

    def tap(self, x: int, y: int) -> None:
        """Tap the touch panel at a px of the screen. Raises Refused."""
        if not self.touch.plugged:
            raise Refused("the touch panel is unplugged")
        if not (0 <= x < self.touch.size[0] and 0 <= y < self.touch.size[1]):
            raise Refused(f"{x},{y} is not on the screen of {self.touch.size[0]}x{self.touch.size[1]}")
        self.touch.tap(x, y)

    def tap_button(self, button: Button) -> tuple[int, int]:
        """Tap a button that is found in the screen's picture; returns where. Raises Refused."""
        place = button_in(self.picture("screen"), button)
        if place is None:
            raise Refused(f"the screen shows no button {button}")
        self.tap(*place)
        return place

    def reset(self) -> None:
        """Begin afresh for the next test: no faults, an empty roll, a new tag, a dark display, no payments.

        The screen's memory belongs to the lane that draws there, and stays.
        """
        with self._lock:
            for name in list(self._on):
                self.end_fault(name)
            self._on.clear()
            self.paymaster.go_online()
            self.paymaster.use("leaves")
            self.paymaster.bank.reset()
            self.printer.reset()
            self.reader.heal()
            self._renew_tag()
            self.display.reset()
            self.touch.forget()

    def _renew_tag(self) -> None:
        tag = _blank_tag()
        if self.plate == "static":
            tag.put_uri(self.sticker.payload)
        self.reader.tags[:] = [tag]

    # --- for the faults -----------------------------------------------------------------------------------------

    def after_octets(self, options: FaultOptions, change: Callable[[], None]) -> None:
        """Do something to the printer now, or when it has received so many more octets."""
        if options.after_octets is None:
            change()
            return

        def happen() -> None:
            if any(one is options for one in list(self._on.values())):  # it may have been ended before it began
                change()

        self.printer.after(options.after_octets, happen)


def _blank_tag() -> VirtualTag:
    return VirtualTag("ntag215")


def _local(url: str) -> str:
    """An address of all interfaces, as a lane on this machine reaches it."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:")


__all__ = ["PLACES", "Fault", "MockBench", "Place", "Plate", "Refused"]
