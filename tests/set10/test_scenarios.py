"""The requirement's scenarios and CSI's points for payment plugins, on a test till around the plugin's jar.

The words are the requirement's; `docs/set10-acceptance.md` is written from these tests (`report.py`).
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.set10.kit import PAY_FIRST, PLUGIN, ROOT, TEXTS, Bench, built

pytestmark = pytest.mark.timeout(180)
Open = Callable[..., Bench]
NO_REFUNDS = TEXTS.no_refunds


# --- the requirement ------------------------------------------------------------------------------------------------


@pytest.mark.scenario("Mode 0")
def test_mode_0_the_code_is_printed(open_bench: Open) -> None:
    """Display mode 0: the code is printed on paper; the customer scans it and pays."""
    bench = open_bench(display={"mode": 0})
    till = bench.till()
    bench.sell(till)
    till.form("spinner", text=TEXTS.wait)
    shown = till.form("message")
    assert shown["text"] == f"{TEXTS.wait}\n{TEXTS.scan_ticket}"
    bench.bank.bank.settle(bench.bank.payments[0].id)
    assert till.over("completed")["sum"] == "125.50"
    assert "qr" not in till.shown()


@pytest.mark.scenario("Mode 1")
def test_mode_1_the_code_is_on_the_screen(open_bench: Open) -> None:
    """Display mode 1: the till's QR form; the customer scans it and pays. No amount is edited."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    till.form("spinner", text=TEXTS.wait)
    shown = till.form("qr", text=TEXTS.pay)
    assert shown["link"] == bench.bank.payments[0].link
    assert shown["sum"] == "125.50"
    bench.pay(shown["link"])
    over = till.over("completed")
    assert over["sum"] == "125.50"
    assert over["paymaster.id"] == PAY_FIRST
    assert over["paymaster.payment_id"] == bench.bank.payments[0].id
    till.idle()
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["taken"]


@pytest.mark.scenario("Mode 2, tag")
def test_mode_2_the_customer_taps_the_tag(open_bench: Open) -> None:
    """Display mode 2, dynamic tag: QR form with the same words; the customer reads the NFC tag and pays."""
    bench = open_bench(display={"mode": 2, "plate": "dynamic"})
    till = bench.till()
    bench.sell(till)
    shown = till.form("qr")
    assert shown["text"].split("\n")[0] == TEXTS.pay
    bench.pay(shown["link"])
    till.over("completed")


@pytest.mark.scenario("Mode 2, plate")
def test_mode_2_the_customer_scans_the_plate(open_bench: Open) -> None:
    """Display mode 2, static plate without a code on the screen: the till says to scan the plate or read the tag."""
    bench = open_bench()
    bench.service.kill()
    plate = bench.bank.bank.add_sticker()
    mode = {"mode": 2, "plate": "static", "sticker_id": plate.id, "plate_link": plate.payload, "qr_with_plate": False}
    bench.service.write(display=mode, devices={"printer": "sim://", "screen": "sim://"})
    bench.service.start()
    till = bench.till()
    bench.sell(till)
    shown = till.form("message")
    assert shown["text"] == f"{TEXTS.pay}\n{TEXTS.scan_plate}"
    bench.pay(plate.payload)
    till.over("completed")


@pytest.mark.scenario("Mixed payment")
def test_a_mixed_payment_takes_the_rest(open_bench: Open) -> None:
    """Mixed payment on SetSCO 4:3 in mode 1: a card pays a part, the code is for what is left."""
    bench = open_bench()
    till = bench.till()
    till.ask("receipt", number=58, total="125.50")
    assert till.ask("card", sum="25.50")["due"] == "100.00"
    till.send("pay")
    shown = till.form("qr")
    assert shown["sum"] == "100.00"
    bench.pay(shown["link"])
    assert till.over("completed")["sum"] == "100.00"
    assert bench.bank.payments[0].kopecks == 10_000


@pytest.mark.scenario("Mixed payment")
@pytest.mark.parametrize(
    "sections",
    [{"display": {"mode": 2, "plate": "dynamic"}}, {"lane": {"pos_id": "KSO-3", "shop": "М", "profile": "16:9"}}],
    ids=["mode 2", "16:9"],
)
def test_a_mixed_payment_is_for_4_3_and_mode_1(open_bench: Open, sections: dict[str, dict[str, object]]) -> None:
    """A mixed payment in another mode or on another profile is refused; the bank is not asked."""
    bench = open_bench(**sections)
    till = bench.till()
    till.ask("receipt", number=58, total="125.50")
    till.ask("card", sum="25.50")
    till.send("pay")
    assert "Смешанная оплата" in till.form("error")["text"]
    till.press("confirm")
    till.over("not_completed")
    bench.bank.assert_nothing_created()


@pytest.mark.scenario("Mixed payment")
def test_two_legs_of_one_receipt_and_a_limit(open_bench: Open) -> None:
    """The till's limit bounds the leg; the next leg takes the rest of the same receipt as a payment of its own."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till, limit="25.50")
    first = till.form("qr")
    assert first["sum"] == "25.50"
    bench.pay(first["link"])
    assert till.over("completed")["paymaster.id"] == PAY_FIRST
    till.send("pay")
    second = till.form("qr")
    assert second["sum"] == "100.00"
    bench.pay(second["link"])
    assert till.over("completed")["paymaster.id"] == "17-3-204-58-2"
    assert till.idle()["due"] == "0.00"


@pytest.mark.scenario("No connection")
def test_no_connection_and_the_customer_retries(open_bench: Open) -> None:
    """Negative scenario: the customer has paid, the network fails, the dialog; Повторить goes on until an answer."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    shown = till.form("qr")
    bench.bank.goes_offline()
    bench.pay(shown["link"])
    dialog = till.form("dialog", text=TEXTS.dialog)
    assert (dialog["button1"], dialog["button2"]) == (TEXTS.retry, TEXTS.cancel)
    till.press("1")
    bench.bank.comes_online()
    till.over("completed")
    bench.bank.assert_not_cancelled()


@pytest.mark.scenario("No connection")
def test_no_connection_and_the_cancellation_works(open_bench: Open) -> None:
    """Negative scenario: Отменить sends one cancellation; done: back to the payment types."""
    bench = open_bench("404 on=get")
    till = bench.till()
    bench.sell(till)
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    till.form("spinner")
    bench.bank.use("leaves")  # not before: a status closes the dialog
    over = till.over("not_completed")
    assert "sum" not in over
    bench.bank.assert_cancelled_once()
    assert not bench.cases()


@pytest.mark.scenario("No connection")
def test_no_connection_and_the_cancellation_fails(open_bench: Open) -> None:
    """Negative scenario: Отменить, and the cancellation fails: never paid; the case is shown and kept in the data."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    shown = till.form("qr")
    bench.bank.goes_offline()
    bench.pay(shown["link"])
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    error = till.form("error")
    assert error["text"].startswith(TEXTS.attendant)
    till.press("confirm")
    over = till.over("not_completed")
    [case] = bench.wait_for_cases()
    assert over["paymaster.case"] == str(case["number"])
    assert over["paymaster.outcome"] == "unknown"
    assert str(case["number"]) in error["text"]
    bench.bank.comes_online()


@pytest.mark.scenario("No connection")
def test_the_dialog_is_closed_without_a_choice(open_bench: Open) -> None:
    """A dialog that is closed without a choice is shown again: nothing is cancelled by that."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    shown = till.form("qr")
    bench.bank.goes_offline()
    till.form("dialog")
    till.press("close")
    till.form("dialog")
    bench.bank.comes_online()
    bench.pay(shown["link"])
    till.over("completed")
    bench.bank.assert_not_cancelled()


@pytest.mark.scenario("Ends")
def test_the_customer_cancels_the_code(open_bench: Open) -> None:
    """Отменить on the QR form: cancelled once, back to the payment types without another word."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    assert till.form("qr")["cancel"] == TEXTS.cancel
    till.press("cancel")
    till.over("not_completed")
    assert "error" not in till.shown()
    bench.bank.assert_cancelled_once()


@pytest.mark.scenario("Ends")
def test_the_customer_declines(open_bench: Open) -> None:
    """Declined in the bank's app: the till says so and returns to the payment types; the next try is a new payment."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    bench.bank.phone.decline(till.form("qr")["link"])
    assert till.sent_away()["shown"] == TEXTS.unpaid
    till.send("pay")
    bench.pay(till.form("qr")["link"])
    assert till.over("completed")["paymaster.id"] == "17-3-204-58-2"


@pytest.mark.scenario("Ends")
def test_the_printer_fails(open_bench: Open) -> None:
    """Mode 0 and no paper: the till says that nothing was paid; the receipt can be paid in another way."""
    bench = open_bench(display={"mode": 0}, devices={"printer": "tcp://127.0.0.1:9", "screen": "sim://"})
    till = bench.till()
    bench.sell(till)
    assert till.sent_away()["shown"] == TEXTS.unpaid


@pytest.mark.scenario("Refunds")
def test_a_self_checkout_makes_no_refunds(open_bench: Open) -> None:
    """A refund is refused with the requirement's words."""
    bench = open_bench()
    till = bench.till()
    till.send("refund")
    assert till.sent_away()["shown"] == NO_REFUNDS


# --- CSI's points that need no till ---------------------------------------------------------------------------------


@pytest.mark.scenario("CSI: manifest, metainf.xml, names")
def test_the_jar_is_what_set_retail_expects() -> None:
    """Manifest, metainf.xml and both languages are complete; each stored field is declared; no API class inside."""
    [jar] = built().glob("*.jar")
    with zipfile.ZipFile(jar) as content:
        manifest = dict(
            line.split(": ", 1) for line in content.read("META-INF/MANIFEST.MF").decode().splitlines() if ": " in line
        )
        meta = ET.fromstring(content.read("metainf.xml"))
        texts = {
            language: {entry.get("key"): entry.text for entry in ET.fromstring(content.read(f"strings_{language}.xml"))}
            for language in ("ru", "en")
        }
        names = content.namelist()
        versions = {content.read(name)[7] for name in names if name.endswith(".class")}
    needed = (
        "Build-Date Implementation-Version Project Build-Machine Branch Implementation-Vendor Revision Vendor-Email"
    )
    assert not [name for name in needed.split() if not manifest.get(name)]
    space = "{http://crystals.ru/set10/api/metainf}"
    service = meta.find(f"{space}ExternalService")
    assert service is not None
    plugin = service.find(f"{space}PaymentPlugin")
    assert plugin is not None
    assert (service.get("serviceType"), plugin.get("paymentType"), plugin.get("id")) == (
        "PAYMENT",
        "ELECTRONIC",
        PLUGIN,
    )
    options = service.find(f"{space}Options")
    assert options is not None
    sources = "".join(path.read_text() for path in (ROOT / "till/set10/src").rglob("*.java"))
    for option in options:
        assert option.tag.removeprefix(space) in ("URL", "String", "Integer", "Boolean")
        assert f'"{option.get("key")}"' in sources
    keys = [element.get("localeKey") for element in meta.iter() if element.get("localeKey")]
    assert set(texts["ru"]) == set(texts["en"])
    assert not [key for key in keys if not texts["ru"].get(key)]
    assert not [text for text in texts["ru"].values() if not text]
    assert texts["ru"]["payment.name"] == TEXTS.payment_type
    shared = {"wait": TEXTS.wait, "dialog": TEXTS.dialog, "retry": TEXTS.retry, "cancel": TEXTS.cancel}
    shared |= {"unpaid": TEXTS.unpaid, "attendant": TEXTS.attendant, "no_refunds": NO_REFUNDS}
    assert {key: texts["ru"][key] for key in shared} == shared
    fields = {element.get("key") for element in plugin.iter(f"{space}PersistedField")}
    assert all(f'"{field}"' in sources for field in fields)
    assert not [name for name in names if name.startswith(("ru/", "org/slf4j"))]
    assert versions == {52}  # Java 8


@pytest.mark.scenario("CSI: stored and exported fields")
def test_what_is_stored_is_declared(open_bench: Open) -> None:
    """The payment's data holds payment id, attempt, order and amount; metainf.xml declares each key, and exports it."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    bench.pay(till.form("qr")["link"])
    over = till.over("completed")
    meta = ET.parse(ROOT / "till/set10/resources/metainf.xml")
    declared = {
        element.get("key")
        for element in meta.iter()
        if element.tag.endswith("PersistedField") and element.get("exportable") == "true"
    }
    stored = {key for key in over if key.startswith("paymaster.")}
    assert {"paymaster.id", "paymaster.attempt", "paymaster.order", "paymaster.payment_id"} <= stored
    assert stored <= declared


@pytest.mark.scenario("CSI: voiding a receipt")
def test_a_receipt_that_was_paid_in_part_is_voided(open_bench: Open) -> None:
    """A leg is paid and the receipt is voided: no refund here, the words say where; the till keeps the payment."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till, limit="25.50")
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    till.send("annul")
    till.form("error", text=NO_REFUNDS)
    till.press("confirm")
    over = till.over("not_completed")
    assert over["paymaster.id"] == PAY_FIRST
    assert till.idle()["due"] == "100.00"
    bench.bank.assert_not_cancelled()


@pytest.mark.scenario("CSI: voiding a receipt")
def test_an_unpaid_payment_is_cancelled_once(open_bench: Open) -> None:
    """A receipt is voided while its payment is still open: it is cancelled once, and the till may void the receipt."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    till.form("qr")
    till.kill()
    till = bench.till()
    till.send("annul", id=PAY_FIRST)
    till.over("annulled")
    till.send("annul", id=PAY_FIRST)
    till.over("annulled")
    bench.bank.assert_cancelled_once()
    assert bench.get(f"/v1/payments/{PAY_FIRST}")["outcome"] == "unpaid"


@pytest.mark.scenario("CSI: voiding a receipt")
def test_an_unpaid_payment_needs_no_cancellation(open_bench: Open) -> None:
    """A receipt is voided whose payment was declined: nothing is sent, and the till may void it."""
    bench = open_bench("declines")
    till = bench.till()
    bench.sell(till)
    till.sent_away()
    till.send("annul", id=PAY_FIRST)
    till.over("annulled")
    bench.bank.assert_not_cancelled()


@pytest.mark.scenario("CSI: no network")
def test_the_service_is_absent(open_bench: Open) -> None:
    """The lane's service does not run: the dialog of the requirement; Отменить returns to the payment types."""
    bench = open_bench()
    bench.service.kill()
    till = bench.till()
    bench.sell(till)
    till.form("dialog", text=TEXTS.dialog)
    till.press("2")
    till.over("not_completed")
    till.idle()
    bench.bank.assert_nothing_created()
    bench.service.start()


@pytest.mark.scenario("CSI: no network")
def test_the_service_comes_while_the_customer_waits(open_bench: Open) -> None:
    """The service is absent at the start and comes: Повторить, and the payment begins once."""
    bench = open_bench()
    bench.service.kill()
    till = bench.till()
    bench.sell(till)
    till.form("dialog", text=TEXTS.dialog)
    till.press("1")
    bench.service.start()
    bench.pay(till.form("qr")["link"])
    till.over("completed")
    bench.bank.assert_created_once(kopecks=12_550)


@pytest.mark.scenario("CSI: an answer slower than the time-out")
def test_the_bank_answers_slower_than_the_time_out(open_bench: Open) -> None:
    """PayMaster answers slower than the lane waits: the dialog and no paid receipt, until it answers in time."""
    bench = open_bench("slow wait=2 on=get")
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    till.form("dialog", text=TEXTS.dialog)
    bench.pay(link)
    till.press("1")
    bench.bank.use("leaves")
    till.over("completed")


@pytest.mark.scenario("CSI: an answer slower than the time-out")
def test_the_service_answers_slower_than_the_time_out(open_bench: Open) -> None:
    """The service accepts connections and is silent: the dialog after a bounded time; it goes on when it answers."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.freeze(True)
    bench.pay(link)
    till.form("dialog", text=TEXTS.dialog)
    bench.service.freeze(False)
    till.over("completed")


@pytest.mark.scenario("CSI: an answer slower than the time-out")
def test_the_code_is_shown_again_after_a_silence(open_bench: Open) -> None:
    """The service is silent while the code is shown: Повторить, and the same code is on the screen again."""
    bench = open_bench()
    till = bench.till()
    bench.sell(till)
    link = till.form("qr")["link"]
    bench.service.freeze(True)
    till.form("dialog", text=TEXTS.dialog)
    till.press("1")
    till.form("spinner")
    bench.service.freeze(False)
    assert till.form("qr")["link"] == link
    bench.pay(link)
    till.over("completed")


@pytest.mark.scenario("CSI: the reason for “not available” is logged")
def test_it_says_why_it_is_not_available(open_bench: Open) -> None:
    """isAvailable answers at once and logs why not: not a self-checkout, an option missing, the service away."""
    bench = open_bench()
    till = bench.till(pos_type="TOUCH")
    assert till.ask("available")["value"] == "false"
    assert "this till is TOUCH" in till.said()
    till = bench.till(pos_type="SCO", **{"paymaster.token_file": ""})
    assert till.ask("available")["value"] == "false"
    assert "paymaster.token_file is not set" in till.said()
    till = bench.till(**{"paymaster.token_file": str(bench.service.token_file)})
    bench.service.freeze(True)  # asked by isAvailable itself, it would answer after some seconds
    until = time.monotonic() + 30
    while (answer := till.ask("available"))["value"] == "true" and time.monotonic() < until:
        assert int(answer["took_us"]) < 1_000_000
        time.sleep(0.1)
    assert answer["value"] == "false"
    assert int(answer["took_us"]) < 1_000_000
    assert "isAvailable=false: " in till.said()
    for _ in range(3):
        till.ask("available")
    assert till.said().count("isAvailable=false: ") == 1
    bench.service.freeze(False)
    while till.ask("available")["value"] == "false":
        assert time.monotonic() < until, till.report()
        time.sleep(0.1)


@pytest.mark.scenario("CSI: the reason for “not available” is logged")
def test_a_wrong_token_is_said(open_bench: Open, tmp_path: Path) -> None:
    """A token that the service does not know: not available, and the log names it."""
    bench = open_bench()
    wrong = tmp_path / "wrong.token"
    wrong.write_text("another-token-0123456789abcdef0123456789\n")
    till = bench.till(**{"paymaster.token_file": str(wrong)})
    until = time.monotonic() + 20
    while till.ask("available")["value"] == "true":
        assert time.monotonic() < until, till.report()
        time.sleep(0.1)
    assert "unauthorized" in till.said()


@pytest.mark.scenario("CSI: the reason for “not available” is logged")
def test_the_file_of_unfinished_payments_is_damaged(open_bench: Open) -> None:
    """Nothing can be written down before it is done: no payment begins, the till and its log say why."""
    bench = open_bench()
    (bench.folder / "till").mkdir()
    (bench.folder / "till" / "payments").write_text("17-3-204-58-1\n")
    till = bench.till()
    bench.sell(till)
    assert "Оплата не настроена" in till.form("error")["text"]
    till.press("confirm")
    till.over("not_completed")
    bench.bank.assert_nothing_created()
    while till.ask("available")["value"] == "true":
        time.sleep(0.1)
    assert "is damaged" in till.said()
