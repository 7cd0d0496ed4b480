"""`record+URL`: what is written, what is not, and that the device's work goes on whatever becomes of the trace."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sco_drivers import DisplayedCode, check_url, open_display, open_nfc, open_printer, open_screen
from sco_drivers.errors import BadDeviceUrl, DeviceNotFound
from sco_drivers.nfc import TagReader
from sco_drivers.printer import Document, Line, Printer, PrintOutcome, Raw, Ticket
from sco_drivers.record import file
from sco_drivers.record.octets import Disguises
from sco_drivers.record.values import from_plain, outcome, plain
from sco_drivers.record.veil import Veil
from sco_drivers.urls import DeviceUrl
from sco_sim import VirtualDisplay, VirtualPrinter, codes_in
from sco_sim.replay.run import play
from sco_sim.replay.trace import read_trace
from tests.traces.kit import lines_of, octets_of

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


def ticket(name: str = "order-1") -> Ticket:
    return Ticket(name, LINK, (Line("ООО Ромашка"),))


# --- the URL ---


def test_a_recorded_device_is_the_device_that_its_url_without_record_names(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    url = DeviceUrl.parse(f"record+tcp://10.0.0.5:9100?profile=TM-T88V&trace={trace}&status_s=1")
    assert (url.text, url.trace) == ("tcp://10.0.0.5:9100?profile=TM-T88V&status_s=1", str(trace))
    assert dict(url.params) == {"profile": "TM-T88V", "status_s": "1"}
    for prefixes in ("spy+record+", "record+spy+"):
        both = DeviceUrl.parse(f"{prefixes}sim://?trace={trace}")
        assert (both.spied, both.trace, both.text) == (True, str(trace), "sim://")


@pytest.mark.parametrize(
    ("kind", "url", "words"),
    [
        ("printer", "record+sim://", "record+ without trace=FILE"),
        ("printer", "record+sim://?trace=", "record+ without trace=FILE"),
        ("printer", "sim://?trace=/tmp/x", "unknown parameter trace"),
        ("screen", "record+sim://?trace=/tmp/x", "a screen has no wire to record"),
        ("touch", "record+none://?trace=/tmp/x", "cannot be recorded"),
        ("nfc", "record+udp://?trace=/tmp/x", "cannot be recorded"),
    ],
)
def test_what_cannot_be_recorded_is_refused_when_the_url_is_checked(kind: str, url: str, words: str) -> None:
    found = check_url(kind, url)  # type: ignore[arg-type]
    assert any(words in str(error) for error in found)
    if kind == "screen":
        with pytest.raises(BadDeviceUrl, match=words):
            open_screen(url)


def test_it_is_a_device_of_its_kind_and_changes_nothing(tmp_path: Path) -> None:
    with open_printer(f"record+sim://?trace={tmp_path / 'a'}") as printer:
        assert isinstance(printer, Printer)
        result = printer.print_ticket(ticket())
        assert result.outcome is PrintOutcome.PRINTED
        paper = printer.simulator  # type: ignore[attr-defined]
        assert [code for one in paper.tickets for code in codes_in(one.image())] == [LINK]
        assert "Ромашка" in paper.text
        with printer.escpos("order-2") as p:
            p.text("hello\n")
        assert p.result is not None
        assert p.result.outcome is PrintOutcome.PRINTED
    with open_nfc(f"record+sim://?trace={tmp_path / 'b'}") as nfc:
        assert isinstance(nfc, TagReader)
        assert nfc.write_uri(LINK).uri == LINK
        assert nfc.simulator.tag.uri() == LINK  # type: ignore[attr-defined]


# --- the file ---


def test_the_file_is_the_users_own_and_each_opening_is_added_to_it(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    for _ in range(2):
        with open_display(f"record+sim://?trace={trace}") as display:
            display.clear()
    assert trace.stat().st_mode & 0o777 == 0o600
    first, second = read_trace(trace)
    assert first.whole
    assert second.whole
    assert (first.kind, first.url, second.number) == ("display", "mertech:///dev/device", 2)


@pytest.mark.parametrize("place", ["no/such/folder/a", "fifo", "link", "folder", "/dev/full"])
def test_a_trace_that_cannot_be_opened_is_an_error_in_the_log_and_the_device_works(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with caplog.at_level(logging.ERROR), open_printer(f"record+sim://?trace={tmp_path / place}") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
    assert f"the trace {tmp_path / place} cannot be written" in caplog.text
    assert (tmp_path / "target").read_text() == "precious"


def test_a_full_disk_ends_the_trace_with_an_error_and_not_the_printing(tmp_path: Path) -> None:
    """The kernel refuses the file's growth, as it does on a full disk."""
    trace = tmp_path / "a.trace"
    code = textwrap.dedent(f"""
        import logging, resource
        from sco_drivers import open_printer
        from tests.drivers.test_record import ticket
        logging.basicConfig()
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
        with open_printer("record+sim://?trace={trace}") as printer:
            print(printer.print_ticket(ticket()).outcome.value)
            print(printer.print_ticket(ticket("order-2")).outcome.value)
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout.split() == ["printed", "printed"], ran.stderr
    assert ran.stderr.count("ends here (File too large); the device works on without it") == 1
    assert "Traceback" not in ran.stderr
    (recording,) = read_trace(trace)
    assert not recording.whole
    assert recording.entries


def test_a_trace_ends_at_its_largest_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "MAX_BYTES", 1 << 10)
    with caplog.at_level(logging.ERROR), open_printer(f"record+sim://?trace={tmp_path / 'a'}") as printer:
        for number in range(3):
            assert printer.print_ticket(ticket(f"order-{number}")).outcome is PrintOutcome.PRINTED
    assert (tmp_path / "a").stat().st_size <= 1 << 10
    assert caplog.text.count("ends here") == 1


def test_a_killed_program_leaves_a_trace_that_can_be_read_and_replayed_up_to_there(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    code = textwrap.dedent(f"""
        import time
        from sco_drivers import open_printer
        from tests.drivers.test_record import ticket
        printer = open_printer("record+sim://?trace={trace}")
        printer.print_ticket(ticket())
        print("printed", flush=True)
        while True:
            printer.status()
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "printed\n"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    with trace.open("ab") as torn:
        torn.write(b'{"t":1.5,">":"10')  # what the kernel had of a line when the power failed
    (recording,) = read_trace(trace)
    assert not recording.whole
    (played,) = play(trace)
    assert not played.difference
    assert played.calls >= 1
    assert played.note == "the trace was cut off"
    with open_printer(f"record+sim://?trace={trace}") as printer:  # the lane starts again
        printer.status()
    assert [one.whole for one in read_trace(trace)] == [False, True]


def test_trouble_of_the_recorder_itself_ends_the_trace_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Disguises, "shown", broken)
    monkeypatch.setattr(Veil, "document", broken)
    with caplog.at_level(logging.ERROR), open_printer(f"record+sim://?trace={tmp_path / 'a'}") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
    assert "ends here (RuntimeError in sent)" in caplog.text


def test_a_device_that_cannot_be_opened_leaves_its_error_in_the_trace(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    with pytest.raises(DeviceNotFound):
        open_printer(f"record+serial:///dev/no-such-line?trace={trace}")
    (recording,) = read_trace(trace)
    assert recording.entries[-1].says["end"] == "DeviceNotFound"
    (played,) = play(trace)
    assert not played.difference


# --- what is shown ---


def test_the_same_link_is_the_same_throughout_a_trace_and_another_in_the_next(tmp_path: Path) -> None:
    shown = []
    for name in ("a", "b"):
        with VirtualDisplay() as simulator, open_display(f"record+{simulator.url}?trace={tmp_path / name}") as display:
            display.show_code(DisplayedCode(LINK))
            display.show_code(DisplayedCode(LINK))
        links = [one["args"][0]["link"] for one in lines_of(tmp_path / name) if "call" in one]
        assert links[0] == links[1] != LINK
        assert len(links[0]) == len(LINK)
        assert links[0].startswith("https://qr.nspk.ru/")
        shown.append(links[0])
    assert shown[0] != shown[1]


def test_octets_that_nobody_announced_are_not_shown() -> None:
    disguises = Disguises()
    secret = b"the shop's own words, sent by a driver that announced something else"
    assert disguises.shown(secret) is None
    disguises.add(b"abc", b"xyz")
    assert disguises.shown(b"a") == b"x"
    assert disguises.shown(b"bc\x10\x04\x01") == b"yz\x10\x04\x01"
    disguises.add(b"abcdef", None)
    assert disguises.shown(b"abcdef") is None
    disguises.add(b"longer", b"short")
    assert disguises.shown(b"longer") is None


def test_commands_that_somebody_else_made_are_replaced_too(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    with VirtualPrinter() as simulator, open_printer(f"record+{simulator.url}?trace={trace}") as printer:
        printer.print_document(Document("order-1", (Raw(b"words of the shop\n"),)))
    assert b"words of the shop" not in octets_of(lines_of(trace), ">")
    (played,) = play(trace)
    assert not played.difference
    assert played.calls == 1


def test_what_has_no_like_is_withheld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise ValueError("no like")

    monkeypatch.setattr(Veil, "document", none)
    trace = tmp_path / "a.trace"
    with VirtualPrinter() as simulator, open_printer(f"record+{simulator.url}?trace={trace}") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
    lines = lines_of(trace)
    assert any(one.get("withheld") for one in lines)
    assert LINK.encode() not in trace.read_bytes() + octets_of(lines, ">")
    (played,) = play(trace)
    assert not played.difference
    assert "cannot be made again" in played.note


def test_the_list_of_what_was_replaced_names_kind_and_place_and_nothing_else(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    with open_printer(f"record+sim://?trace={trace}") as printer:
        printer.print_ticket(ticket())
        printer.health()
    (recording,) = read_trace(trace)
    kinds = {kind for kind, _, _ in recording.redactions}
    assert kinds == {"link", "order number", "words", "serial number"}
    assert all(where and line > 1 for _, where, line in recording.redactions)


def test_arguments_survive_the_trace() -> None:
    for value in (ticket(), Document("d", (Raw(b"\x00\xff"), Line("x"))), DisplayedCode(LINK), b"\x04", None, 1.5, "x"):
        assert from_plain(json.loads(json.dumps(plain(value)))) == value
    with pytest.raises(ValueError, match="not an argument"):
        from_plain({"is": "DeviceUrl"})
    with pytest.raises(TypeError):
        plain(object())
    assert outcome(ValueError("a secret")) == {"error": "ValueError"}


def test_recording_costs_a_ticket_less_than_its_printing(tmp_path: Path) -> None:
    """A line takes microseconds, the like of a ticket as long as the ticket: the till notices neither."""
    with VirtualPrinter() as simulator, open_printer(f"record+{simulator.url}?trace={tmp_path / 'a'}") as printer:
        printer.print_ticket(ticket("warm"))
        began = time.monotonic()
        printer.print_ticket(ticket("timed"))
        assert time.monotonic() - began < 5
