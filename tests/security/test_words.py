"""Words of strangers at every output: a passer-by's tag, the bank, a USB device, a printer, whoever closes a case."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sco_drivers.errors import DeviceError, DeviceNotFound
from sco_drivers.plain import OneLineFormatter, json_line, lines, one_line
from sco_payment.attempt import CaseReason, Mode, OpenCase, Phase, Plan, State
from sco_payment.journal import Journal
from sco_payment.journal.describe import describe
from tests.payment.journal.kit import opened
from tests.payment.lane_kit import bare_settings_file, run

EVIL = "a\x1b[2J\x1b]0;title\x07\r\n2026-01-01 00:00:00 INFO case 7 closed by manager\u202e\u2066\x9b\x00\u2028\ud800z"


def is_plain(text: str) -> bool:
    return all(char.isprintable() or char in "\n\u00a0" for char in text)


def test_what_is_not_printable_is_shown_as_an_escape() -> None:
    assert one_line("касса № 7: 1\u00a0234,00 ₽") == "касса № 7: 1\u00a0234,00 ₽"
    assert one_line("a\nb\x1b\u202e\ud800") == r"a\nb\x1b\u202e\ud800"
    assert is_plain(one_line(EVIL))
    assert lines("a\nb\x1b") == "a\nb\\x1b"


@pytest.mark.parametrize("kind", [DeviceError, DeviceNotFound])
def test_no_error_of_a_device_carries_them(kind: type[DeviceError]) -> None:
    error = kind(f"it says {EVIL}", url="usb://1")
    assert is_plain(str(error))
    assert "\n" not in str(error) + error.message


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


def test_json_stays_json() -> None:
    data = {"text": EVIL.replace("\ud800", ""), "sum": "1\u00a0₽", "касса": [1, None]}
    line = json_line(data)
    assert is_plain(line)
    assert "\n" not in line
    assert json.loads(line) == data


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


def test_an_errors_text_is_plain_on_the_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sco_hwtest.cli.main", "printer", "status", "tcp://\x1b[2J:9100"],
        capture_output=True, text=True, check=False, errors="backslashreplace",
    )  # fmt: skip
    assert done.returncode != 0
    assert is_plain(done.stderr)
