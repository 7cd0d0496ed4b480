"""Where everything of a scene stands on a glass of any size. Pure arithmetic: no drawing, no device.

Two arrangements: a scene with a code gives the code all the room it can use (beside the words on a wide glass, under
them on a tall one); any other scene is a column in the middle. Buttons stand at the bottom, the first on the left.
Sizes are in hundredths of the glass's shorter side, so that a text has the same share of every panel; where they do
not all fit, all of them shrink together and nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sco_drivers.qr import QrMatrix
from sco_drivers.screen import Box, Button, Drawing, Scene
from sco_drivers.screen.lettering import Paragraph, fit, line_height, width

LEAST_MODULE_MM = 0.5
"""Under this a phone at arm's length begins to fail to read a code from a screen."""


_TRIALS = tuple((share, percent) for share in (62, 56, 50) for percent in (100, 92, 84, 77)) + tuple(
    (50, percent) for percent in (70, 64, 58, 50, 42, 34, 26, 18)
)
"""What is tried in turn: the code's share of the width in percent, and the size of everything else in percent."""


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A paragraph in its box. `align` is the share of the spare width that stands left of a line: 0, 0.5."""

    paragraph: Paragraph
    box: Box
    align: float
    muted: bool = False


@dataclass(frozen=True, slots=True)
class PlacedButton:
    """A button in its box; taps are taken in `reach`, which is somewhat larger."""

    button: Button
    label: Paragraph
    box: Box
    reach: Box


@dataclass(frozen=True, slots=True)
class PlacedCode:
    """A code with its quiet zone in `box`, at `module` px a module."""

    box: Box
    module: int


@dataclass(frozen=True, slots=True)
class PlacedCountdown:
    """The digits of a countdown: letters of `size` px in `box`, right-aligned; digits have one width, so none moves."""

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
        """Every box that is drawn in; none lies over another."""
        found = [text.box for text in self.texts] + [button.box for button in self.buttons]
        if self.drawing_box is not None:
            found.append(self.drawing_box)
        found += [placed.box for placed in (self.code, self.countdown) if placed is not None]
        return found


def countdown_text(seconds: float) -> str:
    """Seconds left, rounded up, as M:SS."""
    whole = max(0, -int(-seconds // 1))
    return f"{whole // 60}:{whole % 60:02d}"


@lru_cache(maxsize=64)
def lay_out(scene: Scene, size: tuple[int, int], matrix: QrMatrix | None, longest: str) -> Layout:
    """Place `scene` on a glass of `size` px.

    Args:
        scene: what is shown.
        size: px as a person sees them.
        matrix: the scene's code, encoded; None when it has none.
        longest: what the countdown says at its longest; empty when there is none.
    """
    beside = matrix is not None and size[0] >= size[1] * 1.15
    for share, percent in _TRIALS:
        u = min(size) * percent / 10_000
        last = percent < 40  # smaller than that, a broken word is the lesser evil
        if beside:
            layout = _beside(scene, size, matrix, longest, u, share, broken=last)
        else:
            layout = _column(scene, size, matrix, longest, u, share, broken=last)
        if layout is not None:
            return layout
    raise ValueError(f"scene {scene.name!r} does not fit {size[0]}x{size[1]}")


@dataclass(slots=True)
class _Stack:
    """Blocks one under another in a column `room` px wide; heights are known before anything is placed."""

    left: int
    room: int
    align: float
    blocks: list[tuple[int, int, object]]  # height, gap above, what

    def add(self, height: int, gap: float, what: object) -> None:
        self.blocks.append((height, round(gap) if self.blocks else 0, what))

    @property
    def broken(self) -> bool:
        found = (what.paragraph if isinstance(what, _Sum) else what for _, _, what in self.blocks)
        return any(isinstance(what, Paragraph) and what.broken for what in found)

    @property
    def height(self) -> int:
        return sum(height + gap for height, gap, _ in self.blocks)

    def x(self, wide: int) -> int:
        return self.left + round((self.room - wide) * self.align)


@dataclass(frozen=True, slots=True)
class _Meter:
    """The countdown with the words before it, in one row or two."""

    label: Paragraph | None
    size: int
    longest: str

    @property
    def digits_width(self) -> int:
        return width(self.longest, self.size, True)

    @property
    def gap(self) -> int:
        return round(self.size * 0.35)

    @property
    def width(self) -> int:
        return self.digits_width + (self.label.width + self.gap if self.label else 0)

    @property
    def height(self) -> int:
        return line_height(self.size)


def _texts_of(scene: Scene, room: int, u: float, *, narrow: bool, longest: str, stack: _Stack) -> None:
    """Headline, lines, sum and countdown of `scene`, onto `stack`."""
    headline = fit(
        scene.headline, room, 6 if narrow else 3, round(7.6 * u), max(8, round((5.2 if narrow else 6) * u)), bold=True
    )
    stack.add(headline.height, 3.2 * u, headline)
    for line in scene.lines:
        words = fit(line, room, 4, round(5.4 * u), max(8, round(4.4 * u)))
        stack.add(words.height, 1.8 * u, words)
    amount = fit(scene.amount, room, 1, round(9.4 * u), max(8, round(5 * u)), bold=True) if scene.amount else None
    meter: _Meter | None = None
    if scene.deadline is not None:
        label = (
            fit(scene.deadline_label, room, 1, round(5.4 * u), max(8, round(4 * u))) if scene.deadline_label else None
        )
        meter = _Meter(label, max(8, round(6.2 * u)), longest)
    if amount is not None:
        stack.add(amount.height, 3.6 * u, _Sum(amount))
    if meter is not None:
        stack.add(meter.height, 0.8 * u if amount else 3 * u, meter)


@dataclass(frozen=True, slots=True)
class _Sum:
    paragraph: Paragraph


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
            x = stack.x(what.width)
            if what.label is not None:
                # Both stand on one base line.
                down = what.size - what.label.size
                box = Box(x, y + down, what.label.width, what.label.height)
                texts.append(PlacedText(what.label, box, 0, muted=True))
                x += what.label.width + what.gap
            countdown = PlacedCountdown(Box(x, y, what.digits_width, height), what.size)
        elif isinstance(what, _Picture):
            picture = Box(stack.x(what.side), y, what.side, what.side)
        elif isinstance(what, _Code):
            code = PlacedCode(Box(stack.x(what.side), y, what.side, what.side), what.module)
        else:
            paragraph = what.paragraph if isinstance(what, _Sum) else what
            assert isinstance(paragraph, Paragraph)
            muted = isinstance(what, Paragraph) and not what.bold
            box = Box(stack.x(paragraph.width), y, paragraph.width, height)
            texts.append(PlacedText(paragraph, box, stack.align, muted))
        y += height
    return texts, countdown, picture, code


def _place_buttons(
    buttons: tuple[Button, ...], left: int, bottom: int, room: int, u: float, *, centred: bool
) -> tuple[list[PlacedButton], int]:
    """Buttons in a row that ends at `bottom` (one under another where the row is too narrow), and their top."""
    if not buttons:
        return [], bottom
    gap, height, inset = round(3 * u), round(13 * u), round(4 * u)
    labels = [
        fit(button.label, room - 2 * inset, 1, round(5.6 * u), max(8, round(4.4 * u)), bold=True) for button in buttons
    ]
    size = min(label.size for label in labels)
    labels = [fit(button.label, room, 1, size, size, bold=True) for button in buttons]
    widest = max(label.width for label in labels) + 2 * inset
    in_row = len(buttons) * widest + (len(buttons) - 1) * gap <= room
    across = len(buttons) if in_row else 1
    wide = min(max(widest, round(48 * u)), (room - (across - 1) * gap) // across)
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


def _column(
    scene: Scene, size: tuple[int, int], matrix: QrMatrix | None, longest: str, u: float, share: int, *, broken: bool
) -> Layout | None:
    """Everything in one column in the middle; None when it does not fit at this scale."""
    wide, high = size
    margin = round(5 * u)
    room = wide - 2 * margin
    buttons, floor = _place_buttons(scene.buttons, margin, high - margin, room, u, centred=True)
    stack = _Stack(margin, room, 0.5, [])
    if matrix is None and scene.drawing is not Drawing.NONE:
        side = round((32 if scene.drawing is Drawing.TAP_OR_SCAN else 24) * u)
        if wide < high:
            side = round(side * 1.6)
        stack.add(side, 0, _Picture(side))
    _texts_of(scene, room, u, narrow=wide < high, longest=longest, stack=stack)
    space = floor - 2 * margin if buttons else high - 2 * margin
    if matrix is not None:
        gap = round(3 * u)
        side = min(wide - margin, space - stack.height - gap)
        module = side // matrix.full_size
        # Words give way before the code falls under its share (which is of a wide glass; a tall one has more room).
        least = 1 if broken else max(1, min(wide, high) * share * 5 // 4 // 100 // matrix.full_size)
        if module < least:
            return None
        stack.blocks.insert(1, (module * matrix.full_size, gap, _Code(module * matrix.full_size, module)))
    if stack.height > space or (stack.broken and not broken):
        return None
    texts, countdown, picture, code = _unstack(stack, margin + (space - stack.height) // 2)
    return Layout(size, tuple(texts), scene.drawing, picture, code, countdown, tuple(buttons))


def _beside(
    scene: Scene, size: tuple[int, int], matrix: QrMatrix | None, longest: str, u: float, share: int, *, broken: bool
) -> Layout | None:
    """The code on the right as high as the glass, words on the left; None when the words do not fit at this scale."""
    assert matrix is not None
    wide, high = size
    margin = round(4 * u)
    module = min((high - margin) // matrix.full_size, (wide * share // 100) // matrix.full_size)
    if module < 1:
        return None
    side = module * matrix.full_size
    edge = min((high - side) // 2, margin)
    box = Box(wide - side - edge, (high - side) // 2, side, side)
    room = box.x - 2 * margin
    buttons, floor = _place_buttons(scene.buttons, margin, high - margin, room, u, centred=False)
    stack = _Stack(margin, room, 0.0, [])
    _texts_of(scene, room, u, narrow=True, longest=longest, stack=stack)
    space = floor - 2 * margin if buttons else high - 2 * margin
    widest = max((what.width for _, _, what in stack.blocks if isinstance(what, Paragraph | _Meter)), default=0)
    if stack.height > space or widest > room or (stack.broken and not broken):
        return None
    texts, countdown, _, _ = _unstack(stack, margin + (space - stack.height) // 2)
    return Layout(size, tuple(texts), Drawing.NONE, None, PlacedCode(box, module), countdown, tuple(buttons))
