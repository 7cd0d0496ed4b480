"""One contract over every screen that can be had without hardware: formats, turns, strides, panels of many sizes."""

from __future__ import annotations

from dataclasses import asdict, replace
from fractions import Fraction

import pytest
from PIL import Image

from sco_drivers.registry import open_screen
from sco_drivers.screen import Screen
from sco_drivers.screen.formats import FORMATS
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.readback import RAW_FORMATS, readback_of
from sco_hwtest.contracts.screen import CHECKS, LINK, code_is_readable, decoded, look, scenes
from sco_payment.customer.texts import LANGUAGES

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
def test_contract(url: str, check: Check[Screen]) -> None:
    with open_screen(url) as screen:
        check.run(screen)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("form", sorted(FORMATS))
def test_code_reads_in_every_format_and_turn(form: str, rotate: int) -> None:
    with open_screen(f"sim://?size=648x484&format={form}&rotate={rotate}") as screen:
        code_is_readable(screen)


@pytest.mark.parametrize("size", ["800x480", "1024x768", "1366x768", "1280x1024", "1920x1080", "1080x1920", "480x800"])
def test_a_code_has_its_quiet_zone_and_is_as_large_as_the_panel_allows(size: str) -> None:
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


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_scenes_are_those_of_a_lane(language: str) -> None:
    said = LANGUAGES[language]
    words = {
        text
        for scene in scenes(language=language)
        for text in (
            *(scene.headline, *scene.lines, scene.number, scene.hint, scene.status, scene.deadline_label),
            *(button.label for button in scene.buttons),
        )
        if text
    }
    elsewhere = {"payment_type", "case", "pay_until", "order", "to_pay"}
    elsewhere |= {
        "currency",
        "repeat",
        "description",
        "no_refunds",
        "lane",
        "not_a_receipt",
    }  # on tickets and at the acquirer
    said_here = {text for name, text in asdict(said).items() if name not in elsewhere}
    assert words == said_here | {said.case.format(number=123)}


def expected_words(truth: Image.Image, form: str, rotate: int) -> list[list[int]]:
    """What a device of that format and turn must hold when a customer is to see `truth`: plain arithmetic, no table."""
    _, *fields = RAW_FORMATS[form]
    turned = truth.rotate(-rotate, expand=True)
    opaque = {"argb8888": 0xFF000000, "abgr8888": 0xFF000000}.get(form, 0)
    known: dict[tuple[int, ...], int] = {}

    def word(colour: tuple[int, ...]) -> int:
        if form in ("gray8", "mono", "mono-inverted"):
            luma = (299 * colour[0] + 587 * colour[1] + 114 * colour[2] + 500) // 1000
            return luma if form == "gray8" else int((luma >= 128) != (form == "mono-inverted"))
        levels = (
            int(Fraction(level * ((1 << length) - 1), 255) + Fraction(1, 2)) << offset
            for level, (offset, length) in zip(colour, fields, strict=True)
        )
        return sum(levels) | opaque

    for _, colour in turned.getcolors(turned.width * turned.height):
        known[colour] = word(colour)
    channels = iter(turned.tobytes())
    pixels = list(zip(channels, channels, channels, strict=True))
    return [[known[pixel] for pixel in pixels[at : at + turned.width]] for at in range(0, len(pixels), turned.width)]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_and_turn_equals_the_reference_pixel_for_pixel(form: str, rotate: int) -> None:
    """What a customer sees on a true-colour display, converted and turned by the test itself, is what memory holds."""
    qr_scene = replace(scenes()[1], deadline=None, deadline_label="")
    size = (262, 175) if rotate in (0, 180) else (175, 262)
    for scene in (qr_scene, scenes()[5]):
        with open_screen("sim://?size=262x175&format=xrgb8888") as screen:
            screen.show(scene)
            truth = readback_of(screen)().picture()
        stride = -(-size[0] * RAW_FORMATS[form][0] // 8) + 6
        url = f"sim://?size={size[0]}x{size[1]}&format={form}&rotate={rotate}&stride={stride}"
        with open_screen(url) as screen:
            screen.show(scene)
            raw = readback_of(screen)()
        assert raw.words() == expected_words(truth, form, rotate)
        assert decoded(raw.picture()) == ([LINK] if scene.qr else [])
