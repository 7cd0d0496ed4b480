"""The tag: page writes, endurance, commands and modelled time, ours against plain nfcpy on the same simulated tag.

    python -m benchmarks.nfc.bench_nfc

Nothing here is a measurement of this machine: counts are those of the simulated tag and reader, and time is the sum of
datasheet figures on the air (NTAG21x, ISO/IEC 14443-3) and of octets on the serial line. Peer: nfcpy's own way,
`tag.ndef.records = [...]`, over the same line at the same speed, from an open reader to a field that is off again.
Ours does more in that time: it checks the UID, looks for a second tag before it writes, reads the pages back, and where
the field goes off within a call it stays off for as long as tags may need to lose their power.

Write endurance: a dynamic tag, one payment after another, each with a link of its own (id, sum and checksum as
acquirers make them) written and cleared again. Ours is all 100,000 payments through the driver's planner and the tag's
own WRITE command; that this counts what the whole driver does is checked on the first of them. The peer is a sample
through all of nfcpy, scaled.
"""

from __future__ import annotations

import binascii
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ndef
import nfc.clf
import nfc.tag

from benchmarks.report import Row, finish, options
from sco_drivers import open_nfc
from sco_drivers.nfc import TagReader, uart
from sco_drivers.nfc.message import uri_message
from sco_drivers.nfc.transport import FIELD_OFF_S
from sco_drivers.nfc.type2 import NTAG213, Image, find_ndef, plan_message
from sco_sim.nfc.ntag import State, VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

LINK = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
ANOTHER_ID = LINK.replace("LJL2", "LJX9")
LINK_PAGES = 27  # TLV, record and terminator of a link of this length, from page 5 on
PAYMENTS = 100_000
# What the air alone takes: activation, and the fewest commands that do it.
RF_LIMIT_MS = {"full": 148.0, "one id": 24.0, "verify": 12.0}
_READ, _FAST_READ = 0x30, 0x3A
PEER = "nfcpy"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call took on the simulated reader and tag."""

    page_writes: int
    ms: float
    read_commands: int
    reader_commands: int


def measured(bench: VirtualReader, call: Callable[[], object], *, off_ms: float = 0.0) -> Cost:
    """What `call` takes; `off_ms` for each time that it switches the field off and on again."""
    bench.tag.page_writes.clear()
    bench.tag.commands.clear()
    bench.commands.clear()
    start, stretches = bench.modelled_us, bench.switched_on
    call()
    reads = bench.tag.commands[_READ] + bench.tag.commands[_FAST_READ]
    spent = (bench.modelled_us - start) / 1000 + off_ms * (bench.switched_on - stretches - 1)
    return Cost(sum(bench.tag.page_writes.values()), spent, reads, bench.commands.total())


def ours(baud: int, before: str, act: Callable[[TagReader], object]) -> Cost:
    with VirtualReader(uri=before) as bench, open_nfc(f"{bench.url}?baud={baud}") as reader:
        reader.read()  # the kind of tag is known from its first use on
        return measured(bench, lambda: act(reader), off_ms=FIELD_OFF_S * 1000)


def plain(frontend: nfc.clf.ContactlessFrontend, link: str | None) -> None:
    """nfcpy's own way to write `link`, to clear the tag (""), or to read it (None).

    It clears with an empty record: an empty list of records ends in an UnboundLocalError in nfcpy 1.0.4.
    """
    tag = nfc.tag.activate(frontend, frontend.sense(nfc.clf.RemoteTarget("106A")))
    if link is None:
        assert tag.ndef.octets
    else:
        tag.ndef.records = [ndef.UriRecord(link) if link else ndef.Record()]
    frontend.sense()  # without targets it switches the field off


def peer(baud: int, before: str, link: str | None) -> Cost:
    with VirtualReader(uri=before) as bench:
        frontend = uart.connect(uart.Line(str(bench.path)), baud)
        try:
            return measured(bench, lambda: plain(frontend, link))
        finally:
            frontend.close()


# --- write endurance --------------------------------------------------------------------------------------------------


def links(seed: int = 1) -> Iterator[str]:
    """Dynamic links as banks make them, each with its own id, sum and checksum."""
    chance = random.Random(seed)
    while True:
        name = "AD" + "".join(chance.choices(string.ascii_uppercase + string.digits, k=30))
        bare = f"https://qr.nspk.ru/{name}?type=02&bank=100000000001&sum={chance.randint(1_000, 2_000_000)}&cur=RUB"
        yield f"{bare}&crc={binascii.crc_hqx(bare.encode(), 0xFFFF):04X}"


def worn_by_plan(payments: int) -> Counter[int]:
    """Page writes of `payments` payments: the driver's planner, and the tag's own WRITE for each of its pages."""
    tag = VirtualTag()
    tag.state = State.ACTIVE
    image = Image(NTAG213, tag.pages)
    source = links()
    for _ in range(payments):
        for message in (uri_message(next(source)), b""):
            for page, data in plan_message(image, find_ndef(image), message).writes:
                answer = tag.exchange(bytes([0xA2, page]) + data)
                assert answer == b"\x0a"
    return tag.page_writes


def worn_by_driver(payments: int) -> Counter[int]:
    with VirtualReader() as bench, open_nfc(bench.url) as reader:
        source = links()
        for _ in range(payments):
            reader.write_uri(next(source))
            reader.clear()
        return bench.tag.page_writes


def worn_by_nfcpy(payments: int) -> Counter[int]:
    with VirtualReader() as bench:
        frontend = uart.connect(uart.Line(str(bench.path)), 921600)
        try:
            source = links()
            for _ in range(payments):
                plain(frontend, next(source))
                plain(frontend, "")
        finally:
            frontend.close()
        return bench.tag.page_writes


def wear_row(payments: int, sample: int) -> Row:
    assert worn_by_driver(sample) == worn_by_plan(sample), "the planner does not count what the driver does"
    busiest = max(worn_by_plan(payments).values()) * PAYMENTS / payments
    theirs = max(worn_by_nfcpy(sample).values()) * PAYMENTS / sample
    what = f"writes of the busiest page in {PAYMENTS:,} payments"
    return Row(
        "nfc",
        what if payments == PAYMENTS else f"{what}, from {payments:,}",
        "writes",
        busiest,
        theirs,
        f"{PEER}, from {sample}",
        2.0 * PAYMENTS,
        "link on, link off",
        "at most 1 x limit",
        busiest <= 2 * PAYMENTS,
    )


# --- all of it ------------------------------------------------------------------------------------------------------


def write_rows() -> list[Row]:
    rows = []
    for what, before, link, changed, goal, most in (
        ("the link it carries already", LINK, LINK, 0, "0", 0),
        ("another id in the link", LINK, ANOTHER_ID, 1, "changed + at most 2", 3),
        ("a whole link on an empty tag", "", LINK, LINK_PAGES, "all", LINK_PAGES),
    ):
        mine = ours(921600, before, lambda reader, link=link: reader.write_uri(link))  # type: ignore[misc]
        theirs = peer(921600, before, link)
        rows.append(
            Row(
                "nfc",
                f"page writes: {what}",
                "pages",
                mine.page_writes,
                theirs.page_writes,
                PEER,
                changed,
                "pages that differ",
                goal,
                mine.page_writes <= most,
            )
        )
    return rows


def time_rows(baud: int) -> list[Row]:
    rows = []
    for key, what, before, link in (
        ("full", "write a whole link", "", LINK),
        ("one id", "write a link with another id", LINK, ANOTHER_ID),
        ("verify", "write the link it carries already", LINK, LINK),
        ("verify", "verify", LINK, None),
    ):
        act: Callable[[TagReader], object] = (
            (lambda reader: reader.verify(LINK)) if link is None else (lambda reader, link=link: reader.write_uri(link))
        )
        mine, theirs, limit = ours(baud, before, act), peer(baud, before, link), RF_LIMIT_MS[key]
        judged = key == "full" and baud == 921600
        good = mine.ms < theirs.ms and (not judged or mine.ms <= 1.5 * limit)
        goal = "at most 1.5 x limit, and under the peer" if judged else "under the peer"
        rows.append(
            Row("nfc", f"{what}, {baud} baud, modelled", "ms", mine.ms, theirs.ms, PEER, limit, "RF alone", goal, good)
        )
    return rows


def command_rows() -> list[Row]:
    mine, theirs = ours(921600, LINK, lambda reader: reader.verify(LINK)), peer(921600, LINK, None)
    whole, whole_theirs = ours(921600, "", lambda reader: reader.write_uri(LINK)), peer(921600, "", LINK)
    return [
        Row(
            "nfc",
            "reading commands to the tag in a verification",
            "commands",
            mine.read_commands,
            theirs.read_commands,
            PEER,
            1,
            "one FAST_READ",
            "1",
            mine.read_commands == 1,
        ),
        Row(
            "nfc",
            "reader commands to write a whole link",
            "commands",
            whole.reader_commands,
            whole_theirs.reader_commands,
            PEER,
            LINK_PAGES + 3,  # find it, read it, read it back
            "one a tag command",
        ),
    ]


def main() -> None:
    chosen = options(__doc__ or "")
    payments, sample = (5_000, 10) if chosen.quick else (PAYMENTS, 50)
    rows = [*write_rows(), wear_row(payments, sample), *command_rows(), *time_rows(921600), *time_rows(115200)]
    finish(rows, chosen.json)


if __name__ == "__main__":
    main()
