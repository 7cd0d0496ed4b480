"""Finds screens: DRM connectors with the EDID of their displays, and framebuffers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sco_hwtest.discovery.found import Address, Found, Problem, Scan
from sco_hwtest.discovery.sysfs import SysDevice

_HEADER = bytes.fromhex("00ffffffffffff00")
_NAME, _SERIAL = 0xFC, 0xFF
_STOP = "stop the desktop or display server: sudo systemctl stop display-manager"


@dataclass(frozen=True, slots=True)
class DisplayInfo:
    """What a display's EDID reports, empty where it reports nothing.

    Attributes:
        name: of the model.
        mm: its size.
        maker: three letters that UEFI's registry of PNP ids gives to makers.
        serial: its serial number, as text or as the number that replaces it.
    """

    name: str = ""
    mm: tuple[int, int] | None = None
    maker: str = ""
    serial: str = ""


def parse_edid(data: bytes) -> DisplayInfo:
    """The first block of an EDID (VESA E-EDID 1.4, 3.10)."""
    if len(data) < 128 or data[:8] != _HEADER:
        return DisplayInfo()
    size = (data[66] | data[68] >> 4 << 8, data[67] | (data[68] & 0xF) << 8)
    if 0 in size or data[54:56] == b"\0\0":
        size = data[21] * 10, data[22] * 10
    letters = int.from_bytes(data[8:10], "big")
    maker = "".join(chr(64 + (letters >> shift & 31)) for shift in (10, 5, 0))
    number = int.from_bytes(data[12:16], "little")
    return DisplayInfo(
        _descriptor(data, _NAME),
        None if 0 in size else size,
        maker if maker.isalpha() else "",
        _descriptor(data, _SERIAL) or (str(number) if number else ""),
    )


def _descriptor(data: bytes, tag: int) -> str:
    """The text of a display descriptor; empty if there is none."""
    for at in range(54, 126, 18):
        if data[at : at + 4] == bytes((0, 0, 0, tag)):
            return data[at + 5 : at + 18].split(b"\n")[0].decode("ascii", "replace").strip()
    return ""


def find(scan: Scan) -> Iterator[Found]:
    """Every connected display, and every framebuffer that belongs to none of them."""
    framebuffers = [one for one in scan.machine.devices("/sys/class/graphics") if one.kernel.startswith("fb")]
    framebuffers = [one for one in framebuffers if one.kernel[2:].isdigit()]
    entries = scan.machine.devices("/sys/class/drm")
    cards = [one for one in entries if one.kernel.startswith("card") and "-" not in one.kernel]
    taken: set[str] = set()
    for card in cards:
        connectors = [one for one in entries if one.kernel.startswith(f"{card.kernel}-") and one.attr("status")]
        mine = [one for one in framebuffers if same_hardware(one, card)]
        taken.update(one.kernel for one in mine)
        yield from _card(scan, card, connectors, mine)
    for framebuffer in framebuffers:
        if framebuffer.kernel not in taken:
            yield _framebuffer(scan, framebuffer)


def same_hardware(one: SysDevice, other: SysDevice) -> bool:
    """Whether two entries of /sys, e.g. a framebuffer and a card, belong to one device."""
    return (one.path / "device").resolve() == (other.path / "device").resolve() != one.path / "device"


def _card(scan: Scan, card: SysDevice, connectors: list[SysDevice], framebuffers: list[SysDevice]) -> Iterator[Found]:
    node = card.node or f"/dev/dri/{card.kernel}"
    connected = [one for one in connectors if one.attr("status") == "connected"]
    names = {one.kernel: one.kernel.removeprefix(f"{card.kernel}-") for one in connectors}
    if not connected:
        yield Found(
            "screen",
            f"graphics card {card.kernel}",
            ", ".join(names.values()) or "no connectors",
            problems=(
                Problem(
                    "no display is connected" + (f" to {', '.join(names.values())}" if names else ""),
                    "plug the display in and switch it on; if it is not detected, force it by "
                    "video=CONNECTOR:e on the kernel's command line",
                ),
            ),
        )
        return
    rule, given = scan.rule_for(card, {"ID_PATH": card.bus_place})
    for connector in connected:
        display = parse_edid(connector.octets("edid"))
        modes = (connector.attr("modes") or "").split()
        what = display.name or "display"
        if modes:
            what += f", {modes[0]} px"
        if display.mm:
            what += f", {display.mm[0]}x{display.mm[1]} mm"
        stable = scan.stable(node)
        urls = [
            Address(f"drm://{(stable or [node])[0]}?connector={names[connector.kernel]}", "two buffers, no tearing")
        ]
        rules = [rule] if rule else []
        for framebuffer in framebuffers if len(connected) == 1 else ():
            its_rule, _ = scan.rule_for(framebuffer, {"ID_PATH": framebuffer.bus_place})
            rules += [its_rule] if its_rule else []
            path = framebuffer.node or f"/dev/{framebuffer.kernel}"
            size = f"?mm={display.mm[0]}x{display.mm[1]}" if display.mm else ""
            urls.append(Address(f"fb://{(scan.stable(path) or [path])[0]}{size}", _mode_of(framebuffer)))
        files, problems = scan.reach(node, given)
        problems = scan.held(node, _STOP) + problems
        notes = () if modes else ("the display reports no modes: add mode=WIDTHxHEIGHT to the URL",)
        yield Found(
            "screen",
            what,
            names[connector.kernel],
            tuple(urls),
            files,
            "; ".join(rules),
            tuple(problems),
            notes,
        )


def _mode_of(framebuffer: SysDevice) -> str:
    size = (framebuffer.attr("virtual_size") or "").replace(",", "x")
    return f"{framebuffer.attr('name') or 'framebuffer'}, {size} px, {framebuffer.attr('bits_per_pixel') or '?'} bits"


def _framebuffer(scan: Scan, framebuffer: SysDevice) -> Found:
    node = framebuffer.node or f"/dev/{framebuffer.kernel}"
    rule, given = scan.rule_for(framebuffer, {"ID_PATH": framebuffer.bus_place})
    files, problems = scan.reach(node, given)
    problems = scan.held(node, _STOP) + problems
    return Found(
        "screen",
        f"framebuffer {_mode_of(framebuffer)}",
        framebuffer.kernel,
        (Address(f"fb://{(scan.stable(node) or [node])[0]}", "add mm=WIDTHxHEIGHT, the size of the display"),),
        files,
        rule,
        tuple(problems),
    )
