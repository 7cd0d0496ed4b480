"""The lane's screen as a picture: what the lane's own screen shows for a `ScreenState`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sco_drivers
from sco_drivers.screen import DEFAULT_THEME, Theme
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import ScreenState, scene_of

if TYPE_CHECKING:
    from PIL.Image import Image


def render(
    screen_state: ScreenState,
    size: tuple[int, int] = (1024, 768),
    language: str = "ru",
    *,
    theme: Theme = DEFAULT_THEME,
) -> Image:
    """The picture of `screen_state` as the lane's own screen shows it now, for a till that draws its own windows.

    Args:
        screen_state: what `LaneUI.show` receives. Its countdown is as it stands now; a spinner is at its first picture.
        size: width and height in px.
        language: of the words that `screen_state` does not contain, before countdown and case: "ru" or "en".
        theme: colours and logo; those of a lane's settings are `sco_payment.load_theme(settings)`.

    Returns:
        An RGB image.

    Raises:
        ValueError: an unknown language, or an invalid size. DeviceError: the size is too small for the scene.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language = {language!r}: must be one of {', '.join(LANGUAGES)}")
    return sco_drivers.render_scene(scene_of(screen_state, LANGUAGES[language], theme), size)
