"""`sco-pay pay` by hand, on a real terminal: what is drawn, which keys act, and that the terminal is put back."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import run, settings_file
from tests.payment.terminal_kit import Terminal

ASK = "нет связи с процессингом"


def pay(
    tmp_path: Path, paymaster: PayMasterSimulator, *, columns: int = 80, rows: int = 24, **environment: str
) -> Terminal:
    """A payment by hand that asks often."""
    return Terminal.sco_pay(
        "pay", "253", "--order", "42", "--settings", settings_file(tmp_path, paymaster),
        columns=columns, rows=rows, SCO_PAYMASTER_TOKEN=paymaster.token, **environment,
    )  # fmt: skip


def phases(tmp_path: Path) -> list[m.Phase]:
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        return [state.phase for state in journal.attempts()]


def link(paymaster: PayMasterSimulator) -> str:
    (payment,) = paymaster.bank.payments.values()
    return payment.link


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_the_code_is_whole_with_its_words_and_the_keys(tmp_path: Path, columns: int, rows: int) -> None:
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, columns=columns, rows=rows) as terminal:
        terminal.wait_for("отсканируйте QR-код")
        terminal.wait_until(lambda: terminal.code() == link(paymaster))
        terminal.wait_for("253,00 ₽")
        terminal.wait_for("[Ctrl-C] Отменить оплату")
        assert len(terminal.screen) <= rows
        paymaster.phone.pay(link(paymaster))
        assert terminal.ends() == 0
        assert "█" not in "".join(terminal.screen), "a code that is paid must not stay"


@pytest.mark.parametrize(("columns", "rows"), [(80, 22), (60, 24)])
def test_a_link_whose_code_does_not_fit_can_be_copied(tmp_path: Path, columns: int, rows: int) -> None:
    """It is one line that the terminal wraps itself: such a line is copied as one."""
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, columns=columns, rows=rows) as terminal:
        terminal.wait_for("окно 71x23" if columns < 71 else "окно")
        (payment,) = paymaster.bank.payments.values()
        lines = terminal.screen
        first = next(number for number, line in enumerate(lines) if line.startswith("https://"))
        assert "".join(lines[first : first + 2]) == payment.link
        assert terminal.code() is None
        terminal.press("\x03")
        assert terminal.ends() == 3


def test_a_code_needs_a_terminal_that_has_blocks(tmp_path: Path) -> None:
    with (
        PayMasterSimulator() as paymaster,
        pay(tmp_path, paymaster, PYTHONIOENCODING="ascii", SCO_LANE_LANGUAGE="en") as terminal,
    ):
        terminal.wait_for("needs a terminal in UTF-8")
        assert link(paymaster) in "".join(terminal.screen)
        terminal.press("\x03")
        assert terminal.ends() == 3


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["c", "с", "О"])
def test_the_dialog_is_cancelled_by_a_key_alone(tmp_path: Path, key: str) -> None:
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, SCO_TIMING_POLL_TIMEOUT_S="5") as terminal:
        terminal.wait_for("отсканируйте")
        paymaster.go_offline()
        seen = terminal.wait_for(ASK)
        assert "[r/п] Повторить" in seen
        assert "[c/о] Отменить" in seen
        terminal.press(key)
        assert terminal.ends() == 4
        assert "case 1" in terminal.text


@pytest.mark.parametrize("key", ["R", "к", "п"])
def test_the_dialog_is_answered_with_retry_by_a_key_alone(tmp_path: Path, key: str) -> None:
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, SCO_TIMING_POLL_TIMEOUT_S="5") as terminal:
        terminal.wait_for("отсканируйте")
        paymaster.go_offline()
        terminal.wait_for(ASK)
        terminal.press(key)
        terminal.wait_until(lambda: ASK not in terminal.text)
        paymaster.phone.pay(link(paymaster))
        paymaster.go_online()
        assert terminal.ends() == 0


def test_an_unknown_key_says_which_there_are_and_nothing_is_echoed(tmp_path: Path) -> None:
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, SCO_TIMING_POLL_TIMEOUT_S="5") as terminal:
        terminal.wait_for("отсканируйте")
        terminal.press("r")
        terminal.wait_for("Клавиша «r» здесь не действует. Клавиши: [Ctrl-C] Отменить оплату")
        terminal.wait_until(lambda: terminal.code() == link(paymaster))  # the answer has not broken the drawing
        paymaster.go_offline()
        terminal.wait_for(ASK)
        terminal.press("ж")
        terminal.wait_for(
            "Клавиша «ж» здесь не действует. Клавиши: [r/п] Повторить; [c/о] Отменить; [Ctrl-C] Отменить оплату"
        )
        terminal.press("https://example.org/cancel")  # pasted by mistake
        terminal.wait_for("Клавиша «?» здесь не действует")
        assert paymaster.bank.cancels == 0
        terminal.press("\x03")
        assert terminal.ends() == 4


def test_a_lost_network_is_seen_at_once(tmp_path: Path) -> None:
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, SCO_TIMING_POLL_TIMEOUT_S="60") as terminal:
        terminal.wait_for("отсканируйте")
        paymaster.go_offline()
        began = time.monotonic()
        terminal.wait_for("Банк не отвечает (")
        assert time.monotonic() - began < 10, "long before the dialog"
        paymaster.go_online()
        terminal.wait_for("Банк: ещё не оплачено")
        terminal.press("\x03")
        assert terminal.ends() == 3


# --- the terminal is put back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_echo_is_off_while_it_draws_and_back_at_every_end(tmp_path: Path, number: signal.Signals | None) -> None:
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster) as terminal:
        assert terminal.echoes
        terminal.wait_for("отсканируйте")
        terminal.wait_until(lambda: not terminal.echoes)
        terminal.press("typed meanwhile, and not for the shell")
        if number is None:
            paymaster.phone.pay(link(paymaster))
        elif number is signal.SIGINT:
            terminal.press("\x03")
        else:
            terminal.process.send_signal(number)
        assert terminal.ends() == {None: 0, signal.SIGQUIT: -signal.SIGQUIT}.get(number, 3)
        assert terminal.echoes
        assert "typed" not in terminal.text


DRAWING = """
import os, sys, threading, time
from sco_payment.attempt import View
from sco_payment.cli.terminal import TerminalUI
from sco_payment.customer.ui import ScreenState

terminal = TerminalUI(language="en", keyboard=True)
def draw():
    terminal.show(ScreenState(View.PAY, "Pay, please", link="https://qr.nspk.ru/AD1"))
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.05)
"""


@pytest.mark.parametrize(
    "end",
    [
        "with terminal: draw(); raise RuntimeError('of ours')",
        "draw(); raise RuntimeError('of ours')",
        "draw(); sys.exit(1)",
        "t = threading.Thread(target=draw); t.start(); t.join(); sys.exit(1)",
    ],
)
def test_echo_is_back_after_an_exception(end: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with Terminal([sys.executable, "-c", DRAWING + end, str(seen)]) as terminal:
        terminal.wait_for("Pay, please")
        terminal.wait_until(lambda: not terminal.echoes)
        seen.touch()
        assert terminal.ends() == 1
        assert terminal.echoes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_echo_is_back_after_a_recovery_that_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    with PayMasterSimulator() as paymaster:
        with pay(tmp_path, paymaster) as terminal:
            terminal.wait_for("отсканируйте")
        file = str(tmp_path / "lane.toml")
        paymaster.go_offline()
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        with Terminal.sco_pay("recover", "--follow", "--settings", file, **token) as terminal:
            terminal.wait_until(lambda: not terminal.echoes)
            assert "Ctrl-C" not in terminal.text, "it would end the command, not the payment"
            terminal.process.send_signal(number)
            terminal.ends()
            assert terminal.echoes


# --- mode 0 by hand, and the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [24, 36])
def test_mode_0_by_hand_shows_the_simulated_paper(tmp_path: Path, rows: int) -> None:
    """A long ticket is cut, and never the code or the keys."""
    footer = "\n".join(f"строка {number}" for number in range(20))
    devices = {"SCO_DISPLAY_MODE": "0", "SCO_DEVICES_PRINTER": "sim://", "SCO_TICKET_FOOTER": footer}
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, rows=rows, **devices) as terminal:
        terminal.wait_for("Отсканируйте QR-код на чеке")
        terminal.wait_for("На ленте принтера: Магазин у дома")
        terminal.wait_for("[Ctrl-C] Отменить оплату")
        terminal.wait_until(lambda: terminal.code() == link(paymaster))
        terminal.press("\x03")
        assert terminal.ends() == 3


NO_PANEL = {"SCO_DEVICES_SCREEN": "fb:///dev/null", "SCO_LANE_RESULT_S": "60"}  # it ends as not presented


def test_no_silent_wait_follows_the_outcome(tmp_path: Path) -> None:
    """A lane's own screen shows it for a while: the terminal says so, and Ctrl-C ends it."""
    with PayMasterSimulator() as paymaster, pay(tmp_path, paymaster, **NO_PANEL) as terminal:
        terminal.wait_for("Экран кассы показывает итог ещё 60 с; Ctrl-C — завершить сейчас")
        terminal.press("\x03")
        assert terminal.ends() == 5


def test_json_never_lingers(tmp_path: Path) -> None:
    with PayMasterSimulator() as paymaster:
        began = time.monotonic()
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        file = settings_file(tmp_path, paymaster)
        done = run("pay", "253", "--order", "42", "--settings", file, "--json", **token, **NO_PANEL)
        assert (done.returncode, time.monotonic() - began < 50) == (5, True)
