"""`spy+URL`: a log of everything that passes between a caller and a device, for any of the five kinds.

Each public call is logged with its arguments, its outcome (or the error) and its time; a device that has an `on_wire`
hook also gives its raw bytes, as hexadecimal. It goes to the logger `sco_drivers.spy` at level DEBUG, errors at
WARNING.
Nothing is changed on the way: results, errors and attributes are the device's own, and `isinstance(device, Printer)`
and the like hold as they do without the spy.
"""

from __future__ import annotations

import functools
import importlib
import logging
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

from sco_drivers.urls import DeviceUrl

log = logging.getLogger(__name__)
W = TypeVar("W")

_LONGEST = 400
_PROTOCOLS = {
    "printer": ("sco_drivers.printer", "Printer"),
    "nfc": ("sco_drivers.nfc", "TagReader"),
    "screen": ("sco_drivers.screen", "Screen"),
    "touch": ("sco_drivers.touch", "Touch"),
    "display": ("sco_drivers.display", "QrDisplay"),
}
"""What a device of each kind is, by module and name: loaded with the spy."""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


class Spy:
    """A device that is watched: every public method of `device` is here, and logs."""

    def __init__(self, kind: str, device: Any, url: DeviceUrl) -> None:
        self._kind = kind
        self._device = device
        self._name = url.text
        if hasattr(device, "on_wire"):
            device.on_wire = self._wire

    def _wire(self, direction: str, data: bytes) -> None:
        log.debug("%s %s %s %d: %s", self._kind, self._name, direction, len(data), bytes(data).hex(" "))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._device, name)
        if name.startswith("_") or not callable(value):
            return value
        return self._watched(name, value)

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def watched(*args: Any, **named: Any) -> Any:
            arguments = ", ".join([*map(_short, args), *(f"{key}={_short(value)}" for key, value in named.items())])
            start = time.perf_counter()
            try:
                result = method(*args, **named)
            except BaseException as error:
                log.warning(
                    "%s %s %s(%s) ! %s in %.1f ms",
                    self._kind,
                    self._name,
                    name,
                    arguments,
                    _short(error),
                    _ms_since(start),
                )
                raise
            log.debug(
                "%s %s %s(%s) -> %s in %.1f ms",
                self._kind,
                self._name,
                name,
                arguments,
                _short(result),
                _ms_since(start),
            )
            return result

        return watched

    def __enter__(self) -> Self:
        self._device.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._watched("close", self._device.close)()

    def __repr__(self) -> str:
        return f"<spy on {self._device!r}>"


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


@functools.cache
def as_kind(wrapper: type[W], kind: str) -> type[W]:
    """`wrapper`, which hands all that it lacks to a device of that kind, with the members of the kind's protocol.

    isinstance() of a runtime-checkable protocol looks for them in the class since Python 3.12, and no longer asks
    `__getattr__`.
    """
    module, name = _PROTOCOLS[kind]
    protocol: type = getattr(importlib.import_module(module), name)
    members = {member for base in protocol.__mro__ for member in vars(base) if not member.startswith("_")}
    return type(f"{wrapper.__name__}{name}", (wrapper,), {member: _delegate(wrapper, member) for member in members})


def _delegate(wrapper: Any, member: str) -> property:
    return property(lambda device: wrapper.__getattr__(device, member))


def spy_on(kind: str, device: Any, url: DeviceUrl) -> Any:
    """`device` with a log of all that passes; see the module.

    Args:
        kind: "printer", "nfc", "screen", "touch" or "display".
        device: an open device of that kind.
        url: as it was opened.
    """
    return as_kind(Spy, kind)(kind, device, url)
