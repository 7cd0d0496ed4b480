"""One whole payment on an embedded PayMaster and simulated devices: what `sco-pay demo` runs.

Nothing is faked from inside: the lane is the one that ships, opened from settings; it talks HTTP to the simulated
PayMaster, ESC/POS over TCP to the printer, PN532 frames over a pty to the reader, and writes a memory-mapped screen.
The scripted customer sees only what a customer sees: the picture of the paper, of the screen, the tag's memory.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zxingcpp
from PIL import Image

import sco_sim
from sco_payment.assemble import bind_screen, open_lane, screen_ui
from sco_payment.attempt import Message, Outcome, Phase, View
from sco_payment.cli.output import outcome_json, outcome_text
from sco_payment.cli.pay import run_payment
from sco_payment.cli.terminal import JsonLines, Lines
from sco_payment.customer.ui import RETRY, Choose, LaneUI, ScreenState
from sco_payment.events import LaneEvent, StateChanged
from sco_payment.lane import Lane
from sco_payment.order import Order, Result, check_order
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE, DisplaySettings, Settings, TimingSettings
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.paymaster import NothingToPay, PayMasterSimulator
from sco_sim.screen import VirtualScreen
from sco_sim.touch import VirtualTouch

if TYPE_CHECKING:
    from sco_sim.nfc.pn532 import VirtualReader
    from sco_sim.printer import VirtualPrinter

log = logging.getLogger(__name__)

JOURNAL = "demo-journal.db"
"""Each demo begins a new one, so its name is not a lane's: `--out` may be the folder of a real one."""
_PICTURES = ("screen.png", "screen-pay.png", "screen-dialog.png", "paper.png", "tag.png")
_SCREEN_SIZE = (1024, 768)
_LOOK_S = 0.05
_THINKS_S = 2.0  # lane time between seeing the code and paying
_SCENE_S = 0.3  # wall time in which what moves on a scene, its spinner and countdown, has begun to
_PATIENCE_S = 30.0  # wall time after which a customer who sees nothing has left
_SKIP_SPEED = 200.0  # of lane time in which only waiting is left
_SKIP_ENDS_MS = 10_000  # lane time before a deadline; from there on time passes at the demo's own speed again
_SLICE_S = 0.02  # wall time after which a wait notices that the speed has changed


def decode(picture: Image.Image) -> str | None:
    """What a phone reads from the picture: one QR code, by a decoder that is not the encoder's library."""
    found = [code.text for code in zxingcpp.read_barcodes(picture.convert("L")) if code.valid]
    return found[0] if len(found) == 1 else None


class _LaneTime(ThreadRuntime[Message]):
    """Time that runs faster, but not on the customer's screen and ticket: they show what they would on a lane."""

    def __init__(self, speed: float) -> None:
        super().__init__(speed)
        self._lane_ms, self._since = float(super().now()), time.monotonic()
        self._skip_to: float | None = None
        self._lock = threading.RLock()

    def now(self) -> int:
        """Lane time, ms since the epoch."""
        with self._lock:
            passed_ms = (time.monotonic() - self._since) * 1000
            if self._skip_to is not None:
                fast = max(_SKIP_SPEED, self._speed)
                skip_ms = (self._skip_to - self._lane_ms) / fast
                if passed_ms < skip_ms:
                    return round(self._lane_ms + passed_ms * fast)
                self._lane_ms, self._since, self._skip_to = self._skip_to, self._since + skip_ms / 1000, None
                passed_ms -= skip_ms
            return round(self._lane_ms + passed_ms * self._speed)

    def skip_to(self, at: int) -> None:
        """Let the lane time until `at` pass quickly; a skip under way goes on instead."""
        with self._lock:
            now = self.now()
            if self._skip_to is None and at > now:
                self._lane_ms, self._since, self._skip_to = now, time.monotonic(), at

    def receive(self, until: int | None) -> Message | None:
        """The next message, or None when lane time reaches `until` first."""
        while until is not None and (left_ms := until - self.now()) > 0:
            with contextlib.suppress(queue.Empty):
                return self._inbox.get(timeout=min(left_ms / 1000 / self._speed, _SLICE_S))
        return super().receive(until)

    def wall(self, at: int) -> float:
        """The wall clock, were lane time to go on at its pace."""
        return time.time() + (at - self.now()) / 1000


@dataclass(frozen=True, slots=True)
class Bench:
    """The simulated devices and the simulated PayMaster of one demo."""

    paymaster: PayMasterSimulator
    printer: VirtualPrinter | None
    reader: VirtualReader | None
    screen: VirtualScreen
    touch: VirtualTouch

    def what_is_seen(self, mode: int) -> str | None:
        """The link as a customer of that display mode comes by it; None while there is none."""
        if mode == 0 and self.printer is not None:
            tickets = self.printer.tickets
            return decode(tickets[-1].image()) if tickets else None
        if mode == 2 and self.reader is not None:
            return str(self.reader.tag.uri() or "") or None
        return decode(self.screen.image())


class Stage:
    """Whether the customer may come: the lane waits for them, and its scene is completely drawn."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.shown = threading.Event()
        self.expires_at_ms = 0

    @property
    def ready(self) -> bool:
        return self.waiting.is_set() and self.shown.is_set()


class _WatchedUI:
    """The lane's screen; it notifies the stage when the scene for paying has been drawn."""

    def __init__(self, inner: LaneUI, stage: Stage) -> None:
        self._inner = inner
        self._stage = stage
        self.close = inner.close

    def bind(self, choose: Choose) -> None:
        bind_screen(self._inner, choose)

    def show(self, state: ScreenState) -> None:
        self._inner.show(state)
        if state.view is View.PAY:
            self._stage.shown.set()


class Customer(threading.Thread):
    """Looks at the lane, scans, and does as the script says. Reports what was done in `story`, photographs to `out`."""

    def __init__(
        self,
        kind: str,
        dialog: str,
        mode: int,
        bench: Bench,
        *,
        speed: float,
        stage: Stage,
        out: Path,
        skip_to: Callable[[int], None],
        now: Callable[[], int],
    ) -> None:
        super().__init__(name="customer", daemon=True)
        self._out = out
        self._kind = kind
        self._dialog = dialog
        self._mode = mode
        self._bench = bench
        self._speed = speed
        self._stage = stage
        self._skip_to, self._now = skip_to, now
        self._over = threading.Event()
        self.story: list[str] = []

    def leave(self) -> None:
        """The payment is over: stop looking."""
        self._over.set()

    def run(self) -> None:
        """The customer's minute at the lane."""
        link = self._look()
        if link is None:
            return
        if not self._over.wait(max(_THINKS_S / self._speed, _SCENE_S)):
            self._bench.screen.save_png(str(self._out / "screen-pay.png"))
        try:
            self._act(link)
        except NothingToPay as error:  # at a great speed on a slow machine the invoice is over before it is scanned
            self.story.append(f"scanned {link} too late: {error}")

    def _act(self, link: str) -> None:
        phone = self._bench.paymaster.phone
        match self._kind:
            case "pays":
                phone.pay(link)
                self.story.append(f"scanned {link} and paid")
            case "declines":
                phone.decline(link)
                self.story.append(f"scanned {link} and declined")
            case "leaves":
                self.story.append(f"scanned {link} and left")
                self._skip_to(self._stage.expires_at_ms - _SKIP_ENDS_MS)
            case "pays-offline" | "pays-late":
                self._bench.paymaster.go_offline()
                phone.pay(link)
                self.story.append(f"scanned {link} and paid while the lane had no network")
                self._skip_to(self._now() + round(TimingSettings().poll_timeout_s * 1000) - 2 * _SKIP_ENDS_MS)
                self._answer_dialog()
                if self._kind == "pays-late" and self._dialog == RETRY:
                    self._skip_to(self._stage.expires_at_ms - _SKIP_ENDS_MS)

    def _look(self) -> str | None:
        """What can be scanned, once the lane waits for the customer."""
        end = time.monotonic() + _PATIENCE_S
        while not self._over.is_set() and time.monotonic() < end:
            if self._stage.ready:
                link = self._bench.what_is_seen(self._mode)
                if link is not None:
                    return link
            self._over.wait(_LOOK_S)
        if not self._over.is_set():
            self.story.append("saw nothing to scan and left")
        return None

    def _answer_dialog(self) -> None:
        """Tap the button on the touch panel. Retry finds the network again, but not for the one who pays late."""
        while not self._over.wait(_LOOK_S):
            spot = self._button(self._dialog) if self._button(RETRY) else None
            if spot is None:
                continue
            if self._dialog == RETRY and self._kind == "pays-offline":
                self._bench.paymaster.go_online()
            self._bench.screen.save_png(str(self._out / "screen-dialog.png"))
            self._bench.touch.tap(*spot)
            self.story.append(f"tapped {self._dialog}")
            return

    def _button(self, action: str) -> tuple[int, int] | None:
        box = self._bench.screen.button(action)
        return None if box is None else (box.x + box.width // 2, box.y + box.height // 2)


class Demo:
    """One run. The arguments are those of `sco-pay demo`; amounts in kopecks."""

    def __init__(
        self,
        *,
        mode: int,
        plate: str,
        customer: str,
        dialog: str,
        amount: int,
        tendered_elsewhere: int,
        speed: float,
        out: Path,
        skip_waiting: bool,
        as_json: bool,
    ) -> None:
        self._mode, self._plate = mode, plate
        self._customer, self._dialog = customer, dialog
        self._order = Order("42", amount, tendered_elsewhere)
        self._speed, self._out = speed, out
        self._skip_waiting = skip_waiting
        self._json = JsonLines(sys.stdout) if as_json else None
        self._lines = Lines(sys.stdout)
        self._stage = Stage()

    def run(self) -> int:
        """Pay, save the pictures, print the outcome; returns the exit status.

        Raises:
            PaymentRefused: the order cannot be paid in this display mode, or at all; nothing was written. OSError.
        """
        check_order(self._order, Settings(display=DisplaySettings(mode=self._mode)))
        self._out.mkdir(parents=True, exist_ok=True)
        for name in _PICTURES:
            (self._out / name).unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            runtime = _LaneTime(self._speed)
            paymaster = stack.enter_context(PayMasterSimulator(clock=lambda: runtime.now() / 1000, script="leaves"))
            sticker = paymaster.bank.add_sticker() if self._mode == 2 and self._plate == "static" else None
            bench = Bench(
                paymaster,
                stack.enter_context(sco_sim.VirtualPrinter()) if self._mode == 0 else None,
                stack.enter_context(sco_sim.VirtualReader(uri=sticker.payload if sticker else ""))
                if self._mode == 2
                else None,
                stack.enter_context(VirtualScreen(size=_SCREEN_SIZE)),
                stack.enter_context(VirtualTouch(_SCREEN_SIZE)),
            )
            settings = self._settings(bench, sticker)
            lane = stack.enter_context(
                open_lane(
                    settings,
                    ui=_WatchedUI(screen_ui(settings), self._stage),
                    runtime=runtime,
                    observer=self._observe,
                    token=Token(paymaster.token),
                )
            )
            return self._pay(lane, bench, runtime)

    def _settings(self, bench: Bench, sticker: Any) -> Settings:
        journal = self._out / JOURNAL
        for suffix in ("", "-wal", "-shm", ".lock", ".anchor"):
            journal.with_name(journal.name + suffix).unlink(missing_ok=True)
        document: Mapping[str, Any] = {
            "lane": {"pos_id": "KSO-1", "shop": "Магазин у дома"},
            "paymaster": {"base_url": bench.paymaster.base_url, "merchant_id": bench.paymaster.merchant_id},
            "display": {"mode": self._mode, "plate": self._plate}
            | ({"sticker_id": sticker.id, "plate_link": sticker.payload} if sticker else {}),
            "devices": {
                "printer": bench.printer.url if bench.printer else "",
                "nfc": bench.reader.url if bench.reader else "",
                "screen": bench.screen.url,
                "touch": bench.touch.url,
            },
            "journal": {"path": str(journal)},
        }
        return settings_from_mapping(document, {TOKEN_VARIABLE: bench.paymaster.token}, source="demo")

    def _pay(self, lane: Lane, bench: Bench, runtime: _LaneTime) -> int:
        self._print(f"a lane in display mode {self._mode}, a customer who {self._customer.replace('-', ' ')}")
        customer = Customer(
            self._customer,
            self._dialog,
            self._mode,
            bench,
            speed=self._speed,
            stage=self._stage,
            out=self._out,
            skip_to=runtime.skip_to if self._skip_waiting else lambda at: None,
            now=runtime.now,
        )
        customer.start()
        last: list[Result] = []
        status = run_payment(lane, self._order, last.append)
        customer.leave()
        customer.join(5.0)
        runtime.drain()
        self._save_pictures(bench)
        for line in customer.story:
            self._print(f"the customer {line}")
        if self._customer == "pays-late" and last[-1].outcome is Outcome.UNKNOWN:
            bench.paymaster.go_online()
            self._print("the network is back; the lane keeps watching for late money")
            if self._skip_waiting:
                runtime.skip_to(runtime.now() + round(TimingSettings().watch_interval_s * 1000))
            lane.recover(follow=True)
        bank = bench.paymaster.bank
        if self._json is not None:
            counts = {"creates": bank.creates, "cancels": bank.cancels, "refunds": bank.refunds}
            self._json.write("paymaster", counts)
            self._json.write("outcome", outcome_json(last[-1]))
        else:
            self._lines.write(f"at PayMaster: {bank.creates} created, {bank.cancels} cancellations")
            sys.stdout.write(outcome_text(last[-1]) + "\n")
        return status

    def _observe(self, event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
            self._stage.expires_at_ms = event.expires_at_ms
            self._stage.waiting.set()
        (self._json or self._lines)(event)

    def _print(self, text: str) -> None:
        if self._json is not None:
            self._json.write("demo", {"text": text})
        else:
            self._lines.write(text)

    def _save_pictures(self, bench: Bench) -> None:
        bench.screen.save_png(str(self._out / "screen.png"))
        saved = sorted(path.name for path in self._out.glob("screen*.png"))
        if bench.printer is not None:
            bench.printer.save_png(str(self._out / "paper.png"))
            saved.append("paper.png")
        if bench.reader is not None:
            bench.reader.tag.render_png(str(self._out / "tag.png"))
            saved.append("tag.png")
        self._print(f"pictures in {self._out}: {', '.join(saved)}")
