"""The office's settings on the command line."""

from __future__ import annotations

import click

from sco_fleet.office.settings import OfficeSettings, OfficeSettingsError, load_office_settings


def _load(ctx: click.Context, param: click.Parameter, value: str | None) -> OfficeSettings:
    try:
        return load_office_settings(value)
    except OfficeSettingsError as error:
        raise click.BadParameter("\n  - ".join(["it cannot be used:", *error.problems])) from None


office_option = click.option(
    "--office",
    envvar="FLEET_OFFICE",
    type=click.Path(dir_okay=False),
    callback=_load,
    help="TOML file with the tables [office] and [paymaster]. Also from FLEET_OFFICE.",
)
