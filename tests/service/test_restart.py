"""`sco-pay serve` in a process of its own, killed at each step of a payment: no double charge, no lost outcome."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sco_payment.journal import Journal
from sco_sim.local import free_port
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import document
from tests.service.service_kit import ORDER, Json, Till, secrets


def lane_file(folder: Path, bank: PayMasterSimulator, port: int) -> str:
    """The settings of a service for a process of its own: its time is real, so it asks often."""
    data = document(bank, folder / "journal.db", service=secrets(folder) | {"listen": f"127.0.0.1:{port}"})
    data["timing"]["poll_interval_s"] = 0.2
    clients = data["service"].pop("clients")
    data |= {f"service.clients.{name}": client for name, client in clients.items()}
    lines = []
    for section, values in data.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    path = folder / "lane.toml"
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


class Process:
    """`sco-pay serve`, until it is stopped or killed."""

    def __init__(self, file: str, bank: PayMasterSimulator, port: int) -> None:
        self.till = Till(port)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sco_payment.cli.main", "serve", "--settings", file],
            env={**os.environ, "SCO_PAYMASTER_TOKEN": bank.token},
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if self.till.get("/healthz").status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(self.stop())

    @property
    def number(self) -> int:
        return self._process.pid

    def stop(self, how: int = signal.SIGKILL) -> tuple[int, str]:
        self._process.send_signal(how)
        _, text = self._process.communicate(timeout=90)
        return self._process.returncode, text


@contextlib.contextmanager
def lane(folder: Path, script: str) -> Iterator[tuple[str, PayMasterSimulator, int]]:
    port = free_port()
    with PayMasterSimulator(script=script) as bank:
        yield lane_file(folder, bank, port), bank, port


def reached(till: Till, step: str) -> None:
    """Wait until the journal has that step: an event's type, or a phase."""
    after, until = 0, time.monotonic() + 30
    while time.monotonic() < until:
        page = till.get(f"/v1/payments/T-1/events?after={after}&wait_s=5").json
        after = page["next_after"]
        if any(step in (event["type"], event.get("phase")) for event in page["events"]):
            return
    raise AssertionError(f"{step} never came")


@pytest.mark.parametrize("script", ["pays", "leaves"])
@pytest.mark.parametrize("step", ["creating", "presenting", "waiting", "outcome_reached", "outcome_taken"])
def test_a_service_that_is_killed_charges_once_and_loses_nothing(tmp_path: Path, step: str, script: str) -> None:
    with lane(tmp_path, script) as (file, bank, port):
        first = Process(file, bank, port)
        begun = first.till.put("T-1").json
        if script == "leaves" and step.startswith("outcome"):
            first.till.post("/v1/payments/T-1/cancel")
        if step == "outcome_taken":
            reached(first.till, "outcome_reached")
            first.till.post("/v1/payments/T-1/taken")
        if step != "creating":
            reached(first.till, step)
        before = first.till.payment("T-1")
        first.stop()

        second = Process(file, bank, port)
        again = second.till.put("T-1")  # a till that does not know what became of its request
        assert (again.status, again.json["attempt"]) == (200, begun["attempt"])
        payment = second.till.outcome("T-1")
        if payment["outcome"] == "paid":  # otherwise T-2 may begin, and is created
            for refused in (second.till.put("T-1", {**ORDER, "total_kopecks": 1}), second.till.put("T-2")):
                assert refused.status == 409, refused
        assert bank.bank.creates <= 1
        assert bank.bank.cancels <= 1
        charged = [one for one in bank.bank.payments.values() if one.status == "Settled"]
        if before["outcome"] is not None:
            assert payment["outcome"] == before["outcome"]
        if charged:
            assert payment["outcome"] in ("paid", "unknown")
            assert (payment["case"] is None) == before["taken"], "goods may be released once, or a case says so"
        else:
            assert payment["outcome"] != "paid"
        types = [event["type"] for event in second.till.get("/v1/payments/T-1/events").json["events"]]
        assert types.count("outcome_reached") == 1
        second.stop()
        with Journal(tmp_path / "journal.db", read_only=True) as journal:
            assert journal.verify() == []


def test_a_service_that_is_stopped_cancels_and_reports(tmp_path: Path) -> None:
    with lane(tmp_path, "leaves") as (file, bank, port):
        service = Process(file, bank, port)
        service.till.put("T-1")
        reached(service.till, "waiting")
        status, text = service.stop(signal.SIGTERM)
        assert status == 0, text
        again = Process(file, bank, port)
        payment = again.till.payment("T-1")
        assert (payment["outcome"], payment["reason"], bank.bank.cancels) == ("unpaid", "customer", 1)
        again.stop(signal.SIGTERM)


def test_a_service_that_is_stopped_waits_for_the_till_to_take_the_outcome(tmp_path: Path) -> None:
    with lane(tmp_path, "pays") as (file, bank, port):
        service = Process(file, bank, port)
        service.till.put("T-1")
        reached(service.till, "outcome_reached")
        taking = threading.Timer(1.0, service.till.post, ("/v1/payments/T-1/taken",))
        taking.start()
        assert service.stop(signal.SIGTERM)[0] == 0
        taking.join()
        again = Process(file, bank, port)
        payment = again.till.payment("T-1")
        assert (payment["outcome"], payment["taken"], payment["case"]) == ("paid", True, None)
        again.stop()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sco_payment.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def last_line(done: subprocess.CompletedProcess[str]) -> Json:
    data: Json = json.loads(done.stdout.splitlines()[-1])
    return data


def test_a_journal_that_a_service_holds_says_so_and_where(tmp_path: Path) -> None:
    with lane(tmp_path, "pays") as (file, bank, port):
        service = Process(file, bank, port)
        url = f"http://127.0.0.1:{port}"
        pay = ("pay", "253", "--order", "A-1", "--json")
        busy = run(*pay, "--settings", file, SCO_PAYMASTER_TOKEN=bank.token)
        assert (busy.returncode, last_line(busy)["outcome"]) == (7, "error"), busy
        assert url in last_line(busy)["detail"]
        assert f"process {service.number}" in busy.stderr
        other = run("serve", "--settings", file, SCO_PAYMASTER_TOKEN=bank.token)
        assert other.returncode == 2, other  # the port is taken first
        assert "two ports" in other.stderr
        token = {"SCO_SERVICE_TOKEN": "till-token"}
        paid = run(*pay, "--service", url, "--id", "T-1", **token)
        assert (paid.returncode, last_line(paid)["outcome"]) == (0, "paid"), paid
        assert service.till.payment("T-1")["taken"] is True
        assert any(json.loads(line)["event"] == "state_changed" for line in paid.stdout.splitlines())
        again = run(*pay, "--service", url, "--id", "T-1", **token)
        assert (again.returncode, last_line(again)["outcome"]) == (0, "paid"), again
        refused = run(*pay, "--service", url, **token)
        assert (refused.returncode, last_line(refused)["outcome"]) == (6, "refused"), refused
        wrong = run(*pay, "--service", url, SCO_SERVICE_TOKEN="wrong")
        assert (wrong.returncode, last_line(wrong)["outcome"]) == (2, "error"), wrong
        text = run("pay", "1", "--order", "A-2", "--service", url, **token)
        assert (text.returncode, "paid: order A-2" in text.stdout) == (0, True), text
        service.stop()
        gone = run(*pay, "--service", url, **token)
        assert (gone.returncode, last_line(gone)["outcome"]) == (8, "error"), gone
        assert bank.bank.creates == 2


def test_every_exit_with_json_prints_a_line(tmp_path: Path) -> None:
    missing = run("pay", "1", "--order", "A", "--settings", str(tmp_path / "no.toml"), "--json")
    assert (missing.returncode, last_line(missing)["outcome"]) == (2, "error")
    usage = run("pay", "nothing", "--order", "A", "--settings", "x", "--json")
    assert (usage.returncode, last_line(usage)["exit_status"]) == (2, 2)
    assert last_line(run("recover", "--settings", str(tmp_path / "no.toml"), "--json"))["outcome"] == "error"
