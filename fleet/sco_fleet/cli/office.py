"""What the commands about the office share: its settings, and who uses them."""

from __future__ import annotations

import getpass

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


def command_line_user() -> str:
    """Who uses a command, for the audit."""
    try:
        return f"command line: {getpass.getuser()}"
    except (KeyError, OSError):  # a user of a service without a name
        return "command line"
