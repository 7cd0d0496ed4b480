"""`sco-fleet lane`: add, list and disable lanes, and give them tokens."""

from __future__ import annotations

import sys

import click

from sco_fleet import lanes
from sco_fleet.cli.database import connected, database_option
from sco_fleet.verify import journals


@click.group()
def lane() -> None:
    """The chain's lanes."""


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.option("--shop", required=True, help="The lane's shop.")
@click.option("--profile", default="", help="Name of a settings layer for lanes of one kind.")
def add(url: str, lane_id: str, shop: str, profile: str) -> None:
    """Add a lane. Prints its token, which is not kept here: put it into the file that fleet.token_file names."""
    with connected(url) as db:
        click.echo(lanes.add(db, lane_id, shop, profile))


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.option("--now", "at_once", is_flag=True, help="Revoke the current token at once, e.g. because it was stolen.")
def token(url: str, lane_id: str, at_once: bool) -> None:
    """Print a new token for a lane. The current one works until the lane first uses the new one."""
    with connected(url) as db:
        click.echo(lanes.renew_token(db, lane_id, at_once=at_once))


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
def disable(url: str, lane_id: str) -> None:
    """Refuse a lane's token. What it has sent is kept."""
    with connected(url) as db:
        lanes.set_disabled(db, lane_id, True)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
def enable(url: str, lane_id: str) -> None:
    """Accept a disabled lane's token again."""
    with connected(url) as db:
        lanes.set_disabled(db, lane_id, False)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.option("--shop", help="The new shop.")
@click.option("--profile", help="Name of the new settings layer for lanes of one kind.")
def move(url: str, lane_id: str, shop: str | None, profile: str | None) -> None:
    """Give a lane another shop or profile."""
    with connected(url) as db:
        lanes.move(db, lane_id, shop, profile)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
def verify(url: str, lane_id: str) -> None:
    """Check what is stored of a lane's journals. Exit status 1 if a row was changed, lost or cut off."""
    with connected(url) as db:
        found = journals(db, lane_id)
    for journal in found:
        state = "; ".join(journal.problems) or "all in order"
        erased = f", {journal.erased} of them erased" if journal.erased else ""
        click.echo(
            f"journal {journal.epoch}: {journal.rows} rows from {journal.first} to {journal.head}{erased}: {state}"
        )
    if not found:
        raise click.ClickException(f"nothing is stored for lane {lane_id}")
    sys.exit(any(journal.problems for journal in found))


@lane.command("list")
@database_option
def list_lanes(url: str) -> None:
    """Print all lanes: PosID, shop, profile, version, when it was last seen, its last stored row, open cases."""
    with connected(url) as db:
        for lane_id, shop, profile, version, seen, disabled, rows, cases in db.execute(_LIST).fetchall():
            state = "disabled" if disabled else "never seen" if seen is None else f"seen {seen:%Y-%m-%d %H:%M:%S%z}"
            click.echo(f"{lane_id}\t{shop}\t{profile}\t{version}\t{state}\trow {rows}\t{cases} open cases")


_LIST = """
SELECT l.lane_id, l.shop, l.profile, l.version, l.last_seen_at, l.disabled, coalesce(j.head_seq, 0), coalesce(c.open, 0)
FROM lanes l
LEFT JOIN (
    SELECT DISTINCT ON (lane_id) lane_id, head_seq FROM journals ORDER BY lane_id, last_stored_at DESC
) j ON j.lane_id = l.lane_id
LEFT JOIN (
    SELECT lane_id, count(*) AS open FROM cases WHERE closed_at_ms IS NULL GROUP BY lane_id
) c ON c.lane_id = l.lane_id
ORDER BY l.shop, l.lane_id
"""
