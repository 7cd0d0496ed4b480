"""Every scene on every panel: inside it, nothing over anything, large enough to read and to press."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sco_drivers import qr
from sco_drivers.screen import Box, Button, Drawing, Scene, paint
from sco_drivers.screen.layout import MIN_BUTTON_MM, Layout, countdown_text, lay_out, min_touch_target_px
from sco_drivers.screen.typography import fit, width
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
    (1920, 540),
]

TINY = [(64, 64), (128, 64), (250, 122), (320, 240), (200, 64), (64, 1000)]


def placed(scene: Scene, size: tuple[int, int]) -> Layout:
    matrix = qr.encode(scene.qr) if scene.qr else None
    return lay_out(scene, size, matrix, "4:37" if scene.deadline else "", min_touch_target_px(size, None))


def over(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def bare(words: str) -> str:
    return words.replace("\u00a0", "").replace(" ", "")


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
    for button in layout.buttons:
        assert "".join(button.label.lines).replace("\u00a0", "").replace(" ", "") == button.button.label.replace(
            " ", ""
        )
        assert button.label.width < button.box.width
        assert button.label.height <= button.box.height
    for box, image in paint.pieces(layout):
        assert (box.width, box.height) == image.size


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
    assert all(button.box.height >= min_touch_target_px(size, None) >= 0.07 * short for button in layout.buttons)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_larger_module_would_leave_room_for_the_words(size: tuple[int, int]) -> None:
    scene = next(scene for scene in scenes() if scene.qr)
    layout = placed(scene, size)
    assert layout.code is not None
    assert layout.code.box.width == layout.code.module * 49
    assert layout.code.box.width >= 0.7 * min(size)
    # The lanes of the requirement are 4:3: the words next to the code must not cost it much of the height there.
    assert layout.code.box.width >= 0.89 * size[1] or size != (1024, 768)


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


@pytest.mark.parametrize(
    ("size", "panel_mm"),
    [((800, 480), (154, 86)), ((1024, 600), (222, 125)), ((1024, 768), (304, 228)), ((1920, 1080), (476, 268))],
)
@pytest.mark.parametrize("turned", [False, True])
def test_every_button_is_large_enough_if_the_panel_size_is_known(
    size: tuple[int, int], panel_mm: tuple[int, int], turned: bool
) -> None:
    density = max(size[0] / panel_mm[0], size[1] / panel_mm[1])
    seen = size[::-1] if turned else size
    for scene in scenes():
        matrix = qr.encode(scene.qr) if scene.qr else None
        layout = lay_out(scene, seen, matrix, "4:37" if scene.deadline else "", min_touch_target_px(seen, density))
        assert all(button.box.height / density >= MIN_BUTTON_MM - 0.1 for button in layout.buttons)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("count", [1, 2])
def test_long_words_on_a_button_and_before_the_countdown_are_whole(count: int, size: tuple[int, int]) -> None:
    """Another language than the lane's two may need them."""
    labels = ("Zahlungsbestätigung noch einmal versuchen", "Den ganzen Vorgang abbrechen")[:count]
    scene = Scene(
        "x",
        "Оплата не завершена, нет связи с процессингом",
        amount="9 999 999,99 ₽",
        buttons=tuple(Button(label, label) for label in labels),
        deadline=1.0,
        deadline_label="Verbleibende Zeit bis zum Ende der Zahlung",
    )
    layout = placed(scene, size)
    check(layout)
    assert "Verbleibende Zeit bis zum Ende der Zahlung" in [
        " ".join(text.paragraph.lines).replace("\u00a0", " ") for text in layout.texts
    ]


@given(
    headline=st.text("абвгд ёЖЩ QR-NFC.,№", min_size=1, max_size=120).filter(str.strip),
    lines=st.lists(st.text("абв где", max_size=60), max_size=3),
    amount=st.sampled_from(["", "1,00 ₽", "9 999 999,99 ₽"]),
    drawing=st.sampled_from(Drawing),
    buttons=st.integers(0, 2),
    deadline_label=st.sampled_from([None, "", "Осталось", "Осталось до конца оплаты", "а" * 60]),
    size=st.sampled_from(SIZES + TINY),
)
@settings(max_examples=60, deadline=None)
def test_any_scene_fits(
    headline: str,
    lines: list[str],
    amount: str,
    drawing: Drawing,
    buttons: int,
    deadline_label: str | None,
    size: tuple[int, int],
) -> None:
    buttons_ = (Button("a", "Повторить"), Button("b", "Отменить"))[:buttons]
    scene = Scene(
        "x",
        headline,
        tuple(lines),
        amount,
        drawing=drawing,
        buttons=buttons_,
        deadline=None if deadline_label is None else 1.0,
        deadline_label=deadline_label or "",
    )
    try:
        layout = placed(scene, size)
    except ValueError as error:
        if size in TINY and "does not fit" in str(error):
            return
        raise
    check(layout)


def test_a_line_ends_at_a_pause_where_it_may() -> None:
    found = fit("The payment is not finished: no connection to the processing centre", 700, 3, 50, 50, bold=True)
    assert [line.replace("\u00a0", " ") for line in found.lines] == [
        "The payment is not finished:",
        "no connection",
        "to the processing centre",
    ]


@pytest.mark.parametrize("room", range(300, 900, 50))
def test_lines_are_even_and_no_word_is_left_over(room: int) -> None:
    found = fit("Для оплаты используйте NFC или отсканируйте QR-код", room, 6, 40, 20, bold=True)
    assert width(max(found.lines, key=len), found.size, True) <= room
    assert " ".join(found.lines).replace("\u00a0", " ") == "Для оплаты используйте NFC или отсканируйте QR-код"
    assert not found.orphaned or len(found.lines) == 4  # in a narrow column only: there are no other four lines


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
