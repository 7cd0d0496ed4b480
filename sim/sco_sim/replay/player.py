"""The place in a recording, its clock, and the first difference.

The clock is the recording's: it passes when the driver waits, and as the entries say. So a driver meets the same
deadlines as then, on a machine of any speed, and nobody waits unless the real pace is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sco_sim.replay import words
from sco_sim.replay.trace import Entry, Recording, TraceDiffers

_LATE_S = 0.001
"""A timer fires so much later than asked for, as real ones do: at the very moment it might not be due yet."""
WIRE = (">", "<", "withheld", "open", "close", "fails", "pcsc", "readers", "present", "described")
"""Keys of the entries that a wire made, in the order in which it did. Input events are read apart from it."""


class Player:
    """See the module; at once the `Clock` of the driver.

    Args:
        recording: to play.
        real_pace: whether waits take the time that they took.
    """

    def __init__(self, recording: Recording, *, real_pace: bool = False) -> None:
        self.recording = recording
        self.now_s = 0.0
        self.difference: TraceDiffers | None = None
        self.cut_off = False
        self.sent = self.frames = 0
        self._wire = [one for one in recording.entries if any(key in one.says for key in WIRE)]
        self._chosen = [bytes.fromhex(one.says["chosen"]) for one in recording.entries if "chosen" in one.says]
        self._calls = [one for one in recording.entries if "call" in one.says]
        self._real_pace = real_pace
        self.began, self._wall = time.monotonic(), time.time()
        self._timers: list[tuple[float, Callable[[], None]]] = []

    # --- time ---

    def monotonic(self) -> float:
        """See `Clock`."""
        return self.began + self.now_s

    def time(self) -> float:
        """See `Clock`."""
        return self._wall + self.now_s

    def sleep(self, seconds: float, /) -> None:
        """See `Clock`."""
        self.pass_until(self.now_s + max(0.0, seconds))

    def pass_until(self, t: float) -> None:
        """Let the time pass until `t`, s since the recording began; nothing if it has."""
        if t > self.now_s:
            self.now_s = t
        self.pace(t)

    def pace(self, t: float) -> None:
        """Wait until `t`, s since the recording began, if the real pace is asked for."""
        if self._real_pace and (left := self.began + t - time.monotonic()) > 0:
            time.sleep(left)

    def at(self, seconds: float, call: Callable[[], None]) -> tuple[float, Callable[[], None]]:
        """Call `call` when so much time has passed, if the trace says that it did something then."""
        timer = (self.now_s + max(0.0, seconds), call)
        self._timers.append(timer)
        return timer

    def drop(self, timer: tuple[float, Callable[[], None]]) -> None:
        """It is not called any more."""
        if timer in self._timers:
            self._timers.remove(timer)

    def call_begins(self, name: str) -> None:
        """The driver is called: the time of the call then, if it was the next one."""
        if not self._calls or self._calls[0].says["call"] != name:
            return
        t = self._calls.pop(0).t
        # A timer and a call may have met then: only what a timer did is done again.
        while (entry := self.peek()) is not None and "close" in entry.says and entry.t <= t and self._timers:
            first = min(self._timers, key=lambda one: one[0])
            self._timers.remove(first)
            self.pass_until(max(entry.t, first[0] + _LATE_S))
            first[1]()
            if self.now_s > t:
                break
        self.pass_until(t)

    # --- the entries ---

    def peek(self) -> Entry | None:
        """The next entry of the wire; None after the last."""
        return self._wire[0] if self._wire else None

    def take(self) -> Entry:
        """The next entry of the wire, which is over; the time is its time."""
        entry = self._wire.pop(0)
        self.pass_until(entry.t)
        return entry

    def chosen(self) -> bytes | None:
        """What the driver chose at random then; None when it did not."""
        return self._chosen.pop(0) if self._chosen else None

    def differs(self, entry: Entry | None, expected: str, got: str) -> TraceDiffers:
        """The error of a difference at `entry` (None: after the last); the first one is kept."""
        if self.difference is None:
            recording = self.recording
            if entry is None and not recording.whole:
                self.cut_off = True
                last = recording.entries[-1].line if recording.entries else 1
                message = f"the trace was cut off after line {last}; got {got}"
            else:
                place = f"line {entry.line}, {entry.t:.3f} s" if entry is not None else "at its end"
                message = f"{place}: expected {expected}, got {got}"
            self.difference = TraceDiffers(message, url=f"replay://{recording.path}")
        return self.difference

    def check(self) -> None:
        """Raise the first difference, if there is one."""
        if self.difference is not None:
            raise self.difference

    def finish(self) -> None:
        """Note as a difference what the trace has and nobody asked for. The device was closed."""
        left = [one for one in self._wire if "<" not in one.says]
        if left and self.difference is None:
            self.differs(left[0], described(left[0]), "that the device was closed")


def described(entry: Entry) -> str:
    """What happened then, in words."""
    says = entry.says
    if ">" in says and "pcsc" not in says:
        return f"to be sent {words.octets(bytes.fromhex(says['>']))}"
    if "withheld" in says:
        return f"{says['withheld']} octets to be sent"
    if "<" in says and "pcsc" not in says:
        return "that what was received is read"
    key = next(key for key in ("pcsc", "fails", "open", "close", "readers", "present", "described") if key in says)
    return {
        "pcsc": f"{says.get('pcsc')} to be called",
        "fails": f"that {says.get('fails')} fails",
        "open": "that the device is opened",
        "close": "that the device is closed",
    }.get(key, f"that {key} is asked for")
