"""Hardware drivers of a self-checkout lane: receipt printer, NFC tag and reader, screen, touch panel, QR display.

Each device is named by a URL and opened by `open_printer`, `open_nfc`, `open_screen`, `open_touch` or `open_display`;
nothing here knows about money. The names in `__all__`, here and in `sco_drivers.printer`, `sco_drivers.nfc`,
`sco_drivers.screen`, `sco_drivers.touch` and `sco_drivers.display`, are public; every other name and module is private
and may change without notice.

Importing this package imports no driver and no third-party library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sco_drivers.errors import (
    BadDeviceUrl,
    DeviceBusy,
    DeviceClosed,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceProtocolError,
    DeviceTimeout,
    DisplayError,
    DriverUnavailable,
    NfcError,
    PrinterError,
    ScreenError,
    TouchError,
    UnknownScheme,
)
from sco_drivers.registry import check_url, open_display, open_nfc, open_printer, open_screen, open_touch, traits
from sco_drivers.urls import DeviceUrl, Traits, opener

if TYPE_CHECKING:
    from sco_drivers.display import DisplayedCode, QrDisplay
    from sco_drivers.identity import DeviceIdentity
    from sco_drivers.nfc import TagContents, TagReader
    from sco_drivers.printer import (
        Line,
        Printer,
        PrinterHealth,
        PrinterStatus,
        PrintOutcome,
        PrintResult,
        SensorState,
        Style,
        Ticket,
    )
    from sco_drivers.printer.watch import StatusWatch as StatusWatch
    from sco_drivers.qr import preload
    from sco_drivers.screen import Button, Drawing, Scene, Screen
    from sco_drivers.screen.picture import render_scene
    from sco_drivers.touch import Tap, Touch

__all__ = [
    "BadDeviceUrl",
    "Button",
    "DeviceBusy",
    "DeviceClosed",
    "DeviceError",
    "DeviceGone",
    "DeviceIdentity",
    "DeviceNotFound",
    "DevicePermission",
    "DeviceProtocolError",
    "DeviceTimeout",
    "DeviceUrl",
    "DisplayError",
    "DisplayedCode",
    "Drawing",
    "DriverUnavailable",
    "Line",
    "NfcError",
    "PrintOutcome",
    "PrintResult",
    "Printer",
    "PrinterError",
    "PrinterHealth",
    "PrinterStatus",
    "QrDisplay",
    "Scene",
    "Screen",
    "ScreenError",
    "SensorState",
    "StatusWatch",
    "Style",
    "TagContents",
    "TagReader",
    "Tap",
    "Ticket",
    "Touch",
    "TouchError",
    "Traits",
    "UnknownScheme",
    "check_url",
    "open_display",
    "open_nfc",
    "open_printer",
    "open_screen",
    "open_touch",
    "opener",
    "preload",
    "render_scene",
    "traits",
]

_LAZY = {
    "display": ("DisplayedCode", "QrDisplay"),
    "identity": ("DeviceIdentity",),
    "nfc": ("TagContents", "TagReader"),
    "printer": (
        *("Line", "PrintOutcome", "PrintResult", "Printer", "PrinterHealth", "PrinterStatus"),
        *("SensorState", "Style", "Ticket"),
    ),
    "printer.watch": ("StatusWatch",),
    "qr": ("preload",),
    "screen": ("Button", "Drawing", "Scene", "Screen"),
    "screen.picture": ("render_scene",),
    "touch": ("Tap", "Touch"),
}
"""Imported on first use."""
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
