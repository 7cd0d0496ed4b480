"""Device URL -> driver, imported on first use.

`BACKENDS` maps a kind of device and a scheme to the module and function that opens it. Third parties add schemes by
entry points in the groups `sco_drivers.printer`, `sco_drivers.nfc`, `sco_drivers.screen`, `sco_drivers.touch` and
`sco_drivers.display`: the name is the scheme, the object a callable that takes a `DeviceUrl` and returns an object of
that kind's protocol. Decorate it with `sco_drivers.urls.opener`, and its URLs can be checked without a device.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, cast

from sco_drivers.errors import BadDeviceUrl, DeviceError, DriverUnavailable, UnknownScheme
from sco_drivers.urls import DeviceUrl, Opener, Traits

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from sco_drivers.display import QrDisplay
    from sco_drivers.nfc import TagReader
    from sco_drivers.printer import Printer
    from sco_drivers.screen import Screen
    from sco_drivers.touch import Touch

Kind = Literal["printer", "nfc", "screen", "touch", "display"]

BACKENDS: dict[Kind, dict[str, tuple[str, str]]] = {
    "printer": {
        "tcp": ("sco_drivers.printer.escpos", "open_tcp"),
        "usb": ("sco_drivers.printer.escpos", "open_usb"),
        "serial": ("sco_drivers.printer.escpos", "open_serial"),
        "lp": ("sco_drivers.printer.escpos", "open_lp"),
        "sim": ("sco_sim.printer", "open_sim"),
        "replay": ("sco_sim.replay.opening", "open_printer"),
    },
    "nfc": {
        "pn532": ("sco_drivers.nfc.opening", "open_pn532"),
        "usb": ("sco_drivers.nfc.opening", "open_usb"),
        "pcsc": ("sco_drivers.nfc.pcsc", "open_pcsc"),
        "udp": ("sco_drivers.nfc.opening", "open_udp"),
        "sim": ("sco_sim.nfc", "open_sim"),
        "replay": ("sco_sim.replay.opening", "open_nfc"),
    },
    "screen": {
        "fb": ("sco_drivers.screen.fbdev", "open_fb"),
        "drm": ("sco_drivers.screen.drm", "open_drm"),
        "sim": ("sco_sim.screen", "open_sim"),
        "none": ("sco_drivers.screen.null", "open_null"),
    },
    "touch": {
        "evdev": ("sco_drivers.touch.evdev", "open_evdev"),
        "sim": ("sco_sim.touch", "open_sim"),
        "replay": ("sco_sim.replay.opening", "open_touch"),
        "none": ("sco_drivers.touch.null", "open_null"),
    },
    "display": {
        "mertech": ("sco_drivers.display.mertech", "open_mertech"),
        "qrscreen": ("sco_drivers.display.qrscreen", "open_qrscreen"),
        "sim": ("sco_sim.display", "open_sim"),
        "replay": ("sco_sim.replay.opening", "open_display"),
        "none": ("sco_drivers.display.null", "open_null"),
    },
}

_PROTOCOLS: dict[Kind, tuple[str, str]] = {
    "printer": ("sco_drivers.printer", "Printer"),
    "nfc": ("sco_drivers.nfc", "TagReader"),
    "screen": ("sco_drivers.screen", "Screen"),
    "touch": ("sco_drivers.touch", "Touch"),
    "display": ("sco_drivers.display", "QrDisplay"),
}
_SPY = ("sco_drivers.spy", "spy_on")
_RECORDED = ("sco_drivers.record", "open_recorded")


RECORDABLE: dict[Kind, tuple[str, ...]] = {
    "printer": ("tcp", "usb", "serial", "lp", "sim"),
    "nfc": ("pn532", "usb", "pcsc", "sim"),
    "screen": (),
    "touch": ("evdev", "sim"),
    "display": ("mertech", "qrscreen", "sim"),
}
"""Schemes whose drivers ask for `sco_drivers.tap`."""


def _load(module: str, function: str) -> Any:
    return getattr(importlib.import_module(module), function)


def schemes(kind: Kind) -> list[str]:
    """The schemes known for `kind`, built in and by entry points, sorted."""
    from importlib.metadata import entry_points

    return sorted({*BACKENDS[kind], *(point.name for point in entry_points(group=f"sco_drivers.{kind}"))})


def _opener(kind: Kind, url: DeviceUrl) -> Callable[[DeviceUrl], Any]:
    if url.scheme in BACKENDS[kind]:
        module, function = BACKENDS[kind][url.scheme]
        try:
            return cast("Callable[[DeviceUrl], Any]", _load(module, function))
        except ImportError as error:
            raise DriverUnavailable(
                f"the driver {module} cannot be loaded: {error}", url=url.text, hint="pip install sco-paymaster"
            ) from error
    from importlib.metadata import entry_points

    for point in entry_points(group=f"sco_drivers.{kind}", name=url.scheme):
        try:
            return cast("Callable[[DeviceUrl], Any]", point.load())
        except Exception as error:  # a third party's module may raise anything
            raise DriverUnavailable(f"{_named(point)} cannot be loaded: {error}", url=url.text) from error
    raise UnknownScheme(
        f"no {kind} driver has the scheme {url.scheme!r}", url=url.text, hint="known: " + ", ".join(schemes(kind))
    )


def _named(point: EntryPoint) -> str:
    """A third party's driver, so that its fault is not looked for here."""
    package = getattr(point.dist, "name", None)
    return f"the driver {point.value}" + (f" of the package {package}" if package else "")


def _open(kind: Kind, text: str) -> Any:
    url = DeviceUrl.parse(text)
    opener = _opener(kind, url)

    def opened() -> Any:
        return opener(url) if url.scheme in BACKENDS[kind] else _open_foreign(kind, url, opener)

    for error in _unrecordable(kind, url):
        raise error
    device = _load(*_RECORDED)(kind, url, opened) if url.trace else opened()
    return _load(*_SPY)(kind, device, url) if url.spied else device


def _unrecordable(kind: Kind, url: DeviceUrl) -> list[BadDeviceUrl]:
    """Why the wire of `url` cannot be recorded, if that is asked for."""
    if not url.trace:
        return []
    if kind == "screen":
        why = "a screen has no wire to record: it is memory that the driver draws in"
    elif url.scheme not in RECORDABLE[kind]:
        why = f"a {kind} of {url.scheme}:// cannot be recorded"
    else:
        return []
    return [BadDeviceUrl(why, url=url.text, hint="remove record+", parameters=("trace",))]


def _open_foreign(kind: Kind, url: DeviceUrl, opener: Callable[[DeviceUrl], Any]) -> Any:
    """A third party's device, which must be what its kind's protocol asks for: a member that is missing would
    otherwise be noticed in the middle of a payment.

    Raises:
        DriverUnavailable: it is not, or the driver raised something of its own; names the driver. DeviceError.
    """
    with _naming(kind, url) as driver:
        device = opener(url)
    protocol = _load(*_PROTOCOLS[kind])
    missing = [name for name in vars(protocol) if name[0] != "_" and not _has(device, name)]
    if missing:
        _close_foreign(device)
        raise DriverUnavailable(
            f"{driver} is faulty: its {type(device).__name__} is not a {protocol.__name__}: "
            f"it lacks {', '.join(missing)}",
            url=url.text,
            hint=f"sco-hwtest run --{kind} URL checks a driver",
        )
    return device


@contextlib.contextmanager
def _naming(kind: Kind, url: DeviceUrl) -> Iterator[str]:
    """Names the third party's driver that is called in the block.

    Raises:
        DriverUnavailable: it raised something of its own. DeviceError.
    """
    from importlib.metadata import entry_points

    driver = _named(next(iter(entry_points(group=f"sco_drivers.{kind}", name=url.scheme))))
    try:
        yield driver
    except DeviceError:
        raise
    except Exception as error:
        raise DriverUnavailable(f"{driver} failed: {type(error).__name__}: {error}", url=url.text) from error


def _has(device: object, name: str) -> bool:
    """Whether it has that member, without reading it, unless it makes its members when they are asked for."""
    if any(name in vars(cls) for cls in type(device).__mro__) or name in getattr(device, "__dict__", {}):
        return True
    try:
        return hasattr(device, name)
    except Exception:
        return False


def _close_foreign(device: object) -> None:
    close = getattr(device, "close", None)
    if callable(close):
        with contextlib.suppress(Exception):
            close()


def check_url(kind: Kind, url: str) -> list[BadDeviceUrl]:
    """All that is wrong in `url` as the URL of a `kind`: scheme, form, address, and every parameter. Opens no device,
    so the device need not be there. Loads the driver's module.

    Raises:
        DriverUnavailable: the driver cannot be loaded, or a third party's raised something of its own.
    """
    parsed, found = DeviceUrl.read(url)
    if parsed is None:
        return found
    try:
        opener = _opener(kind, parsed)
    except BadDeviceUrl as error:
        return [*found, error]
    found += _unrecordable(kind, parsed)
    if not isinstance(opener, Opener):
        return found
    if parsed.scheme in BACKENDS[kind]:
        return [*found, *opener.problems(parsed)]
    with _naming(kind, parsed):
        return [*found, *opener.problems(parsed)]


def opener_of(kind: Kind, url: DeviceUrl) -> Callable[[DeviceUrl], Any]:
    """What opens `url`, without spy or recorder. Raises UnknownScheme, DriverUnavailable."""
    return _opener(kind, url)


def operators_console(url: str) -> str:
    """The virtual console on which this process talks to its operator, if the screen at `url` takes such consoles.

    That screen switches keyboard and Ctrl-C off: a program that needs an answer or can only be ended by its operator
    must not open it.

    Returns:
        The console's device file, e.g. `/dev/tty1`; empty if the process has a terminal elsewhere (SSH) or none.
    """
    found, _ = DeviceUrl.read(url)
    if found is None or found.scheme not in ("fb", "drm") or found.params.get("tty") == "none":
        return ""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            name = os.ttyname(descriptor)
            if re.fullmatch(r"/dev/tty\d+", name):
                return name
    return ""


def traits(kind: Kind, url: str) -> Traits:
    """What the driver of `url` states about its devices. Opens no device; loads the driver's module.

    Raises:
        BadDeviceUrl: not a device URL, or no driver of that kind has its scheme.
        DriverUnavailable: the driver cannot be loaded.
    """
    opener = _opener(kind, DeviceUrl.parse(url))
    return opener.traits if isinstance(opener, Opener) else Traits()


def open_printer(url: str) -> Printer:
    """Open the receipt printer at `url` (`tcp`, `usb`, `serial`, `lp`, `sim`, `replay`).

    Raises:
        DeviceError: see `sco_drivers.errors`.
    """
    return cast("Printer", _open("printer", url))


def open_nfc(url: str) -> TagReader:
    """Open the NFC reader at `url` (`pn532`, `usb`, `pcsc`, `udp`, `sim`, `replay`).

    Raises:
        DeviceError: see `sco_drivers.errors`.
    """
    return cast("TagReader", _open("nfc", url))


def open_screen(url: str) -> Screen:
    """Open the screen at `url` (`fb`, `drm`, `sim`, `none`).

    Raises:
        DeviceError: see `sco_drivers.errors`.
    """
    return cast("Screen", _open("screen", url))


def open_touch(url: str) -> Touch:
    """Open the touch panel at `url` (`evdev`, `sim`, `replay`, `none`).

    Raises:
        DeviceError: see `sco_drivers.errors`.
    """
    return cast("Touch", _open("touch", url))


def open_display(url: str) -> QrDisplay:
    """Open the customer QR display at `url` (`mertech`, `qrscreen`, `sim`, `replay`, `none`).

    Raises:
        DeviceError: see `sco_drivers.errors`.
    """
    return cast("QrDisplay", _open("display", url))
