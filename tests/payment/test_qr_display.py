"""The customer QR display in whole payments: where the code is, when it goes, and what its faults change."""

from __future__ import annotations

import fcntl
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sco_drivers import DisplayedCode, open_display
from sco_drivers.display import serial_line
from sco_drivers.display.null import NullDisplay
from sco_drivers.urls import DeviceUrl
from sco_payment import attempt as m
from sco_payment.attempt import EndReason, Outcome, View
from sco_payment.customer import qr_display
from sco_payment.customer.qr_display import CodeDisplay
from sco_payment.customer.texts import RUSSIAN
from sco_payment.customer.ui import ScreenState
from sco_payment.devices import ReopeningDevice
from sco_payment.events import LaneEvent, NoteAdded, OutcomeReached, StateChanged
from sco_payment.journal import Journal
from sco_payment.order import Order
from sco_payment.settings import Settings
from sco_payment.settings_reader import SettingsError
from sco_sim import BenchDisplay, BenchScreen, LaneBench
from sco_sim.display.face import Face
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import OwnUI, bench, run, settings_file

CHECKING = "Проверяем оплату"
ORDER = Order("42", 25300)
LINK = "https://qr.nspk.ru/AD1"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qr_display, "LOOK_S", 0.05)
    monkeypatch.setattr(serial_line, "SEND_S", 0.2)


@pytest.fixture
def display() -> Iterator[BenchDisplay]:
    with BenchDisplay() as display:
        yield display


class Notes:
    """The lane's observer: keeps the notes, and acts once when a phase is reached."""

    def __init__(self, phase: str = "", act: Callable[[], object] = lambda: None) -> None:
        self.texts: list[str] = []
        self._phase, self._act = phase, act

    def __call__(self, event: LaneEvent, /) -> None:
        if isinstance(event, NoteAdded):
            self.texts.append(event.text)
        if isinstance(event, StateChanged) and event.phase.value == self._phase:
            self._phase = ""
            threading.Thread(target=self._act).start()

    def has(self, words: str) -> bool:
        return any(words in text for text in self.texts)


def customer_of(paymaster: PayMasterSimulator, does: str) -> None:
    """The customer of the one payment settles or declines it now."""
    [payment] = paymaster.bank.payments
    getattr(paymaster.bank, does)(payment)


def links(display: BenchDisplay) -> list[str]:
    return [face.link for face in display.history if face.link]


def devices(display: BenchDisplay, **more: str) -> dict[str, str]:
    return {"display": display.url} | more


def test_the_code_is_on_display_and_screen_and_the_outcome_goes(tmp_path: Path, display: BenchDisplay) -> None:
    ui, notes = OwnUI(), Notes()
    settings: dict[str, Any] = {"devices": devices(display), "lane": {"result_s": 0.3}}
    with bench(tmp_path, "pays after=6", ui=ui, observer=notes, **settings) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        [shown] = {state.link for state in ui.pay_screens}
        assert display.wait(lambda _: any(face.paid for face in display.history))
        assert links(display) == [shown]
        assert notes.has("presented: on the screen; sent to the customer display")
        assert display.wait(lambda face: face == Face()), "the outcome stays on the display"


def test_the_code_is_on_the_display_instead_of_the_screen(tmp_path: Path, display: BenchDisplay) -> None:
    ui, notes = OwnUI(), Notes()
    settings: dict[str, Any] = {"devices": devices(display), "display": {"qr_on_screen": False}}
    with bench(tmp_path, "pays after=6", ui=ui, observer=notes, **settings) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert len(links(display)) == 1
        assert {state.link for state in ui.shown} == {None}
        assert ui.pay_screens[0].headline
        assert notes.has("presented: sent to the customer display")
        assert paymaster.bank.cancels == 0


def test_the_code_stays_on_the_display_when_an_interrupted_payment_ends(tmp_path: Path, display: BenchDisplay) -> None:
    with Journal(tmp_path / "journal.db", lane_id="KSO-7", acquirer="paymaster") as journal:
        begun_at_ms = round(time.time() * 1000)
        plan = m.Plan("k1", "41", 100, "RUB", m.Mode.SCREEN, begun_at_ms, begun_at_ms + 60_000)
        journal.record(None, *m.begin(plan), at_ms=begun_at_ms)
    ended: list[tuple[str, bool]] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, OutcomeReached):
            ended.append((event.order_no, bool(display.history[-1].link)))

    with bench(tmp_path, "pays after=60", observer=observe, devices=devices(display)) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        lane._runtime.drain()  # type: ignore[attr-defined]
    assert ([order_no for order_no, _ in ended], ended[-1]) == (["41", "42"], ("42", True))


@pytest.mark.parametrize("screen_works", [True, False])
def test_a_code_that_the_screen_has_may_come_to_the_display_later(
    tmp_path: Path, display: BenchDisplay, screen_works: bool
) -> None:
    with BenchScreen((800, 480)) as screen:
        if not screen_works:
            screen.unplug()
        with bench(tmp_path, "pays after=6", devices=devices(display, screen=screen.url)) as (lane, _):
            shows = lane._loop.customer._presenter.display
            assert shows is not None
            present, alone = shows.present, []

            def presents(*about: Any, **how: Any) -> Any:
                alone.append(how["alone"])
                return present(*about, **how)

            shows.present = presents  # type: ignore[method-assign]
            assert lane.pay(ORDER).outcome is Outcome.PAID
            assert alone == [not screen_works]


def test_words_and_amount_on_a_display_that_has_them(tmp_path: Path) -> None:
    with BenchDisplay("qrscreen") as display, bench(tmp_path, "pays after=6", devices=devices(display)) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert display.wait(lambda face: face == Face(above=RUSSIAN.paid))
        assert any(
            face.above == "253,00\u00a0₽" and face.link and face.below.startswith("Для оплаты")
            for face in display.history
        )


@pytest.mark.parametrize("powered", [False, True])
def test_unplugged_while_the_customer_waits_and_plugged_in(
    tmp_path: Path, display: BenchDisplay, powered: bool
) -> None:
    def pull() -> None:
        display.wait(lambda face: bool(face.link))
        display.unplug(powered=powered)
        time.sleep(0.2)
        display.plug()
        display.wait(lambda _: len(links(display)) == 2)
        customer_of(paymaster, "settle")

    notes = Notes("waiting", pull)
    with bench(tmp_path, "leaves", observer=notes, devices=devices(display)) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert display.wait(lambda face: face.paid is True)
        assert len(links(display)) == 2, "the code was not sent again"
        assert len(set(links(display))) == 1
        assert notes.has("the customer display works again")


def test_a_code_that_could_not_be_cleared_is_cleared_as_soon_as_possible(tmp_path: Path, display: BenchDisplay) -> None:
    def pull() -> None:
        display.wait(lambda face: bool(face.link))
        display.unplug(powered=True)
        customer_of(paymaster, "decline")

    settings: dict[str, Any] = {"devices": devices(display), "lane": {"result_s": 0.0}}
    with bench(tmp_path, "leaves", observer=Notes("waiting", pull), **settings) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.UNPAID
        assert display.face.link, "this test must begin with a code that is still shown"
        display.plug()
        assert display.wait(lambda face: face == Face())


def test_what_a_crash_left_is_cleared(tmp_path: Path, display: BenchDisplay) -> None:
    with open_display(display.url) as crashed:
        crashed.show_code(DisplayedCode(LINK))
    display.assert_shows_code(LINK)
    with bench(tmp_path, devices=devices(display)) as (lane, _):
        lane.run_pending()
        display.assert_shows_no_code()


def test_a_lane_that_closes_leaves_no_code(display: BenchDisplay) -> None:
    shown = CodeDisplay(Settings(), ReopeningDevice(lambda: open_display(display.url)))
    shown.show(ScreenState(View.PAY, "Оплатите", link=LINK, attempt="key"))
    display.assert_shows_code(LINK)
    shown.close()
    display.assert_shows_no_code()


def test_a_customer_who_cancels_takes_the_code_away(tmp_path: Path, display: BenchDisplay) -> None:
    with bench(tmp_path, devices=devices(display)) as (lane, _):
        cancelling = threading.Thread(target=lambda: (display.assert_shows_code(), lane.cancel()))
        cancelling.start()
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason) == (Outcome.UNPAID, EndReason.CUSTOMER)
        assert display.wait(lambda face: face.paid is False)


def test_an_open_question_is_no_failed_payment(tmp_path: Path, display: BenchDisplay) -> None:
    """Nobody knows whether the customer has paid: the display must not say that the payment failed."""
    with bench(tmp_path, "cancel-refused", devices=devices(display)) as (lane, _):
        cancelling = threading.Thread(target=lambda: (display.assert_shows_code(), lane.cancel()))
        cancelling.start()
        assert lane.pay(ORDER).outcome is Outcome.UNKNOWN
        assert display.wait(lambda face: face == Face())
        assert {face.paid for face in display.history} == {None}


def test_the_dialog_takes_the_code_away_and_retry_brings_it_back(tmp_path: Path, display: BenchDisplay) -> None:
    ui = OwnUI("retry", lambda state: paymaster.go_offline() if len(ui.pay_screens) == 1 else None)
    with bench(tmp_path, ui=ui, devices=devices(display)) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.UNKNOWN
        assert len(links(display)) == 2
        assert [state.status for state in ui.pay_screens] == ["", CHECKING, CHECKING]  # it does not blink with these


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_display_that_is_missing_keeps_no_one_from_paying_on_the_screen(tmp_path: Path) -> None:
    notes = Notes()
    with bench(
        tmp_path, "pays after=6", ui=OwnUI(), observer=notes, devices={"display": "mertech:///dev/no-such-line"}
    ) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert paymaster.bank.cancels == 0
        assert notes.has("presented: on the screen; not on the customer display: mertech:///dev/no-such-line")
        assert len([text for text in notes.texts if text.startswith("the customer display failed")]) == 1


def test_a_display_that_takes_no_data_delays_only_itself(tmp_path: Path, display: BenchDisplay) -> None:
    display.refuse_data()
    ui = OwnUI()
    with bench(tmp_path, "pays after=20", ui=ui, devices=devices(display)) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert ui.pay_screens[0].link
    assert not display.history


def test_a_lane_without_a_screen_has_no_other_place(tmp_path: Path, display: BenchDisplay) -> None:
    with bench(tmp_path, "pays after=6", devices=devices(display)) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        display.unplug()
        assert lane.pay(Order("43", 100)).outcome is Outcome.NOT_PRESENTED


def test_the_only_place_of_the_code_is_missing(tmp_path: Path, display: BenchDisplay) -> None:
    """Nothing was sent, so nobody can pay: cancelled once, and the code does not come when the display is back."""
    display.unplug()
    settings: dict[str, Any] = {"devices": devices(display), "display": {"qr_on_screen": False}}
    notes = Notes()
    with bench(tmp_path, ui=OwnUI(), observer=notes, **settings) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert result.outcome is Outcome.NOT_PRESENTED
        assert "no display is connected" in result.detail
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 1)
        assert notes.has("not presented: not on the customer display")
        display.plug()
        assert display.wait(lambda face: bool(display.history))
        assert not links(display)


@pytest.mark.parametrize("alone", [True, False])
def test_a_code_that_was_not_sent_comes_later_only_where_it_is_shown_elsewhere_too(
    display: BenchDisplay, alone: bool
) -> None:
    display.unplug()
    shown = CodeDisplay(Settings(), ReopeningDevice(lambda: open_display(display.url)))
    sending = shown.present(ScreenState(View.PAY, "Оплатите", link=LINK, attempt="key"), alone=alone)
    assert not sending.may_be_seen
    display.plug()
    assert display.wait(lambda face: bool(display.history))
    assert links(display) == ([] if alone else [LINK])
    shown.close()


def test_the_only_place_of_the_code_may_have_got_it(
    tmp_path: Path, display: BenchDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part was sent: the customer may see it, so the payment goes on and is asked for."""
    control = fcntl.ioctl

    def waiting(fd: int, request: int, argument: Any) -> int:
        if request == termios.TIOCOUTQ:
            argument[0] = 7
            return 0
        return control(fd, request, argument)

    monkeypatch.setattr(fcntl, "ioctl", waiting)
    settings: dict[str, Any] = {"devices": devices(display), "display": {"qr_on_screen": False}}
    notes = Notes()
    with bench(tmp_path, "pays after=30", ui=OwnUI(), observer=notes, **settings) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)
        assert notes.has("presented: may be on the customer display")


def test_the_screen_fails_and_the_display_has_the_code(tmp_path: Path, display: BenchDisplay) -> None:
    notes = Notes()
    with BenchScreen((800, 480)) as screen:
        screen.unplug()
        with bench(tmp_path, "pays after=6", observer=notes, devices=devices(display, screen=screen.url)) as (
            lane,
            paymaster,
        ):
            assert lane.pay(ORDER).outcome is Outcome.PAID
            assert paymaster.bank.cancels == 0
            assert notes.has("presented: sent to the customer display; no screen")


def test_neither_screen_nor_display(tmp_path: Path, display: BenchDisplay) -> None:
    display.unplug()
    with BenchScreen((800, 480)) as screen:
        screen.unplug()
        with bench(tmp_path, devices=devices(display, screen=screen.url)) as (lane, paymaster):
            assert lane.pay(ORDER).outcome is Outcome.NOT_PRESENTED
            assert paymaster.bank.cancels == 1


def test_a_driver_with_a_bug_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: NullDisplay, code: DisplayedCode) -> None:
        raise RuntimeError("not a device's error")

    monkeypatch.setattr(NullDisplay, "show_code", broken)
    ui, notes = OwnUI(), Notes()
    with bench(tmp_path, "pays after=6", ui=ui, observer=notes, devices={"display": "none://"}) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert ui.pay_screens[0].link
        assert notes.has("on the screen; may be on the customer display: unforeseen: RuntimeError")


def test_sent_is_all_that_is_said_of_a_display_that_shows_nothing(tmp_path: Path, display: BenchDisplay) -> None:
    display.freeze()
    notes = Notes()
    settings: dict[str, Any] = {"devices": devices(display), "display": {"qr_on_screen": False}}
    with bench(tmp_path, "pays after=6", ui=OwnUI(), observer=notes, **settings) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert notes.has("presented: sent to the customer display")


# --- other modes and settings ---------------------------------------------------------------------------------------


def test_in_mode_2_the_display_shows_no_code(tmp_path: Path, display: BenchDisplay) -> None:
    settings: dict[str, Any] = {
        "devices": devices(display, nfc="sim://"),
        "display": {"mode": 2, "plate": "dynamic", "qr_on_screen": False},
    }
    ui = OwnUI()
    with bench(tmp_path, "pays after=6", ui=ui, **settings) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert display.wait(lambda face: face.paid is True)
        assert not links(display)
        assert ui.pay_screens[0].link, "the screen's code in mode 2 is another setting's business"


def test_settings_that_leave_no_place_for_the_code(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match=r"qr_on_screen = false shows the code.*devices\.display is missing"),
        bench(tmp_path, display={"qr_on_screen": False}),
    ):
        pass
    with (
        pytest.raises(SettingsError, match=r"devices\.display: .*the path is missing"),
        bench(tmp_path, devices={"display": "mertech://"}),
    ):
        pass


@pytest.mark.parametrize(
    ("on_screen", "words"),
    [(True, "on the lane's screen and on the customer display"), (False, "(on the customer display)")],
)
def test_the_check_of_the_settings_names_the_place(tmp_path: Path, on_screen: bool, words: str) -> None:
    with PayMasterSimulator() as paymaster:
        file = settings_file(tmp_path, paymaster)
        more = {"SCO_DEVICES_DISPLAY": "none://", "SCO_DISPLAY_QR_ON_SCREEN": str(on_screen)}
        done = run("settings", "check", file, SCO_PAYMASTER_TOKEN=paymaster.token, **more)
    assert words in done.stdout, done


def test_an_attempt_in_the_background_takes_no_code_of_a_later_one() -> None:
    null = NullDisplay(DeviceUrl.parse("none://"))
    shown = CodeDisplay(Settings(), ReopeningDevice(lambda: null))
    shown.show(ScreenState(View.PAY, "Оплатите", link=LINK, attempt="new"))
    shown.withdraw("old")
    assert null.code is not None
    shown.withdraw("new")
    assert null.code is None
    shown.close()


def test_the_same_code_belongs_to_the_attempt_that_was_shown_last() -> None:
    null = NullDisplay(DeviceUrl.parse("none://"))
    shown = CodeDisplay(Settings(), ReopeningDevice(lambda: null))
    for attempt in ("old", "new"):
        shown.show(ScreenState(View.PAY, "Оплатите", link=LINK, attempt=attempt))
    shown.withdraw("old")
    assert null.code is not None
    shown.close()


def test_the_bench_has_a_display(virtual_display: BenchDisplay, lane: LaneBench) -> None:
    seen: list[str] = []
    lane.when_payable(lambda link: seen.append(virtual_display.assert_shows_code(link)))
    lane.customer_pays(after_s=4)
    assert lane.pay(25300).outcome is Outcome.PAID
    assert len(seen) == 1


@pytest.mark.sco_lane(display={"qr_on_screen": False})
def test_the_customer_on_the_bench_scans_the_display(virtual_display: BenchDisplay, lane: LaneBench) -> None:
    lane.customer_pays(after_s=4)
    assert lane.pay(25300).outcome is Outcome.PAID
    assert lane.screen is not None
    lane.screen.assert_shows_no_code()
