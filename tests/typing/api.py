"""Uses the public API as an integrator's code does; mypy and pyright check it, nothing runs it.

A change that breaks a line here breaks users: it needs a deprecation and a line in the changelog (docs/stability.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from PIL.Image import Image

import sco_drivers
import sco_hwtest
import sco_payment
import sco_sim
from sco_drivers import (
    BadDeviceUrl,
    DeviceError,
    DeviceUrl,
    DisplayedCode,
    Line,
    Printer,
    PrintOutcome,
    PrintResult,
    QrDisplay,
    Screen,
    Style,
    TagReader,
    Ticket,
    Touch,
    opener,
)
from sco_drivers.printer import Columns, Document, QrCode, Text
from sco_payment import (
    Acquirer,
    Case,
    EndReason,
    Lane,
    LaneEvent,
    LaneUI,
    Order,
    Outcome,
    PaymentStatus,
    Result,
    ScreenState,
    Settings,
    SettingsError,
    StateChanged,
    Token,
)


def read_settings() -> Settings:
    try:
        return sco_payment.load_settings("lane.toml")
    except SettingsError as error:
        assert_type(error.problems, list[str])
        raise


def observe(event: LaneEvent) -> None:
    if isinstance(event, StateChanged):
        assert_type(event.time_ms, int)


class OwnScreen:
    def show(self, state: ScreenState) -> None:
        assert_type(sco_payment.render(state, (800, 480), "en"), Image)
        assert_type(sco_payment.render(state, theme=sco_payment.load_theme(sco_payment.Settings())), Image)
        assert_type(state.amount_kopecks, int | None)
        assert_type(state.expires_at_ms, int | None)
        for button in state.buttons:
            assert_type(button.id, str)

    def close(self) -> None: ...


def take(result: Result) -> None:
    assert_type(result.outcome, Outcome | None)
    assert_type(result.reason, EndReason)
    assert_type(result.case, int | None)


def pay() -> None:
    ui: LaneUI = OwnScreen()
    with sco_payment.open_lane(read_settings(), ui=ui, observer=observe, token=Token("t")) as lane:
        assert_type(lane, Lane)
        lane.start()
        assert_type(lane.pay(Order("42", 25_300), deliver=take), Result)
        order = Order("43", 25_300, tendered_elsewhere=10_000, tendered_by_sbp=300, leg_kopecks=5_000)
        result = lane.pay(order, acknowledge_later=True, cancelled=lambda: False)
        assert_type(result.presented, bool)
        assert_type(lane.choose(result.key, "cancel"), bool)
        lane.acknowledge(result.key)
        assert_type(lane.recover(follow=True), list[Result])
        assert_type(lane.stalled_for_s(), float)
        lane.cancel()
        lane.linger()


def cases(journal: sco_payment.Journal) -> list[Case]:
    return journal.cases(include_closed=True)


def status_of(acquirer: Acquirer) -> str:
    paid: PaymentStatus = PaymentStatus.PAID
    return f"{acquirer.name} {paid.value}"


def devices() -> None:
    try:
        with sco_drivers.open_printer("tcp://10.0.0.5:9100") as printer:
            assert_type(printer, Printer)
            ticket = Ticket("id", "https://qr.nspk.ru/", above=(Line("253,00 ₽", Style.LARGE),))
            result = printer.print_ticket(ticket)
            assert_type(result, PrintResult)
            assert_type(result.outcome, PrintOutcome)
            receipt = Document("id", [Text("x", bold=True), Columns(["Хлеб", "90,00"]), QrCode("https://ya.ru/")])
            assert_type(printer.print_document(receipt), PrintResult)
            with printer.escpos("id") as p:
                p.text("x")
            assert_type(p.result, PrintResult | None)
    except DeviceError as error:
        assert_type(error.url, str)
        assert_type(error.hint, str)
        assert_type(error.retryable, bool)
    assert_type(sco_drivers.open_nfc("sim://"), TagReader)
    assert_type(sco_drivers.open_screen("sim://"), Screen)
    assert_type(sco_drivers.open_touch("none://"), Touch)
    assert_type(sco_drivers.open_display("none://"), QrDisplay)
    sco_drivers.open_display("none://").show_code(DisplayedCode("https://qr.nspk.ru/", amount="253,00 ₽"))
    assert_type(sco_drivers.check_url("printer", "tcp://h"), list[BadDeviceUrl])


def tray_of(url: DeviceUrl) -> int:
    return url.integer("tray", 1, min=1, max=2)


@opener(tray_of, example="acme://10.0.0.7?tray=1", params=("tray",), needs=("host",))
def open_acme(url: DeviceUrl, tray: int) -> Printer:
    raise NotImplementedError


def simulate() -> None:
    with sco_sim.VirtualPrinter(paper_mm=58) as paper:
        assert_type(paper.url, str)
    with sco_sim.PayMasterSimulator(script="pays after=2") as paymaster:
        assert_type(paymaster.base_url, str)


def bench() -> None:
    report = sco_hwtest.run([("printer", "sim://")])
    assert_type(report, sco_hwtest.Report)
    sco_hwtest.write_html(report, Path("report.html"))
    sco_hwtest.write_junit(report, Path("junit.xml"))
    comparison = sco_hwtest.compare([sco_hwtest.read_report("before.json")], report)
    assert_type(comparison.of("worse"), list[sco_hwtest.Change])
    assert_type(report.devices[0].identity.serial, str | None)
    assert_type(sco_hwtest.load_limits("limits.toml"), sco_hwtest.Limits)
    with sco_hwtest.History("bench.db") as history:
        assert_type(history.add(report), bool)
