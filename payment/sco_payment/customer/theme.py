"""The shop's colours and the payment system's logo on the lane's screen, from `lane.theme`, `lane.accent`, `lane.logo`.

A theme that somebody could not read is refused with the settings, not noticed by a customer.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sco_drivers.screen import DEFAULT_THEME, Logo, Theme, from_hex
from sco_payment.settings import LaneSettings, Settings

log = logging.getLogger(__name__)

_COLOURS = tuple(entry.name for entry in fields(Theme) if entry.name != "logo")
_EXAMPLE = "must be a colour as #rrggbb, e.g. #0b57a8"
_MAX_BYTES = 1 << 20
_MAX_PX = 2000
_KEPT_PX = 512
"""A logo is kept no larger than this: no scene shows it larger."""


def load_theme(settings: Settings) -> Theme:
    """The colours and the logo of the lane's screen; the default for what can no longer be read, which is logged."""
    theme, problems = read_theme(settings.lane)
    for problem in problems:
        log.error("%s", problem)
    return theme


def read_theme(lane: LaneSettings) -> tuple[Theme, list[str]]:
    """The theme of the settings, without what is wrong in it; and what is wrong, one sentence a problem."""
    problems: list[str] = []
    theme = DEFAULT_THEME
    if lane.theme:
        theme = _from_file(lane.theme, problems)
    if lane.accent:
        accent = from_hex(lane.accent)
        if accent is None:
            problems.append(f"lane.accent = {lane.accent!r}: {_EXAMPLE}")
        else:
            theme = replace(theme, accent=accent)
    unreadable = theme.problems()
    if unreadable:
        where = "lane.theme" if lane.theme else "lane.accent"
        problems += [f"{where}: {problem}" for problem in unreadable]
        theme = DEFAULT_THEME
    if lane.logo:
        theme = replace(theme, logo=_logo(lane.logo, problems))
    return theme, problems


def _from_file(path: str, problems: list[str]) -> Theme:
    try:
        colours = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        problems.append(f"lane.theme: {path}: {error.strerror}")
        return DEFAULT_THEME
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"lane.theme: {path}: not TOML: {error}")
        return DEFAULT_THEME
    found: dict[str, Any] = {}
    for name, value in colours.items():
        colour = from_hex(value) if isinstance(value, str) else None
        if name not in _COLOURS:
            problems.append(f"lane.theme: {path}: unknown colour {name}; expected one of {', '.join(_COLOURS)}")
        elif colour is None:
            problems.append(f"lane.theme: {path}: {name} = {value!r}: {_EXAMPLE}")
        else:
            found[name] = colour
    return replace(DEFAULT_THEME, **found)


def _logo(path: str, problems: list[str]) -> Logo | None:
    from PIL import Image

    try:
        with Path(path).open("rb") as file:
            if len(file.read(_MAX_BYTES + 1)) > _MAX_BYTES:
                problems.append(f"lane.logo: {path}: more than {_MAX_BYTES >> 20} MiB: save it smaller")
                return None
            with Image.open(file, formats=["PNG"]) as picture:
                if max(picture.size) > _MAX_PX:
                    size = "x".join(map(str, picture.size))
                    problems.append(f"lane.logo: {path}: {size} px, at most {_MAX_PX} a side: save it smaller")
                    return None
                picture.thumbnail((_KEPT_PX, _KEPT_PX))
                image = picture.convert("RGBA")
    except OSError as error:  # no file, or no PNG
        problems.append(f"lane.logo: {path}: {error.strerror or 'is not a PNG picture that can be read'}")
        return None
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        problems.append(f"lane.logo: {path}: is not a PNG picture that can be read: {error}")
        return None
    return Logo(image.size, image.tobytes())
