"""URL -> driver: known schemes, unknown ones, missing libraries, third parties."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from types import SimpleNamespace

import pytest

from sco_drivers import registry
from sco_drivers.errors import BadDeviceUrl, DriverUnavailable, UnknownScheme
from sco_drivers.screen.null import NullScreen
from sco_drivers.urls import DeviceUrl, Traits, opener

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
    dist = SimpleNamespace(name="acme-screens")

    def __init__(self, loaded: object) -> None:
        self.loaded = loaded

    def load(self) -> object:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def third_party(monkeypatch: pytest.MonkeyPatch, loaded: object, group: str = "sco_drivers.screen") -> None:
    def entry_points(**wanted: str) -> list[Point]:
        return [Point(loaded)] if wanted["group"] == group and wanted.get("name", "acme") == "acme" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


class Panel(NullScreen):
    """A third party's screen."""


def test_third_parties_add_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, lambda url: Panel(url, (1, 1)))
    assert isinstance(registry.open_screen("acme://panel7"), Panel)
    assert "acme" in registry.schemes("screen")


class Unfinished:
    """A third party's screen that cannot be looked up for buttons."""

    url = "acme://"
    size = (1, 1)
    closed = False

    def show(self, scene: object) -> None: ...
    def check(self) -> None: ...
    def save_png(self, path: str) -> None: ...
    def close(self) -> None:
        Unfinished.closed = True


def test_a_third_partys_driver_that_lacks_a_member_is_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is opened, and not in the middle of a payment as an error of ours."""
    third_party(monkeypatch, lambda url: Unfinished())
    with pytest.raises(DriverUnavailable) as found:
        registry.open_screen("acme://panel7")
    words = (
        "the driver acme.screens:open of the package acme-screens is faulty: its Unfinished is not a Screen: it lacks"
    )
    assert f"{words} button_at" in str(found.value)
    assert Unfinished.closed


def test_a_third_partys_driver_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(url: DeviceUrl) -> object:
        raise KeyError("panel")

    third_party(monkeypatch, broken)
    with pytest.raises(DriverUnavailable, match="of the package acme-screens failed: KeyError: 'panel'"):
        registry.open_screen("acme://panel7")


@pytest.mark.parametrize("kind", registry.BACKENDS)
def test_each_kind_is_checked_by_its_protocol(kind: registry.Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, lambda url: object(), group=f"sco_drivers.{kind}")
    with pytest.raises(DriverUnavailable, match=r"it lacks .*close"):
        getattr(registry, f"open_{kind}")("acme://panel7")


def test_a_third_partys_driver_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, RuntimeError("no licence"))
    with pytest.raises(DriverUnavailable, match="no licence"):
        registry.open_screen("acme://panel7")


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sco_drivers.screen.null", None)
    with pytest.raises(DriverUnavailable) as found:
        registry.open_screen("none://")
    assert isinstance(found.value, ImportError)
    assert found.value.url == "none://"


def test_importing_the_package_imports_no_driver() -> None:
    import subprocess

    heavy = ("PIL", "nfc", "escpos", "usb", "serial", "segno", "smartcard")
    code = f"import sco_drivers, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


PLACES = {
    ("printer", "tcp"): "tcp://10.0.0.5:9100",
    ("printer", "usb"): "usb://04b8:0202",
    ("printer", "serial"): "serial:///dev/nowhere",
    ("printer", "lp"): "lp:///dev/nowhere",
    ("nfc", "pn532"): "pn532:///dev/nowhere",
    ("nfc", "usb"): "usb://072f:2200",
    ("nfc", "udp"): "udp://127.0.0.1:54321",
    ("screen", "fb"): "fb:///dev/nowhere",
    ("screen", "drm"): "drm:///dev/nowhere",
    ("touch", "evdev"): "evdev:///dev/nowhere",
    ("display", "mertech"): "mertech:///dev/nowhere",
    ("display", "qrscreen"): "qrscreen:///dev/nowhere",
    **{(kind, "replay"): "replay:///no/such.trace" for kind in ("printer", "nfc", "touch", "display")},
}
"""Where no device is; the schemes that are not here need no place."""
ANY_TEXT = {"connector", "tty", "port", "key", "name", "out", "uri"}
"""Parameters of which only the device, or a file, can show whether they are right."""
EVERY = [(kind, scheme) for kind, schemes in registry.BACKENDS.items() for scheme in schemes]


def url_of(kind: registry.Kind, scheme: str) -> str:
    return PLACES.get((kind, scheme), f"{scheme}://")


def known_parameters(kind: registry.Kind, scheme: str) -> list[str]:
    (unknown,) = registry.check_url(kind, f"{url_of(kind, scheme)}?nonsense=1")
    assert unknown.parameters == {"nonsense"}
    return [name for name in unknown.hint.removeprefix("known: ").split(", ") if name != "none"]


@pytest.mark.parametrize(("kind", "scheme"), EVERY)
def test_a_url_is_checked_where_no_device_is(kind: registry.Kind, scheme: str) -> None:
    assert registry.check_url(kind, url_of(kind, scheme)) == []
    assert registry.check_url(kind, "spy+" + url_of(kind, scheme)) == []


@pytest.mark.parametrize(("kind", "scheme"), EVERY)
def test_all_wrong_parameters_are_reported_at_once(kind: registry.Kind, scheme: str) -> None:
    names = [name for name in known_parameters(kind, scheme) if name not in ANY_TEXT]
    text = f"{url_of(kind, scheme)}?nonsense=1" + "".join(f"&{name}=gibberish" for name in names)
    found = registry.check_url(kind, text)
    assert sorted(name for error in found for name in error.parameters) == sorted(["nonsense", *names])
    for error in found:
        assert text in str(error)
        assert error.parameters == {"nonsense"} or "gibberish" in error.message


@pytest.mark.parametrize(("kind", "scheme"), EVERY)
def test_checking_a_url_reports_what_opening_it_reports(kind: registry.Kind, scheme: str) -> None:
    opener = getattr(registry, f"open_{kind}")
    for name in ["nonsense", *known_parameters(kind, scheme)]:
        if name in ANY_TEXT:
            continue
        text = f"{url_of(kind, scheme)}?{name}=gibberish"
        with pytest.raises(BadDeviceUrl) as raised:
            opener(text)
        assert [str(error) for error in registry.check_url(kind, text)] == [str(raised.value)]


@pytest.mark.parametrize(
    ("kind", "text", "word"),
    [
        ("printer", "tcp://", "host is missing"),
        ("printer", "usb://epson", "in hex"),
        ("printer", "lp://", "path is missing"),
        ("printer", "serial://?baud=9600", "path is missing"),
        ("printer", "tcp://10.0.0.5?codec=koi8-r", "it has "),
        ("printer", "gopher://x", "known: lp, replay, serial"),
        ("printer", "tcp://x:99999", "not a device URL"),
        ("nfc", "pn532://", "path is missing"),
        ("nfc", "usb://reader", "vendor and product"),
        ("nfc", "sim://?uid=0102", "7 bytes"),
        ("screen", "fb://?rotate=90", "path is missing"),
        ("screen", "drm://", "path is missing"),
        ("touch", "evdev://", "path is missing"),
        ("display", "mertech://?baud=9600", "path is missing"),
        ("display", "qrscreen:///dev/ttyACM0?baud=300", "is not one of"),
        ("touch", "evdev:///dev/input/event0?calibration=0,0,0,0,0,0", "onto a line"),
    ],
)
def test_what_else_is_wrong_in_a_url(kind: registry.Kind, text: str, word: str) -> None:
    (found,) = registry.check_url(kind, text)
    assert word in str(found)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("printer", "tcp://?profile=nope&dpi=1", ("host is missing", "profile='nope'", "dpi='1'")),
        ("printer", "tcp://x:99999?dpi=1&dpi=2", ("not a device URL", "'dpi' is given twice", "dpi='1'")),
        ("printer", "usb://epson?dpi=1", ("in hex", "dpi='1'")),
        ("printer", "serial://?baud=x&dpi=1", ("path is missing", "baud='x'", "dpi='1'")),
        (
            "printer",
            "lp://dev/usb/lp0?dpi=1&colour=red",
            ("'dev' is in the place of a host", "dpi='1'", "unknown parameter colour"),
        ),
        ("printer", "lp://?qr=no", ("path is missing", "qr='no'")),
        ("printer", "gopher://x?a=1&a=2", ("known: lp, replay, serial", "'a' is given twice")),
        ("nfc", "pn532://?baud=x&attempts=x", ("path is missing", "baud='x'", "attempts='x'")),
        ("nfc", "pn532:///dev/tty%00?baud=x", ("NUL", "baud='x'")),
        ("nfc", f"sim://?uri={'x' * 900}&baud=x", ("do not fit an NTAG213", "baud='x'")),
        ("nfc", "usb://reader?attempts=x", ("vendor and product", "attempts='x'")),
        ("screen", "fb://?rotate=1&pages=9", ("path is missing", "rotate='1'", "pages='9'")),
        ("screen", "drm://?rotate=1&mode=x", ("path is missing", "rotate='1'", "mode='x'")),
        ("touch", "evdev://?grab=2&rotate=7", ("path is missing", "grab='2'", "rotate='7'")),
    ],
)
def test_mistakes_of_form_address_and_parameters_are_reported_at_once(
    kind: registry.Kind, text: str, words: tuple[str, ...]
) -> None:
    found = [str(error) for error in registry.check_url(kind, text)]
    for word in words:
        assert len([error for error in found if word in error]) == 1, (word, found)
    assert len(found) == len(words)


def test_a_third_partys_url_is_checked_where_it_lets_us(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    @opener(lambda url: url.integer("tint", 0), example="acme://7", params=("tint",), needs=("host",), simulated=True)
    def open_acme(url: DeviceUrl, tint: int) -> str:
        opened.append(url)
        return Panel(url, (int(tint), 1))

    third_party(monkeypatch, open_acme)
    assert registry.check_url("screen", "acme://7?tint=1") == []
    assert [error.parameters for error in registry.check_url("screen", "acme://7?tin=1")] == [{"tin"}]
    with pytest.raises(BadDeviceUrl):
        registry.open_screen("acme://7?tin=1")
    assert not opened
    assert registry.open_screen("acme://7?tint=1").size == (1, 1)
    assert registry.traits("screen", "acme://7") == Traits(simulated=True)

    third_party(monkeypatch, lambda url: "opened")  # which does not: its parameters are looked at when it is opened
    assert registry.check_url("screen", "acme://7?tin=1") == []
    assert registry.traits("screen", "acme://7") == Traits()


USED = {
    ("printer", "tcp"): {"host", "port"},
    ("printer", "usb"): {"host", "path"},
    ("printer", "serial"): {"path"},
    ("printer", "lp"): {"path"},
    ("nfc", "pn532"): {"path"},
    ("nfc", "usb"): {"host", "path"},
    ("nfc", "udp"): {"host", "port"},
    ("screen", "fb"): {"path"},
    ("screen", "drm"): {"path"},
    ("screen", "sim"): {"path"},
    ("touch", "evdev"): {"path"},
    ("touch", "sim"): {"path"},
    ("display", "mertech"): {"path"},
    ("display", "qrscreen"): {"path"},
    **{(kind, "replay"): {"path"} for kind in ("printer", "nfc", "touch", "display")},
}
"""The parts of a URL that each driver reads; the schemes that are not here read none."""
WITH_PART = {
    "host": lambda scheme: f"{scheme}://{'04b8:0202' if scheme == 'usb' else 'somewhere'}",
    "port": lambda scheme: f"{scheme}://{'04b8:0202' if scheme == 'usb' else 'somewhere'}:7",
    "path": lambda scheme: f"{scheme}:///x",
}


@pytest.mark.parametrize(("kind", "scheme"), EVERY)
@pytest.mark.parametrize("part", WITH_PART)
def test_a_part_that_the_driver_does_not_use_is_an_error(kind: registry.Kind, scheme: str, part: str) -> None:
    if part in USED.get((kind, scheme), set()) or (scheme == "usb" and part == "port"):  # part of a usb host
        return
    text = WITH_PART[part](scheme)
    found = registry.check_url(kind, text)
    assert any(f"takes no {part}" in str(error) or "in the place of a host" in str(error) for error in found), found
    with pytest.raises(BadDeviceUrl):
        getattr(registry, f"open_{kind}")(text)


@pytest.mark.parametrize(("kind", "scheme"), EVERY)
@pytest.mark.parametrize(
    ("part", "words"),
    [("me@", "user name, found 'me@'"), ("me:secret@", "user name"), ("#x", "fragment, found '#x'"), ("#", "fragment")],
)
def test_no_device_url_has_a_user_or_a_fragment(kind: registry.Kind, scheme: str, part: str, words: str) -> None:
    text = url_of(kind, scheme)
    text = f"{text}{part}" if "#" in part else text.replace("://", f"://{part}")
    assert any(words in str(error) for error in registry.check_url(kind, text))
    with pytest.raises(BadDeviceUrl, match=words):
        getattr(registry, f"open_{kind}")(text)


@pytest.mark.parametrize(
    ("kind", "scheme"), [key for key in EVERY if "path" in USED.get(key, set()) and key[1] != "usb"]
)
def test_a_device_file_after_two_slashes_is_not_a_host(kind: registry.Kind, scheme: str) -> None:
    for spied in ("", "spy+"):
        (found,) = registry.check_url(kind, f"{spied}{scheme}://dev/x0")
        assert f"'dev' is in the place of a host (write {scheme}:///dev/x0)" in str(found)
        assert registry.check_url(kind, f"{spied}{scheme}:///dev/x0") == []


def test_drivers_state_what_they_are() -> None:
    said = {(kind, scheme): registry.traits(kind, f"{scheme}://") for kind, scheme in EVERY}
    assert {key for key, traits in said.items() if traits.simulated} == {
        key for key in EVERY if key[1] in ("sim", "replay")
    }
    assert {key for key, traits in said.items() if traits.owns_console} == {("screen", "fb"), ("screen", "drm")}
    assert registry.traits("screen", "spy+fb:///dev/fb0").owns_console
    with pytest.raises(UnknownScheme):
        registry.traits("screen", "gopher://x")


def test_the_options_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    @opener(lambda url: made.append(url), example="acme://")
    def open_acme(url: DeviceUrl, options: None) -> Panel:
        return Panel(url, (1, 1))

    third_party(monkeypatch, open_acme)
    assert isinstance(registry.open_screen("acme://"), Panel)
    assert len(made) == 1
