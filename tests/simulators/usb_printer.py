"""A USB bus without hardware, at the place of libusb: pyusb's backend interface, with virtual printers plugged in.

The driver finds, opens, claims and reads a printer here by the very calls it makes of libusb. Descriptors are those of
a composite printer that makes it hard: a vendor's interface first, then the printer's with a unidirectional setting
before the bidirectional one. The kernel's driver (usblp) holds the printer until it is taken off.

While a virtual printer is plugged in, `sco_drivers.printer.usb_wire` sees this bus and no real one.
"""

from __future__ import annotations

import array
import contextlib
import errno
import select
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import usb.backend
import usb.core

from sco_drivers.printer import usb_wire
from sco_sim.printer.wire import Wire

VENDOR, PRODUCT = 0x04B8, 0x0202
INTERFACE, ALTERNATE = 1, 1
OUT, IN = 0x03, 0x84
_PACKET = 64
_STRINGS = ("EPSON", "TM-T88V")


def _error(number: int, words: str) -> usb.core.USBError:
    if number == errno.ETIMEDOUT:
        return usb.core.USBTimeoutError(words, error_code=-7, errno=number)
    return usb.core.USBError(words, error_code=-1, errno=number)


def interface(number: int, alternate: int, kind: int, protocol: int, *endpoints: int) -> SimpleNamespace:
    return SimpleNamespace(
        bLength=9,
        bDescriptorType=4,
        bInterfaceNumber=number,
        bAlternateSetting=alternate,
        bNumEndpoints=len(endpoints),
        bInterfaceClass=kind,
        bInterfaceSubClass=1,
        bInterfaceProtocol=protocol,
        iInterface=0,
        extra_descriptors=(),
        endpoints=endpoints,
    )


Interfaces = tuple[tuple[SimpleNamespace, ...], ...]

_INTERFACES: Interfaces = (
    (interface(0, 0, 255, 0, 0x01, 0x82),),
    (interface(INTERFACE, 0, 7, 1, OUT), interface(INTERFACE, ALTERNATE, 7, 2, OUT, IN)),
)


class VirtualUsb(Wire):
    """A virtual printer's end of a USB cable.

    Args:
        serial: its serial number; "" for a device without one.
        port: where it is plugged in, as the kernel writes it.
        may_open: whether this user may open it.
        interfaces: the descriptors of each interface's settings; its printer interface is `number`, in alternate
            setting `setting`.

    Attributes:
        kernel_driver: whether usblp has it now.
        claimed: whether a driver has claimed it.
        log: what was asked of it beyond data: "detach", "claim", "alternate 1", "release", "attach", "reset".
    """

    def __init__(
        self,
        serial: str = "SIM0000001",
        port: str = "1-2.1",
        *,
        may_open: bool = True,
        interfaces: Interfaces = _INTERFACES,
        number: int = INTERFACE,
        setting: int = ALTERNATE,
    ) -> None:
        super().__init__()
        self.serial, self.port, self.may_open = serial, port, may_open
        self.interfaces, self.number, self.setting = interfaces, number, setting
        self.url = f"usb://{VENDOR:04x}:{PRODUCT:04x}" + (f"/{serial}" if serial else f"?port={port}")
        self.kernel_driver, self.claimed, self.alternate = True, False, 0
        self.log: list[str] = []
        self._ours: socket.socket | None = None
        self.theirs: socket.socket | None = None
        self.plug()
        BUS.add(self)

    def plug(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        for end in (self._ours, self.theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        self.kernel_driver, self.claimed = True, False

    def _fd(self) -> int:
        return self._ours.fileno() if self._ours else -1

    def read(self, limit: int) -> bytes | None:
        try:
            return self._ours.recv(limit) if self._ours else b""
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        if not self.claimed:
            return len(data)  # nobody asks for it, and what was said before the claim is not kept
        try:
            return self._ours.send(data) if self._ours else len(data)
        except OSError:
            return 0

    def set_plugged(self, plugged: bool) -> None:
        if plugged and self._ours is None:
            self.plug()
        elif not plugged:
            self._pull()
        self._plugged = plugged

    def _pull(self) -> None:
        for end in (self._ours, self.theirs):
            if end is not None:
                end.close()
        self._ours = self.theirs = None

    def close(self) -> None:
        BUS.remove(self)
        self._pull()


class VirtualBus(usb.backend.IBackend):  # type: ignore[misc]
    """All virtual printers that are plugged in."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._devices: list[VirtualUsb] = []

    def add(self, device: VirtualUsb) -> None:
        """Plug a printer in."""
        with self._mutex:
            self._devices.append(device)
            usb_wire.backend = self

    def remove(self, device: VirtualUsb) -> None:
        """Take a printer away for good."""
        with self._mutex, contextlib.suppress(ValueError):
            self._devices.remove(device)
            if not self._devices:
                usb_wire.backend = None

    # --- what pyusb asks of libusb ---

    def enumerate_devices(self) -> Iterator[VirtualUsb]:
        with self._mutex:
            return iter([device for device in self._devices if device.theirs is not None])

    def get_device_descriptor(self, dev: VirtualUsb) -> SimpleNamespace:
        bus, _, ports = dev.port.partition("-")
        numbers = tuple(map(int, ports.split(".")))
        return SimpleNamespace(
            bLength=18,
            bDescriptorType=1,
            bcdUSB=0x200,
            bDeviceClass=0,
            bDeviceSubClass=0,
            bDeviceProtocol=0,
            bMaxPacketSize0=64,
            idVendor=VENDOR,
            idProduct=PRODUCT,
            bcdDevice=0x100,
            iManufacturer=1,
            iProduct=2,
            iSerialNumber=3 if dev.serial else 0,
            bNumConfigurations=1,
            bus=int(bus),
            address=self._devices.index(dev) + 2,
            port_number=numbers[-1],
            port_numbers=numbers,
            speed=2,
        )

    def get_configuration_descriptor(self, dev: VirtualUsb, config: int) -> SimpleNamespace:
        if config:
            raise IndexError("one configuration only")
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=2,
            wTotalLength=78,
            bNumInterfaces=len(dev.interfaces),
            bConfigurationValue=1,
            iConfiguration=0,
            bmAttributes=0xC0,
            bMaxPower=1,
            extra_descriptors=(),
        )

    def get_interface_descriptor(self, dev: VirtualUsb, intf: int, alt: int, config: int) -> SimpleNamespace:
        return dev.interfaces[intf][alt]

    def get_endpoint_descriptor(self, dev: VirtualUsb, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        address = dev.interfaces[intf][alt].endpoints[ep]
        return SimpleNamespace(
            bLength=7,
            bDescriptorType=5,
            bEndpointAddress=address,
            bmAttributes=2,
            wMaxPacketSize=_PACKET,
            bInterval=0,
            bRefresh=0,
            bSynchAddress=0,
            extra_descriptors=(),
        )

    def open_device(self, dev: VirtualUsb) -> VirtualUsb:
        if not dev.may_open:
            raise _error(errno.EACCES, "Access denied (insufficient permissions)")
        self._cable(dev)
        return dev

    def close_device(self, dev_handle: VirtualUsb) -> None:
        pass

    def get_configuration(self, dev_handle: VirtualUsb) -> int:
        return 1

    def set_interface_altsetting(self, dev_handle: VirtualUsb, intf: int, altsetting: int) -> None:
        dev_handle.alternate = altsetting
        dev_handle.log.append(f"alternate {altsetting}")

    def claim_interface(self, dev_handle: VirtualUsb, intf: int) -> None:
        self._cable(dev_handle)
        if dev_handle.kernel_driver or dev_handle.claimed:
            raise _error(errno.EBUSY, "Resource busy")
        dev_handle.claimed = True
        dev_handle.log.append("claim")

    def release_interface(self, dev_handle: VirtualUsb, intf: int) -> None:
        if dev_handle.claimed:
            dev_handle.claimed = False
            dev_handle.log.append("release")

    def is_kernel_driver_active(self, dev_handle: VirtualUsb, intf: int) -> bool:
        return dev_handle.kernel_driver and intf == dev_handle.number

    def detach_kernel_driver(self, dev_handle: VirtualUsb, intf: int) -> None:
        dev_handle.kernel_driver = False
        dev_handle.log.append("detach")

    def attach_kernel_driver(self, dev_handle: VirtualUsb, intf: int) -> None:
        self._cable(dev_handle)
        dev_handle.kernel_driver = True
        dev_handle.log.append("attach")

    def reset_device(self, dev_handle: VirtualUsb) -> None:
        dev_handle.log.append("reset")

    def ctrl_transfer(
        self,
        dev_handle: VirtualUsb,
        bmRequestType: int,  # noqa: N803 - pyusb's names
        bRequest: int,  # noqa: N803
        wValue: int,  # noqa: N803
        wIndex: int,  # noqa: N803
        data: array.array[int],
        timeout: int,
    ) -> int:
        self._cable(dev_handle)
        if (bmRequestType, bRequest, wValue >> 8) != (0x80, 6, 3):
            raise _error(errno.EPIPE, "Pipe error")
        index = wValue & 0xFF
        body = b"\x09\x04" if index == 0 else (*_STRINGS, dev_handle.serial)[index - 1].encode("utf-16-le")
        answer = bytes((len(body) + 2, 3)) + body
        size = min(len(answer), len(data))
        data[:size] = array.array("B", answer[:size])
        return size

    def bulk_write(self, dev_handle: VirtualUsb, ep: int, intf: int, data: array.array[int], timeout: int) -> int:
        end = time.monotonic() + timeout / 1000
        octets, taken = data.tobytes(), 0
        while taken < len(octets):
            cable = self._cable(dev_handle, ep, OUT)
            if not _ready(cable, select.POLLOUT, end):
                break
            try:
                taken += cable.send(octets[taken : taken + _PACKET])
            except BlockingIOError:
                continue
            except OSError as error:
                raise _error(errno.ENODEV, "No such device (it may have been disconnected)") from error
        if not taken:
            raise _error(errno.ETIMEDOUT, "Operation timed out")
        return taken  # libusb tells what went before a time-out, and pyusb gives it on

    def bulk_read(self, dev_handle: VirtualUsb, ep: int, intf: int, buff: array.array[int], timeout: int) -> int:
        end = time.monotonic() + timeout / 1000
        cable = self._cable(dev_handle, ep, IN)
        if not _ready(cable, select.POLLIN, end):
            raise _error(errno.ETIMEDOUT, "Operation timed out")
        try:
            octets = cable.recv(min(len(buff), _PACKET))
        except OSError:
            octets = b""
        if not octets:
            raise _error(errno.ENODEV, "No such device (it may have been disconnected)")
        buff[: len(octets)] = array.array("B", octets)
        return len(octets)

    def _cable(self, device: VirtualUsb, endpoint: int = 0, expected: int = 0) -> socket.socket:
        cable = device.theirs
        if cable is None or cable.fileno() < 0:
            raise _error(errno.ENODEV, "No such device (it may have been disconnected)")
        if endpoint != expected or (endpoint and not (device.claimed and device.alternate == device.setting)):
            raise _error(errno.EIO, "Input/output error")
        return cable


def _ready(cable: socket.socket, event: int, end: float) -> bool:
    poll = select.poll()
    try:
        poll.register(cable, event)
    except (OSError, ValueError):
        raise _error(errno.ENODEV, "No such device (it may have been disconnected)") from None
    return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))


BUS = VirtualBus()
"""The bus of this process."""
