"""Raw contact of a finger -> taps. Pure: no device, no clock of its own.

A tap is a finger put down and lifted near the same place. A bounce (down again right after lifting), a swipe, a second
finger, a contact that lasts, and one that the kernel lost track of do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

DEBOUNCE_S = 0.08
"""No finger comes down again so soon after lifting; a worn panel reports that."""

SLOP = 0.06
"""How far a finger may slide, as a share of the panel's shorter side."""

LONGEST_S = 5.0
"""What lasts longer is not a finger: a drop, a bag, a sleeve. It must not press a button when it is taken away."""


def _middle(values: Iterable[float]) -> float:
    """The middle one of an odd number of values. Without `statistics`, which loads much for this."""
    found = sorted(values)
    return found[len(found) // 2]


@dataclass(slots=True)
class Contact:
    """Follows one finger. Call `down`, `move`, `up` with times in seconds, from any monotonic clock.

    Attributes:
        slop: how far the finger may slide, in raw units.
        debounce_s: see `DEBOUNCE_S`.
        median: odd number of places whose median counts, against single wild ones; 1 for every place.
        skip: places at the beginning that do not count, if others follow.
    """

    slop: float
    debounce_s: float = DEBOUNCE_S
    median: int = 1
    skip: int = 0
    _pressed_at: float | None = None
    _start: tuple[float, float] | None = None
    _window: list[tuple[float, float]] = field(default_factory=list)
    _to_skip: int = 0
    _skipped: tuple[float, float] = (0, 0)
    _valid: bool = False
    _lifted_at: float = float("-inf")

    def down(self, x: float, y: float, now: float, *, stale: bool = False) -> None:
        """The finger is down: its first place, or a further one.

        Args:
            x, y: the place.
            now: the time.
            stale: the place is the last contact's. It counts only if no other follows, as for a finger that comes down
                exactly there: infrared panels send it first, and then the new place.
        """
        if self._pressed_at is not None:
            self.move(x, y)
            return
        self._pressed_at = now
        self._start, self._window, self._to_skip = None, [], max(self.skip, int(stale))
        self._valid = now - self._lifted_at >= self.debounce_s
        self.move(x, y)

    def move(self, x: float, y: float) -> None:
        """The finger is at this place while down."""
        if self._to_skip > 0:
            self._to_skip -= 1
            self._skipped = (x, y)
            return
        self._window.append((x, y))
        if len(self._window) < self.median:
            return
        place = _middle(one[0] for one in self._window), _middle(one[1] for one in self._window)
        if self._start is None:
            self._start = place
            self._judge(self._window[0])
        self._judge(place)
        if self.median > 1:
            self._window.pop(0)
        else:
            self._window = [(x, y)]

    def _judge(self, place: tuple[float, float]) -> None:
        if self._start is not None and self._slid(self._start, place):
            self._valid = False

    def _slid(self, start: tuple[float, float], place: tuple[float, float]) -> bool:
        return max(abs(place[0] - start[0]), abs(place[1] - start[1])) > self.slop

    def up(self, now: float) -> tuple[float, float, float] | None:
        """The finger was lifted: (x, y, pressed at) of where it came down if this was a tap; None otherwise."""
        pressed_at, self._pressed_at = self._pressed_at, None
        if pressed_at is None:
            return None
        self._lifted_at = now
        if self._start is None:  # fewer places than the filter needs
            places = self._window or [self._skipped]
            self._start = places[0]
            for place in places:
                self._judge(place)
        elif self._window:
            self._judge(self._window[-1])
        return (*self._start, pressed_at) if self._valid and now - pressed_at < LONGEST_S else None

    def lost(self) -> None:
        """The state of the contact is unknown: no tap until a finger comes down again."""
        self._pressed_at = None
        self._valid = False
