# ruff: noqa: PT017  (a mumbling reader may or may not fail a call)
"""Whatever a tag's memory holds and whatever octets a reader says: our errors, no write outside the data area."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceError
from sco_drivers.nfc import NfcError
from sco_drivers.nfc.message import uri_message, uri_of
from sco_drivers.nfc.type2 import (
    NTAG213,
    NTAG215,
    Image,
    Model,
    NotNdef,
    TooLong,
    find_ndef,
    message_in,
    needs_pages,
    plan_message,
)
from sco_sim.nfc.framed_reader import FramedReader
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.rcs380 import VirtualRcs380

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
# Octets that mean something in a data area come often.
TELLING = st.sampled_from([0x00, 0x01, 0x02, 0x03, 0x04, 0xFD, 0xFE, 0xFF, 0xD1, 0x55, 0x0A])
MEMORY = st.lists(st.one_of(TELLING, st.integers(0, 255)), min_size=144, max_size=144).map(bytes)
LINKS = st.sampled_from(["", OLD, NEW, "https://a/", "https://example.org/" + "x" * 115])


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    MEMORY,
    st.one_of(st.just(b"\xe1\x10\x12\x00"), st.binary(min_size=4, max_size=4)),
    st.sampled_from([None, NTAG213, NTAG215]),
    LINKS,
)
def test_any_memory_is_refused_or_takes_the_link_within_its_data_area(
    data: bytes, container: bytes, model: Model | None, link: str
) -> None:
    memory = bytearray(12) + container + data + bytes(540 - 160)
    pages = {page: bytes(memory[page * 4 : page * 4 + 4]) for page in range(len(memory) // 4)}
    message = uri_message(link) if link else b""
    try:
        image = Image(model, pages)
        layout = find_ndef(image)
        assert layout.length >= 0
        uri_of(message_in(image, layout))
        plan = plan_message(image, layout, message)
    except (NotNdef, TooLong):
        return
    except KeyError:
        assert image.data_end > len(memory), "a page outside the tag was asked for"
        return
    for page, octets in plan.writes:
        assert len(octets) == 4
        assert 4 <= page < layout.end // 4
        assert page < needs_pages(layout, message)
        pages[page] = octets
    after = find_ndef(Image(model, pages))
    assert (message_in(Image(model, pages), after), after.in_place) == (message, True)
    assert plan_message(Image(model, pages), after, message).writes == []


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(MEMORY)
def test_a_tag_with_any_memory_over_the_wire(data: bytes) -> None:
    tag = VirtualTag()
    tag.memory[16:160] = data
    with VirtualReader(tag) as bench, open_nfc(bench.url) as nfc:
        assert nfc.write_uri(OLD).uri == OLD
        assert tag.uri() == OLD
        assert nfc.clear().uri is None
        assert tag.uri() is None


class _Mumbling(FramedReader):
    """Its octets arrive cut, doubled, changed or made up. Over a real class of readers."""

    chance: random.Random | None = None

    def _send(self, frame: bytes) -> None:
        chance = self.chance
        if chance is None or chance.random() < 0.6:
            super()._send(frame)
            return
        mangled = bytearray(frame)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(mangled) + 1)
            match chance.randrange(5):
                case 0:
                    del mangled[at:]
                case 1:
                    mangled[at:at] = chance.randbytes(chance.randint(1, 20))
                case 2:
                    mangled[at : at + 1] = chance.randbytes(1)
                case 3:
                    mangled[at:at] = mangled[: chance.randint(0, len(mangled))]
                case 4:  # a whole frame with a right checksum, and nonsense in it
                    mangled = bytearray(
                        self._information(bytes([self.TO_HOST]) + chance.randbytes(chance.randint(0, 12)))
                    )
        if mangled:
            super()._send(bytes(mangled))


class _MumblingLine(_Mumbling, VirtualReader):
    pass


class _MumblingStick(_Mumbling, VirtualPn533):
    pass


class _MumblingPad(_Mumbling, VirtualRcs380):
    pass


def mumbled_at(bench: _Mumbling, url: str, seed: int) -> None:
    """Calls to a reader that mumbles, then to one that does no longer."""
    with open_nfc(url) as nfc:
        bench.chance = random.Random(seed)
        for call in (nfc.read, lambda: nfc.verify(OLD), lambda: nfc.write_uri(NEW), nfc.clear):
            try:
                call()
            except (DeviceError, NfcError) as error:
                assert error.url == url
        bench.chance = None
        assert nfc.write_uri(OLD).uri == OLD
        assert bench.tag.uri() == OLD
        assert not bench.field_on


@pytest.mark.parametrize("seed", range(12))
def test_a_reader_that_sends_garbage_gives_typed_errors_and_is_usable_again(seed: int) -> None:
    with _MumblingLine(uri=OLD) as bench:
        mumbled_at(bench, bench.url, seed)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("make", [_MumblingStick, _MumblingPad])
def test_a_usb_reader_that_sends_garbage_gives_typed_errors_and_is_usable_again(
    make: type[_MumblingStick] | type[_MumblingPad], seed: int
) -> None:
    bench = make(uri=OLD)
    with bench.on_the_bus() as url:
        mumbled_at(bench, url, seed)
