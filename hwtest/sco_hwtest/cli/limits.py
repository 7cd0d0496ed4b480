"""`sco-hwtest limits`: the limits of measurements."""

from __future__ import annotations

import click

from sco_hwtest.cli.exit_status import with_exit_statuses
from sco_hwtest.cli.outputs import limits_of
from sco_hwtest.limits_file import default_text


@click.command("limits")
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@with_exit_statuses("limits")
def limits_command(file: str | None) -> None:
    """Print the default limits file, which explains its form; with FILE, check it and show the limits in effect.

    Start your own with: sco-hwtest limits > limits.toml
    """
    if file is None:
        click.echo(default_text(), nl=False)
        return
    rows = [(f"{one.group} {one.measurement}", one.model or "all", one.words) for one in limits_of(file).effective]
    wide = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, model, words in rows:
        click.echo(f"{name:{wide[0]}}  {model:{wide[1]}}  {words}")
