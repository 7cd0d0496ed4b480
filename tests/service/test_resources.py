"""Cases, receipts, the screen and the lane's health over the wire."""

from __future__ import annotations

import base64
import contextlib
import io
import threading
import time
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from sco_payment.attempt import CaseReason, Mode, OpenCase, Phase, Plan, State, View
from sco_payment.customer.texts import ENGLISH, RUSSIAN
from sco_payment.journal import Journal, codec, resolutions
from sco_service.problems import KINDS, Problem
from sco_service.screen import translated
from sco_service.security import Pins
from sco_service.wording import ADVICE, WHAT_HAPPENED
from tests.payment.journal.kit import opened
from tests.payment.lane_kit import OwnUI
from tests.service.service_kit import Bench, Till, at_once, serving


def with_case(bench: Bench) -> None:
    bench.till.put("T-1")
    bench.till.outcome("T-1")
    bench.till.post("/v1/payments/T-1/not_accepted", {"reason": "no paper in the till"})


def test_a_case_is_closed_with_name_reason_and_pin(tmp_path: Path) -> None:
    pins = tmp_path / "operators"
    pins.touch(0o600)
    pins.write_text("Иванова А.: 4821\n", "utf-8")
    with serving(tmp_path, service={"operators_file": str(pins)}) as bench:
        with_case(bench)
        person = bench.attendant
        assert [case["number"] for case in person.get("/v1/cases").json["cases"]] == [1]
        assert person.get("/v1/cases/2").code == "no_such_case"
        case = person.get("/v1/cases/1").json
        assert case["what_to_do"]["ru"]
        assert case["timeline"][0]["text"]["ru"].startswith("Начата оплата 253,00")
        body = {"operator": "Иванова А.", "reason": "товар отдан", "pin": "4821"}
        path = "/v1/cases/1/resolve"
        assert bench.till.post(path, body).code == "forbidden"
        assert person.post(path, {**body, "pin": "0000"}).code == "wrong_pin"
        assert person.post(path, {**body, "pin": None}).code == "wrong_pin"
        assert person.post(path, {**body, "operator": "Петрова"}).code == "wrong_pin"
        assert person.post(path, {**body, "reason": "  "}).code == "bad_field"
        closed = person.post(path, body)
        assert (closed.status, closed.json["recorded"]) == (200, True), closed
        assert closed.json["case"]["operator"] == "Иванова А."
        assert person.post(path, body).code == "case_closed"
        assert person.get("/v1/cases").json["cases"] == []
        assert len(person.get("/v1/cases?open=false").json["cases"]) == 1
        assert bench.till.payment("T-1")["case"] == 1, "an attendant has decided about the goods, not the till"


@pytest.mark.attack("A26")
def test_wrong_pins_make_a_name_wait(tmp_path: Path) -> None:
    path = tmp_path / "operators"
    path.touch(0o600)
    path.write_text("A: 1234\nB: 1\n")
    now = [0.0]
    pins = Pins(str(path), lambda: now[0])

    def code(name: str, pin: str) -> str:
        try:
            pins.check(name, pin)
        except Problem as problem:
            return problem.code
        return ""

    assert [code("A", "0") for _ in range(6)] == ["wrong_pin"] * 5 + ["pin_throttled"]
    assert code("A", "1234") == "pin_throttled"
    assert code("B", "1") == ""
    now[0] = 31
    assert (code("A", "0"), code("A", "1234")) == ("wrong_pin", "pin_throttled")
    now[0] = 92
    assert code("a", "1234") == ""
    assert [code(f"stranger {n}", "0") for n in range(6)] == ["wrong_pin"] * 5 + ["pin_throttled"]


@pytest.mark.attack("A26")
def test_however_many_pins_were_wrong_the_next_one_waits(tmp_path: Path) -> None:
    path = tmp_path / "operators"
    path.touch(0o600)
    path.write_text("A: 1234\n")
    now = [0.0]
    pins = Pins(str(path), lambda: now[0])
    for _ in range(1100):
        with pytest.raises(Problem, match="wrong_pin"):
            pins.check("A", "0")
        now[0] += 901
    with pytest.raises(Problem, match="wrong_pin"):
        pins.check("A", "0")
    with pytest.raises(Problem, match="wait 901 s"):
        pins.check("A", "1234")


def test_wrong_names_of_other_days_make_nobody_wait(tmp_path: Path) -> None:
    """All unknown names are one: a slip a day would otherwise lock out whoever mistypes a name, for good."""
    path = tmp_path / "operators"
    path.touch(0o600)
    path.write_text("A: 1234\n")
    now = [0.0]
    pins = Pins(str(path), lambda: now[0])
    for _ in range(20):
        for _ in range(2):
            with pytest.raises(Problem, match="wrong_pin"):
                pins.check("a name with a slip", "1234")
        now[0] += 86_400


def test_a_decision_is_left_while_a_payment_is_under_way(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        with_case(bench)
        bench.bank.use("leaves")
        bench.till.put("T-2", {"order": "A-2", "total_kopecks": 100})
        bench.till.screen_with("pay")
        left = bench.attendant.post("/v1/cases/1/resolve", {"operator": "A", "reason": "B"})
        assert (left.status, left.json["recorded"], left.json["case"]["decided_by"]) == (200, False, "A")
        bench.till.post("/v1/payments/T-2/cancel")
        bench.till.outcome("T-2")
        until = time.monotonic() + 60
        while bench.attendant.get("/v1/cases").json["cases"] and time.monotonic() < until:
            time.sleep(0.05)
        assert bench.attendant.get("/v1/cases").json["cases"] == []


def test_a_decision_is_on_what_the_attendant_saw(tmp_path: Path) -> None:
    with opened(tmp_path / "journal.db") as journal:
        plan = Plan("k1", "A-1", 25_300, "RUB", Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
        state = State(plan, Phase.PAID_LATE, payment_id="p1", case=CaseReason.LATE_MONEY)
        journal.record(None, state, (OpenCase(CaseReason.LATE_MONEY, "money came"),), at_ms=1)
    with serving(tmp_path) as bench:
        path, body = "/v1/cases/1/resolve", {"operator": "A", "reason": "nothing was paid"}
        refused = bench.attendant.post(path, {**body, "phase": "watching"})
        assert (refused.status, refused.code) == (409, "payment_changed")
        assert refused.json["detail"] == "the payment was watching when this was decided, and is paid_late now"
        assert bench.attendant.get("/v1/cases/1").json["decided_by"] is None
        assert bench.attendant.post(path, {**body, "phase": "gone"}).code == "bad_field"
        closed = bench.attendant.post(path, {**body, "reason": "refunded", "phase": "paid_late"})
        assert (closed.status, closed.json["case"]["number"]) == (200, 1)


def test_the_tills_document_is_printed_once(tmp_path: Path) -> None:
    with serving(tmp_path, devices={"printer": "sim://"}) as bench:
        body = {"id": "R-1", "lines": ["Хлеб 50,00", "Итого 50,00"]}
        done = bench.till.post("/v1/receipts", body)
        assert (done.status, done.json["outcome"]) == (200, "printed"), done
        assert bench.till.post("/v1/receipts", body).code == "printed_before"
        raw = {"id": "R-2", "octets_base64": base64.b64encode(b"hello\n").decode(), "cut": False}
        assert bench.till.post("/v1/receipts", raw).status == 200
        assert bench.till.post("/v1/receipts", {"id": "R-3"}).code == "bad_field"
        assert bench.till.post("/v1/receipts", {"id": "R-3", "octets_base64": "!!!!"}).code == "bad_field"
        assert [one["kind"] for one in bench.monitor.get("/v1/lane").json["devices"]] == ["printer"]
    with serving(tmp_path) as bench:
        assert bench.till.post("/v1/receipts", body).code == "printer_unavailable"


def test_a_ticket_is_printed_again_while_it_can_be_paid(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves", devices={"printer": "sim://"}, display={"mode": 0}) as bench:
        bench.till.put("T-1")
        path = "/v1/payments/T-1/print_again"
        until = time.monotonic() + 60
        while (again := bench.attendant.post(path)).status == 409 and time.monotonic() < until:
            time.sleep(0.1)  # not presented yet
        assert (again.status, again.json["outcome"]) == (200, "printed"), again
        assert bench.till.post(path).status == 200
        bench.till.post("/v1/payments/T-1/cancel")
        bench.till.outcome("T-1")
        assert bench.till.post(path).code == "not_printable"
        assert bench.bank.bank.creates == 1


def test_the_screen_in_two_languages_and_its_code(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves") as bench:
        idle = bench.browser.get("/v1/screen").json
        assert (idle["view"], idle["qr"], idle["attempt"]) == ("idle", None, None)
        assert bench.browser.get("/v1/screen/qr.svg").code == "no_code"
        bench.till.put("T-1")
        screen = bench.till.screen_with("pay")
        assert (screen["payment"], screen["amount_kopecks"]) == ("T-1", 25_300)
        assert screen["texts"]["ru"]["headline"] == RUSSIAN.pay
        assert screen["texts"]["en"]["headline"] == ENGLISH.pay
        assert screen["buttons"][0]["text"] == {"ru": "Отменить", "en": "Cancel"}
        assert screen["version"] > idle["version"]
        png = bench.browser.get(screen["qr"]["png"] + "&module_px=4")
        assert png.headers["content-type"] == "image/png"
        [code] = zxingcpp.read_barcodes(Image.open(io.BytesIO(png.body)).convert("L"))
        assert code.text == screen["link"]
        svg = bench.browser.get(screen["qr"]["svg"])
        assert svg.body.startswith(b"<svg ")
        bench.till.post("/v1/payments/T-1/cancel")
        bench.till.screen_with("unpaid")
        assert bench.till.screen_with("idle")["attempt"] is None


def test_the_lanes_own_screen_leaves_the_outcome_too(tmp_path: Path) -> None:
    """Nobody who comes next reads what the customer before has paid; a payment that has begun keeps its screen."""
    own = OwnUI()
    with serving(tmp_path, "pays", ui=own, lane={"result_s": 1.0}) as bench:
        bench.till.put("T-1")
        paid = bench.till.outcome("T-1")
        bench.till.screen_with("idle")
        until = time.monotonic() + 60
        while not own.shown[-1].idle and time.monotonic() < until:
            time.sleep(0.02)
        assert (own.shown[-2].view, own.shown[-1].idle) == (View.PAID, True)
        assert own.shown[-1].headline == RUSSIAN.payment_type
        assert own.shown[-1].amount_kopecks is None
        bench.till.put("T-2", {"order": "A-2", "total_kopecks": 100})
        bench.service.lane.show_idle(paid["attempt"])
        bench.till.outcome("T-2")
        attempt = bench.till.payment("T-2")["attempt"]
        begun = next(number for number, state in enumerate(own.shown) if state.attempt == attempt)
        assert not any(state.idle for state in own.shown[begun : begun + 3])


def test_texts_are_translated_by_their_templates() -> None:
    assert translated("Обращение № 12", "ru", "en") == "Case No. 12"
    assert translated("Please wait", "en", "ru") == "Пожалуйста, подождите"
    assert translated("чужой текст", "ru", "en") == "чужой текст"


def test_every_case_and_problem_has_words_in_both_languages() -> None:
    reasons = {codec.CASE_REASONS[reason] for reason in CaseReason}
    assert set(WHAT_HAPPENED) == set(ADVICE) == reasons
    for words in (*WHAT_HAPPENED.values(), *ADVICE.values()):
        assert words["ru"]
        assert words["en"]
    assert all(kind.title and kind.russian for kind in KINDS.values())


def test_health_and_metrics(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        bench.till.put("T-1")
        bench.till.outcome("T-1")
        lane = bench.monitor.get("/v1/lane").json
        assert (lane["lane_id"], lane["open_cases"], lane["payment"]) == ("KSO-7", 0, None)
        assert lane["last_acquirer_contact_ms"] > 0
        assert lane["journal"]["last_seq"] > 0
        text = bench.monitor.get("/metrics").body.decode()
        assert "sco_up 1\n" in text
        assert 'sco_http_responses_total{status="201"} 1\n' in text
        assert bench.browser.get("/healthz").json == {"ok": True, "problems": []}
        bench.service.payments.stop(5)
        stopped = bench.browser.get("/healthz")
        assert (stopped.status, stopped.json["ok"]) == (503, False)
        refused = bench.till.put("T-2", {"order": "A-2", "total_kopecks": 1})
        assert (refused.status, refused.code) == (503, "lane_stopping")


@pytest.mark.parametrize("wait_s", ["", "&wait_s=1"])
def test_events_that_are_archived_are_reported(tmp_path: Path, wait_s: str) -> None:
    with serving(tmp_path) as bench:
        bench.till.put("T-1")
        bench.till.outcome("T-1")
        bench.till.post("/v1/payments/T-1/taken")
    with Journal(tmp_path / "journal.db", lane_id="KSO-7", acquirer="paymaster") as journal:
        cut = journal.find_cut(2**53)
        assert cut is not None
        journal.move_to_archive(cut, tmp_path / "archive.db", at_ms=time.time_ns() // 1_000_000)
    with serving(tmp_path) as bench:
        gone = bench.till.get(f"/v1/events?after=0{wait_s}")
        assert (gone.status, gone.code) == (410, "events_archived")
        first = gone.json["first_seq"]
        assert bench.till.get(f"/v1/events?after={first - 1}").status == 200
        assert bench.till.get("/v1/payments/T-1").code == "payment_archived"
        assert bench.till.put("T-1").code == "id_conflict"
        assert bench.till.put("T-2").code == "order_paid"


def test_a_row_that_this_journal_never_had_is_no_place_to_wait_at(tmp_path: Path) -> None:
    """After a salvage or in a new journal the rows count from the start again: the till would wait for years."""
    with serving(tmp_path) as bench:
        bench.till.put("T-1")
        last = bench.till.outcome("T-1")["last_seq"]
        for path in ("/v1/events", "/v1/payments/T-1/events"):
            for wait in ("", "&wait_s=5"):
                gone = bench.till.get(f"{path}?after={last + 1000}{wait}")
                assert (gone.status, gone.code, gone.json["first_seq"]) == (410, "events_archived", 1)
            assert bench.till.get(path, Accept="text/event-stream", Last_Event_ID=str(last + 1000)).status == 410


@pytest.mark.attack("A25")
def test_a_token_that_was_replaced_is_worth_nothing(tmp_path: Path) -> None:
    """Not only from when somebody has used the new one."""
    with serving(tmp_path) as bench:
        assert bench.till.get("/v1/lane").status == 200
        path = tmp_path / "till.token"
        path.write_text("another\n")
        until = time.monotonic() + 60
        while (status := bench.till.get("/v1/lane").status) == 200 and time.monotonic() < until:
            time.sleep(0.1)
        assert status == 401
        assert Till(bench.till.port, "another").get("/v1/lane").status == 200
        path.unlink()
        time.sleep(1.1)
        assert (
            Till(bench.till.port, "another").get("/v1/lane").status == 200
        )  # a file that cannot be read changes nothing


def test_a_picture_is_of_the_code_that_was_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, script="pays after=600") as bench:
        before = bench.till.get("/v1/screen").json["version"]
        bench.till.put("T-1")
        shown = bench.till.screen_with("pay")
        while shown["qr"] is None:
            shown = bench.till.get(f"/v1/screen?after={shown['version']}&wait_s=5").json
        assert bench.till.get(shown["qr"]["svg"]).status == 200
        assert bench.till.get(f"/v1/screen/qr.svg?v={before}").code == "no_code"
        assert bench.till.get(f"/v1/screen/qr.png?v={before}").code == "no_code"
        bench.till.post("/v1/payments/T-1/cancel")


def test_of_two_decisions_the_second_is_told(tmp_path: Path) -> None:
    """Else its attendant would believe that it is in the journal."""
    with serving(tmp_path) as bench:
        with_case(bench)
        with bench.service.lane._running:  # nothing is recorded meanwhile
            first = bench.attendant.post("/v1/cases/1/resolve", {"operator": "A", "reason": "goods given"})
            assert (first.status, first.json["recorded"]) == (200, False)
            again = bench.attendant.post("/v1/cases/1/resolve", {"operator": "A", "reason": "goods given"})
            assert (again.status, again.json["recorded"]) == (200, False)
            other = bench.attendant.post("/v1/cases/1/resolve", {"operator": "B", "reason": "refunded"})
            assert (other.status, other.code) == (409, "case_closed")
            assert "A" in other.json["detail"]
        until = time.monotonic() + 60
        while (case := bench.attendant.get("/v1/cases/1").json)["closed_at_ms"] is None and time.monotonic() < until:
            time.sleep(0.1)
        assert (case["operator"], case["resolution"]) == ("A", "goods given")


def test_of_two_decisions_at_the_same_time_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither attendant may read that the other's decision is theirs."""
    both = threading.Barrier(2)
    submit = resolutions.submit

    def slowly(journal: Path, decision: resolutions.Resolution) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1.0)  # both have looked whether there is a decision, where they can
        submit(journal, decision)

    monkeypatch.setattr(resolutions, "submit", slowly)
    with serving(tmp_path) as bench:
        with_case(bench)
        with bench.service.lane._running:  # nothing is recorded meanwhile
            replies = at_once(
                *[
                    lambda name=name: bench.attendant.post(
                        "/v1/cases/1/resolve", {"operator": name, "reason": f"decided by {name}"}
                    )
                    for name in ("A", "B")
                ]
            )
            assert sorted(reply.status for reply in replies) == [200, 409]
            [refused] = [reply for reply in replies if reply.status == 409]
            [taken] = [reply for reply in replies if reply.status == 200]
            assert refused.code == "case_closed"
            assert taken.json["case"]["decided_by"] in refused.json["detail"]
