"""Closing a serial line whose device takes nothing: the kernel waits in close(2) then, and tcflush(3) may do nothing.

A pseudo-terminal closes at once, so what such a kernel does is played at the system calls.
"""

from __future__ import annotations

import fcntl
import os
import pty
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sco_drivers import open_display, open_nfc
from sco_drivers.errors import DeviceBusy, DeviceNotFound
from sco_drivers.printer.serial_line import SerialAddress, SerialTransport, open_serial_wire
from sco_drivers.serial_port import close_line, discard_unsent

pytestmark = pytest.mark.usefixtures("idle_time")


@pytest.fixture
def line() -> Iterator[str]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


class StuckLine:
    """A kernel whose line passes nothing on: it keeps `waiting` bytes, and closing waits until `let_go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: str, waiting: int = 7) -> None:
        self.waiting, self.closing, self.closed, self.path = waiting, threading.Event(), threading.Event(), path
        self._let_go = threading.Event()
        self._ioctl, self._close = fcntl.ioctl, os.close
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)
        monkeypatch.setattr(os, "close", self.close)

    def ioctl(self, fd: int, request: int, argument: Any = 0, *more: Any) -> Any:
        if request != termios.TIOCOUTQ:
            return self._ioctl(fd, request, argument, *more)
        argument[0] = self.waiting
        return 0

    def close(self, fd: int) -> None:
        mine = self._is_last(fd)
        if mine:
            self.closing.set()
            assert threading.current_thread() is not threading.main_thread(), "the caller waits for the device"
            self._let_go.wait()
        self._close(fd)
        if mine:
            self.closed.set()

    def _is_last(self, fd: int) -> bool:
        """Whether the line is open by no other descriptor than the one of the test's own fixture."""
        if not os.isatty(fd) or os.ttyname(fd) != self.path:
            return False
        opened = list(Path("/proc/self/fd").iterdir())
        return sum(os.path.realpath(one) == self.path for one in opened) == 2

    def let_go(self) -> None:
        self._let_go.set()
        assert self.closed.wait(60), "the line was never closed"


def printer(path: str) -> Callable[[], None]:
    wire = open_serial_wire(SerialAddress(path), f"serial://{path}")
    return lambda: wire.close(discard=True)


def display(path: str) -> Callable[[], None]:
    return open_display(f"mertech://{path}").close


@pytest.mark.parametrize("discard", [True, False])
@pytest.mark.parametrize("waiting", [7, 0], ids=["in the kernel", "in the converter"])
def test_closing_waits_for_no_device(line: str, monkeypatch: pytest.MonkeyPatch, waiting: int, discard: bool) -> None:
    fd = os.open(line, os.O_RDWR | os.O_NOCTTY)
    stuck = StuckLine(monkeypatch, line, waiting)
    close_line(fd, discard=discard)
    assert stuck.closing.wait(60)
    stuck.let_go()


@pytest.mark.parametrize("opened", [printer, display])
def test_drivers_wait_for_no_device_when_they_close(
    opened: Callable[[str], Callable[[], None]], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = opened(line)
    stuck = StuckLine(monkeypatch, line)
    close()
    assert stuck.closing.wait(60)
    stuck.let_go()


def test_a_line_whose_device_takes_the_rest_soon_is_opened_again(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open(line, os.O_RDWR | os.O_NOCTTY)
    stuck = StuckLine(monkeypatch, line)
    close_line(fd, discard=True)
    assert stuck.closing.wait(60)
    taking = threading.Timer(0.5, stuck.let_go)
    taking.start()
    close = printer(line)
    taking.join()
    close()


@pytest.mark.parametrize(
    "opened", [printer, display, lambda path: open_nfc(f"pn532://{path}").close], ids=["printer", "display", "nfc"]
)
def test_a_line_that_is_still_being_closed_is_not_opened_again(
    opened: Callable[[str], Callable[[], None]], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel would reset it under its new owner once the first one is closed."""
    fd = os.open(line, os.O_RDWR | os.O_NOCTTY)
    stuck = StuckLine(monkeypatch, line)
    close_line(fd, discard=True)
    assert stuck.closing.wait(60)
    with pytest.raises(DeviceBusy, match="still being closed") as caught:
        opened(line)
    assert caught.value.retryable
    stuck.let_go()
    monkeypatch.undo()
    while True:
        try:
            printer(line)()
            return
        except DeviceBusy:
            time.sleep(0.01)


def test_closed_at_once_when_nothing_waits(line: str) -> None:
    fd = os.open(line, os.O_RDWR | os.O_NOCTTY)
    close_line(fd, discard=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_discarded_only_if_nothing_is_left(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open(line, os.O_RDWR | os.O_NOCTTY)
    try:
        assert discard_unsent(fd)
        stuck = StuckLine(monkeypatch, line)
        assert not discard_unsent(fd)
        stuck.waiting = 0
        assert discard_unsent(fd)
    finally:
        monkeypatch.undo()
        os.close(fd)


def test_a_ticket_that_cannot_be_discarded_is_not_forced_on_the_printer(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its flow control stays on, so that the command waits behind the ticket's bytes."""
    wire = open_serial_wire(SerialAddress(line, flow="xonxoff"), f"serial://{line}?flow=xonxoff")
    assert isinstance(wire, SerialTransport)
    modes: list[Any] = []
    stuck = StuckLine(monkeypatch, line)
    monkeypatch.setattr(termios, "tcsetattr", lambda *arguments: modes.append(arguments))
    assert wire.write_realtime(b"\x10\x14\x08", 0.1, discard=True) == 3
    assert not modes
    wire.close(discard=True)
    stuck.let_go()


def test_pn532_on_a_line_that_sends_nothing_is_given_up(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyserial's flush has no time limit."""

    def drains_for_ever(fd: int) -> None:
        raise AssertionError("tcdrain has no deadline")

    monkeypatch.setattr(termios, "tcdrain", drains_for_ever)
    stuck = StuckLine(monkeypatch, line)
    with pytest.raises(DeviceNotFound, match="no known NFC reader answers"), open_nfc(f"pn532://{line}") as nfc:
        nfc.read()
    stuck.let_go()
