"""Each trace in this folder still fits the drivers, gives nothing away, and a change in it is noticed and named.

To add one, put it here: a file `NAME.trace`. `make.py` makes those of our simulators again.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sco_sim import VirtualPrinter, codes_in
from sco_sim.replay.run import play
from sco_sim.replay.trace import BadTrace, read_trace
from tests.traces import make
from tests.traces.kit import MUTATIONS, Mutation, flipped, lines_of, octets_of, write

PATHS = sorted(Path(__file__).parent.glob("*.trace"))
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
OURS = [path for path in PATHS if path.stem in make.TRACES]
MOST = 5
"""Places in a trace at which each change is tried."""


_ABS = 3
_ACROSS = ((_ABS, 0x00), (_ABS, 0x35))


def spread(places: list[int]) -> list[int]:
    """At most `MOST` of them, from the first to the last."""
    if len(places) <= MOST:
        return places
    return [places[round(number * (len(places) - 1) / (MOST - 1))] for number in range(MOST)]


@each
def test_the_driver_does_what_it_did_when_the_trace_was_recorded(path: Path) -> None:
    for played in play(path):
        assert not played.difference
        assert not played.note
        assert played.calls == sum("call" in one.says for one in played.recording.entries) > 0


def test_each_trace_that_can_be_made_again_is_here() -> None:
    assert {path.stem for path in OURS} == set(make.TRACES)


@each
def test_a_line_that_was_changed_by_hand_is_named(path: Path, tmp_path: Path) -> None:
    octets = path.read_bytes()
    lines = octets.splitlines(keepends=True)
    for at in spread(list(range(1, len(lines) - 1))):
        damaged = {
            "flipped": b"".join([*lines[:at], lines[at].replace(b'"t":', b'"t":1', 1), *lines[at + 1 :]]),
            "dropped": b"".join([*lines[:at], *lines[at + 1 :]]),
            "inserted": b"".join([*lines[: at + 1], *lines[at:]]),
            "reordered": b"".join([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]),
        }
        for name, content in damaged.items():
            changed = tmp_path / name
            changed.write_bytes(content)
            with pytest.raises(BadTrace, match=rf"line ({at + 1}|{at + 2}) was changed"):
                read_trace(changed)


@each
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_change_in_what_was_sent_is_the_first_difference(path: Path, mutation: Mutation, tmp_path: Path) -> None:
    original = lines_of(path)
    places = [at for at, one in enumerate(original) if one.get(">")]
    if not places:
        assert path.stem.startswith("touch") or path.stem == "display-takes-no-data"
        return
    for at in spread(places):
        lines = [dict(one) for one in original]
        mutation(lines, at)
        difference = next((one.difference for one in play(write(tmp_path / "changed", lines)) if one.difference), "")
        assert re.search(r"line \d+.*: expected .*, got ", difference), f"line {at + 1}: {difference!r}"
        named = int(re.search(r"line (\d+)", difference)[1])  # type: ignore[index]
        assert named >= at, f"line {at + 1} was changed, and {difference!r} is earlier"
        if mutation is flipped:
            assert named == at + 1
            assert re.search(r"(octet|frame|APDU) \d+", difference)


@each
def test_another_answer_never_leads_to_anything_but_a_difference(path: Path, tmp_path: Path) -> None:
    original = lines_of(path)
    for at in spread([at for at, one in enumerate(original) if one.get("<")]):
        lines = [dict(one) for one in original]
        flipped(lines, at, "<")
        for played in play(write(tmp_path / "changed", lines)):
            assert played.difference or played.calls == sum("call" in one for one in lines)


@pytest.mark.parametrize("path", [path for path in PATHS if path.stem.startswith("touch")], ids=lambda path: path.stem)
def test_other_events_of_a_panel_are_the_first_tap_that_differs(path: Path, tmp_path: Path) -> None:
    original = lines_of(path)
    taps = [at for at, one in enumerate(original) if "tap" in one]
    assert taps
    for number, tap in enumerate(taps, 1):
        before = max((one for one in taps if one < tap), default=0)
        moved = [dict(one) for one in original]
        for one in moved[before:tap]:
            if "events" in one:
                one["events"] = [
                    [at, kind, code, (value + 2000) % 4096 if (kind, code) in _ACROSS else value]
                    for at, kind, code, value in one["events"]
                ]
        (played,) = play(write(tmp_path / "moved", moved))
        assert f"line {tap + 1}: expected tap {number} at" in played.difference
        (played,) = play(write(tmp_path / "gone", [one for at, one in enumerate(original) if at != tap]))
        assert f"expected tap {number} at" in played.difference or "got another one" in played.difference
        quiet = [one for at, one in enumerate(original) if "events" not in one or not before < at < tap]
        (played,) = play(write(tmp_path / "quiet", quiet))
        assert played.difference


# --- nothing is given away ---


def encodings(secret: str | bytes) -> Iterator[bytes]:
    """All that a wire, or this file, might make of it."""
    octets = [secret] if isinstance(secret, bytes) else []
    if isinstance(secret, str):
        for codec in ("utf-8", "cp866", "cp1251", "cp855", "koi8-r", "utf-16-le", "utf-16-be"):
            octets.append(secret.encode(codec))
        start = "https://"
        if secret.startswith(start):
            octets.append(secret.removeprefix(start).encode())  # as the NDEF record has it
            octets.append(secret.rpartition("/")[2].encode())
    for one in octets:
        yield one
        yield one.hex().encode()
        yield one.hex().upper().encode()
        yield one.hex(" ").encode()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_no_secret_is_in_a_trace_in_any_encoding(path: Path) -> None:
    lines = lines_of(path)
    streams = [path.read_bytes(), octets_of(lines, ">"), octets_of(lines, "<")]
    for secret in make.SECRETS:
        for form in encodings(secret):
            assert not any(form in stream for stream in streams), form


def pages_written(lines: list[dict[str, object]]) -> bytes:
    """What the frames write to and read from a tag's pages, as its memory would have it: page after page."""
    memory: dict[int, bytes] = {}
    for one in lines:
        for key in (">", "<"):
            octets = bytes.fromhex(str(one.get(key, "")))
            for found in re.finditer(rb"\xa2(.)(....)", octets, re.DOTALL):
                memory[found[1][0]] = found[2]
            for found in re.finditer(rb"\xff\xd6\x00(.)\x04(....)", octets, re.DOTALL):
                memory[found[1][0]] = found[2]
    return b"".join(memory[page] for page in sorted(memory))


@pytest.mark.parametrize("path", [path for path in OURS if path.stem.startswith("nfc")], ids=lambda path: path.stem)
def test_no_link_is_on_the_pages_of_a_tag(path: Path) -> None:
    lines = lines_of(path)
    written, read = pages_written(lines), octets_of(lines, "<")
    assert written
    for link in (make.LINK, make.OLD):
        identity = link.split("/")[-1].split("?")[0].encode()
        pieces = [identity[at : at + 8] for at in range(len(identity) - 7)]
        assert not any(piece in written or piece in read for piece in pieces)
    for part in (make.UID[1:4], make.UID[3:]):
        assert part not in octets_of(lines, "<")


@pytest.mark.parametrize("path", [path for path in OURS if path.stem.startswith("printer")], ids=lambda path: path.stem)
def test_no_code_of_the_real_link_is_drawn_on_the_paper_of_a_trace(path: Path) -> None:
    with VirtualPrinter(paper_mm=58 if "raster" in path.stem else 80) as paper:
        with socket.create_connection(("127.0.0.1", int(paper.url.rpartition(":")[2]))) as wire:
            wire.sendall(octets_of(lines_of(path), ">") + b"\n\n\n")
            paper.wait_for(lambda one: one.bytes_received >= len(octets_of(lines_of(path), ">")), 20)
        paper.wait_idle(20)
        codes = [code for one in paper.tickets for code in codes_in(one.image())]
        texts = paper.text
    assert make.LINK not in codes
    assert "Ромашка" not in texts
    if path.stem in ("printer-raster", "printer-tcp"):
        assert codes, "the trace shows a code of the same size"
