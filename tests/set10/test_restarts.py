"""The printed receipt, and a till or a service that stops, on a test till around the plugin's jar.

The words are the requirement's; `docs/set10-acceptance.md` is written from these tests (`report.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.set10.kit import PAY_FIRST, TEXTS, Bench, settle, wait_for

pytestmark = pytest.mark.timeout(180)
Open = Callable[..., Bench]
NO_REFUNDS = TEXTS.no_refunds


# --- the printed receipt --------------------------------------------------------------------------------------------


@pytest.mark.scenario("The printed receipt")
def test_the_printed_receipt_acknowledges(open_bench: Open) -> None:
    """`taken` could not be sent: the printed receipt sends it, and onRepeatSend repeats until it succeeds."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.wire.plan = {f"POST payments/ID/taken#{n}": "lost" for n in range(1, 9)}
    bench.pay(link)
    till.over("completed")
    till.idle()
    assert not bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    bench.service.kill()
    assert till.ask("fiscalize")["feedback"] == f"1 17-3-204-58 sold {PAY_FIRST}"
    assert till.ask("repeat")["left"] == "1"
    bench.wire.plan.clear()
    bench.service.start()
    assert till.ask("repeat")["left"] == "0"
    assert till.ask("fiscalize").get("feedback") is None


@pytest.mark.scenario("The printed receipt")
def test_a_printed_receipt_without_our_payment(open_bench: Open) -> None:
    """The till stopped before it stored a paid payment, and the receipt was paid by card: the money becomes a case."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": "kill_before"})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.expect("ended")
    till = bench.till()
    till.ask("card", sum="125.50")
    assert till.ask("fiscalize")["feedback"] == "1 17-3-204-58 sold"
    until = time.monotonic() + 20
    while not bench.cases() and time.monotonic() < until:
        till.ask("repeat")
    [case] = bench.wait_for_cases()
    assert case["reason"] == "goods_uncertain"
    assert till.ask("repeat")["left"] == "0"


@pytest.mark.scenario("The printed receipt")
def test_a_receipt_is_voided_after_it_was_taken(open_bench: Open) -> None:
    """A sold payment is taken, then the till voids the receipt by itself: the money becomes a case."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    till.idle()
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    assert till.ask("fiscalize", annulled="true")["feedback"] == f"1 17-3-204-58 annulled {PAY_FIRST}"
    assert till.ask("repeat")["left"] == "0"
    [case] = bench.wait_for_cases()
    assert case["reason"] == "goods_uncertain"
    assert till.ask("repeat")["left"] == "0"


@pytest.mark.scenario("The printed receipt")
def test_a_receipt_that_is_reported_in_the_ui_thread(open_bench: Open) -> None:
    """onRepeatSend is called in the UI thread: nothing waits there, and it succeeds once the lane has been told."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.wire.plan = {f"POST payments/ID/taken#{n}": "lost" for n in range(1, 9)}
    bench.pay(link)
    till.over("completed")
    till.idle()
    bench.service.kill()
    till.ask("fiscalize")
    assert till.ask("repeat_in_ui")["left"] == "1"
    bench.wire.plan.clear()
    bench.service.start()
    wait_for(lambda: till.ask("repeat_in_ui")["left"] == "0")
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    [case] = bench.cases()
    assert f"case {case['number']}" in till.said("error")


@pytest.mark.scenario("The printed receipt")
def test_a_receipt_that_is_printed_during_another_payment_step(open_bench: Open) -> None:
    """The till reports a printed receipt while the plugin is busy with something else: it is taken all the same."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": "kill_after"})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.expect("ended")
    till = bench.till()
    till.send("refund")
    till.form("error", text=NO_REFUNDS)
    till.ask("fiscalize")
    wait_for(lambda: till.ask("repeat")["left"] == "0")
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    till.press("confirm")
    till.over("not_completed")


@pytest.mark.scenario("The printed receipt")
def test_a_receipt_that_has_only_an_unpaid_payment_of_ours(open_bench: Open) -> None:
    """A till stores what a payment step without an outcome has left: the printed receipt has not sold it."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="not_completed", **{"is": "store"})
    bench.sell(till)
    till.form("qr")
    bench.service.freeze(True)
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    till.form("error")
    till.press("confirm")
    assert till.over("not_completed")["paymaster.outcome"] == "unknown"
    till.ask("card", sum="125.50")
    assert till.ask("fiscalize")["feedback"] == "1 17-3-204-58 sold"
    bench.service.freeze(False)
    wait_for(lambda: till.ask("repeat")["left"] == "0")
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "unpaid"


@pytest.mark.scenario("The printed receipt")
def test_one_refused_payment_does_not_keep_the_others(open_bench: Open) -> None:
    """Two payments are owed and the lane refuses the word about one for now: it gets the other one."""
    bench = open_bench("pays")
    bench.wire.plan = {f"POST payments/ID/taken#{n}": "lost" for n in range(1, 99)}
    till = bench.till()
    for number in (58, 59):
        bench.sell(till, number)
        till.over("completed")
        till.idle()
    taken = sum(step.startswith("POST payments/ID/taken#") for step in bench.wire.seen)
    bench.wire.plan = {f"POST payments/ID/taken#{taken + 1}": "forbidden"}
    till.ask("available")
    till.idle()
    assert bench.get("/v1/payments/17-3-204-59-1")["taken"]
    settle(bench, till)


@pytest.mark.scenario("The printed receipt")
def test_a_payment_that_never_reached_the_lane_is_cancelled_there(open_bench: Open) -> None:
    """The till stopped before its request reached the lane: it may still come, so it is cancelled there."""
    bench = open_bench()
    till = bench.till()
    bench.wire.plan["PUT payments/ID#1 before"] = till.kill
    bench.wire.plan["PUT payments/ID#1"] = "lost"
    bench.sell(till)
    till.expect("ended")
    till = bench.till()
    bench.sell(till, 59)
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    assert "POST payments/ID/cancel#1" in bench.wire.seen
    bench.bank.assert_created_once()


# --- the till stops -------------------------------------------------------------------------------------------------


@pytest.mark.scenario("The till stops")
def test_the_till_stops_while_the_code_is_shown(open_bench: Open) -> None:
    """kill -9 while the code is shown: after the restart the same payment goes on with the same code."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    till.kill()
    till = bench.till()
    till.send("pay")
    assert till.form("qr")["link"] == link
    bench.pay(link)
    assert till.over("completed")["paymaster.id"] == PAY_FIRST
    bench.bank.assert_created_once()


@pytest.mark.scenario("The till stops")
@pytest.mark.parametrize("fault", ["kill_before", "kill_after"])
def test_the_till_stops_while_it_stores(open_bench: Open, fault: str) -> None:
    """kill -9 in paymentCompleted: after the restart the paid payment is stored, once, and taken."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": fault})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.expect("ended")
    till = bench.till()
    if fault == "kill_before":
        till.send("pay")
        assert till.over("completed")["paymaster.id"] == PAY_FIRST
    else:
        till.ask("fiscalize")
        while till.ask("repeat")["left"] != "0":
            pass
    till.idle()
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    bench.bank.assert_created_once()


@pytest.mark.scenario("The till stops")
def test_the_customer_is_gone_after_the_restart(open_bench: Open) -> None:
    """kill -9 while the code is shown, and the next receipt begins: the payment before is cancelled once."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    till.form("qr")
    till.kill()
    till = bench.till()
    bench.sell(till, 59, "10.00")
    bench.pay(till.form("qr")["link"])
    assert till.over("completed")["paymaster.id"] == "17-3-204-59-1"
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "unpaid"
    bench.bank.assert_cancelled_once()


@pytest.mark.scenario("The till stops")
def test_paid_while_the_till_is_down_and_the_next_receipt(open_bench: Open) -> None:
    """The customer pays while the till is down, and the next receipt begins: the money before becomes a case."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    till.kill()
    bench.pay(link)
    till = bench.till()
    bench.sell(till, 59, "10.00")
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    [case] = bench.wait_for_cases()
    assert (case["reason"], case["order"]) == ("goods_uncertain", "17-3-204-58")


@pytest.mark.scenario("The till stops")
def test_the_receipt_has_changed_after_the_restart(open_bench: Open) -> None:
    """kill -9, a card pays a part meanwhile: the open payment is cancelled, the next one is for what is left."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    till.form("qr", sum="125.50")
    till.kill()
    till = bench.till()
    till.ask("card", sum="100.00")
    till.send("pay")
    shown = till.form("qr", sum="25.50")
    bench.pay(shown["link"])
    assert till.over("completed")["paymaster.id"] == "17-3-204-58-2"
    bench.bank.assert_cancelled_once()


@pytest.mark.scenario("The till stops")
def test_the_till_stops_while_its_payment_waits_to_begin(open_bench: Open) -> None:
    """kill -9 while the lane settles an earlier attempt on its plate: the waiting payment is found, and goes on."""
    bench = open_bench()
    bench.service.kill()
    plate = bench.bank.bank.add_sticker()
    mode = {"mode": 2, "plate": "static", "sticker_id": plate.id, "plate_link": plate.payload, "qr_with_plate": False}
    timing = {"poll_interval_s": 0.3, "poll_timeout_s": 2.0, "confirm_timeout_s": 60.0, "watch_interval_s": 1.0}
    bench.service.write(display=mode, devices={"printer": "sim://", "screen": "sim://"}, timing=timing)
    bench.service.start()
    bench.put("/v1/payments/other-1", order="other", total_kopecks=100)
    wait_for(lambda: bench.get("/v1/payments/other-1")["phase"] == "waiting")
    bench.service.kill()
    bench.bank.goes_offline()
    bench.service.start()
    till = bench.till()
    bench.sell(till)
    wait_for(lambda: bench.get("/v1/lane")["payment"] == PAY_FIRST)
    till.kill()
    till = bench.till()
    till.send("pay")
    wait_for(lambda: "not_begun_yet" in till.said("warn"))
    bench.bank.comes_online()
    till.form("message")
    bench.pay(plate.payload)
    assert till.over("completed")["paymaster.id"] == PAY_FIRST


@pytest.mark.scenario("The till stops")
def test_a_till_without_its_file_finds_the_payment(open_bench: Open) -> None:
    """The plugin's file is lost with the restart: the payment is found by its number at the service."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    till.kill()
    (bench.folder / "till" / "payments").unlink()
    bench.pay(link)
    till = bench.till()
    till.send("pay")
    assert till.over("completed")["paymaster.id"] == PAY_FIRST
    bench.bank.assert_created_once()


# --- the service stops ----------------------------------------------------------------------------------------------


@pytest.mark.scenario("The service stops")
def test_the_service_restarts_while_the_code_is_shown(open_bench: Open) -> None:
    """kill -9 of the service while the code is shown: the till waits for it and ends as the service says."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.kill()
    bench.pay(link)
    bench.service.start()
    assert till.form("error")["text"].startswith(TEXTS.attendant)
    till.press("confirm")
    assert till.over("not_completed")["paymaster.case"] == str(bench.wait_for_cases()[0]["number"])


@pytest.mark.scenario("The service stops")
def test_the_service_stops_for_good(open_bench: Open) -> None:
    """The service stays away in mid-payment: Отменить ends the payment step as unknown; the money becomes a case."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.kill()
    bench.pay(link)
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    error = till.form("error")
    assert PAY_FIRST in error["text"]
    till.press("confirm")
    over = till.over("not_completed")
    assert (over["paymaster.id"], over["paymaster.outcome"]) == (PAY_FIRST, "unknown")
    bench.service.start()
    settle(bench, till)
    assert bench.wait_for_cases()
