"""A session with an ESC/POS printer: one wire, one reader of replies, and questions matched with their answers.

Knows the commands and their replies, nothing about tickets. A lost wire is opened again; after each opening the
printer's buffers are cleared of what an earlier ticket may have left there, and automatic status is requested.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from sco_drivers.errors import DeviceError, DeviceGone
from sco_drivers.printer import PresenterStatus, PrinterIdentity, PrinterStatus, commands
from sco_drivers.printer.memory import Memory
from sco_drivers.printer.profile import Profile
from sco_drivers.printer.replies import (
    Asb,
    Cleared,
    FullStatus,
    Identity,
    ProcessId,
    QrSize,
    RealTime,
    Reply,
    ReplyReader,
    presenter_of,
    with_asb,
    with_real_time,
)
from sco_drivers.printer.transports import Transport

_SLOWEST_WIRE_BYTES_S = 960.0
_LATEST = 2
"""An answer that has not come after this many times the usual wait will not come."""
R = TypeVar("R")
WireHook = Callable[[str, bytes], None]


class EscPosSession:
    """A session with one printer. Used by one thread at a time: the owner locks.

    Args:
        connect: opens the wire; is called again after it was lost.
        profile: what the model can do.
        memory: what is remembered about the device beyond one wire.
        answer_s: how long to wait for an answer.
        drawer_open_is_high: which level of the drawer's pin means open; None when that is not known.

    Attributes:
        seen: the last automatic status on this wire; all UNKNOWN if none came.
        asb_seen: whether automatic status has come on this wire.
        silent: the last status question was not answered at all.
        unanswered: how many questions got no answer in time: answers may be getting lost.
        on_wire: called with all bytes that pass: "->" or "<-", and the bytes.
    """

    def __init__(
        self,
        connect: Callable[[], Transport],
        profile: Profile,
        memory: Memory,
        *,
        answer_s: float,
        drawer_open_is_high: bool | None = None,
    ) -> None:
        self._connect = connect
        self._profile = profile
        self._memory = memory
        self.answer_s = answer_s
        self._drawer = drawer_open_is_high
        self.on_wire: WireHook | None = None
        self.reader = ReplyReader()
        self.seen = PrinterStatus()
        self.asb_seen = False
        self.silent = False
        self.unanswered = 0
        self._kept: list[Reply] = []
        self._owed: dict[type[Any], float] = {}  # the kind of answer that is outstanding, and when it was asked for
        self._wait_s = answer_s  # for an answer; longer once one came late
        self._answered = False  # a question was answered on this wire
        self._wire: Transport | None = None
        self.open()

    # --- the wire ---

    def open(self) -> None:
        """Connect and prepare the printer, if there is no wire.

        Raises:
            DeviceError: it cannot be opened.
        """
        if self._wire is not None:
            return
        self.reader.reset()
        self._kept = []
        self._owed.clear()
        self.seen, self.asb_seen, self._answered = PrinterStatus(), False, False
        self._wire = self._connect()
        try:
            if self._memory.may_hold:
                self.make_clean()
            if self._profile.asb:
                self.send(commands.ASB_ALL, self.answer_s)
        except DeviceError:
            self.drop()
            raise

    def drop(self, *, discard: bool = True) -> None:
        """Close the wire; `discard`: with everything that the printer has not taken yet."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close(discard=discard)

    @property
    def connected(self) -> bool:
        """Whether there is a wire, as far as is known."""
        return self._wire is not None

    def expect_in_order(self, answers: int) -> None:
        """`GS r` is about to be asked this many times; earlier replies answer something else."""
        self._kept = []
        self.reader.expecting_in_order = answers

    def send(self, data: bytes, timeout_s: float) -> int:
        """Send `data`; returns how many bytes were taken within `timeout_s`. Raises DeviceError."""
        self.open()
        assert self._wire is not None
        return self._logged(data, self._wire.write(data, timeout_s))

    def _send_realtime(self, command: bytes) -> int:
        """Send a real-time command, which is executed on arrival, even while the printer has stopped the line."""
        self.open()
        assert self._wire is not None
        discard = command == commands.CLEAR_BUFFERS
        return self._logged(command, self._wire.write_realtime(command, self.answer_s, discard=discard))

    def _logged(self, data: bytes, taken: int) -> int:
        if self.on_wire is not None and taken:
            self.on_wire("->", data[:taken])
        return taken

    def receive(self, timeout_s: float) -> list[Reply]:
        """The replies that arrive within `timeout_s`, as soon as any do. Raises DeviceError."""
        if self._kept:
            kept, self._kept = self._kept, []
            return kept
        self.open()
        assert self._wire is not None
        end = time.monotonic() + timeout_s
        while True:
            data = self._wire.read(max(0.0, end - time.monotonic()))
            if data and self.on_wire is not None:
                self.on_wire("<-", data)
            found = self.reader.feed(data)
            for reply in found:
                if not isinstance(reply, RealTime):
                    self._memory.proven = True
                if isinstance(reply, Asb):
                    self.asb_seen = True
                    self.seen = with_asb(self.seen, reply.data, drawer_open_is_high=self._drawer)
            if found or time.monotonic() >= end:
                return found

    def ask(self, question: bytes, kind: type[R], fits: Callable[[R], bool] = lambda _: True) -> R | None:
        """The answer of `kind` to `question`; None if there is none. Other replies that come meanwhile are kept.

        Only one question of a kind is open at a time, since answers do not name their question: one that comes late
        answers an earlier question and is dropped here.

        Raises:
            DeviceError: the wire is lost.
        """
        self._await_late(kind)
        kept = [reply for reply in self.receive(0.0) if not isinstance(reply, kind)]
        taken = self._send_realtime(question) if commands.is_real_time(question) else self.send(question, self.answer_s)
        if taken < len(question):
            self._kept = kept
            return None
        asked = time.monotonic()
        end = asked + self._wait_s
        found: R | None = None
        while found is None and (left := end - time.monotonic()) > 0:
            for reply in self.receive(left):
                if found is None and isinstance(reply, kind) and fits(reply):
                    found = reply
                    self._answered = self._memory.answers = True
                else:
                    kept.append(reply)
        self._kept = kept
        if found is None:
            self._owed[kind] = asked
            self.unanswered += 1
        return found

    def _await_late(self, kind: type[Any]) -> bool:
        """Wait for the outstanding answer of `kind`; whether it came. It does not answer a later question.

        Raises:
            DeviceError: the wire is lost.
        """
        asked = self._owed.pop(kind, None)
        if asked is None:
            return False
        end = asked + _LATEST * self.answer_s
        kept: list[Reply] = []
        came = False
        while not came:
            left = end - time.monotonic()
            for reply in self.receive(max(0.0, left)):
                came |= isinstance(reply, kind)
                kept.append(reply)
            if left <= 0:
                break
        self._kept = [reply for reply in kept if not isinstance(reply, kind)]
        if came:
            self._wait_s = _LATEST * self.answer_s
        return came

    # --- questions ---

    def real_time(self, n: int) -> int | None:
        """The answer to `DLE EOT n`, n 1 to 4; None if there is none. Raises DeviceError."""
        answer = self.ask(commands.status(n), RealTime)
        return answer.byte if answer is not None else None

    def status(self, *, again: bool = True) -> PrinterStatus:
        """The printer's state, from the four real-time statuses and the automatic one that came with them.

        Args:
            again: connect again when the wire is found broken, or the printer no longer answers.

        Raises:
            DeviceError: the wire is lost, and could not be opened again.
        """
        while True:
            answered = self._answered
            try:
                status, self.silent = self._status_once()
            except DeviceGone:
                self.drop()
                if not again:
                    raise
                again = False
                continue
            if self.silent and answered and again:
                # A network printer that is switched off does not close the connection; a new one shows if it is there.
                if not self._answers_late():
                    self.drop()
                again = False
                continue
            return status

    def _answers_late(self) -> bool:
        try:
            return self._await_late(RealTime)
        except DeviceGone:
            return False

    def _status_once(self) -> tuple[PrinterStatus, bool]:
        """What is known, and whether the printer was silent."""
        self._await_late(RealTime)
        self._kept = [reply for reply in self.receive(0.0) if not isinstance(reply, RealTime | Asb)]
        self.seen, status = PrinterStatus(), PrinterStatus()  # what came before this question is no answer to it
        for n in (1, 2, 3, 4):
            answer = self.real_time(n)
            if answer is None:
                # It sends automatic status only: what came just now serves as well.
                return (status, False) if n > 1 else (self.seen, self.seen == PrinterStatus())
            status = with_real_time(status, n, answer, drawer_open_is_high=self._drawer)
        return status, False

    def clear(self) -> bool:
        """Clear the printer's buffers (`DLE DC4 8`), so that nothing comes out later; whether it confirmed.

        Raises:
            DeviceError: the wire is lost.
        """
        if self._profile.clear_buffers is False:
            return False
        if self.ask(commands.CLEAR_BUFFERS, Cleared) is None:
            return False
        self.reader.expecting_in_order = 0  # those questions were cleared too
        self._memory.may_hold, self._memory.owed = False, 0
        return True

    def make_clean(self) -> None:
        """Make the printer ready for a ticket after one that failed: cleared, or past an unfinished command.

        Raises:
            DeviceError: the wire is lost.
        """
        if not self.clear() and self._memory.owed:
            # An interrupted picture ends in white, and a printer that waits for none skips NUL.
            owed, self._memory.owed = self._memory.owed, 0
            self.send(bytes(owed), self.answer_s + owed / _SLOWEST_WIRE_BYTES_S)

    def recover(self) -> None:
        """Leave a recoverable error, such as a freed cutter, and drop what waits to be printed. Raises DeviceError."""
        self._send_realtime(commands.RECOVER_AND_FLUSH)

    def reports_printed(self, name: bytes) -> bool:
        """Whether it answers a process id now, with nothing to print before it. Raises DeviceError."""
        return self.ask(commands.process_id(name), ProcessId, lambda reply: reply.id == name) is not None

    def draws_qr(self) -> bool:
        """Whether it has QR codes of its own, known from now on. It must be ready. Raises DeviceError."""
        if self._memory.draws_qr is None:
            answer = self.ask(commands.QR_SIZE, QrSize)
            self.empty_line()
            self._memory.draws_qr = answer is not None and answer.printable
        return self._memory.draws_qr

    def empty_line(self) -> None:
        """Drop what the printer may have put in its line buffer for a command that it does not know.

        Raises:
            DeviceError: the wire is lost.
        """
        self.send(commands.INIT + (commands.ASB_ALL if self._profile.asb else b""), self.answer_s)

    def identity(self) -> PrinterIdentity:
        """What the printer is. One that is offline does not answer. Raises DeviceError."""
        if not self._profile.identity:
            return PrinterIdentity()
        texts: list[str | None] = []
        for n in (66, 67, 68, 65):
            answer = self.ask(commands.identity(n), Identity)
            if answer is None and not texts:
                return PrinterIdentity()
            texts.append(answer.text if answer is not None else None)
        return PrinterIdentity(*texts)

    def presenter(self) -> PresenterStatus:
        """The state of the presenter (`DLE EOT 20`). Raises DeviceError."""
        self.reader.expecting_full_status = True
        answer = self.ask(commands.FULL_STATUS, FullStatus)
        self.reader.expecting_full_status = False
        return presenter_of(answer.data) if answer is not None else PresenterStatus()
