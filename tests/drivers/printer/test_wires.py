"""The wires themselves: deadlines on a stalled device, byte counts, what is discarded, what is released."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import socket
import termios
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_drivers.errors import (
    BadDeviceUrl,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceTimeout,
)
from sco_drivers.printer import PrintOutcome, Ticket
from sco_drivers.printer.serial_line import SerialAddress, open_serial_wire
from sco_drivers.printer.transports import TCP_PORT, LpTransport, Transport, from_os_error, open_lp_wire, open_tcp_wire
from sco_drivers.printer.usb_wire import UsbAddress, open_usb_wire
from sco_drivers.urls import DeviceUrl
from sco_sim.printer import VirtualPrinter
from tests.simulators.usb_printer import IN, OUT, VirtualUsb, interface


@pytest.fixture(autouse=True)
def _waits_for_no_clock() -> None:
    """These tests do: what the kernel still holds of a wire that was closed is on its way, and nobody here knows it."""


MUCH = bytes(1 << 22)
LINK = "https://qr.nspk.ru/AD1?type=02&sum=100&cur=RUB&crc=0000"


def open_tcp(text: str, connect_s: float) -> Transport:
    url = DeviceUrl.parse(text)
    return open_tcp_wire(url.host, url.port or TCP_PORT, text, connect_s)


def open_serial(text: str) -> Transport:
    return open_serial_wire(SerialAddress.of(DeviceUrl.parse(text)), text)


def open_lp(text: str) -> Transport:
    return open_lp_wire(DeviceUrl.parse(text).path, text)


def open_usb(text: str) -> Transport:
    return open_usb_wire(UsbAddress.of(DeviceUrl.parse(text)), text)


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """The device's end of a serial line, and the name of ours."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server


def tcp(listener: socket.socket) -> tuple[Transport, socket.socket]:
    wire = open_tcp(f"tcp://127.0.0.1:{listener.getsockname()[1]}", 1.0)
    return wire, listener.accept()[0]


def within(wire: Transport, deadline_s: float) -> int:
    start = time.monotonic()
    taken = wire.write(MUCH, deadline_s)
    assert time.monotonic() - start < deadline_s + 0.5
    assert 0 < taken < len(MUCH)
    return taken


# --- tcp ---


def test_tcp_stalled(listener: socket.socket) -> None:
    wire, device = tcp(listener)
    with device:
        within(wire, 0.3)
        start = time.monotonic()
        assert wire.read(0.1) == b""
        assert 0.09 < time.monotonic() - start < 0.5
        wire.close()
    wire.close()


@pytest.mark.parametrize("discard", [True, False])
def test_tcp_discards_what_the_printer_has_not_taken(listener: socket.socket, discard: bool) -> None:
    wire, device = tcp(listener)
    with device:
        taken = within(wire, 0.3)
        wire.close(discard=discard)
        device.settimeout(5)
        came, reset = 0, False
        try:
            while data := device.recv(1 << 20):
                came += len(data)
        except ConnectionResetError:
            reset = True
        assert (reset, came == taken) == (discard, not discard)


def test_tcp_closed_by_the_printer(listener: socket.socket) -> None:
    wire, device = tcp(listener)
    device.sendall(b"\x12")
    assert wire.read(1.0) == b"\x12"
    device.close()
    with pytest.raises(DeviceGone, match="closed"):
        wire.read(1.0)


def test_tcp_connection_is_not_answered() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        fill = [socket.socket() for _ in range(4)]
        for one in fill:  # the queue of a printer that does not accept
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        start = time.monotonic()
        with pytest.raises(DeviceTimeout):
            open_tcp(address, 0.3)
        assert time.monotonic() - start < 1.0
        for one in fill:
            one.close()


def test_tcp_port_that_refuses(listener: socket.socket) -> None:
    address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    with pytest.raises(DeviceNotFound, match=r"the host answers.*another computer") as caught:
        open_tcp(address, 1.0)
    assert "cable" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.EACCES, "Permission denied"), DevicePermission, "firewall"),
        (OSError(errno.EPERM, "Operation not permitted"), DevicePermission, "firewall"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), DeviceNotFound, "name server"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), DeviceNotFound, "cable, power and address"),
    ],
)
def test_tcp_errors_have_words_of_their_own(
    error: OSError, kind: type[DeviceError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(kind, match=words) as caught:
        open_tcp("tcp://printer.shop:9100", 1.0)
    assert "sco-hwtest udev" not in str(caught.value), "a network has no udev rules"


def test_tcp_connection_that_a_firewall_cuts(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    wire, device = tcp(listener)

    def forbid(*_: object) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with device, monkeypatch.context() as patched:
        patched.setattr(os, "write", forbid)
        with pytest.raises(DevicePermission, match="firewall"):
            wire.write(b"x", 1.0)
    wire.close()


# --- serial ---


@pytest.mark.parametrize("flow", ["none", "rtscts", "xonxoff"])
def test_serial_stalled(line: tuple[int, str], flow: str) -> None:
    _, name = line
    wire = open_serial(f"serial://{name}?baud=115200&flow={flow}")
    within(wire, 0.3)
    start = time.monotonic()
    wire.close(discard=True)
    assert time.monotonic() - start < 0.5


def test_serial_xonxoff_is_obeyed(line: tuple[int, str]) -> None:
    master, name = line
    wire = open_serial(f"serial://{name}?flow=xonxoff")
    os.write(master, b"\x13")
    time.sleep(0.05)
    assert wire.write(b"ticket", 0.2) in (0, 6)  # the kernel may hold it
    with pytest.raises(BlockingIOError):
        os.read(master, 100)
    os.write(master, b"\x11")
    assert wire.write(b"!", 1.0) == 1
    time.sleep(0.05)
    assert os.read(master, 100).endswith(b"!")
    wire.close()


class Signals:
    """Modem signals of a pty, which has none: played at the ioctl."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dsr = True
        self.asked = 0
        real = fcntl.ioctl

        def ioctl(fd: int, request: int, arg: Any = 0, *more: Any) -> Any:
            if request != termios.TIOCMGET:
                return real(fd, request, arg, *more)
            self.asked += 1
            arg[0] = termios.TIOCM_DSR if self.dsr else 0
            return 0

        monkeypatch.setattr(fcntl, "ioctl", ioctl)


def test_serial_dsrdtr_holds_back(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    master, name = line
    signals = Signals(monkeypatch)
    wire = open_serial(f"serial://{name}?baud=115200&flow=dsrdtr")
    signals.dsr = False
    assert wire.write(bytes(100), 0.1) == 0
    signals.dsr = True
    assert wire.write(bytes(100), 1.0) == 100

    def busy() -> None:
        signals.dsr = False

    threading.Timer(0.05, busy).start()
    taken = wire.write(MUCH, 0.3)
    came = 0
    while True:
        try:
            came += len(os.read(master, 1 << 16))
        except BlockingIOError:
            break
    assert 0 < taken < len(MUCH)
    assert came == 100 + taken
    wire.close()


def test_serial_real_time_commands_go_though_dsr_is_low(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A printer without paper holds the line, and is to be asked why."""
    master, name = line
    signals = Signals(monkeypatch)
    wire = open_serial(f"serial://{name}?baud=115200&flow=dsrdtr")
    signals.dsr = False
    assert wire.write(b"ticket", 0.05) == 0
    assert wire.write_realtime(b"\x10\x04\x01", 1.0) == 3
    assert os.read(master, 100) == b"\x10\x04\x01"
    assert wire.write(b"ticket", 0.05) == 0
    wire.close()


def test_serial_real_time_commands_go_though_xoff_was_said(line: tuple[int, str]) -> None:
    master, name = line
    wire = open_serial(f"serial://{name}?baud=115200&flow=xonxoff")
    os.write(master, b"\x13")
    time.sleep(0.05)
    assert wire.write_realtime(b"\x10\x04\x01", 1.0) == 3
    assert os.read(master, 100) == b"\x10\x04\x01"
    os.write(master, b"\x13")  # the flow control is on again
    time.sleep(0.05)
    assert wire.write(b"ticket", 0.1) in (0, 6)
    with pytest.raises(BlockingIOError):
        os.read(master, 100)
    wire.close(discard=True)


def test_serial_dsrdtr_needs_the_signals(line: tuple[int, str]) -> None:
    with pytest.raises(BadDeviceUrl, match="modem signals"):
        open_serial(f"serial://{line[1]}?flow=dsrdtr")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), termios.error(errno.EIO, "I/O error")])
def test_serial_line_that_fails_for_a_moment_is_no_wrong_url(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("serial.Serial", fail)
    with pytest.raises(DeviceNotFound, match="I/O error") as caught:
        open_serial("serial:///dev/ttyUSB0")
    assert caught.value.retryable


def test_serial_speed_that_the_line_does_not_have_is_a_wrong_url(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("Failed to set custom baud rate")

    monkeypatch.setattr("serial.Serial", fail)
    with pytest.raises(BadDeviceUrl, match="custom baud rate"):
        open_serial("serial:///dev/ttyUSB0?baud=12345")


def test_serial_line_pulled_while_its_signals_are_read(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def pulled(fd: int, request: int, *rest: object) -> int:
        if request == termios.TIOCMGET:
            raise OSError(errno.EIO, "Input/output error")
        return 0

    monkeypatch.setattr("sco_drivers.printer.serial_line.fcntl.ioctl", pulled)
    with pytest.raises(DeviceNotFound, match="Input/output error"):
        open_serial(f"serial://{line[1]}?flow=dsrdtr")


@pytest.mark.parametrize("path", ["/dev/null", __file__])
def test_serial_needs_a_serial_line(path: str) -> None:
    with pytest.raises(BadDeviceUrl, match=r"not a serial line \(list the devices"):
        open_serial(f"serial://{path}")


def test_serial_is_ours_alone(line: tuple[int, str]) -> None:
    address = f"serial://{line[1]}"
    wire = open_serial(address)
    with pytest.raises(DeviceBusy):
        open_serial(address)
    wire.close()
    open_serial(address).close()


def test_serial_pulled() -> None:
    master, slave = pty.openpty()
    wire = open_serial(f"serial://{os.ttyname(slave)}")
    os.close(slave)
    os.close(master)
    start = time.monotonic()
    with pytest.raises(DeviceGone):
        wire.read(2.0)
    assert time.monotonic() - start < 1.0
    with pytest.raises(DeviceGone):
        wire.write(b"x", 1.0)
    wire.close(discard=True)


# --- usblp ---


def test_lp_counts(tmp_path: Path) -> None:
    fifo = tmp_path / "lp0"
    os.mkfifo(fifo)
    wire = open_lp(f"lp://{fifo}")
    within(wire, 0.2)
    wire.close()


def test_lp_writes_into_no_file(tmp_path: Path) -> None:
    """A wrong path must not cost a file: the lane's service may write anywhere."""
    file = tmp_path / "passwd"
    file.write_bytes(b"root")
    with pytest.raises(BadDeviceUrl, match="not a printer"):
        open_printer(f"lp://{file}")
    assert file.read_bytes() == b"root"


def test_lp_of_a_printer_without_a_back_channel_is_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fifo = tmp_path / "lp0"
    os.mkfifo(fifo)
    wire = open_lp(f"lp://{fifo}")
    assert isinstance(wire, LpTransport)
    wire.write(b"x", 1.0)

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "read", refuse)
    start = time.monotonic()
    assert wire.read(0.1) == b""
    assert 0.09 < time.monotonic() - start < 0.5


# --- usb ---


def test_usb_claims_the_interface_and_releases_it() -> None:
    with VirtualPrinter(wire=VirtualUsb) as paper:
        device = paper.wire
        assert isinstance(device, VirtualUsb)
        with open_printer(paper.url) as printer:
            assert device.log == ["detach", "claim", "alternate 1"]
            assert printer.print_ticket(Ticket("t1", LINK)).outcome is PrintOutcome.PRINTED
        assert device.log == ["detach", "claim", "alternate 1", "release", "attach"]
        assert device.kernel_driver


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [(255, 0), (255, 255), (7, 0), (7, 255), (7, 1)],
    ids=["vendor", "vendor-protocol-255", "protocol-0", "protocol-255", "unidirectional-by-name"],
)
def test_usb_interfaces_that_do_not_state_what_they_are(kind: int, protocol: int) -> None:
    """Some printers have a vendor's class, or the printer class with a protocol that does not exist."""
    storage = (interface(0, 0, 8, 80, 0x01, 0x82),)
    settings = storage, (interface(1, 0, kind, protocol, OUT, IN),)
    board = VirtualPrinter(wire=lambda: VirtualUsb(interfaces=settings, number=1, setting=0))
    with board as paper, open_printer(f"{paper.url}?profile=TM-T88V") as printer:
        assert printer.print_ticket(Ticket("t1", LINK)).outcome is PrintOutcome.PRINTED


def test_usb_without_a_back_channel_prints() -> None:
    settings = ((interface(0, 0, 255, 0, OUT),),)
    board = VirtualPrinter(wire=lambda: VirtualUsb(interfaces=settings, number=0, setting=0))
    with board as paper, open_printer(f"{paper.url}?profile=POS-5890&status_s=0.1&done_s=0.5") as printer:
        assert printer.print_ticket(Ticket("t1", LINK, qr_mm=48)).outcome is PrintOutcome.UNKNOWN
        assert paper.wait_idle()
        assert [code.text for code in zxingcpp.read_barcodes(paper.image(), zxingcpp.BarcodeFormat.QRCode)] == [LINK]


def test_usb_interface_by_its_number() -> None:
    settings = (
        (interface(0, 0, 7, 2, 0x01, 0x82),),
        (interface(1, 0, 255, 255, OUT, IN),),
        (interface(2, 0, 3, 0),),
    )
    with VirtualPrinter(wire=lambda: VirtualUsb(interfaces=settings, number=1, setting=0)) as paper:
        with open_printer(f"{paper.url}?profile=TM-T88V&interface=1") as printer:
            assert printer.print_ticket(Ticket("t1", LINK)).outcome is PrintOutcome.PRINTED
        for number in (2, 9):
            with pytest.raises(DeviceNotFound, match=rf"interface {number} .*0 \(class 7, protocol 2\), 1 \(class 255"):
                open_printer(f"{paper.url}?interface={number}")


def test_usb_interfaces_of_other_devices_are_not_taken() -> None:
    settings = (interface(0, 0, 8, 80, 0x01, 0x82),), (interface(1, 0, 7, 4, OUT, IN),)
    words = r"no printer interface .*1 \(class 7, protocol 4\); add interface=N"
    board = VirtualPrinter(wire=lambda: VirtualUsb(interfaces=settings, number=1, setting=0))
    with board as paper, pytest.raises(DeviceNotFound, match=words):
        open_printer(paper.url)


def test_usb_found_again_after_it_was_unplugged() -> None:
    with VirtualPrinter(wire=VirtualUsb) as paper, open_printer(paper.url) as printer:
        paper.unplug()
        result = printer.print_ticket(Ticket("t1", LINK))
        assert (result.outcome, type(result.error)) == (PrintOutcome.NOT_PRINTED, DeviceNotFound)
        paper.plug_in()
        assert printer.print_ticket(Ticket("t1", LINK)).outcome is PrintOutcome.PRINTED


def test_usb_by_serial_number_or_port() -> None:
    first, second = VirtualUsb("A1", "1-1"), VirtualUsb("B2", "1-2.4")
    try:
        for text in ("usb://04b8:0202/B2", "usb://04b8:0202?port=1-2.4", "usb://04b8:0202/B2?port=1-2.4"):
            open_usb(text).close()
        assert (first.log, len(second.log)) == ([], 15)
        with pytest.raises(DeviceBusy, match=r"1-1, 1-2\.4.*port="):
            open_usb("usb://04b8:0202")
        with pytest.raises(DeviceNotFound, match="'A1', 'B2'"):
            open_usb("usb://04b8:0202/C3")
        with pytest.raises(DeviceNotFound, match="lsusb"):
            open_usb("usb://04b8:0202?port=3-1")
    finally:
        first.close()
        second.close()


def test_usb_busy_reattaches_the_kernels_driver() -> None:
    device = VirtualUsb()
    try:
        device.claimed = True
        with pytest.raises(DeviceBusy):
            open_usb(device.url)
        assert device.kernel_driver
    finally:
        device.close()


def test_usb_without_permission_names_the_rules() -> None:
    device = VirtualUsb(may_open=False)
    try:
        for text in (device.url, "usb://04b8:0202"):
            with pytest.raises(DevicePermission, match=r"60-sco\.rules.*sco-hwtest udev install"):
                open_usb(text)
    finally:
        device.close()


def test_usb_stalled() -> None:
    device = VirtualUsb()
    try:
        wire = open_usb(device.url)
        within(wire, 0.2)
        start = time.monotonic()
        assert wire.read(0.1) == b""
        assert 0.09 < time.monotonic() - start < 0.5
        device.set_plugged(False)
        with pytest.raises(DeviceGone, match="left the bus"):
            wire.write(b"x", 1.0)
        with pytest.raises(DeviceGone, match="left the bus"):
            wire.read(1.0)
        wire.close()
    finally:
        device.close()


def test_usb_transfers_that_fail_are_not_all_an_unplugged_cable(monkeypatch: pytest.MonkeyPatch) -> None:
    import usb.core

    device = VirtualUsb()
    wire = open_usb(device.url)
    for number, words in (
        (errno.EPIPE, "refused a USB transfer"),
        (errno.EIO, "a USB transfer failed"),
        (errno.ENODEV, "left the bus"),
    ):

        def fail(*_: object, number: int = number, **__: object) -> None:
            raise usb.core.USBError("it failed", errno=number)

        monkeypatch.setattr(usb.core.Endpoint, "write", fail)
        with pytest.raises(DeviceGone, match=words):
            wire.write(b"x", 1.0)
    monkeypatch.undo()
    wire.close()
    device.close()


# --- errors ---


@pytest.mark.parametrize(
    ("number", "opening", "kind", "words"),
    [
        (errno.EACCES, True, DevicePermission, "60-sco.rules"),
        (errno.EPERM, True, DevicePermission, "DeviceAllow=/dev/usb/lp0 rw"),
        (errno.EBUSY, True, DeviceBusy, "usblp"),
        (errno.ENOENT, True, DeviceNotFound, "cable"),
        (errno.ENODEV, False, DeviceGone, "cable"),
        (errno.EIO, False, DeviceGone, "broke"),
        (errno.ECONNRESET, False, DeviceGone, "broke"),
        (errno.ETIMEDOUT, True, DeviceTimeout, "in time"),
    ],
)
def test_what_the_system_says(number: int, opening: bool, kind: type[DeviceError], words: str) -> None:
    error = from_os_error(OSError(number, os.strerror(number)), "lp:///dev/usb/lp0", opening=opening)
    assert type(error) is kind
    assert words in str(error)
    assert error.url == "lp:///dev/usb/lp0"
