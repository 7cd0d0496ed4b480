"""`sco-pay cases`: list, show and close the cases that need the operator's decision."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from sco_drivers.plain import one_line
from sco_payment.cli.ends import fail, print_json
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import load_settings_or_exit, settings_option
from sco_payment.cli.story import STORY_WORDS, heading, story
from sco_payment.journal import Case, Journal, JournalBusy, JournalError, NoSuchCase, Record, codec, resolutions
from sco_payment.journal.codec import case_data, record_data
from sco_payment.journal.describe import describe
from sco_payment.journal.opening import open_journal
from sco_payment.journal.resolutions import Resolution
from sco_payment.money import format_amount
from sco_payment.settings import Settings

_LANE_WRITES_S = 3.0


@click.command()
@click.argument("number", type=int, required=False)
@settings_option
@click.option("--all", "include_closed", is_flag=True, help="List closed cases too.")
@click.option("--check", "check_only", is_flag=True, help="For monitoring: exit status 1 while a case is open.")
@click.option("--close", "close_it", is_flag=True, help="Close case NUMBER.")
@click.option("--operator", default="", help="Who closes the case.")
@click.option("--reason", default="", help="What was decided.")
@click.option(
    "--phase",
    "seen",
    type=click.Choice(sorted(codec.PHASES.values())),
    metavar="PHASE",
    help="Where the payment was when it was decided, as the list shows it: close nothing if there is news since.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a case.")
@click.option("-v", "--verbose", is_flag=True, help="With NUMBER: print every record, with the journal's names.")
def cases(
    number: int | None,
    settings_file: str,
    include_closed: bool,
    check_only: bool,
    close_it: bool,
    operator: str,
    reason: str,
    seen: str | None,
    as_json: bool,
    verbose: bool,
) -> None:
    """List the open cases, tell the story of case NUMBER in the lane's language, or close it.

    A case is money that the operator must decide about: a payment with an unknown outcome, or one paid too late.
    """
    settings = load_settings_or_exit(settings_file, token=False)
    if check_only and (close_it or number is not None):
        fail("--check looks at all open cases: give neither a number nor --close")
    if not close_it and (operator or reason or seen):
        fail("--operator, --reason and --phase go with --close; no case was closed")
    if close_it and number is None:
        fail("which case? sco-pay cases NUMBER --close --operator WHO --reason WHAT")
    try:
        if number is not None and close_it:
            _close_case(settings, number, operator, reason, seen)
        with Journal(settings.journal.path, read_only=True) as journal:
            waiting = resolutions.pending(journal.path)
            if number is None:
                _print_cases(journal.cases(include_closed=include_closed), waiting, as_json)
                if check_only and journal.cases():
                    sys.exit(ExitStatus.PROBLEM)
            else:
                case = journal.case(number)
                timeline = journal.timeline(case.attempt)
                _print_case(case, waiting, timeline, as_json, settings.lane.language, verbose)
    except (JournalError, ValueError) as error:
        fail(str(error))


def _close_case(settings: Settings, number: int, operator: str, reason: str, seen: str | None) -> None:
    """Close the case in the journal; while a lane has the journal open, let the lane do it when it is idle."""
    path, at_ms = settings.journal.path, time.time_ns() // 1_000_000
    try:
        with open_journal(settings) as journal:
            resolutions.apply_pending(journal)
            _refuse_if_news(journal.case(number), seen)
            journal.close_case(number, operator=operator, resolution=reason, at_ms=at_ms)
            return
    except JournalBusy:
        pass
    with Journal(path, read_only=True) as journal:
        case = journal.case(number)
        if case.closed_at_ms is not None:
            raise NoSuchCase(f"case {number} is already closed")
        _refuse_if_news(case, seen)
        seen = seen or case.phase
        resolutions.submit(journal.path, Resolution(number, operator, reason, at_ms, seen, case.attempt))
        until = time.monotonic() + _LANE_WRITES_S
        while True:
            waits = number in resolutions.pending(journal.path)
            case = journal.case(number)  # after the decisions that wait: one that was recorded meanwhile is in the case
            if case.closed_at_ms is not None:
                return
            if not waits:
                _refuse_if_news(case, seen)
                fail(f"case {number} stays open; the lane's log says why")
            if time.monotonic() > until:
                click.echo("the lane is busy; it closes the case as soon as it is idle", err=True)
                return
            time.sleep(0.1)


def _refuse_if_news(case: Case, seen: str | None) -> None:
    if case.closed_at_ms is None and resolutions.overtaken(seen or case.phase, case.phase):
        fail(
            f"case {case.number} stays open: its payment was {seen} when this was decided, and is {case.phase} now; "
            f"see sco-pay cases {case.number}"
        )


def _print_cases(found: list[Case], waiting: Mapping[int, Resolution], as_json: bool) -> None:
    if as_json:
        for case in found:
            print_json(_case_json(case, waiting))
        return
    if not found:
        click.echo("no case is open")
    for case in found:
        state = "open" if case.closed_at_ms is None else f"closed by {case.operator}"
        if case.closed_at_ms is None and case.number in waiting:
            state += f"; closed by {waiting[case.number].operator}, not yet recorded by the lane"
        _print(
            f"case {case.number}  {_date(case.opened_at_ms)}  order {case.order_no}  "
            f"{format_amount(case.amount_kopecks)}  {case.reason}  "
            f"payment {case.payment_id or '?'} is {case.phase}  {state}"
        )


def _print_case(
    case: Case,
    waiting: Mapping[int, Resolution],
    timeline: list[Record],
    as_json: bool,
    language: str,
    verbose: bool,
) -> None:
    if as_json:
        print_json({**_case_json(case, waiting), "timeline": [record_data(record) for record in timeline]})
        return
    words = STORY_WORDS[language]
    decided_by = waiting[case.number].operator if case.number in waiting else None
    for line in heading(case, decided_by, _date(case.opened_at_ms), language):
        _print(line)
    if verbose:
        _print(f"{case.reason}: {case.detail}; attempt {case.attempt}")
    click.echo(words.story)
    began = timeline[0].at_ms if timeline else 0
    lines = ((record, describe(record)) for record in timeline) if verbose else story(timeline, language)
    for record, text in lines:
        passed = f"{(record.at_ms - began) / 1000:+9.1f}"
        _print(f"  {_date(record.at_ms)}  {passed} {words.seconds}  {text}")
    if not verbose:
        click.echo(words.more)


def _print(line: str) -> None:
    """A line that quotes what the acquirer, a device or an operator has written."""
    click.echo(one_line(line))


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _case_json(case: Case, waiting: Mapping[int, Resolution]) -> dict[str, Any]:
    """A case as JSON; `decided_by` is who has closed a case that the lane has not recorded as closed yet."""
    decision = waiting.get(case.number) if case.closed_at_ms is None else None
    return {**case_data(case), "decided_by": None if decision is None else decision.operator}
