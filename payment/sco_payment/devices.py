"""Devices that come and go: opened when first used, reopened after they were lost.

A lane may start with its printer unplugged and must print as soon as it is plugged in. No payment waits for a device
that the display mode does not need.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from sco_drivers.errors import DeviceClosed, DeviceError, DeviceGone

log = logging.getLogger(__name__)


class _Closable(Protocol):
    def close(self) -> None: ...


D = TypeVar("D", bound=_Closable)


class ReopeningDevice(Generic[D]):
    """One device of the lane. Safe from several threads.

    Args:
        opener: opens it; may raise DeviceError.
        prepare: is called with each opened device before it is used.

    Attributes:
        problem: what the last contact with it found; None while it works, or was not used yet.
    """

    def __init__(self, opener: Callable[[], D], prepare: Callable[[D], None] | None = None) -> None:
        self._opener = opener
        self._prepare = prepare
        self._mutex = threading.Lock()
        self._device: D | None = None
        self._closed = False
        self.problem: str | None = None

    def get(self) -> D:
        """The device, opened if need be.

        Raises:
            DeviceError: it cannot be opened. DeviceClosed: `close` was called.
        """
        with self._mutex:
            if self._closed:
                raise DeviceClosed("the lane has released its devices")
            if self._device is None:
                try:
                    device = self._opener()
                except DeviceError as error:
                    self.problem = str(error)
                    raise
                try:
                    if self._prepare is not None:
                        self._prepare(device)
                except BaseException:
                    _close(device)
                    raise
                self._device, self.problem = device, None
            return self._device

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and not lost since."""
        return self._device is not None

    def lost(self, error: BaseException | None) -> bool:
        """Report that a call raised `error`, or None for none. The next `get` reopens a device that is gone. Returns
        whether it is."""
        self.problem = None if error is None else str(error)
        if not isinstance(error, DeviceGone):
            return False
        self.release()
        return True

    def release(self) -> None:
        """Close the device; the next `get` reopens it."""
        with self._mutex:
            device, self._device = self._device, None
        if device is not None:
            _close(device)

    def close(self) -> None:
        """Close the device permanently."""
        with self._mutex:
            self._closed = True
        self.release()


def _close(device: _Closable) -> None:
    try:
        device.close()
    except DeviceError as error:
        log.warning("closing: %s", error)
