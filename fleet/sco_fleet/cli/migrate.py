"""`sco-fleet migrate`: bring the database up to date."""

from __future__ import annotations

import click

from sco_fleet import database, partitions, projection
from sco_fleet.cli.database import connected, database_option, errors


@click.command()
@database_option
def migrate(url: str) -> None:
    """Bring the database schema up to date. Run it once before a new release is started; servers may run meanwhile."""
    with errors():
        applied = database.migrate(url)
    with connected(url) as db:
        partitions.ensure(db, partitions.months_ahead())
        waited = projection.catch_up_all(db)
    for name in applied:
        click.echo(f"applied {name}")
    if waited:
        click.echo(f"read the waiting records of {waited} journals")
    if not applied:
        click.echo("the database is up to date")
