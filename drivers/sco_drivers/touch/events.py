"""The kernel's input events: bytes -> reports of contact and keys. Follows Documentation/input/event-codes.rst and
multi-touch-protocol.rst. Pure: no file, no clock.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

EVENT = struct.Struct("@llHHi")
"""struct input_event of a 64-bit kernel and of a 32-bit one without 64-bit time: two longs, type, code, value."""

EV_SYN, EV_KEY, EV_ABS = 0, 1, 3
SYN_REPORT, SYN_DROPPED = 0, 3
ABS_X, ABS_Y = 0x00, 0x01
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


@dataclass(frozen=True, slots=True)
class Report:
    """What one packet of events said: the finger's place and whether it is down."""

    x: int
    y: int
    down: bool


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key went down (repeats are not reported)."""

    code: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The kernel's buffer overflowed: what was known of the contact is not true any more."""


class EventReader:
    """Puts events together. Feed it bytes as they come; cuts may fall anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._x = self._y = 0
        self._down = False
        self._slot = 0
        self._dropping = False
        self._touched = False

    def feed(self, data: bytes) -> Iterator[Report | KeyPressed | Dropped]:
        """The reports that `data` completes."""
        data = self._rest + data
        whole = len(data) // EVENT.size * EVENT.size
        self._rest = data[whole:]
        for _, _, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == EV_SYN:
                if code == SYN_DROPPED:
                    self._dropping = True
                elif code == SYN_REPORT and self._dropping:
                    # Events up to and including this one are to be ignored.
                    self._dropping = self._touched = self._down = False
                    yield Dropped()
                elif code == SYN_REPORT and self._touched:
                    self._touched = False
                    yield Report(self._x, self._y, self._down)
            elif self._dropping:
                continue
            elif kind == EV_KEY:
                if code in (BTN_TOUCH, BTN_LEFT):
                    self._down, self._touched = value != 0, True
                elif value == 1 and code in KEYS:
                    yield KeyPressed(code)
            elif kind == EV_ABS:
                self._absolute(code, value)

    def _absolute(self, code: int, value: int) -> None:
        if code == ABS_MT_SLOT:
            self._slot = value
        elif code in (ABS_X, ABS_MT_POSITION_X) and (code == ABS_X or self._slot == 0):
            self._x, self._touched = value, True
        elif code in (ABS_Y, ABS_MT_POSITION_Y) and (code == ABS_Y or self._slot == 0):
            self._y, self._touched = value, True
        elif code == ABS_MT_TRACKING_ID and self._slot == 0:
            self._down, self._touched = value >= 0, True
