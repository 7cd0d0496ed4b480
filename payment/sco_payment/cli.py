"""`sco-pay`: one payment, recovery, cases, settings, links, the demo and the PayMaster simulator.

Exit status: 0 paid; 3 unpaid (declined, cancelled, expired); 4 unknown, a case is open; 5 nothing could be presented;
2 wrong usage or settings. With `--json` stdout carries JSON lines only, the last one the outcome.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sco_payment import link as links
from sco_payment.machine import Outcome
from sco_payment.money import for_people, kopecks_from_text

if TYPE_CHECKING:
    from sco_payment.journal import Case, Record
    from sco_payment.lane import Lane, Order, Result
    from sco_payment.settings import Settings

EXIT_STATUS = {Outcome.PAID: 0, Outcome.UNPAID: 3, Outcome.UNKNOWN: 4, Outcome.NOT_PRESENTED: 5}
_WRONG_USAGE = 2
_UNKNOWN = EXIT_STATUS[Outcome.UNKNOWN]


def _fail(message: str, status: int = _WRONG_USAGE) -> NoReturn:
    click.echo(f"sco-pay: {message}", err=True)
    sys.exit(status)


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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; twice for every request.")
def main(verbose: int) -> None:
    """SBP payments through PayMaster on a self-checkout lane."""
    level = (logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def _load_settings(path: str) -> Settings:
    from sco_payment.settings import SettingsError, load

    try:
        return load(path)
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
        "why": result.why.value,
        "case": result.case,
        "order": result.order_no,
        "amount": f"{result.kopecks / 100:.2f}",
        "payment_id": result.payment_id,
        "attempt": result.key,
        "phase": result.phase.value,
    }


def outcome_words(result: Result) -> str:
    """The outcome in one sentence for people."""
    what = f"order {result.order_no}, {for_people(result.kopecks)}"
    match result.outcome:
        case Outcome.PAID:
            return f"paid: {what}"
        case Outcome.UNPAID:
            return f"unpaid: {what} ({result.why.value})"
        case Outcome.NOT_PRESENTED:
            return f"unpaid: {what}: nothing could be presented ({result.why.value})"
        case _:
            case = f"case {result.case}" if result.case is not None else "still open"
            return f"unknown: {what}: {case}; see `sco-pay cases` and `sco-pay recover`"


@contextlib.contextmanager
def _interruptible(lane: Lane) -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel the payment properly: the lane then waits for the bank's word."""

    def interrupt(number: int, frame: object) -> None:
        lane.cancel()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_payment(lane: Lane, order: Order, report: Callable[[Result], None]) -> int:
    """Pay, report the outcome, and return the exit status."""
    from sco_payment.journal import JournalError
    from sco_payment.lane import LaneError

    with _interruptible(lane):
        try:
            result = lane.pay(order, deliver=report)
        except LaneError as error:
            _fail(str(error))
        except JournalError as error:
            _fail(f"{error}\nThe outcome is unknown; run `sco-pay recover` when the journal can be written.", _UNKNOWN)
    assert result.outcome is not None
    return EXIT_STATUS[result.outcome]


@main.command()
@click.argument("amount", type=SUM)
@_settings_option
@click.option("--order", "order_no", required=True, help="Number of the customer's receipt.")
@click.option("--paid-otherwise", type=SUM, default=0, help="What legs before this one have paid of AMOUNT.")
@_json_option
def pay(amount: int, settings_file: str, order_no: str, paid_otherwise: int, as_json: bool) -> None:
    """Take AMOUNT roubles (e.g. 253 or 2.53), the order's total, by SBP. Ctrl-C cancels."""
    from sco_payment.lane import Order

    settings = _load_settings(settings_file)
    with _opened_lane(settings, as_json) as (lane, report):
        status = run_payment(lane, Order(order_no, amount, paid_otherwise), report)
        if settings.devices.screen:
            lane.linger()
    sys.exit(status)


@contextlib.contextmanager
def _opened_lane(settings: Settings, as_json: bool) -> Iterator[tuple[Lane, Callable[[Result], None]]]:
    """The lane with its live output, and what reports an outcome."""
    from sco_payment.assemble import open_lane
    from sco_payment.journal import JournalError
    from sco_payment.paymaster.token import TokenError
    from sco_payment.terminal import JsonLines, Lines, TerminalUI

    live = sys.stderr.isatty() and not as_json
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
        yield lane, report


def _quiet(name: str, data: object) -> None:
    """The observer when the terminal shows everything."""


@main.command()
@_settings_option
@click.option("--follow", is_flag=True, help="Go on until every attempt is final.")
@_json_option
def recover(settings_file: str, follow: bool, as_json: bool) -> None:
    """Finish or report every attempt that a stopped lane left open."""
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
    sys.exit(_UNKNOWN if any(result.outcome is Outcome.UNKNOWN for result in results) else 0)


@main.command()
@click.argument("number", type=int, required=False)
@_settings_option
@click.option("--all", "include_closed", is_flag=True, help="List closed cases too.")
@click.option("--close", "close_it", is_flag=True, help="Close case NUMBER.")
@click.option("--operator", default="", help="Who closes it.")
@click.option("--reason", default="", help="What was decided.")
@_json_option
def cases(
    number: int | None,
    settings_file: str,
    include_closed: bool,
    close_it: bool,
    operator: str,
    reason: str,
    as_json: bool,
) -> None:
    """List the cases that need a person; show the evidence of case NUMBER; close it."""
    from sco_payment.journal import Journal, JournalError
    from sco_payment.runtime import ThreadRuntime

    settings = _load_settings(settings_file)
    if close_it and number is None:
        _fail("name the case to close: sco-pay cases NUMBER --close --operator WHO --reason WHAT")
    try:
        with Journal(settings.journal.path, read_only=not close_it) as journal:
            if number is None:
                _print_cases(journal.cases(include_closed=include_closed), as_json)
            elif close_it:
                now = ThreadRuntime[None]().now()
                closed = journal.close_case(number, operator=operator, resolution=reason, at=now)
                _print_case(closed, journal.timeline(closed.attempt), as_json)
            else:
                case = journal.case(number)
                _print_case(case, journal.timeline(case.attempt), as_json)
    except (JournalError, ValueError) as error:
        _fail(str(error))


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _print_cases(found: list[Case], as_json: bool) -> None:
    if as_json:
        for case in found:
            click.echo(json.dumps(_plain(case), ensure_ascii=False))
        return
    if not found:
        click.echo("no case is open")
    for case in found:
        state = "open" if case.closed_at is None else f"closed by {case.operator}"
        click.echo(
            f"case {case.number}  {_when(case.opened_at)}  order {case.order_no}  {for_people(case.kopecks)}  "
            f"{case.reason}  payment {case.payment_id or '?'} is {case.phase}  {state}"
        )


def _print_case(case: Case, timeline: list[Record], as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({**_plain(case), "timeline": [_plain(record) for record in timeline]}, ensure_ascii=False)
        )
        return
    _print_cases([case], as_json=False)
    click.echo(f"  {case.detail}")
    for record in timeline:
        click.echo(f"  {_when(record.at)}  {_in_words(record)}")
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


@settings.command()
@click.argument("settings_file", type=click.Path(dir_okay=False))
def check(settings_file: str) -> None:
    """Check SETTINGS_FILE as a whole; every problem is named at once."""
    loaded = _load_settings(settings_file)
    from sco_payment.assemble import open_client
    from sco_payment.paymaster.token import TokenError

    try:
        open_client(loaded).close()
    except (TokenError, ValueError) as error:
        _fail(str(error))
    display = loaded.display
    words = ("printed on the receipt tape", "on the lane's screen", f"{display.plate} plate or tag")[display.mode]
    click.echo(f"{settings_file} is good: lane {loaded.lane.pos_id}, display mode {display.mode} ({words})")


@settings.command()
def reference() -> None:
    """Print every setting with its default and meaning, as Markdown."""
    from sco_payment.settings import reference as rows

    click.echo("| setting | default | meaning |\n|---|---|---|")
    for section, name, default, meaning in rows():
        click.echo(f"| `{section}.{name}` | `{default}` | {meaning} |")


@settings.command()
@click.option("--mode", type=click.IntRange(0, 2), default=1, help="Display mode.")
def example(mode: int) -> None:
    """Print a settings file to start from."""
    from importlib.resources import files

    text = files("sco_payment").joinpath("example.toml").read_text("utf-8")
    click.echo(text.replace("mode = 1", f"mode = {mode}"), nl=False)


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
def verify(settings_file: str) -> None:
    """Check that no row of the journal was changed, lost or cut off. Exit status 1 when one was."""
    from sco_payment.journal import Journal, JournalError

    settings = _load_settings(settings_file)
    try:
        with Journal(settings.journal.path, read_only=True) as opened:
            problems = opened.verify()
            count = opened.count()
    except JournalError as error:
        _fail(str(error))
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(1)
    click.echo(f"{count} rows, all in order")


@main.command()
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
@click.option("--paid-otherwise", type=SUM, default=0, help="What other legs have paid of it (mode 1).")
@click.option(
    "--speed", type=click.FloatRange(0.1, 200), default=10.0, show_default=True, help="Seconds of lane time a second."
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
        from sco_payment.demo import Demo
    except ImportError as error:
        _fail(f"the demo needs the simulator: pip install 'sco-paymaster[simulator]' ({error})")
    sys.exit(Demo(**options).run())


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True)
@click.option("--script", default="leaves", show_default=True, help="Scripted outcome; the phone page pays by hand.")
def simulate(host: str, port: int, script: str) -> None:
    """Run the PayMaster simulator with the customer's phone as a web page."""
    try:
        from sco_payment.paymaster.simulator import BadScript, serve
    except ImportError as error:
        _fail(f"the simulator is an extra: pip install 'sco-paymaster[simulator]' ({error})")
    try:
        serve(host=host, port=port, script=script)
    except (BadScript, OSError) as error:
        _fail(str(error))


if __name__ == "__main__":
    main()
