"""`sco-pay` as an operator or a script runs it: real processes, exit status, last JSON line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from sco_payment import attempt as m
from sco_payment.cli.terminal import Lines
from sco_payment.events import NoteAdded, StateChanged
from sco_payment.journal import Journal
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import run, settings_file
from tests.payment.test_link import DYNAMIC, PLATE


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
    speed = "10" if customer in ("pays", "declines") else "15"  # a busy machine keeps up with that
    done = run(
        "demo", "--json", "--mode", mode, "--customer", customer, "--dialog", dialog, "--speed", speed,
        "--skip-waiting", "--out", str(tmp_path),
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, lines[-1]["event"], lines[-1]["outcome"]) == (status, "outcome", outcome), done.stderr
    bank = next(line for line in lines if line["event"] == "paymaster")
    assert (bank["creates"], bank["refunds"]) == (1, 0)
    # The bank may end the invoice a moment after a lane that asks at its end, and cancels what is still open.
    assert bank["cancels"] == cancels or (customer == "leaves" and bank["cancels"] == 1)
    if customer == "pays-late":
        assert any(line.get("phase") == "paid_late" for line in lines)
    assert (tmp_path / "screen.png").stat().st_size > 1000
    with Image.open(tmp_path / "screen-pay.png") as picture:
        words = (0, 220, 1024, 768) if mode == "0" else (0, 0, 300, 768)  # under the spinner; next to the code
        assert picture.convert("L").crop(words).getextrema()[0] < 128, "photographed before the scene was complete"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["link", "check", DYNAMIC, "--amount", "2.53"], 0, "verified: form, crc, amount and currency agree"),
        (["link", "check", DYNAMIC, "--amount", "2.53"], 0, "amount:   2,53\u00a0₽, as asked"),
        (["link", "check", DYNAMIC, "--amount", "2.54"], 1, "amount:   2,53\u00a0₽, and not 2,54\u00a0₽"),
        (["link", "check", f" {DYNAMIC}\n"], 0, "verified: form, crc and currency agree"),
        (["link", "check", DYNAMIC], 0, "not compared: --amount gives what it must be"),
        (["link", "check", PLATE, "--amount", "5"], 0, "amount:   none to compare with 5,00\u00a0₽"),
        (["link", "check", PLATE, "--amount", "5"], 0, "verified: form and crc agree"),
        (["link", "check", "https://pay.example/x", "--amount", "5"], 3, "not compared with 5,00\u00a0₽"),
        (["link", "check", "https://pay.example/x"], 3, "unverifiable"),
        (["refund", "42"], 2, "pos/touch"),
        (["pay", "0", "--settings", "x", "--order", "1"], 2, "more than zero"),
        (["pay", "1.234", "--settings", "x", "--order", "1"], 2, "not an amount"),
        (["pay", "5", "--settings", "x", "--order", "1", "--order", "2"], 2, "given 2 times; write it once"),
        (["pay", "5", "--settings", "x", "--order", "1", "--leg", "2", "--leg", "3"], 2, "given 2 times; write it"),
        (["pay", "5", "--settings", "x", "--settings", "y", "--order", "1"], 2, "given 2 times; write it once"),
        (["settings", "check", "/nowhere.toml"], 2, "no such file"),
        (["simulate", "--script", "dances", "--port", "0"], 2, "expected one of leaves"),
        (["simulate", "--host", "192.0.2.1", "--port", "0"], 2, "choose others with --host and --port"),
        (["settings", "reference"], 0, "poll_timeout_s"),
        (["demo", "--out", "/proc/nowhere"], 2, "/proc/nowhere"),
        (["demo", "--amount", "99999999999"], 2, "is more than 999\u00a0999\u00a0999,99\u00a0₽, the largest amount"),
    ],
)
@pytest.mark.requirement("R19")
def test_commands(arguments: list[str], status: int, words: str) -> None:
    done = run(*arguments)
    assert done.returncode == status, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_of_the_list_is_cut_off() -> None:
    commands = run("--help", COLUMNS="80").stdout.partition("Commands:\n")[2].splitlines()
    assert len(commands) >= 9
    assert not [line for line in commands if line.endswith("...") or len(line) > 80], "shorten its short_help"


def test_pay_and_what_the_journal_contains(tmp_path: Path) -> None:
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        done = run("pay", "253", "--settings", file, "--order", "42", "--json", **token)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "paid"
        again = run("pay", "253", "--settings", file, "--order", "42", **token)
        assert (again.returncode, "already paid" in again.stderr) == (6, True)
        assert "sco-pay" not in again.stderr.partition(": ")[2], "there is neither a case nor anything to recover"
        again = run("pay", "253", "--settings", file, "--order", "42", "--json", **token)
        assert again.returncode == 6
        assert json.loads(again.stdout)["outcome"] == "refused"
        assert (
            run("pay", "253", "--settings", file, "--order", "43", "--tendered-elsewhere", "300", **token).returncode
            == 2
        )
        assert "no case is open" in run("cases", "--settings", file, **token).stdout
        assert "all in order" in run("journal", "verify", "--settings", file, **token).stdout
        assert "no payment is open" in run("recover", "--settings", file, **token).stdout


def test_what_other_legs_have_paid_adds_up(tmp_path: Path) -> None:
    """The last of two amounts would otherwise win, and the customer pay the first one twice."""
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        done = run(
            "pay", "1 000,50", "--settings", file, "--order", "42", "--json",
            "--tendered-elsewhere", "300", "--tendered-elsewhere", "0.50", SCO_PAYMASTER_TOKEN=paymaster.token,
        )  # fmt: skip
        assert json.loads(done.stdout.splitlines()[-1])["amount"] == "700.00", done.stderr


def started_payment(
    tmp_path: Path, paymaster: PayMasterSimulator, **environment: str
) -> tuple[subprocess.Popen[str], str]:
    """A payment in a process of its own, waiting for its customer."""
    file = settings_file(tmp_path, paymaster)
    process = subprocess.Popen(
        [sys.executable, "-m", "sco_payment.cli.main", "pay", "253", "--settings", file, "--order", "42", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SCO_PAYMASTER_TOKEN": paymaster.token, **environment},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("phase") == "waiting":
            return process, file
    raise AssertionError("the payment never came to wait")


def test_stdout_is_closed_before_the_customer_pays(tmp_path: Path) -> None:
    """The payment goes on; exit status and a case report that no one received its outcome."""
    with PayMasterSimulator() as paymaster:
        process, file = started_payment(tmp_path, paymaster)
        assert process.stdout is not None
        process.stdout.close()
        (payment,) = paymaster.bank.payments.values()
        assert paymaster.phone.pay(payment.link)
        assert (process.wait(60), paymaster.bank.cancels) == (4, 0)
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        assert "goods_uncertain" in run("cases", "--settings", file, **token).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_properly(tmp_path: Path, number: signal.Signals) -> None:
    with PayMasterSimulator() as paymaster:
        process, _ = started_payment(tmp_path, paymaster)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
        last = json.loads(output.splitlines()[-1])
        assert (process.returncode, last["outcome"], last["reason"]) == (3, "unpaid", "customer")
        assert paymaster.bank.cancels == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_after_the_outcome_does_not_change_the_exit_status(tmp_path: Path, number: signal.Signals) -> None:
    """To the very end of the process."""
    with PayMasterSimulator() as paymaster:
        process, _ = started_payment(tmp_path, paymaster, SCO_TIMING_POLL_INTERVAL_S="0.2")
        (payment,) = paymaster.bank.payments.values()
        assert paymaster.phone.pay(payment.link)
        assert process.stdout is not None
        outcomes = (line for line in process.stdout if json.loads(line)["event"] == "outcome")
        assert json.loads(next(outcomes))["outcome"] == "paid"
        end = time.monotonic() + 60
        while (
            process.poll() is None and time.monotonic() < end
        ):  # at the end of `pay`, after it, and of the interpreter
            process.send_signal(number)
            time.sleep(0.01)
        assert process.wait(60) == 0


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
            assert "закрыл(а) Иванова" in run(*closing, SCO_PAYMASTER_TOKEN=paymaster.token).stdout
        else:
            assert (done.returncode, last["outcome"], paymaster.bank.cancels) == (0, "unpaid", 1)
        assert paymaster.bank.creates == 1


def test_a_second_process_on_the_journal_is_refused(tmp_path: Path) -> None:
    with PayMasterSimulator() as paymaster:
        process, file = started_payment(tmp_path, paymaster)
        done = run("pay", "1", "--settings", file, "--order", "43", SCO_PAYMASTER_TOKEN=paymaster.token)
        assert done.returncode == 7
        assert f"process {process.pid} has it open" in done.stderr
        process.kill()
        process.wait()


def test_cases_can_be_read_without_the_token(tmp_path: Path) -> None:
    """The administrator has the settings and the journal, not PayMaster's token."""
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        assert (
            run("pay", "253", "--settings", file, "--order", "42", SCO_PAYMASTER_TOKEN=paymaster.token).returncode == 0
        )
        assert "no case is open" in run("cases", "--settings", file).stdout
        assert "all in order" in run("journal", "verify", "--settings", file).stdout
        done = run("pay", "253", "--settings", file, "--order", "43")
        assert (done.returncode, "the token is missing" in done.stderr) == (2, True)


@pytest.mark.requirement("R18")
def test_an_open_case_is_reported_until_it_is_closed(tmp_path: Path) -> None:
    """In the list, in the exit status for monitoring, and when the lane starts."""
    with PayMasterSimulator() as paymaster:
        file = settings_file(tmp_path, paymaster)
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        with Journal(tmp_path / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
            assert journal.cases() == []
        assert run("cases", "--check", "--settings", file).returncode == 0
        plan = m.Plan("k1", "42", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
        state, effects = m.begin(plan)
        state, more = m.step(replace(state, phase=m.Phase.PAID, outcome=m.Outcome.PAID), m.Recovered(61_500))
        with Journal(tmp_path / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
            journal.record(None, m.begin(plan)[0], effects, at_ms=0)
            assert journal.record(m.Recovered(61_500), state, more, at_ms=61_500) == 1
        listed = run("cases", "--check", "--settings", file)
        assert (listed.returncode, "case 1" in listed.stdout) == (1, True)
        assert "+61.5 с" in run("cases", "1", "--settings", file).stdout
        assert "case 1" in run("recover", "--settings", file, **token).stderr
        assert run("cases", "1", "--check", "--settings", file).returncode == 2
        forgot = run("cases", "1", "--operator", "Иванова", "--reason", "отдали", "--settings", file)
        assert (forgot.returncode, "go with --close" in forgot.stderr) == (2, True)
        close = run("cases", "1", "--close", "--operator", "Иванова", "--reason", "отдали", "--settings", file)
        assert close.returncode == 0, close.stderr
        assert run("cases", "--check", "--settings", file).returncode == 0


def test_recovery_of_a_paid_attempt_that_was_not_delivered_opens_a_case(tmp_path: Path) -> None:
    with PayMasterSimulator() as paymaster:
        file = settings_file(tmp_path, paymaster)
        plan = m.Plan("k1", "42", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
        state, effects = m.begin(plan)
        with Journal(tmp_path / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
            journal.record(None, state, effects, at_ms=0)
            journal.record(m.Tick(1), replace(state, phase=m.Phase.PAID, outcome=m.Outcome.PAID), (), at_ms=1)
        done = run("recover", "--settings", file, "--json", SCO_PAYMASTER_TOKEN=paymaster.token)
        last = json.loads(done.stdout.splitlines()[-1])
        assert (done.returncode, last["outcome"], last["case"]) == (4, "paid", 1)


def test_a_refused_token_is_reported_in_the_outcome(tmp_path: Path) -> None:
    with PayMasterSimulator(script="pays") as paymaster:
        done = run("pay", "253", "--settings", settings_file(tmp_path, paymaster), "--order", "42",
                   SCO_PAYMASTER_TOKEN="another")  # fmt: skip
        assert done.returncode == 5
        assert "PayMaster refused the token" in done.stdout
        assert "see paymaster.token_file or SCO_PAYMASTER_TOKEN" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mode", "2", "--tendered-elsewhere", "3"], "display.mode 1"),
        (["--tendered-elsewhere", "300"], "nothing is left"),
    ],
)
def test_a_demo_that_is_refused_writes_nothing(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = run("demo", *arguments, "--out", str(tmp_path / "out"))
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_demo_does_not_touch_files_of_others(tmp_path: Path) -> None:
    """Above all a lane's journal."""
    kept = {name: name.encode() for name in ("journal.db", "journal.db-wal", "photo.png")}
    for name, data in kept.items():
        (tmp_path / name).write_bytes(data)
    for _ in range(2):
        assert run("demo", "--out", str(tmp_path)).returncode == 0
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    assert (tmp_path / "demo-journal.db").exists()


def test_the_demos_picture_shows_the_time_that_a_lane_would_give(tmp_path: Path) -> None:
    from sco_sim.demo import _LaneTime

    runtime = _LaneTime(100.0)
    before = time.time()
    at = runtime.wall(runtime.now() + 300_000)
    assert before + 299 < at <= time.time() + 300.001


def test_a_skip_ends_where_it_should_and_no_wait_ends_early() -> None:
    from sco_sim.demo import _LaneTime

    runtime = _LaneTime(1.0)
    begun, start = time.monotonic(), runtime.now()
    runtime.skip_to(start + 60_000)
    assert runtime.receive(start + 60_200) is None
    assert runtime.now() >= start + 60_200
    assert 0.45 < time.monotonic() - begun < 30  # 60 s at 200 times the speed, then 0.2 s at the usual one


def test_the_check_opens_the_devices_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "lane.toml"
    file.write_text(run("settings", "example", "--simulated").stdout, "utf-8")
    token = {"SCO_PAYMASTER_TOKEN": "simulator-token"}
    assert run("settings", "check", "--devices", str(file), **token).returncode == 0
    wrong = {
        "SCO_DEVICES_PRINTER": "tcp://127.0.0.1:1",
        "SCO_DEVICES_SCREEN": f"sim://{tmp_path}/none/screen",
        "SCO_JOURNAL_PATH": str(tmp_path / "none" / "journal.db"),
        **token,
    }
    done = run("settings", "check", str(file), **wrong)
    assert (done.returncode, "devices." in done.stderr) == (2, False)
    done = run("settings", "check", "--devices", str(file), **wrong)
    assert done.returncode == 2
    assert "devices.printer: tcp://127.0.0.1:1: the host answers, and refuses the connection" in done.stderr
    assert f"devices.screen: sim://{tmp_path}/none/screen: no such directory" in done.stderr
    assert f"journal.path: {tmp_path}/none: there is no such folder" in done.stderr


@pytest.mark.requirement("R22")
def test_the_check_reports_all_mistakes_at_once(tmp_path: Path) -> None:
    """Of the file, the environment, the token and the device URLs: one run is enough."""
    file = tmp_path / "lane.toml"
    file.write_text(run("settings", "example", "--simulated").stdout, "utf-8")
    done = run(
        *("settings", "check", str(file)),
        SCO_PAYMASTER_TOKEN_FILE=str(tmp_path / "none.token"),
        SCO_PAYMASTER_CA_FILE=str(tmp_path / "none.pem"),
        SCO_JOURNAL_PATH=str(tmp_path / "none" / "journal.db"),
        SCO_TICKET_LOGO=str(tmp_path / "none.png"),
        SCO_DISPLAY_MODE="9",
        SCO_DISPLAY_MOD="0",
        SCO_DEVICES_PRINTER="tcp://10.0.0.5:9100?paper_mm=20&qr_mm=40",
        SCO_DEVICES_SCREEN="fb:///dev/fb0?rotate=45",
    )
    assert done.returncode == 2
    for word in (
        f"paymaster.token_file: {tmp_path}/none.token: No such file",
        f"paymaster.ca_file: {tmp_path}/none.pem: No such file",
        f"journal.path: {tmp_path}/none: there is no such folder",
        f"ticket.logo: {tmp_path}/none.png: No such file",
        "SCO_DISPLAY_MODE = 9",
        "SCO_DISPLAY_MOD: unknown setting display.mod",
        "paper_mm='20' is out of range 50..120",
        "unknown parameter qr_mm",
        "rotate='45' is not one of 0, 90, 180, 270",
    ):
        assert word in done.stderr, word
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", ["0", "1", "2"])
@pytest.mark.parametrize("simulated", [True, False])
def test_the_example_of_each_mode_passes_the_check(tmp_path: Path, mode: str, simulated: bool) -> None:
    """On a machine that has what the file names: the token and the journal's folder."""
    text = run("settings", "example", "--mode", mode, *(["--simulated"] if simulated else [])).stdout
    token = tmp_path / "token"
    token.write_text("token", "utf-8")
    token.chmod(0o600)
    text = text.replace("/etc/sco/paymaster.token", str(token)).replace("/var/lib/sco", str(tmp_path))
    (tmp_path / "lane.toml").write_text(text, "utf-8")
    done = run("settings", "check", str(tmp_path / "lane.toml"), SCO_PAYMASTER_TOKEN="token")
    assert (done.returncode, f"display mode {mode}" in done.stdout) == (0, True), done.stderr


def test_the_simulated_example_pays_against_the_simulator(tmp_path: Path) -> None:
    assert "[default: 8480;" in run("simulate", "--help").stdout  # the file's own
    with PayMasterSimulator(script="pays") as paymaster:
        for mode in ("0", "1", "2"):
            text = run("settings", "example", "--simulated", "--mode", mode).stdout
            assert f"mode = {mode}" in text
            text = text.replace("http://127.0.0.1:8480", paymaster.base_url).replace(
                "journal.db", str(tmp_path / f"{mode}.db")
            )
            (tmp_path / "lane.toml").write_text(text, "utf-8")
            done = run("pay", "1", "--settings", str(tmp_path / "lane.toml"), "--order", "42",
                       SCO_PAYMASTER_TOKEN="simulator-token", SCO_LANE_RESULT_S="0",
                       SCO_TIMING_POLL_INTERVAL_S="0.2")  # fmt: skip
            assert (done.returncode, "paid: order 42" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_stops_on_a_signal(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sco_payment.cli.main", "simulate", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "PayMaster (simulated) on http://127.0.0.1:" in process.stdout.readline()
    for line in process.stdout:
        if "Ctrl-C" in line:
            break
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "stopped\n")


@pytest.mark.parametrize("encoding", ["koi8-r", "ascii"])
def test_a_terminal_without_a_ruble_sign_opens_no_case(tmp_path: Path, encoding: str) -> None:
    """An outcome that could not be printed would count as not taken."""
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        speaks = {"SCO_PAYMASTER_TOKEN": paymaster.token, "PYTHONIOENCODING": encoding, "SCO_LANE_RESULT_S": "0"}
        done = run("pay", "253", "--settings", file, "--order", "42", **speaks)
        assert done.returncode == 0, done.stderr
        assert "paid: order 42, 253,00" in done.stdout
        assert run("cases", "--check", "--settings", file, **speaks).returncode == 0


def test_json_and_settings_are_utf8_in_every_terminal(tmp_path: Path) -> None:
    with PayMasterSimulator(script="declines") as paymaster:
        file = settings_file(tmp_path, paymaster)
        speaks = {"SCO_PAYMASTER_TOKEN": paymaster.token, "PYTHONIOENCODING": "koi8-r", "SCO_LANE_RESULT_S": "0"}
        done = run("pay", "253", "--settings", file, "--order", "чек-42", "--json", **speaks)
        assert json.loads(done.stdout.splitlines()[-1])["order"] == "чек-42"
    assert "Магазин у дома" in run("settings", "example", **speaks).stdout


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, term: str, drawn: bool) -> None:
    """rich draws nothing at all there, not even the dialog."""
    terminal, line = pty.openpty()
    with PayMasterSimulator(script="pays") as paymaster:
        command = [sys.executable, "-m", "sco_payment.cli.main", "pay", "253", "--order", "42", "--settings"]
        process = subprocess.Popen(
            [*command, settings_file(tmp_path, paymaster)],
            stdout=line,
            stderr=line,
            env={**os.environ, "SCO_PAYMASTER_TOKEN": paymaster.token, "SCO_LANE_RESULT_S": "0", "TERM": term},
        )
        os.close(line)
        seen = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while block := os.read(terminal, 65536):
                seen += block
        os.close(terminal)
        assert process.wait(30) == 0
    assert ("waiting for the customer" not in seen.decode()) is drawn
    assert "paid: order 42" in seen.decode()


def test_lines_mark_the_notes_of_an_earlier_attempt() -> None:
    """A lane watches what it left open while it takes the next payment."""
    stream = io.StringIO()
    lines = Lines(stream)
    lines(NoteAdded(attempt="old", text="bank: no payment of this order"))
    lines(StateChanged(attempt="new", order_no="43", phase=m.Phase.CREATING, payment_id=None, expires_at_ms=0))
    for attempt in ("old", "new", None):
        lines(NoteAdded(attempt=attempt, text="said"))
    assert [line.strip() for line in stream.getvalue().splitlines()] == [
        "bank: no payment of this order",
        "order 43: asking the acquirer for a payment",
        "of an earlier attempt: said",
        "said",
        "said",
    ]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.attack("A19")
def test_a_payment_whose_caller_has_closed_the_standard_streams(tmp_path: Path, closed: str) -> None:
    """As a daemon does. The exit status is the outcome, and the journal does not get the number of a stream."""
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token, "SCO_LANE_RESULT_S": "0"}
        command = (
            f'exec "{sys.executable}" -m sco_payment.cli.main pay 253 --order 42 --json --settings "{file}" {closed}'
        )
        done = subprocess.run(["sh", "-c", command], env={**os.environ, **token}, timeout=60, check=False)
        assert done.returncode == 0
        assert run("cases", "--check", "--settings", file, **token).returncode == 0


@pytest.mark.parametrize("term", ["xterm", "dumb"])
@pytest.mark.attack("A19")
def test_a_terminal_that_disappears_cancels_properly(tmp_path: Path, term: str) -> None:
    """An administrator's connection breaks: no code stays on the screen of a lane that has ended."""
    terminal, line = pty.openpty()
    with PayMasterSimulator() as paymaster:
        command = [sys.executable, "-m", "sco_payment.cli.main", "pay", "253", "--order", "42", "--settings"]
        process = subprocess.Popen(
            # the first terminal that a session opens is the one that controls it
            ["sh", "-c", 'exec "$0" "$@" <"$TTY" >"$TTY" 2>&1', *command, settings_file(tmp_path, paymaster)],
            env={**os.environ, "SCO_PAYMASTER_TOKEN": paymaster.token, "TERM": term, "TTY": os.ttyname(line)},
            start_new_session=True,
        )
        seen = b""
        while "отсканируйте" not in seen.decode("utf-8", "ignore") and b"waiting for the customer" not in seen:
            seen += os.read(terminal, 65536)
        os.close(line)
        os.close(terminal)
        assert process.wait(60) in (3, 4)
        assert paymaster.bank.cancels == 1
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        assert [state.phase for state in journal.attempts()] == [m.Phase.CLOSED]
        assert journal.cases() == []
