"""A simulated USB bus: replaces `usb1`, the lowest module that nfcpy's USB transport calls.

    with usb_bus(VirtualAcr122()), open_nfc("usb://072f:2200") as nfc:
        nfc.read()

A device has an `Identity`, and handles the transfers of its two bulk endpoints. Everything above the bus is the code
that ships. Not simulated: time, and lost or truncated packets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

_BULK = 2


class NotTaken(Exception):
    """The device accepts no data now (NAK): the transfer times out."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A device's descriptors.

    Attributes:
        vendor_id, product_id: 16 bits each.
        manufacturer, product: its strings.
        endpoint_out, endpoint_in: addresses of its bulk endpoints; the one to the host has bit 7 set.
        interface_class: class, subclass and protocol of its interface; FF for the vendor's own.
        interval: of both endpoints (bInterval).
        serial: its serial number; empty for none, as most readers have.
        packet: bytes of the longest packet of both endpoints (USB 2.0, 5.8.3: 64 at full speed, 512 at high speed).
    """

    vendor_id: int
    product_id: int
    manufacturer: str
    product: str
    endpoint_out: int
    endpoint_in: int
    interface_class: tuple[int, int, int] = (0xFF, 0xFF, 0xFF)
    interval: int = 0
    packet: int = 64
    serial: str = ""

    @property
    def url(self) -> str:
        """The device URL of the first such reader on the bus."""
        return f"usb://{self.vendor_id:04x}:{self.product_id:04x}"


class UsbDevice(ABC):
    """A device with one interface of two bulk endpoints.

    Args:
        identity: its descriptors.

    Attributes:
        identity: its descriptors.
        plugged: whether it is on the bus.
        port: that it is plugged into, by its place on the bus; it keeps it when it is plugged in again.
        address: on the bus, assigned when it is first listed; a new one each time it is plugged in; 0 before.
        owner: who has claimed its interface.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.plugged = True
        self.address = 0
        self.port = 0
        self.owner: object | None = None
        self._answers: list[bytes | None] = []

    @abstractmethod
    def bulk_out(self, message: bytes) -> None:
        """A transfer from the host, never empty; `_answer` queues the answer.

        Raises:
            NotTaken: the device accepts no data now.
        """

    @abstractmethod
    def _lose_power(self) -> None:
        """Reset the state that the device loses without power."""

    @property
    def string_error(self) -> str | None:
        """The exception of `usb1` when its strings are read; None as long as they can be read."""
        return None

    def bulk_in(self) -> bytes | None:
        """The next transfer to the host; None if there is none before the host's deadline."""
        return self._answers.pop(0) if self._answers else None

    def _answer(self, message: bytes, *, late: int = 0) -> None:
        """Queue a transfer to the host, after `late` reads that time out."""
        self._answers += [None] * late
        self._answers.append(message)

    def _withdraw(self) -> None:
        """Drop the transfers that are late."""
        if None in self._answers:
            del self._answers[self._answers.index(None) :]

    def unplug(self) -> None:
        """Unplug the device: it loses its power and its owner."""
        self.plugged = False
        self.owner = None
        self._answers.clear()
        self._lose_power()

    def replug(self) -> None:
        """Plug it in again, if it is unplugged."""
        if not self.plugged:
            self.plugged = True
            self.address = 0

    def reset(self) -> None:
        """Have the host enumerate it again without a power cycle, as after a warm start of the machine."""
        if self.plugged:
            self.owner = None
            self.address = 0
            self._answers.clear()
            self.plugged = self._enumerates()

    def _enumerates(self) -> bool:
        """Whether the host reads valid descriptors."""
        return True

    @contextmanager
    def on_the_bus(self) -> Iterator[str]:
        """Put the device on a bus of its own; yields its device URL."""
        with usb_bus(self):
            yield self.identity.url


@contextmanager
def usb_bus(*devices: UsbDevice) -> Iterator[None]:
    """Put `devices` on a bus that nfcpy sees instead of this machine's, in that order."""
    import nfc.clf.device
    import nfc.clf.transport
    import usb1  # type: ignore[import-untyped]

    may_open = nfc.clf.device.os.access

    def access(path: str, mode: int) -> bool:
        return True if path.startswith("/dev/bus/usb/") else bool(may_open(path, mode))

    with (
        patch.object(nfc.clf.transport, "libusb", _Libusb(usb1, devices)),
        patch.object(nfc.clf.device.os, "access", access),
    ):
        yield


class _Libusb:
    """The part of the module `usb1` that nfcpy uses; anything else comes from the module itself."""

    def __init__(self, real: Any, devices: tuple[UsbDevice, ...]) -> None:
        self._real, self._devices = real, devices
        self._last_address = 6
        for port, device in enumerate(devices, 1):
            device.address, device.port = 0, port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def USBContext(self) -> _Context:  # noqa: N802 - its name there
        """A context that sees the devices that are plugged in."""
        return _Context(self)

    def present(self) -> list[_Listed]:
        """The devices that are plugged in."""
        for device in self._devices:
            if device.plugged and not device.address:
                self._last_address += 1
                device.address = self._last_address
        return [_Listed(self._real, device) for device in self._devices if device.plugged]


class _Context:
    def __init__(self, bus: _Libusb) -> None:
        self._bus = bus

    def __enter__(self) -> _Context:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def exit(self) -> None:
        pass

    def getDeviceList(self, skip_on_error: bool = False) -> list[_Listed]:  # noqa: N802
        return self._bus.present()


class _Endpoint:
    def __init__(self, identity: Identity, address: int) -> None:
        self._identity, self._address = identity, address

    def getAddress(self) -> int:  # noqa: N802
        return self._address

    def getAttributes(self) -> int:  # noqa: N802
        return _BULK

    def getMaxPacketSize(self) -> int:  # noqa: N802
        return self._identity.packet

    def getInterval(self) -> int:  # noqa: N802
        return self._identity.interval


class _Setting:
    """A `USBInterfaceSetting`: the only one of the only interface."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def __iter__(self) -> Iterator[_Endpoint]:
        one = self._identity
        return iter((_Endpoint(one, one.endpoint_out), _Endpoint(one, one.endpoint_in)))

    iterEndpoints = __iter__  # noqa: N815

    def getNumber(self) -> int:  # noqa: N802
        return 0

    def getAlternateSetting(self) -> int:  # noqa: N802
        return 0

    def getNumEndpoints(self) -> int:  # noqa: N802
        return 2

    def getClass(self) -> int:  # noqa: N802
        return self._identity.interface_class[0]

    def getSubClass(self) -> int:  # noqa: N802
        return self._identity.interface_class[1]

    def getProtocol(self) -> int:  # noqa: N802
        return self._identity.interface_class[2]

    def getDescriptor(self) -> int:  # noqa: N802
        return 0


class _Configuration:
    """A `USBConfiguration`: the only one, with one interface."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def __iter__(self) -> Iterator[tuple[_Setting, ...]]:
        return iter(((_Setting(self._identity),),))

    def getNumInterfaces(self) -> int:  # noqa: N802
        return 1

    def getConfigurationValue(self) -> int:  # noqa: N802
        return 1

    def getDescriptor(self) -> int:  # noqa: N802
        return 0

    def getAttributes(self) -> int:  # noqa: N802
        return 0x80

    def getMaxPower(self) -> int:  # noqa: N802
        return 100  # mA


class _Present:
    """A device with the address that it had when it was listed; it is gone after replugging."""

    def __init__(self, real: Any, device: UsbDevice) -> None:
        self._real, self._device = real, device
        self._address = device.address

    def _there(self) -> None:
        if not self._device.plugged or self._device.address != self._address:
            raise self._real.USBErrorNoDevice


class _Listed(_Present):
    """A `USBDevice`."""

    def getVendorID(self) -> int:  # noqa: N802
        return self._device.identity.vendor_id

    def getProductID(self) -> int:  # noqa: N802
        return self._device.identity.product_id

    def getBusNumber(self) -> int:  # noqa: N802
        return 1

    def getDeviceAddress(self) -> int:  # noqa: N802
        return self._address

    def getPortNumberList(self) -> list[int]:  # noqa: N802
        return [self._device.port]

    def iterSettings(self) -> Iterator[_Setting]:  # noqa: N802
        return iter((_Setting(self._device.identity),))

    def iterConfigurations(self) -> Iterator[_Configuration]:  # noqa: N802
        return iter((_Configuration(self._device.identity),))

    def getManufacturer(self) -> str:  # noqa: N802
        return self._string(self._device.identity.manufacturer)

    def getProduct(self) -> str:  # noqa: N802
        return self._string(self._device.identity.product)

    def getSerialNumber(self) -> str | None:  # noqa: N802
        return self._string(self._device.identity.serial) or None

    def _string(self, text: str) -> str:
        self._there()
        if self._device.string_error is not None:
            raise getattr(self._real, self._device.string_error)
        return text

    def open(self) -> _Handle:
        self._there()
        return _Handle(self._real, self._device, self)


class _Handle(_Present):
    """A `USBDeviceHandle`."""

    def __init__(self, real: Any, device: UsbDevice, listed: _Listed) -> None:
        super().__init__(real, device)
        self._listed = listed

    def getDevice(self) -> _Listed:  # noqa: N802
        return self._listed

    def claimInterface(self, number: int) -> None:  # noqa: N802
        self._there()
        if self._device.owner is not None:
            raise self._real.USBErrorBusy
        self._device.owner = self

    def close(self) -> None:
        if self._device.owner is self:
            self._device.owner = None

    def bulkWrite(self, endpoint: int, data: bytes, timeout: int = 0) -> int:  # noqa: N802
        self._there()
        assert (endpoint, self._device.owner) == (self._device.identity.endpoint_out, self)
        if data:  # an empty packet only ends a message whose length is a multiple of the packet size
            try:
                self._device.bulk_out(bytes(data))
            except NotTaken:
                raise self._real.USBErrorTimeout from None
        return len(data)

    def bulkRead(self, endpoint: int, length: int, timeout: int = 0) -> bytes:  # noqa: N802
        self._there()
        assert (endpoint, self._device.owner) == (self._device.identity.endpoint_in, self)
        answer = self._device.bulk_in()
        if answer is None:
            raise self._real.USBErrorTimeout
        if len(answer) > length:
            raise self._real.USBErrorOverflow
        return answer
