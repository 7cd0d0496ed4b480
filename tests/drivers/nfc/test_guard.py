"""The guard over a simulated reader: what disables, what enables again, what is reported, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sco_drivers import open_nfc
from sco_drivers.nfc import ForeignTag, NoTag, SeveralTags, TagReader, UnsupportedTag, WrongContent
from sco_drivers.nfc.guard import GuardEvent, TagGuard
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

LINK = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
STRANGER = bytes.fromhex("04ffeeddccbbaa")


@pytest.fixture
def bench() -> Iterator[VirtualReader]:
    with VirtualReader(uri=LINK) as reader:
        yield reader


@pytest.fixture
def nfc(bench: VirtualReader) -> Iterator[TagReader]:
    with open_nfc(bench.url) as reader:
        yield reader


class Watch:
    def __init__(self, nfc: TagReader, uid: bytes, uri: str | None = LINK) -> None:
        self.events: list[GuardEvent] = []
        self.guard = TagGuard(uid, self.events.append)
        self._nfc, self._uri = nfc, uri

    def look(self) -> type[Exception] | None:
        problem = self.guard.check(self._nfc, self._uri)
        return None if problem is None else type(problem)


def test_a_tag_that_does_not_answer_is_reported_once_and_not_disabled(bench: VirtualReader, nfc: TagReader) -> None:
    watch = Watch(nfc, bench.tag.uid)
    assert watch.look() is None
    bench.tag.mute = True
    assert [watch.look(), watch.look(), watch.guard.disabled] == [NoTag, NoTag, False]
    bench.heal()
    assert watch.look() is None
    assert [(type(event.error), event.disabled) for event in watch.events] == [(NoTag, False), (type(None), False)]


def put_a_card_over(bench: VirtualReader) -> None:
    bench.tags[:] = [VirtualTag(uid=STRANGER, uri=LINK)]


def put_a_card_beside(bench: VirtualReader) -> None:
    bench.tags.append(VirtualTag(uid=STRANGER))


def erase_the_container(bench: VirtualReader) -> None:
    bench.tag.memory[12] = 0


@pytest.mark.parametrize(
    ("act", "error"),
    [(put_a_card_over, ForeignTag), (put_a_card_beside, SeveralTags), (erase_the_container, UnsupportedTag)],
)
def test_an_object_on_the_reader_disables_the_tag_until_two_good_checks(
    bench: VirtualReader, nfc: TagReader, act: Callable[[VirtualReader], None], error: type[Exception]
) -> None:
    ours = bench.tag
    watch = Watch(nfc, ours.uid)
    act(bench)
    assert [watch.look(), watch.look(), watch.guard.disabled, watch.guard.needs_attendant] == [
        error,
        error,
        True,
        False,
    ]
    bench.tags[:] = [ours]
    ours.memory[12] = 0xE1
    assert watch.look() is error  # well once is not enough
    assert watch.look() is None
    assert [(type(event.error), event.disabled) for event in watch.events] == [(error, True), (type(None), False)]


def test_good_checks_must_be_consecutive(bench: VirtualReader, nfc: TagReader) -> None:
    watch = Watch(nfc, bench.tag.uid)
    for _ in range(3):
        put_a_card_beside(bench)
        assert watch.look() is SeveralTags
        bench.tags.pop()
        assert watch.look() is SeveralTags
    assert watch.look() is None


@pytest.mark.parametrize("expected", [LINK, None])
def test_changed_content_disables_the_tag_until_an_attendant_enables_it(
    bench: VirtualReader, nfc: TagReader, expected: str | None
) -> None:
    if expected is None:
        nfc.clear()
    watch = Watch(nfc, bench.tag.uid, expected)
    assert watch.look() is None
    bench.tag.put_uri("https://evil.example/")
    assert watch.look() is WrongContent
    assert watch.guard.needs_attendant
    put_a_card_beside(bench)
    watch.look()
    bench.tags.pop()
    nfc.write_uri(expected) if expected else nfc.clear()
    assert [watch.look() for _ in range(4)] == [WrongContent] * 4
    assert isinstance(watch.guard.reason, WrongContent)
    watch.guard.enable()
    assert watch.look() is None
    assert [type(event.error) for event in watch.events if event.needs_attendant][:1] == [WrongContent]
