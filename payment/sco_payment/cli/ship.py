"""`sco-pay ship`: send the journal of a lane without a service to its fleet."""

from __future__ import annotations

from pathlib import Path

import click

from sco_payment.cli.output import fail, load_settings_or_exit, settings_option
from sco_payment.fleet.client import Client, FleetError
from sco_payment.fleet.shipper import Refused, Shipper
from sco_payment.journal import JournalError


@click.command()
@settings_option
@click.option("--once", is_flag=True, help="Send what there is, and end.")
def ship(settings_file: str, once: bool) -> None:
    """Send the lane's journal to its fleet. A lane that runs as a service does that by itself."""
    settings = load_settings_or_exit(settings_file, token=False)
    if not settings.fleet.url:
        fail("fleet.url is missing in the settings: this lane has no fleet")
    try:
        client = Client(settings.fleet)
        shipper = Shipper(client, Path(settings.journal.path), settings.fleet.batch_rows)
        while shipper.ship_batch():
            pass
    except (ValueError, FleetError, Refused, JournalError) as error:
        fail(str(error))
    head = shipper.acknowledged
    click.echo(f"the fleet has all rows up to {head.seq if head else 0}")
