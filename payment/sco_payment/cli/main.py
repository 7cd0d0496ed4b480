"""`sco-pay`: one payment, recovery, cases, settings, links, the demo and the PayMaster simulator.

Exit status: 0 paid; 3 unpaid (declined, cancelled, expired); 4 unknown, a case is open; 5 nothing could be presented;
6 refused, since the order is paid already or may still be paid; 2 wrong usage or settings. With `--json` stdout carries
JSON lines only, the last one the outcome.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from sco_payment import link as links
from sco_payment.attempt import Outcome
from sco_payment.customer.texts import speak_any_encoding
from sco_payment.money import format_amount, kopecks_from_text

if TYPE_CHECKING:
    from sco_payment.journal import Case, Record
    from sco_payment.journal.resolutions import Resolution
    from sco_payment.lane import Lane, Order, Result
    from sco_payment.settings import DeviceSettings, Settings

EXIT_STATUS = {Outcome.PAID: 0, Outcome.UNPAID: 3, Outcome.UNKNOWN: 4, Outcome.NOT_PRESENTED: 5}
_WRONG_USAGE = 2
_REFUSED = 6
_LANE_WRITES_S = 3.0
_UNKNOWN = EXIT_STATUS[Outcome.UNKNOWN]


def _fail(message: str, status: int = _WRONG_USAGE) -> NoReturn:
    try:
        click.echo(f"sco-pay: {message}", err=True)
    except OSError:  # the terminal is gone; the status still tells
        _write_no_more(sys.stderr)
    sys.exit(status)


def _write_no_more(stream: TextIO) -> None:
    """Python would try, and fail, once more at its end, and change the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Sum(click.ParamType[int]):
    name = "sum"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return kopecks_from_text(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


SUM = _Sum()
_settings_option = click.option(
    "--settings", "settings_file", required=True, type=click.Path(dir_okay=False), help="The lane's TOML file."
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON lines on stdout; the last one is the outcome."
)
_cases_as_json = click.option("--json", "as_json", is_flag=True, help="JSON: one object a case.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; twice for every request.")
def main(verbose: int) -> None:
    """SBP payments through PayMaster on a self-checkout lane."""
    speak_any_encoding()
    level = (logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def _load_settings(path: str, *, token: bool = True) -> Settings:
    """The settings at `path`, or the end with every mistake. Without `token` none is asked for: nothing is sent."""
    from sco_payment.settings_reader import SettingsError, load_settings

    try:
        return load_settings(path, token=token)
    except SettingsError as error:
        click.echo(f"sco-pay: {error.source} cannot be used:", err=True)
        for problem in error.problems:
            click.echo(f"  - {problem}", err=True)
        sys.exit(_WRONG_USAGE)


def outcome_line(result: Result) -> dict[str, Any]:
    """The last JSON line of a payment."""
    outcome = result.outcome or Outcome.UNKNOWN
    return {
        "outcome": "unpaid" if outcome is Outcome.NOT_PRESENTED else outcome.value,
        "presented": outcome is not Outcome.NOT_PRESENTED,
        "why": result.reason.value,
        "detail": result.detail,
        "case": result.case,
        "order": result.order_no,
        "amount": f"{result.kopecks / 100:.2f}",
        "payment_id": result.payment_id,
        "attempt": result.key,
        "phase": result.phase.value,
    }


def outcome_words(result: Result) -> str:
    """The outcome in one sentence for people."""
    what = f"order {result.order_no}, {format_amount(result.kopecks)}"
    match result.outcome:
        case Outcome.PAID:
            return f"paid: {what}"
        case Outcome.UNPAID:
            return f"unpaid: {what} ({result.reason.value})"
        case Outcome.NOT_PRESENTED:
            reason = f"{result.reason.value}: {result.detail}" if result.detail else result.reason.value
            return f"unpaid: {what}: nothing could be presented ({reason})"
        case _:
            case = f"case {result.case}" if result.case is not None else "still open"
            return f"unknown: {what}: {case}; see `sco-pay cases` and `sco-pay recover`"


@contextlib.contextmanager
def _interruptible(lane: Lane) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a terminal that is gone cancel the payment properly: the bank's word is waited for."""

    def interrupt(number: int, frame: object) -> None:
        lane.cancel()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_payment(
    lane: Lane, order: Order, report: Callable[[Result], None], refused: Callable[[str], None] | None = None
) -> int:
    """Pay, report the outcome, and return the exit status. `refused` is told why, where nothing was begun."""
    from sco_payment.journal import JournalError
    from sco_payment.lane import LaneError

    with _interruptible(lane):
        try:
            result = lane.pay(order, deliver=report)
        except LaneError as error:  # of the gate: the order itself was looked at before
            if refused is not None:
                refused(str(error))
            _fail(str(error), _REFUSED)
        except JournalError as error:
            _fail(f"{error}\nThe outcome is unknown; run `sco-pay recover` when the journal can be written.", _UNKNOWN)
        except OSError as error:  # of `report`: who should have heard the outcome does not listen, or the disk is full
            _write_no_more(sys.stdout)
            _fail(f"the outcome could not be told ({error.strerror}); see `sco-pay cases`", _UNKNOWN)
    assert result.outcome is not None
    return EXIT_STATUS[result.outcome]


@main.command()
@click.argument("amount", type=SUM)
@_settings_option
@click.option("--order", "order_no", required=True, help="Number of the customer's receipt.")
@click.option("--tendered-elsewhere", type=SUM, default=0, help="What legs before this one have paid of AMOUNT.")
@_json_option
def pay(amount: int, settings_file: str, order_no: str, tendered_elsewhere: int, as_json: bool) -> None:
    """Take AMOUNT, the order's total in roubles, 253 or 2.53, by SBP. Ctrl-C cancels.

    Exit status: 0 paid; 3 unpaid; 4 unknown, a case is open; 5 unpaid, nothing could be presented; 6 refused, nothing
    was sent: the order is paid already, or may still be paid; 2 wrong usage or settings.
    """
    from sco_payment.cli.terminal import JsonLines
    from sco_payment.lane import Order, PaymentRefused, check_order

    settings = _load_settings(settings_file)
    order = Order(order_no, amount, tendered_elsewhere)
    try:
        check_order(order, settings)
    except PaymentRefused as error:
        _fail(str(error))

    def refused(why: str) -> None:
        if as_json:
            JsonLines(sys.stdout)("outcome", {"outcome": "refused", "order": order_no, "detail": why})

    with contextlib.ExitStack() as behind_the_lane, _opened_lane(settings, as_json) as (lane, report):
        # Until it is closed: a signal's own effect would end the process with another status than the outcome's.
        behind_the_lane.enter_context(_interruptible(lane))
        status = run_payment(lane, order, report, refused)
        if settings.devices.screen:
            lane.linger()
    sys.exit(status)


@contextlib.contextmanager
def _opened_lane(settings: Settings, as_json: bool) -> Iterator[tuple[Lane, Callable[[Result], None]]]:
    """The lane with its live output, and what reports an outcome."""
    from sco_payment.assemble import open_lane
    from sco_payment.cli.terminal import JsonLines, Lines, TerminalUI, draws
    from sco_payment.events import isolated
    from sco_payment.journal import JournalError, resolutions
    from sco_payment.paymaster.token import TokenError

    live = draws(sys.stderr) and not as_json
    lines = JsonLines(sys.stdout) if as_json else Lines(sys.stderr)
    terminal = TerminalUI(keyboard=sys.stdin.isatty()) if live else None
    try:
        lane = open_lane(
            settings,
            also_show_on=() if terminal is None else (terminal,),
            observer=lines if terminal is None else _quiet,
        )
    except (JournalError, TokenError, ValueError) as error:
        _fail(str(error))

    def report(result: Result) -> None:
        if as_json:
            lines("outcome", outcome_line(result))
        else:
            if terminal is not None:
                terminal.close()
            click.echo(outcome_words(result))

    with lane:
        decided = resolutions.pending(lane.journal.path)  # which the lane writes down before it does anything else
        waiting = [case.number for case in lane.journal.cases() if case.number not in decided]
        if waiting and as_json:
            isolated(lines)("open_cases", {"numbers": waiting})
        elif waiting:
            numbers = ", ".join(map(str, waiting))
            click.echo(f"a person must decide: case {numbers}; see `sco-pay cases`", err=True)
        yield lane, report


def _quiet(name: str, data: object) -> None:
    """The observer when the terminal shows everything."""


@main.command()
@_settings_option
@click.option("--follow", is_flag=True, help="Go on until every attempt is final.")
@_json_option
def recover(settings_file: str, follow: bool, as_json: bool) -> None:
    """Finish or report every attempt that a stopped lane left open. Exit status 4 when one of them needs a person."""
    from sco_payment.journal import JournalError

    settings = _load_settings(settings_file)
    with _opened_lane(settings, as_json) as (lane, report):
        try:
            results = lane.recover(follow=follow)
        except JournalError as error:
            _fail(str(error))
        for result in results:
            report(result)
        if not results and not as_json:
            click.echo("nothing is open")
    # Paid is no reason to hand goods over here: the lane died at that, and whether it had done so a person must see.
    sys.exit(_UNKNOWN if any(result.outcome is Outcome.UNKNOWN or result.case for result in results) else 0)


@main.command(short_help="List, show and close the cases that need a person.")
@click.argument("number", type=int, required=False)
@_settings_option
@click.option("--all", "include_closed", is_flag=True, help="List closed cases too.")
@click.option("--check", "check_only", is_flag=True, help="For monitoring: exit status 1 while a case is open.")
@click.option("--close", "close_it", is_flag=True, help="Close case NUMBER.")
@click.option("--operator", default="", help="Who closes it.")
@click.option("--reason", default="", help="What was decided.")
@_cases_as_json
def cases(
    number: int | None,
    settings_file: str,
    include_closed: bool,
    check_only: bool,
    close_it: bool,
    operator: str,
    reason: str,
    as_json: bool,
) -> None:
    """List the cases that need a person; show the evidence of case NUMBER; close it."""
    from sco_payment.journal import Journal, JournalError, resolutions

    settings = _load_settings(settings_file, token=False)
    if check_only and (close_it or number is not None):
        _fail("--check looks at all open cases; it takes no number and closes nothing")
    if not close_it and (operator or reason):
        _fail("--operator and --reason go with --close, without which nothing is closed")
    if close_it and number is None:
        _fail("name the case to close: sco-pay cases NUMBER --close --operator WHO --reason WHAT")
    try:
        if number is not None and close_it:
            _close_case(settings.journal.path, number, operator, reason)
        with Journal(settings.journal.path, read_only=True) as journal:
            waiting = resolutions.pending(journal.path)
            if number is None:
                _print_cases(journal.cases(include_closed=include_closed), waiting, as_json)
                if check_only and journal.cases():
                    sys.exit(1)
            else:
                case = journal.case(number)
                _print_case(case, waiting, journal.timeline(case.attempt), as_json)
    except (JournalError, ValueError) as error:
        _fail(str(error))


def _close_case(path: str | Path, number: int, operator: str, reason: str) -> None:
    """In the journal, or by way of the lane that has it open: that one writes it down when no payment is under way."""
    from sco_payment.journal import Journal, JournalBusy, NoSuchCase, resolutions

    at = time.time_ns() // 1_000_000
    try:
        with Journal(path) as journal:
            resolutions.apply_pending(journal)
            journal.close_case(number, operator=operator, resolution=reason, at=at)
            return
    except JournalBusy:
        pass
    with Journal(path, read_only=True) as journal:
        case = journal.case(number)
        if case.closed_at is not None:
            raise NoSuchCase(f"case {number} is closed already")
        resolutions.submit(journal.path, resolutions.Resolution(number, operator, reason, at, case.phase))
        until = time.monotonic() + _LANE_WRITES_S
        while journal.case(number).closed_at is None:
            if time.monotonic() > until:
                click.echo("the lane is at work and closes the case as soon as it is idle", err=True)
                return
            time.sleep(0.1)


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _print_cases(found: list[Case], waiting: Mapping[int, Resolution], as_json: bool) -> None:
    if as_json:
        for case in found:
            _echo_json(_case_data(case, waiting))
        return
    if not found:
        click.echo("no case is open")
    for case in found:
        state = "open" if case.closed_at is None else f"closed by {case.operator}"
        if case.closed_at is None and case.number in waiting:
            state += f"; closed by {waiting[case.number].operator}, which the lane has not written down yet"
        click.echo(
            f"case {case.number}  {_when(case.opened_at)}  order {case.order_no}  {format_amount(case.kopecks)}  "
            f"{case.reason}  payment {case.payment_id or '?'} is {case.phase}  {state}"
        )


def _print_case(case: Case, waiting: Mapping[int, Resolution], timeline: list[Record], as_json: bool) -> None:
    if as_json:
        _echo_json({**_case_data(case, waiting), "timeline": [_plain(record) for record in timeline]})
        return
    _print_cases([case], waiting, as_json=False)
    click.echo(f"  {case.detail}")
    began = timeline[0].at if timeline else 0
    for record in timeline:
        click.echo(f"  {_when(record.at)}  {(record.at - began) / 1000:+9.1f} s  {_in_words(record)}")
    if case.closed_at is not None:
        click.echo(f"  {_when(case.closed_at)}  closed by {case.operator}: {case.resolution}")


def _in_words(record: Record) -> str:
    body = record.body
    match record.kind:
        case "begin":
            return "the attempt begins"
        case "step":
            effects = ", ".join(effect["name"] for effect in body["effects"])
            return f"{body['event']['name']} -> {body['state']['phase']}" + (f" [{effects}]" if effects else "")
        case "note":
            return str(body["text"])
        case _:
            return f"{record.kind}: {body.get('detail') or body.get('resolution') or ''}"


def _case_data(case: Case, waiting: Mapping[int, Resolution]) -> dict[str, Any]:
    """A case for software; `decided_by` names who has closed it where the lane has not written that down yet."""
    decision = waiting.get(case.number) if case.closed_at is None else None
    return {**_plain(case), "decided_by": None if decision is None else decision.operator}


def _echo_json(data: Mapping[str, Any]) -> None:
    click.echo(json.dumps(data, ensure_ascii=False).encode())  # JSON is UTF-8, whatever the terminal speaks


def _plain(thing: object) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(thing)
    return plain


@main.command()
@click.argument("order_no", required=False, default="")
def refund(order_no: str) -> None:
    """A self-checkout makes no refunds; says where they are made."""
    from sco_payment.lane import REFUNDS_ELSEWHERE

    _fail(REFUNDS_ELSEWHERE)


@main.group()
def settings() -> None:
    """The lane's settings."""


def _not_here(settings: Settings) -> list[str]:
    """What the settings need of this machine, and it has not."""
    from sco_payment.acquirer import open_acquirer
    from sco_payment.journal import location
    from sco_payment.runtime import ThreadRuntime

    problems = []
    try:
        open_acquirer(settings, ThreadRuntime()).close()
    except ValueError as error:
        problems.append(str(error))
    return problems + [f"journal.path: {problem}" for problem in location.problems(Path(settings.journal.path))]


def _devices_that_fail(devices: DeviceSettings) -> list[str]:
    """What each device says when it is opened and closed; empty when all can be opened."""
    from sco_drivers import DeviceError, open_nfc, open_printer, open_screen, open_touch

    problems = []
    for name, opener in (("printer", open_printer), ("nfc", open_nfc), ("screen", open_screen), ("touch", open_touch)):
        url = getattr(devices, name)
        try:
            if url:
                opener(url).close()
        except DeviceError as error:
            problems.append(f"devices.{name}: {error}")
    return problems


@settings.command()
@click.argument("settings_file", type=click.Path(dir_okay=False))
@click.option("--devices", is_flag=True, help="Open each device too, and close it: not while the lane runs.")
def check(settings_file: str, devices: bool) -> None:
    """Check SETTINGS_FILE as a whole; every problem is named at once. Asks nothing of PayMaster."""
    from sco_payment.journal import location

    loaded = _load_settings(settings_file)
    problems = _not_here(loaded) + (_devices_that_fail(loaded.devices) if devices else [])
    if problems:
        _fail("\n  - ".join([f"{settings_file} is good, but not for this machine:", *problems]))
    display = loaded.display
    words = ("printed on the receipt tape", "on the lane's screen", f"{display.plate} plate or tag")[display.mode]
    click.echo(f"{settings_file} is good: lane {loaded.lane.pos_id}, display mode {display.mode} ({words})")
    doubt = location.doubt(Path(loaded.journal.path))
    if doubt is not None:
        click.echo(f"note: journal.path: {doubt}", err=True)


@settings.command()
def reference() -> None:
    """Print every setting with its default and meaning, as Markdown."""
    from sco_payment.settings_reader import reference as rows

    click.echo("| setting | default | meaning |\n|---|---|---|")
    for section, name, default, meaning in rows():
        click.echo(f"| `{section}.{name}` | `{default}` | {meaning} |")


@settings.command()
@click.option("--mode", type=click.IntRange(0, 2), default=1, show_default=True, help="Display mode.")
@click.option("--simulated", is_flag=True, help="For `sco-pay simulate` and simulated devices: it pays as it is.")
def example(mode: int, simulated: bool) -> None:
    """Print a settings file to start from."""
    from importlib.resources import files

    name = "example_simulated.toml" if simulated else "example.toml"
    text = files("sco_payment").joinpath(name).read_text("utf-8")
    text = text.replace("mode = 1", f"mode = {mode}")
    click.echo(text if sys.stdout.isatty() else text.encode(), nl=False)  # a file of settings is UTF-8


@main.group()
def link() -> None:
    """SBP payment links."""


@link.command("check")
@click.argument("url")
@click.option("--amount", type=SUM, help="The sum that the link must ask for.")
def check_link(url: str, amount: int | None) -> None:
    """Verify URL. Exit status: 0 verified, 1 refused, 3 presentable but unverifiable."""
    judgement = links.judge(url, kopecks=amount)
    click.echo(f"{judgement.verdict.value}: {judgement.reason}")
    sys.exit({links.Verdict.VERIFIED: 0, links.Verdict.REFUSED: 1, links.Verdict.UNVERIFIABLE: 3}[judgement.verdict])


@main.group()
def journal() -> None:
    """The lane's journal."""


@journal.command()
@_settings_option
@click.option("--anchor", help="NUMBER:HASH that an earlier check printed; write it down where the lane cannot.")
def verify(settings_file: str, anchor: str | None) -> None:
    """Check that no row of the journal was changed, lost or cut off. Exit status 1 when one was.

    Who can write the file can also put back an old copy of it, or write it anew: only an anchor betrays that.
    """
    from sco_payment.journal import Journal, JournalError, WrongAnchor

    settings = _load_settings(settings_file, token=False)
    try:
        with Journal(settings.journal.path, read_only=True) as opened:
            problems = opened.verify(anchor)
            count, head = opened.count(), opened.head()
    except (JournalError, WrongAnchor) as error:
        _fail(str(error))
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(1)
    click.echo(f"{count} rows, all in order")
    if head:
        click.echo(f"anchor {head}")


@main.command(short_help="One whole payment, all of it simulated.")
@click.option("--mode", type=click.IntRange(0, 2), default=1, show_default=True, help="Display mode.")
@click.option(
    "--plate", type=click.Choice(["static", "dynamic"]), default="static", show_default=True, help="Mode 2 only."
)
@click.option(
    "--customer",
    type=click.Choice(["pays", "declines", "leaves", "pays-offline", "pays-late"]),
    default="pays",
    show_default=True,
    help="What the scripted customer does.",
)
@click.option(
    "--dialog",
    type=click.Choice(["retry", "cancel"]),
    default="retry",
    show_default=True,
    help="The customer's answer.",
)
@click.option("--amount", type=SUM, default="253.00", show_default=True, help="The order's total in roubles.")
@click.option("--tendered-elsewhere", type=SUM, default=0, help="What other legs have paid of it (mode 1).")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 200),
    default=10.0,
    show_default=True,
    help="How much faster than on a lane the minutes pass.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Pictures and journal.",
)
@_json_option
def demo(**options: Any) -> None:
    """One whole payment on an embedded PayMaster and simulated devices."""
    try:
        from sco_payment.lane import PaymentRefused
        from sco_sim.demo import Demo
    except ImportError as error:
        _fail(f"the demo needs the simulator: pip install 'sco-paymaster[simulator]' ({error})")
    try:
        status = Demo(**options).run()
    except PaymentRefused as refused:
        _fail(str(refused))
    except OSError as error:
        _fail(f"the demo cannot be run: {error.strerror}: {error.filename or options['out']}")
    sys.exit(status)


@main.command(short_help="A simulated PayMaster and the customer's phone.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8480,
    show_default=True,
    envvar="SCO_SIMULATOR_PORT",
    help="Of the API; the phone has the next one. 0: free ones.",
)
@click.option("--script", default="leaves", show_default=True, help="Scripted outcome; the phone page pays by hand.")
def simulate(host: str, port: int, script: str) -> None:
    """Run the PayMaster simulator with the customer's phone as a web page."""
    try:
        from sco_sim.paymaster import BadScript, serve
    except ImportError as error:
        _fail(f"the simulator is an extra: pip install 'sco-paymaster[simulator]' ({error})")
    try:
        serve(host=host, port=port, script=script)
    except BadScript as error:
        _fail(str(error))
    except OSError as error:
        _fail(
            f"cannot listen on {host}, ports {port} and {port + 1}: {error.strerror}; --host and --port choose others"
        )


if __name__ == "__main__":
    main()
