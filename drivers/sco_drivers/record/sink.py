"""What a recorded wire writes its entries to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Sink(Protocol):
    """The part of a `Recorder` that wires use. Nothing in it raises what is its own trouble."""

    def put(self, **entry: Any) -> None:
        """Write an entry."""
        ...

    def watched(self, what: str, call: Callable[..., T]) -> Callable[..., T]:
        """`call`, whose error is written."""
        ...

    def sent(self, data: bytes, taken: int) -> None:
        """`taken` octets of `data` were sent."""
        ...

    def received(self, data: bytes) -> None:
        """A read gave `data`, or nothing."""
        ...

    def frame(self, direction: str, frame: bytes) -> None:
        """A frame was sent (">") or received ("<")."""
        ...

    def pcsc_called(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """A function of PC/SC was called."""
        ...
