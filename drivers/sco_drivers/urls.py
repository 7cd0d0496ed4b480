"""Device URLs, and what opens them.

`scheme://host[:port]/path?key=value`; `spy+scheme://...` also logs everything that passes, and
`record+scheme://...?trace=FILE` writes a trace of the wire. A URL is parsed once: the scheme's `Opener` checks its
parts and its query parameters, turns them into an options object of the driver's own type, and opens the device with
it. A part or parameter that the driver does not use is an error, never ignored.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from sco_drivers.errors import BadDeviceUrl

SPY, RECORD = "spy+", "record+"
TRACE = "trace"
"""The query parameter of `record+` that names the trace to write."""
OptionsT = TypeVar("OptionsT")
DeviceT = TypeVar("DeviceT")

Part = Literal["host", "port", "path"]
PARTS: tuple[Part, ...] = ("host", "port", "path")
"""Parts of a device URL that a driver may use or not; besides, there are the query parameters."""


@dataclass(frozen=True, slots=True)
class DeviceUrl:
    """A parsed device URL.

    `text` is what the caller wrote (without `spy+` and `record+` with its trace), for messages; `host` of
    usb://04b8:0202 is both halves, 04b8:0202; `trace` is the path of the trace to write, empty for none.
    """

    text: str
    scheme: str
    host: str
    port: int | None
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    spied: bool = False
    trace: str = ""

    @classmethod
    def parse(cls, text: str) -> DeviceUrl:
        """Parse `text`.

        Raises:
            BadDeviceUrl: no scheme, a bad port, a user name, a fragment, a NUL in the path, or a query parameter given
                twice.
        """
        url, wrong = cls.read(text)
        if url is None or wrong:
            raise wrong[0]
        return url

    @classmethod
    def read(cls, text: str) -> tuple[DeviceUrl | None, list[BadDeviceUrl]]:
        """`text` as far as it can be understood, and all that is wrong in its form (see `parse`); None for no URL."""
        bare, spied, recorded = text, False, False
        while bare.startswith((SPY, RECORD)):
            prefix = SPY if bare.startswith(SPY) else RECORD
            spied, recorded = spied or prefix == SPY, recorded or prefix == RECORD
            bare = bare.removeprefix(prefix)
        try:
            parts = urlsplit(bare)
        except ValueError as error:
            return None, [BadDeviceUrl(f"not a device URL: {error}", url=text)]
        if not parts.scheme or "://" not in bare:
            hint = "write scheme://..., e.g. tcp://10.0.0.5:9100 or fb:///dev/fb0"
            return None, [BadDeviceUrl("not a device URL", url=text, hint=hint)]
        wrong: list[BadDeviceUrl] = []
        user, at, address = parts.netloc.rpartition("@")
        if at:
            wrong.append(
                BadDeviceUrl(f"a device URL has no user name, found {user + at!r}", url=text, hint="remove it")
            )
        if "#" in bare:
            hint = "remove it; inside a path or parameter write %23"
            wrong.append(BadDeviceUrl(f"a device URL has no fragment, found '#{parts.fragment}'", url=text, hint=hint))
        # usb://04b8:0202 is vendor:product in hexadecimal, not host:port.
        usb = parts.scheme == "usb"
        port = None
        try:
            port = None if usb else parts.port
            if port == 0:
                raise ValueError("Port out of range 1-65535")
        except ValueError as error:
            wrong.append(BadDeviceUrl(f"not a device URL: {error}", url=text))
        path = unquote(parts.path)
        if "\0" in path:
            wrong.append(BadDeviceUrl("the path contains a NUL", url=text, hint="remove %00"))
        params: dict[str, str] = {}
        twice: set[str] = set()
        for key, value in parse_qsl(parts.query, keep_blank_values=True):
            if key in params:
                twice.add(key)
            params.setdefault(key, value)
        wrong += [BadDeviceUrl(f"parameter {key!r} is given twice", url=text) for key in sorted(twice)]
        trace = params.pop(TRACE, "") if recorded else ""
        if recorded:
            bare = _without(bare, TRACE)
            if not trace:
                hint = f"e.g. {RECORD}tcp://10.0.0.5?{TRACE}=/var/tmp/printer.trace"
                wrong.append(BadDeviceUrl(f"{RECORD} without {TRACE}=FILE", url=text, hint=hint, parameters=(TRACE,)))
        host = address if usb else (parts.hostname or "")
        return cls(bare, parts.scheme, host, port, path, params, spied, trace), wrong

    def integer(self, name: str, default: int, *, min: int | None = None, max: int | None = None) -> int:  # noqa: A002
        """Query parameter `name` as a whole number within `min`..`max`, or `default` when absent.

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
        if (min is not None and value < min) or (max is not None and value > max):
            raise self.wrong(name, f"is out of range {min}..{max}")
        return value

    def number(self, name: str, default: float, *, min: float = 0.0, max: float = 86_400.0) -> float:  # noqa: A002
        """Query parameter `name` as a number within `min`..`max` (a day in seconds), or `default` when absent.

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
        if not min <= value <= max:
            raise self.wrong(name, f"is out of range {min:g}..{max:g}")
        return value

    def choice(self, name: str, default: str, among: tuple[str, ...]) -> str:
        """Query parameter `name`, one of `among`, or `default` when absent.

        Raises:
            BadDeviceUrl: any other value.
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

    def wrong(self, name: str, why: str, *, hint: str = "") -> BadDeviceUrl:
        """The error of query parameter `name`, whose value is wrong because of `why`."""
        return BadDeviceUrl(f"{name}={self.params[name]!r} {why}", url=self.text, hint=hint, parameters=(name,))


def _without(url: str, parameter: str) -> str:
    """`url` without that query parameter."""
    start, _, query = url.partition("?")
    rest = "&".join(one for one in query.split("&") if one.partition("=")[0] != parameter)
    return f"{start}?{rest}" if rest else start


@dataclass(frozen=True, slots=True)
class Traits:
    """What a driver states about its devices without opening one.

    Attributes:
        simulated: there is no device, only a simulation of one.
        owns_console: it draws on the machine's own console, which other programs must leave alone meanwhile.
    """

    simulated: bool = False
    owns_console: bool = False


class Opener(Generic[OptionsT, DeviceT]):
    """Opens the devices of one scheme; made by the decorator `opener`, called with a `DeviceUrl`."""

    def __init__(
        self,
        function: Callable[[DeviceUrl, OptionsT], DeviceT],
        options: Callable[[DeviceUrl], OptionsT],
        *,
        params: Collection[str],
        needs: tuple[Part, ...],
        allows: tuple[Part, ...],
        example: str,
        traits: Traits,
    ) -> None:
        self._function = function
        self._options = options
        self._params = tuple(params)
        self._needs = frozenset(needs)
        self._uses = self._needs.union(allows)
        self._example = example
        self.traits = traits
        functools.update_wrapper(self, function)

    @property
    def params(self) -> tuple[str, ...]:
        """The query parameters that it reads."""
        return self._params

    def __call__(self, url: DeviceUrl) -> DeviceT:
        """Open the device at `url`.

        Raises:
            BadDeviceUrl: something in the URL is wrong; see `problems` for all of it.
            DeviceError: it cannot be opened.
        """
        for error in self._misuse(url)[1]:
            raise error
        return self._function(url, self._options(url))

    def problems(self, url: DeviceUrl) -> list[BadDeviceUrl]:
        """All that is wrong in `url`; opens nothing."""
        url, found = self._misuse(url)
        address_reported = any(not error.parameters for error in found)
        while True:
            try:
                self._options(url)
            except BadDeviceUrl as error:
                if error.parameters or not address_reported:
                    found.append(error)
                rest = {name: text for name, text in url.params.items() if name not in error.parameters}
                if len(rest) < len(url.params):  # check the other parameters without those already reported
                    url = replace(url, params=rest)
                    continue
            return found

    def _misuse(self, url: DeviceUrl) -> tuple[DeviceUrl, list[BadDeviceUrl]]:
        """Parts and parameters that are missing or not used; and the URL as it was probably meant."""
        found: list[BadDeviceUrl] = []
        try:
            url.only(*self._params)
        except BadDeviceUrl as error:
            found.append(error)
        if url.host and "host" not in self._uses and "path" in self._uses:
            hint = f"write {url.scheme}:///{url.host}{url.path}"
            found.append(BadDeviceUrl(f"{url.host!r} is in the place of a host", url=url.text, hint=hint))
            url = replace(url, host="", port=None, path=f"/{url.host}{url.path}")
        for part in PARTS:
            value = getattr(url, part)
            if value and part not in self._uses:
                message = f"{url.scheme}:// takes no {part}, found {str(value)!r}"
                found.append(BadDeviceUrl(message, url=url.text, hint=f"remove it: {self._example}"))
            elif not value and part in self._needs:
                found.append(BadDeviceUrl(f"the {part} is missing", url=url.text, hint=f"e.g. {self._example}"))
        return url, found


def opener(
    options: Callable[[DeviceUrl], OptionsT],
    *,
    example: str,
    params: Collection[str] = (),
    needs: tuple[Part, ...] = (),
    allows: tuple[Part, ...] = (),
    simulated: bool = False,
    owns_console: bool = False,
) -> Callable[[Callable[[DeviceUrl, OptionsT], DeviceT]], Opener[OptionsT, DeviceT]]:
    """Decorates the function that opens the devices of one scheme: it is given the URL and the options made from it.

    Args:
        options: makes the options from the URL's address and parameters, or raises BadDeviceUrl. It opens nothing, and
            may run on a machine that has no such device. It reads the address last: after an error that names its
            parameters it is called again without them; one that names none ends the search for more.
        example: a URL of this scheme, for hints.
        params: query parameters that it reads; others are errors.
        needs: parts without which it cannot open anything.
        allows: parts that it also reads; others are errors.
        simulated: see `Traits`.
        owns_console: see `Traits`.
    """

    def decorate(function: Callable[[DeviceUrl, OptionsT], DeviceT]) -> Opener[OptionsT, DeviceT]:
        return Opener(
            function,
            options,
            params=params,
            needs=needs,
            allows=allows,
            example=example,
            traits=Traits(simulated, owns_console),
        )

    return decorate
