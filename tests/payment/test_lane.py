"""The requirement's flow over real HTTP: outcome, number of creates and cancels, case, and what the screen showed."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zxingcpp

from sco_payment.assemble import open_lane
from sco_payment.attempt import EndReason, Outcome, Phase, View
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import ScreenState
from sco_payment.events import (
    CancelSent,
    CaseOpened,
    LaneEvent,
    LinkAccepted,
    NoteAdded,
    OutcomeReached,
    OutcomeTaken,
    StateChanged,
)
from sco_payment.journal import JournalError
from sco_payment.order import Order, PaymentRefused, Result
from sco_payment.paymaster.token import Token
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.printer import VirtualPrinter
from sco_sim.screen import VirtualScreen
from tests.payment.lane_kit import OwnUI, Phases, bench

pytestmark = pytest.mark.usefixtures("idle_time")

WAIT = "Пожалуйста, подождите"
PAY = "Для оплаты используйте NFC или отсканируйте QR-код"
DIALOG = "Оплата не завершена, нет связи с процессингом"
CHECKING = "Проверяем оплату"
ORDER = Order("42", 25300)


class CancelsAtOnce(OwnUI):
    """Its customer presses «Отменить» as soon as the code is there."""

    def __init__(self) -> None:
        super().__init__(on_pay=lambda state: self.pressed.append(self.choose(state, "cancel")))
        self.pressed: list[bool] = []


@pytest.mark.parametrize(
    ("script", "outcome", "creates"),
    [
        ("pays after=2", Outcome.PAID, 1),
        ("declines after=2", Outcome.UNPAID, 1),
        ("leaves", Outcome.UNPAID, 1),
        ("pays after=2 + cut-before on=create first=1", Outcome.PAID, 1),
        ("pays after=6 + cut-after on=create first=1", Outcome.PAID, 1),
        ("pays after=6 + garbage on=create first=1", Outcome.PAID, 1),
        ("pays after=6 + 500-after on=create first=1", Outcome.PAID, 1),
        ("pays after=2 + 429 wait=3 on=create first=1", Outcome.PAID, 1),
        ("pays after=1 + 429 wait=6 on=get first=2", Outcome.PAID, 1),
        ("pays after=1 + 500 on=get first=3", Outcome.PAID, 1),
        ("pays after=8 + 404-first s=5", Outcome.PAID, 1),
        ("pays after=2 + slow wait=0.2 on=get", Outcome.PAID, 1),
        ("pays after=2 + cut-after on=get first=2", Outcome.PAID, 1),
    ],
)
@pytest.mark.requirement("R5", "R6")
def test_what_customer_and_network_do(tmp_path: Path, script: str, outcome: Outcome, creates: int) -> None:
    ui = OwnUI()
    with bench(tmp_path, script, ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (outcome, None)
        assert (paymaster.bank.creates, paymaster.bank.cancels, paymaster.bank.refunds) == (creates, 0, 0)
        assert set(ui.headlines[: ui.headlines.index(PAY)]) <= {WAIT}  # a slow display shows only the latest
        assert {screen.headline for screen in ui.pay_screens} == {PAY}
        assert DIALOG not in ui.headlines
        assert lane.journal.verify() == []
    assert ui.closed


@pytest.mark.parametrize(
    ("script", "outcome", "why", "reached", "reason"),
    [
        ("leaves", Outcome.UNPAID, EndReason.CUSTOMER, 1, None),
        ("cancel-lost", Outcome.UNPAID, EndReason.CUSTOMER, 1, None),
        ("cancel-refused", Outcome.UNKNOWN, EndReason.CUSTOMER, 1, "cancel_refused"),
        ("cancel-unanswered", Outcome.UNKNOWN, EndReason.CUSTOMER, 0, "cancel_unanswered"),
        ("pays-at-cancel", Outcome.PAID, EndReason.CUSTOMER, 1, None),
        ("pays-after-cancel", Outcome.UNKNOWN, EndReason.CUSTOMER, 1, "cancel_pay_race"),
        ("500 on=cancel", Outcome.UNKNOWN, EndReason.CUSTOMER, 0, "cancel_unanswered"),
    ],
)
@pytest.mark.requirement("R16", "R17", "R18")
def test_the_customer_cancels_once(
    tmp_path: Path, script: str, outcome: Outcome, why: EndReason, reached: int, reason: str | None
) -> None:
    ui = CancelsAtOnce()
    with bench(tmp_path, script, ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason) == (outcome, why)
        assert paymaster.bank.cancels == reached
        cases = lane.journal.cases()
        assert [case.reason for case in cases] == ([] if reason is None else [reason])
        if cases:
            assert result.case == cases[0].number
            lane._runtime.close()  # the screen has shown what it was asked to
            last = ui.shown[-1]
            assert (last.headline, last.case) == ("Позовите сотрудника магазина", result.case)


@pytest.mark.requirement("R13", "R14", "R15")
def test_network_fails_after_the_customer_paid_and_retry_finds_the_money(tmp_path: Path) -> None:
    """The hard case of the requirement: poll until the timeout, ask, Повторить, paid. The dialog texts are exact."""
    ui = OwnUI("retry")
    with bench(tmp_path, ui=ui) as (lane, paymaster):

        def pay_offline(screen: ScreenState) -> None:
            if len(ui.pay_screens) == 1:
                paymaster.go_offline()
                paymaster.phone.pay(str(screen.link))
            elif DIALOG in ui.headlines:
                paymaster.go_online()

        ui._on_pay = pay_offline
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.creates, paymaster.bank.cancels) == (Outcome.PAID, 1, 0)
        dialogs = [one for one in ui.shown if one.headline == DIALOG]
        (dialog,) = dialogs
        assert [(one.id, one.text) for one in dialog.buttons] == [("retry", "Повторить"), ("cancel", "Отменить")]
        assert dialog.lines == ("Если вы уже оплатили, нажмите «Повторить»",)
        # No customer who has paid looks at a code for 90 s and nothing else, nor after «Повторить».
        seen = [(one.view, one.status) for one in ui.shown if one.view in (View.PAY, View.DIALOG)]
        assert seen == [(View.PAY, ""), (View.PAY, CHECKING), (View.DIALOG, ""), (View.PAY, CHECKING)]


@pytest.mark.parametrize(
    ("unanswered", "statuses"), [(1, [""]), (2, ["", "Проверяем оплату", ""]), (4, ["", "Проверяем оплату", ""])]
)
def test_from_the_second_unanswered_poll_on_the_payment_is_being_checked(
    tmp_path: Path, unanswered: int, statuses: list[str]
) -> None:
    ui = OwnUI()
    with bench(tmp_path, f"pays after=25 + 500 on=get first={unanswered}", ui=ui) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
    assert [one.status for one in ui.pay_screens] == statuses
    assert len({(one.headline, one.link, one.lines) for one in ui.pay_screens}) == 1


@pytest.mark.parametrize(
    ("script", "view", "lines"),
    [
        ("declines after=2", View.UNPAID, ("Деньги не списаны", "Выберите способ оплаты заново")),
        ("429 on=create", View.UNPAID, ("Выберите способ оплаты заново",)),  # the bank never said so
        ("cancel-refused", View.ATTENDANT, ()),
    ],
)
def test_that_no_money_was_taken_is_said_only_where_the_bank_said_so(
    tmp_path: Path, script: str, view: View, lines: tuple[str, ...]
) -> None:
    ui = CancelsAtOnce() if script == "cancel-refused" else OwnUI()
    with bench(tmp_path, script, ui=ui) as (lane, _):
        result = lane.pay(ORDER)
        lane._runtime.close()  # the screen has shown what it was asked to
    end = ui.shown[-1]
    assert (end.view, end.lines, end.amount_text) == (view, lines, "253,00\u00a0₽")
    assert end.case_text == ("" if result.case is None else f"Обращение № {result.case}")


@pytest.mark.requirement("R16", "R18")
def test_network_fails_after_the_customer_paid_and_cancel_leaves_a_case(tmp_path: Path) -> None:
    ui = OwnUI("cancel")
    with bench(tmp_path, ui=ui) as (lane, paymaster):

        def pay_offline(screen: ScreenState) -> None:
            paymaster.go_offline()
            paymaster.phone.pay(str(screen.link))

        ui._on_pay = pay_offline
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.cancels) == (Outcome.UNKNOWN, 0)
        assert [case.reason for case in lane.journal.cases()] == ["cancel_unanswered"]
        with pytest.raises(PaymentRefused, match="may still be paid"):
            lane.pay(ORDER)
        paymaster.go_online()
        assert [one.phase for one in lane.recover(follow=True)] == [Phase.PAID_LATE]
        timeline = lane.journal.timeline(result.key)
        assert any("the goods were not released" in str(record.body) for record in timeline)
        with pytest.raises(PaymentRefused, match="already paid"):
            lane.pay(ORDER)
        assert paymaster.bank.creates == 1


@pytest.mark.requirement("R14")
def test_an_unanswered_dialog_never_cancels(tmp_path: Path) -> None:
    ui = OwnUI(None)
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        ui._on_pay = lambda screen: paymaster.go_offline()
        result = lane.pay(ORDER)
        assert DIALOG in ui.headlines
        assert (result.outcome, result.reason) == (Outcome.UNKNOWN, EndReason.EXPIRED)
        assert paymaster.bank.calls["cancel"] == 0


@pytest.mark.requirement("R13")
def test_a_bank_that_says_not_yet_is_polled_without_a_dialog(tmp_path: Path) -> None:
    ui = OwnUI("cancel")
    with bench(tmp_path, "pays after=80", ui=ui) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert DIALOG not in ui.headlines


@pytest.mark.parametrize(
    ("script", "outcome", "creates"),
    [
        ("cut-before on=create", Outcome.UNKNOWN, 0),
        ("cut-after on=create", Outcome.UNPAID, 1),  # found by the order, and presented
        ("500-after on=create + 500 on=list", Outcome.UNKNOWN, 1),
    ],
)
def test_a_create_whose_fate_is_unknown(tmp_path: Path, script: str, outcome: Outcome, creates: int) -> None:
    with bench(tmp_path, script, ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.creates) == (outcome, creates)
        assert (result.case is not None) == (outcome is Outcome.UNKNOWN)


def test_no_network_at_all_creates_nothing_and_leaves_no_case(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, paymaster):
        paymaster.close()
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason, result.case) == (Outcome.NOT_PRESENTED, EndReason.NOT_CREATED, None)


def test_the_bank_refuses_our_token(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, paymaster):
        paymaster.token = "another"
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.creates, result.case) == (Outcome.NOT_PRESENTED, 0, None)
        assert "PayMaster refused the token" in result.detail
        assert "paymaster.token_file" in result.detail


# --- display modes ------------------------------------------------------------------------------------------------


def read_code(picture: object) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(picture, zxingcpp.BarcodeFormat.QRCode)]


@pytest.mark.requirement("R1", "R7", "R21")
def test_mode_0_prints_the_code_and_the_paper_pays(tmp_path: Path) -> None:
    ui = OwnUI()
    with VirtualPrinter() as printer:
        with bench(tmp_path, ui=ui, display={"mode": 0}, devices={"printer": printer.url}) as (lane, paymaster):

            def scan(screen: ScreenState) -> None:
                png = io.BytesIO()
                printer.tickets[-1].image().save(png, "PNG")
                paymaster.phone.pay(png.getvalue())

            ui._on_pay = scan
            result = lane.pay(ORDER)
            assert result.outcome is Outcome.PAID
            (screen,) = ui.pay_screens
            assert (screen.headline, screen.link, screen.amount_kopecks) == (WAIT, None, 25300)
        ticket = printer.tickets[0]
        assert "Магазин у дома" in ticket.text
        assert "253,00" in ticket.text
        assert ticket.cut


@pytest.mark.parametrize("fault", ["run_out_of_paper", "open_cover", "unplug"])
def test_mode_0_a_printer_that_cannot_print_cancels(tmp_path: Path, fault: str) -> None:
    with VirtualPrinter() as printer:
        with bench(tmp_path, ui=OwnUI(), display={"mode": 0}, devices={"printer": printer.url}) as (lane, paymaster):
            getattr(printer, fault)()
            result = lane.pay(ORDER)
            assert (result.outcome, result.reason) == (Outcome.NOT_PRESENTED, EndReason.NOT_PRESENTED)
            assert printer.url in result.detail
            assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 1)
        assert printer.codes == []


@pytest.mark.requirement("R1", "R8", "R21")
def test_mode_1_the_screen_carries_the_very_link(tmp_path: Path) -> None:
    with VirtualScreen((1024, 768)) as monitor:
        seen: list[str] = []
        with bench(tmp_path, "pays after=6", devices={"screen": monitor.url}) as (lane, paymaster):

            def remember(event: LaneEvent) -> None:
                if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
                    seen.extend(read_code(monitor.image()))

            lane._loop.observer = remember
            assert lane.pay(ORDER).outcome is Outcome.PAID
            (payment,) = paymaster.bank.payments.values()
            assert seen == [payment.link]


def test_mode_1_without_its_screen_nothing_is_presented(tmp_path: Path) -> None:
    devices = {"screen": f"fb://{tmp_path}/none"}
    with bench(tmp_path, devices=devices) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.creates, paymaster.bank.cancels) == (Outcome.NOT_PRESENTED, 1, 1)


@pytest.mark.requirement("R1", "R9", "R20", "R21")
def test_mode_2_static_arms_the_plate_and_verifies_the_tag(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench_with_plate(tmp_path, ui) as (lane, paymaster, reader, payload):
        ui._on_pay = lambda screen: paymaster.phone.pay(str(reader.tag.uri())) and None
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert ui.pay_screens[0].link == payload
        assert ui.pay_screens[0].lines == ("Отсканируйте QR-код с наклейки или считайте NFC-метку",)
        assert sum(reader.tag.page_writes.values()) == 0
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID  # the plate is free again
        assert paymaster.bank.creates == 2


@pytest.mark.requirement("R20")
def test_mode_2_static_a_strange_tag_is_not_used(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench_with_plate(tmp_path, ui) as (lane, paymaster, reader, _):
        reader.tag.put_uri("https://evil.example/")
        ui._on_pay = lambda screen: paymaster.phone.pay(str(screen.link)) and None
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert ui.pay_screens[0].lines == ("NFC-метка недоступна, используйте QR-код",)


def bench_with_plate(tmp_path: Path, ui: OwnUI):
    import contextlib

    @contextlib.contextmanager
    def opened():
        from sco_sim.paymaster import Bank

        payload = Bank(lambda: 0.0).add_sticker().payload  # what the plate carries is known before the lane is set up
        with VirtualReader(uri=payload) as reader:
            display = {"mode": 2, "plate": "static", "sticker_id": "st-000001", "plate_link": payload}
            with bench(tmp_path, ui=ui, display=display, devices={"nfc": reader.url}) as (lane, paymaster):
                assert paymaster.bank.add_sticker().payload == payload
                yield lane, paymaster, reader, payload

    return opened()


@pytest.mark.requirement("R1", "R9", "R20", "R21")
def test_mode_2_dynamic_writes_the_link_and_clears_it(tmp_path: Path) -> None:
    ui = OwnUI()
    with VirtualReader() as reader:
        display = {"mode": 2, "plate": "dynamic"}
        with bench(tmp_path, ui=ui, display=display, devices={"nfc": reader.url}) as (lane, paymaster):
            seen: list[str | None] = []

            def tap(screen: ScreenState) -> None:
                seen.append(reader.tag.uri())
                paymaster.phone.pay(str(reader.tag.uri()))

            ui._on_pay = tap
            assert lane.pay(ORDER).outcome is Outcome.PAID
            (payment,) = paymaster.bank.payments.values()
            assert seen == [payment.link]
        assert reader.tag.uri() is None


# --- orders, legs, refusals ---------------------------------------------------------------------------------------


@pytest.mark.requirement("R4", "R10")
def test_a_mixed_payment_takes_the_remainder(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(Order("42", 100000, tendered_elsewhere=30000))
        assert (result.outcome, result.kopecks) == (Outcome.PAID, 70000)
        assert [payment.kopecks for payment in paymaster.bank.payments.values()] == [70000]


@pytest.mark.parametrize(
    ("sections", "order", "words"),
    [
        ({"lane": {"profile": "16:9"}}, Order("1", 200, 100), "mixed payment"),
        ({}, Order("1", 100, 100), "nothing is left"),
        ({"display": {"mode": 0}, "devices": {"printer": "tcp://127.0.0.1:9"}}, Order("1", 200, 100), "mixed payment"),
        ({}, Order("", 100), "order number"),
        ({}, Order("1" * 65, 100), "order number"),
        ({}, Order("1\n2", 100), "order number"),
        ({}, Order(" 1", 100), "order number"),
        ({}, Order("1", 0), "more than zero"),
        ({}, Order("1", 100, -1), "not less than zero"),
    ],
)
@pytest.mark.requirement("R10")
def test_what_may_not_begin_is_refused_without_a_request(
    tmp_path: Path, sections: dict[str, dict[str, Any]], order: Order, words: str
) -> None:
    with bench(tmp_path, ui=OwnUI(), **sections) as (lane, paymaster):
        with pytest.raises(PaymentRefused, match=words):
            lane.pay(order)
        assert paymaster.bank.calls.total() == 0


@pytest.mark.requirement("R4")
def test_the_longest_number_and_the_smallest_rest_are_taken(tmp_path: Path) -> None:
    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, _):
        assert lane.pay(Order("1" * 64, 101, tendered_elsewhere=100)).outcome is Outcome.PAID
        assert lane.pay(Order("2", 1)).outcome is Outcome.PAID


def test_a_lane_that_has_served_keeps_nothing_of_it_in_memory(tmp_path: Path) -> None:
    """It runs for weeks. A payment that the bank has closed is watched until the grace period is over."""
    phases = Phases()
    with bench(tmp_path, "declines", ui=OwnUI(), observer=phases) as (lane, _):
        lane.start()
        for number in ("1", "2"):
            assert lane.pay(Order(number, 100)).outcome is Outcome.UNPAID
        phases.wait_for(Phase.UNPAID, times=2)
        lane.recover()
        loop = lane._loop
        with lane._running:
            assert (loop.attempts, loop._last_notes, loop.cases, loop.unrecorded) == ({}, {}, {}, {})


def test_cancelling_from_outside_ends_the_payment_under_way_and_no_later_one(tmp_path: Path) -> None:
    """As a signal handler or the attendant's button does."""
    ui = OwnUI(on_pay=lambda screen: lane.cancel())
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason, paymaster.bank.cancels) == (Outcome.UNPAID, EndReason.CUSTOMER, 1)
        ui._on_pay = None
        paymaster.use("pays after=2")
        lane.cancel()
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID


@pytest.mark.parametrize(
    ("call", "script", "ui", "outcome", "cancels"),
    [
        ("create", "pays after=6", OwnUI, Outcome.PAID, 0),  # with the same key
        ("status", "pays after=2", OwnUI, Outcome.PAID, 0),
        ("find", "leaves + cut-after on=create", OwnUI, Outcome.UNPAID, 0),
        ("cancel", "leaves", CancelsAtOnce, Outcome.UNPAID, 1),  # never a second one: the status is requested
    ],
)
def test_a_request_that_fails_unexpectedly_leaves_no_customer_waiting(
    tmp_path: Path,
    call: str,
    script: str,
    ui: Callable[[], OwnUI],
    outcome: Outcome,
    cancels: int,
) -> None:
    with bench(tmp_path, script, ui=ui()) as (lane, paymaster):
        request, failed = getattr(lane._loop.acquirer, call), []

        def fails_once(*about: object) -> object:
            answer = request(*about)
            if not failed:
                failed.append(answer)
                raise RuntimeError("unexpected")
            return answer

        setattr(lane._loop.acquirer, call, fails_once)
        result = lane.pay(ORDER)
        assert failed
        assert (result.outcome, paymaster.bank.creates, paymaster.bank.cancels) == (outcome, 1, cancels)


@pytest.mark.requirement("R17")
def test_a_paid_order_is_never_charged_again_and_a_declined_one_may_be(tmp_path: Path) -> None:
    with bench(tmp_path, "declines", ui=OwnUI()) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.UNPAID
        paymaster.use("pays")
        assert lane.pay(ORDER).outcome is Outcome.PAID
        with pytest.raises(PaymentRefused, match="already paid"):
            lane.pay(ORDER)
        assert paymaster.bank.creates == 2


@pytest.mark.requirement("R19")
def test_refunds_are_made_elsewhere(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        assert not [name for name in dir(lane) if "refund" in name]
    assert all("pos/touch" in texts.no_refunds for texts in LANGUAGES.values())


def test_an_outcome_that_was_not_taken_becomes_a_case(tmp_path: Path) -> None:
    """The lane's software dies with the goods not released: the next start finds money without goods."""

    class Died(Exception):
        pass

    def die(result: Result) -> None:
        raise Died

    with bench(tmp_path, "pays", ui=OwnUI()) as (lane, _):
        with pytest.raises(Died):
            lane.pay(ORDER, deliver=die)
        assert [case.reason for case in lane.journal.cases()] == ["goods_uncertain"]
        assert lane.recover() == []


def test_a_full_disk_in_mid_payment_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal fails while the customer pays: no goods; when the disk is well again the money becomes a case."""
    ui = OwnUI()
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        db = lane.journal._db

        def pay_with_full_disk(screen: ScreenState) -> None:
            paymaster.phone.pay(str(screen.link))
            db.execute("PRAGMA query_only=1")

        ui._on_pay = pay_with_full_disk
        with pytest.raises(JournalError, match="disk"):
            lane.pay(ORDER)
        lane._runtime.drain()
        assert ui.shown[-1].headline == "Позовите сотрудника магазина"  # and no code to pay by any more
        assert ui.shown[-1].lines == ("Касса временно не работает",)
        db.execute("PRAGMA query_only=0")
        (result,) = lane.recover()
        assert (result.outcome, result.phase) == (Outcome.UNKNOWN, Phase.PAID_LATE)
        assert (lane._loop.attempts, lane._loop.cases, lane._loop.unrecorded) == ({}, {}, {})  # it runs on for weeks
        assert [case.reason for case in lane.journal.cases()] == ["paid_after_restart"]
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)


def test_a_lane_that_starts_again_names_the_case_of_an_open_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ui = OwnUI("cancel")
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        ui._on_pay = lambda screen: paymaster.go_offline()
        before = lane.pay(ORDER)
        lane.journal.close()
        with open_lane(lane.settings, ui=ui, runtime=lane._runtime, token=Token(paymaster.token)) as again:
            (after,) = again.recover()
        assert (after.outcome, after.phase) == (Outcome.UNKNOWN, Phase.WATCHING)
        assert after.case == before.case == 1
        assert [line for line in caplog.messages if line.startswith("open cases")] == [
            "open cases, which an operator must decide: 1"
        ]


def test_a_lane_that_starts_again_leaves_no_code_on_the_screen(tmp_path: Path) -> None:
    """What the dead lane showed is still on the screen: it must not be paid. Its customer sees the case."""
    ui = OwnUI()
    with bench(tmp_path, ui=ui) as (lane, paymaster):

        def dies(screen: ScreenState) -> None:
            paymaster.phone.pay(str(screen.link))
            lane.journal.close()

        ui._on_pay = dies
        with pytest.raises(JournalError):
            lane.pay(ORDER)
        lane._runtime.drain()
        ui.shown.clear()
        with open_lane(lane.settings, ui=ui, runtime=lane._runtime, token=Token(paymaster.token)) as again:
            (result,) = again.recover()
            lane._runtime.drain()
    assert result.case == 1
    assert [one.headline for one in ui.shown] == ["Пожалуйста, подождите", "Позовите сотрудника магазина"]
    assert ui.shown[-1].case == 1


def test_the_next_payment_of_an_order_first_asks_about_the_one_that_a_crash_left(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        ui._on_pay = lambda screen: lane.journal.close()
        with pytest.raises(JournalError):
            lane.pay(ORDER)
        lane._runtime.drain()
        ui._on_pay = None
        paymaster.use("pays after=2")
        with open_lane(lane.settings, ui=ui, runtime=lane._runtime, token=Token(paymaster.token)) as again:
            assert again.pay(ORDER).outcome is Outcome.PAID
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (2, 1)


def test_an_order_that_waiting_cannot_help_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with another attempt that the lane still watches."""
    ui = OwnUI("cancel")
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        paymaster.use("leaves")
        ui._on_pay = lambda screen: paymaster.go_offline()
        assert lane.pay(Order("43", 100)).outcome is Outcome.UNKNOWN
        waits: list[object] = []
        monkeypatch.setattr(lane._loop, "run_once", waits.append)
        with pytest.raises(PaymentRefused, match="already paid"):
            lane.pay(ORDER)
        assert waits == []


def test_goods_that_may_not_have_been_released_send_the_customer_to_the_attendant(tmp_path: Path) -> None:
    ui = OwnUI(on_pay=lambda screen: paymaster.phone.pay(str(screen.link)))

    def fails(result: Result) -> None:
        raise RuntimeError("the lane's own software")

    with bench(tmp_path, ui=ui) as (lane, paymaster):
        with pytest.raises(RuntimeError):
            lane.pay(ORDER, deliver=fails)
        lane._runtime.drain()
        assert (ui.shown[-1].headline, ui.shown[-1].case) == ("Позовите сотрудника магазина", 1)


def test_an_idle_lane_looks_at_its_printer_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = {"printer": "tcp://127.0.0.1:9"}
    with bench(tmp_path, ui=OwnUI(), display={"mode": 0}, devices=devices) as (lane, _):
        looks: list[int] = []
        now = [lane._runtime.now()]
        monkeypatch.setattr(lane._runtime, "now", lambda: now[0])
        monkeypatch.setattr(lane._loop.customer._presenter, "check_printer", looks.append)
        for later in (0, 1, 29_998, 1):
            now[0] += later
            lane.run_pending()
            lane._runtime.drain()
        assert looks == [now[0] - 30_000, now[0]]


class Slow(OwnUI):
    """A display that hangs in the first scene until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.freed = threading.Event()

    def show(self, screen: ScreenState) -> None:
        super().show(screen)
        if screen.view is View.WAIT:
            self.freed.wait(30)


def test_a_lane_that_stops_shows_nothing_that_it_wanted_to_show_before(tmp_path: Path) -> None:
    ui = Slow()
    with bench(tmp_path, "declines after=5", ui=ui) as (lane, _):

        def disk_full(result: Result) -> None:
            lane.journal._db.execute("PRAGMA query_only=1")

        with pytest.raises(JournalError):
            lane.pay(ORDER, deliver=disk_full)
        ui.freed.set()
        lane._runtime.drain()
        assert ui.headlines == ["Пожалуйста, подождите", "Позовите сотрудника магазина"]
        lane.journal._db.execute("PRAGMA query_only=0")


def test_a_closed_lane_watches_nothing_any_more(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        lane.start()
        watcher = lane._watcher
        assert watcher is not None
        assert watcher.is_alive()
    assert not watcher.is_alive()


def test_what_an_observer_receives(tmp_path: Path) -> None:
    """Names and fields are read by programs."""
    seen: list[LaneEvent] = []
    with bench(tmp_path, "cancel-refused", ui=CancelsAtOnce(), observer=seen.append) as (lane, paymaster):
        before = lane._runtime.now()
        result = lane.pay(ORDER)
        (payment,) = paymaster.bank.payments.values()
        (attempt,) = lane.journal.attempts()
    about = {"attempt": result.key, "order": "42", "expires_at_ms": attempt.plan.expires_at_ms}
    states = [stripped(event) for event in seen if isinstance(event, StateChanged)]
    assert states[0] == {"event": "state_changed", **about, "phase": "creating", "payment_id": None}
    assert states[1] == {"event": "state_changed", **about, "phase": "presenting", "payment_id": payment.id}
    phases = [data["phase"] for data in states]
    assert [one for one, next_one in pairwise(phases) if one == next_one] == []
    notes = [event.text for event in seen if isinstance(event, NoteAdded) and event.attempt == result.key]
    assert "presented: on the screen" in notes
    reported = [stripped(event) for event in seen if isinstance(event, LinkAccepted | CancelSent | CaseOpened)]
    assert reported == [
        {"event": "link_accepted", "attempt": result.key, "link": payment.link, "verified": True},
        {"event": "cancel_sent", "attempt": result.key, "payment_id": payment.id},
        {"event": "case_opened", "attempt": result.key, "order": "42", "case": result.case},
    ]
    ends = [stripped(event) for event in seen if isinstance(event, OutcomeReached | OutcomeTaken)]
    assert ends == [
        {
            "event": "outcome_reached",
            "attempt": result.key,
            "order": "42",
            "outcome": "unknown",
            "reason": "customer",
            "amount_kopecks": 25300,
            "payment_id": payment.id,
            "case": result.case,
        },
        {"event": "outcome_taken", "attempt": result.key, "order": "42"},
    ]
    assert sorted(event.seq for event in seen) == list(range(1, len(seen) + 1))
    assert all(before <= event.time_ms <= lane._runtime.now() for event in seen)


def stripped(event: LaneEvent) -> dict[str, object]:
    """Without what differs from run to run."""
    return {name: value for name, value in event.as_json().items() if name not in ("seq", "time_ms")}


def test_a_slow_display_shows_the_latest_scene_only(tmp_path: Path) -> None:
    """What a finished payment showed is skipped, not shown in turn."""
    ui = Slow()
    with bench(tmp_path, "declines after=5", ui=ui) as (lane, _):
        lane.pay(ORDER)
        ui.freed.set()
        lane._runtime.drain()
        assert ui.headlines == ["Пожалуйста, подождите", "Оплата не выполнена"]
