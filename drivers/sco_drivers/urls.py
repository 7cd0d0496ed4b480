"""Device URLs: parsed once, with every query parameter checked by name and type.

`scheme://host[:port]/path?key=value`; `spy+scheme://...` asks for a log of all that passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from sco_drivers.errors import BadDeviceUrl

SPY = "spy+"
D = TypeVar("D")
_DEVICE_FILES = frozenset({"serial", "lp", "pn532", "fb", "drm", "evdev"})


@dataclass(frozen=True, slots=True)
class DeviceUrl:
    """A parsed device URL.

    `text` is what the caller wrote (without `spy+`), for messages; `host` of usb://04b8:0202 is both halves, 04b8:0202.
    """

    text: str
    scheme: str
    host: str
    port: int | None
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    spied: bool = False

    @classmethod
    def parse(cls, text: str) -> DeviceUrl:
        """Parse `text`.

        Raises:
            BadDeviceUrl: no scheme, a bad port, a device file with two slashes before it (lp://dev/usb/lp0), a NUL in
                the path, or a query parameter given twice.
        """
        url, wrong = cls.read(text)
        if url is None or wrong:
            raise wrong[0]
        return url

    @classmethod
    def read(cls, text: str) -> tuple[DeviceUrl | None, list[BadDeviceUrl]]:
        """`text` as far as it can be understood, and all that is wrong in its form (see `parse`); None for no URL."""
        spied = text.startswith(SPY)
        bare = text.removeprefix(SPY)
        try:
            parts = urlsplit(bare)
        except ValueError as error:
            return None, [BadDeviceUrl(f"not a device URL: {error}", url=text)]
        if not parts.scheme or "://" not in bare:
            hint = "write scheme://..., e.g. tcp://10.0.0.5:9100 or fb:///dev/fb0"
            return None, [BadDeviceUrl("not a device URL", url=text, hint=hint)]
        wrong: list[BadDeviceUrl] = []
        # usb://04b8:0202 is vendor:product in hexadecimal, not host:port.
        usb = parts.scheme == "usb"
        port = None
        try:
            port = None if usb else parts.port
        except ValueError as error:
            wrong.append(BadDeviceUrl(f"not a device URL: {error}", url=text))
        path = unquote(parts.path)
        if parts.scheme in _DEVICE_FILES and parts.netloc:
            hint = f"write {parts.scheme}:///dev/..."
            wrong.append(BadDeviceUrl(f"{parts.netloc!r} stands where a host would", url=text, hint=hint))
            path = f"/{parts.netloc}{path}"  # as it was meant
        if "\0" in path:
            wrong.append(BadDeviceUrl("a NUL stands in the path", url=text))
        params: dict[str, str] = {}
        twice: set[str] = set()
        for key, value in parse_qsl(parts.query, keep_blank_values=True):
            if key in params:
                twice.add(key)
            params.setdefault(key, value)
        wrong += [BadDeviceUrl(f"parameter {key!r} stands twice", url=text) for key in sorted(twice)]
        host = parts.netloc if usb else (parts.hostname or "")
        return cls(bare, parts.scheme, host, port, path, params, spied), wrong

    def integer(self, name: str, default: int, *, least: int | None = None, most: int | None = None) -> int:
        """Query parameter `name` as a whole number within `least`..`most`, or `default` when absent.

        Raises:
            BadDeviceUrl: not a number, or out of range.
        """
        text = self.params.get(name)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            raise self.wrong(name, "is not a whole number") from None
        if (least is not None and value < least) or (most is not None and value > most):
            raise self.wrong(name, f"is out of range {least}..{most}")
        return value

    def number(self, name: str, default: float, *, least: float = 0.0, most: float = 86_400.0) -> float:
        """Query parameter `name` as a number within `least`..`most` (a day in seconds), or `default` when absent.

        Raises:
            BadDeviceUrl: not a number, or out of range.
        """
        text = self.params.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise self.wrong(name, "is not a number") from None
        if not least <= value <= most:
            raise self.wrong(name, f"is out of range {least:g}..{most:g}")
        return value

    def choice(self, name: str, default: str, among: tuple[str, ...]) -> str:
        """Query parameter `name`, one of `among`, or `default` when absent.

        Raises:
            BadDeviceUrl: another word.
        """
        value = self.params.get(name, default)
        if value not in among:
            raise self.wrong(name, f"is not one of {', '.join(filter(None, among))}")
        return value

    def only(self, *known: str) -> None:
        """Refuse query parameters that the driver does not know.

        Raises:
            BadDeviceUrl: names each unknown parameter and those that are known.
        """
        unknown = sorted(set(self.params) - set(known))
        if unknown:
            raise BadDeviceUrl(
                f"unknown parameter {', '.join(unknown)}",
                url=self.text,
                hint="known: " + (", ".join(sorted(known)) or "none"),
                parameters=unknown,
            )

    def device_file(self, example: str) -> None:
        """Refuse a URL that names no file.

        Raises:
            BadDeviceUrl: shows `example`.
        """
        if not self.path:
            raise BadDeviceUrl("the path is missing", url=self.text, hint=f"e.g. {example}")

    def wrong(self, name: str, why: str, *, hint: str = "") -> BadDeviceUrl:
        """The error of query parameter `name`, whose value is wrong because of `why`."""
        return BadDeviceUrl(f"{name}={self.params[name]!r} {why}", url=self.text, hint=hint, parameters=(name,))


def checked_by(check: Callable[[DeviceUrl], object]) -> Callable[[Callable[[DeviceUrl], D]], Callable[[DeviceUrl], D]]:
    """Decorates what opens a device: `check` sees each URL first, and is asked alone by `sco_drivers.check_url`.

    Args:
        check: raises BadDeviceUrl for what is wrong in the URL itself. It opens nothing, and may run on a machine that
            has no such device. It looks at the address last: an error of a parameter is told, and the rest of the URL
            looked at again, without it; one that names no parameter ends the search.
    """

    def decorate(opener: Callable[[DeviceUrl], D]) -> Callable[[DeviceUrl], D]:
        @functools.wraps(opener)
        def checked(url: DeviceUrl) -> D:
            check(url)
            return opener(url)

        checked.check = check  # type: ignore[attr-defined]
        return checked

    return decorate
