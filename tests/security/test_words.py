"""Untrusted text at every output: a passer-by's tag, the bank, a USB device, a printer, whoever closes a case."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from sco_drivers.errors import DeviceError, DeviceNotFound
from sco_drivers.plain import OneLineFormatter, json_line, lines, one_line
from sco_hwtest.progress import LiveLines
from sco_hwtest.results import CheckResult, Verdict
from sco_payment.attempt import CaseReason, Mode, OpenCase, Phase, Plan, State
from sco_payment.cli.terminal import Lines
from sco_payment.events import NoteAdded
from sco_payment.journal import Journal
from sco_payment.journal.describe import describe
from tests.payment.journal.kit import opened
from tests.payment.lane_kit import bare_settings_file, run
from tests.service.service_kit import serving

EVIL = "a\x1b[2J\x1b]0;title\x07\r\n2026-01-01 00:00:00 INFO case 7 closed by manager\u202e\u2066\x9b\x00\u2028\ud800z"


def is_plain(text: str) -> bool:
    return all(char.isprintable() or char in "\n\u00a0" for char in text)


@pytest.mark.attack("A10")
def test_what_is_not_printable_is_shown_as_an_escape() -> None:
    assert one_line("касса № 7: 1\u00a0234,00 ₽") == "касса № 7: 1\u00a0234,00 ₽"
    assert one_line("a\nb\x1b\u202e\ud800") == r"a\nb\x1b\u202e\ud800"
    assert is_plain(one_line(EVIL))
    assert lines("a\nb\x1b") == "a\nb\\x1b"


@pytest.mark.parametrize("kind", [DeviceError, DeviceNotFound])
@pytest.mark.attack("A10")
def test_no_error_of_a_device_carries_them(kind: type[DeviceError]) -> None:
    error = kind(f"it says {EVIL}", url="usb://1")
    assert is_plain(str(error))
    assert "\n" not in str(error) + error.message


@pytest.mark.attack("A10")
def test_a_log_has_one_line_an_event() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "the tag says %s", (EVIL,), None)
    text = OneLineFormatter().format(record)
    assert is_plain(text)
    assert "\n" not in text
    try:
        raise ValueError(EVIL)
    except ValueError:
        record = logging.LogRecord("x", logging.INFO, "f", 1, "failed", (), sys.exc_info())
    text = OneLineFormatter().format(record)
    assert is_plain(text)
    assert "Traceback" in text


@pytest.mark.attack("A10")
def test_json_stays_json() -> None:
    data = {"text": EVIL.replace("\ud800", ""), "sum": "1\u00a0₽", "касса": [1, None]}
    line = json_line(data)
    assert is_plain(line)
    assert "\n" not in line
    assert json.loads(line) == data


@pytest.mark.attack("A10")
def test_what_a_journal_holds_is_shown_plainly(tmp_path: Path) -> None:
    """Also what an earlier release has written there."""
    evil = EVIL.replace("\ud800", "")
    with opened(tmp_path / "j") as journal:
        plan = Plan("k1", "42", 25_300, "RUB", Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
        state = State(plan, Phase.WATCHING, payment_id=f"p{evil}", case=CaseReason.LATE_MONEY)
        journal.record(None, state, (OpenCase(CaseReason.LATE_MONEY, f"detail {evil}"),), at_ms=1)
        journal.note("k1", f"acquirer: {evil}", at_ms=2)
        for record in journal.records():
            assert is_plain(describe(record))
            assert "\n" not in describe(record)
    file = bare_settings_file(tmp_path, tmp_path / "j")
    for arguments in ([], ["1"], ["1", "-v"], ["--json"], ["1", "--json"]):
        done = run("cases", *arguments, "--settings", file)
        assert done.returncode == 0, done.stderr
        assert is_plain(done.stdout), arguments
        assert not [line for line in done.stdout.splitlines() if line.startswith("2026-01-01")], arguments
        assert "case 7 closed" in done.stdout or not arguments
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert journal.case(1).detail == f"detail {evil}"


@pytest.mark.attack("A10")
def test_an_errors_text_is_plain_on_the_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sco_hwtest.cli.main", "printer", "status", "tcp://\x1b[2J:9100"],
        capture_output=True, text=True, check=False, errors="backslashreplace",
    )  # fmt: skip
    assert done.returncode != 0
    assert is_plain(done.stderr)


# --- every output ---------------------------------------------------------------------------------------------------

URL_EVIL = EVIL.replace("\ud800", "").replace("\x00", "")
ARGUMENTS = [
    ("sco_payment.cli.main", URL_EVIL),
    ("sco_payment.cli.main", "--" + URL_EVIL),
    ("sco_payment.cli.main", "pay", URL_EVIL, "--order", "1"),
    ("sco_payment.cli.main", "pay", "253", "--order", "1", "--settings", URL_EVIL),
    ("sco_payment.cli.main", "pay", "253", "--order", "1", "--service", URL_EVIL),
    ("sco_payment.cli.main", "pay", "253", "--order", "1", "--leg", URL_EVIL),
    ("sco_payment.cli.main", "link", "check", f"https://qr.nspk.ru/{URL_EVIL}"),
    ("sco_payment.cli.main", "cases", URL_EVIL, "--settings", "/nowhere"),
    ("sco_payment.cli.main", "journal", "verify", URL_EVIL),
    ("sco_payment.cli.main", "settings", "check", URL_EVIL),
    ("sco_payment.cli.main", "demo", "--customer", URL_EVIL),
    ("sco_payment.cli.main", "simulate", "--script", URL_EVIL),
    ("sco_hwtest.cli.main", "run", "--printer", f"tcp://{URL_EVIL}"),
    ("sco_hwtest.cli.main", "run", "--nfc", "sim://", "--only", URL_EVIL),
    ("sco_hwtest.cli.main", "run", "--nfc", f"sim://?uri=https://x/{URL_EVIL}"),
    ("sco_hwtest.cli.main", "nfc", "read", f"sim://?uri={URL_EVIL}"),
    ("sco_hwtest.cli.main", "nfc", "verify", f"sim://?uri={URL_EVIL}", "https://qr.nspk.ru/1"),
    ("sco_hwtest.cli.main", "printer", "status", f"sim://?{URL_EVIL}=1"),
    ("sco_hwtest.cli.main", "screen", "walk", URL_EVIL),
    ("sco_hwtest.cli.main", "udev", "name", URL_EVIL, URL_EVIL),
    ("sco_sim.serve.main", "serve", URL_EVIL),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda words: " ".join(words[1:3])[:20].split("\x1b")[0])
@pytest.mark.attack("A10")
def test_no_command_moves_the_cursor_of_a_terminal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Click's own errors, a passer-by's tag, a device's URL: all of it goes through one filter."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, check=False, cwd=tmp_path, stdin=subprocess.DEVNULL,
        timeout=110,
    )  # fmt: skip
    text = (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
    assert text
    assert is_plain(text)
    assert "Traceback" not in text


@pytest.mark.attack("A10")
def test_a_terminal_that_is_drawn_on_shows_no_word_of_a_stranger_raw() -> None:
    """Where we draw ourselves, the filter of the streams is passed by: what is quoted there is filtered one by one."""
    stream = io.StringIO()
    live = LiveLines(Console(file=stream, force_terminal=False, width=2000))
    live.device("nfc", f"sim://{EVIL}", 1)
    live.ends(CheckResult("reads-the-tag", "", Verdict.FAILED, found=EVIL, to_do=EVIL))
    Lines(stream)(NoteAdded(attempt=None, text=EVIL))
    assert is_plain(stream.getvalue())
    assert not [line for line in stream.getvalue().splitlines() if line.startswith("2026-01-01")]


def with_evil_case(path: Path) -> None:
    """A journal as an earlier release, or a broken one, might have left it."""
    evil = EVIL.replace("\ud800", "") + '<img src=x onerror="document.title=`owned`">'
    with opened(path) as journal:
        plan = Plan("k1", f"41{evil}", 25_300, "RUB", Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
        state = State(plan, Phase.PAID_LATE, payment_id=f"p{evil}", case=CaseReason.LATE_MONEY)
        journal.record(None, state, (OpenCase(CaseReason.LATE_MONEY, f"detail {evil}"),), at_ms=1)
        journal.note("k1", f"acquirer: {evil}", at_ms=2)


@pytest.mark.parametrize("path", ["/v1/cases", "/v1/cases/1", "/v1/events?after=0", "/v1/lane", "/metrics"])
@pytest.mark.attack("A10")
def test_the_service_answers_in_plain_characters(tmp_path: Path, path: str) -> None:
    with_evil_case(tmp_path / "journal.db")
    with serving(tmp_path) as bench:
        replies = [client.get(path) for client in (bench.attendant, bench.monitor, bench.till)]
    assert [reply.status for reply in replies].count(200)
    for reply in replies:
        text = reply.body.decode()
        assert is_plain(text), path
        assert "\r" not in text + "".join(reply.headers.values())
