"""`sco-pay pay`: take one payment on the lane that a settings file describes."""

from __future__ import annotations

import contextlib
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from sco_drivers import DeviceError
from sco_drivers.registry import operators_console, traits
from sco_payment.assemble import open_lane
from sco_payment.cli.ends import NOTHING_SENT, UNKNOWN, JsonCommand, discard_output, fail, json_option, when_broken
from sco_payment.cli.exit_status import PAYMENT_HELP, ExitStatus
from sco_payment.cli.output import (
    AMOUNT,
    OUTCOME_STATUS,
    TENDERED,
    added_up,
    load_settings_or_exit,
    only_once,
    outcome_json,
    outcome_text,
)
from sco_payment.cli.remote import open_remote, pay_remotely
from sco_payment.cli.terminal import JsonLines, Lines, TerminalUI, draws
from sco_payment.cli.words import TERMINAL_WORDS
from sco_payment.journal import JournalBusy, JournalError, resolutions
from sco_payment.lane import Lane
from sco_payment.order import LaneError, Order, PaymentRefused, Result, check_order
from sco_payment.paymaster.token import TokenError
from sco_payment.settings import SERVICE_TOKEN_VARIABLE

if TYPE_CHECKING:
    from sco_payment.settings import Settings

_LOOK_S = 0.05


@click.command(cls=JsonCommand, epilog=PAYMENT_HELP)
@click.argument("amount", type=AMOUNT)
@click.option(
    "--settings",
    "settings_file",
    multiple=True,
    callback=only_once,
    type=click.Path(dir_okay=False),
    help="Settings file of the lane.",
)
@click.option("--service", "service_url", help="Address of the lane's service, instead of --settings.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False),
    help=f"File with the service's token; by default the token is in {SERVICE_TOKEN_VARIABLE}.",
)
@click.option("--ca-file", type=click.Path(dir_okay=False), help="Certificate authorities of an https service.")
@click.option("--id", "till_id", help="With --service: id of the payment; repeating an id does not begin a second one.")
@click.option(
    "--order",
    "order_no",
    required=True,
    multiple=True,
    callback=only_once,
    help="Number of the customer's receipt.",
)
@click.option(
    "--tendered-elsewhere",
    type=TENDERED,
    multiple=True,
    callback=added_up,
    help="Part of AMOUNT that is already paid by other means. Can be repeated; the parts add up.",
)
@click.option(
    "--tendered-by-sbp",
    type=TENDERED,
    multiple=True,
    callback=added_up,
    help="Part of AMOUNT that SBP legs have paid on this lane. Can be repeated; the parts add up.",
)
@click.option(
    "--leg",
    type=AMOUNT,
    multiple=True,
    callback=only_once,
    help="Part of AMOUNT to take now; without it, all that is not paid yet.",
)
@json_option
def pay(
    amount: int,
    settings_file: str | None,
    service_url: str | None,
    token_file: str | None,
    ca_file: str | None,
    till_id: str | None,
    order_no: str,
    tendered_elsewhere: int,
    tendered_by_sbp: int,
    leg: int | None,
    as_json: bool,
) -> None:
    """Take AMOUNT by SBP: the order's total in roubles, e.g. 253 or 2.53. Ctrl-C cancels the payment.

    The lane is opened by this command, with --settings, or a service (`sco-pay serve`) has it, with --service.
    """
    order = Order(order_no, amount, tendered_elsewhere, tendered_by_sbp, leg)
    if service_url is not None and settings_file is None:
        remote = open_remote(service_url, token_file, ca_file)
        sys.exit(pay_remotely(remote, till_id or secrets.token_hex(16), order, as_json=as_json))
    if settings_file is None or service_url is not None or token_file or ca_file or till_id:
        fail("give either --settings, or --service with --token-file, --ca-file and --id")
    settings = load_settings_or_exit(settings_file)
    try:
        check_order(order, settings)
    except PaymentRefused as error:
        fail(str(error))

    if not (as_json or settings.devices.touch) and (console := operators_console(settings.devices.screen)):
        fail(f"the lane's screen would take {console}, so that nothing could cancel; use SSH, or tty=none in its URL")
    lingers = not as_json and _someone_looks(settings)
    with contextlib.ExitStack() as after_the_lane, opened_lane(settings, as_json) as (lane, report):
        # To the process's end: the default effect of a signal would replace the outcome's exit status.
        interrupted = after_the_lane.enter_context(cancel_on_signals(lane, to_the_end=True))
        status = run_payment(lane, order, report, interrupted=interrupted)
        if lingers:
            _linger(settings, interrupted)
    sys.exit(status)


def _someone_looks(settings: Settings) -> bool:
    """Whether the lane has a screen, and one that is not simulated."""
    screen = settings.devices.screen
    return bool(screen) and not screen.startswith("none:") and not traits("screen", screen).simulated


def _linger(settings: Settings, interrupted: Callable[[], int]) -> None:
    """Keep the outcome on the lane's screen for `lane.result_s`, or until Ctrl-C."""
    until, came = time.monotonic() + settings.lane.result_s, interrupted()
    if settings.lane.result_s:
        words = TERMINAL_WORDS[settings.lane.language].lingering
        with contextlib.suppress(OSError):  # the terminal may be gone
            click.echo(words.format(seconds=settings.lane.result_s), err=True)
    while time.monotonic() < until and interrupted() == came:
        time.sleep(_LOOK_S)


@contextlib.contextmanager
def opened_lane(
    settings: Settings, as_json: bool, *, cancels: bool = True
) -> Iterator[tuple[Lane, Callable[[Result], None]]]:
    """A lane that prints its progress, and the function that prints an outcome. Exits if the lane cannot be opened.

    Args:
        settings: of the lane.
        as_json: print JSON lines.
        cancels: whether Ctrl-C will cancel the payment.
    """
    live = draws(sys.stderr) and not as_json
    json_lines = JsonLines(sys.stdout) if as_json else None
    language, keyboard = settings.lane.language, sys.stdin.isatty()
    terminal = TerminalUI(language=language, keyboard=keyboard, cancels=cancels) if live else None
    try:
        lane = open_lane(
            settings,
            also_show_on=() if terminal is None else (terminal,),
            observer=json_lines or terminal or Lines(sys.stderr),
        )
    except JournalBusy as error:
        way = f"; pay through it: --service {error.service}" if error.service else ""
        fail(f"{error}{way}", ExitStatus.JOURNAL_BUSY)
    except (JournalError, TokenError, ValueError) as error:
        fail(str(error))

    def report(result: Result) -> None:
        if json_lines is not None:
            json_lines.write("outcome", outcome_json(result))
        else:
            if terminal is not None:
                terminal.close()
            click.echo(outcome_text(result))

    with terminal or contextlib.nullcontext(), lane:
        printer = settings.devices.printer
        if terminal is not None and printer and traits("printer", printer).simulated:
            terminal.paper = partial(_simulated_paper, lane)
        decided = resolutions.pending(lane.journal.path)  # the lane records these before it does anything else
        waiting = [case.number for case in lane.journal.cases() if case.number not in decided]
        if waiting and json_lines is not None:
            with contextlib.suppress(OSError, ValueError):  # the caller may have closed stdout
                json_lines.write("open_cases", {"numbers": waiting})
        elif waiting:
            numbers = ", ".join(map(str, waiting))
            click.echo(f"the operator must decide: case {numbers}; see `sco-pay cases`", err=True)
        yield lane, report


def _simulated_paper(lane: Lane) -> tuple[str, str | None] | None:
    """Text and code of the last ticket of a simulated printer, for whoever tries display mode 0 without paper."""
    try:
        tickets = getattr(getattr(lane.printer, "simulator", None), "tickets", None)
    except DeviceError:
        return None
    return (tickets[-1].text, next((code.text for code in tickets[-1].codes), None)) if tickets else None


def run_payment(
    lane: Lane,
    order: Order,
    report: Callable[[Result], None],
    *,
    interrupted: Callable[[], int] | None = None,
) -> int:
    """Take a payment, report its outcome and return the exit status.

    Args:
        lane: open.
        order: what to pay.
        report: called with the result; if it raises OSError, the outcome counts as not taken.
        interrupted: what `cancel_on_signals` gave; without it, signals cancel the payment until this returns.
    """
    begun: list[bool] = []

    def begins() -> None:
        begun.append(True)
        when_broken(ExitStatus.UNKNOWN, UNKNOWN)

    with contextlib.ExitStack() as own:
        if interrupted is None:
            interrupted = own.enter_context(cancel_on_signals(lane))
        came = interrupted
        try:
            result = lane.pay(order, deliver=report, cancelled=lambda: bool(came()), begun=begins)
        except LaneError as error:  # the lane's gate: the order itself was checked before
            fail(str(error), ExitStatus.REFUSED)
        except JournalError as error:
            if not begun:
                fail(f"{error}; {NOTHING_SENT}")
            fail(
                f"{error}\nThe outcome is unknown; run `sco-pay recover` when the journal can be written again.",
                ExitStatus.UNKNOWN,
            )
        except OSError as error:  # of `report`: the reader of our output is gone, or the disk is full
            discard_output(sys.stdout)
            fail(f"the outcome could not be printed ({error.strerror}); see `sco-pay cases`", ExitStatus.UNKNOWN)
    assert result.outcome is not None
    when_broken(status := OUTCOME_STATUS[result.outcome], "")
    return status


@contextlib.contextmanager
def cancel_on_signals(lane: Lane, *, to_the_end: bool = False) -> Iterator[Callable[[], int]]:
    """Ctrl-C, SIGTERM and a closed terminal cancel the payment properly, which waits for the acquirer's answer.

    Yields how many of them have come, perhaps before the payment.

    Args:
        lane: that takes the payment.
        to_the_end: ignore them afterwards, until the process has ended.
    """
    came: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        lane.cancel()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield lambda: len(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if to_the_end else handler)
