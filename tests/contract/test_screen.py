"""One contract over every screen that can be had without hardware: formats, turns, strides, glasses of many sizes."""

from __future__ import annotations

import pytest

from sco_drivers.registry import open_screen
from sco_drivers.screen.formats import FORMATS
from sco_hwtest.contracts.screen import CHECKS, LINK, Check, code_reads, decoded, look, scenes

URLS = (
    "sim://?size=1024x768&format=rgb565",
    "sim://?size=800x480&format=xrgb8888&rotate=180",
    "sim://?size=480x800&format=bgr888&rotate=90&stride=1500",
    "sim://?size=1280x800&format=gray8&rotate=270",
    "sim://?size=600x1024&format=mono",
    "spy+sim://?size=1024x600&format=xrgb1555",
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("url", URLS)
def test_contract(url: str, check: Check) -> None:
    with open_screen(url) as screen:
        check.run(screen)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("form", sorted(FORMATS))
def test_code_reads_in_every_format_and_turn(form: str, rotate: int) -> None:
    with open_screen(f"sim://?size=648x484&format={form}&rotate={rotate}") as screen:
        code_reads(screen)


@pytest.mark.parametrize("size", ["800x480", "1024x768", "1366x768", "1280x1024", "1920x1080", "1080x1920", "480x800"])
def test_code_has_its_quiet_zone_and_is_as_large_as_the_glass_allows(size: str) -> None:
    with open_screen(f"sim://?size={size}&format=xrgb8888") as screen:
        screen.show(next(scene for scene in scenes() if scene.name == "qr"))
        image = look(screen)
        assert decoded(image) == [LINK]
        # The code's own black is nowhere else on the page: its box is the box of pure black.
        dark = image.convert("L").point([255] + [0] * 255)
        left, top, right, bottom = dark.getbbox()
        assert right - left == bottom - top
        modules = 41
        module, rest = divmod(right - left, modules)
        assert rest == 0
        quiet = image.crop((left - 4 * module, top - 4 * module, right + 4 * module, bottom + 4 * module)).convert("L")
        assert quiet.size == (49 * module, 49 * module)
        quiet.paste(255, (4 * module, 4 * module, 45 * module, 45 * module))
        assert quiet.getextrema() == (255, 255)
        assert 49 * module >= 0.55 * min(screen.size)
