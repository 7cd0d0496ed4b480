"""`sco-pay pay --service` on a terminal: the lane's screen is drawn there, and Ctrl-C cancels at the service."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import sys
import threading
import time
from pathlib import Path

import pytest

from sco_payment.cli import remote as remote_module
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.remote import Remote, Unreachable, pay_remotely
from sco_payment.journal import JournalUnwritable
from sco_payment.order import Order
from sco_payment.paymaster.token import Token
from tests.payment.lane_kit import run
from tests.service.service_kit import Json, serving


def test_a_terminal_shows_the_lane_s_screen_and_cancels(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves", speed=1.0) as bench:
        url = f"http://127.0.0.1:{bench.till.port}"
        command = ["pay", "253", "--order", "A-1", "--service", url]
        process, line = pty.fork()
        if process == 0:
            os.environ |= {"TERM": "xterm", "LINES": "60", "COLUMNS": "120", "SCO_SERVICE_TOKEN": "till-token"}
            os.execv(sys.executable, [sys.executable, "-m", "sco_payment.cli.main", *command])
        shown = bytearray()

        def read() -> None:
            with contextlib.suppress(OSError):  # how a pty ends
                while data := os.read(line, 65_536):
                    shown.extend(data)

        reading = threading.Thread(target=read)
        reading.start()
        until = time.monotonic() + 60
        while "█".encode() not in shown and time.monotonic() < until:
            time.sleep(0.1)
        assert "Для оплаты используйте NFC".encode() in shown
        os.write(line, b"\x03")
        _, status = os.waitpid(process, 0)
        reading.join(5)
        os.close(line)
        assert os.waitstatus_to_exitcode(status) == 3, shown[-500:]
        assert b"unpaid: order A-1" in shown
        assert bench.bank.bank.cancels == 1


def test_paid_with_a_case_is_no_success(tmp_path: Path) -> None:
    """A script that goes by the exit status must not give the goods: an operator has been asked to decide."""
    with serving(tmp_path) as bench:
        bench.till.put("T-1")
        bench.till.outcome("T-1")
        bench.till.post("/v1/payments/T-1/not_accepted", {"reason": "no paper in the till"})
        url = f"http://127.0.0.1:{bench.till.port}"
        pay = ("pay", "253", "--order", "A-1", "--id", "T-1", "--service", url)
        done = run(*pay, "--json", SCO_SERVICE_TOKEN="till-token")
        assert done.returncode == ExitStatus.UNKNOWN, done
        assert json.loads(done.stdout.splitlines()[-1])["case"] == 1


def test_a_case_that_comes_with_the_answer_to_taken_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has started again between the outcome and `taken`."""
    with serving(tmp_path) as bench:
        remote = Remote(f"http://127.0.0.1:{bench.till.port}", Token("till-token"))
        ask = remote.ask_again

        def ask_again(method: str, path: str, body: Json | None = None) -> Json:
            answer = ask(method, path, body)
            return answer | {"case": 3} if path.endswith("/taken") else answer

        monkeypatch.setattr(remote, "ask_again", ask_again)
        assert pay_remotely(remote, "T-1", Order("A-1", 25_300), as_json=True) == ExitStatus.UNKNOWN
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["case"] == 3


def status_of(remote: Remote) -> int:
    with pytest.raises(SystemExit) as ended:
        pay_remotely(remote, "T-1", Order("A-1", 25_300), as_json=True)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_journal_that_cannot_be_written_is_not_nothing_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first step may be on disk all the same: a script must take no other money for the order."""

    def full(*_: object, **__: object) -> int | None:
        raise JournalUnwritable("journal.db: the disk is full")

    monkeypatch.setattr(remote_module, "_PATIENCE_S", 0.0)
    with serving(tmp_path) as bench:
        monkeypatch.setattr(bench.service.lane.journal, "record", full)
        assert status_of(Remote(f"http://127.0.0.1:{bench.till.port}", Token("till-token"))) == ExitStatus.UNKNOWN


@pytest.mark.parametrize(("lost", "status"), [(True, ExitStatus.UNKNOWN), (False, ExitStatus.WRONG_USAGE)])
def test_a_token_that_is_refused_says_nothing_of_a_request_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool, status: ExitStatus
) -> None:
    monkeypatch.setattr(remote_module, "_BETWEEN_TRIES_S", 0.0)
    with serving(tmp_path) as bench:
        remote = Remote(f"http://127.0.0.1:{bench.till.port}", Token("token-of-yesterday"))
        ask, answers = remote.ask, [Unreachable("no answer", sent=True)] if lost else []

        def ask_or_lose(method: str, path: str, body: Json | None = None) -> Json:
            if answers:
                raise answers.pop()
            return ask(method, path, body)

        monkeypatch.setattr(remote, "ask", ask_or_lose)
        assert status_of(remote) == status
