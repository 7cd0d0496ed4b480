"""Answers are distinguished by their fixed bits, whatever comes between them and however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_drivers.printer import PrinterStatus, SensorState
from sco_drivers.printer.replies import (
    Asb,
    Cleared,
    FullStatus,
    Identity,
    InOrder,
    ProcessId,
    RealTime,
    Reply,
    ReplyReader,
    presenter_of,
    with_asb,
    with_real_time,
)

YES, NO, UNKNOWN = SensorState.YES, SensorState.NO, SensorState.UNKNOWN
SENSORS = ("online", "cover_open", "paper_out", "paper_near_end", "cutter_error", "unrecoverable_error")


def changed(before: PrinterStatus, after: PrinterStatus) -> dict[str, SensorState]:
    return {
        name: getattr(after, name) for name in before.__slots__ if getattr(after, name) is not getattr(before, name)
    }


@pytest.mark.parametrize(
    ("n", "byte", "says"),
    [
        (1, 0x12, {"online": YES}),
        (1, 0x1A, {"online": NO}),
        (2, 0x12, {"cover_open": NO}),
        (2, 0x16, {"cover_open": YES}),
        (3, 0x12, {"cutter_error": NO, "unrecoverable_error": NO, "recoverable_error": NO}),
        (3, 0x1A, {"cutter_error": YES, "unrecoverable_error": NO, "recoverable_error": NO}),
        (3, 0x32, {"cutter_error": NO, "unrecoverable_error": YES, "recoverable_error": NO}),
        (3, 0x52, {"cutter_error": NO, "unrecoverable_error": NO, "recoverable_error": YES}),
        (4, 0x12, {"paper_near_end": NO, "paper_out": NO}),
        (4, 0x1E, {"paper_near_end": YES, "paper_out": NO}),
        (4, 0x7E, {"paper_near_end": YES, "paper_out": YES}),
    ],
)
def test_real_time_status(n: int, byte: int, says: dict[str, SensorState]) -> None:
    assert changed(PrinterStatus(), with_real_time(PrinterStatus(), n, byte)) == says


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x10\x00\x00\x00", {}),
        (b"\x18\x00\x00\x00", {"online": NO}),
        (b"\x38\x00\x00\x00", {"online": NO, "cover_open": YES}),
        (b"\x18\x08\x00\x00", {"online": NO, "cutter_error": YES}),
        (b"\x18\x20\x00\x00", {"online": NO, "unrecoverable_error": YES}),
        (b"\x18\x40\x00\x00", {"online": NO, "recoverable_error": YES}),
        (b"\x10\x00\x03\x00", {"paper_near_end": YES}),
        (b"\x18\x00\x0f\x00", {"online": NO, "paper_near_end": YES, "paper_out": YES}),
    ],
)
def test_automatic_status(data: bytes, says: dict[str, SensorState]) -> None:
    well = PrinterStatus(YES, NO, NO, NO, NO, NO, NO)
    assert changed(well, with_asb(PrinterStatus(), data)) == says


def test_the_presenter() -> None:
    assert (presenter_of(b"\x20\0\0\0").ticket_in_output, presenter_of(b"\0\0\x40\0").jammed) == (YES, YES)
    assert (presenter_of(bytes(4)).ticket_in_output, presenter_of(bytes(4)).jammed) == (NO, NO)


ANSWERS: list[tuple[bytes, Reply]] = [
    (b"\x16", RealTime(0x16)),
    (b"\x14\x00\x03\x00", Asb(b"\x14\x00\x03\x00")),
    (b"\x37\x22AB12\x00", ProcessId(b"AB12")),
    (b"\x37\x25\x00", Cleared()),
    (b"_TM-T88V\x00", Identity("TM-T88V")),
]
FLOW = [b"\x11", b"\x13", b""]


@given(st.lists(st.sampled_from(ANSWERS), max_size=12), st.lists(st.sampled_from(FLOW), max_size=13), st.data())
def test_any_order_and_any_cut(answers: list[tuple[bytes, Reply]], flow: list[bytes], data: st.DataObject) -> None:
    flow += [b""] * (len(answers) + 1 - len(flow))
    stream = b"".join(between + octets for between, (octets, _) in zip(flow, answers, strict=False))
    reader, replies = ReplyReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        replies += reader.feed(stream[:size])
        stream = stream[size:]
    assert replies == [reply for _, reply in answers]
    assert [type(reply) for reply in replies] == [type(reply) for _, reply in answers]
    assert reader.noise == 0


@given(st.binary(max_size=300), st.integers(0, 2), st.booleans())
def test_noise_neither_raises_nor_piles_up(noise: bytes, in_order: int, full: bool) -> None:
    reader = ReplyReader()
    reader.expecting_in_order, reader.expecting_full_status = in_order, full
    replies = reader.feed(noise)
    assert sum(isinstance(reply, InOrder) for reply in replies) <= in_order
    assert sum(isinstance(reply, FullStatus) for reply in replies) <= full
    assert len(reader._buffer) < 100
    # What a printer sends after it is read, once what was cut short has been pushed out.
    reader.feed(b"\xff" * 100)
    assert reader.feed(b"\x37\x22DONE\x00") == [ProcessId(b"DONE")]


@given(st.binary(max_size=64))
def test_a_process_id_is_never_made_of_noise(noise: bytes) -> None:
    wanted = ProcessId(b"Q7Z2")
    if b"\x37\x22Q7Z2\x00" not in noise:
        assert wanted not in ReplyReader().feed(noise)
