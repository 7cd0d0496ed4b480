"""`sco-pay` as a person or a script runs it: real processes, exit status, last JSON line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lane_kit import document
from test_link import DYNAMIC

from sco_payment.paymaster.simulator import PayMasterSimulator


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "sco_payment.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("mode", ["0", "1", "2"])
@pytest.mark.parametrize(
    ("customer", "dialog", "status", "outcome", "cancels"),
    [
        ("pays", "retry", 0, "paid", 0),
        ("declines", "retry", 3, "unpaid", 0),
        ("leaves", "retry", 3, "unpaid", 0),
        ("pays-offline", "retry", 0, "paid", 0),
        ("pays-offline", "cancel", 4, "unknown", 0),
        ("pays-late", "retry", 4, "unknown", 0),
    ],
)
def test_demo(tmp_path: Path, mode: str, customer: str, dialog: str, status: int, outcome: str, cancels: int) -> None:
    speed = "30" if customer in ("pays", "declines") else "60"
    done = run(
        "demo", "--json", "--mode", mode, "--customer", customer, "--dialog", dialog, "--speed", speed,
        "--out", str(tmp_path),
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, lines[-1]["event"], lines[-1]["outcome"]) == (status, "outcome", outcome), done.stderr
    bank = next(line for line in lines if line["event"] == "paymaster")
    assert (bank["creates"], bank["cancels"], bank["refunds"]) == (1, cancels, 0)
    if customer == "pays-late":
        assert any(line.get("phase") == "paid_late" for line in lines)
    assert (tmp_path / "screen.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["link", "check", DYNAMIC, "--amount", "2.53"], 0, "verified"),
        (["link", "check", DYNAMIC, "--amount", "2.54"], 1, "253"),
        (["link", "check", "https://pay.example/x"], 3, "unverifiable"),
        (["refund", "42"], 2, "pos/touch"),
        (["pay", "0", "--settings", "x", "--order", "1"], 2, "more than zero"),
        (["pay", "1.234", "--settings", "x", "--order", "1"], 2, "not a sum"),
        (["settings", "check", "/nowhere.toml"], 2, "no such file"),
        (["simulate", "--script", "dances", "--port", "0"], 2, "known: leaves"),
        (["settings", "reference"], 0, "poll_timeout_s"),
    ],
)
def test_commands(arguments: list[str], status: int, words: str) -> None:
    done = run(*arguments)
    assert done.returncode == status, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def settings_file(tmp_path: Path, paymaster: PayMasterSimulator) -> str:
    lines = []
    for section, values in document(paymaster, tmp_path / "journal.db").items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    path = tmp_path / "lane.toml"
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def test_pay_and_what_stands_in_the_journal(tmp_path: Path) -> None:
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        done = run("pay", "253", "--settings", file, "--order", "42", "--json", **token)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "paid"
        again = run("pay", "253", "--settings", file, "--order", "42", **token)
        assert again.returncode == 2
        assert "already paid" in again.stderr
        assert "no case is open" in run("cases", "--settings", file, **token).stdout
        assert "all in order" in run("journal", "verify", "--settings", file, **token).stdout
        assert "nothing is open" in run("recover", "--settings", file, **token).stdout


def started_payment(tmp_path: Path, paymaster: PayMasterSimulator) -> tuple[subprocess.Popen[str], str]:
    """A payment in a process of its own, waiting for its customer."""
    import os

    file = settings_file(tmp_path, paymaster)
    process = subprocess.Popen(
        [sys.executable, "-m", "sco_payment.cli", "pay", "253", "--settings", file, "--order", "42", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SCO_PAYMASTER_TOKEN": paymaster.token},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("phase") == "waiting":
            return process, file
    raise AssertionError("the payment never came to wait")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_properly(tmp_path: Path, number: signal.Signals) -> None:
    with PayMasterSimulator() as paymaster:
        process, _ = started_payment(tmp_path, paymaster)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
        last = json.loads(output.splitlines()[-1])
        assert (process.returncode, last["outcome"], last["why"]) == (3, "unpaid", "customer")
        assert paymaster.bank.cancels == 1


@pytest.mark.parametrize("paid_meanwhile", [False, True])
def test_recovery_after_kill_9(tmp_path: Path, paid_meanwhile: bool) -> None:
    """An attempt that a killed lane left open is asked about at the bank: cancelled once, or a case."""
    with PayMasterSimulator() as paymaster:
        process, file = started_payment(tmp_path, paymaster)
        process.kill()
        process.wait()
        (payment,) = paymaster.bank.payments.values()
        if paid_meanwhile:
            paymaster.phone.pay(payment.link)
        done = run("recover", "--settings", file, "--json", SCO_PAYMASTER_TOKEN=paymaster.token)
        last = json.loads(done.stdout.splitlines()[-1])
        if paid_meanwhile:
            assert (done.returncode, last["outcome"], last["phase"], last["case"]) == (4, "unknown", "paid_late", 1)
            assert paymaster.bank.cancels == 0
            shown = run("cases", "1", "--settings", file, SCO_PAYMASTER_TOKEN=paymaster.token).stdout
            assert "paid_after_restart" in shown
            closing = ["cases", "1", "--settings", file, "--close", "--operator", "Иванова", "--reason", "выдано"]
            assert "closed by Иванова" in run(*closing, SCO_PAYMASTER_TOKEN=paymaster.token).stdout
        else:
            assert (done.returncode, last["outcome"], paymaster.bank.cancels) == (0, "unpaid", 1)
        assert paymaster.bank.creates == 1


def test_a_second_process_on_the_journal_is_refused(tmp_path: Path) -> None:
    with PayMasterSimulator() as paymaster:
        process, file = started_payment(tmp_path, paymaster)
        done = run("pay", "1", "--settings", file, "--order", "43", SCO_PAYMASTER_TOKEN=paymaster.token)
        assert done.returncode == 2
        assert f"process {process.pid} has it open" in done.stderr
        process.kill()
        process.wait()
