"""USB readers that nfcpy supports, found and opened so that the reason of a failure is reported.

Asked for "any reader", nfcpy skips one that may not be opened or is busy, and then reports that there is none. This
module lists the bus itself and opens a device by its address: then nfcpy reports the reason.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from sco_drivers.errors import DeviceNotFound, DriverUnavailable
from sco_drivers.nfc import UnsupportedReader
from sco_drivers.nfc.options import UsbAddress
from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

    from sco_drivers.tap import Tap

_LONGEST_MS = 1000  # a frame of 300 bytes takes less than 1 ms
_STALE_MS = 20  # a stale answer is available at once
_MAX_STALE = 16
_ABORT_MS = 100
_SMART_CARD = 0x0B  # interface class of CCID
# In place of nfcpy's modules of those names.
_OUR_DRIVERS = {
    "acr122": "sco_drivers.nfc.acr122",
    "pn533": "sco_drivers.nfc.pn533",
    "rcs380": "sco_drivers.nfc.port100",
}


def load_libusb(url: DeviceUrl) -> None:
    """Give nfcpy's USB binding the system's libusb, else the one that the package libusb-package carries.

    Raises:
        DriverUnavailable: there is neither.
    """
    import ctypes

    import usb1  # type: ignore[import-untyped]

    try:
        usb1.loadLibrary()
    except OSError:
        try:
            import libusb_package

            usb1.loadLibrary(ctypes.CDLL(str(libusb_package.get_library_path())))
        except (ImportError, OSError) as error:
            raise DriverUnavailable(
                f"libusb cannot be loaded: {error}", url=url.text, hint="apt-get install libusb-1.0-0"
            ) from error


@contextmanager
def _bus() -> Iterator[Any]:
    """libusb's context, in which the bus can be listed.

    Raises:
        DeviceNotFound: libusb cannot list it.
    """
    import usb1
    from nfc.clf import transport

    try:
        with transport.libusb.USBContext() as context:
            yield context
    except usb1.USBError as error:
        hint = "is /dev/bus/usb there? or this process has too many files open"
        raise DeviceNotFound(f"the USB bus cannot be read ({error})", hint=hint) from error


def readers(wanted: UsbAddress) -> list[tuple[str, int, int]]:
    """The readers on the bus that `wanted` matches: the module of nfcpy's driver or of ours over it, bus, address.

    Raises:
        DeviceNotFound: the bus cannot be read.
    """
    from nfc.clf import device

    with _bus() as context:
        return [
            (_OUR_DRIVERS.get(name, f"nfc.clf.{name}"), found.getBusNumber(), found.getDeviceAddress())
            for found in _matching(context, wanted)
            if (name := device.usb_device_map.get((found.getVendorID(), found.getProductID())))
        ]


def present(wanted: UsbAddress) -> bool:
    """Whether a reader that `wanted` matches is on the bus; True where that is not known."""
    try:
        return bool(readers(wanted))
    except DeviceNotFound:
        return True


def _matching(context: Any, wanted: UsbAddress) -> list[Any]:
    """The devices on the bus, of any kind, that `wanted` matches."""
    place = _place_of(wanted.node) if wanted.node else wanted.place
    if wanted.node and place is None:
        return []
    return [
        found
        for found in context.getDeviceList(skip_on_error=True)
        if wanted.ids in ("", _ids_of(found))
        and place in (None, (found.getBusNumber(), found.getDeviceAddress()))
        and wanted.port in ("", _port_of(found))
        and _has_serial(found, wanted.serial)
    ]


def _ids_of(device: Any) -> str:
    return f"{device.getVendorID():04x}:{device.getProductID():04x}"


def _refuse_ccid(wanted: UsbAddress) -> None:
    """Raise UnsupportedReader if a reader that PC/SC alone can use is what `wanted` matches."""
    with _bus() as context:
        for found in _matching(context, wanted):
            if any(setting.getClass() == _SMART_CARD for setting in found.iterSettings()):
                raise UnsupportedReader(
                    f"the reader {_ids_of(found)} was found, but it speaks CCID", hint="use pcsc://"
                )


def _place_of(node: str) -> tuple[int, int] | None:
    """Bus and address of the device file that `node` is or links to; None if it is not one of the USB."""
    found = re.fullmatch(r"/dev/bus/usb/(\d{3})/(\d{3})", os.path.realpath(node))
    return (int(found[1]), int(found[2])) if found else None


def _port_of(device: Any) -> str:
    """The device's port, as the kernel names it: bus, then the ports of hubs from the root: `1-1.2`."""
    return f"{device.getBusNumber()}-{'.'.join(map(str, device.getPortNumberList()))}"


def _has_serial(device: Any, serial: str) -> bool:
    """Whether the device has that serial number, or it may not be read: then opening it reports why."""
    if not serial:
        return True
    import usb1

    try:
        return bool(device.getSerialNumber() == serial)
    except usb1.USBErrorAccess:
        return True
    except usb1.USBError:
        return False


class _Listed:
    """A device of the bus. If its strings cannot be read, it raises the one error that nfcpy handles.

    The strings of a PN533 are overwritten once it has been used; how reading them fails depends on the host controller
    too.
    """

    def __init__(self, device: Any) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def getManufacturer(self) -> str | None:  # noqa: N802 - its name there
        return self._name(self._device.getManufacturer)

    def getProduct(self) -> str | None:  # noqa: N802
        return self._name(self._device.getProduct)

    @staticmethod
    def _name(ask: Callable[[], str | None]) -> str | None:
        import usb1

        try:
            return ask()
        except (usb1.USBErrorNoDevice, usb1.USBErrorAccess):
            raise
        except usb1.USBError as error:
            raise usb1.USBErrorIO from error


class _Context:
    """libusb's context, listing `_Listed` devices."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def getDeviceList(self, **options: bool) -> list[_Listed]:  # noqa: N802
        return [_Listed(device) for device in self._context.getDeviceList(**options)]


def _wire(bus: int, address: int) -> Any:
    """nfcpy's transport, with deadlines both ways and without stale answers.

    nfcpy's own waits forever if a reader stops accepting data. An answer that came after its deadline stays in the
    reader; it would be taken for that of the next command, and every later answer would be one command late, even
    after reopening.
    """
    import usb1
    from nfc.clf import pn53x, transport

    node = f"/dev/bus/usb/{bus:03}/{address:03}"
    if not os.access(node, os.R_OK | os.W_OK):
        # After it was plugged in, the bus knows the reader before its device file is there.
        number = errno.EACCES if os.access(node, os.F_OK) else errno.ENOENT
        raise OSError(number, os.strerror(number))

    class Wire(transport.USB):  # type: ignore[misc]
        context: Any

        def open(self, usb_bus: int, dev_adr: int) -> None:
            self.context = _Context(self.context)
            super().open(usb_bus, dev_adr)
            with suppress(usb1.USBErrorTimeout):
                self._drain()

        def described(self, describe: Callable[[Any], bytes]) -> bytes:
            """What `describe` makes of the device, as its descriptors have it."""
            return describe(self.usb_dev.getDevice())

        def _drain(self) -> None:
            """Read stale answers until a read times out."""
            for _ in range(_MAX_STALE):
                self.usb_dev.bulkRead(self.usb_inp.getAddress(), 512, _STALE_MS)

        def read(self, timeout: int = 0) -> bytearray:
            frame: bytearray = super().read(timeout or _LONGEST_MS)
            return frame

        def write(self, frame: bytearray, timeout: int = 0) -> None:
            if frame == pn53x.Chipset.ACK:
                self._abort(frame)
            else:
                super().write(frame, timeout or _LONGEST_MS)

        def _abort(self, frame: bytearray) -> None:
            """Abort the chip's current command. A PN533 that has just received an ACK does not accept a second one."""
            try:
                super().write(frame, _ABORT_MS)
            except OSError as error:
                if error.errno != errno.ETIMEDOUT:
                    raise
            with suppress(usb1.USBError):  # the next command raises it too
                self._drain()

    return Wire(bus, address)


def connect(wanted: UsbAddress, through: Tap) -> ContactlessFrontend:
    """Open the first reader that `wanted` matches and that can be opened, `through` a tap.

    Raises:
        OSError: ENODEV if there is none; else why the last one cannot be opened. UnsupportedReader.
    """
    import nfc.clf
    import usb1

    trouble = OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    found = through.readers(lambda: readers(wanted))
    if not found:
        _refuse_ccid(wanted)
    for driver, bus, address in found:
        wire = None
        try:
            wire = through.frames(partial(_wire, bus, address))
            device = importlib.import_module(driver).init(wire)
        except (OSError, usb1.USBError) as error:
            trouble = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
            if wire is not None:
                wire.close()
            continue
        except BaseException:
            if wire is not None:
                wire.close()
            raise
        device._path = f"usb:{bus:03}:{address:03}"  # noqa: SLF001 - nfcpy's own name for it
        frontend = nfc.clf.ContactlessFrontend()
        frontend.device = device
        return frontend
    raise trouble
