"""`replay://`: a trace is a device again, for the driver that ships and for its callers."""

from __future__ import annotations

import contextlib
import json
import queue
import time
from pathlib import Path

import pytest

from sco_drivers import DisplayedCode, check_url, open_display, open_nfc, open_printer, open_touch
from sco_drivers.display import QrDisplay
from sco_drivers.errors import BadDeviceUrl, DeviceError, DeviceGone
from sco_drivers.nfc import TagReader
from sco_drivers.printer import Line, PaperOut, Printer, PrintOutcome, Ticket
from sco_drivers.printer.transports import FdTransport
from sco_drivers.touch import Touch
from sco_sim import VirtualPrinter
from sco_sim.replay.run import play
from sco_sim.replay.trace import BadTrace, TraceDiffers, read_trace
from sco_sim.replay.words import frame, octets
from tests.traces.kit import Lines, lines_of, write

FOLDER = Path(__file__).parents[1] / "traces"
LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


def of(name: str) -> str:
    return f"replay://{FOLDER / name}.trace"


def recorded(path: Path, *, parameters: str = "", pause_s: float = 0.0) -> Lines:
    """The trace of a printer that prints a ticket, tells its state and prints another."""
    with VirtualPrinter() as simulator, open_printer(f"record+{simulator.url}?trace={path}{parameters}") as printer:
        printer.print_ticket(Ticket("order-1", LINK, (Line("ООО Ромашка"),)))
        time.sleep(pause_s)
        printer.status()
    return lines_of(path)


def ticket_of(lines: Lines, number: int = 0) -> Ticket:
    """The ticket that the trace shows."""
    shown = [one["args"][0] for one in lines if one.get("call") == "print_ticket"][number]
    return Ticket(shown["ticket_id"], shown["qr"], tuple(Line(one["text"]) for one in shown["above"]))


def test_a_trace_is_a_device_of_its_kind() -> None:
    for open_one, name, kind in (
        (open_printer, "printer-tcp", Printer),
        (open_nfc, "nfc-pn532", TagReader),
        (open_display, "display-mertech", QrDisplay),
        (open_touch, "touch-single", Touch),
    ):
        with open_one(of(name)) as device:
            assert isinstance(device, kind)


def test_a_caller_gets_what_was_answered_then(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a")
    with open_printer(f"replay://{tmp_path / 'a'}") as printer:
        result = printer.print_ticket(ticket_of(lines))
        assert result.outcome is PrintOutcome.PRINTED
        assert "process id" in result.evidence
        assert printer.status().paper_out.value == "no"


def test_a_recorded_fault_is_a_fault_again() -> None:
    with open_printer(of("printer-paper-out")) as printer:
        tickets = [call.says["args"][0] for call in read_trace(FOLDER / "printer-paper-out.trace")[0].entries if "call" in call.says and call.says["args"]]  # fmt: skip  # noqa: E501
        for shown, outcome in zip(tickets[:2], ("printed", "not_printed"), strict=True):
            above, below = (tuple(Line(one["text"]) for one in shown[part]) for part in ("above", "below"))
            result = printer.print_ticket(Ticket(shown["ticket_id"], shown["qr"], above, below, qr_mm=shown["qr_mm"]))
            assert result.outcome.value == outcome
        assert isinstance(result.error, PaperOut)


def test_the_first_difference_is_raised_by_the_call_in_octets_and_words(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a")
    ticket = ticket_of(lines)
    with open_printer(f"replay://{tmp_path / 'a'}") as printer:
        other = Ticket(ticket.ticket_id, ticket.qr, (Line("?" + ticket.above[0].text[1:]),))  # type: ignore[union-attr]
        with pytest.raises(TraceDiffers, match=r"octet \d+ of what is sent to begin .*, got 3f ") as found:
            printer.print_ticket(other)
        assert isinstance(found.value, DeviceError)
        assert not found.value.retryable
        with pytest.raises(TraceDiffers) as again:
            printer.status()
        assert str(again.value) == str(found.value)


def test_a_caller_that_does_more_than_then_meets_the_end_of_the_trace(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a")
    with open_printer(f"replay://{tmp_path / 'a'}") as printer:
        printer.print_ticket(ticket_of(lines))
        printer.status()
        with pytest.raises(TraceDiffers, match="expected that the device is closed, got to be sent 10 04 01"):
            printer.status()


def test_frames_are_named_by_their_commands() -> None:
    with open_nfc(of("nfc-pn532")) as nfc:
        nfc.read()
        with pytest.raises(
            TraceDiffers, match=r"frame \d+ to be .*InCommunicateThru: WRITE page \d+.*, got .*WRITE page"
        ):
            nfc.write_uri("https://example.org/another-link-of-another-shop?that-is-as-long=as-the-one-of-then&more=1")


def test_words_for_octets_and_frames() -> None:
    assert octets(b"\x1dV\x42\x00") == "1d 56 42 00 [GS V B 00]"
    assert octets(b"") == "nothing"
    assert "(100 octets)" in octets(b"x" * 100)
    assert frame(bytes.fromhex("0000ff02fed4022a00")).endswith("[GetFirmwareVersion]")
    assert frame(bytes.fromhex("0000ff05fbd44230000000")).endswith("[InCommunicateThru: READ page 0]")
    assert frame(b"\x00\x00\xff\x00\xff\x00") == "00 00 ff 00 ff 00"


def test_waits_cost_no_time_unless_the_real_pace_is_asked_for(tmp_path: Path) -> None:
    recorded(tmp_path / "a", pause_s=1.0)
    began = time.monotonic()
    play(tmp_path / "a")
    assert time.monotonic() - began < 0.9
    began = time.monotonic()
    (played,) = play(tmp_path / "a", real_pace=True)
    assert time.monotonic() - began >= 1.0
    assert not played.difference
    with open_printer(f"replay://{tmp_path / 'a'}?pace=real") as printer:
        began = time.monotonic()
        printer.print_ticket(ticket_of(lines_of(tmp_path / "a")))
        printer.status()
        assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("slow_s", [0.02, 0.7])
def test_a_trace_of_a_machine_that_woke_its_drivers_late_fits(
    slow_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads and writes that end long after their deadlines, with what came meanwhile."""
    read, write = FdTransport.read, FdTransport.write

    def read_late(wire: FdTransport, timeout_s: float) -> bytes:
        time.sleep(slow_s)
        return read(wire, timeout_s)

    def write_late(wire: FdTransport, data: bytes, timeout_s: float) -> int:
        taken = write(wire, data, timeout_s)
        time.sleep(slow_s / 2)
        return taken

    monkeypatch.setattr(FdTransport, "read", read_late)
    monkeypatch.setattr(FdTransport, "write", write_late)
    recorded(tmp_path / "a", parameters="&status_s=0.3")
    monkeypatch.undo()
    (played,) = play(tmp_path / "a")
    assert not played.difference
    assert played.calls == 2


def test_a_connection_that_was_closed_when_idle_is_closed_again(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a", parameters="&idle_close_s=0.1", pause_s=0.6)
    assert sum("open" in one for one in lines) >= 2
    (played,) = play(tmp_path / "a")
    assert not played.difference


def test_a_code_that_then_was_valid_is_valid_again(tmp_path: Path) -> None:
    with VirtualPrinter() as simulator, open_printer(f"record+{simulator.url}?trace={tmp_path / 'a'}") as printer:
        printer.print_ticket(Ticket("in-time", LINK, valid_until=time.time() + 60))
        printer.print_ticket(Ticket("too-late", LINK, valid_until=time.time() - 1))
    (played,) = play(tmp_path / "a")
    assert not played.difference
    assert [one["ends"]["outcome"] for one in lines_of(tmp_path / "a") if "ends" in one] == ["printed", "not_printed"]


def test_a_panel_is_unplugged_at_the_end_of_its_trace() -> None:
    seen: queue.SimpleQueue[object] = queue.SimpleQueue()
    with open_touch(of("touch-single")) as touch:
        touch.start((1024, 768), lambda tap: seen.put((tap.x, tap.y)), seen.put)
        assert [seen.get(timeout=60) for _ in range(3)] == [(100, 50), (900, 700), (512, 384)]
        assert isinstance(seen.get(timeout=60), DeviceGone)


def test_another_opening_of_the_device_is_chosen_by_its_number(tmp_path: Path) -> None:
    for amount in ("1,00", "22,00"):
        with open_display(f"record+sim://?trace={tmp_path / 'a'}") as display:
            display.show_code(DisplayedCode(LINK, amount))
    assert [one.number for one in read_trace(tmp_path / "a")] == [1, 2]
    with open_display(f"replay://{tmp_path / 'a'}?session=2") as display:
        display.check()
    with pytest.raises(BadDeviceUrl, match="session='3' is not in the trace: it has 2"):
        open_display(f"replay://{tmp_path / 'a'}?session=3")


# --- what is not a trace, or not this one ---


def test_the_url_is_checked_without_the_file() -> None:
    assert check_url("printer", "replay:///no/such.trace?pace=real&session=2") == []
    wrong = check_url("printer", "replay:///no/such.trace?pace=quick&session=0&speed=1")
    assert {name for error in wrong for name in error.parameters} == {"pace", "session", "speed"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "it is empty"),
        ("hello\n", "line 1 is not a line of a trace"),
        ("[1]\n", "line 1 is not a line of a trace"),
        ('{"c":"00000000"}\n', "line 1 was changed"),
        ('{"sco_trace":1,"kind":"printer"}\n', "line 1 is not a line of a trace"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(content)
    with pytest.raises(BadTrace, match=words):
        open_printer(f"replay://{path}")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"sco_trace": 2, "kind": "printer", "url": "tcp://printer"}, "a trace of version 2, expected 1"),
        ({"sco_trace": 1, "kind": "kettle", "url": "tcp://printer"}, "no kind of device"),
        ({"sco_trace": 1, "kind": "nfc", "url": "pn532:///x"}, "it is the trace of a nfc, not of a printer"),
        (
            {"sco_trace": 1, "kind": "printer", "url": "gopher://x"},
            "its URL gopher://x is not one that a recorder writes",
        ),
        ({"sco_trace": 1, "kind": "printer", "url": "sim://"}, "is not one that a recorder writes"),
        (
            {"sco_trace": 1, "kind": "printer", "url": "record+tcp://h?trace=/tmp/x"},
            "is not one that a recorder writes",
        ),
        (
            {"sco_trace": 1, "kind": "printer", "url": "tcp://h?profile=/etc/passwd"},
            "is not one that a recorder writes",
        ),
        ({"sco_trace": 1, "kind": "printer", "url": "tcp://h?nonsense=1"}, "unknown parameter nonsense"),
        ({"sco_trace": 1, "kind": "printer", "url": "no URL"}, "not a device URL"),
        ({"t": 0.0}, "line 1 does not begin a trace"),
    ],
)
def test_a_trace_of_something_else_is_refused(header: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match=words):
        open_printer(f"replay://{write(tmp_path / 'a', [header])}")


STRANGE: tuple[object, ...] = (None, True, -1, 1 << 40, 1.5, "x", "", "../..", [], [1], {}, {"is": "Ticket"}, [[]])


@pytest.mark.parametrize("name", ["printer-tcp", "nfc-pn532", "nfc-pcsc-direct", "display-qrscreen", "touch-multi"])
def test_a_trace_that_a_stranger_made_raises_nothing_else(name: str, tmp_path: Path) -> None:
    """Each key once, with values that it never has."""
    original = lines_of(FOLDER / f"{name}.trace")
    seen: set[str] = set()
    for at, line in enumerate(original):
        for key in set(line) - seen:
            seen.add(key)
            for value in STRANGE:
                lines = [dict(one) for one in original]
                lines[at][key] = value
                with contextlib.suppress(BadTrace):
                    play(write(tmp_path / "strange", lines))


@pytest.mark.parametrize("call", ["__class__", "_session", "close.x", "simulator", "escpos", "no_such", "status.x"])
def test_a_call_that_is_none_is_not_made(call: str, tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a")
    at = next(number for number, one in enumerate(lines) if "call" in one)
    lines[at]["call"] = call
    try:
        (played,) = play(write(tmp_path / "b", lines))
        found = played.difference
    except BadTrace as error:
        found = error.message
    assert f"line {at + 1}: " in found


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match="no-such: it cannot be read: No such file"):
        open_printer(f"replay://{tmp_path / 'no-such'}")


def test_another_end_of_a_call_is_a_difference(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a")
    at = next(number for number, one in enumerate(lines) if "ends" in one)
    lines[at] = json.loads(json.dumps(lines[at]).replace('"printed"', '"unknown"'))
    (played,) = play(write(tmp_path / "b", lines))
    assert f"line {at + 1}: expected print_ticket to end with" in played.difference
    assert "'outcome': 'printed'" in played.difference
