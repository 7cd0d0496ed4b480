"""What may stand between a driver and its wire: nothing, a recorder (`record+URL`) or a trace (`replay://`).

A driver asks for the current tap when it is opened, takes its clock and its wire through it, and knows no more of it.
`Tap` itself is nothing: each wire passes through as it is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """The functions of the module `time` that a driver uses."""

    def monotonic(self) -> float:
        """See `time.monotonic`, s."""
        ...

    def time(self) -> float:
        """See `time.time`, s since the epoch."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """See `time.sleep`, s."""
        ...


class Timer(Protocol):
    """What `Tap.timer` starts."""

    def cancel(self) -> None:
        """It does not fire any more."""
        ...


class Tap:
    """Nothing between a driver and its wire; see the module.

    Attributes:
        clock: the driver's time.
    """

    clock: Clock = time

    def timer(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call `call` in a thread of its own after so many seconds."""
        timer = threading.Timer(max(0.0, seconds), call)
        timer.daemon = True
        timer.start()
        return timer

    def wire(self, connect: Callable[[], T]) -> Callable[[], T]:
        """How the driver opens its wire of octets, given how the device's is opened."""
        return connect

    def memory(self, memory: T) -> T:
        """What the driver of a printer remembers of earlier openings, given what it does."""
        return memory

    def chosen(self, octets: bytes) -> bytes:
        """What the driver takes in place of `octets`, which it has chosen at random."""
        return octets

    def twin(self, what: Any, build: Callable[[Any], T]) -> T | None:
        """A job of the same shape as that of `what`, with none of its words and codes; None where none is needed.

        Args:
            what: a `Ticket` or `Document`, about to be printed.
            build: makes a job of such a one.
        """
        return None

    def disguise(self, real: bytes, shown: bytes | None) -> None:
        """`real` is about to be sent, and holds what nobody else may see; `shown` is its like without that, None where
        there is none.
        """

    def disguised(self, octets: Callable[[T], bytes], what: T) -> bytes:
        """`octets(what)`, which are about to be sent; disguised by those of its like without its words."""
        return octets(what)

    def frames(self, connect: Callable[[], Any]) -> Any:
        """What carries an NFC reader's frames (a transport of nfcpy's), given how the device's is opened."""
        return connect()

    def readers(self, look: Callable[[], list[tuple[str, int, int]]]) -> list[tuple[str, int, int]]:
        """The USB readers that may be meant, given how they are looked for; see `sco_drivers.nfc.usb.readers`."""
        return look()

    def message_at(self, place: int, message: bytes) -> None:
        """The NDEF message `message` is about to be written to a tag, its TLV at the byte `place` of the memory."""

    def pcsc(self, load: Callable[[], Any]) -> Any:
        """The binding of PC/SC, given how the machine's is loaded."""
        return load()

    def present(self, look: Callable[[], bool]) -> Callable[[], bool]:
        """How the driver finds out whether the device is there, given how it really is."""
        return look

    def panel(self, connect: Callable[[], T]) -> T:
        """An input device (a `Panel`), given how the real one is opened."""
        return connect()

    def events(self, data: bytes) -> bytes:
        """The input events `data`, which have just been read."""
        return data


_NOTHING = Tap()
_current: ContextVar[Tap] = ContextVar("sco_drivers.tap", default=_NOTHING)


def current() -> Tap:
    """The tap for a driver that is being opened."""
    return _current.get()


@contextlib.contextmanager
def using(tap: Tap) -> Iterator[None]:
    """Drivers opened in this block are opened on `tap`."""
    token = _current.set(tap)
    try:
        yield
    finally:
        _current.reset(token)
