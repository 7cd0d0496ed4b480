"""`lane.theme`, `lane.accent`, `lane.logo`: what people can read is shown, all else is refused with the settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sco_drivers.screen import DEFAULT_THEME, Theme, palette
from sco_drivers.screen.theme import as_hex, contrast, from_hex, readable_on
from sco_hwtest.contracts.screen import LINK, decoded
from sco_payment import ScreenState, View, load_settings, load_theme, render
from sco_payment.customer.texts import RUSSIAN
from sco_payment.customer.theme import read_theme
from sco_payment.settings import LaneSettings

PAY = ScreenState(View.PAY, RUSSIAN.pay, link=LINK, hint=RUSSIAN.open_bank_app, amount_kopecks=253_00)
DARK = """
page = "#10151b"
panel = "#1c242e"
text = "#ffffff"
muted = "#b8c4d0"
line = "#8090a0"
accent = "#ffd200"
good = "#3ddc84"
bad = "#ff7a6b"
attention = "#ffb74d"
"""


def theme_file(folder: Path, text: str) -> str:
    path = folder / "theme.toml"
    path.write_text(text, "utf-8")
    return str(path)


def logo_file(folder: Path, size: tuple[int, int] = (120, 40), form: str = "PNG") -> str:
    path = folder / "logo.png"
    Image.new("RGB", size, (200, 30, 160)).save(path, form)
    return str(path)


def test_a_lane_without_a_theme_has_the_default(tmp_path: Path) -> None:
    assert read_theme(LaneSettings()) == (DEFAULT_THEME, [])
    assert DEFAULT_THEME.problems() == []


def test_the_shops_colours_and_logo_are_on_the_screen_and_the_code_is_read(tmp_path: Path) -> None:
    lane = LaneSettings(theme=theme_file(tmp_path, DARK), logo=logo_file(tmp_path))
    theme, problems = read_theme(lane)
    assert problems == []
    for size in ((1024, 768), (480, 800)):
        picture = render(PAY, size, theme=theme)
        assert picture.getpixel((2, 2)) == (0x10, 0x15, 0x1B)
        assert decoded(picture) == [LINK]
        colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
        assert (200, 30, 160) in colours
        assert (200, 30, 160) not in {colour for _, colour in render(PAY, size).getcolors(1 << 20) or []}


@pytest.mark.parametrize("form", ["mono", "gray8", "rgb565", "xrgb8888"])
def test_a_theme_and_a_logo_are_drawn_in_every_depth(tmp_path: Path, form: str) -> None:
    from sco_drivers import open_screen
    from sco_payment.customer.ui import scene_of

    theme, _ = read_theme(LaneSettings(theme=theme_file(tmp_path, DARK), logo=logo_file(tmp_path)))
    with open_screen(f"sim://?size=800x480&format={form}") as screen:
        screen.show(scene_of(PAY, RUSSIAN, theme))
        assert decoded(screen.image()) == [LINK]


@pytest.mark.parametrize(
    ("lane", "text", "words"),
    [
        ({"accent": "red"}, "", "lane.accent = 'red': must be a colour as #rrggbb"),
        (
            {"accent": "#ffd200"},
            "",
            "lane.accent: accent #ffd200 on page #f4f6f8 has a contrast of 1.3:1, less than 3:1",
        ),
        ({}, 'accent = "#ffd200"', "lane.theme: accent #ffd200 on page #f4f6f8"),
        ({}, 'muted = "#999999"', "less than 4.5:1: choose a darker muted"),
        ({}, 'page = "#000000"', "choose a lighter text"),
        ({}, 'acent = "#0b57a8"', "unknown colour acent; expected one of page, panel, text, muted, line, accent"),
        ({}, "accent = 7", "accent = 7: must be a colour"),
        ({}, "accent = #0b57a8", "not TOML"),
        ({"theme": "/nowhere/theme.toml"}, "", "lane.theme: /nowhere/theme.toml: No such file or directory"),
        ({"logo": "/nowhere/logo.png"}, "", "lane.logo: /nowhere/logo.png: No such file or directory"),
        ({"logo": "/proc/self/status"}, "", "is not a PNG picture"),
    ],
)
def test_what_people_could_not_read_is_refused(tmp_path: Path, lane: Mapping[str, str], text: str, words: str) -> None:
    given = {"theme": theme_file(tmp_path, text)} if text else {}
    theme, problems = read_theme(LaneSettings(**given, **lane))
    assert words in "; ".join(problems)
    assert theme == DEFAULT_THEME


@pytest.mark.parametrize(
    ("size", "form", "words"),
    [
        ((2001, 10), "PNG", "2001x10 px, at most 2000 a side"),
        ((10, 10), "JPEG", "is not a PNG picture"),
    ],
)
def test_a_logo_has_limits(tmp_path: Path, size: tuple[int, int], form: str, words: str) -> None:
    theme, problems = read_theme(LaneSettings(logo=logo_file(tmp_path, size, form)))
    assert words in "; ".join(problems)
    assert theme.logo is None


@pytest.mark.parametrize("kept", [0, 50, 200])
def test_a_logo_that_is_damaged_or_too_long_is_refused(tmp_path: Path, kept: int) -> None:
    path = Path(logo_file(tmp_path))
    path.write_bytes(path.read_bytes()[:kept] + bytes(2 << 20 if kept == 200 else 0))
    assert len(read_theme(LaneSettings(logo=str(path)))[1]) == 1


def test_paths_start_at_the_settings_file_and_every_problem_is_reported(tmp_path: Path) -> None:
    theme_file(tmp_path, 'muted = "#999999"')
    (tmp_path / "lane.toml").write_text('[lane]\nlogo = "logo.png"\ntheme = "theme.toml"\n', "utf-8")
    with pytest.raises(ValueError, match=f"{tmp_path}/logo.png: No such file.*") as found:
        load_settings(tmp_path / "lane.toml", token=False)
    assert "lane.theme: muted #999999 on page" in str(found.value)


def test_a_logo_that_is_gone_when_the_lane_opens_costs_no_payment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from sco_payment.settings import Settings

    with caplog.at_level(logging.ERROR):
        assert load_theme(Settings(lane=LaneSettings(logo=str(tmp_path / "gone.png")))) == DEFAULT_THEME
    assert "gone.png: No such file" in caplog.text


COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


@given(accent=COLOURS, page=COLOURS, text=COLOURS)
def test_every_text_of_a_theme_that_is_accepted_can_be_read(
    accent: tuple[int, int, int], page: tuple[int, int, int], text: tuple[int, int, int]
) -> None:
    theme = Theme(accent=accent, page=page, text=text)
    pairs = palette.colours(theme)
    readable = all(
        contrast(*pairs[pair]) >= least
        for pair, least in (
            (palette.Pair.PAGE_INK, 4.5),
            (palette.Pair.WHITE_INK, 4.5),
            (palette.Pair.PAGE_MUTED, 4.5),
            (palette.Pair.PAGE_BLUE, 3),
            (palette.Pair.WHITE_BLUE, 3),
            (palette.Pair.PAGE_LINE, 3),
            *((pair, 3) for pair in (palette.Pair.PAGE_GREEN, palette.Pair.PAGE_RED, palette.Pair.PAGE_AMBER)),
        )
    )
    assert (theme.problems() == []) == readable
    assert contrast(*pairs[palette.Pair.BLUE_WHITE]) >= 4.5


@given(colour=COLOURS)
def test_white_or_black_can_be_read_on_any_colour(colour: tuple[int, int, int]) -> None:
    assert contrast(readable_on(colour), colour) >= 4.5
    assert from_hex(as_hex(colour)) == colour


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((0x76, 0x76, 0x76), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)  # its best-known grey
    assert from_hex("#12345") is from_hex("123456") is from_hex("#12345g") is from_hex("#１23456") is None
