"""A USB printer by pyusb: interface and endpoints from the descriptors; the kernel's driver is detached meanwhile."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sco_drivers.errors import (
    RULES_HINT,
    BadDeviceUrl,
    DeviceBusy,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DriverUnavailable,
)
from sco_drivers.printer.transports import CHUNK, Transport, from_os_error
from sco_drivers.urls import DeviceUrl

backend: Any = None
"""A pyusb backend to use instead of libusb, for a simulated bus. None for libusb."""

_PRINTER_CLASS = 7
_VENDOR_CLASS = 255
_PROTOCOLS = (2, 3, 1)
"""bInterfaceProtocol, best first: bidirectional, IEEE 1284.4, unidirectional."""
_IPP = 4
"""IPP over USB, which is another language."""


class UsbTransport:
    """A claimed interface."""

    def __init__(self, device: Any, interface: int, out: Any, back: Any, url: str, *, reattach: bool) -> None:
        self._device, self._interface, self._out, self._in = device, interface, out, back
        self._url, self._reattach = url, reattach

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`."""
        import usb.core

        end = time.monotonic() + timeout_s
        taken = 0
        while taken < len(data) and (left := end - time.monotonic()) > 0:
            try:
                taken += self._out.write(data[taken : taken + CHUNK], timeout=_ms(left))
            except usb.core.USBTimeoutError:
                break
            except usb.core.USBError as error:
                raise self._gone(error, self._out) from error
        return taken

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """See `Transport`. A bulk endpoint that takes no data takes no command either."""
        return self.write(data, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        import usb.core

        if self._in is None:  # a printer without a back channel
            time.sleep(timeout_s)
            return b""
        end = time.monotonic() + timeout_s
        while True:
            try:
                data = bytes(self._in.read(self._in.wMaxPacketSize, timeout=_ms(end - time.monotonic())))
            except usb.core.USBTimeoutError:
                return b""
            except usb.core.USBError as error:
                raise self._gone(error, self._in) from error
            if data or time.monotonic() >= end:
                return data
            time.sleep(0.002)  # an empty packet

    def _gone(self, error: Any, endpoint: Any) -> DeviceGone:
        words, hint = f"a USB transfer failed ({error})", "check cable and power"
        if error.errno == errno.EPIPE:  # halted: the transfer is lost; the next opening works again
            with contextlib.suppress(Exception):
                endpoint.clear_halt()
            words, hint = f"the printer refused a USB transfer ({error})", "power-cycle the printer if it comes again"
        elif error.errno == errno.ENODEV:
            words = f"the printer left the bus ({error})"
        return DeviceGone(words, url=self._url, hint=hint)

    def close(self, *, discard: bool = False) -> None:
        """See `Transport`. Nothing waits on our side: every transfer was completed."""
        import usb.util

        with contextlib.suppress(Exception):
            usb.util.release_interface(self._device, self._interface)
        with contextlib.suppress(Exception):
            if self._reattach:
                self._device.attach_kernel_driver(self._interface)
        with contextlib.suppress(Exception):
            usb.util.dispose_resources(self._device)


def _ms(seconds: float) -> int:
    """At least one: libusb takes 0 for no time limit."""
    return max(1, round(seconds * 1000))


class UsbAddress(NamedTuple):
    """Which device on the bus: its ids; its serial number, port (`1-2.3`) and interface where they are given."""

    vendor: int
    product: int
    serial: str = ""
    port: str | None = None
    interface: int | None = None

    @classmethod
    def of(cls, url: DeviceUrl) -> UsbAddress:
        """As the URL gives it.

        Raises:
            BadDeviceUrl: vendor and product are not two hexadecimal numbers, or a bad interface.
        """
        interface = url.integer("interface", -1, min=0, max=255)
        vendor, _, product = url.host.partition(":")
        try:
            ids = int(vendor, 16), int(product, 16)
        except ValueError:
            hint = "usb://04b8:0202/serial"
            raise BadDeviceUrl("write usb://vendor:product in hex", url=url.text, hint=hint) from None
        serial, port = url.path.removeprefix("/"), url.params.get("port")
        return cls(*ids, serial, port, None if interface < 0 else interface)


def open_usb_wire(address: UsbAddress, url: str) -> Transport:
    """`usb://04b8:0202[/serial][?port=1-2.3]`; `url` is for messages. Raises DeviceError."""
    import usb.core

    try:
        found = list(
            usb.core.find(
                find_all=True, idVendor=address.vendor, idProduct=address.product, backend=backend or _libusb()
            )
        )
    except usb.core.NoBackendError as error:
        hint = "pip install libusb-package, or apt-get install libusb-1.0-0"
        raise DriverUnavailable("libusb is missing", url=url, hint=hint) from error
    except usb.core.USBError as error:
        raise from_os_error(OSError(error.errno or errno.EIO, str(error)), url, opening=True) from error
    return _claim(_the_one(found, address, url), address.interface, url)


def _libusb() -> Any:
    """libusb from the package that carries one, else pyusb's own search."""
    try:
        import libusb_package
    except ImportError:
        return None
    return libusb_package.get_libusb1_backend()


def _the_one(found: list[Any], address: UsbAddress, url: str) -> Any:
    """The device that has the serial number and port of the address."""
    port, serial = address.port, address.serial
    if port is not None:
        found = [device for device in found if usb_port(device.bus, device.port_numbers) == port]
    if serial:
        seen = {device: _serial_of(device, url) for device in found}
        matching = [device for device in found if seen[device] == serial]
        if found and not matching:
            there = ", ".join(repr(number) for number in seen.values())
            raise DeviceNotFound(f"no such printer has that serial number, found {there}", url=url)
        found = matching
    if not found:
        raise DeviceNotFound("no such printer is on the bus", url=url, hint="check cable and power; lsusb")
    if len(found) > 1:
        ports = ", ".join(usb_port(device.bus, device.port_numbers) for device in found)
        raise DeviceBusy(
            f"{len(found)} of them are plugged in at the ports {ports}",
            url=url,
            hint="add /SERIAL or ?port=PORT to the URL, see sco-hwtest discover",
            retryable=False,
        )
    return found[0]


def usb_port(bus: int, ports: Sequence[int] | None) -> str:
    """A port as the kernel writes it: `1-1.2` is bus 1, port 1, port 2 of the hub there."""
    return f"{bus}-{'.'.join(map(str, ports or ()))}"


def _serial_of(device: Any, url: str) -> str | None:
    import usb.core
    import usb.util

    try:
        return usb.util.get_string(device, device.iSerialNumber) if device.iSerialNumber else None
    except (usb.core.USBError, ValueError, NotImplementedError) as error:
        raise DevicePermission(f"its serial number cannot be read ({error})", url=url, hint=RULES_HINT) from error


def _claim(device: Any, wanted: int | None, url: str) -> Transport:
    import usb.core
    import usb.util

    reattach, number, claimed = False, -1, False
    try:
        interface, out, back = _printer_interface(device, wanted, url)
        number = interface.bInterfaceNumber
        with contextlib.suppress(NotImplementedError):
            if device.is_kernel_driver_active(number):
                device.detach_kernel_driver(number)
                reattach = True
        usb.util.claim_interface(device, number)
        if interface.bAlternateSetting:
            device.set_interface_altsetting(number, interface.bAlternateSetting)
        claimed = True
    except usb.core.USBError as error:
        raise from_os_error(OSError(error.errno or errno.EIO, str(error)), url, opening=True) from error
    finally:
        if not claimed:
            with contextlib.suppress(Exception):
                usb.util.release_interface(device, number)
            with contextlib.suppress(Exception):
                if reattach:
                    device.attach_kernel_driver(number)
            with contextlib.suppress(Exception):
                usb.util.dispose_resources(device)
    return UsbTransport(device, number, out, back, url, reattach=reattach)


def _printer_interface(device: Any, number: int | None, url: str) -> tuple[Any, Any, Any]:
    """The interface to print through and its alternate setting, bidirectional if there is one, and its endpoints.

    The URL names the ids of a printer, so the interface need not state the printer class and a known protocol: some are
    of a vendor's class (the kernel's usblp has a list of such printers), or of a protocol that does not exist. Those of
    IPP over USB and of other classes (storage, serial) take no ESC/POS.

    Args:
        device: of pyusb.
        number: `interface` of the URL, which leaves no choice.
        url: for messages.
    """
    import usb.util

    best: tuple[int, Any, Any, Any] | None = None
    seen: list[str] = []
    for interface in device.get_active_configuration():
        kind, protocol = interface.bInterfaceClass, interface.bInterfaceProtocol
        seen.append(f"{interface.bInterfaceNumber} (class {kind}, protocol {protocol})")
        out = usb.util.find_descriptor(interface, custom_match=_bulk(usb.util.ENDPOINT_OUT))
        back = usb.util.find_descriptor(interface, custom_match=_bulk(usb.util.ENDPOINT_IN))
        rank = _rank(kind, protocol) if number is None else 0
        if out is None or rank is None or number not in (None, interface.bInterfaceNumber):
            continue
        rank += 10 * (back is None)
        if best is None or rank < best[0]:
            best = rank, interface, out, back
    if best is None:
        message = "the device has no printer interface" if number is None else f"it cannot print by interface {number}"
        hint = f"found {', '.join(seen)}; add interface=N if one of them prints"
        raise DeviceNotFound(message, url=url, hint=hint, retryable=False)
    return best[1:]


def _rank(kind: int, protocol: int) -> int | None:
    """How well an interface of this class and protocol suits, 0 best; None if it does not."""
    if kind == _PRINTER_CLASS:
        if protocol in _PROTOCOLS:
            return _PROTOCOLS.index(protocol)
        return None if protocol == _IPP else 4
    return 5 if kind == _VENDOR_CLASS else None


def _bulk(direction: int) -> Any:
    import usb.util

    def matches(endpoint: Any) -> bool:
        return bool(
            usb.util.endpoint_direction(endpoint.bEndpointAddress) == direction
            and usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK
        )

    return matches
