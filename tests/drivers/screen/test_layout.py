"""Every scene on every glass: inside it, nothing over anything, large enough to read and to press."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sco_drivers import qr
from sco_drivers.screen import Box, Button, Drawing, Scene
from sco_drivers.screen.layout import Layout, countdown_text, lay_out
from sco_drivers.screen.lettering import fit, width
from sco_hwtest.contracts.screen import scenes

SIZES = [
    (800, 480),
    (480, 800),
    (800, 600),
    (1024, 600),
    (1024, 768),
    (768, 1024),
    (1280, 800),
    (1280, 1024),
    (1366, 768),
    (1920, 1080),
    (1080, 1920),
    (640, 480),
]


def placed(scene: Scene, size: tuple[int, int]) -> Layout:
    return lay_out(scene, size, qr.encode(scene.qr) if scene.qr else None, "4:37" if scene.deadline else "")


def over(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def check(layout: Layout) -> None:
    wide, high = layout.size
    for box in layout.boxes():
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= wide
        assert box.y + box.height <= high
    for one, other in combinations(layout.boxes(), 2):
        assert not over(one, other), (one, other)
    for one, other in combinations([button.reach for button in layout.buttons], 2):
        assert not over(one, other)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_scene_fits(scene: Scene, size: tuple[int, int]) -> None:
    layout = placed(scene, size)
    check(layout)
    said = " ".join(line for text in layout.texts for line in text.paragraph.lines).replace("\u00a0", " ")
    for words in (scene.headline, *scene.lines, scene.amount, scene.deadline_label):
        assert words.replace("\u00a0", " ") in said
    assert (layout.countdown is not None) == (scene.deadline is not None)
    assert [button.button for button in layout.buttons] == list(scene.buttons)
    short = min(size)
    # 1.5 m: on a 10-inch panel 4 % of the shorter side is 5 mm of letter.
    assert all(text.paragraph.size >= 0.034 * short for text in layout.texts)
    headline = layout.texts[0].paragraph
    assert headline.size >= 0.045 * short
    assert all(button.box.height >= 0.085 * short for button in layout.buttons)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_larger_module_would_leave_room_for_the_words(size: tuple[int, int]) -> None:
    scene = next(scene for scene in scenes() if scene.qr)
    layout = placed(scene, size)
    assert layout.code is not None
    assert layout.code.box.width == layout.code.module * 49
    assert layout.code.box.width >= 0.55 * min(size)


def test_texts_that_do_not_fit_shrink_together_and_stay_whole() -> None:
    scene = Scene(
        "x", "слово " * 60, ("строка " * 30,) * 3, "1 234 567,89 ₽", buttons=(Button("a", "Да"), Button("b", "Нет"))
    )
    layout = placed(scene, (800, 480))
    check(layout)
    assert sum(len(" ".join(text.paragraph.lines).split()) for text in layout.texts) >= 150


def test_what_cannot_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        placed(Scene("x", "слово " * 5000), (320, 240))


@given(
    headline=st.text("абвгд ёЖЩ QR-NFC.,№", min_size=1, max_size=120).filter(str.strip),
    lines=st.lists(st.text("абв где", max_size=60), max_size=3),
    amount=st.sampled_from(["", "1,00 ₽", "9 999 999,99 ₽"]),
    drawing=st.sampled_from(Drawing),
    buttons=st.integers(0, 2),
    size=st.sampled_from(SIZES),
)
@settings(max_examples=60, deadline=None)
def test_any_scene_fits(
    headline: str, lines: list[str], amount: str, drawing: Drawing, buttons: int, size: tuple[int, int]
) -> None:
    buttons_ = (Button("a", "Повторить"), Button("b", "Отменить"))[:buttons]
    check(placed(Scene("x", headline, tuple(lines), amount, drawing=drawing, buttons=buttons_), size))


def test_short_words_are_not_left_hanging() -> None:
    found = fit("Оплата не завершена, нет связи с процессингом", 600, 3, 40, 30, bold=True)
    assert not any(line.endswith((" с", " не", " нет")) for line in found.lines)


def test_a_word_wider_than_the_room_is_broken_not_lost() -> None:
    found = fit("а" * 200, 100, 1, 20, 20)
    assert "".join(found.lines) == "а" * 200
    assert all(width(line, 20, False) <= 100 for line in found.lines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(277, "4:37"), (59.01, "1:00"), (0.2, "0:01"), (0, "0:00"), (-5, "0:00"), (6000, "100:00")]
)
def test_countdown_text(seconds: float, text: str) -> None:
    assert countdown_text(seconds) == text
