"""How well a phone reads the code of each scene, compared with a plain code of the same size on an empty white page.

    python -m benchmarks.screen.bench_phone

Both are photographed in pairs under the same conditions: the panel turned and tilted, out of focus, with sensor noise
and a reflection across it. What is around a code must not cost it a photo: the quiet zone may be too small, colours or
drawings next to it may look like one. The conditions are chosen so hard that the plain code itself is often not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import cos, radians, sin
from random import Random

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.report import Row, finish, options
from sco_drivers import qr
from sco_drivers.screen import Scene, Theme
from sco_drivers.screen.layout import lay_out, min_touch_target_px
from sco_drivers.screen.paint import paint_code
from sco_drivers.screen.picture import render_scene
from sco_hwtest.contracts.screen import LINK, scenes

PANELS = ((800, 480), (1024, 768), (1280, 1024), (1920, 1080), (1080, 1920))
PHOTO_PX = 900
"""The longer side of the part of the photo that the panel fills."""

DARK = Theme(
    page=(0x10, 0x15, 0x1B),
    panel=(0x1C, 0x24, 0x2E),
    text=(255, 255, 255),
    muted=(0xB8, 0xC4, 0xD0),
    line=(0x80, 0x90, 0xA0),
    accent=(0xFF, 0xD2, 0x00),
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a photo is taken.

    Attributes:
        turn: degrees in the plane of the panel.
        tilt, side: degrees by which the panel leans back and to the side.
        blur: radius in modules of the code.
        glare: strength of the reflection, 0 to 1; `glare_at` its place across the code, `glare_wide` its share of it.
        noise: of the sensor, levels of 255.
    """

    turn: float
    tilt: float
    side: float
    blur: float
    glare: float
    glare_at: float
    glare_wide: float
    noise: float


def conditions(random: Random) -> Conditions:
    """Of one pair of photos."""
    return Conditions(
        turn=random.uniform(-30, 30),
        tilt=random.uniform(-50, 50),
        side=random.uniform(-50, 50),
        blur=random.uniform(0.1, 0.75),
        glare=random.uniform(0.0, 1.0),
        glare_at=random.uniform(-0.2, 1.2),
        glare_wide=random.uniform(0.05, 0.3),
        noise=random.uniform(2, 14),
    )


def photo(screen: Image.Image, code: tuple[int, int, int], how: Conditions, seed: int) -> Image.Image:
    """`screen` as a camera sees it; `code` is left, top and side of the code in it, px, which the reflection meets."""
    share = min(1.0, PHOTO_PX / max(screen.size))
    left, top, side = (round(length * share) for length in code)
    small = screen.convert("L").resize((round(screen.width * share), round(screen.height * share)), reducing_gap=3.0)
    lit = _with_glare(small, left, top, side, how)
    blurred = lit.filter(ImageFilter.GaussianBlur(how.blur * side / 49))
    seen = _seen_from(blurred, how)
    noise = np.random.default_rng(seed).normal(0, how.noise, (seen.height, seen.width))
    return Image.fromarray(np.clip(np.asarray(seen, float) + noise, 0, 255).astype("uint8"))


def _with_glare(screen: Image.Image, left: int, top: int, side: int, how: Conditions) -> Image.Image:
    """A band of light with soft edges, from one side of the panel to the other, across the code."""
    mask = Image.new("L", screen.size, 0)
    middle = left + how.glare_at * side
    half = how.glare_wide * side / 2
    lean = 0.4 * side
    ImageDraw.Draw(mask).polygon(
        [
            (middle - half - lean, top - side),
            (middle + half - lean, top - side),
            (middle + half + lean, top + 2 * side),
            (middle - half + lean, top + 2 * side),
        ],
        fill=round(255 * how.glare),
    )
    mask = mask.filter(ImageFilter.GaussianBlur(max(1.0, half / 3)))
    return Image.composite(Image.new("L", screen.size, 255), screen, mask)


def _seen_from(screen: Image.Image, how: Conditions) -> Image.Image:
    """The panel in perspective, from a distance of twice its longer side."""
    wide, high = screen.size
    longest = max(wide, high)
    turn, tilt, side = radians(how.turn), radians(how.tilt), radians(how.side)

    def projected(x: float, y: float) -> tuple[float, float]:
        x, y = x - wide / 2, y - high / 2
        x, y = x * cos(turn) - y * sin(turn), x * sin(turn) + y * cos(turn)
        y, z = y * cos(tilt), y * sin(tilt)
        x, z = x * cos(side) - z * sin(side), x * sin(side) + z * cos(side)
        near = 2 * longest / (2 * longest + z)
        return x * near * PHOTO_PX / longest, y * near * PHOTO_PX / longest

    corners = [(0, 0), (wide, 0), (wide, high), (0, high)]
    placed = [projected(x, y) for x, y in corners]
    low_x, low_y = (min(point[axis] for point in placed) - 20 for axis in (0, 1))
    size = tuple(round(max(point[axis] for point in placed) - low + 20) for axis, low in ((0, low_x), (1, low_y)))
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, placed, strict=True):  # from the photo back to the screen
        u, v = u - low_x, v - low_y
        rows += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        values += [x, y]
    back = tuple(np.linalg.solve(np.array(rows), np.array(values)))
    return screen.transform(size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC, fillcolor=90)


def reads(picture: Image.Image) -> bool:
    """Whether a decoder finds the link."""
    return any(found.text == LINK for found in zxingcpp.read_barcodes(picture))


def pairs(size: tuple[int, int], scene: Scene, rounds: int, seed: str) -> Iterator[tuple[bool, bool]]:
    """For each photo whether the scene's code and the plain one were read."""
    matrix = qr.encode(LINK)
    layout = lay_out(scene, size, matrix, "4:37", min_touch_target_px(size, None))
    assert layout.code is not None
    box = layout.code.box
    shown = render_scene(scene, size)
    plain = Image.new("L", size, 255)
    plain.paste(
        paint_code(matrix, layout.code.module).point(lambda index: 255 if index % 16 == 0 else 0), (box.x, box.y)
    )
    random = Random(seed)
    for number in range(rounds):
        how = conditions(random)
        place = (box.x, box.y, box.width)
        yield reads(photo(shown, place, how, number)), reads(photo(plain, place, how, number))


def looked_at() -> Iterator[tuple[str, Scene]]:
    """The scenes with a code, in the lane's colours and in dark ones."""
    for scene in scenes():
        if scene.qr is not None:
            yield scene.name, scene
            if scene.name == "qr":
                yield f"{scene.name}, dark theme", replace(scene, theme=DARK)


def main() -> None:
    """Count."""
    asked = options(__doc__ or "")
    rounds = 6 if asked.quick else 24
    counts: dict[str, tuple[int, int]] = {}
    for size in PANELS:
        for name, scene in looked_at():
            seen = list(pairs(size, scene, rounds, f"{size} {name}"))
            counts[f"{size[0]}x{size[1]}, {name}"] = sum(one for one, _ in seen), sum(other for _, other in seen)
    counts["all of these"] = sum(ours for ours, _ in counts.values()), sum(plain for _, plain in counts.values())
    rows = [
        Row(
            "screen",
            f"photos read, of {rounds if ',' in what else rounds * (len(counts) - 1)}: {what}",
            "photos",
            ours,
            plain,
            "a plain code of the same size",
            goal="at least 95 % of the plain code's",
            met=ours >= 0.95 * plain,
        )
        for what, (ours, plain) in counts.items()
    ]
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
