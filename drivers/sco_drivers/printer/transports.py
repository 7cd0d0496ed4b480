"""The wires to a printer: TCP, USB, serial line, usblp. Each moves bytes under a deadline and counts what was taken.

Nothing here knows ESC/POS. Every failure is one of ours (`sco_drivers.errors`); no reset is sent at opening.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from typing import Any, Protocol

from sco_drivers.errors import (
    BadDeviceUrl,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceTimeout,
    DriverUnavailable,
)
from sco_drivers.urls import DeviceUrl

_CHUNK = 1024
_USB_PRINTER_CLASS = 7
_RULES = "install the udev rules (sco-hwtest udev install) and join the group sco"


class Transport(Protocol):
    """One open wire."""

    def write(self, data: bytes, timeout_s: float) -> int:
        """Give as much of `data` as the device takes within `timeout_s`; returns how many bytes it took.

        Raises:
            DeviceGone: the wire broke; the bytes taken by then are lost to knowledge.
        """
        ...

    def read(self, timeout_s: float) -> bytes:
        """What has come within `timeout_s`, as soon as there is anything; empty for silence. Raises DeviceGone."""
        ...

    def close(self) -> None:
        """Let go. Never raises."""
        ...


def from_os_error(error: OSError, url: str, *, opening: bool) -> DeviceError:
    """Our error for what the operating system said."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return DevicePermission("this user may not open it", url=url, hint=_RULES)
        case errno.EBUSY:
            return DeviceBusy("another owner has it", url=url, hint="stop the other program; for usb, the usblp module")
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.ECONNREFUSED | errno.EHOSTUNREACH | errno.ENETUNREACH:
            kind = DeviceNotFound if opening else DeviceGone
            return kind(f"nothing answers there ({error.strerror})", url=url, hint="check cable, power and address")
        case _:
            if isinstance(error, TimeoutError):
                return DeviceTimeout("no connection in time", url=url, hint="check cable, power and address")
            if opening:
                return DeviceNotFound(f"it cannot be opened ({error})", url=url, hint="check cable, power and address")
            return DeviceGone(
                f"the connection broke ({error.strerror or error})", url=url, hint="check cable and power"
            )


class FdTransport:
    """A non-blocking file descriptor: a socket or /dev/usb/lp*."""

    def __init__(self, fd: int, url: str, owner: Any = None) -> None:
        os.set_blocking(fd, False)
        self._fd, self._url, self._owner = fd, url, owner

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`."""
        end = time.monotonic() + timeout_s
        taken = 0
        while taken < len(data):
            try:
                if not select.select([], [self._fd], [], max(0.0, end - time.monotonic()))[1]:
                    break
                taken += os.write(self._fd, data[taken : taken + _CHUNK])
            except BlockingIOError:
                continue
            except (OSError, ValueError) as error:
                raise _gone(error, self._url) from error
        return taken

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        try:
            if not select.select([self._fd], [], [], max(0.0, timeout_s))[0]:
                return b""
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise _gone(error, self._url) from error
        if not data and self._owner is not None:  # a socket that is at its end; usblp reads empty when it has nothing
            raise DeviceGone("the printer closed the connection", url=self._url)
        if not data:
            time.sleep(min(timeout_s, 0.01))
        return data

    def close(self) -> None:
        """See `Transport`."""
        try:
            if self._owner is not None:
                self._owner.close()
            elif self._fd >= 0:
                os.close(self._fd)
        except OSError:
            pass
        self._fd = -1


def _gone(error: Exception, url: str) -> DeviceError:
    if isinstance(error, OSError):
        return from_os_error(error, url, opening=False)
    return DeviceGone("the connection was closed", url=url)


class SerialTransport:
    """A serial line by pyserial; flow control as the URL says: `flow=none|rtscts|dsrdtr|xonxoff`."""

    def __init__(self, port: Any, url: str) -> None:
        self._port, self._url = port, url

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`. pyserial does not tell how much a write that timed out gave, so each piece is small."""
        import serial

        end = time.monotonic() + timeout_s
        taken = 0
        piece = 64
        while taken < len(data) and time.monotonic() < end:
            self._port.write_timeout = max(0.01, end - time.monotonic())
            try:
                taken += self._port.write(data[taken : taken + piece])
            except serial.SerialTimeoutException:
                break
            except (serial.SerialException, OSError) as error:
                raise DeviceGone(f"the serial line broke ({error})", url=self._url) from error
        return taken

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        import serial

        try:
            self._port.timeout = max(0.0, timeout_s)
            first = self._port.read(1)
            return bytes(first + self._port.read(self._port.in_waiting)) if first else b""
        except (serial.SerialException, OSError, TypeError) as error:
            raise DeviceGone(f"the serial line broke ({error})", url=self._url) from error

    def close(self) -> None:
        """See `Transport`."""
        import contextlib

        with contextlib.suppress(Exception):
            self._port.close()


class UsbTransport:
    """A USB printer by pyusb: interface and endpoints from the descriptors, the kernel's driver given back."""

    def __init__(self, device: Any, interface: int, out: Any, back: Any, url: str, *, give_back: bool) -> None:
        self._device, self._interface, self._out, self._in = device, interface, out, back
        self._url, self._give_back = url, give_back

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`."""
        import usb.core

        end = time.monotonic() + timeout_s
        taken = 0
        while taken < len(data) and (left := end - time.monotonic()) > 0:
            try:
                taken += self._out.write(data[taken : taken + _CHUNK], timeout=max(1, round(left * 1000)))
            except usb.core.USBTimeoutError:
                break
            except usb.core.USBError as error:
                raise DeviceGone(f"the printer left the bus ({error})", url=self._url) from error
        return taken

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        import usb.core

        if self._in is None:
            time.sleep(timeout_s)
            return b""
        try:
            return bytes(self._in.read(self._in.wMaxPacketSize, timeout=max(1, round(timeout_s * 1000))))
        except usb.core.USBTimeoutError:
            return b""
        except usb.core.USBError as error:
            raise DeviceGone(f"the printer left the bus ({error})", url=self._url) from error

    def close(self) -> None:
        """See `Transport`."""
        import contextlib

        import usb.util

        with contextlib.suppress(Exception):
            usb.util.release_interface(self._device, self._interface)
            if self._give_back:
                self._device.attach_kernel_driver(self._interface)
        with contextlib.suppress(Exception):
            usb.util.dispose_resources(self._device)


def open_tcp_wire(url: DeviceUrl, connect_s: float) -> Transport:
    """`tcp://host[:9100]`. Raises DeviceError."""
    if not url.host:
        raise BadDeviceUrl("the host is missing", url=url.text, hint="tcp://10.0.0.5:9100")
    try:
        wire = socket.create_connection((url.host, url.port or 9100), connect_s)
    except OSError as error:
        raise from_os_error(error, url.text, opening=True) from error
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return FdTransport(wire.fileno(), url.text, wire)


def open_lp_wire(url: DeviceUrl) -> Transport:
    """`lp:///dev/usb/lp0`. Raises DeviceError."""
    if not url.path:
        raise BadDeviceUrl("the path is missing", url=url.text, hint="lp:///dev/usb/lp0")
    try:
        fd = os.open(url.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise from_os_error(error, url.text, opening=True) from error
    return FdTransport(fd, url.text)


def open_serial_wire(url: DeviceUrl) -> Transport:
    """`serial:///dev/ttyUSB0?baud=115200&flow=dsrdtr`. Raises DeviceError."""
    import serial

    if not url.path:
        raise BadDeviceUrl("the path is missing", url=url.text, hint="serial:///dev/ttyUSB0?baud=115200")
    flow = url.choice("flow", "none", ("none", "rtscts", "dsrdtr", "xonxoff"))
    baud = url.integer("baud", 9600, least=300, most=4_000_000)
    try:
        port = serial.Serial(
            url.path,
            baud,
            exclusive=True,
            rtscts=flow == "rtscts",
            dsrdtr=flow == "dsrdtr",
            xonxoff=flow == "xonxoff",
        )
    except serial.SerialException as error:
        if "exclusively lock" in str(error):
            raise DeviceBusy("another process has the line", url=url.text) from error
        raise from_os_error(OSError(error.errno or errno.ENXIO, str(error)), url.text, opening=True) from error
    except (OSError, ValueError) as error:
        raise BadDeviceUrl(f"the line cannot be set up: {error}", url=url.text) from error
    return SerialTransport(port, url.text)


def open_usb_wire(url: DeviceUrl) -> Transport:
    """`usb://04b8:0202[/serial]`. Raises DeviceError."""
    import usb.core
    import usb.util

    vendor, _, product = url.host.partition(":")
    try:
        ids = int(vendor, 16), int(product, 16)
    except ValueError:
        raise BadDeviceUrl("write usb://vendor:product in hex", url=url.text, hint="usb://04b8:0202/serial") from None
    serial_number = url.path.removeprefix("/")
    try:
        found = [
            device
            for device in usb.core.find(find_all=True, idVendor=ids[0], idProduct=ids[1], backend=_usb_backend())
            if not serial_number or usb.util.get_string(device, device.iSerialNumber) == serial_number
        ]
    except usb.core.NoBackendError as error:
        hint = "pip install libusb-package, or apt-get install libusb-1.0-0"
        raise DriverUnavailable("libusb is missing", url=url.text, hint=hint) from error
    except (usb.core.USBError, ValueError) as error:
        raise DevicePermission(f"its serial number cannot be read ({error})", url=url.text, hint=_RULES) from error
    if not found:
        raise DeviceNotFound("no such printer is on the bus", url=url.text, hint="check cable and power; lsusb")
    if len(found) > 1:
        raise DeviceBusy(
            f"{len(found)} of them are plugged in", url=url.text, hint="add /SERIAL to the URL", retryable=False
        )
    return _claim(found[0], url)


def _usb_backend() -> Any:
    """libusb from the package that carries one, else pyusb's own search."""
    try:
        import libusb_package
    except ImportError:
        return None
    return libusb_package.get_libusb1_backend()


def _claim(device: Any, url: DeviceUrl) -> Transport:
    import usb.core
    import usb.util

    try:
        for interface in device.get_active_configuration():
            if interface.bInterfaceClass != _USB_PRINTER_CLASS:
                continue
            out = usb.util.find_descriptor(interface, custom_match=_bulk(usb.util.ENDPOINT_OUT))
            back = usb.util.find_descriptor(interface, custom_match=_bulk(usb.util.ENDPOINT_IN))
            if out is None:
                continue
            number = interface.bInterfaceNumber
            give_back = device.is_kernel_driver_active(number)
            if give_back:
                device.detach_kernel_driver(number)
            usb.util.claim_interface(device, number)
            return UsbTransport(device, number, out, back, url.text, give_back=give_back)
    except usb.core.USBError as error:
        raise from_os_error(OSError(error.errno or errno.EIO, str(error)), url.text, opening=True) from error
    raise DeviceNotFound("the device has no printer interface", url=url.text, hint="is it a printer?", retryable=False)


def _bulk(direction: int) -> Any:
    import usb.util

    def matches(endpoint: Any) -> bool:
        return bool(
            usb.util.endpoint_direction(endpoint.bEndpointAddress) == direction
            and usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK
        )

    return matches
