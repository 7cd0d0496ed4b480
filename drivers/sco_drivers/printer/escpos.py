"""An ESC/POS printer on any wire: status, tickets, and whether they came out.

python-escpos provides the commands and the models' capabilities; the wires are our own (`transports`), since a lane
needs deadlines, byte counts and no reset at opening. "Printed" relies on the process id (`GS ( H`), which the printer
answers when the head has finished, or on models without it on `GS r` answered in order with paper present. "Not
printed" relies on bytes that the device never got, or on a mark before the code that was not answered when the buffers
were cleared; everything else is "unknown".
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from sco_drivers import tap
from sco_drivers.errors import DeviceClosed, DeviceError, DeviceTimeout, PrinterError
from sco_drivers.printer import (
    REPEAT,
    CoverOpen,
    Document,
    DocumentRefused,
    DuplicateTicket,
    Line,
    PaperOut,
    PrinterFault,
    PrinterHealth,
    PrinterStatus,
    PrintOutcome,
    PrintResult,
    SensorState,
    Ticket,
    TicketEnd,
    commands,
    transports,
)
from sco_drivers.printer.description import SETTINGS, BadSetting, described, load
from sco_drivers.printer.health import examine
from sco_drivers.printer.layout import CodeWay, Job, build, codec_of
from sco_drivers.printer.memory import Memory, memory_of
from sco_drivers.printer.presenter import EscPosPresenter, Leftover
from sco_drivers.printer.profile import Profile, names, profile
from sco_drivers.printer.replies import InOrder, ProcessId, Reply
from sco_drivers.printer.serial_line import SerialAddress, open_serial_wire
from sco_drivers.printer.session import EscPosSession, WireHook
from sco_drivers.printer.transports import Transport
from sco_drivers.printer.usb_wire import UsbAddress, open_usb_wire
from sco_drivers.urls import DeviceUrl, opener

if TYPE_CHECKING:
    from sco_drivers.printer.escpos_job import EscposJob

PARAMETERS = (
    *("profile", "codec", "qr", "drawer", *SETTINGS),
    *("connect_s", "write_s", "done_s", "status_s", "settle_s", "head_mm_s", "idle_close_s", "leftover"),
)
"""Query parameters of every printer's URL."""

_IDS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LOOK_S = 0.25
_LOOK_WITH_ASB_S = 1.0
"""How often the state is asked for while a ticket prints: less often when the printer sends it by itself."""
_GIVE_UP_ON_IDS_S = 2.0
"""No process id will come this long after a later status was answered and the slowest head would have finished."""
_SETTLE_LOOK_S = 0.05
_TRIES = 2
_IDLE_CLOSE_TCP_S = 5.0
_USUAL_BYTES, _USUAL_MM = 16_384, 200.0
"""`write_s` and `done_s` are enough for a document of this size; a larger one is given as much more as it may take."""
_SLOWEST_WIRE_BYTES_S = 960.0
_ESCPOS_JOB = ("sco_drivers.printer.escpos_job", "EscposJob")
"""Loaded on first use: python-escpos takes its time."""


class Options(NamedTuple):
    """What the parameters of a printer's URL ask for.

    Attributes:
        profile, codec, way: the model (`profile`, `paper_mm`, `dpi`), the code page, and how codes are printed (`qr`).
        drawer_open_is_high: which level of the drawer's pin means open (`drawer`); None where there is no drawer.
        connect_s, write_s, status_s, done_s: deadlines for connecting, sending the bytes, a status, and the end of
            printing.
        settle_s: how long a fault must last to count.
        head_mm_s: the slowest that the head may be.
        leftover: what to do with a ticket in the output of the presenter before the next one is printed.
        idle_close_s: after which an idle connection is closed; 0 for never. By default only a TCP connection is: most
            network printers serve one computer at a time.
    """

    profile: Profile
    codec: str
    way: CodeWay | None
    drawer_open_is_high: bool | None
    connect_s: float
    write_s: float
    done_s: float
    status_s: float
    settle_s: float
    head_mm_s: float
    idle_close_s: float
    leftover: Leftover

    @classmethod
    def of(cls, url: DeviceUrl) -> Options:
        """Read from `url`.

        Raises:
            BadDeviceUrl: a parameter that cannot be understood.
        """
        model, wanted = profile_of(url)
        try:
            codec = codec_of(model, wanted)
        except KeyError:
            hint = f"it has {', '.join(sorted({*model.code_pages, 'utf-8'}))}; or add code_page=N, its number for ESC t"
            raise url.wrong("codec", f"is not a code page of the profile {model.name}", hint=hint) from None
        drawer = url.choice("drawer", "", ("", "high", "low"))
        return cls(
            profile=model,
            codec=codec,
            way=cast(CodeWay | None, url.choice("qr", "", ("", "native", "raster-doubled", "raster")) or None),
            drawer_open_is_high=None if not drawer else drawer == "high",
            connect_s=url.number("connect_s", 3.0, min=0.1),
            write_s=url.number("write_s", 10.0),
            done_s=url.number("done_s", 20.0),
            status_s=url.number("status_s", 0.5),
            settle_s=url.number("settle_s", 0.3),
            head_mm_s=url.number("head_mm_s", 40.0, min=1.0),
            idle_close_s=url.number("idle_close_s", _IDLE_CLOSE_TCP_S if url.scheme == "tcp" else 0.0),
            leftover=cast(Leftover, url.choice("leftover", "retract", ("retract", "eject", "keep"))),
        )


class EscPosPrinter:
    """See `sco_drivers.printer.Printer`.

    Args:
        url: the parsed URL.
        options: what its parameters ask for.
        connect: opens the wire; called again when it is lost.
        clock: s since the epoch; by default the tap's.
        memory: what is remembered about the device; by default by its address, for the life of the process.
    """

    def __init__(
        self,
        url: DeviceUrl,
        options: Options,
        connect: Callable[[], Transport],
        clock: Callable[[], float] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._url = url
        self._tap = tap.current()
        self._time = self._tap.clock
        self._clock = clock or self._time.time
        self._profile = options.profile
        self._codec = options.codec
        self._way = options.way
        self._write_s = options.write_s
        self._done_s = options.done_s
        self._settle_s = options.settle_s
        self._head_mm_s = options.head_mm_s
        self._leftover = options.leftover
        self._idle_close_s = options.idle_close_s
        self._idle_timer: tap.Timer | None = None
        self._used_at = self._time.monotonic()
        self._mutex = threading.Lock()
        self._closed = False
        self._memory = self._tap.memory(memory or memory_of(url))
        self._answers_ids = self._profile.process_id
        self._has_answered_ids = self._has_answered_in_order = False  # a profile promises, only an answer proves
        self._session = EscPosSession(
            self._tap.wire(connect),
            self._profile,
            self._memory,
            answer_s=options.status_s,
            drawer_open_is_high=options.drawer_open_is_high,
            clock=self._time,
        )
        self._presenter: EscPosPresenter | None = None
        if self._profile.presenter != "none":
            self._presenter = EscPosPresenter(self._session, self._using)

        self._close_when_idle()

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    @property
    def profile(self) -> Profile:
        """What the model can do."""
        return self._profile

    @property
    def presenter(self) -> EscPosPresenter | None:
        """See `Printer.presenter`."""
        return self._presenter

    @property
    def on_wire(self) -> WireHook | None:
        """Called with all bytes that pass, "->" to the printer and "<-" from it; None for no hook."""
        return self._session.on_wire

    @on_wire.setter
    def on_wire(self, hook: WireHook | None) -> None:
        self._session.on_wire = hook

    def status(self) -> PrinterStatus:
        """See `Printer.status`."""
        with self._using():
            return self._session.status()

    def health(self) -> PrinterHealth:
        """See `Printer.health`."""
        with self._using():
            return examine(self._session, self._profile, self._memory, self._next_id(), _fault_of, self.url)

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        """See `Printer.print_ticket`."""
        return self._print_whole(ticket)

    def print_document(self, document: Document) -> PrintResult:
        """See `Printer.print_document`."""
        return self._print_whole(document)

    @contextlib.contextmanager
    def escpos(
        self,
        document_id: str,
        *,
        valid_until: float | None = None,
        repeat: Line | None = REPEAT,
        codes_in_images: bool = True,
    ) -> Iterator[EscposJob]:
        """See `Printer.escpos`."""
        with self._using():
            self._refuse_second(document_id)
            profile = self._profile_now()
        module, name = _ESCPOS_JOB
        kind: type[EscposJob] = getattr(importlib.import_module(module), name)
        job = kind(profile, self._codec, self.status, codes_in_images=codes_in_images)
        yield job
        result = self.print_document(Document(document_id, (job.document,), valid_until, repeat))
        job.result = replace(result, replaced="".join(dict.fromkeys((*job.replaced, *result.replaced))))

    def _print_whole(self, what: Ticket | Document) -> PrintResult:
        document = what.document if isinstance(what, Ticket) else what
        kind, name = ("ticket" if isinstance(what, Ticket) else "document"), document.document_id
        with self._using():
            self._refuse_second(name)
            again = document.repeat if self._memory.was_tried(name) else None
            job = self._build(what, again)
            if self._expired(document):
                return PrintResult(PrintOutcome.NOT_PRINTED, f"the {kind} had expired before a byte was sent")
            refusal = self._why_not_now()
            if refusal is not None:
                return PrintResult(PrintOutcome.NOT_PRINTED, "the printer is not ready; nothing was sent", refusal)
            if self._expired(document):
                return PrintResult(PrintOutcome.NOT_PRINTED, f"the {kind} expired before a byte was sent")
            if self._learns_to_draw_qr():
                job = self._build(what, again)
            twin = self._tap.twin(what, lambda other: self._build(other, again))
            self._memory.sending(name)
            result = self._print(job, document, twin)
            if result.outcome is PrintOutcome.NOT_PRINTED:
                self._memory.did_not_come_out(name, fragment=result.fragment)
            self._memory.torn = result.fragment
            self._memory.may_hold = result.may_come_later or not self._session.connected
            self._memory.owed = job.longest_command if self._memory.may_hold else 0
            return result

    def _refuse_second(self, document_id: str) -> None:
        if self._memory.may_be_out(document_id):
            raise DuplicateTicket(f"{document_id} has come out, or may have", url=self.url)

    def _profile_now(self) -> Profile:
        """The profile, with what the printer has proved by its answers."""
        profile = self._profile._replace(asb=self._session.asks_for_asb)
        if profile.native_qr is None:
            profile = profile._replace(native_qr=self._memory.draws_qr)
        own = self._memory.draws_qr is True  # bar codes are older than QR codes
        barcodes = profile.barcodes or ("b" if own else "none")
        return profile._replace(barcodes=barcodes, pdf417=own if profile.pdf417 is None else profile.pdf417)

    def _build(self, what: Ticket | Document, heading: Line | None) -> Job:
        profile, cut_first = self._profile_now(), self._memory.torn
        try:
            return build(what, profile, codec=self._codec, way=self._way, heading=heading, cut_first=cut_first)
        except DocumentRefused as error:
            error.url = self.url
            raise

    def _learns_to_draw_qr(self) -> bool:
        """Whether it is found out just now that the printer has QR codes of its own. It must be ready."""
        unknown = self._profile.native_qr is None and self._memory.draws_qr is None
        if not unknown or self._way is not None or not self._memory.proven:
            return False
        try:
            return self._session.draws_qr()
        except DeviceError:  # printing meets it again, and reports it
            return False

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[EscPosSession]:
        """The session, to find out what the printer can do; no other call runs meanwhile. Raises DeviceClosed."""
        with self._using():
            yield self._session

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """One caller at a time. Raises DeviceClosed."""
        with self._mutex:
            self._check_open()
            try:
                yield
            finally:
                self._used_at = self._time.monotonic()
                self._close_when_idle()

    def _close_when_idle(self) -> None:
        """See that the connection is closed once it has been idle; the lock is held."""
        if self._idle_close_s and self._idle_timer is None and self._session.connected and not self._closed:
            left = self._used_at + self._idle_close_s - self._time.monotonic()
            self._idle_timer = self._tap.timer(left, self._close_if_idle)

    def _close_if_idle(self) -> None:
        with self._mutex:
            self._idle_timer = None
            if self._time.monotonic() - self._used_at >= self._idle_close_s:
                self._session.drop(discard=self._memory.may_hold)
            else:
                self._close_when_idle()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed("the printer was closed", url=self.url)

    def _expired(self, document: Document) -> bool:
        return document.valid_until is not None and not self._clock() < document.valid_until

    # --- faults ---

    def _why_not_now(self) -> DeviceError | None:
        """Why the printer certainly cannot print now; None when it can, or when that is not known."""
        try:
            fault = self._steady_fault(again=True)
            if isinstance(fault, PrinterFault):
                self._session.recover()  # a cutter that was freed waits for this
                fault = self._steady_fault()
            if fault is None and not self._answers():
                hint = f"check that it is on, and the cable; {self._shared}or raise status_s"
                return DeviceTimeout("it no longer answers", url=self.url, hint=hint)
            if fault is None and self._memory.may_hold:
                self._session.make_clean()
            if fault is None and self._presenter is not None:
                fault = self._output_fault(self._presenter.make_room(self._leftover))
        except DeviceError as error:
            return error
        return fault

    def _steady_fault(self, *, again: bool = False) -> PrinterError | None:
        """A fault that is reported for `settle_s`; a shorter one or silence does not count. Raises DeviceError."""
        end = self._time.monotonic() + self._settle_s
        while True:
            fault = _fault_of(self._session.status(again=again), self.url)
            left = end - self._time.monotonic()
            if fault is None or left <= 0:
                return fault
            self._time.sleep(min(_SETTLE_LOOK_S, left))

    def _output_fault(self, seen: TicketEnd) -> PrinterFault | None:
        if seen is TicketEnd.JAMMED:
            return PrinterFault("a ticket is jammed in the presenter", url=self.url, hint="take it out")
        if seen is TicketEnd.STILL_THERE:
            hint = "take it, or let the printer retract it (leftover=retract)"
            return PrinterFault("the last ticket is still in the output", url=self.url, hint=hint, retryable=True)
        return None

    def _answers(self) -> bool:
        """Whether it answers, or is of a kind that need not. Raises DeviceError.

        A serial line to a printer that is switched off takes any ticket, and it is lost.
        """
        if not (self._session.silent and (self._memory.answers or self._profile.process_id is True)):
            return True
        return any(self._session.real_time(1) is not None for _ in range(_TRIES))

    # --- one document ---

    def _print(self, job: Job, document: Document, twin: Job | None) -> PrintResult:
        """Send the job with marks before the code and at the end, and find out what is on the paper.

        Args:
            job: to send. document: of which it is.
            twin: what is shown in its place to who may look on.
        """
        by_id = self._answers_ids is True
        proof = self._next_id() if by_id and not self._has_answered_ids else None
        marks = _Marks(proof, self._next_id(), self._next_id(), by_id=by_id)
        safe, rest = _halves(job, marks)
        for real, shown in zip((safe, rest), _halves(twin, marks) if twin else (None, None), strict=True):
            self._tap.disguise(real, shown)
        end = marks.end(ask_id=self._answers_ids is not False)
        self._session.expect_in_order(marks.in_order_expected)
        lost = self._lost
        whole = len(safe) + len(rest) + len(end)
        until = self._time.monotonic() + self._time_to_write(job, document)
        code_given = False
        hint = f"{self._shared}look at its lamps and at the paper"
        try:
            taken = self._send(safe, until)
            if taken == len(safe) and not self._expired(document):
                code_given = True
                taken += self._send(rest + end, until)
            if taken == whole:
                fault: DeviceError | None = self._wait(job, document, marks)
                if marks.printed:
                    return PrintResult(PrintOutcome.PRINTED, marks.evidence, None, job.replaced)
                detail = "all bytes were taken, " + (
                    "it stopped while printing" if fault else "its end was not reported"
                )
                timeout = "it did not report that it had finished"
                if by_id and marks.in_order and not self._has_answered_ids:
                    hint = "it answers no process ids, which the profile promises: choose another profile"
            else:
                fault = self._steady_fault()
                detail = f"it took {taken} of {whole} bytes"
                timeout = (
                    "it was closed meanwhile"
                    if self._closed
                    else f"it did not take all of the ticket within {self._write_s:g} s"
                )
            stopped = fault or DeviceTimeout(timeout, url=self.url, hint=hint)
            return self._give_up(job, marks, stopped, detail, taken=taken, harmless=len(safe), lost=lost)
        except DeviceError as error:
            self._session.drop()
            if not code_given:
                detail = f"the connection broke before anything was sent that prints {job.decisive}"
                return PrintResult(PrintOutcome.NOT_PRINTED, detail, error, job.replaced, fragment=True)
            # Any error, also of a status question: the ticket is on its way, and it is not known how many of its bytes
            # the printer got before the connection broke.
            detail = f"the connection broke: {error.message}; the printer may have the rest in its buffer"
            return PrintResult(PrintOutcome.UNKNOWN, detail, error, job.replaced, fragment=True, may_come_later=True)

    def _send(self, data: bytes, until: float) -> int:
        """How many bytes of `data` were taken by `until`, monotonic s, or until `close`. Raises DeviceError."""
        taken = 0
        while taken < len(data) and not self._closed and (left := until - self._time.monotonic()) > 0:
            taken += self._session.send(data[taken:], min(left, _LOOK_S))
        return taken

    def _time_to_write(self, job: Job, document: Document) -> float:
        """Not longer than the document is valid."""
        longer = max(0.0, job.size - _USUAL_BYTES) / _SLOWEST_WIRE_BYTES_S
        write_s = self._write_s + max(longer, self._longer_s(job))
        if document.valid_until is None:
            return write_s
        return max(0.0, min(write_s, document.valid_until - self._clock()))

    def _longer_s(self, job: Job) -> float:
        """How much longer than a ticket it takes the slowest head."""
        return max(0.0, job.length_mm - _USUAL_MM) / self._head_mm_s

    def _wait(self, job: Job, document: Document, marks: _Marks) -> PrinterError | None:
        """Wait for the end of printing, recorded in `marks`. Returns the fault that stopped it, if one did."""
        start = self._time.monotonic()
        end = give_up_on_id = start + self._done_s + self._longer_s(job)
        look_at = start + _LOOK_S
        while (
            not self._closed
            and not self._expired(document)
            and (now := self._time.monotonic()) < min(end, give_up_on_id)
        ):
            self._learn(self._session.receive(max(0.0, min(_LOOK_S, end - now, look_at - now))), marks)
            if marks.printed:
                return None
            if marks.in_order and give_up_on_id == end:
                # It has read the end of the ticket; the head may still be printing and run out of paper.
                give_up_on_id = start + job.length_mm / self._head_mm_s
                if self._answers_ids is not False:
                    give_up_on_id = max(now + _GIVE_UP_ON_IDS_S, give_up_on_id)
            fault = _fault_of(self._session.seen, self.url)
            if fault is not None or self._time.monotonic() >= look_at:
                fault = self._steady_fault()
                if fault is not None:
                    return fault
                look_at = self._time.monotonic() + (_LOOK_WITH_ASB_S if self._session.asb_seen else _LOOK_S)
        self._learn(self._session.receive(0.0), marks)
        if marks.printed:
            return None
        fault = self._steady_fault()
        self._learn(self._session.receive(0.0), marks)
        if marks.in_order and fault is None and not self._closed:
            if self._answers_ids is None:
                self._answers_ids = False  # it answers what came later: it will not be asked again
            if self._answers_ids is False and not self._session.silent:
                marks.printed_in_order()
        return fault

    def _learn(self, replies: list[Reply], marks: _Marks) -> None:
        for reply in replies:
            if isinstance(reply, ProcessId):
                self._has_answered_ids |= marks.id_came(reply.id)
            elif isinstance(reply, InOrder):
                marks.in_order_came()
                self._has_answered_in_order = True
        if marks.printed:
            self._answers_ids = True

    def _give_up(
        self, job: Job, marks: _Marks, error: DeviceError, detail: str, *, taken: int, harmless: int, lost: int
    ) -> PrintResult:
        """It took the ticket and did not finish it: the rest must not come out once its fault is cleared."""
        cleared = self._session.clear()
        if cleared:
            self._learn(self._session.receive(self._session.answer_s), marks)
            if isinstance(error, DeviceTimeout):  # a line that the ticket's own bytes had blocked is free now
                error = _fault_of(self._session.status(again=False), self.url) or error
        else:
            self._session.drop()
        if marks.printed:
            return PrintResult(PrintOutcome.PRINTED, marks.evidence, None, job.replaced)
        detail += "; its buffer was cleared" if cleared else "; its buffer may still contain the rest"
        if taken <= harmless:
            outcome, detail = PrintOutcome.NOT_PRINTED, f"{detail}; none of the bytes it took prints {job.decisive}"
        elif cleared and self._never_reached(marks) and self._lost == lost:
            outcome, detail = PrintOutcome.NOT_PRINTED, f"{detail} before {job.decisive} was reached"
        else:
            outcome = PrintOutcome.UNKNOWN
        return PrintResult(outcome, detail, error, job.replaced, fragment=taken > 0, may_come_later=not cleared)

    def _never_reached(self, marks: _Marks) -> bool:
        """Whether the mark before the code is known not to have been reached: only if the printer has answered a mark,
        for instance at the start of its first ticket. The profile is not enough: it may be the wrong one.
        """
        trusted = self._has_answered_ids if marks.by_id else self._has_answered_in_order
        return trusted and not marks.reached

    @property
    def _shared(self) -> str:
        """What else a network printer that does not answer may be doing."""
        return "another computer may hold it; " if self._url.scheme == "tcp" else ""

    @property
    def _lost(self) -> int:
        """Grows when something that the printer sent may have been lost: a mark's answer, for instance."""
        return self._session.reader.noise + self._session.unanswered

    def _next_id(self) -> bytes:
        """A mark's id that no outstanding answer can have by chance, not even one to another process."""
        return self._tap.chosen(bytes(ord(_IDS[byte % len(_IDS)]) for byte in os.urandom(4)))

    def close(self) -> None:
        """Release the wire. May be called twice."""
        self._closed = True
        with self._mutex:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._session.drop(discard=self._memory.may_hold)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(slots=True)
class _Marks:
    """The questions sent within a ticket, and what was answered.

    The answer to the mark before the code means that the code may be on the paper, to those at the end that all of it
    is: a process id where the model answers it, and before it `GS r`, which shows a model that ignores ids. A mark at
    the start, before anything is printed, proves that the printer answers ids, if that is not known yet.
    """

    start_id: bytes | None
    before_id: bytes
    end_id: bytes
    by_id: bool
    reached: bool = False
    in_order: bool = False
    printed: bool = False
    evidence: str = ""

    @property
    def start(self) -> bytes:
        return commands.process_id(self.start_id) if self.start_id else b""

    @property
    def before(self) -> bytes:
        return commands.process_id(self.before_id) if self.by_id else commands.STATUS_IN_ORDER

    def end(self, *, ask_id: bool) -> bytes:
        return commands.STATUS_IN_ORDER + (commands.process_id(self.end_id) if ask_id else b"")

    @property
    def in_order_expected(self) -> int:
        return 1 if self.by_id else 2

    def id_came(self, name: bytes) -> bool:
        """Whether it is one of ours."""
        if name == self.before_id:
            self.reached = True
        elif name == self.end_id:
            self.reached = self.printed = True
            self.evidence = f"process id {name.decode('ascii')!r} answered"
        return name in (self.start_id, self.before_id, self.end_id)

    def in_order_came(self) -> None:
        if self.by_id or self.reached:
            self.in_order = True
        self.reached = True

    def printed_in_order(self) -> None:
        self.printed = True
        self.evidence = "everything was read in order and the printer reported no fault for as long as the head takes"


def _halves(job: Job, marks: _Marks) -> tuple[bytes, bytes]:
    """The job up to the last byte that prints nothing of what decides, and the rest."""
    safe = marks.start + job.head + marks.before + job.code[: job.code_safe]
    return safe, job.code[job.code_safe :] + job.tail + job.cut


def _fault_of(status: PrinterStatus, url: str) -> PrinterError | None:
    yes = SensorState.YES
    if status.cover_open is yes:
        return CoverOpen("the cover is open", url=url, hint="close it", retryable=True)
    if status.paper_out is yes:
        return PaperOut("the paper has run out", url=url, hint="put in a new roll")
    if status.cutter_error is yes or status.unrecoverable_error is yes or status.recoverable_error is yes:
        return PrinterFault(
            "it reports a fault of cutter or head", url=url, hint="remove jammed paper; switch it off and on"
        )
    if status.online is SensorState.NO:
        return PrinterFault("it is offline", url=url, hint="look at its lamps", retryable=True)
    return None


def profile_of(url: DeviceUrl) -> tuple[Profile, str | None]:
    """The profile that the URL's parameters choose and describe, and the code page that they ask for.

    Raises:
        BadDeviceUrl: a parameter that cannot be understood.
    """
    name, codec = url.params.get("profile", "default"), url.params.get("codec")
    try:
        base, wanted = load(name) if name.startswith("/") else (profile(name), None)
        texts = {name: text for name, text in url.params.items() if name in SETTINGS}
        return described(base, texts, codec), codec or wanted
    except KeyError:
        hint = "known: " + ", ".join(names()) + "; or the path of a file that describes it"
        raise url.wrong("profile", "is not a profile", hint=hint) from None
    except BadSetting as error:
        wrong = url.wrong(error.name, error.why)
        if error.name == "codec":  # code_page is its number, and means nothing without it
            wrong.parameters |= {"code_page"}
        raise wrong from None


def _tcp(url: DeviceUrl) -> tuple[Options, str, int]:
    return Options.of(url), url.host, url.port or transports.TCP_PORT


def _usb(url: DeviceUrl) -> tuple[Options, UsbAddress]:
    return Options.of(url), UsbAddress.of(url)


def _serial(url: DeviceUrl) -> tuple[Options, SerialAddress]:
    return Options.of(url), SerialAddress.of(url)


def _lp(url: DeviceUrl) -> tuple[Options, str]:
    return Options.of(url), url.path


@opener(_tcp, example="tcp://10.0.0.5:9100", params=PARAMETERS, needs=("host",), allows=("port",))
def open_tcp(url: DeviceUrl, found: tuple[Options, str, int]) -> EscPosPrinter:
    """`tcp://host[:9100]`."""
    options, host, port = found
    return EscPosPrinter(url, options, lambda: transports.open_tcp_wire(host, port, url.text, options.connect_s))


@opener(_usb, example="usb://04b8:0202", params=("port", "interface", *PARAMETERS), needs=("host",), allows=("path",))
def open_usb(url: DeviceUrl, found: tuple[Options, UsbAddress]) -> EscPosPrinter:
    """`usb://vendor:product[/serial][?port=1-2.3&interface=0]`."""
    options, address = found
    return EscPosPrinter(url, options, lambda: open_usb_wire(address, url.text))


@opener(_serial, example="serial:///dev/ttyUSB0?baud=115200", params=("baud", "flow", *PARAMETERS), needs=("path",))
def open_serial(url: DeviceUrl, found: tuple[Options, SerialAddress]) -> EscPosPrinter:
    """`serial:///dev/ttyUSB0?baud=115200&flow=dsrdtr`."""
    options, address = found
    return EscPosPrinter(url, options, lambda: open_serial_wire(address, url.text))


@opener(_lp, example="lp:///dev/usb/lp0", params=PARAMETERS, needs=("path",))
def open_lp(url: DeviceUrl, found: tuple[Options, str]) -> EscPosPrinter:
    """`lp:///dev/usb/lp0`."""
    options, path = found
    return EscPosPrinter(url, options, lambda: transports.open_lp_wire(path, url.text))
