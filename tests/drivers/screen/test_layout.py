"""Every scene on every panel: inside it, nothing over anything, large enough to read and to press."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sco_drivers import qr
from sco_drivers.screen import Box, Button, Drawing, Logo, Scene, Theme, paint
from sco_drivers.screen.layout import MIN_BUTTON_MM, Layout, countdown_text, lay_out, max_code_px, min_touch_target_px
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
    for words in (scene.headline, *scene.lines, scene.amount, scene.number, scene.deadline_label):
        assert words.replace("\u00a0", " ") in said
    assert (scene.status or scene.hint) in said
    assert (layout.countdown is not None) == (scene.deadline is not None)
    assert [button.button for button in layout.buttons] == list(scene.buttons)
    short = min(size)
    # 1.5 m: on a 10-inch panel 4 % of the shorter side is 5 mm of letter.
    assert all(text.paragraph.size >= 0.034 * short for text in layout.texts)
    assert layout.texts[0].paragraph.size >= 0.043 * short
    assert all(button.box.height >= min_touch_target_px(size, None) >= 0.07 * short for button in layout.buttons)


def size_of(layout: Layout, words: str) -> int:
    """The size of that text."""
    plain = words.replace("\u00a0", " ")
    return next(
        text.paragraph.size for text in layout.texts if " ".join(text.paragraph.lines).replace("\u00a0", " ") == plain
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("kopecks", [253_00, 1_234_567_89])
@pytest.mark.parametrize("language", ["ru", "en"])
def test_each_text_has_its_rank(size: tuple[int, int], kopecks: int, language: str) -> None:
    """A case's number is the largest, then the amount, the headline and what is as important, then everything else."""
    for scene in scenes(kopecks=kopecks, language=language):
        layout = placed(scene, size)
        headline = size_of(layout, scene.headline)
        assert {size_of(layout, line) for line in scene.lines[: scene.prominent]} <= {headline}
        others = [size_of(layout, words) for words in (*scene.lines[scene.prominent :],) if words]
        if scene.amount:
            amount = size_of(layout, scene.amount)
            assert amount >= (0 if scene.number else headline), scene.name
            assert layout.countdown is None or layout.countdown.size < amount, scene.name
            others.append(layout.countdown.size if layout.countdown else 0)
        if scene.number:
            assert size_of(layout, scene.number) > max(headline, amount)
        assert max(others, default=0) <= headline, scene.name


@pytest.mark.parametrize("density", [None, 3.4, 5.6])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_buttons_keep_their_places_from_scene_to_scene(size: tuple[int, int], density: float | None) -> None:
    places: dict[str, set[Box]] = {}
    for scene in scenes():
        matrix = qr.encode(scene.qr) if scene.qr else None
        least = min_touch_target_px(size, density)
        layout = lay_out(scene, size, matrix, "4:37" if scene.deadline else "", least, max_code_px(density))
        for button in layout.buttons:
            places.setdefault(button.button.action, set()).add(button.box)
    assert {action: len(boxes) for action, boxes in places.items()} == {"retry": 1, "cancel": 1}
    ((retry,), (cancel,)) = places["retry"], places["cancel"]
    assert (retry.y, retry.width) == (cancel.y, cancel.width)
    assert retry.x + retry.width < cancel.x


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_nothing_moves_but_the_status_when_the_acquirer_does_not_answer(size: tuple[int, int]) -> None:
    """Least of all the code, which a phone may be looking at."""
    before, after = (placed(next(one for one in scenes() if one.name == name), size) for name in ("qr", "checking"))
    assert before.code == after.code
    assert before.countdown == after.countdown
    assert before.buttons == after.buttons
    assert [text for text in before.texts if text in after.texts] == list(before.texts[:-1])
    assert after.ring is not None


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_code_has_its_share_and_leaves_the_words_theirs(size: tuple[int, int]) -> None:
    layout = placed(next(scene for scene in scenes() if scene.name == "qr"), size)
    assert layout.code is not None
    assert layout.code.box.width == layout.code.module * 49
    assert layout.code.box.width >= 0.63 * min(size)
    assert layout.code.box.width <= 0.56 * size[0] or size[0] < 1.15 * size[1]


@pytest.mark.parametrize(("size", "panel_mm"), [((1024, 768), (304, 228)), ((1920, 1080), (476, 268))])
def test_a_code_is_at_most_11_cm_wide(size: tuple[int, int], panel_mm: tuple[int, int]) -> None:
    density = size[0] / panel_mm[0]
    for scene in scenes():
        matrix = qr.encode(scene.qr) if scene.qr else None
        layout = lay_out(scene, size, matrix, "4:37" if scene.deadline else "", 0, max_code_px(density))
        assert layout.code is None or layout.code.box.width / density <= 110
        assert layout.code is None or scene.drawing is not Drawing.NONE or layout.code.box.width / density >= 88


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_plate_leads_and_the_code_is_second(size: tuple[int, int]) -> None:
    layout = placed(next(scene for scene in scenes() if scene.name == "plate"), size)
    assert layout.code is not None
    assert layout.drawing_box is not None
    assert layout.drawing_box.width > layout.code.box.width >= (0.3 if size[0] > size[1] else 0.36) * min(size)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("shape", [(400, 100), (100, 100), (30, 300)], ids=str)
def test_a_logo_is_next_to_the_hint_in_its_proportion(size: tuple[int, int], shape: tuple[int, int]) -> None:
    theme = Theme(logo=Logo(shape, bytes(4 * shape[0] * shape[1])))
    for scene in scenes():
        layout = placed(replace(scene, theme=theme), size)
        check(layout)
        assert (layout.logo is not None) == bool(scene.hint and not scene.status)
        if layout.logo is not None:
            assert layout.logo.width * shape[1] == pytest.approx(layout.logo.height * shape[0], abs=max(shape))


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
    prominent=st.integers(0, 3),
    help_=st.tuples(*[st.sampled_from(["", "Проверяем оплату", "б" * 70])] * 3),
    busy=st.booleans(),
    size=st.sampled_from(SIZES + TINY),
)
@settings(max_examples=60)
def test_any_scene_fits(
    headline: str,
    lines: list[str],
    amount: str,
    drawing: Drawing,
    buttons: int,
    deadline_label: str | None,
    prominent: int,
    help_: tuple[str, str, str],
    busy: bool,
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
        prominent=prominent,
        number=help_[0],
        hint=help_[1],
        status=help_[2],
        busy=busy,
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
