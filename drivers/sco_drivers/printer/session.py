"""A session with an ESC/POS printer: one wire, one reader of replies, and questions matched with their answers.

Knows the commands and their replies, nothing about tickets. A lost wire is opened again; after each opening the
printer's buffers are cleared of what an earlier ticket may have left there, and automatic status is requested.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
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
from sco_drivers.tap import Clock

_SLOWEST_WIRE_BYTES_S = 960.0
_LATEST = 4
"""A printer that has answered before is given this many times the usual wait before it counts as silent."""
_MAX_BEHIND = 4
"""At most this many answers may a printer lag behind its questions."""
_COUNTED: tuple[type[Any], ...] = (RealTime, Cleared, Identity, FullStatus)
"""Answers that do not name their question."""
R = TypeVar("R")
WireHook = Callable[[str, bytes], None]


@dataclass(slots=True)
class _Outstanding:
    """Answers of one kind that have not come yet.

    Some printers lag one question behind: they give each answer only when the next question arrives. So a question is
    sent `count` times more than once, and as many answers are skipped: the next one answers the question, or, if the
    outstanding answers were lost, a repetition of it.

    Attributes:
        count: answers that may still come.
        skip: answers to drop before the one that is waited for; None when none is waited for.
        received: answers so far.
        silent: the last question was not answered, nor any before it.
        received_before_silence, asked_in_silence: answers before, questions since.
    """

    count: int = 0
    skip: int | None = None
    received: int = 0
    silent: bool = False
    received_before_silence: int = 0
    asked_in_silence: int = 0

    def take(self) -> bool:
        """An answer has come; whether it is the one that is waited for."""
        self.count -= 1
        self.received += 1
        if self.skip is None:
            return False
        self.skip -= 1
        return self.skip < 0

    def end(self, *, answered: bool, silent: bool) -> None:
        """A question was answered, or given up; `silent`: not one answer came meanwhile."""
        self.skip = None
        if silent and not answered:
            self.silent, self.received_before_silence, self.asked_in_silence = True, self.received, self.count
        self.limit()

    def speaks(self) -> None:
        """It answers again. One that lags behind would have done so before, had it been asked more often than that."""
        self.silent = False
        if self.asked_in_silence > _MAX_BEHIND:
            self.count = 0

    def limit(self) -> None:
        """Forget answers that were lost."""
        self.count = min(self.count, _MAX_BEHIND)


class EscPosSession:
    """A session with one printer. Used by one thread at a time: the owner locks.

    Args:
        connect: opens the wire; is called again after it was lost.
        profile: what the model can do.
        memory: what is remembered about the device beyond one wire.
        answer_s: how long to wait for an answer.
        drawer_open_is_high: which level of the drawer's pin means open; None when that is not known.
        clock: its time.

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
        clock: Clock = time,
    ) -> None:
        self.clock = clock
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
        self._outstanding: dict[type[Any], _Outstanding] = {}
        self._patient = False
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
        self._outstanding = {kind: _Outstanding() for kind in _COUNTED}
        self._patient, self._wait_s = False, self.answer_s
        self.seen, self.asb_seen, self._answered = PrinterStatus(), False, False
        self._wire = self._connect()
        try:
            if self._memory.may_hold:
                self.make_clean()
            if self.asks_for_asb:
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
    def asks_for_asb(self) -> bool:
        """Whether automatic status is requested: of an unknown printer only once it has proved itself."""
        return self._profile.asb and (self._memory.proven or not self._profile.guessed)

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
        end = self.clock.monotonic() + timeout_s
        while True:
            data = self._wire.read(max(0.0, end - self.clock.monotonic()))
            if data and self.on_wire is not None:
                self.on_wire("<-", data)
            found = [reply for reply in self.reader.feed(data) if self._wanted(reply)]
            for reply in found:
                if not isinstance(reply, RealTime):
                    self._memory.proven = True
                if isinstance(reply, Asb):
                    self.asb_seen = True
                    self.seen = with_asb(self.seen, reply.data, drawer_open_is_high=self._drawer)
            if found or self.clock.monotonic() >= end:
                return found

    def ask(self, question: bytes, kind: type[R], fits: Callable[[R], bool] = lambda _: True) -> R | None:
        """The answer of `kind` to `question`; None if there is none. Other replies that come meanwhile are kept.

        Most answers do not name their question, so they are counted: see `_Outstanding`.

        Raises:
            DeviceError: the wire is lost.
        """
        kept = [reply for reply in self.receive(0.0) if not isinstance(reply, kind)]
        counted = self._outstanding.get(kind)
        found: R | None = None
        if counted is None:
            found = self._ask_once(question, kind, fits, kept)
        elif not counted.silent or self._speaks_again(question, kind, counted, kept):
            before = counted.received
            counted.skip = counted.count
            found = self._ask_once(question, kind, fits, kept, copies=1 + counted.count)
            counted.end(answered=found is not None, silent=counted.received == before)
        self._kept = kept
        if found is None:
            self.unanswered += 1
        return found

    def _ask_once(
        self, question: bytes, kind: type[R], fits: Callable[[R], bool], kept: list[Reply], copies: int = 1
    ) -> R | None:
        asked = self.clock.monotonic()
        taken = self._put(question, kind, copies)
        late = self._outstanding[RealTime].count
        if taken and late and kind is not RealTime:  # a printer that lags a question behind needs one to go on
            self._put(commands.status(1), RealTime, late)
        if not taken:
            return None
        found = self._first(kind, fits, asked + self._wait_s, kept)
        if found is None and self._patient:
            self._patient = False
            found = self._first(kind, fits, asked + _LATEST * self.answer_s, kept)
        if found is not None:
            self._answered = self._memory.answers = self._patient = True
            self._wait_s = max(self._wait_s, min(_LATEST * self.answer_s, 1.5 * (self.clock.monotonic() - asked)))
        return found

    def _put(self, question: bytes, kind: type[Any], copies: int) -> bool:
        """Send `question` so often; whether all was taken."""
        data = question * copies
        taken = self._send_realtime(data) if commands.is_real_time(question) else self.send(data, self.answer_s)
        if kind in self._outstanding:
            self._outstanding[kind].count += -(-taken // len(question))
        return taken == len(data)

    def _first(self, kind: type[R], fits: Callable[[R], bool], end: float, kept: list[Reply]) -> R | None:
        """The first reply that fits, by `end`, monotonic s; others go to `kept`."""
        found: R | None = None
        while found is None and (left := end - self.clock.monotonic()) > 0:
            for reply in self.receive(left):
                if found is None and isinstance(reply, kind) and fits(reply):
                    found = reply
                else:
                    kept.append(reply)
        return found

    def _speaks_again(self, question: bytes, kind: type[Any], counted: _Outstanding, kept: list[Reply]) -> bool:
        """Whether a printer that was silent answers again. All that it gives is dropped: it may answer anything."""
        if counted.received == counted.received_before_silence:
            self._put(question, kind, 1)
            counted.asked_in_silence += 1
            end = self.clock.monotonic() + self._wait_s
            while counted.received == counted.received_before_silence:
                left = end - self.clock.monotonic()
                if left <= 0:
                    counted.limit()
                    return False
                kept += self.receive(left)
        end = self.clock.monotonic() + _LATEST * self.answer_s
        seen = -1
        while seen != counted.received and self.clock.monotonic() < end:
            seen = counted.received
            kept += self.receive(self.answer_s)
        self._answered = self._memory.answers = self._patient = True
        counted.speaks()
        return True

    def _wanted(self, reply: Reply) -> bool:
        """Count `reply`; whether it is the answer that is waited for, or needs no counting."""
        counted = self._outstanding.get(type(reply))
        if counted is None:
            return True
        if not counted.count:  # an answer without a question
            self.reader.noise += 1
            return False
        return counted.take()

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
                self.drop()
                again = False
                continue
            return status

    def _status_once(self) -> tuple[PrinterStatus, bool]:
        """What is known, and whether the printer was silent."""
        self._kept = [reply for reply in self.receive(0.0) if not isinstance(reply, RealTime | Asb)]
        self.seen, status = PrinterStatus(), PrinterStatus()  # what came before this question does not answer it
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
        self.send(commands.INIT + (commands.ASB_ALL if self.asks_for_asb else b""), self.answer_s)

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
