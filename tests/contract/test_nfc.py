"""One contract over every reader that can be had without hardware, with each tag in each state before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sco_drivers import open_nfc
from sco_drivers.nfc import TagReader
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.nfc import CHECKS, LINK, OTHER
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader
from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.rcs380 import VirtualRcs380
from tests.simulators.udp_field import VirtualField

pytestmark = pytest.mark.usefixtures("idle_time")

URLS = (
    "sim://",
    "sim://?tag=ntag215&uri=https%3A%2F%2Fexample.org%2F",
    "sim://?tag=ntag216&baud=115200",
    "spy+sim://?baud=230400",
)


def locked(uri: str) -> VirtualTag:
    tag = VirtualTag(uri=uri)
    tag.lock()
    return tag


def with_password(uri: str) -> VirtualTag:
    tag = VirtualTag("ntag215", uri=uri)
    tag.protect(b"1234", b"56")
    return tag


def generic(uri: str) -> VirtualTag:
    tag = VirtualTag(uri=uri)
    tag.fast = False
    return tag


def blank(_: str) -> VirtualTag:
    """Formatted, and never written: no NDEF TLV at all."""
    tag = VirtualTag()
    tag.memory[16:24] = bytes(8)
    return tag


USB_READERS = (VirtualAcr122, VirtualPn533, VirtualRcs380)
TAGS: tuple[Callable[[str], VirtualTag], ...] = (locked, with_password, generic, blank)


@contextmanager
def serial_line(tag: VirtualTag) -> Iterator[TagReader]:
    with VirtualReader(tag) as bench, open_nfc(bench.url) as nfc:
        yield nfc
        assert not bench.field_on, "the field stayed on: no phone can read the tag"


@contextmanager
def udp(tag: VirtualTag) -> Iterator[TagReader]:
    with VirtualField(tag) as bench:
        with open_nfc(bench.url) as nfc:
            yield nfc
        for _ in range(500):  # the datagram that turns it off may be under way
            if not bench.field_on:
                return
            time.sleep(0.01)
        raise AssertionError("the field stayed on: no phone can read the tag")


def checks_of(scheme: str) -> list[Check[TagReader]]:
    return [check for check in CHECKS if not check.why_not(f"{scheme}://")]


def test_only_lines_and_buses_have_one_owner() -> None:
    left_out = {scheme: {*CHECKS} - {*checks_of(scheme)} for scheme in ("pn532", "usb", "udp", "pcsc", "sim")}
    owned = {check for check in CHECKS if check.name == "has-one-owner"}
    assert left_out == {"pn532": set(), "usb": set(), "udp": owned, "pcsc": owned, "sim": owned}


@pytest.mark.parametrize("check", checks_of("sim"), ids=lambda check: check.name)
@pytest.mark.parametrize("url", URLS)
def test_contract(url: str, check: Check[TagReader]) -> None:
    with open_nfc(url) as nfc:
        check.run(nfc)
        assert not nfc.simulator.field_on, "the field stayed on: no phone can read the tag"  # type: ignore[attr-defined]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("make", TAGS, ids=lambda make: make.__name__)
def test_contract_over_a_serial_line_with_tags_in_every_state(
    make: Callable[[str], VirtualTag], check: Check[TagReader]
) -> None:
    for uri in (LINK, OTHER):
        tag = make(uri)
        before = bytes(tag.memory)
        with serial_line(tag) as nfc:
            check.run(nfc)
        assert tag.uri() == (uri if make is not blank else None)
        if make in (locked, with_password):
            assert tag.memory == before
            assert not tag.page_writes


@pytest.mark.parametrize("check", checks_of("udp"), ids=lambda check: check.name)
def test_contract_over_nfcpys_udp_link(check: Check[TagReader]) -> None:
    """A second path: no chip of the PN53x family, the tag answers the frames of ISO/IEC 14443-3 itself.

    nfcpy waits a second for a second tag there, so one tag must do.
    """
    tag = VirtualTag(uri=LINK)
    with udp(tag) as nfc:
        check.run(nfc)
    assert tag.uri() == LINK


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("make", USB_READERS, ids=lambda make: make.__name__)
def test_contract_over_usb_readers(
    make: Callable[..., VirtualAcr122 | VirtualPn533 | VirtualRcs380], check: Check[TagReader]
) -> None:
    bench = make(uri=LINK)
    with bench.on_the_bus() as url, open_nfc(url) as nfc:
        check.run(nfc)
        assert not bench.field_on, "the field stayed on: no phone can read the tag"
    assert bench.tag.uri() == LINK
