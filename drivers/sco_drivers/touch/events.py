"""The kernel's input events: bytes -> reports of contact and keys. Follows Documentation/input/event-codes.rst and
multi-touch-protocol.rst. Pure: no file, no clock.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

EVENT = struct.Struct("@llHHi")
"""struct input_event of a 64-bit kernel and of a 32-bit one without 64-bit time: two longs, type, code, value."""

EV_SYN, EV_KEY, EV_ABS = 0, 1, 3
SYN_REPORT, SYN_MT_REPORT, SYN_DROPPED = 0, 2, 3
ABS_X, ABS_Y, ABS_PRESSURE = 0x00, 0x01, 0x18
ABS_MT_TOUCH_MAJOR, ABS_MT_PRESSURE = 0x30, 0x3A
ABS_MT_SLOT, ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_TRACKING_ID = 0x2F, 0x35, 0x36, 0x39
BTN_LEFT, BTN_TOUCH = 0x110, 0x14A

KEYS: dict[int, int] = {
    **{2 + n: n for n in range(9)},  # 1..9
    **{code: n for n, code in enumerate((79, 80, 81, 75, 76, 77, 71, 72, 73))},  # keypad 1..9
    **{59 + n: n for n in range(9)},  # F1..F9
    28: 0,  # Enter: the first button
    96: 0,  # keypad Enter
    1: 1,  # Esc: the second
}
"""Key code -> which of the scene's buttons it presses, counted from 0 on the left."""


RESTING_S = 1.0
"""A contact that lasts longer does not keep another from tapping: a drop, a bag on the frame."""


@dataclass(frozen=True, slots=True)
class Report:
    """One packet of events: the finger's place, whether it is down, and when, in s of the device's clock."""

    x: int
    y: int
    down: bool
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key went down (repeats are not reported); `at` as of a `Report`."""

    code: int
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """The kernel's buffer overflowed: the state of the contact is unknown."""


@dataclass(frozen=True, slots=True)
class State:
    """What the kernel reports only when it changes: the last place, and the current slot."""

    x: int = 0
    y: int = 0
    slot: int = 0


class EventReader:
    """Assembles events into reports. Feed it bytes in pieces of any size.

    Args:
        state: queries the panel's state from the kernel, at the start and after lost events; None for a plain stream.
        min_pressure: on a panel that reports pressure and no BTN_TOUCH, less counts as lifted.
    """

    def __init__(self, state: Callable[[], State] | None = None, min_pressure: int = 1) -> None:
        self._rest = b""
        self._state = state
        self._x = self._y = self._slot = 0
        self._down = self._dropping = self._touched = False
        # A multi-touch panel that reports single-touch axes too means the oldest contact, until all are lifted. Then
        # the slots are ignored: otherwise two fingers would mix their places.
        self._single = False
        self._min_pressure = min_pressure
        self._has_button = self._slots = False
        # Contacts by slot, and which of them is followed instead of the first finger, while something rests on the
        # panel.
        self._slot_places: dict[int, list[int]] = {}
        self._slots_down: set[int] = set()
        self._rested = self._abandoned = self._was_down = False
        self._followed: int | None = None
        self._down_since = 0.0
        # Protocol A: contacts without identity, each ended by SYN_MT_REPORT.
        self._anonymous = False
        self._part: dict[int, int] = {}
        self._contacts: list[tuple[int, int]] | None = None  # of this packet; None if it has no SYN_MT_REPORT
        self._query()

    def _query(self) -> None:
        if self._state is not None:
            found = self._state()
            self._x, self._y, self._slot = found.x, found.y, found.slot

    def feed(self, data: bytes) -> Iterator[Report | KeyPressed | Dropped]:
        """The reports that are complete with `data`."""
        data = self._rest + data
        whole = len(data) // EVENT.size * EVENT.size
        self._rest = data[whole:]
        for seconds, micro, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == EV_SYN:
                if code == SYN_DROPPED:
                    self._dropping = True
                elif code == SYN_MT_REPORT and not self._dropping:
                    self._end_contact()
                elif code == SYN_REPORT and self._dropping:
                    # Events up to and including this one are to be ignored.
                    self._dropping = self._touched = self._down = False
                    self._part, self._contacts = {}, None
                    self._slots_down, self._rested, self._followed = set(), False, None
                    self._query()
                    yield Dropped()
                    continue
                if code == SYN_REPORT and self._contacts is not None:
                    self._end_packet(self._contacts)
                if code == SYN_REPORT and self._touched:
                    self._touched = False
                    if self._abandoned:
                        self._abandoned = False
                        yield Dropped()
                    at = seconds + micro / 1_000_000
                    if not self._down or not self._was_down:
                        self._down_since = at
                    self._was_down = self._down
                    yield Report(self._x, self._y, self._down, at)
            elif self._dropping:
                continue
            elif kind == EV_KEY:
                if code in (BTN_TOUCH, BTN_LEFT):
                    self._has_button = True
                    if self._rested:
                        continue
                    self._down, self._touched = value != 0, True
                elif value == 1 and code in KEYS:
                    yield KeyPressed(code, seconds + micro / 1_000_000)
            elif kind == EV_ABS:
                self._in_slot(code, value, seconds + micro / 1_000_000)
                if not self._rested:
                    self._absolute(code, value)

    def _in_slot(self, code: int, value: int, at: float) -> None:
        """Keep what each slot holds; while one contact rests on the panel, follow another."""
        if code == ABS_MT_SLOT:
            self._slot = value
        elif code in (ABS_MT_POSITION_X, ABS_MT_POSITION_Y):
            place = self._slot_places.setdefault(self._slot, [0, 0])
            place[code - ABS_MT_POSITION_X] = value
        elif code == ABS_MT_TRACKING_ID and value >= 0:
            self._slots_down.add(self._slot)
            if not self._rested and self._down and at - self._down_since >= RESTING_S and len(self._slots_down) > 1:
                self._rested = self._abandoned = True  # a drop, a bag: it must not keep fingers from tapping
            if self._rested and self._followed is None:
                self._followed, self._down = self._slot, True
        elif code == ABS_MT_TRACKING_ID:
            self._slots_down.discard(self._slot)
            if self._followed == self._slot:
                self._followed, self._down, self._touched = None, False, True
            if not self._slots_down:
                self._rested = False
        if self._followed is not None and self._followed == self._slot:
            self._x, self._y = self._slot_places.setdefault(self._slot, [0, 0])
            self._touched = True

    def _end_contact(self) -> None:
        """SYN_MT_REPORT: the end of one contact, or of none."""
        self._anonymous = True
        self._contacts = self._contacts or []
        part, self._part = self._part, {}
        lifted = 0 in (part.get(ABS_MT_TOUCH_MAJOR), part.get(ABS_MT_PRESSURE))
        if not lifted and ABS_MT_POSITION_X in part and ABS_MT_POSITION_Y in part:
            self._contacts.append((part[ABS_MT_POSITION_X], part[ABS_MT_POSITION_Y]))

    def _end_packet(self, contacts: list[tuple[int, int]]) -> None:
        """The end of a packet of protocol A: it has all contacts; the one nearest to the last place is followed."""
        self._contacts = None
        if contacts and self._down:
            self._x, self._y = min(contacts, key=lambda place: abs(place[0] - self._x) + abs(place[1] - self._y))
        elif contacts:
            self._x, self._y = contacts[0]
        self._touched = bool(contacts) or self._down
        self._down = bool(contacts)

    def _absolute(self, code: int, value: int) -> None:
        if code >= ABS_MT_TOUCH_MAJOR and code not in (ABS_MT_SLOT, ABS_MT_TRACKING_ID):
            self._part[code] = value
            if self._anonymous:
                return
        if code == ABS_PRESSURE:
            if not (self._has_button or self._slots or self._anonymous):
                self._down, self._touched = value >= self._min_pressure, True
            return
        self._slots |= code in (ABS_MT_SLOT, ABS_MT_TRACKING_ID)
        if code in (ABS_X, ABS_Y):
            self._single = True
            if code == ABS_X:
                self._x = value
            else:
                self._y = value
            self._touched = True
        elif code == ABS_MT_SLOT:
            self._slot = value
        elif self._slot != 0 or self._single:
            return
        elif code == ABS_MT_POSITION_X:
            self._x, self._touched = value, True
        elif code == ABS_MT_POSITION_Y:
            self._y, self._touched = value, True
        elif code == ABS_MT_TRACKING_ID:
            self._down, self._touched = value >= 0, True
