"""`sco-pay journal`: verify the lane's journal and its archives, and move closed years into an archive."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from sco_payment.cli.ends import fail
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import load_settings_or_exit, settings_option
from sco_payment.fleet.anchor import compare_with_fleet
from sco_payment.journal import Journal, JournalBusy, JournalError, WrongAnchor
from sco_payment.journal.archive import Cut, start_of
from sco_payment.journal.opening import open_journal, salvage_journal
from sco_payment.journal.salvage import describe_loss


@click.group()
def journal() -> None:
    """The lane's journal."""


@journal.command()
@click.argument("archive", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--settings", "settings_file", type=click.Path(dir_okay=False), help="Settings file of the lane.")
@click.option("--anchor", help="NUMBER:HASH printed by an earlier check; keep it where the lane cannot write.")
def verify(archive: Path | None, settings_file: str | None, anchor: str | None) -> None:
    """Check that no row of the journal, or of ARCHIVE, was changed, lost or cut off. Exit status 1 if one was.

    Someone who can write the file can also replace it by an old copy or write a new one: only an anchor detects that.
    The journal of a lane in a fleet is compared with what the fleet has of it, too.
    """
    if (archive is None) == (settings_file is None):
        fail("what is to be checked? --settings FILE for the lane's journal, or the path of an archive")
    settings = None if settings_file is None else load_settings_or_exit(settings_file, token=False)
    try:
        with Journal(archive or settings.journal.path, read_only=True) as opened:  # type: ignore[union-attr]
            problems = opened.verify(anchor)
            remarks: list[str] = []
            if settings is not None and settings.fleet.url:
                found, remarks = compare_with_fleet(settings, opened)
                problems += found
            count, head, (last_row, file) = opened.count(), opened.head(), opened.archived()
    except (JournalError, WrongAnchor) as error:
        fail(str(error))
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(ExitStatus.PROBLEM)
    click.echo(f"{count} rows, all in order")
    if file:
        click.echo(f"the chain begins after row {last_row}, the last one of {file}")
    for remark in remarks:
        click.echo(remark)
    if head:
        click.echo(f"anchor {head}")


@journal.command()
@settings_option
def new(settings_file: str) -> None:
    """Begin a journal where the earlier one was lost. Stop the lane first, and look for the lost file.

    A new journal knows none of the earlier payments: an order that was paid may be paid again, and open cases are not
    in it. Close what is open at PayMaster, and give the till order numbers that were not used before.
    """
    settings = load_settings_or_exit(settings_file, token=False)
    path = Path(settings.journal.path)
    if path.exists() and path.stat().st_size:
        fail(f"{path}: there is a journal; if it is damaged or an older copy, see `sco-pay journal salvage`")
    try:
        with open_journal(settings, new=True) as opened:
            click.echo(f"{opened.path}: a new journal; what was left of the earlier one has .lost- in its name now")
    except JournalError as error:
        fail(str(error))


@journal.command()
@settings_option
def salvage(settings_file: str) -> None:
    """Take what can be read of a damaged journal, or of an older copy, into a new one. Stop the lane first.

    The damaged file stays under another name: keep it. When the lane starts again it asks PayMaster about every payment
    that was open, before it takes one of the same order. What is lost becomes a case. Exit status 1 if something is.
    """
    settings = load_settings_or_exit(settings_file, token=False)
    try:
        aside, found, case = salvage_journal(settings, time.time_ns() // 1_000_000)
    except JournalBusy as error:
        fail(f"{error}: stop the lane first; nothing was changed")
    except JournalError as error:
        fail(str(error))
    click.echo(f"the damaged journal is {aside}: keep it")
    click.echo(f"{len(found.states)} payments and {len(found.cases)} cases are in {settings.journal.path}")
    if case is not None:
        click.echo(f"lost: {describe_loss(found)}: see `sco-pay cases {case}`")
        sys.exit(ExitStatus.PROBLEM)


@journal.command()
@settings_option
@click.option(
    "--before",
    "year",
    type=click.IntRange(1971),
    metavar="YEAR",
    help="Move what ended before YEAR began; by default before this year.",
)
@click.option(
    "--to",
    "to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The archive; by default next to the journal, e.g. journal.before-2026.db.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be moved; the lane may run meanwhile.")
def archive(settings_file: str, year: int | None, to: Path | None, dry_run: bool) -> None:  # fmt: skip
    """Move the attempts of closed years into a file of their own. Stop the lane first.

    Attempts that are open, have an open case or went on in YEAR stay in the journal. The lane still knows which orders
    are paid. Years end by this machine's time zone.
    """
    settings = load_settings_or_exit(settings_file, token=False)
    path = Path(settings.journal.path)
    this_year = datetime.now(UTC).astimezone().year
    year = year or this_year
    if year > this_year:
        fail(f"--before {year}: only years that are over are archived: at most {this_year}")
    file = to or path.with_name(f"{path.stem}.before-{year}{path.suffix}")
    try:
        if dry_run:
            with Journal(path, read_only=True) as opened:
                _print_cut(opened.find_cut(start_of(year)), year, file, path)
            return
        with open_journal(settings) as opened:
            cut = opened.find_cut(start_of(year))
            _print_cut(cut, year, file, path)
            if cut is not None:
                opened.move_to_archive(cut, file, at_ms=time.time_ns() // 1_000_000)
                click.echo(f"archived and verified: {file}")
                click.echo(f"anchor of the archive {cut.last_row}:{cut.last_hash}")
                click.echo(f"anchor of the journal {opened.head()}")
            _shrink(opened)
    except JournalBusy as error:
        fail(f"{error}: stop the lane first (only --dry-run works while it runs); nothing was moved")
    except JournalError as error:
        fail(str(error))


def _print_cut(cut: Cut | None, year: int, file: Path, path: Path) -> None:
    if cut is None:
        click.echo(f"nothing to archive: no attempt that ended before {year} is in {path}")
        return
    date = datetime.fromtimestamp(cut.last_at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    click.echo(f"to {file}: {cut.attempts} attempts, rows up to {cut.last_row} of {date}, {_mb(cut.archive_bytes)}")
    click.echo(
        f"older ones that stay: {cut.open_attempts} open, {cut.open_cases} with an open case, "
        f"{cut.continued} that went on later"
    )
    click.echo(f"{path} keeps {_mb(cut.journal_bytes)}")


def _mb(size_bytes: int) -> str:
    return f"about {size_bytes / 1e6:.1f} MB"


def _shrink(opened: Journal) -> None:
    try:
        opened.shrink()
    except JournalError as error:
        click.echo(f"sco-pay: the journal's file could not be made smaller: {error}", err=True)
        click.echo(
            "nothing is lost; make room and run the command again, or leave it: new rows use the space", err=True
        )
