"""`sco-fleet units`: the units of the server for systemd."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path))
def units(folder: Path) -> None:
    """Write the systemd units of the server and its nightly work to FOLDER, e.g. /etc/systemd/system."""
    for unit in sorted(files("sco_fleet").joinpath("units").iterdir(), key=lambda one: one.name):
        place = folder / unit.name
        try:
            place.write_text(unit.read_text("utf-8"), "utf-8")
        except OSError as error:
            raise click.ClickException(f"{place}: {error.strerror}") from None
        click.echo(str(place))
