"""A till's payments over the wire: one id is one payment, whatever is doubled, and events lose nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sco_payment.journal import JournalUnwritable
from sco_service import resources
from tests.service.service_kit import ORDER, at_once, serving


def test_a_payment_from_put_to_taken(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        till = bench.till
        begun = till.put("T-1")
        assert begun.status == 201, begun
        assert (begun.json["id"], begun.json["order"], begun.json["amount_kopecks"]) == ("T-1", "A-1", 25_300)
        assert begun.json["state"] == "running"
        payment = till.outcome("T-1")
        assert (payment["outcome"], payment["case"], payment["taken"]) == ("paid", None, False)
        assert till.post("/v1/payments/T-1/taken").json["taken"] is True
        again = till.post("/v1/payments/T-1/taken")
        assert (again.status, again.json["taken"]) == (200, True)
        events = till.get("/v1/payments/T-1/events").json["events"]
        assert [event["type"] for event in events if event["type"] not in ("note_added", "state_changed")] == [
            "link_accepted",
            "outcome_reached",
            "outcome_taken",
        ]
        phases = [event["phase"] for event in events if event["type"] == "state_changed"]
        assert phases == ["creating", "presenting", "waiting", "paid"]
        assert all((event["payment"], event["attempt"]) == ("T-1", payment["attempt"]) for event in events)
        assert till.get("/v1/payments?order=A-1").json["payments"] == [till.payment("T-1")]
        assert bench.bank.bank.creates == 1


def test_the_same_body_again_is_the_same_payment(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves") as bench:
        till = bench.till
        replies = at_once(*[lambda: till.put("T-1")] * 6)
        assert sorted(reply.status for reply in replies) == [200, 200, 200, 200, 200, 201], replies
        assert len({reply.json["attempt"] for reply in replies}) == 1
        spelled_out = {**ORDER, "leg_kopecks": 25_300, "tendered_elsewhere_kopecks": 0}
        assert till.put("T-1", spelled_out).status == 200
        other = till.put("T-1", {**ORDER, "total_kopecks": 25_301})
        assert (other.status, other.code, other.json["retry"]) == (409, "id_conflict", False)
        busy = till.put("T-2", {**ORDER, "order": "A-2"})
        assert (busy.status, busy.code, busy.json["retry"]) == (409, "lane_busy", True)
        till.screen_with("pay")
        assert till.post("/v1/payments/T-1/cancel").status == 202
        assert till.outcome("T-1")["outcome"] == "unpaid"
        assert till.post("/v1/payments/T-1/cancel").status == 200
        assert bench.bank.bank.creates == 1


def test_a_payment_whose_link_is_not_shown_says_why(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves + foreign-link") as bench:
        bench.till.put("T-1")
        payment = bench.till.outcome("T-1")
        assert (payment["outcome"], payment["reason"]) == ("not_presented", "link_refused")
        assert "add it to display.link_hosts" in payment["detail"]


def test_a_refusal_stores_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        till = bench.till
        refused = till.put("T-1", {"order": "A-1", "total_kopecks": 100, "tendered_elsewhere_kopecks": 100})
        assert (refused.status, refused.code) == (422, "order_refused")
        assert till.get("/v1/payments/T-1").code == "no_such_payment"
        assert till.put("T-1").status == 201
        till.outcome("T-1")
        paid = till.put("T-2")
        assert (paid.status, paid.code) == (409, "order_paid")
        assert till.get("/v1/payments/T-2").status == 404
        counted = till.put("T-3", {"order": "A-9", "total_kopecks": 200, "tendered_by_sbp_kopecks": 100})
        assert (counted.status, counted.code) == (422, "order_refused")


def test_the_next_payment_may_begin_when_the_outcome_is_read(tmp_path: Path) -> None:
    """The till reads it from the journal, perhaps before the lane has finished with the payment."""
    with serving(tmp_path) as bench:
        for number in range(5):
            body = {"order": f"A-{number}", "total_kopecks": 100}
            assert bench.till.put(f"T-{number}", body).status == 201
            assert bench.till.outcome(f"T-{number}")["outcome"] == "paid"


def test_a_till_that_cannot_store_the_outcome_opens_a_case(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        till = bench.till
        till.put("T-1")
        path = "/v1/payments/T-1/not_accepted"
        till.outcome("T-1")
        refused = till.post(path, {"reason": "InvalidPaymentException"})
        assert (refused.status, refused.json["case"]) == (200, 1), refused
        assert till.post(path, {"reason": "again"}).json["case"] == 1
        assert till.screen_with("attendant")["attempt"] == refused.json["attempt"]
        case = bench.attendant.get("/v1/cases/1").json
        assert (case["reason"], case["payment"]) == ("goods_uncertain", "T-1")
        assert any("InvalidPaymentException" in row["text"]["en"] for row in case["timeline"])
        till.put("T-2", {"order": "A-2", "total_kopecks": 100})
        till.outcome("T-2")
        till.post("/v1/payments/T-2/taken")
        for _ in range(2):
            voided = till.post("/v1/payments/T-2/not_accepted", {"reason": "the receipt is annulled"})
            assert (voided.status, voided.json["taken"], voided.json["case"]) == (200, True, 2), voided
        assert len(bench.attendant.get("/v1/cases").json["cases"]) == 2
        bench.bank.use("declines")
        till.put("T-3", {"order": "A-3", "total_kopecks": 100})
        till.outcome("T-3")
        unpaid = till.post("/v1/payments/T-3/not_accepted", {"reason": "nothing to refuse"})
        assert (unpaid.status, unpaid.code) == (409, "not_acceptable")


def test_only_a_button_that_is_shown_can_be_pressed(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves") as bench:
        till = bench.till
        till.put("T-1")
        screen = till.screen_with("pay")
        assert [button["id"] for button in screen["buttons"]] == ["cancel"]
        retry = till.post("/v1/payments/T-1/choice", {"button": "retry"})
        assert (retry.status, retry.code) == (409, "not_offered")
        pressed = bench.browser.post(f"/v1/payments/{screen['attempt']}/choice", {"button": "cancel"})
        assert (pressed.status, pressed.json) == (200, {"accepted": True})
        assert till.outcome("T-1")["reason"] == "customer"


def test_a_payment_that_was_refused_as_late_never_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The till has sent its customer away: a code that comes to the screen later would be paid by somebody else."""
    monkeypatch.setattr(resources, "_BEGIN_S", 0.3)
    with serving(tmp_path) as bench:
        lane = bench.service.lane
        with lane._running:  # as while a full disk or the gate is waited for
            late = bench.till.put("T-1")
            assert (late.status, late.code, late.json["retry"]) == (409, "lane_busy", True)
            assert late.json["nothing_done"] is True
            assert bench.till.get("/v1/payments/T-1").code == "no_such_payment"
        until = time.monotonic() + 10
        while bench.service.payments.job("T-1") is not None and time.monotonic() < until:
            time.sleep(0.05)
        assert bench.till.get("/v1/payments/T-1").code == "no_such_payment"
        monkeypatch.undo()
        assert bench.till.put("T-1").status == 201
        assert bench.till.outcome("T-1")["outcome"] == "paid"


def test_a_payment_that_waits_to_begin_is_not_one_that_never_began(tmp_path: Path) -> None:
    """A till that has restarted asks for it, hears that it never began, and takes cash; then it begins."""
    with serving(tmp_path, "leaves") as bench, ThreadPoolExecutor() as pool:
        till = bench.till
        with bench.service.lane._running:  # as while the lane settles an earlier attempt of the order
            begun = pool.submit(till.put, "T-1")
            until = time.monotonic() + 20
            while bench.service.payments.job("T-1") is None and time.monotonic() < until:
                time.sleep(0.01)
            path = "/v1/payments/T-1"
            asked = [till.get(path), till.get(f"{path}/events"), till.get("/v1/payments?order=A-1")]
            asked += [till.post(f"{path}/{what}") for what in ("taken", "print_again")]
            asked.append(till.post(f"{path}/choice", {"button": "cancel"}))
            asked.append(till.post(f"{path}/not_accepted", {"reason": "x"}))
            for reply in asked:
                assert (reply.status, reply.code, reply.json["retry"]) == (409, "not_begun_yet", True), reply
            assert bench.monitor.get("/v1/lane").json["payment"] == "T-1"
            assert till.get("/v1/payments/T-2").code == "no_such_payment"
            assert till.get("/v1/payments?order=A-2").json == {"payments": []}
            cancelled = pool.submit(till.post, f"{path}/cancel")  # is answered when it has begun
        assert begun.result().status == 201
        assert cancelled.result().status == 202
        assert till.get(path).status == 200
        assert till.outcome("T-1")["reason"] == "customer"
        assert [one["id"] for one in till.get("/v1/payments?order=A-1").json["payments"]] == ["T-1"]


def test_a_journal_that_cannot_be_read_does_not_keep_the_lane_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices and screens are released all the same: no code may stay on them."""
    closed: list[bool] = []
    with serving(tmp_path) as bench:
        bench.till.put("T-1")
        bench.till.outcome("T-1")
        until = time.monotonic() + 10
        while bench.service.payments.job("T-1") is not None and time.monotonic() < until:
            time.sleep(0.05)

        def fails(key: str) -> None:
            raise JournalUnwritable("disk I/O error")

        monkeypatch.setattr(bench.service.records, "state", fails)
        close = bench.service.lane.close
        monkeypatch.setattr(bench.service.lane, "close", lambda: (closed.append(True), close()))
        bench.service.close()
    assert closed
