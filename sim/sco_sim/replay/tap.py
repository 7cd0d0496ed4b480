"""The tap that replays: each wire is the recording's, and no device is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sco_drivers.printer.memory import STATE, Memory
from sco_drivers.tap import Tap, Timer
from sco_drivers.touch.calibration import Axis
from sco_drivers.touch.events import EVENT, State
from sco_drivers.touch.reader import Panel
from sco_sim.replay.frames import ReplayedFrames, ReplayedScard
from sco_sim.replay.octets import ReplayedWire
from sco_sim.replay.player import Player, described

T = TypeVar("T")


class _Timer:
    def __init__(self, player: Player, seconds: float, call: Callable[[], None]) -> None:
        self._player = player
        self._at = player.at(seconds, call)

    def cancel(self) -> None:
        """See `Timer`."""
        self._player.drop(self._at)


class ReplayTap(Tap):
    """See the module."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self.clock = player
        self._states = [one.says["state"] for one in player.recording.entries if "state" in one.says]

    def timer(self, seconds: float, call: Callable[[], None]) -> Timer:
        """See `Tap`."""
        return _Timer(self._player, seconds, call)

    def wire(self, connect: Callable[[], T]) -> Callable[[], T]:
        """See `Tap`."""
        return lambda: cast(T, ReplayedWire(self._player))

    def memory(self, memory: T) -> T:
        """See `Tap`."""
        then = Memory()
        for says in (one.says["memory"] for one in self._player.recording.entries if "memory" in one.says):
            for name in STATE:
                setattr(then, name, says[name])
            then.remember((name, out) for name, out in says["tickets"])
        return cast(T, then)

    def chosen(self, octets: bytes) -> bytes:
        """See `Tap`."""
        return self._player.chosen() or octets

    def frames(self, connect: Callable[[], Any]) -> Any:
        """See `Tap`."""
        return ReplayedFrames(self._player)

    def pcsc(self, load: Callable[[], Any]) -> Any:
        """See `Tap`."""
        return ReplayedScard(self._player)

    def readers(self, look: Callable[[], list[tuple[str, int, int]]]) -> list[tuple[str, int, int]]:
        """See `Tap`."""
        return [(driver, 0, 0) for driver in self._next("readers")]

    def present(self, look: Callable[[], bool]) -> Callable[[], bool]:
        """See `Tap`."""
        return lambda: bool(self._next("present"))

    def _next(self, key: str) -> Any:
        entry = self._player.peek()
        if entry is None or key not in entry.says:
            expected = "nothing more" if entry is None else described(entry)
            raise self._player.differs(entry, expected, f"that {key} is asked for")
        return self._player.take().says[key]

    # --- events ---

    def panel(self, connect: Callable[[], T]) -> T:
        """See `Tap`."""
        entry = self._player.peek()
        if entry is None or "axes" not in entry.says:
            raise self._player.differs(
                entry, "nothing more" if entry is None else described(entry), "that it is opened"
            )
        says = self._player.take().says
        x, y = (Axis(*axis) for axis in says["axes"])
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        threading.Thread(target=self._feed, args=(write,), name="replayed events", daemon=True).start()
        return cast(T, Panel(read, x, y, self._state if says.get("asked") else None))

    def _state(self) -> State:
        if not self._states:
            return State()
        says = self._states.pop(0)
        return State(**{**says, "contacts": tuple(tuple(one) for one in says["contacts"])})

    def _feed(self, write: int) -> None:
        """Send all events, then unplug the panel."""
        began = self._player.began
        try:
            for entry in self._player.recording.entries:
                if "events" not in entry.says:
                    continue
                self._player.pace(entry.t)
                data = b""
                for at, kind, code, value in entry.says["events"]:
                    seconds, part = divmod(began + at, 1.0)
                    data += EVENT.pack(int(seconds), int(part * 1e6), kind, code, value)
                os.write(write, data)
        except OSError:  # the driver was closed
            pass
        finally:
            os.close(write)

    def events(self, data: bytes) -> bytes:
        """See `Tap`. The time is that of what was read."""
        whole = data[: len(data) // EVENT.size * EVENT.size]
        for seconds, micro, *_ in EVENT.iter_unpack(whole):
            self._player.pass_until(seconds + micro / 1e6 - self._player.began)
        return data
