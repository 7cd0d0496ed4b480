"""`sco-fleet settings`: the layers of all lanes' settings, what a lane gets of them, and the key that signs it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click
from psycopg import Connection

from sco_drivers.plain import one_line
from sco_fleet.cli.database import database_option
from sco_fleet.cli.roll_out import roll_out
from sco_fleet.cli.settings_options import opened, signed_by
from sco_fleet.settings import layers, plans, status
from sco_fleet.settings.layers import Snapshot
from sco_fleet.settings.merge import Layer, changes, shown
from sco_fleet.settings.signing import KeyRefused, make_key


class _LayerType(click.ParamType[Layer]):
    """`chain`, `shop:NAME`, `profile:NAME` or `lane:POSID`."""

    name = "layer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Layer:
        if isinstance(value, Layer):
            return value
        try:
            return Layer.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


layer_argument = click.argument("layer", type=_LayerType())


@click.group()
def settings() -> None:
    """Settings of all lanes, in layers of TOML over each other: chain, shop, lane profile, lane.

    A LAYER is written chain, shop:NAME, profile:NAME or lane:POSID. Nothing is overwritten: each change is a version.
    """


settings.add_command(roll_out)


@settings.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def keygen(file: Path) -> None:
    """Make the key that signs settings, in FILE. Prints its public half, for [fleet] settings_key of the lanes."""
    try:
        key = make_key(file)
    except KeyRefused as error:
        raise click.ClickException(str(error)) from None
    click.echo(f'settings_key = "{key.public}"')
    click.echo(f"{file} is secret: never put it into the database or on a lane. Keep a copy of it.", err=True)


@settings.command()
@database_option
@layer_argument
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--after", type=int, help="The version that you edited: a newer one is not overwritten.")
@signed_by
def put(url: str, layer: Layer, file: Any, after: int | None, by: str, comment: str) -> None:
    """Make FILE (TOML; - is stdin) the next version of LAYER. Lanes get it with the next roll-out."""
    try:
        toml = file.read()
    except UnicodeDecodeError:
        raise click.ClickException(f"{file.name} is not UTF-8 text") from None
    with opened(url) as db:
        click.echo(f"{layer} version {layers.put(db, layer, toml, by, comment, after)}")


@settings.command()
@database_option
@layer_argument
@click.option("--version", "number", type=int, help="An earlier version; the newest by default.")
def get(url: str, layer: Layer, number: int | None) -> None:
    """Print LAYER as it was written."""
    with opened(url) as db:
        found = layers.require(db, layer) if number is None else layers.version(db, layer, number)
    click.echo(found.toml, nl=not found.toml.endswith("\n"))


@settings.command()
@database_option
@click.argument("layer", type=_LayerType(), required=False)
def log(url: str, layer: Layer | None) -> None:
    """List the versions of LAYER, or of all layers, the newest first."""
    with opened(url) as db:
        for one in layers.versions(db, layer):
            when = f"{one.made_at:%Y-%m-%d %H:%M:%S%z}"
            click.echo(f"{one.layer}\t{one.number}\t{when}\t{one.made_by}\t{one_line(one.comment)}")


@settings.command()
@database_option
@layer_argument
@click.argument("number", metavar="VERSION", type=int)
@signed_by
def restore(url: str, layer: Layer, number: int, by: str, comment: str) -> None:
    """Make an earlier VERSION of LAYER the next version. Lanes go back to it with the next roll-out."""
    with opened(url) as db:
        click.echo(f"{layer} version {layers.restore(db, layer, number, by, comment)}")


@settings.command("go-back")
@database_option
@click.argument("version", type=int)
@signed_by
def go_back(url: str, version: int, by: str, comment: str) -> None:
    """Make all layers what they were in roll-out VERSION, as next versions. Lanes go back with the next roll-out."""
    with opened(url) as db:
        done = layers.go_back(db, status.layers_of(db, version), by, comment)
    for layer, number in done:
        click.echo(f"{layer} version {number}")
    if not done:
        click.echo(f"no layer has changed since roll-out {version}", err=True)


@settings.command()
@database_option
@click.argument("what", metavar="LAYER or lane POSID")
@click.option("--from", "before", type=int, help="Version of the layer; the last but one by default.")
@click.option("--to", "after", type=int, help="Version of the layer; the newest by default.")
def diff(url: str, what: str, before: int | None, after: int | None) -> None:
    """Print what changed in a layer; for a PosID, what the lane's next settings would change."""
    with opened(url) as db:
        try:
            layer = Layer.parse(what)
        except ValueError:
            _diff_lane(db, what)
        else:
            _diff_layer(db, layer, before, after)


def _diff_layer(db: Connection[Any], layer: Layer, before: int | None, after: int | None) -> None:
    to = layers.require(db, layer) if after is None else layers.version(db, layer, after)
    number = to.number - 1 if before is None else before
    old = layers.version(db, layer, number).toml if number else ""
    names = (f"{layer} version {number}", f"{layer} version {to.number}")
    for line in difflib.unified_diff(old.splitlines(), to.toml.splitlines(), *names, lineterm=""):
        click.echo(line)


def _diff_lane(db: Connection[Any], lane_id: str) -> None:
    settings_now = Snapshot(db).merged(layers.place(db, lane_id)).settings
    version, had = plans.last_applied(db, lane_id)
    for line in changes(had, settings_now):
        click.echo(line)
    click.echo(
        f"compared with version {version}"
        if version
        else "compared with nothing: this lane has no settings from the fleet yet",
        err=True,
    )


@settings.command()
@database_option
@click.argument("lane_id", metavar="POSID")
def show(url: str, lane_id: str) -> None:
    """Print a lane's settings as its layers give them, and the layer from which each value comes."""
    with opened(url) as db:
        snapshot, place = Snapshot(db), layers.place(db, lane_id)
        merged = snapshot.merged(place)
    numbers = snapshot.numbers_of(place)
    width = max((len(where) + len(shown(value)) for where, (value, _) in merged.values.items()), default=0)
    for where, (value, layer) in sorted(merged.values.items()):
        text = f"{where} = {shown(value)}"
        click.echo(f"{one_line(text):{min(width + 3, 72)}}  # {layer} version {numbers[str(layer)]}")
    if not merged.values:
        click.echo(f"no layer sets anything for lane {lane_id}: it runs with its own file", err=True)


@settings.command()
@database_option
@click.argument("lane_ids", metavar="[POSID]...", nargs=-1)
def check(url: str, lane_ids: tuple[str, ...]) -> None:
    """Check the settings of these lanes, or of all, except what only their machines know."""
    with opened(url) as db:
        count = plans.check_all(db, lane_ids)
    click.echo(f"lanes with valid settings: {count}")
