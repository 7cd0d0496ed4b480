"""Printer, tag reader, screen and touch panel of a run: the production drivers on wires of bytes in simulated time.

The printer's inside and the reader's chip are the shipped simulators'; what carries the bytes is here. The screen is a
`Screen` that keeps scenes. Device URLs `simulate://` lead to the openers, as they would to a third party's.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

from sco_drivers.errors import DeviceGone, DeviceNotFound
from sco_drivers.printer.escpos import EscPosPrinter, Options
from sco_drivers.screen import Box, Scene
from sco_drivers.touch import Tap
from sco_drivers.urls import DeviceUrl
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import Fault as ReaderFault
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.printer.machine import INFINITE_MM, Machine, Traits
from sco_sim.printer.roll import Paper
from tests.verification.clock import US, Clock, Killed, Signal
from tests.verification.simulate.faults import Faults

if TYPE_CHECKING:
    from tests.verification.simulate.run import Run

CURRENT: list[Run] = []
"""The run whose devices the openers open."""
BUTTON = Box(0, 0, 10, 10)


# --- printer ------------------------------------------------------------------------------------------------------


class PrinterOnDesk:
    """The printer, which outlives the lane's process."""

    def __init__(self, clock: Clock, faults: Faults, note: Callable[[str], None]) -> None:
        self.clock = clock
        self.faults = faults
        self.note = note
        random = faults.random
        traits = Traits(
            head_mm_s=random.choice((0.0, 100.0, 200.0)),
            process_id=random.random() < 0.8,
            clear_buffer=random.random() < 0.7,
            buffer_bytes=random.choice((4096, 256)),
        )
        self.machine = Machine(Paper(80, 576, 203), traits)
        self.plugged = True
        self.mute = False
        self.stalled_until = 0
        self.generation = 0

    @property
    def codes(self) -> list[str]:
        """What a phone can read on the roll, in order."""
        return [mark.code.text for mark in self.machine.roll if mark.code and mark.whole]

    def run(self) -> None:
        """Let the head go on."""
        self.machine.run(self.clock.s)
        due = self.machine.due()
        if due is not None:
            self.clock.at(round(due * US) + 1, self._head)

    def _head(self) -> None:
        self.machine.run(self.clock.s)
        due = self.machine.due()
        if due is not None and due > self.clock.s:
            self.clock.at(round(due * US) + 1, self._head)

    def trouble(self) -> None:
        """What people and cables may do to it while bytes arrive."""
        faults = self.faults
        heal = faults.random.uniform(1.0, 60.0)
        if faults.strikes("paper out", 0.3):
            self.note("printer: the paper has run out")
            self.machine.left_mm = faults.random.uniform(0.0, 60.0)
            self.clock.after(heal, self.repair)
        if faults.strikes("cover", 0.3):
            self.note("printer: the cover is opened")
            self.machine.cover_open = True
            self.clock.after(heal, self.repair)
        if faults.strikes("printer mute", 0.3):
            self.note("printer: sends no status")
            self.mute = True
            self.clock.after(heal, self.repair)
        if faults.strikes("printer stalls", 0.3):
            self.note("printer: takes no bytes")
            self.stalled_until = self.clock.us + round(faults.random.uniform(1.0, 30.0) * US)
        power = faults.strikes("printer power", 0.3)
        if power or faults.strikes("printer gone", 0.3):
            self.note("printer: loses power" if power else "printer: the cable is pulled")
            if power:
                self.machine.power_cycle()
            self.plugged = False
            self.generation += 1
            self.clock.after(heal, self.repair)

    def repair(self) -> None:
        """An attendant fixes it."""
        self.machine.left_mm = INFINITE_MM
        self.machine.cover_open = self.mute = False
        self.plugged = True
        self.run()


class PrinterWire:
    """See `sco_drivers.printer.transports.Transport`."""

    def __init__(self, printer: PrinterOnDesk, url: str, alive: Callable[[], bool]) -> None:
        self._printer = printer
        self._url = url
        self._alive = alive
        self._generation = printer.generation

    def _check(self) -> None:
        if not self._alive():
            raise Killed
        if self._generation != self._printer.generation or not self._printer.plugged:
            raise DeviceGone("the connection broke", url=self._url)

    def write(self, data: bytes, timeout_s: float) -> int:
        printer, clock = self._printer, self._printer.clock
        end = clock.us + ceil(timeout_s * US)  # never 0: time must pass
        taken = 0
        while taken < len(data):
            self._check()
            room = 0 if clock.us < printer.stalled_until else min(printer.machine.room, 64)
            if room:
                piece = data[taken : taken + room]
                printer.machine.feed(piece, clock.s)
                printer.run()
                taken += len(piece)
                printer.trouble()
            elif clock.us >= end:
                break
            clock.sleep(0.002 if room else 0.05)
        self._check()
        return taken

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        return self.write(data, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        printer, clock = self._printer, self._printer.clock
        end = clock.us + ceil(timeout_s * US)  # never 0: time must pass
        while True:
            self._check()
            printer.run()
            if printer.mute:
                printer.machine.output.clear()
            if printer.machine.output:
                data = bytes(printer.machine.output)
                printer.machine.output.clear()
                return data
            if clock.us >= end:
                return b""
            clock.sleep(min(0.05, max(0.0001, (end - clock.us) / US)))

    def close(self, *, discard: bool = False) -> None:
        """The next wire connects again."""


def open_printer(url: DeviceUrl) -> EscPosPrinter:
    run = CURRENT[-1]
    process = run.process

    def connect() -> PrinterWire:
        if not process.alive:
            raise Killed
        if not run.printer.plugged:
            raise DeviceNotFound("nothing answers there", url=url.text)
        return PrinterWire(run.printer, url.text, lambda: process.alive)

    return EscPosPrinter(url, Options.of(url), connect, run.wall, process.printer_memory)


# --- tag and reader -----------------------------------------------------------------------------------------------


class ReaderOnDesk(VirtualReader):
    """The shipped reader without its pty and thread: bytes in by `take`, bytes out in `answers`."""

    def __init__(self, tag: VirtualTag, faults: Faults, note: Callable[[str], None]) -> None:
        self.line_up = True
        self.answers = bytearray()
        self.line_baud = 115200
        self.the_tag = tag
        self.trouble = faults
        self._note = note
        self._buffer = bytearray()
        super().__init__(tag)

    def _plug(self) -> None:
        """It needs no line of the operating system."""
        self._master = 0

    def take(self, data: bytes) -> None:
        if self._next_baud is not None:
            self.baud, self._next_baud = self._next_baud, None
        elif self.line_baud != self.baud:
            self._buffer.clear()
            return
        self._buffer += data
        self._receive(self._buffer)

    def _send(self, data: bytes) -> None:
        if self.line_up:
            self.answers += data

    def _due(self) -> ReaderFault | None:
        if self.trouble.strikes("reader", 0.05):
            fault = self.trouble.random.choice([kind for kind in ReaderFault if kind is not ReaderFault.UNPLUG])
            self._note(f"reader: {fault.value}")
            if fault in (ReaderFault.TAG_LEAVES, ReaderFault.TAG_MUTE):
                CURRENT[-1].clock.after(self.trouble.random.uniform(0.1, 40.0), self.repair)
            return fault
        if self.trouble.strikes("reader gone", 0.02):
            self._note("reader: the cable is pulled")
            self._unplug()
            CURRENT[-1].clock.after(self.trouble.random.uniform(1.0, 60.0), self.repair)
        return None

    def _unplug(self) -> None:
        self.line_up = False
        self.answers.clear()
        self.baud, self._next_baud = 115200, None
        self._power_field(False)

    def repair(self) -> None:
        self.line_up = True
        for tag in self._removed:
            self.tags.append(tag)
        self._removed.clear()
        self.the_tag.mute = False


class ReaderPort:
    """A `serial.Serial` on the reader's line."""

    is_open = False  # of the kernel: there is nothing to release
    out_waiting = 0

    def __init__(self, port: str, baudrate: int = 9600, **_: Any) -> None:
        self._run = CURRENT[-1]
        self._process = self._run.process
        self.port = port
        self._baud = baudrate
        self.timeout: float | None = 0
        self.write_timeout: float | None = None
        self._check()
        self._reader.line_baud = baudrate

    @property
    def _reader(self) -> ReaderOnDesk:
        assert self._run.reader is not None
        return self._run.reader

    def _check(self) -> None:
        if not self._process.alive:
            raise Killed
        if not self._reader.line_up:
            raise OSError(6, "No such device")

    @property
    def baudrate(self) -> int:
        return self._baud

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        self._baud = self._reader.line_baud = baud

    def write(self, data: bytes) -> int:
        self._check()
        self._reader.take(bytes(data))
        self._run.clock.sleep(0.001)
        return len(data)

    def read(self, count: int) -> bytes:
        end = self._run.clock.us + ceil((self.timeout or 0) * US)
        answers = self._reader.answers
        while len(answers) < count and self._run.clock.us < end:
            self._check()
            self._run.clock.sleep(min(0.05, (end - self._run.clock.us) / US))
        self._check()
        data = bytes(answers[:count])
        del answers[:count]
        return data

    def flushInput(self) -> None:  # noqa: N802 - pyserial's own name
        self._reader.answers.clear()

    reset_input_buffer = flushInput

    def flushOutput(self) -> None:  # noqa: N802 - pyserial's own name
        """There is no output queue."""


def open_nfc(url: DeviceUrl) -> Any:
    from sco_drivers.nfc.radio import Radio
    from sco_drivers.nfc.reader import NfcpyReader
    from sco_drivers.nfc.uart import Line, connect

    run = CURRENT[-1]
    reader = run.reader
    assert reader is not None
    process = run.process
    if not process.alive:
        raise Killed
    radio = Radio(url.text, lambda: connect(Line("/dev/simulated"), 921600), lambda: reader.line_up)
    return NfcpyReader(url.text, radio)


# --- screen and touch panel ---------------------------------------------------------------------------------------


class ScreenOnDesk:
    """The screen, which outlives the lane's process: black while no process draws on it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.scene: Scene | None = None
        self.plugged = True
        self.changed = Signal(clock)

    def put(self, scene: Scene | None) -> None:
        self.scene = scene
        self.changed.fire()


class SceneScreen:
    """See `sco_drivers.screen.Screen`."""

    def __init__(self, run: Run, url: str) -> None:
        self._run = run
        self._process = run.process
        self.url = url
        self.size = (1024, 768)
        self._gone = False

    def _check(self) -> None:
        if not self._process.alive:
            raise Killed
        if self._gone or not self._run.screen.plugged:
            self._gone = True
            raise DeviceGone("the display was unplugged", url=self.url)

    def show(self, scene: Scene) -> None:
        self._check()
        run = self._run
        order = run.serving  # a screen that hangs shows late what was right at the request
        if run.faults.strikes("screen hangs", 0.1):
            run.clock.sleep(run.faults.random.uniform(1.0, 90.0))
        if run.faults.strikes("screen gone", 0.2):
            run.note("screen: the display is unplugged")
            run.screen.plugged = False
            run.screen.put(None)
            run.clock.after(run.faults.random.uniform(0.0, 60.0), lambda: setattr(run.screen, "plugged", True))
            self._check()
        run.clock.sleep(0.03)
        self._check()
        run.shown(scene, order)

    def check(self) -> None:
        self._check()

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        self._check()
        scene = self._run.screen.scene
        found = [] if scene is None else [button.action for button in scene.buttons]
        return found[-1 - x] if y == -1 and -1 - x < len(found) else None

    def close(self) -> None:
        if self._process.alive:
            self._run.screen.put(None)


class Panel:
    """See `sco_drivers.touch.Touch`. Taps come from the run's customers."""

    def __init__(self, run: Run, url: str) -> None:
        self._run = run
        self.url = url

    def start(self, size: tuple[int, int], on_tap: Callable[[Tap], None], on_lost: Callable[[Exception], None]) -> None:
        run, process = self._run, self._run.process
        if run.faults.strikes("touch gone", 0.5):
            raise DeviceNotFound("no panel", url=self.url)

        def tap(nth: int) -> None:
            if process.alive:
                on_tap(Tap(-1 - nth, -1))

        run.tap = tap

    def close(self) -> None:
        self._run.tap = lambda nth: None


def open_screen(url: DeviceUrl) -> SceneScreen:
    run = CURRENT[-1]
    if not run.process.alive:
        raise Killed
    if not run.screen.plugged:
        raise DeviceNotFound("no display", url=url.text)
    return SceneScreen(run, url.text)


def open_touch(url: DeviceUrl) -> Panel:
    return Panel(CURRENT[-1], url.text)
