"""The pytest plugin: what it costs those who do not use it, its fixtures with their faults, its assertions' words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sco_payment.attempt import EndReason, Outcome, View
from sco_payment.customer.ui import ScreenState
from sco_payment.settings_reader import SettingsError
from sco_sim.testing.bank import BenchPayMaster
from sco_sim.testing.devices import BenchPrinter, BenchScreen, BenchTag, BenchTouch
from sco_sim.testing.lane import LaneBench

WAIT = "Пожалуйста, подождите"
PAY = "Для оплаты используйте NFC или отсканируйте QR-код"
DIALOG = "Оплата не завершена, нет связи с процессингом"


def outside(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a test file of somebody else's in a process of its own."""
    (folder / "test_theirs.py").write_text(textwrap.dedent(text), "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        # without the plugin of the contract's tests, which loads much by itself where it is installed
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


# --- those who do not use it ----------------------------------------------------------------------------------------


def test_it_imports_nothing_until_a_fixture_is_used(tmp_path: Path) -> None:
    done = outside(
        tmp_path,
        """
        import sys

        def test_nothing_of_ours_is_loaded():
            ours = {name for name in sys.modules if name.split(".")[0].startswith("sco_")}
            assert ours == {"sco_sim", "sco_sim.testing", "sco_sim.testing.pytest_plugin"}
            heavy = {"PIL", "starlette", "uvicorn", "zxingcpp", "nfc", "serial", "usb", "msgspec", "urllib3", "sqlite3"}
            assert not heavy & set(sys.modules)
        """,
    )
    assert done.returncode == 0, done.stdout


def test_their_own_fixture_of_the_same_name_wins(tmp_path: Path) -> None:
    done = outside(
        tmp_path,
        """
        import pytest

        @pytest.fixture
        def lane():
            return "theirs"

        def test_it(lane):
            assert lane == "theirs"
        """,
        "--strict-markers",
    )
    assert done.returncode == 0, done.stdout


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import sys\nsys.modules['starlette'] = None\nsys.modules['zxingcpp'] = None\n"
    )
    done = outside(
        tmp_path,
        """
        def test_a_bank(paymaster_simulator):
            pass

        def test_a_screen(virtual_screen):
            virtual_screen.path.write_bytes(bytes(2 * 1024 * 1024))
            virtual_screen.assert_shows_no_code()
        """,
    )
    assert "starlette is missing: pip install 'sco-paymaster[simulator]'" in done.stdout, done.stdout
    assert "zxingcpp is missing: pip install 'sco-paymaster[simulator]'" in done.stdout, done.stdout


def test_its_fixtures_are_described(tmp_path: Path) -> None:
    listed = outside(tmp_path, "", "--fixtures").stdout
    for name in (
        "virtual_printer",
        "virtual_tag",
        "virtual_screen",
        "virtual_touch",
        "virtual_display",
        "paymaster_simulator",
        "lane",
    ):
        assert re.search(rf"^{name} -- .*pytest_plugin.py:\d+\n    \w+", listed, re.MULTILINE), listed


@pytest.mark.requirement("R21")
def test_the_marker_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    done = outside(
        tmp_path,
        """
        import pytest

        @pytest.mark.sco_lane(0)
        def test_by_place(lane):
            pass

        @pytest.mark.sco_lane(mode=7, colour={})
        def test_unknown(lane):
            lane.pay(100)

        @pytest.mark.sco_lane(mod=1)
        def test_misspelt(lane):
            pass
        """,
        "--strict-markers",
    )
    assert "sco_lane: mod=1 is neither an option nor a section" in done.stdout
    assert "sco_lane takes options by name, found (0,)" in done.stdout
    assert "unknown section [colour]" in done.stdout
    assert "display.mode = 7" in done.stdout


# --- whole payments -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("R5", "R8")
def test_a_payment_on_our_own_screen(lane: LaneBench, virtual_screen: BenchScreen) -> None:
    looked: list[str] = []

    def look(link: str) -> None:
        virtual_screen.assert_shows_code(link)
        virtual_screen.assert_offers("cancel")
        looked.append(link)

    lane.when_payable(look)
    lane.customer_pays()  # after the look, which it does not replace
    assert lane.pay(253_00).outcome is Outcome.PAID
    assert len(looked) == 1
    lane.assert_shown(WAIT, PAY, "Оплата прошла успешно")
    lane.assert_never_asked()
    virtual_screen.assert_shows_no_code()
    virtual_screen.assert_offers()


@pytest.mark.requirement("R14", "R15")
def test_the_dialog_is_tapped_on_the_panel(lane: LaneBench, paymaster_simulator: BenchPayMaster) -> None:
    lane.customer_pays_while_the_network_fails()
    lane.at_dialog("retry", "cancel")
    lane.after(45, paymaster_simulator.comes_online)
    result = lane.pay(100)
    assert result.outcome is Outcome.PAID
    assert [one.headline for one in lane.shown if one.view is View.DIALOG] == [DIALOG]


@pytest.mark.requirement("R14")
def test_an_unanswered_dialog_runs_to_the_invoices_end(lane: LaneBench, paymaster_simulator: BenchPayMaster) -> None:
    lane.customer_pays_while_the_network_fails()
    result = lane.pay(100)
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, EndReason.EXPIRED)
    lane.assert_case("expired_unconfirmed")
    paymaster_simulator.assert_not_cancelled()


@pytest.mark.requirement("R16", "R17")
def test_a_cancellation_at_the_panel(lane: LaneBench, paymaster_simulator: BenchPayMaster) -> None:
    lane.customer_cancels()
    assert lane.pay(100).outcome is Outcome.UNPAID
    paymaster_simulator.assert_cancelled_once()
    lane.assert_no_case()


@pytest.mark.sco_lane(timing={"invoice_life_s": 3600.0, "poll_timeout_s": 60.0})
@pytest.mark.requirement("R11")
def test_an_hour_passes_in_a_moment_and_to_the_second(lane: LaneBench, paymaster_simulator: BenchPayMaster) -> None:
    lane.customer_pays(after_s=1800)
    assert lane.pay(100).outcome is Outcome.PAID
    [payment] = paymaster_simulator.payments
    assert payment.history[-1][0] - payment.created == pytest.approx(1800, abs=3.0)
    assert 595 <= paymaster_simulator.bank.calls["get"] <= 605


def test_two_runs_are_the_same_to_the_request(tmp_path: Path) -> None:
    """No race: the same scenario makes the same requests and the same screens each time."""
    from sco_sim.testing.clock import BenchTime

    def once(folder: Path) -> tuple[object, ...]:
        folder.mkdir()
        clock = BenchTime()
        with (
            BenchScreen() as screen,
            BenchTouch(screen) as touch,
            BenchPayMaster(clock=clock.seconds) as paymaster,
            LaneBench(folder, paymaster, clock, screen=screen, touch=touch) as bench,
        ):
            bench.customer_pays_while_the_network_fails()
            bench.at_dialog("retry")
            bench.after(70, paymaster.comes_online)
            result = bench.pay(100)
            return result.outcome, bench.headlines, dict(paymaster.bank.calls)

    assert once(tmp_path / "a") == once(tmp_path / "b")


def test_money_that_comes_late_is_seen_when_time_passes(lane: LaneBench, paymaster_simulator: BenchPayMaster) -> None:
    lane.customer_pays_while_the_network_fails()
    lane.at_dialog("cancel")
    assert lane.pay(100, order="A1").outcome is Outcome.UNKNOWN
    paymaster_simulator.comes_online()
    lane.let_time_pass(120)
    [attempt] = lane.lane.journal.attempts(open_only=True)
    assert attempt.phase.value == "refundable"  # the cancellation, which has no answer, may still be processed
    lane.let_time_pass(3600)
    assert lane.lane.journal.attempts(open_only=True) == []
    lane.assert_case("cancel_unanswered")


@pytest.mark.sco_lane(mode=0)
def test_a_printer_that_is_unplugged_in_mid_ticket(
    lane: LaneBench, virtual_printer: BenchPrinter, paymaster_simulator: BenchPayMaster
) -> None:
    virtual_printer.unplug_after(60)
    assert lane.pay(100).outcome is not Outcome.PAID
    virtual_printer.assert_no_code_printed()
    paymaster_simulator.assert_paid(0)


@pytest.mark.sco_lane(mode=2, plate="dynamic")
def test_a_tag_that_is_taken_away_leaves_the_code_on_the_screen(
    lane: LaneBench, virtual_tag: BenchTag, virtual_screen: BenchScreen, paymaster_simulator: BenchPayMaster
) -> None:
    virtual_tag.tags.clear()
    lane.after(5, lambda: paymaster_simulator.phone.pay(virtual_screen.assert_shows_code()))
    assert lane.pay(100).outcome is Outcome.PAID


def test_a_screen_that_breaks_in_the_integrators_own_code_fails_the_test(lane: LaneBench) -> None:
    class Broken:
        def show(self, screen: ScreenState) -> None:
            raise ZeroDivisionError("in the shop's own screen")

        def close(self) -> None:
            pass

    lane.open(ui=Broken())
    with pytest.raises(ZeroDivisionError, match="the shop's own screen"):
        lane.pay(100)


def test_a_lane_that_is_restarted_finds_its_journal(lane: LaneBench) -> None:
    lane.customer_pays()
    assert lane.pay(100, order="A1").outcome is Outcome.PAID
    lane.restart()
    from sco_payment.order import PaymentRefused

    with pytest.raises(PaymentRefused, match="already paid"):
        lane.pay(100, order="A1")


def test_wrong_settings_are_reported_as_they_are(tmp_path: Path) -> None:
    from sco_sim.testing.clock import BenchTime

    clock = BenchTime()
    with BenchPayMaster(clock=clock.seconds) as paymaster:
        bench = LaneBench(tmp_path, paymaster, clock, sections={"display": {"mode": 0}})
        with pytest.raises(SettingsError, match=r"devices\.printer is missing"):
            bench.open()


# --- without a lane -------------------------------------------------------------------------------------------------


def test_without_a_lane_the_banks_time_is_the_walls(paymaster_simulator: BenchPayMaster) -> None:
    """For an integrator's own client: what is planned comes by itself."""
    import time
    import urllib.request

    paymaster_simulator.use("pays after=0.05")
    body = (
        b'{"merchantId": "simulator-merchant", "invoice": {"description": "x"}, '
        b'"amount": {"value": 1.0, "currency": "RUB"}, "paymentData": {"paymentMethod": "SBP"}}'
    )
    request = urllib.request.Request(f"{paymaster_simulator.base_url}/api/v2/payments", body)
    request.add_header("Authorization", f"Bearer {paymaster_simulator.token}")
    urllib.request.urlopen(request).close()
    end = time.monotonic() + 20
    while not paymaster_simulator.paid_kopecks and time.monotonic() < end:
        time.sleep(0.02)
    paymaster_simulator.assert_paid(100)


# --- what assertions say --------------------------------------------------------------------------------------------


def test_the_printers_assertions(virtual_printer: BenchPrinter) -> None:
    from sco_drivers import open_printer
    from sco_drivers.printer import Line, Ticket

    with pytest.raises(AssertionError, match="expected one readable code on the paper, found nothing"):
        virtual_printer.assert_printed_once()
    virtual_printer.assert_nothing_printed()
    with open_printer(virtual_printer.url) as printer:
        printer.print_ticket(Ticket("1", "https://a.example/1", above=(Line("Чек"),)))
        virtual_printer.assert_printed_once(qr="https://a.example/1", text="Чек")
        with pytest.raises(AssertionError, match=r"expected 'Сдача' on the ticket, found:\s+Чек"):
            virtual_printer.assert_printed_once(text="Сдача")
        with pytest.raises(
            AssertionError, match=r"expected the code 'other' on the paper, found 'https://a\.example/1'"
        ):
            virtual_printer.assert_printed_once(qr="other")
        with pytest.raises(AssertionError, match="expected no readable code on the paper"):
            virtual_printer.assert_no_code_printed()
        printer.print_ticket(Ticket("2", "https://a.example/2"))
    with pytest.raises(AssertionError, match=r"expected one readable code.*a\.example/1.*a\.example/2"):
        virtual_printer.assert_printed_once()
    with pytest.raises(AssertionError, match="expected an empty roll, found 2 tickets"):
        virtual_printer.assert_nothing_printed()


def test_half_a_code_is_not_a_code(virtual_printer: BenchPrinter) -> None:
    from sco_drivers import open_printer
    from sco_drivers.printer import Ticket

    virtual_printer.run_out_of_paper(after_mm=15)
    with open_printer(virtual_printer.url + "?done_s=1&write_s=1") as printer:
        printer.print_ticket(Ticket("1", "https://a.example/1"))
    virtual_printer.assert_no_code_printed()


def test_the_tags_and_the_banks_assertions(virtual_tag: BenchTag, paymaster_simulator: BenchPayMaster) -> None:
    virtual_tag.assert_carries_nothing()
    virtual_tag.put("https://a.example/1")
    virtual_tag.assert_carries("https://a.example/1")
    with pytest.raises(AssertionError, match=r"expected an empty tag, it carries 'https://a\.example/1'"):
        virtual_tag.assert_carries_nothing()
    paymaster_simulator.assert_nothing_created()
    with pytest.raises(AssertionError, match="expected one payment at the bank, found 0"):
        paymaster_simulator.assert_created_once()
    with pytest.raises(AssertionError, match="expected one cancellation at the bank, found 0"):
        paymaster_simulator.assert_cancelled_once()


def test_the_lanes_assertions(lane: LaneBench) -> None:
    lane.customer_pays()
    lane.pay(100)
    with pytest.raises(AssertionError, match="in this order"):
        lane.assert_shown(PAY, WAIT)
    with pytest.raises(AssertionError, match=r"expected one case 'late_money', found \[\]"):
        lane.assert_case("late_money")
    with pytest.raises(AssertionError, match="there is no button 'retry' on the screen to tap"):
        lane.tap("retry")
