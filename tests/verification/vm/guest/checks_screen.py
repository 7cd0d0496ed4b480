"""Screens on real kernel memory: framebuffers of every depth that vfb has, bochs's framebuffer, DRM dumb buffers."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from pathlib import Path

from report import Report

from sco_drivers import open_screen
from sco_drivers.errors import DeviceBusy, DeviceGone, DeviceNotFound, DevicePermission
from sco_drivers.screen import Screen, UnsupportedScreen
from sco_drivers.screen.fbdev import FBIOGET_VSCREENINFO, FBIOPUT_VSCREENINFO, VARIABLE
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.screen import CHECKS, LINK, code_disappears, code_is_readable, scenes

WHOLE_CONTRACT = (16, 32)
"""Depths of vfb on which the whole contract runs, since kiosks have them; the others are looked at with a code."""

_KDGETMODE = 0x4B3B


def framebuffer(name: str) -> Path:
    """The framebuffer whose driver is called so."""
    for folder in Path("/sys/class/graphics").glob("fb[0-9]*"):
        if name in (folder / "name").read_text():
            return Path("/dev") / folder.name
    raise AssertionError(f"no framebuffer {name!r}")


def set_mode(node: Path, wide: int, high: int, bits: int) -> None:
    """Another size and depth; the driver fills in the bitfields."""
    with node.open("rb+", buffering=0) as device:
        words = bytearray(VARIABLE.size)
        fcntl.ioctl(device, FBIOGET_VSCREENINFO, words)
        values = list(VARIABLE.unpack(words))
        values[0:7] = [wide, high, wide, high, 0, 0, bits]
        values[8:20] = [0] * 12
        fcntl.ioctl(device, FBIOPUT_VSCREENINFO, bytearray(VARIABLE.pack(*values)))


def console_mode() -> int:
    """0 text, 1 graphics."""
    with Path("/dev/tty0").open("rb+", buffering=0) as console:
        data = bytearray(4)
        fcntl.ioctl(console, _KDGETMODE, data)
        return int.from_bytes(data, "little")


def run_all(report: Report) -> None:
    """Every memory."""
    bochs = framebuffer("bochs")
    card = next(iter(sorted(Path("/dev/dri").glob("card*"))))
    for device, url in (("screen-fb-bochs", f"fb://{bochs}"), ("screen-drm-bochs", f"drm://{card}")):
        for check in CHECKS:
            if not check.why_not(url):
                report.check(device, check.name, lambda check=check, url=url: run(url, check))
        report.check(device, "the-host-reads-the-code", lambda device=device, url=url: host_reads(report, device, url))
        report.check(device, "the-console-is-given-back", lambda url=url: gives_console_back(url))
        report.check(device, "unplugged-and-back", lambda device=device, url=url: unplugged(report, device, url))
    report.check("screen-drm-bochs", "one-master", lambda: one_master(f"drm://{card}"))
    report.check("screen-drm-bochs", "another-mode", lambda: another_mode(report, f"drm://{card}"))
    report.check("screen-drm-bochs", "a-format-it-lacks", lambda: refuses_rgb565(f"drm://{card}?format=rgb565"))
    report.check(
        "screen-drm-bochs", "turned", lambda: host_reads(report, "screen-drm-turned", f"drm://{card}?rotate=90")
    )
    vfb = framebuffer("Virtual FB")
    short = [check for check in CHECKS if check.run in (code_is_readable, code_disappears)]
    for bits in (1, 8, 16, 24, 32):
        for check in CHECKS if bits in WHOLE_CONTRACT else short:
            report.check(
                f"screen-vfb-{bits}bpp", check.name, lambda check=check, bits=bits: on_vfb(vfb, bits, check.run)
            )


def run(url: str, check: Check[Screen]) -> None:
    """One check of the contract."""
    with open_screen(url) as screen:
        check.run(screen)


def on_vfb(node: Path, bits: int, check: Callable[[Screen], None]) -> None:
    """One check at this depth."""
    set_mode(node, 648, 484, bits)
    with open_screen(f"fb://{node}?tty=none") as screen:
        check(screen)


def looks(report: Report, name: str) -> None:
    """The picture of the guest's display, taken by the host, shows the code. A framebuffer over DRM is copied later."""
    end = time.monotonic() + 60
    while (found := report.ask(look=name)["codes"]) != [LINK]:
        assert time.monotonic() < end, f"on the display the host reads {found}"
        time.sleep(0.05)


def host_reads(report: Report, name: str, url: str) -> None:
    """The host sees the code on the display."""
    with open_screen(url) as screen:
        screen.show(next(scene for scene in scenes() if scene.name == "qr"))
        looks(report, name)


def refuses_rgb565(url: str) -> None:
    """A format that the card does not scan out is reported as such."""
    try:
        open_screen(url).close()
    except UnsupportedScreen as error:
        assert "rgb565" in str(error), str(error)
        return
    raise AssertionError("bochs scans rgb565 out after all")


def gives_console_back(url: str) -> None:
    """The console is in graphics mode while we draw, and in text mode afterwards."""
    assert console_mode() == 0, "it is not in text mode before"
    with open_screen(url):
        assert console_mode() == 1, "it is in text mode while we draw"
    assert console_mode() == 0, "it was not given back"


def one_master(url: str) -> None:
    """A second opening reports that the display has a master."""
    with open_screen(url) as first:
        first.show(scenes()[0])
        try:
            open_screen(url).close()
        except (DevicePermission, DeviceBusy):
            return
    raise AssertionError("a card was taken twice")


def another_mode(report: Report, url: str) -> None:
    """A mode asked for is the one that is set."""
    with open_screen(f"{url}?mode=1024x768") as screen:
        assert screen.size == (1024, 768), f"the screen is {screen.size}"
        screen.show(next(scene for scene in scenes() if scene.name == "qr"))
        looks(report, "screen-drm-1024x768")


def unplugged(report: Report, device: str, url: str) -> None:
    """A display that is pulled out fails the next scene with DeviceGone; when it is back the scene is shown."""
    status = next(Path("/sys/class/drm").glob("card*-*/status"))
    qr = next(scene for scene in scenes() if scene.name == "qr")
    with open_screen(url) as screen:
        screen.show(scenes()[0])
        status.write_text("off")
        try:
            screen.show(qr)
            raise AssertionError("a scene was shown on a display that is not there")
        except DeviceGone:
            pass
        finally:
            status.write_text("on")
        time.sleep(0.1)
        screen.show(qr)
        looks(report, f"{device}-replugged")
    status.write_text("off")
    try:
        open_screen(url).close()
        raise AssertionError("a display that is not there was opened")
    except DeviceNotFound:
        pass
    finally:
        status.write_text("detect")
