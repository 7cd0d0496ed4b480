"""Screens: DRM connectors with what their EDID says, and framebuffers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sco_hwtest.discovery.found import Address, Found, Looking, Problem
from sco_hwtest.discovery.sysfs import SysDevice

_HEADER = bytes.fromhex("00ffffffffffff00")
_STOP = "stop the desktop or display server: sudo systemctl stop display-manager"


@dataclass(frozen=True, slots=True)
class Glass:
    """What a display says of itself: its name, and its size in mm; empty and None where it does not."""

    name: str = ""
    mm: tuple[int, int] | None = None


def parse_edid(data: bytes) -> Glass:
    """The first block of an EDID (VESA E-EDID 1.4, 3.10)."""
    if len(data) < 128 or data[:8] != _HEADER:
        return Glass()
    size = (data[66] | data[68] >> 4 << 8, data[67] | (data[68] & 0xF) << 8)
    if 0 in size or data[54:56] == b"\0\0":
        size = data[21] * 10, data[22] * 10
    name = ""
    for at in range(54, 126, 18):
        if data[at : at + 4] == b"\0\0\0\xfc":
            name = data[at + 5 : at + 18].split(b"\n")[0].decode("ascii", "replace").strip()
    return Glass(name, None if 0 in size else size)


def find(looking: Looking) -> Iterator[Found]:
    """Every connected display, and every framebuffer that is none of theirs."""
    framebuffers = [one for one in looking.machine.devices("/sys/class/graphics") if one.kernel.startswith("fb")]
    framebuffers = [one for one in framebuffers if one.kernel[2:].isdigit()]
    entries = looking.machine.devices("/sys/class/drm")
    cards = [one for one in entries if one.kernel.startswith("card") and "-" not in one.kernel]
    taken: set[str] = set()
    for card in cards:
        connectors = [one for one in entries if one.kernel.startswith(f"{card.kernel}-") and one.attr("status")]
        mine = [one for one in framebuffers if _same_hardware(one, card)]
        taken.update(one.kernel for one in mine)
        yield from _card(looking, card, connectors, mine)
    for framebuffer in framebuffers:
        if framebuffer.kernel not in taken:
            yield _framebuffer(looking, framebuffer)


def _same_hardware(one: SysDevice, other: SysDevice) -> bool:
    return (one.path / "device").resolve() == (other.path / "device").resolve() != one.path / "device"


def _card(
    looking: Looking, card: SysDevice, connectors: list[SysDevice], framebuffers: list[SysDevice]
) -> Iterator[Found]:
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
                    "no display is connected to it" + (f" ({', '.join(names.values())} are empty)" if names else ""),
                    "plug the display in and switch it on; one that does not say that it is there is forced by "
                    "video=CONNECTOR:e on the kernel's command line",
                ),
            ),
        )
        return
    rule, given = looking.rule_for(card, {"ID_PATH": card.bus_place})
    for connector in connected:
        glass = parse_edid(_bytes(connector, "edid"))
        modes = (connector.attr("modes") or "").split()
        what = glass.name or "display"
        if modes:
            what += f", {modes[0]} px"
        if glass.mm:
            what += f", {glass.mm[0]}x{glass.mm[1]} mm"
        stable = looking.stable(node)
        urls = [
            Address(f"drm://{(stable or [node])[0]}?connector={names[connector.kernel]}", "two buffers: no tearing")
        ]
        said = [rule] if rule else []
        for framebuffer in framebuffers if len(connected) == 1 else ():
            its_rule, _ = looking.rule_for(framebuffer, {"ID_PATH": framebuffer.bus_place})
            said += [its_rule] if its_rule else []
            path = framebuffer.node or f"/dev/{framebuffer.kernel}"
            size = f"?mm={glass.mm[0]}x{glass.mm[1]}" if glass.mm else ""
            urls.append(Address(f"fb://{(looking.stable(path) or [path])[0]}{size}", _mode_of(framebuffer)))
        files, problems = looking.reach(node, given)
        problems = looking.held(node, _STOP) + problems
        notes = () if modes else ("the display gives no modes: add mode=WIDTHxHEIGHT to the URL",)
        yield Found(
            "screen",
            what,
            names[connector.kernel],
            tuple(urls),
            files,
            "; ".join(said),
            tuple(problems),
            notes,
        )


def _bytes(device: SysDevice, name: str) -> bytes:
    try:
        return (device.path / name).read_bytes()
    except OSError:
        return b""


def _mode_of(framebuffer: SysDevice) -> str:
    size = (framebuffer.attr("virtual_size") or "").replace(",", "x")
    return f"{framebuffer.attr('name') or 'framebuffer'}, {size} px, {framebuffer.attr('bits_per_pixel') or '?'} bits"


def _framebuffer(looking: Looking, framebuffer: SysDevice) -> Found:
    node = framebuffer.node or f"/dev/{framebuffer.kernel}"
    rule, given = looking.rule_for(framebuffer, {"ID_PATH": framebuffer.bus_place})
    files, problems = looking.reach(node, given)
    problems = looking.held(node, _STOP) + problems
    return Found(
        "screen",
        f"framebuffer {_mode_of(framebuffer)}",
        framebuffer.kernel,
        (Address(f"fb://{(looking.stable(node) or [node])[0]}", "add mm=WIDTHxHEIGHT, the size of the glass"),),
        files,
        rule,
        tuple(problems),
    )
