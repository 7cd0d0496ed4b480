"""A full disk, a printer that hangs, requests that are lost: the till asks again, and nothing is done twice."""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sco_payment.journal import JournalUnwritable
from sco_payment.settings_reader import SettingsError, settings_from_mapping
from sco_service import Service, ServiceError, payments, service
from sco_service.http import Limits
from tests.payment.lane_kit import document
from tests.service.service_kit import Reply, at_once, secrets, serving
from tests.service.test_http import connected, request


def test_a_full_disk_begins_nothing_and_the_same_id_begins_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as bench:
        journal = bench.service.lane.journal

        def full(*_: Any, **__: Any) -> int | None:
            raise JournalUnwritable("journal.db: the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(journal, "record", full)
            refused = bench.till.put("T-1")
            assert (refused.status, refused.code, refused.json["retry"]) == (503, "journal_unavailable", True)
            assert refused.json["nothing_done"] is False, "an attempt may be on disk all the same"
            assert bench.till.get("/v1/payments/T-1").code == "no_such_payment"
        assert bench.till.put("T-1").status == 201
        assert bench.till.outcome("T-1")["outcome"] == "paid"
        assert bench.bank.bank.creates == 1


def test_a_disk_that_is_full_when_the_outcome_comes_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, "leaves") as bench:
        bench.till.put("T-1")
        bench.till.screen_with("pay")
        journal = bench.service.lane.journal
        write, until = journal.record, time.monotonic() + 2

        def full_for_a_while(*given: Any, **named: Any) -> int | None:
            if time.monotonic() < until:
                raise JournalUnwritable("journal.db: the disk is full")
            return write(*given, **named)

        monkeypatch.setattr(journal, "record", full_for_a_while)
        for payment in list(bench.bank.bank.payments):
            bench.bank.bank.settle(payment)
        payment = bench.till.outcome("T-1")
        assert payment["outcome"] == "paid" or payment["case"] is not None
        assert bench.bank.bank.creates == 1


def test_a_request_whose_answer_is_never_read_is_one_payment(tmp_path: Path) -> None:
    """Sent, and the line cut before the answer: as often as it takes."""
    with serving(tmp_path) as bench:
        body = b'{"order":"A-1","total_kopecks":25300}'
        head = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        for _ in range(5):
            with connected(bench) as line:
                line.sendall(request("PUT", "/v1/payments/T-1", *head) + body)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closed by a reset
        reply = bench.till.put("T-1")
        assert reply.status in (200, 201)
        assert bench.till.outcome("T-1")["outcome"] == "paid"
        assert bench.bank.bank.creates == 1


def test_a_printer_that_hangs_takes_one_worker_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, devices={"printer": "sim://"}) as bench:
        printer = bench.service.lane.printer
        hangs, held = threading.Event(), threading.Event()

        def hang(document: object) -> None:
            hangs.set()
            held.wait(60)

        monkeypatch.setattr(type(printer), "print_document", lambda self, document: hang(document))
        first = threading.Thread(target=bench.till.post, args=("/v1/receipts", {"id": "R-0", "lines": ["x"]}))
        first.start()
        assert hangs.wait(60)

        def receipt(number: int) -> Reply:
            return bench.till.post("/v1/receipts", {"id": f"R-{number}", "lines": ["x"]})

        replies = at_once(*[lambda number=number: receipt(number) for number in range(1, 8)])
        assert {reply.code for reply in replies} == {"printer_unavailable"}
        assert bench.till.put("T-1").status == 201
        held.set()
        first.join()


def test_what_the_service_cannot_start_with_is_said(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        data = document(bench.bank, tmp_path / "other.db", service=secrets(tmp_path))
        token = {"SCO_PAYMASTER_TOKEN": bench.bank.token}

        def problem_of(**changes: Any) -> str:
            data["service"] = secrets(tmp_path) | changes
            with pytest.raises(ServiceError) as caught:
                Service(settings_from_mapping(data, token))
            return str(caught.value)

        assert "two lanes on one machine need two ports" in problem_of(listen=f"127.0.0.1:{bench.till.port}")
        assert "service.clients is empty" in problem_of(clients={})
        (tmp_path / "till.token").chmod(0o644)
        assert "others may read it" in problem_of()
        (tmp_path / "till.token").chmod(0o600)
        twice = {name: {"role": "till", "token_file": str(tmp_path / "till.token")} for name in ("a", "b")}
        assert "a has the same token" in problem_of(clients=twice)
        assert "no such file" in problem_of(operators_file=str(tmp_path / "none")).lower()

        def refused(**changes: Any) -> str:
            data["service"] = secrets(tmp_path) | changes
            with pytest.raises(SettingsError) as caught:
                settings_from_mapping(data, token)
            return "; ".join(caught.value.problems)

        assert "plain HTTP is allowed only on this machine" in refused(listen="0.0.0.0:8723")
        assert "must be address:port" in refused(listen="nonsense")
        assert "without control characters" in refused(tls_certificate="\0", tls_key="\0")
        assert "go together" in refused(tls_certificate=str(tmp_path / "till.token"))
        assert "role must be one of" in refused(clients={"a": {"role": "boss", "token_file": "x"}})
        assert "must have role and token_file" in refused(clients={"a": {"role": "till"}})
        assert "write [service.clients.NAME]" in refused(clients=["a"])


def test_a_service_that_stops_has_done_so_before_systemd_kills_it() -> None:
    """Its cancellation, the till's taken, the last answers, the watcher and the devices, each as slow as it may be."""
    unit = (Path(__file__).parents[2] / "udev" / "sco-lane.service").read_text("utf-8")
    [allowed_s] = re.findall(r"(?m)^TimeoutStopSec=(\d+)$", unit)
    server_s, watcher_s, devices_s = Limits().linger_s + 1.0, 5.0, 5.0
    assert service._STOP_S + payments._TAKES_S + server_s + watcher_s + devices_s + 5.0 < int(allowed_s)
