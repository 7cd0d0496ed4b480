"""Outputs that cannot be written, ends without an outcome, and what is said of a payment that was never begun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sco_payment.attempt import CaseReason, Mode, OpenCase, Phase, Plan, State
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.journal.kit import opened
from tests.payment.lane_kit import bare_settings_file, run, settings_file

PAY = ("-m", "sco_payment.cli.main")


def shell(redirection: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`sco-pay` with its streams as a shell redirects them."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, *PAY, *arguments],
        capture_output=True, text=True, check=False, timeout=110, env={**os.environ, **environment},
    )  # fmt: skip


def with_a_case(path: Path) -> None:
    """A journal in which a case waits: the lane says so before each payment."""
    with opened(path) as journal:
        plan = Plan("k1", "41", 25_300, "RUB", Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
        state = State(plan, Phase.PAID_LATE, payment_id="p1", case=CaseReason.LATE_MONEY)
        journal.record(None, state, (OpenCase(CaseReason.LATE_MONEY, "late"),), at_ms=1)


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("level", [(), ("-vv",)])
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "2</dev/null"])
@pytest.mark.attack("A19")
def test_a_payment_needs_no_place_for_its_messages(
    tmp_path: Path, stderr: str, level: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """A full log partition must not close the lane. The exit status is the outcome."""
    with PayMasterSimulator(script="pays") as bank:
        file = settings_file(tmp_path, bank)
        with_a_case(tmp_path / "journal.db")
        environment = {"SCO_PAYMASTER_TOKEN": bank.token, "SCO_LANE_RESULT_S": "0"}
        done = shell(stderr, *level, "pay", "253", "--order", "42", *options, "--settings", file, **environment)
        assert (done.returncode, bank.bank.creates) == (0, 1), done.stdout
    assert '"outcome": "paid"' in done.stdout if options else "paid: order 42" in done.stdout


@pytest.mark.parametrize("command", [("recover",), ("cases",), ("journal", "verify"), ("settings", "check")])
@pytest.mark.attack("A19")
def test_other_commands_need_none_either(tmp_path: Path, command: tuple[str, ...]) -> None:
    with PayMasterSimulator() as bank:
        file = settings_file(tmp_path, bank)
        with_a_case(tmp_path / "journal.db")
        place = [file] if command[0] == "settings" else ["--settings", file]
        token = {"SCO_PAYMASTER_TOKEN": bank.token}
        good = run(*command, *place, **token)
        assert good.returncode == 0, good.stderr
        assert shell("2>/dev/full", *command, *place, **token).returncode == 0


# --- JSON -----------------------------------------------------------------------------------------------------------


def last_line(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    assert found["event"] == "outcome"
    return found


BROKEN = {
    "the journal's folder is missing": {"SCO_JOURNAL_PATH": "/nowhere/journal.db"},
    "the journal is not a file": {"SCO_JOURNAL_PATH": "/dev/null"},
    "there is no token": {"SCO_PAYMASTER_TOKEN": ""},
    "a setting is wrong": {"SCO_DISPLAY_MODE": "7"},
    "a device is unknown": {"SCO_DEVICES_SCREEN": "nothing://here"},
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("command", [("pay", "253", "--order", "42"), ("recover",)])
@pytest.mark.attack("A20")
def test_json_ends_with_an_outcome_however_a_command_ends(tmp_path: Path, command: tuple[str, ...], what: str) -> None:
    file = bare_settings_file(tmp_path, tmp_path / "j")
    done = run(*command, "--json", "--settings", file, **{"SCO_PAYMASTER_TOKEN": "t", **BROKEN[what]})
    found = last_line(done)
    assert (found["outcome"], found["exit_status"]) == ("error", done.returncode)
    assert done.returncode not in (0, 4)


@pytest.mark.parametrize(
    "arguments",
    [
        ("pay", "--json"),
        ("pay", "253", "--json", "--order", "1", "--order", "2"),
        ("pay", "-5", "--order", "1", "--json"),
        ("pay", "253", "--order", "1", "--json", "--nonsense"),
        ("pay", "253", "--order", "1", "--json", "--settings", "/nowhere"),
        ("pay", "253", "--order", "1", "--json", "--service", "ftp://x"),
        ("pay", "253", "--order", "1", "--json", "--service", "http://127.0.0.1:9", "--token-file", "/nowhere"),
        ("recover", "--json"),
        ("--nonsense", "pay", "253", "--order", "1", "--json"),
        ("pays", "253", "--order", "1", "--json"),
    ],
)
@pytest.mark.attack("A20")
def test_json_ends_with_an_outcome_after_a_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (last_line(done)["outcome"], done.returncode) == ("error", 2)


@pytest.mark.attack("A20")
def test_json_of_a_recovery_that_finds_nothing_has_its_line(tmp_path: Path) -> None:
    with PayMasterSimulator() as bank:
        done = run("recover", "--json", "--settings", settings_file(tmp_path, bank), SCO_PAYMASTER_TOKEN=bank.token)
    assert (last_line(done)["outcome"], done.returncode) == ("nothing_open", 0)


UNFORESEEN = """
import sys
from sco_payment.{module} import {name} as broken
def fails(*arguments, **options):
    raise {error}
broken.{method} = fails
from sco_payment.cli.main import main
main()
"""


@pytest.mark.parametrize("error", ["RuntimeError('unforeseen')", "MemoryError()", "RecursionError('deep')"])
@pytest.mark.parametrize("method", ["run_once", "load_open"])
@pytest.mark.attack("A21")
def test_an_unforeseen_error_is_never_taken_for_unpaid(tmp_path: Path, method: str, error: str) -> None:
    """Exit status 1 would mean nothing to a till; what became of the payment is not known."""
    with PayMasterSimulator() as bank:
        file = settings_file(tmp_path, bank)
        program = UNFORESEEN.format(module="loop", name="Loop", method=method, error=error)
        done = subprocess.run(
            [sys.executable, "-c", program, "pay", "253", "--order", "42", "--json", "--settings", file],
            capture_output=True, text=True, check=False, env={**os.environ, "SCO_PAYMASTER_TOKEN": bank.token},
        )  # fmt: skip
    begun = method == "run_once"
    assert (last_line(done)["outcome"], done.returncode) == (("unknown", 4) if begun else ("error", 2)), done.stderr


# --- nothing was begun ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.attack("A21")
def test_where_nothing_was_begun_nothing_is_unknown(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The disk is full at the first step: nothing was sent, and the till may offer another way to pay."""
    program = UNFORESEEN.format(
        module="journal", name="Journal", method="record", error="unwritable('no space left')"
    ).replace("import sys\n", "import sys\nfrom sco_payment.journal import JournalUnwritable as unwritable\n")
    with PayMasterSimulator() as bank:
        file = settings_file(tmp_path, bank)
        done = subprocess.run(
            [sys.executable, "-c", program, "pay", "253", "--order", "42", *options, "--settings", file],
            capture_output=True, text=True, check=False, env={**os.environ, "SCO_PAYMASTER_TOKEN": bank.token},
        )  # fmt: skip
        assert bank.bank.creates == 0
    assert done.returncode == 2, done.stderr
    assert "nothing was sent" in done.stderr
    assert "unknown" not in done.stderr + done.stdout
