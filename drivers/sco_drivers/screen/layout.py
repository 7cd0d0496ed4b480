"""Place the parts of a scene on a panel of any size. Pure arithmetic: no drawing, no device.

On a wide panel, what the customer pays by is on the right (the code, or the drawing of the plate or the ticket; of both
the drawing leads) and the words are on the left; on a tall one it is below them. Any other scene is one column in the
middle. The amount is never smaller than the headline. A code has at most `MAX_CODE_MM`.

Buttons are in one bar at the bottom, in two places that are the same in every scene: the last button is always on the
right. Sizes are in hundredths of the panel's shorter side, so that a text has the same share of every panel; if they do
not all fit, the words shrink together and nothing is omitted.
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

MAX_CODE_MM = 110.0
"""A code of this side, quiet zone included, is read from 1.5 m; a larger one only takes room from the words."""

_USUAL_DENSITY = 84 / MIN_BUTTON_MM
"""Px per mm of the densest panels that lanes have (7 inch at 800x480, 15.6 inch at 1920x1080), if it is unknown."""

_ROOMY = 0.94
"""Without a code, the words fill at most this share of their room."""

_TITLES = (100, 86)
"""Sizes of the headline in percent, tried before all words shrink: it has the most lines, the amount has the rank."""

_SMALLER = tuple((40, percent) for percent in (70, 64, 58, 50, 42, 34, 26, 18))
_TRIALS = (
    *((56, percent) for percent in (116, 108, 100, 92)),
    *((share, percent) for share in (50, 44) for percent in (100, 92, 84, 77)),
    *_SMALLER,
)
"""Tried in turn: what the code may take of the width, and the size of the words, both in percent."""

_TRIALS_WITHOUT_CODE = tuple((46, percent) for percent in (132, 124, 116, 108, 100, 92, 84, 77)) + _SMALLER
"""Without a code there is room for larger words."""

_LEAST_COLUMN = 38
"""What the code's column takes of the width at least, in percent."""

_BESIDE = (Drawing.TAP_OR_SCAN, Drawing.TICKET)
"""Drawings that show how to pay: as large as a code, and next to the words."""


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A paragraph in its box. `align` is the share of the spare width to the left of a line: 0, 0.5."""

    paragraph: Paragraph
    box: Box
    align: float
    muted: bool = False
    accent: bool = False


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
    """A scene, placed. `ring` is a small spinner before a text, `logo` the place of the theme's logo."""

    size: tuple[int, int]
    texts: tuple[PlacedText, ...]
    drawing: Drawing
    drawing_box: Box | None
    code: PlacedCode | None
    countdown: PlacedCountdown | None
    buttons: tuple[PlacedButton, ...]
    ring: Box | None = None
    logo: Box | None = None

    @property
    def spinner(self) -> Box | None:
        """The place of what moves: the scene's drawing, or a small ring before a text."""
        return self.drawing_box if self.drawing is Drawing.SPINNER else self.ring

    def boxes(self) -> list[Box]:
        """Every box that is drawn; they do not overlap."""
        found = [text.box for text in self.texts] + [button.box for button in self.buttons]
        found += [box for box in (self.drawing_box, self.ring, self.logo) if box is not None]
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


def max_code_px(density: float | None) -> int:
    """The largest side of a code in px, on a panel with `density` px per mm; 0 for no limit, where that is unknown."""
    return 0 if density is None else round(MAX_CODE_MM * density)


@lru_cache(maxsize=64)
def lay_out(
    scene: Scene,
    size: tuple[int, int],
    matrix: QrMatrix | None,
    longest: str,
    button_height: int = 0,
    max_code: int = 0,
) -> Layout:
    """Place `scene` on a panel of `size` px.

    Args:
        scene: what is shown.
        size: px in the viewer's orientation.
        matrix: the scene's code, encoded; None if it has none.
        longest: the longest text of the countdown; empty if there is none.
        button_height: px that a button is high at least, see `min_touch_target_px`; less only if nothing else fits.
        max_code: the largest side of the code in px, see `max_code_px`; 0 for no limit.

    Raises:
        ValueError: it does not fit.
    """
    for arrange in _arrangements(scene, size, matrix):
        for trial in _trials(size, matrix is not None, button_height, max_code or max(size)):
            layout = arrange(scene, matrix, longest, trial)
            if layout is not None:
                return layout
    raise ValueError(f"scene {scene.name!r} does not fit {size[0]}x{size[1]}")


@dataclass(frozen=True, slots=True)
class _Trial:
    """The sizes of one trial.

    Attributes:
        size: of the panel, px.
        u: the unit of the words, px.
        title: percent of their size for the headline.
        share: percent of the panel's width for the code or the drawing.
        button_height: minimum height of a button in px.
        max_code: the largest side of the code in px.
        broken: words may be split.
    """

    size: tuple[int, int]
    u: float
    title: int
    share: int
    button_height: int
    max_code: int
    broken: bool

    @property
    def margin(self) -> int:
        """Of the page, in px; not smaller with the words, so that buttons keep their places."""
        return round(min(self.size) * 0.04)


def _trials(size: tuple[int, int], has_code: bool, button_height: int, max_code: int) -> Iterator[_Trial]:
    """The sizes to be tried, the best first."""
    for share, percent in _TRIALS if has_code else _TRIALS_WITHOUT_CODE:
        last = percent < 40  # better a broken word and a small button than even smaller letters
        for title in _TITLES:
            u = min(size) * percent / 10_000
            yield _Trial(size, u, title, share, 0 if last else button_height, max_code, last)


def _arrangements(
    scene: Scene, size: tuple[int, int], matrix: QrMatrix | None
) -> Iterator[Callable[..., Layout | None]]:
    """Possible arrangements of the scene on a panel of that size, the best first."""
    if size[0] >= size[1] * 1.15 and (matrix is not None or scene.drawing in _BESIDE):
        yield _beside
    yield _column


# --- blocks of a column ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Words:
    """A paragraph, with a ring or the logo before it: `lead` is its width and height, `above` says where."""

    paragraph: Paragraph
    muted: bool = False
    accent: bool = False
    lead: tuple[int, int] = (0, 0)
    is_logo: bool = False
    above: bool = False

    @property
    def gap(self) -> int:
        return round(self.paragraph.size * 0.45) if self.lead[0] else 0

    @property
    def width(self) -> int:
        words = self.paragraph.width
        return max(words, self.lead[0]) if self.above else words + self.gap + self.lead[0]

    @property
    def height(self) -> int:
        words = self.paragraph.height
        return words + self.gap + self.lead[1] if self.above else max(words, self.lead[1])


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


@dataclass(frozen=True, slots=True)
class _Visual:
    """The drawing and the code, in boxes that begin at 0, 0."""

    width: int
    height: int
    drawing: Box | None = None
    code: PlacedCode | None = None


_Block = _Words | _Meter | _Visual


@dataclass(slots=True)
class _Stack:
    """Blocks in a column `room` px wide; their heights are known before anything is placed."""

    left: int
    room: int
    align: float
    blocks: list[tuple[int, int, _Block]]  # height, gap above, what

    def add(self, gap: float, what: _Block, height: int = 0) -> None:
        self.blocks.append((max(height, what.height), round(gap) if self.blocks else 0, what))

    @property
    def broken(self) -> bool:
        return any(words.broken for _, _, what in self.blocks for words in _paragraphs(what))

    @property
    def width(self) -> int:
        return max((what.width for _, _, what in self.blocks), default=0)

    @property
    def height(self) -> int:
        return sum(height + gap for height, gap, _ in self.blocks)

    def x(self, wide: int) -> int:
        return self.left + round((self.room - wide) * self.align)


def _paragraphs(what: _Block) -> tuple[Paragraph, ...]:
    if isinstance(what, _Words):
        return (what.paragraph,)
    return (what.label,) if isinstance(what, _Meter) and what.label is not None else ()


def _meter(scene: Scene, room: int, u: float, largest: int, longest: str) -> _Meter:
    bare = _Meter(None, max(8, min(round(6.2 * u), largest)), longest)
    if not scene.deadline_label:
        return bare
    biggest, smallest = max(8, min(round(5.4 * u), bare.size)), max(8, round(4 * u))
    label = fit(scene.deadline_label, room - bare.gap - bare.digits_width, 1, biggest, smallest)
    if not label.broken:
        return _Meter(label, bare.size, longest)
    return _Meter(fit(scene.deadline_label, room, 3, biggest, smallest), bare.size, longest, above=True)


def _titles(scene: Scene, room: int, trial: _Trial, largest: int, *, narrow: bool) -> list[_Words]:
    """The headline and the lines that are as important, all in one size."""
    u = trial.u * trial.title / 100
    top, least = min(round(7.6 * u), largest), max(8, min(round((5.2 if narrow else 6) * u), largest))
    texts = (scene.headline, *scene.lines[: scene.prominent])

    def fitted(top: int) -> list[_Words]:
        found = []
        for text in texts:
            ring = round(top * 0.9) if scene.busy and text is scene.headline and not scene.status else 0
            inner = room - round(1.5 * ring)
            words = fit(text, inner, 6 if narrow else 3, top, min(top, least), bold=True)
            found.append(_Words(words, accent=text is not scene.headline, lead=(ring, ring) if ring else (0, 0)))
        return found

    size = min(words.paragraph.size for words in fitted(top))
    return fitted(size)


def _help(scene: Scene, room: int, u: float) -> tuple[_Words, int] | None:
    """The status with its ring, or the hint with the logo; and the height that both may need, so that one can take the
    other's place while everything else stays where it is."""
    top, least = max(8, round(5.4 * u)), max(8, round(4.4 * u))
    found: list[_Words] = []
    if scene.status:
        ring = round(top * 0.9)
        words = fit(scene.status, room - round(1.6 * ring), 1, top, max(8, round(3.6 * u)), bold=True)
        found.append(_Words(words, lead=(ring, ring)))
    if scene.hint:
        logo = (0, 0) if scene.theme.logo is None else _scaled(scene.theme.logo.size, (room * 45 // 100, round(12 * u)))
        beside = _Words(
            fit(scene.hint, room - round(1.1 * logo[0]) - top, 2, top, least), muted=True, lead=logo, is_logo=True
        )
        if beside.lead[0] and beside.paragraph.broken:
            beside = _Words(fit(scene.hint, room, 3, top, least), muted=True, lead=logo, is_logo=True, above=True)
        elif not beside.lead[0]:
            beside = _Words(fit(scene.hint, room, 3, top, least), muted=True)
        found.append(beside)
    return (found[0], max(line_height(top), *(words.height for words in found), 0)) if found else None


def _scaled(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """`size` in its proportion, as large as it can be in `room`."""
    share = min(room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _add_words(stack: _Stack, scene: Scene, trial: _Trial, longest: str, *, narrow: bool) -> int:
    """Add all words of `scene` to `stack`; returns the number of blocks that are the titles."""
    u, room = trial.u, stack.room
    number = fit(scene.number, room, 2, round(15 * u), max(8, round(8 * u)), bold=True) if scene.number else None
    largest = round(11 * u) if number is None else min(round(8 * u), number.size * 3 // 4)
    amount = fit(scene.amount, room, 1, largest, max(8, round(5 * u)), bold=True) if scene.amount else None
    titles = _titles(scene, room, trial, largest if amount is None else amount.size, narrow=narrow)
    for place, words in enumerate(titles):
        stack.add(2.6 * u if place else 3.4 * u, words)
    if number is not None:
        stack.add(3 * u, _Words(number))
    for line in scene.lines[scene.prominent :]:
        stack.add(2.4 * u, _Words(fit(line, room, 4, round(5.4 * u), max(8, round(4.4 * u))), muted=True))
    if amount is not None:
        stack.add(3.4 * u, _Words(amount))
    if scene.deadline is not None:
        largest = min(titles[0].paragraph.size, round(6.2 * u) if amount is None else amount.size * 4 // 5)
        stack.add(0.8 * u if amount else 3 * u, _meter(scene, room, u, largest, longest))
    helped = _help(scene, room, u)
    if helped is not None:
        stack.add(3.4 * u, *helped)
    return len(titles)


def _visual(scene: Scene, matrix: QrMatrix | None, room: tuple[int, int], trial: _Trial) -> _Visual | None:
    """The code, or the drawing, or both as large as they can be in `room`; None if there is no room."""
    wide, high = room
    if matrix is None:
        side = min(room)
        return _Visual(side, side, Box(0, 0, side, side)) if side > 0 else None
    full = matrix.full_size
    if scene.drawing is Drawing.NONE:
        module = min(wide, high, trial.max_code) // full
        side = module * full
        return _Visual(side, side, None, PlacedCode(Box(0, 0, side, side), module)) if module > 0 else None
    gap = trial.margin // 2
    for module in range(min(wide, high, trial.max_code) // full, 0, -1):
        side = module * full
        below, beside = min(wide, high - side - gap), min(high, wide - side - gap)
        picture = max(below, beside)
        if picture < side * 1.05:  # the drawing leads
            continue
        if below >= beside:
            across = max(picture, side)
            code = Box((across - side) // 2, picture + gap, side, side)
            drawing = Box((across - picture) // 2, 0, picture, picture)
            return _Visual(across, picture + gap + side, drawing, PlacedCode(code, module))
        tall = max(picture, side)
        code = Box(picture + gap, (tall - side) // 2, side, side)
        drawing = Box(0, (tall - picture) // 2, picture, picture)
        return _Visual(picture + gap + side, tall, drawing, PlacedCode(code, module))
    return None


@dataclass(slots=True)
class _Placed:
    """What has been placed so far."""

    texts: list[PlacedText]
    drawing: Box | None = None
    code: PlacedCode | None = None
    countdown: PlacedCountdown | None = None
    ring: Box | None = None
    logo: Box | None = None

    def layout(self, scene: Scene, size: tuple[int, int], buttons: list[PlacedButton]) -> Layout:
        return Layout(
            size,
            tuple(self.texts),
            Drawing.NONE if self.drawing is None else scene.drawing,
            self.drawing,
            self.code,
            self.countdown,
            tuple(buttons),
            self.ring,
            self.logo,
        )

    def stack(self, stack: _Stack, top: int) -> None:
        """Place the blocks of `stack` from `top` down."""
        y = top
        for height, gap, what in stack.blocks:
            y += gap
            x = stack.x(what.width)
            if isinstance(what, _Meter):
                self._meter(what, stack, x, y)
            elif isinstance(what, _Visual):
                self.visual(what, x, y)
            else:
                self._words(what, stack, x, y + (height - what.height) // 2)
            y += height

    def visual(self, what: _Visual, x: int, y: int) -> None:
        if what.drawing is not None:
            self.drawing = _moved(what.drawing, x, y)
        if what.code is not None:
            self.code = PlacedCode(_moved(what.code.box, x, y), what.code.module)

    def _words(self, what: _Words, stack: _Stack, x: int, y: int) -> None:
        words, (lead_wide, lead_high) = what.paragraph, what.lead
        if what.above:
            box = Box(stack.x(words.width), y + lead_high + what.gap, words.width, words.height)
            lead = Box(stack.x(lead_wide), y, lead_wide, lead_high)
        else:
            indent = lead_wide + what.gap
            box = Box(x + indent, y + (what.height - words.height) // 2, words.width, words.height)
            # A ring is before the first line, a logo before all of them.
            middle = words.height if what.is_logo else line_height(words.size)
            lead = Box(x, box.y + (middle - lead_high) // 2, lead_wide, lead_high)
        self.texts.append(
            PlacedText(words, box, 0 if lead_wide and not what.above else stack.align, what.muted, what.accent)
        )
        if lead_wide and what.is_logo:
            self.logo = lead
        elif lead_wide:
            self.ring = lead

    def _meter(self, what: _Meter, stack: _Stack, x: int, y: int) -> None:
        high = line_height(what.size)
        if what.label is not None and what.above:
            box = Box(stack.x(what.label.width), y, what.label.width, what.label.height)
            self.texts.append(PlacedText(what.label, box, stack.align, muted=True))
            x, y = stack.x(what.digits_width), y + what.label.height
        elif what.label is not None:
            # Both have the same base line.
            box = Box(x, y + what.size - what.label.size, what.label.width, what.label.height)
            self.texts.append(PlacedText(what.label, box, 0, muted=True))
            x += what.label.width + what.gap
        self.countdown = PlacedCountdown(Box(x, y, what.digits_width, high), what.size)


def _moved(box: Box, x: int, y: int) -> Box:
    return Box(box.x + x, box.y + y, box.width, box.height)


# --- buttons --------------------------------------------------------------------------------------------------------


def _labels(buttons: tuple[Button, ...], room: int, largest: int, smallest: int) -> list[Paragraph]:
    """The labels of the buttons, all in one size: on one line if they fit, else on more."""
    for lines in (1, 2, 3):
        labels = [fit(button.label, room, lines, largest, smallest, bold=True) for button in buttons]
        if not any(label.broken for label in labels):
            break
    size = min(label.size for label in labels)
    return [fit(button.label, room, lines, size, size, bold=True) for button in buttons]


def _bar(buttons: tuple[Button, ...], trial: _Trial) -> tuple[list[PlacedButton], int] | None:
    """Buttons in the two places of the bar, and its top; None if their labels do not fit there.

    The places depend on the panel alone: a button that stays from scene to scene does not move.
    """
    wide, high = trial.size
    margin, unit = trial.margin, min(trial.size) / 100
    tall = max(round(13 * unit), trial.button_height)
    across = min((wide - 3 * margin) // 2, round(60 * unit))
    inset = round(3 * unit)
    if len(buttons) > 2 or across <= 2 * inset:
        return None
    labels = _labels(buttons, across - 2 * inset, max(8, round(0.4 * tall)), max(8, round(4.2 * unit)))
    if any(label.broken or label.height > tall - inset for label in labels):
        return None
    top = high - margin - tall
    places = (margin, wide - margin - across)[-len(buttons) :]
    placed = [
        _button(button, label, Box(x, top, across, tall), margin // 3)
        for button, label, x in zip(buttons, labels, places, strict=True)
    ]
    return placed, top


def _button(button: Button, label: Paragraph, box: Box, margin: int) -> PlacedButton:
    reach = Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)
    return PlacedButton(button, label, box, reach)


def _pile(buttons: tuple[Button, ...], trial: _Trial) -> tuple[list[PlacedButton], int] | None:
    """Buttons one above the other, as wide as the page, for labels that are too long for the bar, and their top."""
    wide, high = trial.size
    u, margin = trial.u, trial.margin
    tall = max(round(13 * u), trial.button_height)
    gap, inset, room = max(round(3 * u), tall // 5), round(3 * u), wide - 2 * margin
    labels = _labels(buttons, room - 2 * inset, max(8, round(0.4 * tall)), max(8, round(4.4 * u)))
    if any(label.width > room - 2 * inset for label in labels):
        return None
    tall = max(tall, max(label.height for label in labels) + 2 * round(1.5 * u))
    top = high - margin - len(buttons) * tall - (len(buttons) - 1) * gap
    placed = [
        _button(button, label, Box(margin, top + row * (tall + gap), room, tall), gap // 3)
        for row, (button, label) in enumerate(zip(buttons, labels, strict=True))
    ]
    return placed, top


def _place_buttons(buttons: tuple[Button, ...], trial: _Trial) -> tuple[list[PlacedButton], int] | None:
    """The buttons, and the bottom of what is above them; None if their labels do not fit."""
    if not buttons:
        return [], trial.size[1] - trial.margin
    found = _bar(buttons, trial) or _pile(buttons, trial)
    return None if found is None else (found[0], found[1] - trial.margin)


# --- arrangements ---------------------------------------------------------------------------------------------------


def _column(scene: Scene, matrix: QrMatrix | None, longest: str, trial: _Trial) -> Layout | None:
    """Everything in one column in the middle; None if it does not fit at this scale."""
    wide, high = trial.size
    u, margin = trial.u, trial.margin
    row = _place_buttons(scene.buttons, trial)
    if row is None:
        return None
    buttons, floor = row
    stack = _Stack(margin, wide - 2 * margin, 0.5, [])
    if matrix is None and scene.drawing is not Drawing.NONE and scene.drawing not in _BESIDE:
        side = round(24 * u * (1.6 if wide < high else 1))
        if scene.drawing is Drawing.SPINNER:  # all its frames are kept in memory, and it is visible at any size
            side = min(side, round((0.15 if scene.lines else 0.24) * min(trial.size)))
        stack.add(0, _Visual(side, side, Box(0, 0, side, side)))
    titles = _add_words(stack, scene, trial, longest, narrow=wide < high)
    space = floor - margin
    if matrix is not None or scene.drawing in _BESIDE:
        gap = round(3 * u)
        visual = _visual(scene, matrix, (wide - 2 * margin, space - stack.height - gap), trial)
        if visual is None:
            return None
        # Words shrink before the code or the drawing gets less than its share.
        both = visual.code is not None and visual.drawing is not None
        least = min(wide, high) * trial.share * (6 if both else 5) // 400
        if visual.width < min(least, trial.max_code * 9 // 10) and not trial.broken:
            return None
        stack.blocks.insert(titles, (visual.height, gap, visual))
    elif stack.height > _ROOMY * space and not trial.broken:
        return None
    if stack.height > space or stack.width > stack.room or (_broken(stack, buttons) and not trial.broken):
        return None
    placed = _Placed([])
    placed.stack(stack, margin + (space - stack.height) // 2)
    return placed.layout(scene, trial.size, buttons)


def _beside(scene: Scene, matrix: QrMatrix | None, longest: str, trial: _Trial) -> Layout | None:
    """Words on the left; the code, the drawing or both on the right; None if they do not fit."""
    wide, high = trial.size
    margin = trial.margin
    row = _place_buttons(scene.buttons, trial)
    if row is None:
        return None
    buttons, floor = row
    edge = margin // 2  # a code has a quiet zone of its own
    visual = _visual(scene, matrix, (wide * trial.share // 100, floor + (margin - edge) - edge), trial)
    if visual is None:
        return None
    column = max(visual.width, wide * _LEAST_COLUMN // 100)
    left = wide - margin - column
    stack = _Stack(margin, left - 2 * margin, 0.0, [])
    _add_words(stack, scene, trial, longest, narrow=True)
    covered = any(button.reach.x <= margin + stack.room for button in buttons)  # a button is below the words
    words_floor = floor if covered else high - margin
    space = words_floor - margin
    if stack.height > (1 if trial.broken else _ROOMY) * space or stack.width > stack.room:
        return None
    if _broken(stack, buttons) and not trial.broken:
        return None
    placed = _Placed([])
    placed.stack(stack, margin + (space - stack.height) // 2)
    placed.visual(visual, left + (column - visual.width) // 2, edge + (floor + margin - 2 * edge - visual.height) // 2)
    return placed.layout(scene, trial.size, buttons)


def _broken(stack: _Stack, buttons: list[PlacedButton]) -> bool:
    """Whether a word had to be split."""
    return stack.broken or any(button.label.broken for button in buttons)
