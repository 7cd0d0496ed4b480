"""A device on a recording, as its caller sees it: the first difference is raised by the call in which it was found."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

from sco_drivers.spy import as_kind
from sco_sim.replay.player import Player


class Replayed:
    """`device`, whose wire is the recording's. `replay` is the place in it."""

    def __init__(self, device: Any, player: Player, prefix: str = "") -> None:
        self._device = device
        self.replay = player
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._device, name)
        if name == "presenter" and value is not None:
            return Replayed(value, self.replay, "presenter.")
        if name == "escpos":
            return getattr(type(self._device), name).__get__(self)  # it is made of calls of this object
        if name.startswith("_") or not callable(value) or name in ("close", "exclusively"):
            return value
        return self._watched(name, value)

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def watched(*args: Any, **named: Any) -> Any:
            player = self.replay
            player.check()
            player.call_begins(self._prefix + name)
            try:
                return method(*args, **named)
            finally:
                player.check()

        return watched

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._device.close()

    def __repr__(self) -> str:
        return f"<replayed {self._device!r}>"


def replayed(kind: str, device: Any, player: Player) -> Any:
    """`device` on the recording that `player` plays."""
    return as_kind(Replayed, kind)(device, player)
