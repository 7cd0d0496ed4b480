"""What is remembered about a printer beyond one opening: which tickets may be out, what its buffer may contain.

Kept per device for the life of the process, so that a printer that is lost and opened again by another object does not
print the same ticket twice. A new process knows no ticket: its caller must not print one twice (the lane's journal
names every attempt that was presented, and recovery never presents again).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from sco_drivers.printer.transports import TCP_PORT
from sco_drivers.urls import DeviceUrl

MAX_TICKETS = 4096
"""Tickets remembered per device: days of a busy lane, while a ticket is valid for minutes."""


STATE = ("may_hold", "torn", "answers", "proven", "draws_qr", "owed")
"""Names of what is remembered, tickets apart."""


class Memory:
    """What is remembered about one device. Not thread-safe: the owner locks.

    Attributes:
        may_hold: the printer may have bytes of an earlier ticket that it has not printed yet.
        torn: a part of an earlier ticket may be on the paper, not cut off.
        answers: it has answered a status question, so no answer means that something is wrong.
        proven: it has answered a command that only ESC/POS printers with a back channel know, so that it can be asked
            more without printing the letters of unknown commands.
        draws_qr: it has QR codes of its own; None while that is not known.
        owed: bytes that an interrupted command may still wait for; it would swallow those of the next ticket.
    """

    def __init__(self) -> None:
        self.may_hold = True  # whatever an earlier process left there
        self.torn = False
        self.answers = self.proven = False
        self.draws_qr: bool | None = None
        self.owed = 0
        self._tickets: OrderedDict[str, bool] = OrderedDict()

    @property
    def tickets(self) -> list[tuple[str, bool]]:
        """Each ticket that is remembered, the oldest first, and whether it may be out; as `remember` takes them."""
        return list(self._tickets.items())

    def remember(self, tickets: Iterable[tuple[str, bool]]) -> None:
        """Remember these in place of all others."""
        self._tickets = OrderedDict(tickets)

    def may_be_out(self, ticket_id: str) -> bool:
        """Whether the ticket has come out, or may have."""
        return self._tickets.get(ticket_id, False)

    def was_tried(self, ticket_id: str) -> bool:
        """Whether the ticket was tried and is known not to have come out, though a part of it may be on the paper."""
        return self._tickets.get(ticket_id) is False

    def sending(self, ticket_id: str) -> None:
        """Its bytes are sent now; from here on it counts as printed until the opposite is known."""
        self._tickets[ticket_id] = True
        self._tickets.move_to_end(ticket_id)
        while len(self._tickets) > MAX_TICKETS:
            self._tickets.popitem(last=False)

    def did_not_come_out(self, ticket_id: str, *, fragment: bool) -> None:
        """It is known that no scannable code of it came out; `fragment`: some lines of it may have."""
        if fragment:
            self._tickets[ticket_id] = False
        else:
            self._tickets.pop(ticket_id, None)


_memories: dict[str, Memory] = {}
_mutex = threading.Lock()


def memory_of(url: DeviceUrl) -> Memory:
    """The memory of the device at `url`, whatever the parameters."""
    port = url.port or (TCP_PORT if url.scheme == "tcp" else "")
    key = f"{url.scheme}://{url.host}:{port}{url.path}?{url.params.get('port', '')}"
    with _mutex:
        return _memories.setdefault(key, Memory())


def forget() -> None:
    """Forget all devices, as a new process would: for tests, whose simulators reuse addresses."""
    with _mutex:
        _memories.clear()
