"""A lane's service with a fleet: what a till does reaches the office, and a fleet that fails reaches no till."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.kit import Fleet
from tests.service.service_kit import Bench, serving


def section(url: str, folder: Path, token: str = "token", **more: Any) -> dict[str, Any]:
    file = folder / "fleet.token"
    file.touch(0o600)
    file.write_text(token)
    return {"url": url, "token_file": str(file), "ship_interval_s": 0.1, "heartbeat_s": 1.0, **more}


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def pay(bench: Bench, till_id: str = "t-1") -> Any:
    assert bench.till.put(till_id).status == 201
    return bench.till.outcome(till_id)


@pytest.mark.program("pg_createcluster")
def test_a_payment_reaches_the_office(fleet: Fleet, tmp_path: Path) -> None:
    token = fleet.add_lane("KSO-7")
    with serving(tmp_path, fleet=section(fleet.url, tmp_path, token)) as bench:
        assert pay(bench)["outcome"] == "paid"
        bench.till.post("/v1/payments/t-1/taken")
        until(lambda: fleet.rows("SELECT 1 FROM attempts WHERE outcome = 'paid' AND till_id IS NOT NULL"))
        until(lambda: fleet.rows("SELECT 1 FROM lanes WHERE health ->> 'lane_id' = 'KSO-7' AND settings_hash <> ''"))
        assert "sco_fleet_rows" in bench.monitor.get("/metrics").body.decode()
    assert fleet.rows("SELECT kind FROM alarms") == []


@pytest.mark.program("pg_createcluster")
def test_a_decision_of_the_office_closes_the_case_on_the_lane(fleet: Fleet, tmp_path: Path) -> None:
    token = fleet.add_lane("KSO-7")
    with serving(tmp_path, service={"taken_within_s": 1.0}, fleet=section(fleet.url, tmp_path, token)) as bench:
        pay(bench)
        bench.till.events_until("t-1", "case_opened")
        until(lambda: fleet.rows("SELECT 1 FROM cases WHERE reason = 'goods_uncertain'"))
        fleet.execute(
            "INSERT INTO decisions (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by) "
            "SELECT gen_random_uuid(), c.lane_id, c.epoch, c.number, a.phase, 'Petrova', 'goods given', "
            "c.opened_at_ms + 1000, 'petrova' FROM cases c JOIN attempts a USING (lane_id, epoch, attempt)"
        )
        until(lambda: fleet.rows("SELECT 1 FROM cases WHERE operator = 'Petrova' AND resolution = 'goods given'"))
        assert fleet.rows("SELECT status FROM decisions") == [("applied",)]
        assert bench.attendant.get("/v1/cases?open=true").json["cases"] == []


@pytest.mark.parametrize("kind", ["nobody listens", "says nothing", "not a token"])
def test_a_fleet_that_fails_reaches_no_till(tmp_path: Path, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1] if kind == 'says nothing' else 1}"
        fleet = section(url, tmp_path, "two words" if kind == "not a token" else "token", timeout_s=120.0)
        with serving(tmp_path, fleet=fleet) as bench:
            assert pay(bench)["outcome"] == "paid"
            assert bench.monitor.get("/healthz").status == 200
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 60


def test_a_lane_without_a_fleet_loads_nothing_for_one() -> None:
    program = (
        "import sys, sco_service, sco_service.service, sco_payment.assemble, sco_payment.cli.main;"
        "sys.exit([name for name in sys.modules if 'fleet' in name and name != 'sco_payment.fleet'] != [])"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
