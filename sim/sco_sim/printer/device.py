"""A virtual receipt printer that other programs reach by its real wire: TCP, a pty, or the device file of a USB gadget.

One thread owns the wire and runs the machine; every fault is a method that any thread may call. It knows
nothing about the driver: it sees bytes only.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sco_sim.printer.machine import INFINITE_MM, Machine, Traits
from sco_sim.printer.render import draw
from sco_sim.printer.roll import Code, Mark, Paper
from sco_sim.printer.wire import Wire, open_wire

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class PrintedTicket:
    """What lies between two cuts of the roll.

    Attributes:
        text: its lines of text, as read from the paper, joined by newlines.
        codes: the QR codes that the printer itself drew whole.
        torn_codes: those of which only a part came out.
        cut: whether it was cut off.
        marks: the things on it, for rendering.
    """

    text: str
    codes: tuple[Code, ...]
    torn_codes: tuple[Code, ...]
    cut: bool
    marks: tuple[Mark, ...]
    paper: Paper

    def image(self) -> Image:
        """Its picture, one pixel a dot."""
        return draw(self.marks, self.paper)

    def save_png(self, path: str | Path) -> None:
        """Write its picture."""
        self.image().save(path, format="PNG")


class VirtualPrinter:
    """A simulated ESC/POS printer. Use as a context manager; `url` opens it with `sco_drivers.open_printer`.

    Args:
        paper_mm: width of the roll: 80 or 58.
        dpi: dots per inch of the head: 203 or 180.
        roll_mm: paper left on the roll in mm; None for a roll without end.
        wire: "tcp", "tcp://HOST:PORT", "pty", "pty:///LINK", a USB gadget's device file (`/dev/g_printer0`), or what
            makes another `Wire`.
        port: TCP port where `wire` names none; 0 for any.
        udc: for a gadget: its `UDC` file in configfs, by which `unplug` takes it from the host.
        out: a directory in which each ticket is saved as a PNG when it is cut; None for none.
        picture: a PNG of the roll, rewritten at each cut; None for none.
        keep_tickets: how many cut tickets the roll keeps; None for all.
        traits: any field of `Traits`: `head_mm_s`, `buffer_bytes`, `process_id`, ...
    """

    def __init__(
        self,
        *,
        paper_mm: float = 80,
        dpi: int = 203,
        roll_mm: float | None = None,
        wire: str | Callable[[], Wire] = "tcp",
        port: int = 0,
        udc: str | None = None,
        out: str | Path | None = None,
        picture: str | Path | None = None,
        keep_tickets: int | None = None,
        **traits: object,
    ) -> None:
        width = {80: 576, 58: 384}[int(paper_mm)]
        paper = Paper(paper_mm, round(width * dpi / 203 / 8) * 8 if dpi != 203 else width, dpi)
        self._new_machine = partial(
            Machine,
            paper,
            Traits(**traits),  # type: ignore[arg-type]
            INFINITE_MM if roll_mm is None else roll_mm,
            keep_tickets=keep_tickets,
        )
        self._machine = self._new_machine()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._make_wire = wire if callable(wire) else partial(open_wire, wire, port=port, udc=udc)
        self._wire: Wire | None = None
        self._out = Path(out) if out else None
        self._picture = Path(picture) if picture else None
        self._saved = 0
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._stalled = False
        self._mute = False
        self._plugged = self._wire_plugged = True
        self._vanished = self._wire_vanished = False
        self._triggers: list[tuple[int, Callable[[], None]]] = []
        self._pending = bytearray()
        self._late_s = 0.0
        self._late: deque[tuple[float, bytes]] = deque()
        self._wake_r, self._wake_w = -1, -1

    # --- life ---

    def start(self) -> Self:
        """Begin to serve. The TCP port or pty is there when this returns."""
        if self._thread:
            return self
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wire = self._make_wire()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="virtual-printer", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the wire and end the thread; the roll stays readable. May be called twice."""
        thread = self._thread
        if thread:
            self._stopping = True
            self._wake()
            thread.join()
            self._thread = None
            if self._wire:
                self._wire.close()
            os.close(self._wake_r)
            os.close(self._wake_w)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The device URL under which a driver finds it."""
        assert self._wire, "start() it first"
        return self._wire.url

    @property
    def wire(self) -> Wire:
        """Its wire."""
        assert self._wire, "start() it first"
        return self._wire

    # --- what is on the paper ---

    @property
    def paper(self) -> Paper:
        """The paper's and the head's geometry."""
        return self._machine.paper

    @property
    def tickets(self) -> list[PrintedTicket]:
        """All that came out, cut by cut; the last may not be cut yet."""
        with self._lock:
            return self._split()

    @property
    def codes(self) -> list[Code]:
        """Every QR code that the printer drew whole, in order."""
        return [code for ticket in self.tickets for code in ticket.codes]

    @property
    def text(self) -> str:
        """All text on the roll."""
        return "\n".join(ticket.text for ticket in self.tickets)

    def _split(self) -> list[PrintedTicket]:
        found: list[PrintedTicket] = []
        part: list[Mark] = []
        for mark in self._machine.roll:
            part.append(mark)
            if mark.kind == "cut":
                found.append(self._ticket(part, cut=True))
                part = []
        if any(mark.kind in ("text", "bitmap") and mark.printed for mark in part):
            found.append(self._ticket(part, cut=False))
        return found

    def _ticket(self, marks: list[Mark], *, cut: bool) -> PrintedTicket:
        lines = [mark.text.rstrip() for mark in marks if mark.kind == "text" and mark.whole]
        whole = tuple(mark.code for mark in marks if mark.code and mark.whole)
        torn = tuple(mark.code for mark in marks if mark.code and mark.printed and not mark.whole)
        return PrintedTicket("\n".join(lines), whole, torn, cut, tuple(marks), self.paper)

    def image(self) -> Image:
        """Picture of the whole roll, one pixel a dot."""
        with self._lock:
            return draw(tuple(self._machine.roll), self.paper)

    def save_png(self, path: str | Path) -> None:
        """Write the picture of the whole roll."""
        self.image().save(path, format="PNG")

    @property
    def bytes_received(self) -> int:
        """Bytes taken from the wire since the start."""
        return self._machine.received

    @property
    def flushes(self) -> int:
        """How often its buffers were cleared by command."""
        return self._machine.flushes

    @property
    def cuts(self) -> int:
        """Cuts so far."""
        return self._machine.cuts

    @property
    def commands(self) -> list[str]:
        """Names of the last commands that it executed."""
        with self._lock:
            return [command.name for command in self._machine.commands]

    def state(self) -> dict[str, Any]:
        """How it is now, in plain values: sensors, paper, what waits, what came out."""
        with self._lock:
            machine, tickets = self._machine, self._split()
            return {
                "online": machine.online,
                "plugged": self._plugged,
                "cover_open": machine.cover_open,
                "paper_out": machine.paper_out,
                "paper_left_mm": None if machine.left_mm == INFINITE_MM else round(machine.left_mm, 1),
                "cutter_jam": machine.cutter_jam,
                "head_broken": machine.head_broken,
                "stalled": self._stalled,
                "mute": self._mute,
                "vanished": self._vanished,
                "in_presenter": machine.in_presenter,
                "in_output": machine.in_output,
                "output_jam": machine.output_jam,
                "taken": machine.taken,
                "retracted": machine.retracted,
                "received": machine.received,
                "waiting": machine.waiting,
                "idle": machine.idle,
                "ignored": dict(machine.ignored),
                "flushes": machine.flushes,
                "cuts": machine.cuts,
                "codes": [code.text for ticket in tickets for code in ticket.codes],
                "torn_codes": [code.text for ticket in tickets for code in ticket.torn_codes],
            }

    def wait_for(self, condition: Callable[[VirtualPrinter], bool], timeout_s: float = 5.0) -> bool:
        """Wait until `condition(self)` is true; whether it was within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout_s)

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing that was received waits to be printed."""
        return self.wait_for(lambda _: self._machine.idle, timeout_s)

    # --- faults of paper, cover, cutter, power and cable ---

    def _do(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._machine.run(time.monotonic())
            self._changed.notify_all()
        self._wake()

    def open_cover(self) -> None:
        """Open the cover; printing stops."""
        self._do(lambda: setattr(self._machine, "cover_open", True))

    def close_cover(self) -> None:
        """Close the cover; what waits in the buffer is printed."""
        self._do(lambda: setattr(self._machine, "cover_open", False))

    def load_paper(self, roll_mm: float | None = None) -> None:
        """Put a roll in: `roll_mm` of paper, None for one without end. What waits in the buffer is printed."""
        self._do(lambda: setattr(self._machine, "left_mm", INFINITE_MM if roll_mm is None else roll_mm))

    def run_out_of_paper(self) -> None:
        """Take the paper out."""
        self.load_paper(0.0)

    def jam_cutter(self) -> None:
        """The next cut fails, until `free_cutter` and an error recovery."""
        self._do(lambda: setattr(self._machine, "cutter_jam", True))

    def free_cutter(self) -> None:
        """Take the jam out; the printer stays in error until DLE ENQ or a power cycle."""
        self._do(lambda: setattr(self._machine, "cutter_jam", False))

    def break_head(self) -> None:
        """An unrecoverable error, until `repair_head`."""
        self._do(lambda: setattr(self._machine, "head_broken", True))

    def repair_head(self) -> None:
        """Undo `break_head`."""
        self._do(lambda: setattr(self._machine, "head_broken", False))

    def unplug(self) -> None:
        """Pull the data cable: the connection drops, new ones are refused, what was received stays and is printed."""
        self._do(lambda: self._set_plugged(False))

    def plug_in(self) -> None:
        """Put the cable back."""
        self._do(lambda: self._set_plugged(True))

    def vanish(self, vanished: bool = True) -> None:
        """The network breaks without notice (or is back): connections stay and carry nothing, new ones get no answer.

        Raises:
            OSError: its wire is no network.
        """
        if self._wire is not None and not self._wire.can_vanish:
            raise OSError(errno.ENOTSUP, "only a network loses its printer without notice: use unplug", self.url)
        self._do(lambda: self._set_vanished(vanished))

    def power_off(self) -> None:
        """Cut the power: buffers and connection are lost."""

        def change() -> None:
            self._machine.power_cycle()
            self._set_plugged(False)

        self._do(change)

    def power_on(self) -> None:
        """Give the power back."""
        self.plug_in()

    def reset(self) -> None:
        """Start afresh at the same wire: another printer with a new roll and without faults. The connection drops."""
        self.power_off()
        with self._lock:
            self._machine, self._saved = self._new_machine(), 0
            self._triggers.clear()
            self._stalled, self._mute, self._vanished, self._late_s = False, False, False, 0.0
        self.power_on()

    def stall(self, stalled: bool = True) -> None:
        """Take no bytes any more (or again), connection open."""
        self._do(lambda: setattr(self, "_stalled", stalled))

    def mute(self, mute: bool = True) -> None:
        """Answer nothing any more (or again), while printing as ever."""
        self._do(lambda: setattr(self, "_mute", mute))

    def answer_late(self, late_s: float) -> None:
        """Answer `late_s` after it is asked, as a busy print server does; 0 for at once."""
        self._do(lambda: setattr(self, "_late_s", late_s))

    def send_garbage(self, data: bytes) -> None:
        """Send `data` to the driver, as a bad cable would."""
        self._do(lambda: self._pending.extend(data))

    def ticket_taken(self) -> None:
        """The customer takes the ticket out of the presenter."""

        def change() -> None:
            if self._machine.in_output:
                self._machine.in_output = self._machine.ticket_held = False
                self._machine.taken += 1

        self._do(change)

    def hold_ticket(self, held: bool = True) -> None:
        """The customer holds the ticket in the output (or lets go), so that it cannot be retracted."""
        self._do(lambda: setattr(self._machine, "ticket_held", held))

    def retract_by_itself(self) -> None:
        """The printer retracts the ticket in the output after a time of its own, as its setup may say."""

        def change() -> None:
            if self._machine.in_output:
                self._machine.in_output = False
                self._machine.retracted += 1

        self._do(change)

    def jam_output(self, jammed: bool = True) -> None:
        """A ticket is jammed in the presenter (or no longer)."""
        self._do(lambda: setattr(self._machine, "output_jam", jammed))

    @property
    def retracted(self) -> int:
        """Tickets drawn back from the presenter."""
        return self._machine.retracted

    def after(self, count: int, fault: Callable[[], None]) -> None:
        """Call `fault` (a method of this printer, say `p.unplug`) once exactly `count` more bytes were received."""
        with self._lock:
            self._triggers.append((self._machine.received + count, fault))
            self._triggers.sort(key=lambda item: item[0])
        self._wake()

    def _set_plugged(self, plugged: bool) -> None:
        """Change the cable under the lock, and return when the wire has followed."""
        self._plugged = plugged
        if not plugged:
            self._forget_answers()
        self._let_wire_follow()

    def _set_vanished(self, vanished: bool) -> None:
        """Break the network under the lock, and return when the wire has followed."""
        self._vanished = vanished
        self._let_wire_follow()

    def _let_wire_follow(self) -> None:
        if self._wire is None or self._thread is None:
            return
        if threading.current_thread() is self._thread:
            self._follow(self._wire)
            return
        self._wake()
        wanted = self._plugged, self._vanished
        self._changed.wait_for(lambda: (self._wire_plugged, self._wire_vanished) == wanted, 5.0)

    def _follow(self, wire: Wire) -> None:
        """Do to the wire what was done to the cable and to the network."""
        try:
            wire.set_plugged(self._plugged)
            wire.set_reachable(not self._vanished)
        except OSError as error:  # a gadget's controller may refuse; the printer goes on
            log.error("%s: %s", wire.url, error)
        self._wire_plugged, self._wire_vanished = self._plugged, self._vanished

    def _forget_answers(self) -> None:
        self._pending.clear()
        self._late.clear()

    # --- the thread ---

    def _wake(self) -> None:
        if self._wake_w >= 0 and self._thread:
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._wake_w, b"x")

    def _serve(self) -> None:
        wire = self._wire
        assert wire
        while not self._stopping:
            with self._changed:
                machine = self._machine
                self._follow(wire)
                machine.run(time.monotonic())
                if self._mute:
                    machine.output.clear()
                self._answer(time.monotonic())
                self._save_new()
                self._changed.notify_all()
                room = 0 if self._stalled else machine.room
                due = min(
                    (at for at in (machine.due(), self._late[0][0] if self._late else None) if at is not None),
                    default=None,
                )
                pending = bool(self._pending)
            timeout = None if due is None else max(0.0, due - time.monotonic())
            ready = wire.wait(self._wake_r, timeout, want_read=room > 0, want_write=pending)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_r, 4096)
            if ready & selectors.EVENT_WRITE:
                self._write_pending(wire)
            if ready & selectors.EVENT_READ and room:
                self._read_some(wire, room)

    def _answer(self, now: float) -> None:
        """Pass the machine's output to the wire, when it is time."""
        if self._machine.output:
            self._late.append((now + self._late_s, bytes(self._machine.output)))
            self._machine.output.clear()
        while self._late and self._late[0][0] <= now:
            self._pending += self._late.popleft()[1]

    def _write_pending(self, wire: Wire) -> None:
        with self._lock:
            sent = wire.write(bytes(self._pending[:_CHUNK]))
            del self._pending[:sent]

    def _read_some(self, wire: Wire, room: int) -> None:
        with self._lock:
            limit = min(room, _CHUNK)
            if self._triggers:
                limit = min(limit, max(1, self._triggers[0][0] - self._machine.received))
            data = wire.read(limit)
            if data is None:  # the other side went: what was to be answered to it goes nowhere
                self._forget_answers()
                return
            self._machine.feed(data, time.monotonic())
            while self._triggers and self._triggers[0][0] <= self._machine.received:
                self._triggers.pop(0)[1]()

    def _save_new(self) -> None:
        cuts = self._machine.cuts
        if self._saved == cuts or not (self._out or self._picture):
            return
        if self._out:
            cut = [ticket for ticket in self._split() if ticket.cut]
            for n, ticket in enumerate(cut, cuts - len(cut) + 1):
                if n > self._saved:
                    self._out.mkdir(parents=True, exist_ok=True)
                    ticket.save_png(self._out / f"receipt-{n:03d}.png")
        if self._picture:
            self.save_png(self._picture)
        self._saved = cuts
