"""URL -> driver: known schemes, unknown ones, missing libraries, third parties."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

import pytest

from sco_drivers import registry
from sco_drivers.errors import BadDeviceUrl, DriverUnavailable, UnknownScheme

OPENERS = (registry.open_printer, registry.open_nfc, registry.open_screen, registry.open_touch)


@pytest.mark.parametrize("kind", ["screen", "touch"])
def test_every_built_in_scheme_has_its_function(kind: str) -> None:
    for module, function in registry.BACKENDS[kind].values():
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("opener", OPENERS)
def test_unknown_scheme_lists_the_known(opener) -> None:
    with pytest.raises(UnknownScheme) as found:
        opener("gopher://somewhere")
    assert "sim" in found.value.hint


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("text", ["", "sim", "/dev/fb0", "sim:path", "://x", "sim://x:port"])
def test_no_url(opener, text: str) -> None:
    with pytest.raises(BadDeviceUrl):
        opener(text)


class Point:
    """An entry point of a third party."""

    name = "acme"
    value = "acme.screens:open"

    def __init__(self, loaded: object) -> None:
        self.loaded = loaded

    def load(self) -> object:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def third_party(monkeypatch: pytest.MonkeyPatch, loaded: object) -> None:
    def entry_points(*, group: str, name: str | None = None) -> list[Point]:
        return [Point(loaded)] if group == "sco_drivers.screen" and name in (None, "acme") else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_third_parties_add_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, lambda url: ("opened", url.host))
    assert registry.open_screen("acme://panel7") == ("opened", "panel7")
    assert "acme" in registry.schemes("screen")


def test_a_third_partys_driver_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, RuntimeError("no licence"))
    with pytest.raises(DriverUnavailable, match="no licence"):
        registry.open_screen("acme://panel7")


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sco_drivers.screen.nothing", None)
    with pytest.raises(DriverUnavailable) as found:
        registry.open_screen("none://")
    assert isinstance(found.value, ImportError)
    assert found.value.url == "none://"


def test_importing_the_package_imports_no_driver() -> None:
    import subprocess

    heavy = ("PIL", "nfc", "escpos", "usb", "serial", "segno")
    code = f"import sco_drivers, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
