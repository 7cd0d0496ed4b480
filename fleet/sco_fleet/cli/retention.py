"""`sco-fleet retention` and `sco-fleet erase`: drop what is old and final, and what a person asks to have erased."""

from __future__ import annotations

import click

from sco_fleet import erasure, partitions
from sco_fleet import retention as kept
from sco_fleet.cli.database import connected, database_option
from sco_fleet.cli.office import command_line_user
from sco_fleet.office.access import audit

_YEARS = click.IntRange(1, 1200)


@click.command()
@database_option
@click.option("--records-months", default=18, show_default=True, type=_YEARS, help="How long records are kept.")
@click.option(
    "--summaries-months",
    default=60,
    show_default=True,
    type=_YEARS,
    help="How long attempts, closed cases, decisions and seen alarms are kept.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be dropped.")
def retention(url: str, records_months: int, summaries_months: int, dry_run: bool) -> None:
    """Drop the months whose records are old and final, and make the partitions of the months to come.

    Run it every day, e.g. by the timer `sco-fleet-retention.timer`. A month stays while a payment in it is open or
    has an open case.
    """
    if summaries_months < records_months:
        raise click.UsageError("--summaries-months must not be less than --records-months")
    with connected(url) as db:
        before_ms = kept.months_before(records_months)
        for month in kept.old_months(db, before_ms):
            if month.kept_for:
                click.echo(f"{month.name} stays: {month.kept_for}")
            elif dry_run:
                click.echo(f"{month.name} would be dropped")
            else:
                try:
                    kept.drop(db, month)
                except ValueError as error:
                    click.echo(f"{error}: it stays until the next run", err=True)
                else:
                    click.echo(f"{month.name} dropped")
        if dry_run:
            return
        partitions.ensure(db, partitions.months_ahead())
        if strays := kept.drop_strays(db, before_ms):
            click.echo(f"{strays} old records outside the monthly partitions dropped")
        for table, count in kept.drop_summaries(db, kept.months_before(summaries_months)).items():
            if count:
                click.echo(f"{count} rows of {table} dropped")


@click.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.argument("order_no", metavar="ORDER")
@click.confirmation_option(prompt="Erase what the records of this order say? It cannot be undone.")
def erase(url: str, lane_id: str, order_no: str) -> None:
    """Erase what is stored of a closed order: its records' content, payment id, and its cases' texts and names.

    The lane's own journal is not changed: see `sco-pay journal archive` for that.
    """
    with connected(url) as db:
        try:
            with db.transaction():
                count = erasure.erase(db, lane_id, order_no)
                audit(db, command_line_user(), "", "erased", lane_id, f"{count} records")
        except ValueError as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"the content of {count} records was erased")
