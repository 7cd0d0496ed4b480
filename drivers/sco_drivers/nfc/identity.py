"""What an NFC reader reports about itself, through nfcpy's device or through PC/SC."""

from __future__ import annotations

import re
from typing import Any

from sco_drivers.identity import DeviceIdentity

_CHIPSET = re.compile(r"(.+?) ?v(\d\w*\.\w+)")
"""nfcpy's name of a chip, which ends in the version that the chip reports: `PN532v1.6`, `NFC Port-100 v1.11`."""


def identity_of(device: Any) -> DeviceIdentity:
    """The identity of nfcpy's `device`, which is open; of a reader behind PC/SC, what it answers itself.

    A PN532 on a serial line reports only its chip. A reader on the USB has names in its descriptor, and its own
    controller may have a version of its own (ACR122U).
    """
    own = getattr(device, "identity", None)
    if own is not None:
        found: DeviceIdentity = own()
        return found
    chip = _CHIPSET.fullmatch(device.chipset_name)
    controller = getattr(device.chipset, "controller_version", None) if chip is not None else None
    return DeviceIdentity(
        maker=_word(device.vendor_name),
        model=_word(device.product_name) or (chip[1] if chip is not None else None),
        firmware=controller or (chip[2] if chip is not None else None),
    )


def _word(text: str | None) -> str | None:
    """A name without the blanks around it; None for an empty one."""
    return (text or "").strip("\0 ") or None
