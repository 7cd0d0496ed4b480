"""Open NFC readers through PC/SC, that is through pcscd: CCID readers of ACS, HID and others.

    pcsc://                      the first reader that pcscd lists, secure modules (SAM) left out
    pcsc://?name=ACR1252         the first whose name contains this; capitals do not matter
    pcsc://?name=CL&index=1      the second of these

Also takes `key` and `attempts`, see `sco_drivers.nfc.opening`. Needs pyscard: the extra `sco-paymaster[pcsc]`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sco_drivers import tap
from sco_drivers.errors import DriverUnavailable
from sco_drivers.nfc.opening import load_nfcpy
from sco_drivers.nfc.options import COMMON, attempts_of, check_parameters, key_of
from sco_drivers.nfc.pcsc_channel import Channel, WantedReader
from sco_drivers.nfc.radio import Radio
from sco_drivers.nfc.reader import NfcpyReader
from sco_drivers.urls import DeviceUrl, opener

if TYPE_CHECKING:
    from sco_drivers.nfc.pcsc_field import PcscField

_LONGEST_READ = 32
"""Pages of one FAST_READ: the answer must fit a short APDU inside the objects of a transparent exchange."""


def _load_scard(url: DeviceUrl) -> Any:
    """pyscard's binding of winscard.

    Raises:
        DriverUnavailable: it, or pcsc-lite below it, is missing.
    """
    try:
        return importlib.import_module("smartcard.scard")
    except (ImportError, OSError) as error:
        raise DriverUnavailable(
            f"pyscard cannot be loaded: {error}",
            url=url.text,
            hint="apt-get install pcscd gcc swig libpcsclite-dev python3-dev; pip install 'sco-paymaster[pcsc]'",
        ) from error


def _wanted(url: DeviceUrl) -> WantedReader:
    check_parameters(url)
    if url.params.get("name") == "":
        raise url.wrong("name", "is empty", hint="e.g. name=ACR1252; sco-hwtest discover shows the reader")
    return WantedReader(url.params.get("name", ""), url.integer("index", 0, min=0, max=99))


@opener(_wanted, example="pcsc://?name=ACR1252", params=("name", "index", *COMMON))
def open_pcsc(url: DeviceUrl, wanted: WantedReader) -> NfcpyReader:
    """Open a reader through PC/SC: `pcsc://`, `pcsc://?name=ACR1252` or `pcsc://?index=1`.

    Raises:
        DeviceError: it cannot be opened.
    """
    load_nfcpy(url)  # whose errors `Radio` translates
    scard = tap.current().pcsc(lambda: _load_scard(url))

    def connect() -> PcscField:
        field = importlib.import_module("sco_drivers.nfc.pcsc_field")
        found: PcscField = field.PcscField(Channel(scard, wanted))
        return found

    return NfcpyReader(
        url.text,
        Radio(url.text, connect, lambda: True, longest_read=_LONGEST_READ),
        key=key_of(url),
        attempts=attempts_of(url),
    )
