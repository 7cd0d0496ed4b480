"""An ESC/POS printer on any wire: status, tickets, and whether they came out.

python-escpos gives the commands and the models' capabilities; the wires are ours (`transports`), since a lane needs
deadlines, byte counts and no reset at opening. "Printed" rests on the process id (`GS ( H`), which the printer answers
when the head has finished, or where the model lacks it on `GS r` answered in order with paper present.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from sco_drivers.errors import BadDeviceUrl, DeviceClosed, DeviceError, DeviceGone, DeviceTimeout, PrinterError
from sco_drivers.printer import (
    CoverOpen,
    DuplicateTicket,
    PaperOut,
    Presence,
    PrinterFault,
    PrinterStatus,
    PrintOutcome,
    PrintResult,
    Ticket,
    commands,
    transports,
)
from sco_drivers.printer.layout import Job, build, codec_of
from sco_drivers.printer.profile import Profile, names, profile
from sco_drivers.printer.replies import Asb, Cleared, InOrder, ProcessId, RealTime, Reply, ReplyReader, with_real_time
from sco_drivers.printer.transports import Transport
from sco_drivers.urls import DeviceUrl

_COMMON = ("profile", "paper_mm", "dpi", "codec", "connect_s", "write_s", "done_s", "status_s")
_FIRST_ID, _IDS = 0x2021, 4000
_GIVE_UP_ON_IDS_S = 2.0
"""After the printer has answered a later status, a process id that still has not come will not come."""


class EscPosPrinter:
    """See `sco_drivers.printer.Printer`.

    Args:
        url: the parsed URL. `profile`, `paper_mm`, `dpi`, `codec` choose the model; `connect_s`, `write_s`, `status_s`,
            `done_s` are the deadlines in s for connecting, giving the bytes, a status, and the end of printing.
        connect: opens the wire; is called again after it was lost.
        clock: s since the epoch.
    """

    def __init__(
        self, url: DeviceUrl, connect: Callable[[], Transport], clock: Callable[[], float] = time.time
    ) -> None:
        self._url = url
        self._connect = connect
        self._clock = clock
        self._profile = _profile(url)
        try:
            self._codec = codec_of(self._profile, url.params.get("codec"))
        except KeyError as error:
            raise BadDeviceUrl(f"the profile {self._profile.name} has no code page {error}", url=url.text) from None
        self._write_s = url.number("write_s", 10.0)
        self._done_s = url.number("done_s", 20.0)
        self._status_s = url.number("status_s", 0.5)
        self._mutex = threading.Lock()
        self._reader = ReplyReader()
        self._wire: Transport | None = connect()
        self._closed = False
        self._serial = 0
        self._may_be_out: set[str] = set()
        self._kept: list[Reply] = []
        self._left_over = False

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    @property
    def profile(self) -> Profile:
        """What the model can do."""
        return self._profile

    def status(self) -> PrinterStatus:
        """See `Printer.status`."""
        with self._mutex:
            self._check_open()
            return self._ask_status()

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        """See `Printer.print_ticket`."""
        with self._mutex:
            self._check_open()
            if ticket.ticket_id in self._may_be_out:
                raise DuplicateTicket(f"ticket {ticket.ticket_id} has come out, or may have", url=self.url)
            job = build(ticket, self._profile, codec=self._codec)
            if ticket.valid_until is not None and self._clock() >= ticket.valid_until:
                return PrintResult(PrintOutcome.NOT_PRINTED, "the ticket had expired before a byte was sent")
            refusal = self._why_not_now()
            if refusal is not None:
                return PrintResult(PrintOutcome.NOT_PRINTED, "the printer is not ready; nothing was sent", refusal)
            if self._left_over:
                self._flush()
                self._left_over = False
            # Remembered before a byte goes out: whatever happens from here on, only knowledge takes it back.
            self._may_be_out.add(ticket.ticket_id)
            result = self._print(job, ticket.valid_until)
            if result.outcome is PrintOutcome.NOT_PRINTED:
                self._may_be_out.discard(ticket.ticket_id)
            return result

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed("the printer was closed", url=self.url)

    def _line(self) -> Transport:
        if self._wire is None:
            self._reader.reset()
            self._kept = []
            self._wire = self._connect()
        return self._wire

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        self._left_over = True  # the printer may hold half a command, or half a ticket
        if wire is not None:
            wire.close()

    def _ask_status(self) -> PrinterStatus:
        """Ask for the four real-time statuses one by one: only so are their answers told apart."""
        status = PrinterStatus()
        for retry in (False, True):
            try:
                for n in (1, 2, 3, 4):
                    answer = self._real_time(n)
                    if answer is None:
                        break
                    status = with_real_time(status, n, answer)
            except DeviceGone:
                self._drop()
                if retry:
                    raise
                continue
            return status
        return status

    def _real_time(self, n: int) -> int | None:
        wire = self._line()
        late = self._replies(0.0)  # a status that came late answers an earlier question
        self._kept = [reply for reply in late if not isinstance(reply, RealTime)]
        if wire.write(commands.status(n), self._status_s) < len(commands.status(n)):
            return None
        end = time.monotonic() + self._status_s
        kept, self._kept = self._kept, []
        found: int | None = None
        while found is None and (left := end - time.monotonic()) > 0:
            for reply in self._replies(left):
                if isinstance(reply, RealTime):
                    found = reply.byte
                else:
                    kept.append(reply)
        self._kept = kept  # a process id that came meanwhile is not lost
        return found

    def _why_not_now(self) -> DeviceError | None:
        """Why the printer certainly cannot print now; None when it can, or when it does not say."""
        try:
            status = self._ask_status()
        except DeviceError as error:
            return error
        return _fault_of(status, self.url)

    def _print(self, job: Job, valid_until: float | None) -> PrintResult:
        """Send the parts; what is on the paper is known by how far the bytes got."""
        scannable = job.code if job.plan.way == "native" else job.code[:1]
        before = job.head + job.code[: len(scannable) - 1]
        everything = job.head + job.code + job.tail + job.cut
        name = self._next_id()
        taken = 0
        try:
            taken = self._line().write(everything, self._write_s)
            if taken < len(everything):
                return self._cut_short(taken, len(before), len(everything), job, self._fault_now())
            return self._wait_done(job, name, valid_until)
        except DeviceError as error:
            # Any error, also one of connecting again to ask for the status: the ticket is on its way already, and how
            # many of its bytes the printer got before the wire broke is not known.
            self._drop()
            return PrintResult(PrintOutcome.UNKNOWN, f"the wire broke: {error.message}", error, job.replaced)

    def _cut_short(self, taken: int, harmless: int, whole: int, job: Job, fault: DeviceError | None) -> PrintResult:
        """It took a part and no more. What it holds must not come out when it is served."""
        flushed = self._flush()
        self._drop()
        error = fault or DeviceTimeout(f"it took {taken} of {whole} bytes in {self._write_s:g} s", url=self.url)
        told = "its buffer was cleared" if flushed else "its buffer may still hold the rest"
        if taken <= harmless:
            return PrintResult(
                PrintOutcome.NOT_PRINTED,
                f"it took {taken} of {whole} bytes, none of them prints the code",
                error,
                job.replaced,
            )
        return PrintResult(PrintOutcome.UNKNOWN, f"it took {taken} of {whole} bytes; {told}", error, job.replaced)

    def _wait_done(self, job: Job, name: bytes, valid_until: float | None) -> PrintResult:
        wire = self._line()
        asked = commands.process_id(name) if self._profile.process_id is not False else b""
        asked += commands.STATUS_IN_ORDER
        self._reader.expecting_in_order += 1
        wire.write(asked, self._write_s)
        end = time.monotonic() + self._done_s
        give_up_on_id = end
        in_order = False
        while (now := time.monotonic()) < min(end, give_up_on_id):
            for reply in self._replies(min(0.25, end - now)):
                if isinstance(reply, ProcessId) and reply.id == name:
                    return PrintResult(
                        PrintOutcome.PRINTED, f"process id {name.decode('ascii')!r} answered", None, job.replaced
                    )
                if isinstance(reply, InOrder):
                    in_order = True
                    give_up_on_id = time.monotonic() + (0.0 if self._profile.process_id is False else _GIVE_UP_ON_IDS_S)
            if not in_order:
                if valid_until is not None and self._clock() >= valid_until:
                    break
                fault = self._fault_now()
                if fault is not None:
                    flushed = self._flush()
                    told = "and its buffer was cleared" if flushed else "and its buffer may still hold the rest"
                    return PrintResult(PrintOutcome.UNKNOWN, f"it stopped while printing, {told}", fault, job.replaced)
        fault = self._fault_now()
        if in_order and fault is None:
            return PrintResult(
                PrintOutcome.PRINTED, "all was processed in order and the printer reports no fault", None, job.replaced
            )
        silent = fault or DeviceTimeout("it did not say that it had finished", url=self.url)
        # What it still holds must not come out when somebody serves it, perhaps long after the ticket's end.
        told = "its buffer was cleared" if self._flush() else "its buffer may still hold the rest"
        return PrintResult(
            PrintOutcome.UNKNOWN,
            f"all bytes were taken, the end of printing was not told; {told}",
            silent,
            job.replaced,
        )

    def _fault_now(self) -> DeviceError | None:
        """A fault that the printer reports; silence is none."""
        return _fault_of(self._ask_status(), self.url)

    def _flush(self) -> bool:
        """Clear the printer's buffers (`DLE DC4 8`), lest the code come out later. Returns whether it said yes."""
        if self._profile.clear_buffers is False:
            return False
        try:
            self._line().write(commands.CLEAR_BUFFERS, self._status_s)
            return any(isinstance(reply, Cleared) for reply in self._replies(self._status_s))
        except DeviceError:
            return False

    def _replies(self, timeout_s: float) -> list[Reply]:
        """What the printer says within `timeout_s`, at once when it says something. ASB is asked for by nobody here."""
        if self._kept:
            kept, self._kept = self._kept, []
            return kept
        end = time.monotonic() + timeout_s
        while True:
            data = self._line().read(max(0.0, end - time.monotonic()))
            found: list[Reply] = [reply for reply in self._reader.feed(data) if not isinstance(reply, Asb)]
            if found or time.monotonic() >= end:
                return found

    def _next_id(self) -> bytes:
        self._serial = (self._serial + 1) % _IDS
        return f"{self._serial:04d}".encode("ascii")

    def close(self) -> None:
        """Give the wire back. May be called twice."""
        self._closed = True
        with self._mutex:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _fault_of(status: PrinterStatus, url: str) -> PrinterError | None:
    yes = Presence.YES
    if status.cover_open is yes:
        return CoverOpen("the cover is open", url=url, hint="close it", retryable=True)
    if status.paper_out is yes:
        return PaperOut("the paper has run out", url=url, hint="put in a new roll")
    if status.cutter_error is yes or status.unrecoverable_error is yes or status.recoverable_error is yes:
        return PrinterFault(
            "it reports a fault of cutter or head", url=url, hint="look for jammed paper; switch it off and on"
        )
    if status.online is Presence.NO:
        return PrinterFault("it says that it is offline", url=url, hint="look at its lamps", retryable=True)
    return None


def _profile(url: DeviceUrl) -> Profile:
    name = url.params.get("profile", "default")
    paper = url.integer("paper_mm", 0)
    dpi = url.integer("dpi", 0)
    if paper not in (0, 58, 80):
        raise BadDeviceUrl(f"paper_mm={paper} is neither 58 nor 80", url=url.text)
    if dpi not in (0, 180, 203):
        raise BadDeviceUrl(f"dpi={dpi} is neither 180 nor 203", url=url.text)
    try:
        return profile(name, paper or None, dpi or None)
    except KeyError:
        hint = "known: " + ", ".join(names())
        raise BadDeviceUrl(f"there is no profile {name!r}", url=url.text, hint=hint) from None


def open_tcp(url: DeviceUrl) -> EscPosPrinter:
    """`tcp://host[:9100]`."""
    url.only(*_COMMON)
    connect_s = url.number("connect_s", 3.0)
    return EscPosPrinter(url, lambda: transports.open_tcp_wire(url, connect_s))


def open_usb(url: DeviceUrl) -> EscPosPrinter:
    """`usb://vendor:product[/serial]`."""
    url.only(*_COMMON)
    return EscPosPrinter(url, lambda: transports.open_usb_wire(url))


def open_serial(url: DeviceUrl) -> EscPosPrinter:
    """`serial:///dev/ttyUSB0?baud=115200&flow=dsrdtr`."""
    url.only(*_COMMON, "baud", "flow")
    return EscPosPrinter(url, lambda: transports.open_serial_wire(url))


def open_lp(url: DeviceUrl) -> EscPosPrinter:
    """`lp:///dev/usb/lp0`."""
    url.only(*_COMMON)
    return EscPosPrinter(url, lambda: transports.open_lp_wire(url))
