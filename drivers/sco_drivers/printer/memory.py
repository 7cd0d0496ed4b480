"""What must be remembered of a printer longer than one opening of it lasts: which tickets may be out, what it may hold.

Kept per device for the life of the process, so that a printer that was lost and opened again by another object is not
asked for the same ticket twice. A process that starts anew knows of no ticket: who prints for money must not ask twice
for the same one (the lane's journal names every attempt that was presented, and recovery never presents again).
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from sco_drivers.printer.transports import TCP_PORT
from sco_drivers.urls import DeviceUrl

MOST_TICKETS = 4096
"""Tickets remembered per device: days of a busy lane, while a ticket lives for minutes."""


class Memory:
    """Of one device. Its owner holds a lock.

    Attributes:
        may_hold: the printer may hold bytes of an earlier ticket that it has not printed yet.
        torn: the paper may carry a part of an earlier ticket that was not cut off.
        answers: it has answered a status question, so that its silence means that something is wrong.
        owed: bytes that a command which was cut short may still wait for; it would swallow the next ticket's.
    """

    def __init__(self) -> None:
        self.may_hold = True  # whatever the process before us left there
        self.torn = False
        self.answers = False
        self.owed = 0
        self._tickets: OrderedDict[str, bool] = OrderedDict()

    def may_be_out(self, ticket_id: str) -> bool:
        """Whether the ticket has come out, or may have."""
        return self._tickets.get(ticket_id, False)

    def was_tried(self, ticket_id: str) -> bool:
        """Whether the ticket was tried and is known not to have come out, though a part of it may be on the paper."""
        return self._tickets.get(ticket_id) is False

    def sending(self, ticket_id: str) -> None:
        """Its bytes go out now: whatever happens from here on, only knowledge takes it back."""
        self._tickets[ticket_id] = True
        self._tickets.move_to_end(ticket_id)
        while len(self._tickets) > MOST_TICKETS:
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
    """The memory of the device at `url`, whatever its parameters say."""
    port = url.port or (TCP_PORT if url.scheme == "tcp" else "")
    key = f"{url.scheme}://{url.host}:{port}{url.path}?{url.params.get('port', '')}"
    with _mutex:
        return _memories.setdefault(key, Memory())


def forget() -> None:
    """Forget all devices, as a new process would: for tests, whose simulators use an address again."""
    with _mutex:
        _memories.clear()
