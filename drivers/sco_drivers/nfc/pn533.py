"""A PN533 on USB, initialised with nfcpy's public classes and closed so that it can be enumerated again.

The chip stores a frame in the same memory as its USB descriptors, which start at byte 25: a long frame overwrites them.
The host has read them already and the reader continues to work; but when it is enumerated again without a power cycle,
as after a warm start of the machine, it is not found. NXP's advice is to write them back before the host goes down
(libnfc's issue 408 describes both). Only the configuration is written: the reader enumerates without its strings.
"""

from __future__ import annotations

import logging
import struct
from contextlib import suppress
from typing import Any

import nfc.clf.pn533

from sco_drivers.nfc.debug_log import DebugLogger

_quiet = DebugLogger(logging.getLogger(__name__))

_DESCRIPTORS_AT = 0x0019
_AT_ONCE = 5  # registers in one WriteRegister whose frame does not overwrite the descriptors itself


def configuration_of(device: Any) -> bytes:
    """The configuration descriptor of a `usb1.USBDevice`, as the host read it during enumeration.

    Returns:
        Configuration, interfaces and endpoints (USB 2.0, 9.6.3 to 9.6.6).
    """
    configuration = next(device.iterConfigurations())
    body = b""
    for interface in configuration:
        for setting in interface:
            body += struct.pack(
                "<9B",
                *(9, 4, setting.getNumber(), setting.getAlternateSetting(), setting.getNumEndpoints()),
                *(setting.getClass(), setting.getSubClass(), setting.getProtocol(), setting.getDescriptor()),
            )
            for endpoint in setting:
                body += struct.pack(
                    "<4BHB",
                    *(7, 5, endpoint.getAddress(), endpoint.getAttributes()),
                    *(endpoint.getMaxPacketSize(), endpoint.getInterval()),
                )
    return (
        struct.pack(
            "<BBH5B",
            *(9, 2, 9 + len(body), configuration.getNumInterfaces(), configuration.getConfigurationValue()),
            *(configuration.getDescriptor(), configuration.getAttributes(), configuration.getMaxPower() // 2),
        )
        + body
    )


class Device(nfc.clf.pn533.Device):  # type: ignore[misc]
    """nfcpy's device; `configuration` is written back when it is closed."""

    chipset: Any

    def __init__(self, chipset: Any, configuration: bytes) -> None:
        self._configuration = configuration
        super().__init__(chipset, logger=_quiet)

    def close(self) -> None:
        """Switch the field off, write the descriptors back if the reader allows it, and release the reader."""
        cells = list(enumerate(self._configuration, _DESCRIPTORS_AT))
        with suppress(OSError, nfc.clf.pn533.Chipset.Error):
            self.mute()
            for first in range(0, len(cells), _AT_ONCE):
                self.chipset.write_register(*cells[first : first + _AT_ONCE])
        self.chipset.close()
        self.chipset = None


def init(transport: Any) -> Device:
    """Initialise the PN533 on `transport`, an open `nfc.clf.transport.USB`.

    Raises:
        OSError, nfc.clf.pn533.Chipset.Error: it does not answer as a PN533.
    """
    transport.write(nfc.clf.pn533.Chipset.ACK)
    configuration = transport.described(configuration_of)
    return Device(nfc.clf.pn533.Chipset(transport, logger=_quiet), configuration)
