"""`sco-fleet settings roll-out`: begin, watch and steer a roll-out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from sco_drivers.plain import one_line
from sco_fleet.cli.database import database_option
from sco_fleet.cli.settings_options import by_option, opened, signed_by
from sco_fleet.settings import plans, rollouts, status
from sco_fleet.settings.plans import Plan
from sco_fleet.settings.rollouts import STAGES
from sco_fleet.settings.signing import load_key

_MOST_SHOWN = 50
version_argument = click.argument("version", type=int)
reason_option = click.option("--reason", default="", help="Why; recorded with the roll-out.")


@click.group("roll-out")
def roll_out() -> None:
    """Give lanes the settings of their layers: to one lane, then to its shop, then to all.

    The server carries it out, and stops it when lanes refuse.
    """


@roll_out.command()
@database_option
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), help="Key file made by `settings keygen`.")
@click.option("--lane", "lanes", multiple=True, help="Only to these lanes; can be repeated.")
@click.option("--shop", "shops", multiple=True, help="Only to these shops; can be repeated.")
@click.option("--profile", "profiles", multiple=True, help="Only to lanes of these profiles; can be repeated.")
@click.option("--first-lane", help="The first lane, whose shop comes next; by default the one that was seen last.")
@click.option(
    "--stop-after",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Number of refusals that stop the roll-out.",
)
@click.option("--wait", "wait_s", default=3600.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS",
              help="How long a stage waits for lanes that do not answer.")  # fmt: skip
@click.option("--soak", "soak_s", default=300.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS",
              help="How long one lane, and then one shop, run with them before the next lanes get them.")  # fmt: skip
@click.option(
    "--version",
    type=click.IntRange(1, 2**31 - 1),
    help="Version to use where the database is an older copy: a higher one than any lane has.",
)
@click.option("--dry-run", is_flag=True, help="Print what lanes would get; change nothing.")
@signed_by
def start(
    url: str,
    key: Path | None,
    lanes: tuple[str, ...],
    shops: tuple[str, ...],
    profiles: tuple[str, ...],
    first_lane: str | None,
    stop_after: int,
    wait_s: float,
    soak_s: float,
    version: int | None,
    dry_run: bool,
    by: str,
    comment: str,
) -> None:  # fmt: skip
    """Check and sign the settings of all lanes whose settings would change, and begin to roll them out."""
    if key is None and not dry_run:
        raise click.UsageError("--key: which file of `sco-fleet settings keygen` signs them?")
    with opened(url) as db:
        signing = None if key is None or dry_run else load_key(key)
        planned = plans.plan(db, lanes=lanes, shops=shops, profiles=profiles, first_lane=first_lane, version=version)
        if signing is not None:
            plans.start(
                db, planned, signing, by=by, comment=comment, stop_after=stop_after, wait_s=wait_s, soak_s=soak_s
            )
    _print_plan(planned)


def _print_plan(planned: Plan) -> None:
    counts = Counter(change.stage for change in planned.changes)
    click.echo(f"roll-out {planned.version}: lanes to change: {len(planned.changes)} ", nl=False)
    click.echo(f"(unchanged: {planned.unchanged})")
    for stage, name in STAGES.items():
        named = [change.place for change in planned.changes if change.stage == stage][:1]
        where = f" ({named[0].lane_id}, shop {named[0].shop})" if named and stage == 1 else ""
        click.echo(f"  stage {stage}, {name}: {counts[stage]}{where}")


@roll_out.command("list")
@database_option
def list_roll_outs(url: str) -> None:
    """List the latest roll-outs."""
    with opened(url) as db:
        for one in status.rollouts(db):
            click.echo(
                f"{one.version}\t{one.made_at:%Y-%m-%d %H:%M:%S%z}\t{one.made_by}\t{one.state}\t"
                f"{one.applied} applied, {one.refused} refused, {one.pulled + one.waiting} open\t"
                f"{one_line(one.comment)}"
            )


@roll_out.command("status")
@database_option
@click.argument("version", type=int, required=False)
@click.option("--all", "every", is_flag=True, help=f"List every lane that has not applied it, not only {_MOST_SHOWN}.")
def show_status(url: str, version: int | None, every: bool) -> None:
    """Print the state of roll-out VERSION, or of the newest, with lanes that refused it or have not answered."""
    with opened(url) as db:
        one = status.rollout(db, version)
        lanes = status.answers(db, one.version, "refused", "pulled", "waiting", most=None if every else _MOST_SHOWN)
        events = status.events(db, one.version)
    click.echo(f"roll-out {one.version}: {one.state}, stage {one.stage} ({STAGES[one.stage]}), by {one.made_by}")
    click.echo(f"{one.applied} applied, {one.refused} refused, {one.pulled} pulled, {one.waiting} have not asked")
    for event in events:
        who = event.who or "the server"
        click.echo(f"  {event.at:%Y-%m-%d %H:%M:%S%z} {who}: {event.what}{_after(event.reason)}")
    for lane in lanes:
        seen = "never seen" if lane.last_seen_at is None else f"seen {lane.last_seen_at:%Y-%m-%d %H:%M:%S%z}"
        if lane.status == "waiting" and lane.stage > one.stage and not every:
            continue
        click.echo(f"  {lane.lane_id}\t{lane.shop}\t{lane.status}\t{seen}{_after(lane.reason)}")


def _after(reason: str) -> str:
    return f": {one_line(reason)}" if reason else ""


@roll_out.command()
@database_option
@version_argument
@by_option
@reason_option
def pause(url: str, version: int, by: str, reason: str) -> None:
    """Offer it to no other lane until it continues."""
    with opened(url) as db:
        rollouts.pause(db, version, by, reason)


@roll_out.command("continue")
@database_option
@version_argument
@by_option
@reason_option
def go_on(url: str, version: int, by: str, reason: str) -> None:
    """Go on after a pause or a stop. Lanes that refused it until now no longer stop it."""
    with opened(url) as db:
        rollouts.go_on(db, version, by, reason)


@roll_out.command()
@database_option
@version_argument
@by_option
@reason_option
def abort(url: str, version: int, by: str, reason: str) -> None:
    """End it: no other lane gets it. Lanes that run with it keep it until the next roll-out."""
    with opened(url) as db:
        rollouts.abort(db, version, by, reason)


@roll_out.command()
@database_option
@version_argument
@click.argument("lanes", metavar="[POSID]...", nargs=-1)
@by_option
def retry(url: str, version: int, lanes: tuple[str, ...], by: str) -> None:
    """Offer it once more to lanes that refused it: to all, or to those named."""
    with opened(url) as db:
        click.echo(f"lanes to which it is offered once more: {rollouts.retry(db, version, lanes, by)}")
