"""Place the parts of a scene on a panel of any size. Pure arithmetic: no drawing, no device.

A code gets all the room it can use (next to the words on a wide panel, below them on a tall one); the drawing that
explains the plate is next to the words, with the buttons below it; any other scene is one column in the middle. Buttons
are at the bottom, the first on the left, and large enough for any finger. Sizes are in hundredths of the panel's
shorter side, so that a text has the same share of every panel; if they do not all fit, all of them shrink together and
nothing is omitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from sco_drivers.qr import QrMatrix
from sco_drivers.screen import Box, Button, Drawing, Scene
from sco_drivers.screen.typography import Paragraph, fit, line_height, width

MIN_MODULE_MM = 0.5
"""Below this, phones at arm's length begin to fail to read a code from a screen."""

MIN_BUTTON_MM = 15.0
"""Below this, a finger begins to miss a button."""

_USUAL_DENSITY = 84 / MIN_BUTTON_MM
"""Px per mm of the densest panels that lanes have (7 inch at 800x480, 15.6 inch at 1920x1080), if it is unknown."""

_ROOMY = 0.94
"""Without a code, the words fill at most this share of their room."""

_SMALLER = tuple((50, percent) for percent in (70, 64, 58, 50, 42, 34, 26, 18))
_TRIALS = (
    *((share, percent) for share in (70, 66) for percent in (100, 92, 88)),
    *((share, percent) for share in (62, 56, 50) for percent in (100, 92, 84, 77)),
    *_SMALLER,
)
"""Tried in turn: the code's share of the width, and the size of everything else, both in percent."""

_TRIALS_WITHOUT_CODE = tuple((44, percent) for percent in (132, 124, 116, 108, 100, 92, 84, 77)) + _SMALLER
"""Without a code there is room for larger words."""


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A paragraph in its box. `align` is the share of the spare width to the left of a line: 0, 0.5."""

    paragraph: Paragraph
    box: Box
    align: float
    muted: bool = False


@dataclass(frozen=True, slots=True)
class PlacedButton:
    """A button in its box; it accepts taps in `reach`, which is slightly larger."""

    button: Button
    label: Paragraph
    box: Box
    reach: Box


@dataclass(frozen=True, slots=True)
class PlacedCode:
    """A code with its quiet zone in `box`, with `module` px per module."""

    box: Box
    module: int


@dataclass(frozen=True, slots=True)
class PlacedCountdown:
    """The digits of a countdown: `size` px in `box`, right-aligned; all digits have the same width, so none moves."""

    box: Box
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene, placed."""

    size: tuple[int, int]
    texts: tuple[PlacedText, ...]
    drawing: Drawing
    drawing_box: Box | None
    code: PlacedCode | None
    countdown: PlacedCountdown | None
    buttons: tuple[PlacedButton, ...]

    def boxes(self) -> list[Box]:
        """Every box that is drawn; they do not overlap."""
        found = [text.box for text in self.texts] + [button.box for button in self.buttons]
        if self.drawing_box is not None:
            found.append(self.drawing_box)
        found += [placed.box for placed in (self.code, self.countdown) if placed is not None]
        return found


def countdown_text(seconds: float) -> str:
    """Seconds left, rounded up, as M:SS."""
    whole = max(0, -int(-seconds // 1))
    return f"{whole // 60}:{whole % 60:02d}"


def min_touch_target_px(size: tuple[int, int], density: float | None) -> int:
    """Minimum height of a button in px, on a panel of `size` px with `density` px per mm (None: unknown).

    It is smaller on a panel so small that buttons would fill it.
    """
    share = 0.175 if density is None else 0.22
    return round(min(MIN_BUTTON_MM * (density or _USUAL_DENSITY), share * min(size)))


@lru_cache(maxsize=64)
def lay_out(
    scene: Scene, size: tuple[int, int], matrix: QrMatrix | None, longest: str, button_height: int = 0
) -> Layout:
    """Place `scene` on a panel of `size` px.

    Args:
        scene: what is shown.
        size: px in the viewer's orientation.
        matrix: the scene's code, encoded; None if it has none.
        longest: the longest text of the countdown; empty if there is none.
        button_height: px that a button is high at least, see `min_touch_target_px`; less only if nothing else fits.

    Raises:
        ValueError: it does not fit.
    """
    for arrange in _arrangements(scene, size, matrix):
        for share, percent in _TRIALS if matrix is not None else _TRIALS_WITHOUT_CODE:
            last = percent < 40  # better a broken word and a small button than even smaller letters
            trial = _Trial(min(size) * percent / 10_000, share, 0 if last else button_height, broken=last)
            layout = arrange(scene, size, matrix, longest, trial)
            if layout is not None:
                return layout
    raise ValueError(f"scene {scene.name!r} does not fit {size[0]}x{size[1]}")


@dataclass(frozen=True, slots=True)
class _Trial:
    """The sizes of one trial.

    Attributes:
        u: the unit of all measures, px.
        share: percent of the panel for the code or the drawing.
        button_height: minimum height of a button in px.
        broken: words may be split.
    """

    u: float
    share: int
    button_height: int
    broken: bool


def _arrangements(
    scene: Scene, size: tuple[int, int], matrix: QrMatrix | None
) -> Iterator[Callable[..., Layout | None]]:
    """Possible arrangements of the scene on a panel of that size, the best first."""
    if size[0] >= size[1] * 1.15:
        if matrix is not None:
            yield _beside_code
        elif scene.drawing is Drawing.TAP_OR_SCAN:
            yield _beside_drawing
    yield _column


@dataclass(slots=True)
class _Stack:
    """Blocks in a column `room` px wide; their heights are known before anything is placed."""

    left: int
    room: int
    align: float
    blocks: list[tuple[int, int, object]]  # height, gap above, what

    def add(self, height: int, gap: float, what: object) -> None:
        self.blocks.append((height, round(gap) if self.blocks else 0, what))

    @property
    def broken(self) -> bool:
        return any(words.broken for _, _, what in self.blocks for words in _words_of(what))

    @property
    def width(self) -> int:
        """Width of the widest words."""
        wide = [words.width for _, _, what in self.blocks for words in _words_of(what)]
        return max(wide + [what.width for _, _, what in self.blocks if isinstance(what, _Meter)], default=0)

    @property
    def height(self) -> int:
        return sum(height + gap for height, gap, _ in self.blocks)

    def x(self, wide: int) -> int:
        return self.left + round((self.room - wide) * self.align)


@dataclass(frozen=True, slots=True)
class _Meter:
    """The countdown with its label: to the left of it, or above it if the label is long."""

    label: Paragraph | None
    size: int
    longest: str
    above: bool = False

    @property
    def digits_width(self) -> int:
        return width(self.longest, self.size, True)

    @property
    def gap(self) -> int:
        return round(self.size * 0.35)

    @property
    def width(self) -> int:
        if self.label is None or self.above:
            return max(self.digits_width, self.label.width if self.label else 0)
        return self.label.width + self.gap + self.digits_width

    @property
    def height(self) -> int:
        return line_height(self.size) + (self.label.height if self.label is not None and self.above else 0)


def _meter(scene: Scene, room: int, u: float, longest: str) -> _Meter:
    bare = _Meter(None, max(8, round(6.2 * u)), longest)
    if not scene.deadline_label:
        return bare
    largest, smallest = round(5.4 * u), max(8, round(4 * u))
    label = fit(scene.deadline_label, room - bare.gap - bare.digits_width, 1, largest, smallest)
    if not label.broken:
        return _Meter(label, bare.size, longest)
    return _Meter(fit(scene.deadline_label, room, 3, largest, smallest), bare.size, longest, above=True)


def _texts_of(scene: Scene, room: int, u: float, *, narrow: bool, longest: str, stack: _Stack) -> None:
    """Add headline, lines, amount and countdown of `scene` to `stack`."""
    headline = fit(
        scene.headline, room, 6 if narrow else 3, round(7.6 * u), max(8, round((5.2 if narrow else 6) * u)), bold=True
    )
    stack.add(headline.height, 3.2 * u, headline)
    for line in scene.lines:
        words = fit(line, room, 4, round(5.4 * u), max(8, round(4.4 * u)))
        stack.add(words.height, 1.8 * u, words)
    amount = fit(scene.amount, room, 1, round(9.4 * u), max(8, round(5 * u)), bold=True) if scene.amount else None
    meter = _meter(scene, room, u, longest) if scene.deadline is not None else None
    if amount is not None:
        stack.add(amount.height, 3.6 * u, _Amount(amount))
    if meter is not None:
        stack.add(meter.height, 0.8 * u if amount else 3 * u, meter)


@dataclass(frozen=True, slots=True)
class _Amount:
    paragraph: Paragraph


def _words_of(what: object) -> tuple[Paragraph, ...]:
    """The paragraphs in a block of a stack."""
    if isinstance(what, _Meter):
        return () if what.label is None else (what.label,)
    words = what.paragraph if isinstance(what, _Amount) else what
    return (words,) if isinstance(words, Paragraph) else ()


@dataclass(frozen=True, slots=True)
class _Picture:
    side: int


@dataclass(frozen=True, slots=True)
class _Code:
    side: int
    module: int


def _unstack(stack: _Stack, top: int) -> tuple[list[PlacedText], PlacedCountdown | None, Box | None, PlacedCode | None]:
    """The blocks of `stack` placed from `top` down."""
    texts: list[PlacedText] = []
    countdown: PlacedCountdown | None = None
    picture: Box | None = None
    code: PlacedCode | None = None
    y = top
    for height, gap, what in stack.blocks:
        y += gap
        if isinstance(what, _Meter):
            x, down = stack.x(what.width), 0
            if what.label is not None and what.above:
                box = Box(stack.x(what.label.width), y, what.label.width, what.label.height)
                texts.append(PlacedText(what.label, box, stack.align, muted=True))
                x, down = stack.x(what.digits_width), what.label.height
            elif what.label is not None:
                # Both have the same base line.
                box = Box(x, y + what.size - what.label.size, what.label.width, what.label.height)
                texts.append(PlacedText(what.label, box, 0, muted=True))
                x += what.label.width + what.gap
            countdown = PlacedCountdown(Box(x, y + down, what.digits_width, height - down), what.size)
        elif isinstance(what, _Picture):
            picture = Box(stack.x(what.side), y, what.side, what.side)
        elif isinstance(what, _Code):
            code = PlacedCode(Box(stack.x(what.side), y, what.side, what.side), what.module)
        else:
            paragraph = what.paragraph if isinstance(what, _Amount) else what
            assert isinstance(paragraph, Paragraph)
            muted = isinstance(what, Paragraph) and not what.bold
            box = Box(stack.x(paragraph.width), y, paragraph.width, height)
            texts.append(PlacedText(paragraph, box, stack.align, muted))
        y += height
    return texts, countdown, picture, code


def _labels(buttons: tuple[Button, ...], room: int, largest: int, smallest: int) -> list[Paragraph]:
    """The labels of the buttons, all in one size: on one line if they fit, else on more."""
    for lines in (1, 2, 3):
        labels = [fit(button.label, room, lines, largest, smallest, bold=True) for button in buttons]
        if not any(label.broken for label in labels):
            break
    size = min(label.size for label in labels)
    return [fit(button.label, room, lines, size, size, bold=True) for button in buttons]


def _place_buttons(
    buttons: tuple[Button, ...], left: int, bottom: int, room: int, u: float, smallest: int, *, centred: bool
) -> tuple[list[PlacedButton], int] | None:
    """Buttons in a row that ends at `bottom` (in a column if the row is too narrow), and their top; None if their
    labels do not fit. They are at least `smallest` px high."""
    if not buttons:
        return [], bottom
    height = max(round(13 * u), smallest)
    gap, inset = max(round(3 * u), height // 5), round(4 * u)
    labels = _labels(buttons, room - 2 * inset, max(8, round(0.43 * height)), max(8, round(4.4 * u)))
    if any(label.width > room - 2 * inset for label in labels):
        return None
    height = max(height, max(label.height for label in labels) + 2 * round(1.5 * u))
    widest = max(label.width for label in labels) + 2 * inset
    in_row = len(buttons) * widest + (len(buttons) - 1) * gap <= room
    across = len(buttons) if in_row else 1
    wide = min(max(widest, round(48 * u), 3 * smallest), (room - (across - 1) * gap) // across)
    rows = -(-len(buttons) // across)
    total = wide * across + gap * (across - 1)
    x0 = left + (room - total) // 2 if centred else left
    top = bottom - rows * height - (rows - 1) * gap
    placed: list[PlacedButton] = []
    margin = gap // 3
    for index, (button, label) in enumerate(zip(buttons, labels, strict=True)):
        row, column = divmod(index, across)
        box = Box(x0 + column * (wide + gap), top + row * (height + gap), wide, height)
        reach = Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)
        placed.append(PlacedButton(button, label, box, reach))
    return placed, top


def _column(scene: Scene, size: tuple[int, int], matrix: QrMatrix | None, longest: str, trial: _Trial) -> Layout | None:
    """Everything in one column in the middle; None if it does not fit at this scale."""
    wide, high = size
    u = trial.u
    margin = round(5 * u)
    room = wide - 2 * margin
    row = _place_buttons(scene.buttons, margin, high - margin, room, u, trial.button_height, centred=True)
    if row is None:
        return None
    buttons, floor = row
    stack = _Stack(margin, room, 0.5, [])
    if matrix is None and scene.drawing is not Drawing.NONE:
        side = round((32 if scene.drawing is Drawing.TAP_OR_SCAN else 24) * u)
        if wide < high:
            side = round(side * 1.6)
        if scene.drawing is Drawing.SPINNER:  # all its frames are kept in memory, and it is visible at any size
            side = min(side, round((0.15 if scene.lines else 0.24) * min(size)))
        stack.add(side, 0, _Picture(side))
    _texts_of(scene, room, u, narrow=wide < high, longest=longest, stack=stack)
    space = floor - 2 * margin if buttons else high - 2 * margin
    if matrix is not None:
        gap = round(3 * u)
        side = min(wide - margin, space - stack.height - gap)
        module = side // matrix.full_size
        # Words shrink before the code gets less than its share (of a wide panel; a tall one has more room).
        smallest = 1 if trial.broken else max(1, min(wide, high) * trial.share * 27 // 20 // 100 // matrix.full_size)
        if module < smallest:
            return None
        stack.blocks.insert(1, (module * matrix.full_size, gap, _Code(module * matrix.full_size, module)))
    elif stack.height > _ROOMY * space and not trial.broken:
        return None
    if stack.height > space or stack.width > room or (_broken(stack, buttons) and not trial.broken):
        return None
    texts, countdown, picture, code = _unstack(stack, margin + (space - stack.height) // 2)
    return Layout(size, tuple(texts), scene.drawing, picture, code, countdown, tuple(buttons))


def _beside_code(scene: Scene, size: tuple[int, int], matrix: QrMatrix, longest: str, trial: _Trial) -> Layout | None:
    """The code on the right as high as the panel, words and buttons on the left; None if they do not fit."""
    wide, high = size
    u = trial.u
    margin = round(4 * u)
    module = min((high - margin) // matrix.full_size, (wide * trial.share // 100) // matrix.full_size)
    if module < 1:
        return None
    side = module * matrix.full_size
    edge = min((high - side) // 2, margin)
    box = Box(wide - side - edge, (high - side) // 2, side, side)
    room = box.x - 2 * margin
    top = max(margin, box.y)  # the bottom of the words is the bottom of the code
    row = _place_buttons(scene.buttons, margin, high - top, room, u, trial.button_height, centred=False)
    if row is None:
        return None
    buttons, floor = row
    stack = _Stack(margin, room, 0.0, [])
    _texts_of(scene, room, u, narrow=True, longest=longest, stack=stack)
    space = floor - top - (margin if buttons else 0)
    if stack.height > space or stack.width > room or (_broken(stack, buttons) and not trial.broken):
        return None
    texts, countdown, _, _ = _unstack(stack, top + (space - stack.height) // 2)
    return Layout(size, tuple(texts), Drawing.NONE, None, PlacedCode(box, module), countdown, tuple(buttons))


def _beside_drawing(scene: Scene, size: tuple[int, int], _matrix: None, longest: str, trial: _Trial) -> Layout | None:
    """Words on the left; the drawing with the buttons below it on the right; None if they do not fit."""
    wide, high = size
    u = trial.u
    margin = round(4 * u)
    across = min(wide * trial.share // 100, high - 2 * margin)
    left = wide - margin - across
    row = _place_buttons(scene.buttons, left, high - margin, across, u, trial.button_height, centred=True)
    if row is None:
        return None
    buttons, floor = row
    above = (floor if buttons else high) - 2 * margin
    side = min(across, above)
    if side < across // 3:
        return None
    box = Box(left + (across - side) // 2, margin + (above - side) // 2, side, side)
    room = left - 2 * margin
    stack = _Stack(margin, room, 0.0, [])
    _texts_of(scene, room, u, narrow=True, longest=longest, stack=stack)
    space = high - 2 * margin
    if stack.height > (1 if trial.broken else _ROOMY) * space or stack.width > room:
        return None
    if _broken(stack, buttons) and not trial.broken:
        return None
    texts, countdown, _, _ = _unstack(stack, margin + (space - stack.height) // 2)
    return Layout(size, tuple(texts), scene.drawing, box, None, countdown, tuple(buttons))


def _broken(stack: _Stack, buttons: list[PlacedButton]) -> bool:
    """Whether a word had to be split."""
    return stack.broken or any(button.label.broken for button in buttons)
