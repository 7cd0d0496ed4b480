# ruff: noqa: PT017  (a tear may or may not surface: the sweep needs both branches)
"""A tag that loses its power in the middle of a write: at every page, and in the middle of a page's own programming.

First the plan alone on the simulated tag's memory, so that thousands of tears are tried; then the driver over the wire.
What a phone finds is judged by the simulated tag, which shares no code with the driver.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import pytest

from sco_drivers import open_nfc
from sco_drivers.nfc import TagWriteFailed, WrongContent
from sco_drivers.nfc.message import uri_message
from sco_drivers.nfc.type2 import MODELS, Image, Plan, find_ndef, plan_message
from sco_sim.nfc.ntag import TEARS, VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
ONE_ID = OLD.replace("LJL2", "LJX9")
SHORT = "https://example.org/"
LONG = OLD + "&more=" + "0123456789"
HUGE = "https://example.org/" + "z" * 300
CHANGES = [(OLD, ONE_ID), (OLD, SHORT), (SHORT, OLD), (OLD, LONG), (LONG, SHORT), ("", OLD), (OLD, "")]
HUGE_CHANGES = [(OLD, HUGE), (HUGE, OLD), (HUGE, HUGE + "y"), (HUGE, ""), ("", HUGE)]
NOISE = [random.Random(seed).randbytes(4) for seed in range(10)]


BY_PRODUCT = {model.product: model for model in MODELS}
message_of = cache(uri_message)  # of few links, and asked for thousands of times


def image_of(tag: VirtualTag) -> Image:
    return Image(BY_PRODUCT[tag.product], tag.pages)


def planned(tag: VirtualTag, uri: str) -> Plan:
    image = image_of(tag)
    return plan_message(image, find_ndef(image), message_of(uri) if uri else b"")


def carry_out(tag: VirtualTag, plan: Plan) -> None:
    for page, data in plan.writes:
        tag.memory[page * 4 : page * 4 + 4] = data


def leftovers(old: bytes, new: bytes, *, head: bool) -> Iterator[bytes]:
    """What the torn page may hold: untouched, each of `TEARS`; the page of type and length also each octet alone
    changed, and noise."""
    yield old
    for left in TEARS.values():
        yield left(old, new)
    for i in range(4 if head else 0):
        yield old[:i] + new[i : i + 1] + old[i + 1 :]
        yield new[:i] + old[i : i + 1] + new[i + 1 :]
    yield from NOISE[: None if head else 2]


def blank(product: str) -> VirtualTag:
    """As some tags are sold: formatted, and all zero."""
    tag = VirtualTag(product)
    tag.memory[16:24] = bytes(8)
    return tag


def tags(product: str) -> list[VirtualTag]:
    return [VirtualTag(product), blank(product), formatted_otherwise(product), formatted_in_between(product)]


def formatted_otherwise(product: str) -> VirtualTag:
    """Type and length of the TLV in different pages, after NULL TLVs."""
    tag = VirtualTag(product)
    tag.memory[16:24] = b"\x00\x00\x00\x03\x00\xfe\x00\x00"
    return tag


def formatted_in_between(product: str) -> VirtualTag:
    """The same after a control TLV: the message must begin one byte later, and the byte before it be a NULL TLV."""
    tag = VirtualTag(product)
    tag.memory[16:28] = b"\x00\x00" + bytes.fromhex("0103e81066") + b"\x03\x00\xfe\x00\x00"
    return tag


@pytest.mark.parametrize("product", ["ntag213", "ntag215", "ntag216"])
def test_no_tear_leaves_a_mixed_link_and_the_next_write_or_clear_repairs_it(product: str) -> None:
    tears = 0
    for tag in tags(product):
        factory = bytes(tag.memory)
        for old, new in CHANGES + (HUGE_CHANGES if product != "ntag213" else []):
            tag.memory[:] = factory
            if old:
                carry_out(tag, planned(tag, old))
            before = bytes(tag.memory)
            writes = planned(tag, new).writes
            assert writes
            for torn, (page, data) in enumerate(writes):
                at = page * 4
                for left in leftovers(bytes(tag.memory[at : at + 4]), data, head=page <= 7):
                    tears += 1
                    tag.memory[at : at + 4] = left
                    assert (tag.uri() or "") in (old, new, ""), f"{old} -> {new}, torn at {torn} of {writes}: {left!r}"
                    kept = bytes(tag.memory)
                    for then in {new, ""}:
                        carry_out(tag, planned(tag, then))
                        assert (tag.uri() or "") == then, f"{old} -> {new}, torn at {torn}: {left!r}, not repaired"
                        assert find_ndef(image_of(tag)).in_place
                        assert not planned(tag, then).writes
                        tag.memory[:] = kept
                tag.memory[:] = before
                carry_out(tag, Plan(writes[: torn + 1], [], []))
            assert (tag.uri() or "") == new
    assert tears > 1500


def test_a_repaired_tag_has_its_factory_control_tlv_again() -> None:
    tag = VirtualTag(uri=OLD)
    control = bytes(tag.memory[16:21])
    for left in NOISE:
        tag.memory[20:24] = left
        carry_out(tag, planned(tag, ONE_ID))
        assert tag.memory[16:21] == control
        assert find_ndef(image_of(tag)).place == 21


@pytest.mark.parametrize("how", ["untouched", *TEARS])
@pytest.mark.parametrize(("product", "old", "new"), [("ntag213", OLD, ONE_ID), ("ntag215", OLD, SHORT)])
def test_the_driver_reports_what_a_torn_tag_may_carry_and_repairs_it(
    product: str, old: str, new: str, how: str
) -> None:
    with VirtualReader(VirtualTag(product)) as bench, open_nfc(bench.url + "?attempts=1") as nfc:
        tag = bench.tag
        for cut in range(40):
            nfc.write_uri(old)
            tag.tear(cut, TEARS.get(how))
            try:
                nfc.write_uri(new)
            except TagWriteFailed as error:
                assert (tag.uri() or "") in error.may_carry
                assert set(error.may_carry) <= {old, new, ""}
                contents = nfc.read()
                assert contents.uri == tag.uri()
                if contents.uri != new:
                    with pytest.raises(WrongContent):
                        nfc.verify(new)
                assert (nfc.write_uri(new).uri if cut % 2 else nfc.clear().uri) == tag.uri()
                assert tag.uri() == (new if cut % 2 else None)
            else:
                assert cut > 2
                return
    pytest.fail("the write never ended")


def test_one_tear_is_repaired_by_the_second_attempt() -> None:
    for left in (None, *TEARS.values()):
        for cut in range(4):
            with VirtualReader(uri=OLD) as bench, open_nfc(bench.url) as nfc:
                bench.tag.tear(cut, left)
                assert nfc.write_uri(ONE_ID).uri == ONE_ID
                assert bench.tag.uri() == ONE_ID
