"""A device that is recorded, as its caller sees it: each call of its protocol is an entry of the trace.

Nothing is changed on the way: results, errors and attributes are the device's own.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Self

from sco_drivers.record.recorder import Recorder
from sco_drivers.record.values import outcome
from sco_drivers.spy import as_kind

_NOT_CALLS = {"url", "profile", "simulator", "on_wire"}


class Recorded:
    """`device` with each public method recorded."""

    def __init__(self, device: Any, recorder: Recorder, prefix: str = "") -> None:
        self._device = device
        self._recorder = recorder
        self._prefix = prefix
        self._serial = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._device, name)
        if name == "presenter" and value is not None:
            return Recorded(value, self._recorder, "presenter.")
        if name.startswith("_") or name in _NOT_CALLS or not callable(value):
            return value
        if name == "close":
            return self._close
        if name == "start":
            return self._start
        if name in ("escpos", "exclusively"):
            return self._through(name, value)
        return self._recorded(name, value)

    def _recorded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def recorded(*args: Any, **named: Any) -> Any:
            with self._serial:  # so that what passes on the wire belongs to one call
                number = self._recorder.called(self._prefix + name, args, named)
                try:
                    result = method(*args, **named)
                except BaseException as error:
                    self._recorder.put(n=number, ends=outcome(error))
                    raise
                self._recorder.put(n=number, ends=outcome(result))
                return result

        return recorded

    def _through(self, name: str, method: Callable[..., Any]) -> Callable[..., AbstractContextManager[Any]]:
        """`escpos` is a call of `print_document`: so that it is one of this object's, it runs on this object."""
        if name == "escpos":
            bound: Callable[..., AbstractContextManager[Any]] = getattr(type(self._device), name).__get__(self)
            return bound
        return method

    def _start(self, size: tuple[int, int], on_tap: Callable[[Any], None], on_lost: Callable[[Any], None]) -> None:
        recorder = self._recorder
        number = recorder.called(self._prefix + "start", (size,), {})

        def tapped(tap: Any) -> None:
            recorder.put(tap=[tap.x, tap.y])
            on_tap(tap)

        def lost(error: Any) -> None:
            recorder.put(lost=type(error).__name__)
            on_lost(error)

        self._device.start(size, tapped, lost)
        recorder.put(n=number, ends=None)

    def _close(self) -> None:
        try:
            self._device.close()
        finally:
            self._recorder.end()

    def __enter__(self) -> Self:
        self._device.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def __repr__(self) -> str:
        return f"<recorded {self._device!r}>"


def recorded(kind: str, device: Any, recorder: Recorder) -> Any:
    """`device` with its calls recorded by `recorder`."""
    return as_kind(Recorded, kind)(device, recorder)
