"""Raw contact of a finger -> taps. Pure: no device, no clock of its own.

A tap is a finger put down and lifted near the same place. A bounce (down again right after lifting), a swipe, a second
finger, and a contact that the kernel lost track of do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

DEBOUNCE_S = 0.08
"""No finger comes down again so soon after lifting; a worn panel reports that."""

SLOP = 0.06
"""How far a finger may slide, as a share of the panel's shorter side."""


@dataclass(slots=True)
class Contact:
    """Follows one finger. Call `down`, `move`, `up` with times in seconds, from any monotonic clock."""

    slop: float
    debounce_s: float = DEBOUNCE_S
    _pressed_at: float | None = None
    _start: tuple[float, float] = (0.0, 0.0)
    _valid: bool = False
    _lifted_at: float = float("-inf")

    def down(self, x: float, y: float, now: float) -> None:
        """The finger came down."""
        if self._pressed_at is None:
            self._pressed_at = now
            self._start = x, y
            self._valid = now - self._lifted_at >= self.debounce_s

    def move(self, x: float, y: float) -> None:
        """The finger moved while down."""
        if max(abs(x - self._start[0]), abs(y - self._start[1])) > self.slop:
            self._valid = False

    def up(self, now: float) -> tuple[float, float, float] | None:
        """The finger was lifted: (x, y, pressed at) of where it came down if this was a tap; None otherwise."""
        pressed_at, self._pressed_at = self._pressed_at, None
        if pressed_at is None:
            return None
        self._lifted_at = now
        return (*self._start, pressed_at) if self._valid else None

    def lost(self) -> None:
        """The state of the contact is unknown: no tap until a finger comes down again."""
        self._pressed_at = None
        self._valid = False
