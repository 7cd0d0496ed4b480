"""The service's pages for browsers: static files of this package, from the folder `pages`, and the screen's fonts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from sco_service.messages import Response
from sco_service.problems import Problem

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
)


class Pages:
    """The files of one folder and the fonts, by name; only those that are there when it is made can be asked for.

    Args:
        folder: by default this package's `pages`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        pages = Path(str(files("sco_service"))) / "pages" if folder is None else folder
        fonts = Path(str(files("sco_drivers.screen"))) / "fonts"
        self._files = {
            one.name: one
            for place in (fonts, pages)
            if place.is_dir()
            for one in place.iterdir()
            if one.is_file() and one.suffix in _TYPES
        }

    def page(self, name: str) -> Response:
        """The file `name`. Raises Problem where there is none."""
        path = self._files.get(name)  # a name, never a path
        if path is None:
            raise Problem("no_such_path", f"there is no page {name[:64]!r}")
        return Response(200, path.read_bytes(), _TYPES[path.suffix], HEADERS)
