"""`replay:///path/of/a.trace[?session=2&pace=real]`: see the package.

Parameters: `session`, which opening of the device, counted from 1; `pace=real` to take the time that it took.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

from sco_drivers import tap
from sco_drivers.record.tag import SHOWN_KEY
from sco_drivers.registry import RECORDABLE, Kind, opener_of
from sco_drivers.urls import DeviceUrl, opener
from sco_sim.replay.device import replayed
from sco_sim.replay.player import Player
from sco_sim.replay.tap import ReplayTap
from sco_sim.replay.trace import BadTrace, Recording, read_trace

if TYPE_CHECKING:
    from sco_drivers.display import QrDisplay
    from sco_drivers.nfc import TagReader
    from sco_drivers.printer import Printer
    from sco_drivers.touch import Touch

_KEY_SHOWN = "traced"
_PARAMS = ("session", "pace")
_EXAMPLE = "replay:///var/tmp/printer.trace"


class _Options(NamedTuple):
    session: int
    real_pace: bool

    @classmethod
    def of(cls, url: DeviceUrl) -> _Options:
        return cls(
            url.integer("session", 1, min=1, max=1_000_000), url.choice("pace", "fast", ("fast", "real")) == "real"
        )


@contextlib.contextmanager
def _url_of(recording: Recording) -> Iterator[DeviceUrl]:
    """The URL that opens its driver, while the driver is opened."""
    url = DeviceUrl.parse(recording.url)
    paths = [name for name, text in url.params.items() if "/" in text or (name == "key" and text != _KEY_SHOWN)]
    if url.scheme not in RECORDABLE[cast(Kind, recording.kind)] or url.scheme == "sim" or url.trace or paths:
        raise BadTrace(f"its URL {recording.url} is not one that a recorder writes", url=recording.path)
    if f"key={_KEY_SHOWN}" not in recording.url:
        yield url
        return
    with tempfile.NamedTemporaryFile(prefix="sco-key-") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(SHOWN_KEY)
        file.flush()
        yield DeviceUrl.parse(recording.url.replace(f"key={_KEY_SHOWN}", f"key={quote(file.name)}"))


def open_recording(recording: Recording, *, real_pace: bool = False) -> Any:
    """The recorded device; its `replay` is a `Player`.

    Raises:
        BadTrace: its URL cannot be opened. TraceDiffers: opening it differs. DeviceError: it could not be opened then.
    """
    player = Player(recording, real_pace=real_pace)
    kind = cast(Kind, recording.kind)
    try:
        with _url_of(recording) as url, tap.using(ReplayTap(player)):
            device = opener_of(kind, url)(url)
    except ValueError as error:  # a URL of this trace's making
        raise BadTrace(f"its URL {recording.url}: {error}", url=recording.path) from error
    finally:
        player.check()
    return replayed(kind, device, player)


def _opened(kind: Kind, url: DeviceUrl, options: _Options) -> Any:
    found = read_trace(url.path)
    if options.session > len(found):
        raise (
            url.wrong("session", f"is not in the trace: it has {len(found)}")
            if "session" in url.params
            else BadTrace("it is empty", url=url.text)
        )
    recording = found[options.session - 1]
    if recording.kind != kind:
        raise BadTrace(f"it is the trace of a {recording.kind}, not of a {kind}", url=url.text)
    return open_recording(recording, real_pace=options.real_pace)


@opener(_Options.of, example=_EXAMPLE, params=_PARAMS, needs=("path",), simulated=True)
def open_printer(url: DeviceUrl, options: _Options) -> Printer:
    """A recorded printer. Raises BadTrace, TraceDiffers, and what was raised then."""
    return cast("Printer", _opened("printer", url, options))


@opener(_Options.of, example=_EXAMPLE, params=_PARAMS, needs=("path",), simulated=True)
def open_nfc(url: DeviceUrl, options: _Options) -> TagReader:
    """A recorded reader. Raises BadTrace, TraceDiffers, and what was raised then."""
    return cast("TagReader", _opened("nfc", url, options))


@opener(_Options.of, example=_EXAMPLE, params=_PARAMS, needs=("path",), simulated=True)
def open_touch(url: DeviceUrl, options: _Options) -> Touch:
    """A recorded panel, which is unplugged at the end of the trace. Raises BadTrace, and what was raised then."""
    return cast("Touch", _opened("touch", url, options))


@opener(_Options.of, example=_EXAMPLE, params=_PARAMS, needs=("path",), simulated=True)
def open_display(url: DeviceUrl, options: _Options) -> QrDisplay:
    """A recorded display. Raises BadTrace, TraceDiffers, and what was raised then."""
    return cast("QrDisplay", _opened("display", url, options))
