"""A scene as a picture, without a screen: for software that draws its own windows, and for documentation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sco_drivers import qr
from sco_drivers.screen import Scene, UnsupportedScreen
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.layout import countdown_text, lay_out, min_touch_target_px
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.renderer import draw_page
from sco_drivers.screen.surface import Surface

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST_PX = 16384


def render_scene(scene: Scene, size: tuple[int, int] = (1024, 768)) -> Image:
    """The picture of `scene` as a screen of that size shows it now.

    Args:
        scene: what is shown. Its countdown is as it stands now; a spinner is at its first picture.
        size: width and height in px.

    Returns:
        An RGB image.

    Raises:
        UnsupportedScreen: the size is too small for the scene. ValueError: the size is invalid, or no QR code holds the
            scene's text.
    """
    if not all(isinstance(side, int) and 0 < side <= _LARGEST_PX for side in size) or len(size) != 2:
        raise ValueError(f"size = {size!r}: must be width and height, each from 1 to {_LARGEST_PX} px")
    matrix = qr.encode(scene.qr) if scene.qr is not None else None
    left = "" if scene.deadline is None else countdown_text(scene.deadline - time.time())
    try:
        layout = lay_out(scene, size, matrix, left, min_touch_target_px(size, None))
    except ValueError as error:
        raise UnsupportedScreen(str(error), hint="use a larger size or shorter texts") from None
    form = FORMATS["rgb888"]
    geometry = Geometry(*size, form.row_bytes(size[0]), form)
    surface, rows = Surface(geometry, 0), memoryview(bytearray(geometry.stride * geometry.height))
    draw_page(surface, rows, layout, matrix, left, scene.theme)
    return surface.picture(rows)
