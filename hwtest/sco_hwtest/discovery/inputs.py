"""Finds touch panels, and keyboards and mice that can replace one at a bench."""

from __future__ import annotations

from collections.abc import Iterator

from sco_hwtest.discovery.found import Address, Found, Scan
from sco_hwtest.discovery.sysfs import SysDevice
from sco_hwtest.discovery.usb import environment, where

# include/uapi/linux/input-event-codes.h
_EV_KEY, _EV_REL, _EV_ABS = 1, 2, 3
_ABS_X, _ABS_Y, _ABS_MT_POSITION_X = 0x00, 0x01, 0x35
_KEY_1, _KEY_Q, _KEY_A = 2, 16, 30
_BTN_LEFT, _BTN_TOUCH, _BTN_TOOL_PEN, _BTN_TOOL_FINGER = 0x110, 0x14A, 0x140, 0x145
_PROP_DIRECT = 1


def find(scan: Scan) -> Iterator[Found]:
    """Touch panels first, then what can replace one."""
    events = [one for one in scan.machine.devices("/sys/class/input") if one.kernel.startswith("event")]
    kinds = [(event, kind) for event in events if (kind := _kind(event)) is not None]
    for event, kind in sorted(kinds, key=lambda pair: pair[1] != "ID_INPUT_TOUCHSCREEN"):
        yield _input(scan, event, kind)


def _kind(event: SysDevice) -> str | None:
    """Its input property of udev, by the rules of udev's input_id builtin; None if it is of no use here."""
    types, absolute, keys = (_bits(event, f"device/capabilities/{name}") for name in ("ev", "abs", "key"))
    if types >> _EV_ABS & 1 and absolute >> _ABS_X & 1 | absolute >> _ABS_MT_POSITION_X & 1:
        direct = _bits(event, "device/properties") >> _PROP_DIRECT & 1
        if keys >> _BTN_TOOL_PEN & 1:
            return "ID_INPUT_TABLET"
        if keys >> _BTN_TOOL_FINGER & 1 and not direct:
            return None  # a touchpad of a notebook
        if direct or keys >> _BTN_TOUCH & 1:
            return "ID_INPUT_TOUCHSCREEN"
        if keys >> _BTN_LEFT & 1:
            return "ID_INPUT_MOUSE"  # with absolute positions, as in virtual machines
        return None
    if types >> _EV_REL & 1 and keys >> _BTN_LEFT & 1:
        return "ID_INPUT_MOUSE"
    if types >> _EV_KEY & 1 and all(keys >> key & 1 for key in (_KEY_1, _KEY_Q, _KEY_A)):
        return "ID_INPUT_KEYBOARD"
    return None


def _bits(event: SysDevice, name: str) -> int:
    """A bitmap of /sys: hexadecimal words of the size of `long`, the highest first."""
    words = (event.attr(name) or "0").split()
    value = 0
    for word in words:
        value = value << 64 | int(word, 16)
    return value


_WORDS = {
    "ID_INPUT_TOUCHSCREEN": "touch panel",
    "ID_INPUT_TABLET": "pen tablet",
    "ID_INPUT_MOUSE": "mouse",
    "ID_INPUT_KEYBOARD": "keyboard, or a bar code scanner that acts as one",
}


def _input(scan: Scan, event: SysDevice, kind: str) -> Found:
    node = event.node or f"/dev/input/{event.kernel}"
    usb = event.parent("usb", "usb_device")
    properties = {"ID_INPUT": "1", kind: "1"} | (
        environment(usb, event.parent("usb", "usb_interface")) if usb is not None else {}
    )
    rule, given = scan.rule_for(event, properties)
    files, problems = scan.reach(node, given, write=False)
    holders = scan.holders.of_file(node)
    notes = (f"also open in {', '.join(map(str, holders))}",) if holders else ()
    path = (scan.stable(node) or [node])[0]
    name = event.attr("device/name") or "unnamed"
    vendor, product = event.attr("device/id/vendor"), event.attr("device/id/product")
    touch = kind == "ID_INPUT_TOUCHSCREEN"
    return Found(
        "touch" if touch else "keyboard",
        f"{name}, {_WORDS[kind]}, {vendor}:{product}",
        f"{event.kernel}, {where(usb)}" if usb is not None else event.kernel,
        (
            Address(f"evdev://{path}")
            if touch
            else Address(f"evdev://{path}?keys=1", "at a test bench, instead of a panel"),
        ),
        files,
        rule,
        tuple(problems),
        notes,
    )
