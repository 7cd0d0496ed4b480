"""Simulated devices and a simulated PayMaster, for demos, test benches and CI.

Every simulator works at the wire: a byte-level ESC/POS printer, a PN532 with its tag, a memory-mapped screen, a touch
panel, a customer display, PayMaster on HTTP. So the code under test is the code that ships::

    from sco_drivers import open_nfc
    from sco_sim import VirtualReader

    with VirtualReader(uri="https://qr.nspk.ru/...") as reader, open_nfc(reader.url) as nfc:
        print(nfc.read().uri)

The classes `Bench...` are the same simulators with assertions, for tests; `LaneBench` is a whole lane. They need the
extra `sco-paymaster[simulator]`.

Importing this package loads nothing else: each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sco_sim.display import VirtualDisplay as VirtualDisplay
    from sco_sim.nfc import Fault as Fault
    from sco_sim.nfc import VirtualReader as VirtualReader
    from sco_sim.nfc import VirtualTag as VirtualTag
    from sco_sim.nfc.ntag import TEARS as TEARS
    from sco_sim.paymaster import PayMasterSimulator as PayMasterSimulator
    from sco_sim.printer import VirtualPrinter as VirtualPrinter
    from sco_sim.screen import VirtualScreen as VirtualScreen
    from sco_sim.testing.bank import BenchPayMaster as BenchPayMaster
    from sco_sim.testing.clock import BenchTime as BenchTime
    from sco_sim.testing.devices import BenchDisplay as BenchDisplay
    from sco_sim.testing.devices import BenchPrinter as BenchPrinter
    from sco_sim.testing.devices import BenchScreen as BenchScreen
    from sco_sim.testing.devices import BenchTag as BenchTag
    from sco_sim.testing.devices import BenchTouch as BenchTouch
    from sco_sim.testing.devices import codes_in as codes_in
    from sco_sim.testing.lane import LaneBench as LaneBench
    from sco_sim.touch import VirtualTouch as VirtualTouch

_MODULES = {
    "BenchDisplay": "testing.devices",
    "BenchPayMaster": "testing.bank",
    "BenchPrinter": "testing.devices",
    "BenchScreen": "testing.devices",
    "BenchTag": "testing.devices",
    "BenchTime": "testing.clock",
    "BenchTouch": "testing.devices",
    "Fault": "nfc",
    "LaneBench": "testing.lane",
    "PayMasterSimulator": "paymaster",
    "TEARS": "nfc.ntag",
    "VirtualDisplay": "display",
    "VirtualPrinter": "printer",
    "VirtualReader": "nfc",
    "VirtualScreen": "screen",
    "VirtualTag": "nfc",
    "VirtualTouch": "touch",
    "codes_in": "testing.devices",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
