"""pytest fixtures for integrators: a lane with virtual devices, a simulated PayMaster, and simulated time.

Registered by the package's entry point: nothing to import. A test names what it needs::

    @pytest.mark.sco_lane(mode=0)
    def test_the_code_is_printed(lane, virtual_printer, paymaster_simulator):
        lane.customer_pays(after_s=4)
        result = lane.pay(253_00)
        assert result.outcome is Outcome.PAID
        virtual_printer.assert_printed_once()
        paymaster_simulator.assert_created_once(kopecks=253_00)

Fixtures of the same names in your own conftest.py take precedence. Nothing but pytest is imported until a fixture is
used. Needs the extra `simulator`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sco_sim

if TYPE_CHECKING:
    from sco_sim import (
        BenchDisplay,
        BenchPayMaster,
        BenchPrinter,
        BenchScreen,
        BenchTag,
        BenchTime,
        BenchTouch,
        LaneBench,
    )

_MARKER = (
    "sco_lane(mode=1, plate='static', profile='4:3', **sections): settings of the `lane` fixture; "
    "sections are mappings, e.g. timing={'poll_timeout_s': 10}"
)
_OPTIONS = ("mode", "plate", "profile")


@contextmanager
def _the_extra() -> Iterator[None]:
    """Report a missing library of the extra in one line instead of a traceback."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0]
        if name.startswith("sco_"):
            raise
        pytest.fail(f"{name} is missing: pip install 'sco-paymaster[simulator]'", pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def sco_time() -> BenchTime:
    """The tests' clock: runs with the wall clock until a `lane` is used, then by steps."""
    with _the_extra():
        return sco_sim.BenchTime()


@pytest.fixture
def virtual_printer() -> Iterator[BenchPrinter]:
    """A receipt printer on TCP at `.url`."""
    with _the_extra():
        kind = sco_sim.BenchPrinter
    with kind() as printer:
        yield printer


@pytest.fixture
def virtual_tag() -> Iterator[BenchTag]:
    """An NFC reader at `.url` with one empty tag on it."""
    with _the_extra():
        kind = sco_sim.BenchTag
    with kind() as tag:
        yield tag


@pytest.fixture
def virtual_screen() -> Iterator[BenchScreen]:
    """A screen of 1024x768 at `.url`."""
    with _the_extra():
        kind = sco_sim.BenchScreen
    with kind() as screen:
        yield screen


@pytest.fixture
def virtual_touch(virtual_screen: BenchScreen) -> Iterator[BenchTouch]:
    """A finger on the touch panel of `virtual_screen`; the panel is at `.url`."""
    with _the_extra():
        kind = sco_sim.BenchTouch
    with kind(virtual_screen) as touch:
        yield touch


@pytest.fixture
def virtual_display() -> Iterator[BenchDisplay]:
    """A Mertech QR-PAY on a serial line at `.url`. A `lane` has it if the test names it."""
    with _the_extra():
        kind = sco_sim.BenchDisplay
    with kind() as display:
        yield display


@pytest.fixture
def paymaster_simulator(sco_time: BenchTime) -> Iterator[BenchPayMaster]:
    """PayMaster on HTTP at `.base_url`, with the customer's phone at `.phone`."""
    with _the_extra():
        kind = sco_sim.BenchPayMaster
    with kind(clock=sco_time.seconds) as paymaster:
        yield paymaster


@pytest.fixture
def lane(
    request: pytest.FixtureRequest, tmp_path: Path, paymaster_simulator: BenchPayMaster, sco_time: BenchTime
) -> Iterator[LaneBench]:
    """A lane in the display mode of the marker `sco_lane` (1 without it), with the devices that the mode needs."""
    with _the_extra():
        kind = sco_sim.LaneBench

    options = _options(request)
    mode, plate = options.pop("mode", 1), options.pop("plate", "static")
    display: dict[str, Any] = {"mode": mode, "plate": plate} | options.pop("display", {})
    wanted = set(request.fixturenames)
    printer = request.getfixturevalue("virtual_printer") if mode == 0 or "virtual_printer" in wanted else None
    tag = request.getfixturevalue("virtual_tag") if mode == 2 or "virtual_tag" in wanted else None
    if tag is not None and mode == 2 and plate == "static" and "sticker_id" not in display:
        sticker = paymaster_simulator.bank.add_sticker()
        tag.put(sticker.payload)
        display |= {"sticker_id": sticker.id, "plate_link": sticker.payload}
    qr_display = request.getfixturevalue("virtual_display") if "virtual_display" in wanted else None
    sections = {"display": display} | options
    if "profile" in sections:
        sections["lane"] = {"profile": sections.pop("profile")} | sections.get("lane", {})
    folder = tmp_path / "lane"
    folder.mkdir()
    with kind(
        folder,
        paymaster_simulator,
        sco_time,
        printer=printer,
        tag=tag,
        screen=request.getfixturevalue("virtual_screen"),
        touch=request.getfixturevalue("virtual_touch"),
        display=qr_display,
        sections=sections,
    ) as bench:
        yield bench


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The markers' options; the nearest marker overrides the others. Unknown sections are left to the settings."""
    found: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("sco_lane"))):
        if marker.args:
            raise pytest.UsageError(f"sco_lane takes options by name, found {marker.args!r}: {_MARKER}")
        for name, value in marker.kwargs.items():
            if name not in _OPTIONS and not isinstance(value, Mapping):
                raise pytest.UsageError(f"sco_lane: {name}={value!r} is neither an option nor a section: {_MARKER}")
        found |= marker.kwargs
    return found
