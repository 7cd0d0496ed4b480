"""The form of every contract suite: a tuple of checks, each of one thing that a device must do.

A check takes an open device, uses only the public protocol, and raises AssertionError with what it found. The last
check of a suite leaves the device closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Device_contra = TypeVar("Device_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Check(Generic[Device_contra]):
    """One thing that a device must do."""

    run: Callable[[Device_contra], None]

    @property
    def name(self) -> str:
        """For reports and `--only`."""
        return self.run.__name__.replace("_", "-")

    @property
    def what(self) -> str:
        """In one sentence."""
        return (self.run.__doc__ or "").strip()


class CannotRun(Exception):
    """A check or a suite cannot run here. The message says why; `to_do` what would help."""

    def __init__(self, message: str, to_do: str = "") -> None:
        super().__init__(message)
        self.to_do = to_do
