"""Whether a cable is in the display of a framebuffer, from the kernel's files, which a folder plays here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sco_drivers.errors import DeviceGone, DeviceNotFound
from sco_drivers.registry import open_screen
from sco_drivers.screen import fbdev
from sco_drivers.screen.connectors import Connectors
from sco_drivers.screen.formats import FORMATS
from sco_hwtest.contracts.screen import scenes

from .test_fbdev import Kernel

FB0 = os.makedev(29, 0)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """The card of fb0, with two connectors."""
    card = tmp_path / "sys" / "dev" / "char" / "29:0" / "device" / "drm" / "card0"
    for name, status in (("HDMI-A-1", "connected"), ("VGA-1", "disconnected")):
        (card / f"card0-{name}").mkdir(parents=True)
        (card / f"card0-{name}" / "status").write_text(f"{status}\n")
    return card


def connectors(tmp_path: Path) -> Connectors:
    return Connectors(FB0, tmp_path / "sys")


@pytest.mark.parametrize(
    ("hdmi", "there"), [("connected", True), ("unknown", True), ("disconnected", False), ("", True)]
)
def test_a_display_is_assumed_unless_all_connectors_are_disconnected(
    tmp_path: Path, card: Path, hdmi: str, there: bool
) -> None:
    found = connectors(tmp_path)
    assert found.any_display()
    (card / "card0-HDMI-A-1" / "status").write_text(hdmi and f"{hdmi}\n")
    assert found.any_display() is there
    found.close()
    found.close()


def test_without_a_card_nothing_is_known(tmp_path: Path) -> None:
    assert connectors(tmp_path).any_display()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A framebuffer whose node `open_fb` takes for the device 29:0."""
    kernel = Kernel(tmp_path / "fb0", FORMATS["xrgb8888"])
    monkeypatch.setattr(fbdev.fcntl, "ioctl", kernel.ioctl)
    monkeypatch.setattr(fbdev, "open_node", lambda url: os.open(url.path, os.O_RDWR))
    monkeypatch.setattr(fbdev, "take_console", lambda url: None)
    monkeypatch.setattr(fbdev, "Connectors", lambda number: connectors(tmp_path))
    return kernel


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("pages", [1, 2])
def test_an_unplugged_cable_is_noticed_and_the_display_reopens(
    tmp_path: Path, card: Path, kernel: Kernel, pages: int
) -> None:
    status = card / "card0-HDMI-A-1" / "status"
    url = f"fb://{kernel.path}?pages={pages}"
    with open_screen(url) as screen:
        screen.show(scenes()[0])
        screen.check()
        status.write_text("disconnected\n")
        with pytest.raises(DeviceGone, match="unplugged"):
            screen.check()
        with pytest.raises(DeviceGone, match="unplugged"):
            screen.show(scenes()[1])
    files = open_files()
    with pytest.raises(DeviceNotFound, match=r"no display is connected.*detect=0"):
        open_screen(url)
    assert open_files() == files
    with open_screen(f"{url}&detect=0") as screen:
        screen.show(scenes()[0])
    status.write_text("connected\n")
    with open_screen(url) as screen:
        screen.show(scenes()[0])
