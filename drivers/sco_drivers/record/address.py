"""The URL of a recorded device, as its trace shows it: without what says which one it was."""

from __future__ import annotations

from urllib.parse import quote

from sco_drivers.urls import DeviceUrl

_LIKE = {"printer": "tcp", "nfc": "pn532", "touch": "evdev", "display": "mertech"}
"""The scheme of the driver on a simulator's wire."""
_PLACES = {
    "tcp": "tcp://printer",
    "serial": "serial:///dev/device",
    "lp": "lp:///dev/device",
    "pn532": "pn532:///dev/device",
    "evdev": "evdev:///dev/device",
    "mertech": "mertech:///dev/device",
    "qrscreen": "qrscreen:///dev/device",
    "pcsc": "pcsc://",
}
NOT_SHOWN = {"port", "key", "name", "index", "out", "protocol", "tag", "uid", "uri"}
"""Parameters that name a place, a secret or a simulator's nature."""


def shown_url(kind: str, url: DeviceUrl) -> str:
    """The URL that opens the same driver with the same settings, without address, serial number and files."""
    scheme = _LIKE[kind] if url.scheme == "sim" else url.scheme
    if url.scheme == "sim" and kind == "display":
        scheme = url.params.get("protocol", scheme)
    place = f"usb://{url.host}" if scheme == "usb" else _PLACES[scheme]
    kept = {name: text for name, text in url.params.items() if name not in NOT_SHOWN and not text.startswith("/")}
    if "key" in url.params:
        kept["key"] = "traced"
    query = "&".join(f"{name}={quote(text)}" for name, text in kept.items())
    return f"{place}?{query}" if query else place
