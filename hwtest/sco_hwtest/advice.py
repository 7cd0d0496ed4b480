"""What an operator can do about a device that does not open."""

from __future__ import annotations

from contextlib import suppress

from sco_drivers.errors import DeviceBusy, DeviceError, DeviceNotFound, DevicePermission
from sco_hwtest.discovery import discover
from sco_hwtest.results import Kind


def advice(kind: Kind, url: str, error: DeviceError) -> str:
    """What to do about a device's error: its own hint, and what discovery finds about the device."""
    words = [error.hint] if error.hint else []
    if not isinstance(error, (DeviceNotFound, DevicePermission, DeviceBusy)):
        return "; ".join(words)
    with suppress(Exception):  # advice must not break the report
        place = url.split("://", 1)[-1].split("?")[0]
        kinds = (kind, "serial") if kind in ("printer", "nfc", "display") else (kind,)
        found = discover().found
        mine = [
            one
            for one in found
            if any(place and place in address.url for address in one.urls)
            or any(file.path == place for file in one.files)
        ]
        for one in mine:
            words += [f"{problem.found}: {problem.to_do}" for problem in one.problems]
        if isinstance(error, DeviceNotFound) and not mine and url.split("://")[0] not in ("tcp", "udp", "sim"):
            others = [one.urls[0].url for one in found if one.urls and not one.problems and one.kind in kinds]
            if others:
                words.append(f"plugged in: {', '.join(others)}")
            elif "sco-hwtest discover" not in error.hint:
                words.append("see sco-hwtest discover")
    return "; ".join(words)
