"""Which device it is: what it reports itself, and what the kernel has read from it (USB descriptor, EDID).

Nothing is guessed: a serial line's adapter is not the device at its end, and one of two identical devices that the URL
does not tell apart has no descriptor here. What a device does not report is absent.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from typing import Any

from sco_drivers.errors import DeviceError
from sco_drivers.identity import DeviceIdentity
from sco_drivers.nfc.options import UsbAddress, usb_address
from sco_drivers.urls import DeviceUrl
from sco_hwtest.discovery.displays import parse_edid, same_hardware
from sco_hwtest.discovery.known import NFC_READERS, SERIAL_ADAPTERS
from sco_hwtest.discovery.sysfs import Machine, SysDevice
from sco_hwtest.discovery.usb import identity as usb_identity
from sco_hwtest.results import Kind
from sco_hwtest.suites import opener

_NOTHING = DeviceIdentity()
_FOLDERS = {
    "lp": "/sys/class/usbmisc",
    "evdev": "/sys/class/input",
    "drm": "/sys/class/drm",
    "fb": "/sys/class/graphics",
}
_LINES = "/sys/class/tty"


def identify(kind: Kind, url: str, machine: Machine | None = None) -> DeviceIdentity:
    """Open the device at `url` and ask it; what it does not report itself comes from its descriptor.

    Args:
        kind, url: which device.
        machine: whose /sys and /dev are read; this one by default.

    Raises:
        DeviceError: it cannot be opened.
    """
    with closing(opener(kind)(url)) as device:
        return _reported(device).or_else(described(kind, url, machine))


def _reported(device: Any) -> DeviceIdentity:
    """What an open device answers: a printer in its health check, a reader when it is asked."""
    found = DeviceIdentity()
    with suppress(DeviceError):  # one that answers no question has no identity
        if (health := getattr(device, "health", None)) is not None:
            found = health().identity
        elif (ask := getattr(device, "identity", None)) is not None:
            found = ask()
    return found


def described(kind: Kind, url: str, machine: Machine | None = None) -> DeviceIdentity:
    """What the kernel has read from the device at `url`, without opening it; empty if it cannot tell which it is."""
    machine = Machine() if machine is None else machine
    try:
        parsed = DeviceUrl.parse(re.sub(r"^(\w+\+)+", "", url))  # without spy+
        if parsed.scheme == "usb":
            return _of_usb(_on_usb(machine, kind, usb_address(parsed)))
    except DeviceError:
        return _NOTHING
    if not parsed.path.startswith("/dev/"):
        return _NOTHING
    node = _node(machine, parsed.path)
    device = next((one for one in machine.devices(_FOLDERS.get(parsed.scheme, _LINES)) if one.node == node), None)
    if device is None:
        return _NOTHING
    match parsed.scheme:
        case "drm" | "fb":
            return _of_display(machine, device, parsed.params.get("connector", ""))
        case "evdev":
            of_kernel = DeviceIdentity(model=device.attr("device/name"), serial=device.attr("device/uniq"))
            return _of_usb(device.parent("usb", "usb_device")).or_else(of_kernel)
        case "lp":
            return _of_usb(device.parent("usb", "usb_device"))
    adapter = device.parent("usb-serial") is not None
    return _NOTHING if adapter else _of_usb(device.parent("usb", "usb_device"), but=SERIAL_ADAPTERS)


def _node(machine: Machine, path: str) -> str:
    """The device file that a name in /dev leads to."""
    with suppress(OSError, ValueError):
        return machine.name(machine.path(path).resolve())
    return path


def _on_usb(machine: Machine, kind: Kind, wanted: UsbAddress) -> SysDevice | None:
    """The one device on the bus that is meant; None if there are several."""
    found = [
        device
        for device in machine.devices("/sys/bus/usb/devices")
        if device.devtype == "usb_device" and _is_meant(machine, kind, device, wanted)
    ]
    return found[0] if len(found) == 1 else None


def _is_meant(machine: Machine, kind: Kind, device: SysDevice, wanted: UsbAddress) -> bool:
    vendor, product, serial = usb_identity(device)
    known = f"{vendor:04x}:{product:04x}" == wanted.ids if wanted.ids else kind == "nfc"
    if not wanted.ids and (vendor, product) not in NFC_READERS:
        return False
    place = (int(device.attr("busnum") or 0), int(device.attr("devnum") or 0))
    return (
        known
        and wanted.serial in ("", serial)
        and wanted.port in ("", device.kernel)
        and wanted.place in (None, place)
        and (not wanted.node or _node(machine, wanted.node) == device.node)
    )


def _of_usb(device: SysDevice | None, but: dict[tuple[int, int], str] | None = None) -> DeviceIdentity:
    """The strings of a USB descriptor; nothing for the devices in `but`."""
    if device is None or usb_identity(device)[:2] in (but or {}):
        return _NOTHING
    release = device.number("bcdDevice")
    return DeviceIdentity(
        maker=device.attr("manufacturer") or None,
        model=device.attr("product") or None,
        serial=device.attr("serial") or None,
        firmware=f"USB release {release >> 8:x}.{release & 0xFF:02x}" if release else None,
    )


def _of_display(machine: Machine, device: SysDevice, connector: str) -> DeviceIdentity:
    """The EDID of the only display at a graphics card, at its `connector` if that is given."""
    entries = machine.devices("/sys/class/drm")
    if device.kernel.startswith("fb"):
        cards = [one.kernel for one in entries if "-" not in one.kernel and same_hardware(device, one)]
    else:
        cards = [device.kernel]
    displays = [
        one
        for one in entries
        for card in cards
        if one.kernel == f"{card}-{connector}" or (not connector and one.kernel.startswith(f"{card}-"))
        if one.attr("status") == "connected"
    ]
    if len(displays) != 1:
        return _NOTHING
    found = parse_edid(displays[0].octets("edid"))
    return DeviceIdentity(maker=found.maker or None, model=found.name or None, serial=found.serial or None)
