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
    """One packet of events: the finger's place, whether it is down, and when, in s of the device's clock.

    Attributes:
        stale: the place is that of an earlier contact: this one has sent none yet.
    """

    x: int
    y: int
    down: bool
    at: float = field(default=0.0, compare=False)
    stale: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key went down (repeats are not reported); `at` as of a `Report`."""

    code: int
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """The contact is not followed any more: the kernel's buffer overflowed, or it rests on the panel."""


@dataclass(frozen=True, slots=True)
class State:
    """What the kernel reports only when it changes.

    Attributes:
        x, y: the last place of a panel without slots.
        pressure: the last one; 0 if the panel reports none.
        has_button: whether it reports BTN_TOUCH.
        held: whether that is down, on a panel without slots.
        slot: the current one.
        contacts: tracking id (-1 for none), x, y of each slot.
    """

    x: int = 0
    y: int = 0
    pressure: int = 0
    has_button: bool = False
    held: bool = False
    slot: int = 0
    contacts: tuple[tuple[int, int, int], ...] = ()


@dataclass(slots=True)
class _Slot:
    """One contact of a multi-touch panel, or the place of the last one."""

    x: int = 0
    y: int = 0
    down: bool = False
    tracking: int = -1  # of a contact that was there when the panel's state was queried
    since: float = 0.0
    placed: bool = False  # it has sent a place since it came down
    came: bool = False  # in this packet, as the next two
    went: bool = False
    moved: bool = False


class EventReader:
    """Assembles events into reports of one finger. Feed it bytes in pieces of any size.

    On a multi-touch panel the first finger is followed, and another one only if the first has rested there for
    `RESTING_S`, or was there before the device was opened or events were lost.

    Args:
        state: queries the panel's state from the kernel, at the start and after lost events; None for a plain stream.
        min_pressure: on a panel that reports pressure and no BTN_TOUCH, less counts as lifted.
    """

    def __init__(self, state: Callable[[], State] | None = None, min_pressure: int = 1) -> None:
        self._rest = b""
        self._state = state
        self._min_pressure = min_pressure
        self._dropping = False
        # A panel of one finger; a multi-touch panel's events of that kind, which mix its fingers, are ignored.
        self._x = self._y = 0
        self._down = self._touched = self._placed = self._has_button = False
        self._pressed_before = False
        # Protocol B: contacts by slot.
        self._multi = False
        self._slot = 0
        self._slots: dict[int, _Slot] = {}
        self._followed: int | None = None
        # Protocol A: contacts without identity, each ended by SYN_MT_REPORT. They are put into slots by their places.
        self._anonymous = self._there_before = False
        self._part: dict[int, int] = {}
        self._contacts: list[tuple[int, int]] | None = None  # of this packet; None if it has no SYN_MT_REPORT
        self._query()

    def _query(self) -> None:
        """Start without a contact that is followed: one that is there already is not a finger that comes down."""
        self._pressed_before, self._there_before = self._down, self._anonymous
        self._down = self._touched = self._placed = False
        self._part, self._contacts, self._followed = {}, None, None
        for slot in self._slots.values():
            slot.down = slot.placed = slot.came = slot.went = slot.moved = False
        if self._state is None:
            return
        found = self._state()
        self._x, self._y, self._slot, self._has_button = found.x, found.y, found.slot, found.has_button
        self._pressed_before = found.pressure >= self._min_pressure
        if self._has_button:
            self._there_before = found.held
        if not self._anonymous:
            self._slots = {n: _Slot(x, y, id_ >= 0, id_) for n, (id_, x, y) in enumerate(found.contacts)}
            self._multi |= any(slot.down for slot in self._slots.values())

    def feed(self, data: bytes) -> Iterator[Report | KeyPressed | Dropped]:
        """The reports that are complete with `data`."""
        data = self._rest + data
        whole = len(data) // EVENT.size * EVENT.size
        self._rest = data[whole:]
        for seconds, micro, kind, code, value in EVENT.iter_unpack(data[:whole]):
            at = seconds + micro / 1_000_000
            if kind == EV_SYN and code == SYN_DROPPED:
                self._dropping = True
            elif kind == EV_SYN and code == SYN_REPORT and self._dropping:
                # Events up to and including this one are to be ignored.
                self._dropping = False
                self._query()
                yield Dropped()
            elif self._dropping:
                continue
            elif kind == EV_SYN and code == SYN_MT_REPORT:
                self._end_contact()
            elif kind == EV_SYN and code == SYN_REPORT:
                yield from self._end_packet(at)
            elif kind == EV_KEY and code in (BTN_TOUCH, BTN_LEFT):
                self._has_button = True
                self._down, self._touched = value != 0, True
                if self._anonymous and not value:  # some drivers send no SYN_MT_REPORT then
                    self._contacts = self._contacts or []
            elif kind == EV_KEY and value == 1 and code in KEYS:
                yield KeyPressed(code, at)
            elif kind == EV_ABS:
                self._absolute(code, value)

    def _absolute(self, code: int, value: int) -> None:
        if code in (ABS_X, ABS_Y):
            self._x, self._y = (value, self._y) if code == ABS_X else (self._x, value)
            self._touched = self._placed = True
        elif code == ABS_PRESSURE:
            if not self._has_button:
                pressed = value >= self._min_pressure
                self._pressed_before &= pressed
                self._down, self._touched = pressed and not self._pressed_before, True
        elif code >= ABS_MT_SLOT:
            self._part[code] = value
            if not self._anonymous:
                self._in_slot(code, value)

    def _in_slot(self, code: int, value: int) -> None:
        """Protocol B."""
        if code == ABS_MT_SLOT:
            self._multi, self._slot = True, value
            return
        slot = self._slots.setdefault(self._slot, _Slot())
        if code == ABS_MT_POSITION_X:
            slot.x, slot.moved, slot.placed = value, True, True
        elif code == ABS_MT_POSITION_Y:
            slot.y, slot.moved, slot.placed = value, True, True
        elif code == ABS_MT_TRACKING_ID:
            self._multi = True
            if value < 0:
                slot.down, slot.went = False, slot.down
            elif not slot.down or value == slot.tracking:
                # One that was there came after all, if its beginning waited to be read as the state was queried.
                slot.down = slot.came = True
            # Another number without an end between is one that its panel has lost for a moment.
            slot.tracking = -1

    def _end_contact(self) -> None:
        """SYN_MT_REPORT: the end of one contact, or of none."""
        if not self._anonymous:
            self._anonymous = self._multi = True
            self._slots, self._followed = {}, None
        self._contacts = self._contacts or []
        part, self._part = self._part, {}
        lifted = 0 in (part.get(ABS_MT_TOUCH_MAJOR), part.get(ABS_MT_PRESSURE))
        if not lifted and ABS_MT_POSITION_X in part and ABS_MT_POSITION_Y in part:
            self._contacts.append((part[ABS_MT_POSITION_X], part[ABS_MT_POSITION_Y]))

    def _end_packet(self, at: float) -> Iterator[Report | Dropped]:
        if self._contacts is not None:
            self._into_slots(self._contacts)
        self._part, self._contacts = {}, None
        if self._multi:
            yield from self._follow(at)
        elif self._touched:
            yield Report(self._x, self._y, self._down, at, not self._placed)
            self._placed &= self._down
        self._touched = False

    def _into_slots(self, contacts: list[tuple[int, int]]) -> None:
        """A packet of protocol A, which has all contacts: each is the one before that is nearest, or a new one."""
        free = {number for number, slot in self._slots.items() if slot.down}
        new = set(range(len(contacts)))
        for _, number, index in sorted(
            (abs(self._slots[number].x - x) + abs(self._slots[number].y - y), number, index)
            for number in free
            for index, (x, y) in enumerate(contacts)
        ):
            if number in free and index in new:
                free.remove(number)
                new.remove(index)
                slot = self._slots[number]
                slot.moved = slot.placed = True
                slot.x, slot.y = contacts[index]
        for number in free:
            self._slots[number].down, self._slots[number].went = False, True
        for index in sorted(new):
            number = next(n for n in range(len(self._slots) + 1) if n not in self._slots or not self._slots[n].down)
            before = self._slots.get(number, _Slot())
            x, y = contacts[index]
            came, placed = not self._there_before, (x, y) != (before.x, before.y)
            self._slots[number] = _Slot(x, y, down=True, placed=placed, came=came, went=before.went)
        self._there_before = False

    def _follow(self, at: float) -> Iterator[Report | Dropped]:
        """The end of a multi-touch panel's packet: report the finger that is followed, and choose it."""
        if self._followed is not None and (slot := self._slots[self._followed]).went:
            self._followed = None
            yield Report(slot.x, slot.y, False, at)
        for number, slot in self._slots.items():
            if not slot.came:
                continue
            slot.since = at
            if self._followed is not None:
                if at - self._slots[self._followed].since < RESTING_S:
                    continue  # a second finger
                yield Dropped()  # a drop, a bag: it must not keep fingers from tapping
            self._followed = number
        if self._followed is not None and ((slot := self._slots[self._followed]).came or slot.moved):
            yield Report(slot.x, slot.y, True, at, not slot.placed)
        for slot in self._slots.values():
            slot.placed &= slot.down
            slot.came = slot.went = slot.moved = False
