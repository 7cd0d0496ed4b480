"""The form of every contract suite: a tuple of checks, each of one thing that a device must do.

A check takes an open device, uses only the public protocol, and raises AssertionError with what it found. The last
check of a suite leaves the device closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sco_drivers.urls import DeviceUrl

Device_contra = TypeVar("Device_contra", contravariant=True)


def _always(url: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Check(Generic[Device_contra]):
    """One thing that a device must do.

    Attributes:
        run: raises AssertionError with what it found.
        why_not: why the device at a URL cannot be given this check; empty if it can.
    """

    run: Callable[[Device_contra], None]
    why_not: Callable[[str], str] = _always

    @property
    def name(self) -> str:
        """For reports and `--only`."""
        return self.run.__name__.replace("_", "-")

    @property
    def what(self) -> str:
        """In one sentence."""
        return (self.run.__doc__ or "").strip()


def only_simulated(reason: str) -> Callable[[str], str]:
    """For `Check.why_not`: the reason for every device but a simulated one."""
    return lambda url: "" if is_simulated(url) else reason


def is_simulated(url: str) -> bool:
    """Whether the device at `url` is simulated in this process."""
    found, _ = DeviceUrl.read(url)
    return found is not None and found.scheme == "sim" and not found.path


class CannotRun(Exception):
    """A check or a suite cannot run here. The message says why; `to_do` what would help."""

    def __init__(self, message: str, to_do: str = "") -> None:
        super().__init__(message)
        self.to_do = to_do
