"""The printer's inside: receive buffer, line editor, head, sensors, cutter, and what it answers.

No I/O and no clock of its own: bytes and the time come in, bytes come out. The head takes its time (mm/s), a process id
is answered only when the head has finished everything before it, and a printer that is offline keeps what it has
received in its buffer and prints it when it is online again, as real ones do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from sco_sim.printer.decoder import Command, RealTimeScanner, next_command
from sco_sim.printer.roll import CODE_PAGES, Editor, Mark, Paper, is_rendered

INFINITE_MM = float("inf")
_HARMLESS = frozenset(
    ("CR", "NUL", "DLE EOT", "DLE ENQ", "DLE DC4", "GS a", "GS r", "GS I", "GS e", "ESC c", "ESC R", "ESC S", "ESC U")
)
"""Commands that change nothing on the paper: not counted as ignored."""


_DATA = (b"\x1dv", b"\x1d8", b"\x1d(", b"\x1b*", b"\x1d*", b"\x1cq", b"\x1dk", b"\x1b&", b"\x1dQ", b"\x1cg", b"\x1c2")
"""Beginnings of commands with data in which the octets of real-time commands may occur."""


@dataclass(slots=True)
class Traits:
    """What this model can do; all on for a modern one.

    Attributes:
        process_id: answers `GS ( H`.
        clear_buffer: executes `DLE DC4 8`.
        asb: sends automatic status (`GS a`).
        status: answers `DLE EOT` and `GS r`.
        reads_ahead: takes commands from the receive buffer while the head still prints, so that `GS r` is answered
            before that has finished.
        identity: answers `GS I`.
        echoes_unknown: prints the parameters of commands that it does not know, as many cheap boards do.
        answers_behind: gives an answer only when so many more have become due, as some boards and print servers do.
        raster_rows: rows that one `GS v 0` may have; more are taken for text. 0 for any number.
        native_qr, utf8: see their names.
        double_byte: reads letters as Chinese until `FS .`, and again after `ESC @`, as boards for that market do.
        motion_per_inch: vertical motion units an inch (`ESC J`, `ESC 3`), as long as `GS P` sets none; 0 for one a dot.
            Epson's have two a dot.
        xoff_offline: on a serial line, sends XOFF (0x13) when it goes offline and XON (0x11) when it is online
            again, as Epson's do by default ("BUSY: receive buffer full or offline").
        presenter: a kiosk printer that keeps a cut ticket until `GS e 3` presents it; executes `GS e`, `DLE EOT 20`.
        cutter: it cuts; without, `GS V` only feeds.
        code_pages: codec by number of `ESC t`, where they are not the usual ones.
        output_sensor: it answers `DLE EOT 20`; a presenter without cannot be asked for its ticket.
        head_mm_s: speed of the head; 0 for a head that takes no time.
        buffer_bytes: size of the receive buffer.
        near_end_mm: paper left at which the near-end sensor acts.
        model, serial: what `GS I` answers.
    """

    process_id: bool = True
    clear_buffer: bool = True
    asb: bool = True
    status: bool = True
    reads_ahead: bool = False
    identity: bool = True
    answers_behind: int = 0
    raster_rows: int = 0
    echoes_unknown: bool = False
    native_qr: bool = True
    utf8: bool = True
    double_byte: bool = False
    motion_per_inch: int = 0
    xoff_offline: bool = False
    presenter: bool = False
    output_sensor: bool = True
    cutter: bool = True
    code_pages: Mapping[int, str] | None = None
    head_mm_s: float = 0.0
    buffer_bytes: int = 4096
    near_end_mm: float = 500.0
    model: str = "TM-T88V"
    serial: str = "SIM0000001"


def _pulse(drawer: int, pulse_ms: int) -> Mark:
    """A pulse to drawer 0 or 1, which may be written as a digit."""
    return Mark("pulse", 0, note=f"drawer {1 + drawer % 2} opens, {pulse_ms} ms")


@dataclass(slots=True)
class Machine:
    """One simulated printer. Not thread-safe: its owner locks."""

    paper: Paper
    traits: Traits
    left_mm: float = INFINITE_MM
    cover_open: bool = False
    cutter_jam: bool = False
    head_broken: bool = False
    drawer_high: bool = True
    roll: list[Mark] = field(default_factory=list)
    output: bytearray = field(default_factory=bytearray)
    commands: deque[Command] = field(default_factory=lambda: deque(maxlen=4096))
    received: int = 0
    flushes: int = 0
    in_presenter: int = 0
    in_output: bool = False
    output_jam: bool = False
    ticket_held: bool = False
    ignored: dict[str, int] = field(default_factory=dict)
    retracted: int = 0
    taken: int = 0
    cuts: int = 0
    keep_tickets: int | None = None

    _behind: deque[bytes] = field(default_factory=deque)
    _buffer: bytearray = field(default_factory=bytearray)
    _queue: deque[Mark | bytes] = field(default_factory=deque)
    _head_free_at: float = 0.0
    _scanner: RealTimeScanner = field(default_factory=RealTimeScanner)
    _editor: Editor = field(init=False)
    _asb_mask: int = 0
    _asb_last: bytes = b""
    _cutter_error: bool = False
    _selected: bool = True
    _xoff_sent: bool = False

    def __post_init__(self) -> None:
        self._editor = Editor(
            self.paper,
            utf8_capable=self.traits.utf8,
            native_qr=self.traits.native_qr,
            double_byte_first=self.traits.double_byte,
            default_motion=self.traits.motion_per_inch,
            code_pages=CODE_PAGES if self.traits.code_pages is None else self.traits.code_pages,
        )

    # --- power ---

    def power_cycle(self) -> None:
        """Lose all that is not on the paper."""
        self._drop_buffers()
        self._asb_mask = 0
        self.output.clear()
        self._xoff_sent = False
        self._cutter_error = self.cutter_jam
        self._scanner = RealTimeScanner()

    def _drop_buffers(self) -> None:
        self._buffer.clear()
        self._queue.clear()
        self._editor.reset()
        self._selected = True

    # --- state ---

    @property
    def paper_out(self) -> bool:
        """Whether the paper has run out."""
        return self.left_mm <= 0

    @property
    def online(self) -> bool:
        """Whether it prints what it receives."""
        return not (self.cover_open or self.paper_out or self._cutter_error or self.head_broken)

    @property
    def room(self) -> int:
        """Bytes that the receive buffer can still take. A long command does not wait in it to be whole: as it comes, it
        is taken out to the picture's or code's own memory."""
        room = max(0, self.traits.buffer_bytes - len(self._buffer))
        if not room and self.online and not self._queue and next_command(bytes(self._buffer)) is None:
            return self.traits.buffer_bytes
        return room

    @property
    def waiting(self) -> int:
        """Bytes in the receive buffer."""
        return len(self._buffer)

    @property
    def idle(self) -> bool:
        """Whether nothing waits: all that was received is on the paper."""
        return not self._buffer and not self._queue

    # --- bytes in ---

    def feed(self, data: bytes, now: float) -> None:
        """Receive `data`, executing real-time commands on arrival, then run."""
        self.received += len(data)
        for byte in data:
            self._buffer.append(byte)
            found = self._scanner.feed(byte)
            if found:
                if not self._ends_in_data(found.length):
                    del self._buffer[max(0, len(self._buffer) - found.length) :]
                self.commands.append(found)
                self.run(now)
                self._real_time(found)
        self.run(now)

    def _ends_in_data(self, length: int) -> bool:
        """Whether the last `length` bytes belong to a picture or code: they are data there, though also executed."""
        data = bytes(self._buffer[: len(self._buffer) - length])
        while (command := next_command(data)) is not None:
            data = data[command.length :]
        return data[:2] in _DATA and len(data) > 5

    def run(self, now: float) -> None:
        """Let the editor and the head go on as far as they can by the time `now`."""
        while self.online:
            command = None
            if self._buffer and (not self._queue or self.traits.reads_ahead):
                command = next_command(bytes(self._buffer))
            if command is not None:
                del self._buffer[: command.length]
                self.commands.append(command)
                self._execute(command)
            elif not self._queue or not self._print_next(now):
                break
        self._report_changes()

    def due(self) -> float | None:
        """When `run` should be called again though nothing arrives; None for never."""
        return self._head_free_at if self._queue and self.online and self._head_free_at else None

    def _print_next(self, now: float) -> bool:
        item = self._queue[0]
        if isinstance(item, bytes):
            self._answer(item)
            self._queue.popleft()
            return True
        if item.kind == "cut":
            return self._cut(item)
        speed = self.traits.head_mm_s
        if speed:
            if not self._head_free_at:
                self._head_free_at = now + self.paper.mm(item.height) / speed
            if now < self._head_free_at:
                return False
            self._head_free_at = 0.0
        need = self.paper.mm(item.height)
        item.printed = item.height if need <= self.left_mm else int(item.height * self.left_mm / need)
        self.left_mm = max(0.0, self.left_mm - need)
        self.roll.append(item)
        self._queue.popleft()
        return True

    def _cut(self, mark: Mark) -> bool:
        if not self.traits.cutter:
            self._queue.popleft()
            return True
        if self.cutter_jam:
            self._cutter_error = True
            return False
        self.roll.append(mark)
        self._queue.popleft()
        self.cuts += 1
        self._forget_old()
        if self.traits.presenter:
            self.in_presenter += 1
        return True

    def _forget_old(self) -> None:
        if self.keep_tickets is None:
            return
        cuts = [at for at, mark in enumerate(self.roll) if mark.kind == "cut"]
        if len(cuts) > self.keep_tickets:
            del self.roll[: cuts[-self.keep_tickets - 1] + 1]

    def _execute(self, command: Command) -> None:
        name, p = command.name, command.params
        if name == "ESC =":
            self._selected = bool(p[0] & 1)
            return
        if not self._selected:  # what follows is for another device on the line, such as a customer's display
            return
        most = self.traits.raster_rows
        if most and name == "GS v" and p[4] | p[5] << 8 > most:
            size = 6 + most * (p[2] | p[3] << 8)
            self._buffer[:0] = p[size:]
            p = p[:4] + most.to_bytes(2, "little") + p[6:size]
            self._queue.extend(self._editor.take(Command(name, p, command.length)))
        elif self.traits.echoes_unknown and not self._knows(command):
            self._buffer[:0] = p
        elif name == "GS (" and p[:1] == b"k" and p[3:5] == b"\x31\x52" and self.traits.native_qr:
            self._queue.append(self._editor.qr_size())
        elif name == "GS (" and p[:1] == b"H" and len(p) >= 9 and p[3] == 48 and self.traits.process_id:
            self._queue.append(b"\x37\x22" + p[5:9] + b"\x00")
        elif name == "GS r" and self.traits.status:
            if self.traits.reads_ahead:
                self._answer(self._transmit_status(p[0]))
            else:
                self._queue.append(self._transmit_status(p[0]))
        elif name == "GS I" and self.traits.identity:
            self._queue.append(self._identity(p[0]))
        elif name == "GS a" and self.traits.asb:
            self._asb_mask = p[0]
            self._asb_last = b""
        elif name == "ESC @":
            self._asb_mask = 0  # its setting lasts until ESC @, a reset, or power off
            self._queue.extend(self._editor.take(command))
        elif name == "GS e" and self.traits.presenter:
            self._present(p[0])
        elif name == "ESC p":
            self._queue.append(_pulse(p[0], 2 * p[1]))
        elif name == "DLE DC4" and p[0] == 1:
            self._queue.append(_pulse(p[1], 100 * p[2]))
        else:
            marks = self._editor.take(command)
            if not is_rendered(command) and name not in _HARMLESS:
                marks = [Mark("note", 0, note=f"{name} {chr(p[0])}" if name.endswith("(") else name)]
            for mark in marks:
                if mark.kind == "note":
                    kind = mark.note.partition(":")[0]
                    self.ignored[kind] = self.ignored.get(kind, 0) + 1
            self._queue.extend(marks)

    def _knows(self, command: Command) -> bool:
        name, traits = command.name, self.traits
        if name == "GS (":
            return {b"H": traits.process_id, b"k": traits.native_qr}.get(command.params[:1], False)
        known = {"GS I": traits.identity, "GS a": traits.asb, "GS r": traits.status, "FS (": traits.utf8}
        return known.get(name, True)

    def _present(self, n: int) -> None:
        if n == 3 and self.in_presenter and not self.output_jam:
            self.in_presenter, self.in_output = 0, True
        elif n == 2 and self.in_output and not (self.output_jam or self.ticket_held):
            self.in_output, self.retracted = False, self.retracted + 1
        elif n == 5 and not self.output_jam:
            self.in_output = False
        elif n == 6:
            self.output.append(0x40 if self.output_jam else 0x00)

    # --- what it sends ---

    def _answer(self, data: bytes) -> None:
        self._behind.append(data)
        while len(self._behind) > self.traits.answers_behind:
            self.output += self._behind.popleft()

    def _real_time(self, command: Command) -> None:
        p = command.params
        if command.name == "DLE EOT":
            if p[0] == 20:
                if self.traits.presenter and self.traits.output_sensor:
                    self.output += self._full_status()
            elif self.traits.status:
                self._answer(bytes((self._status_byte(p[0]),)))
        elif command.name == "DLE ENQ" and p[0] in (1, 2):
            if self._cutter_error:
                self._cutter_error = self.cutter_jam
                if p[0] == 2:
                    self.flushes += 1
                    self._drop_buffers()
        elif command.name == "DLE DC4" and self.traits.clear_buffer:
            self.flushes += 1
            self._drop_buffers()
            self._answer(b"\x37\x25\x00")

    def _near_end(self) -> bool:
        return self.left_mm <= self.traits.near_end_mm

    def _status_byte(self, n: int) -> int:
        status = 0x12
        if n == 1:
            status |= 0x04 * self.drawer_high | 0x08 * (not self.online)
        elif n == 2:
            error = self._cutter_error or self.head_broken
            status |= 0x04 * self.cover_open | 0x20 * self.paper_out | 0x40 * error
        elif n == 3:
            status |= 0x08 * self._cutter_error | 0x20 * self.head_broken
        elif n == 4:
            status |= 0x0C * self._near_end() | 0x60 * self.paper_out
        return status

    def _asb(self) -> bytes:
        return bytes(
            (
                0x10 | 0x04 * self.drawer_high | 0x08 * (not self.online) | 0x20 * self.cover_open,
                0x08 * self._cutter_error | 0x20 * self.head_broken,
                0x03 * self._near_end() | 0x0C * self.paper_out,
                0x00,
            )
        )

    def _report_changes(self) -> None:
        if self.traits.xoff_offline and self._xoff_sent is self.online:
            self._xoff_sent = not self.online
            self.output.append(0x13 if self._xoff_sent else 0x11)
        if self._asb_mask:
            now = self._asb()
            if now != self._asb_last:
                self._asb_last = now
                self.output += now

    def _transmit_status(self, n: int) -> bytes:
        if n in (1, 49):
            return bytes((0x03 * self._near_end() | 0x0C * self.paper_out,))
        return bytes((0x01 * self.drawer_high,))

    def _identity(self, n: int) -> bytes:
        texts = {65: "SIM 1.00", 66: "EPSON", 67: self.traits.model, 68: self.traits.serial}
        if n in texts:
            return b"_" + texts[n].encode("ascii") + b"\x00"
        return b"\x02" if n in (1, 2, 49, 50) else b"\x01"

    def _full_status(self) -> bytes:
        return bytes(
            (
                0x10,
                0x0F,
                0x01 * self.paper_out | 0x04 * self._near_end() | 0x20 * self.in_output,
                0x03 * self.cover_open,
                0x40 * self.output_jam,
                0x01 * self._cutter_error | 0x40 * self.head_broken,
            )
        )
