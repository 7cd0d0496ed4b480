"""What a till may do in its own way: fail, refuse, be slow, store late, give two receipts one number.

The words are the requirement's; `docs/set10-acceptance.md` is written from these tests (`report.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.set10.kit import PAY_FIRST, TEXTS, Bench, settle, wait_for

pytestmark = pytest.mark.timeout(180)
Open = Callable[..., Bench]
NO_REFUNDS = TEXTS.no_refunds
ABANDONING = ("GET payments/ID", "POST payments/ID/cancel", "POST payments/ID/not_accepted")


# --- the till's own ends --------------------------------------------------------------------------------------------


@pytest.mark.scenario("The till's call back fails")
@pytest.mark.parametrize("fault", ["invalid", "throw_before"])
def test_the_till_cannot_store_the_payment(open_bench: Open, fault: str) -> None:
    """paymentCompleted throws, nothing is stored: the money becomes a case, the customer is sent to the attendant."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": fault})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    error = till.form("error")
    assert error["text"].startswith(TEXTS.attendant)
    [case] = bench.wait_for_cases()
    assert case["reason"] == "goods_uncertain"
    assert str(case["number"]) in error["text"]
    till.press("confirm")
    over = till.over("not_completed")
    assert over["paymaster.case"] == str(case["number"])
    assert till.idle()["due"] == "125.50"


@pytest.mark.scenario("The till's call back fails")
def test_the_till_fails_after_it_stored_the_payment(open_bench: Open) -> None:
    """paymentCompleted throws after the till stored the payment: it is sold, taken, and no case opens."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": "throw_after"})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.expect("stored")
    assert till.idle()["due"] == "0.00"
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    assert not bench.cases()


@pytest.mark.scenario("The till refuses a form")
@pytest.mark.parametrize("kind", ["spinner", "qr", "error"])
def test_a_form_is_refused_once(open_bench: Open, kind: str) -> None:
    """A form throws IncorrectStateException once: it is shown again, and the payment goes on."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of=f"form_{kind}", **{"is": "1"})
    bench.sell(till)
    link = till.form("qr")["link"]
    if kind == "error":
        bench.bank.phone.decline(link)
        till.expect("form_refused", kind="error")
        till.over("not_completed")
    else:
        bench.pay(link)
        till.over("completed")


@pytest.mark.scenario("The till refuses a form")
def test_the_code_cannot_be_shown_at_all(open_bench: Open) -> None:
    """The QR form is refused each time: nobody could pay, so the payment is cancelled once and the till goes on."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="form_qr", **{"is": "99"})
    bench.sell(till)
    till.form("error", text=TEXTS.unpaid)
    till.press("confirm")
    till.over("not_completed")
    bench.bank.assert_cancelled_once()


@pytest.mark.scenario("The till refuses a form")
def test_the_dialog_cannot_be_shown(open_bench: Open) -> None:
    """The service is away and the dialog is refused each time: the payment step still ends, and nothing is sold."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="form_dialog", **{"is": "99"})
    bench.sell(till)
    till.form("qr")
    bench.service.kill()
    over = till.sent_away()
    assert over["paymaster.id"] == PAY_FIRST
    bench.service.start()
    settle(bench, till)


@pytest.mark.scenario("Customer display")
def test_the_customer_display_shows_the_code(open_bench: Open) -> None:
    """A customer display that can show a code shows it, and is cleared at the end."""
    bench = open_bench()
    till = bench.till(display="true")
    bench.sell(till)
    message = till.expect("display")["message"]
    assert bench.bank.payments[0].link in message
    assert TEXTS.pay in message
    bench.pay(bench.bank.payments[0].link)
    till.expect("display_cleared")
    till.over("completed")


@pytest.mark.scenario("One receipt after another")
def test_two_receipts_within_a_second(open_bench: Open) -> None:
    """The next receipt begins as soon as the one before is paid: both are paid and taken."""
    bench = open_bench("pays")
    till = bench.till()
    bench.sell(till, 58, "10.00")
    first = till.over("completed")
    bench.sell(till, 59, "20.00")
    second = till.form("qr")
    assert int(second["at_us"]) - int(first["at_us"]) < 5_000_000
    assert till.over("completed")["paymaster.id"] == "17-3-204-59-1"
    till.idle()
    assert all(bench.get(f"/v1/payments/17-3-204-{n}-1")["taken"] for n in (58, 59))
    bench.bank.assert_paid(3_000)


@pytest.mark.scenario("One receipt after another")
def test_the_same_receipt_number_in_the_next_shift(open_bench: Open) -> None:
    """Receipt numbers start again with the shift: the order is another one."""
    bench = open_bench("pays")
    till = bench.till()
    for shift in (204, 205):
        till.ask("receipt", number=1, total="10.00", shift=shift)
        till.send("pay")
        assert till.over("completed")["paymaster.order"] == f"17-3-{shift}-1"
    bench.bank.assert_paid(2_000)


# --- what a till may do differently -----------------------------------------------------------------------------------


@pytest.mark.scenario("The till stores later")
def test_the_till_stores_after_its_call_back_has_returned(open_bench: Open) -> None:
    """paymentCompleted returns before the till has stored the payment: the printed receipt says that it was taken."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": "store_later"})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    till.idle()
    assert not bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    till.ask("fiscalize")
    assert till.ask("repeat")["left"] == "0"
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]
    assert not bench.cases()


@pytest.mark.scenario("The till stores later")
def test_the_till_loses_the_payment_without_a_word(open_bench: Open) -> None:
    """paymentCompleted returns and nothing is stored; the receipt is paid by card: the money becomes a case."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": "swallow"})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    till.idle()
    till.ask("card", sum="125.50")
    till.ask("fiscalize")
    assert till.ask("repeat")["left"] == "0"
    [case] = bench.wait_for_cases()
    assert case["reason"] == "goods_uncertain"


@pytest.mark.scenario("The till stores later")
def test_a_case_that_is_opened_at_the_last_moment(open_bench: Open) -> None:
    """A case is opened just before the till stores a paid payment: nothing is sold, the case is shown."""
    bench = open_bench()
    till = bench.till()

    def refuse_if_paid() -> None:
        if not bench.cases() and bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "paid":
            bench.post(f"/v1/payments/{PAY_FIRST}/not_accepted", reason="another till's word")

    bench.wire.plan |= {f"GET payments/ID#{n} after": refuse_if_paid for n in range(1, 99)}
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    error = till.form("error")
    assert error["text"].startswith(TEXTS.attendant)
    till.press("confirm")
    assert till.over("not_completed")["paymaster.case"] == str(bench.cases()[0]["number"])


@pytest.mark.scenario("One number for two receipts")
@pytest.mark.parametrize(
    "numbers", [{"number": -1}, {"number": 0}, {"number": 58, "shift": -1}], ids=["-1", "0", "shift -1"]
)
def test_a_receipt_without_a_number(open_bench: Open, numbers: dict[str, int]) -> None:
    """The till gives the receipt no number, so that several would be one order: no payment begins, the log says why."""
    bench = open_bench()
    till = bench.till()
    till.ask("receipt", total="125.50", **numbers)
    till.send("pay")
    assert (
        till.form("error")["text"] == "Оплата не начата. Выберите другой способ оплаты или позовите сотрудника магазина"
    )
    assert "both must be more than 0" in till.said("error")
    till.press("confirm")
    till.over("not_completed")
    bench.bank.assert_nothing_created()


@pytest.mark.scenario("One number for two receipts")
def test_another_receipt_with_the_number_of_a_running_payment(open_bench: Open) -> None:
    """Another receipt has number and amount of a payment that still runs: it is cancelled, and a new one begins."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till, limit="25.50")
    first = till.form("qr", sum="25.50")["link"]
    till.kill()
    till = bench.till()
    bench.sell(till, total="25.50")
    link = till.form("qr", sum="25.50")["link"]
    assert link != first
    bench.pay(link)
    assert till.over("completed")["paymaster.id"] == "17-3-204-58-2"
    bench.bank.assert_cancelled_once()


@pytest.mark.scenario("One number for two receipts")
def test_another_receipt_with_the_number_of_a_paid_payment(open_bench: Open) -> None:
    """Another receipt has the number of a payment that is paid and not sold: it does not get it, a case opens."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="call_back", **{"is": "kill_before"})
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    till.expect("ended")
    till = bench.till()
    bench.sell(till, total="300.00")
    over = till.sent_away()
    assert over["shown"].startswith(TEXTS.attendant)
    [case] = bench.cases()
    assert (case["reason"], over["paymaster.case"]) == ("goods_uncertain", str(case["number"]))


@pytest.mark.scenario("One number for two receipts")
def test_a_payment_that_was_given_up_is_not_sold_later(open_bench: Open) -> None:
    """A payment is paid after its payment step was given up: the next receipt of that number does not get it."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.freeze(True)
    bench.pay(link)
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    till.form("error")
    bench.wire.plan |= {f"{what}#{n}": "lost" for what in ABANDONING for n in range(1, 99)}
    bench.service.freeze(False)
    till.press("confirm")
    till.over("not_completed")
    wait_for(lambda: bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "paid")
    seen = len(bench.wire.seen)
    till.send("pay")
    wait_for(lambda: any(step.startswith("GET payments#") for step in bench.wire.seen[seen:]))
    bench.wire.plan.clear()
    assert till.sent_away()["shown"].startswith(TEXTS.attendant)
    [case] = bench.wait_for_cases()
    assert case["reason"] == "goods_uncertain"


@pytest.mark.scenario("The order has money")
def test_the_order_was_paid_by_another_till_program(open_bench: Open) -> None:
    """The order is paid by a payment that the plugin cannot sell: the attendant is called."""
    bench = open_bench("pays")
    bench.put("/v1/payments/other-1", order="17-3-204-58", total_kopecks=12_550)
    wait_for(lambda: bench.get("/v1/payments/other-1")["outcome"] == "paid")
    bench.post("/v1/payments/other-1/taken")
    till = bench.till()
    bench.sell(till)
    assert till.form("error")["text"] == f"{TEXTS.attendant}\nЗаказ уже оплачен полностью или частично"
    till.press("confirm")
    till.over("not_completed")


@pytest.mark.scenario("Mixed payment")
def test_a_refused_leg_is_not_always_about_mixed_payments(open_bench: Open) -> None:
    """The lane has lost the leg that the receipt has: the till says that, and not that mixed payment is off."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till, limit="25.50")
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    till.idle()
    bench.service.kill()
    for file in (bench.folder / "lane").glob("journal.db*"):
        file.unlink()
    bench.service.start()
    till.send("pay")
    text = till.form("error")["text"]
    assert text.startswith("Оплата не начата")
    assert "Смешанная оплата" not in text
    till.press("confirm")
    till.over("not_completed")


@pytest.mark.scenario("A case is closed")
def test_the_receipt_may_be_paid_when_the_bank_has_said_unpaid(open_bench: Open) -> None:
    """The outcome was unknown, then the bank says unpaid: the same receipt may be paid by another code."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.bank.goes_offline()
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    till.form("error")
    till.press("confirm")
    assert till.over("not_completed")["paymaster.outcome"] == "unknown"
    bench.bank.phone.decline(link)
    bench.bank.comes_online()
    wait_for(lambda: bench.get(f"/v1/payments/{PAY_FIRST}")["phase"] in ("closed", "unpaid"))
    till.send("pay")
    bench.pay(till.form("qr")["link"])
    assert till.over("completed")["paymaster.id"] == "17-3-204-58-2"


@pytest.mark.scenario("The journal fails")
def test_a_payment_that_began_although_the_journal_failed(open_bench: Open) -> None:
    """The service says that its journal fails, and has begun the payment: given up, it is unknown, and cancelled."""
    bench = open_bench()
    bench.wire.plan = {f"PUT payments/ID#{n}": "no journal" for n in range(1, 99)}
    till = bench.till()
    bench.sell(till)
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    over = till.sent_away()
    assert (over["paymaster.id"], over["paymaster.outcome"]) == (PAY_FIRST, "unknown")
    wait_for(lambda: bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "unpaid")
    bench.bank.assert_cancelled_once()


@pytest.mark.scenario("A token is replaced")
def test_a_token_is_replaced_in_mid_payment(open_bench: Open, tmp_path: Path) -> None:
    """The service's token is replaced while the code is shown, the till's copy later: the payment goes on."""
    bench = open_bench()
    copy = tmp_path / "copy.token"
    copy.write_bytes(bench.service.token_file.read_bytes())
    till = bench.till(**{"paymaster.token_file": str(copy)})
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.token_file.write_text("another-token-0123456789abcdef0123456789\n")
    wait_for(lambda: "unauthorized" in till.said("warn"))
    bench.pay(link)
    copy.write_bytes(bench.service.token_file.read_bytes())
    till.over("completed")


@pytest.mark.scenario("The till refuses a form")
def test_forms_that_are_refused_now_and_then(open_bench: Open) -> None:
    """The code's form is refused twice, shown, and later refused twice again: the payment goes on."""
    bench = open_bench()
    till = bench.till()
    till.ask("fault", of="form_qr", **{"is": "2"})
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.freeze(True)
    till.form("dialog", text=TEXTS.dialog)
    till.ask("fault", of="form_qr", **{"is": "2"})
    bench.service.freeze(False)
    till.expect("form_refused", kind="qr")
    till.form("qr")
    bench.pay(link)
    till.over("completed")
    bench.bank.assert_not_cancelled()


@pytest.mark.scenario("Customer display")
def test_a_slow_till_leaves_no_code_on_the_customer_display(open_bench: Open) -> None:
    """The till's UI thread is busy until the payment is over: the customer display is cleared all the same."""
    bench = open_bench()
    till = bench.till(display="true")
    bench.sell(till)
    till.form("spinner")
    till.ask("busy")
    wait_for(lambda: bench.get("/v1/screen")["view"] == "pay")
    seen = len(bench.wire.seen)
    wait_for(lambda: len(bench.wire.seen) > seen + 1)  # the till has looked at the screen
    bench.pay(bench.bank.payments[0].link)
    wait_for(lambda: bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "paid")
    wait_for(lambda: _is_quiet(bench))  # all that is left waits for the UI thread
    till.send("free")
    till.over("completed")
    till.idle()
    assert [one["name"] for one in till.messages if "display" in one["name"]] == ["display", "display_cleared"]


def _is_quiet(bench: Bench) -> bool:
    """Whether the till asks the service nothing; its longest wait for news is 2 s."""
    seen = len(bench.wire.seen)
    time.sleep(3)
    return len(bench.wire.seen) == seen


@pytest.mark.scenario("A leg of before")
def test_giving_up_on_a_leg_of_before_names_its_own_amount(open_bench: Open) -> None:
    """The cancellation of another leg gets no answer and is given up: what the till reads is about that leg."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    till.form("qr", sum="125.50")
    till.kill()
    till = bench.till()
    till.ask("card", sum="100.00")
    bench.wire.plan["POST payments/ID/cancel#1 before"] = lambda: bench.service.freeze(True)
    till.send("pay")
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    over = till.sent_away()
    assert (over["paymaster.id"], over["paymaster.amount_kopecks"]) == (PAY_FIRST, "12550")
    bench.service.freeze(False)
    settle(bench, till)
