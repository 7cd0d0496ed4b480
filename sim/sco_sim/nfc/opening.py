"""`sim://`: a simulated PN532 with one tag, and the driver for real readers on its serial line."""

from __future__ import annotations

import re

from sco_drivers.errors import BadDeviceUrl
from sco_drivers.nfc.opening import serial_radio
from sco_drivers.nfc.options import COMMON, attempts_of, baud_of, check_parameters, key_of
from sco_drivers.nfc.reader import NfcpyReader
from sco_drivers.urls import DeviceUrl, opener
from sco_sim.nfc.ntag import PRODUCTS, VirtualTag
from sco_sim.nfc.pn532 import VirtualReader


class SimulatedReader(NfcpyReader):
    """The driver on the serial line of `simulator`, which is closed with it."""

    def __init__(self, url: DeviceUrl, simulator: VirtualReader) -> None:
        self.simulator = simulator
        radio = serial_radio(url, str(simulator.path), baud_of(url))
        super().__init__(url.text, radio, key=key_of(url), attempts=attempts_of(url))

    def close(self) -> None:
        """Close the driver, then the simulator. May be called twice."""
        super().close()
        self.simulator.close()


def _tag(url: DeviceUrl) -> VirtualTag:
    product = url.choice("tag", "ntag213", PRODUCTS)
    uid = url.params.get("uid", "04a1b2c3d4e5f6")
    if not re.fullmatch("[0-9a-fA-F]{14}", uid):
        raise url.wrong("uid", "is not 7 bytes in hex", hint="e.g. uid=04a1b2c3d4e5f6")
    try:
        return VirtualTag(product, bytes.fromhex(uid), url.params.get("uri", ""))
    except ValueError as error:
        raise BadDeviceUrl(str(error), url=url.text, parameters=("uri",)) from None


def _check(url: DeviceUrl) -> None:
    _tag(url)
    baud_of(url)
    check_parameters(url)


@opener(
    _check,
    example="sim://?tag=ntag213",
    params=("tag", "uid", "uri", "baud", *COMMON),
    simulated=True,
)
def open_sim(url: DeviceUrl, _options: None) -> SimulatedReader:
    """A simulated reader with the real driver: `sim://?tag=ntag213&uid=04a1b2c3d4e5f6&uri=https%3A%2F%2F...`.

    The simulator is the reader's attribute `simulator` and lives until the reader is closed.

    Raises:
        BadDeviceUrl: an unknown tag, or a UID that is not 7 bytes.
    """
    simulator = VirtualReader(_tag(url))
    try:
        return SimulatedReader(url, simulator)
    except BaseException:
        simulator.close()
        raise
