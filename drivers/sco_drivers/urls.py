"""Device URLs: parsed once, with every query parameter checked by name and type.

`scheme://host[:port]/path?key=value`; `spy+scheme://...` asks for a log of all that passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from sco_drivers.errors import BadDeviceUrl

SPY = "spy+"


@dataclass(frozen=True, slots=True)
class DeviceUrl:
    """A parsed device URL. `text` is what the caller wrote (without `spy+`), for messages."""

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
            BadDeviceUrl: no scheme, a bad port, or a query parameter given twice.
        """
        spied = text.startswith(SPY)
        bare = text.removeprefix(SPY)
        try:
            parts = urlsplit(bare)
            port = parts.port
        except ValueError as error:
            raise BadDeviceUrl(f"not a device URL: {error}", url=text) from None
        if not parts.scheme or "://" not in bare:
            raise BadDeviceUrl(
                "not a device URL", url=text, hint="write scheme://..., e.g. tcp://10.0.0.5:9100 or fb:///dev/fb0"
            )
        params: dict[str, str] = {}
        for key, value in parse_qsl(parts.query, keep_blank_values=True):
            if key in params:
                raise BadDeviceUrl(f"parameter {key!r} stands twice", url=text)
            params[key] = value
        # usb://04b8:0202 is vendor:product, not host:port; drivers of usb read `netloc` through `host`.
        host = parts.netloc if parts.scheme == "usb" else (parts.hostname or "")
        return cls(
            bare, parts.scheme, host, None if parts.scheme == "usb" else port, unquote(parts.path), params, spied
        )

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
            raise BadDeviceUrl(f"{name}={text!r} is not a whole number", url=self.text) from None
        if (least is not None and value < least) or (most is not None and value > most):
            raise BadDeviceUrl(f"{name}={value} is out of range {least}..{most}", url=self.text)
        return value

    def number(self, name: str, default: float, *, least: float = 0.0) -> float:
        """Query parameter `name` as a number not under `least`, or `default` when absent.

        Raises:
            BadDeviceUrl: not a finite number, or under `least`.
        """
        text = self.params.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise BadDeviceUrl(f"{name}={text!r} is not a number", url=self.text) from None
        if not least <= value < float("inf"):
            raise BadDeviceUrl(f"{name}={text} must be {least} or more", url=self.text)
        return value

    def choice(self, name: str, default: str, among: tuple[str, ...]) -> str:
        """Query parameter `name`, one of `among`, or `default` when absent.

        Raises:
            BadDeviceUrl: another word.
        """
        value = self.params.get(name, default)
        if value not in among:
            raise BadDeviceUrl(f"{name}={value!r} is not one of {', '.join(among)}", url=self.text)
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
            )
