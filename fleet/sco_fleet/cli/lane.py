"""`sco-fleet lane`: add, list and disable lanes, and give them tokens."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click
from psycopg import Connection

from sco_fleet import lanes
from sco_fleet.cli.database import connected, database_option
from sco_fleet.cli.office import command_line_user
from sco_fleet.office.access import Action, audit
from sco_fleet.verify import journals


@click.group()
def lane() -> None:
    """The chain's lanes."""


@contextlib.contextmanager
def _audited(url: str, action: Action, lane_id: str, detail: str = "") -> Iterator[Connection[Any]]:
    """A connection for a change that is in the audit, too: both are done at the block's end, or neither."""
    with connected(url) as db, db.transaction():
        yield db
        audit(db, command_line_user(), "", action, lane_id, detail)


def _in(shop: str | None, profile: str | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (("shop", shop), ("profile", profile)) if value is not None)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.option("--shop", required=True, help="The lane's shop.")
@click.option("--profile", default="", help="Name of a settings layer for lanes of one kind.")
def add(url: str, lane_id: str, shop: str, profile: str) -> None:
    """Add a lane. Prints its token, which is not kept here: put it into the file that fleet.token_file names."""
    with _audited(url, "lane_added", lane_id, _in(shop, profile)) as db:
        made = lanes.add(db, lane_id, shop, profile)
    click.echo(made)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.option("--now", "at_once", is_flag=True, help="Revoke the current token at once, e.g. because it was stolen.")
def token(url: str, lane_id: str, at_once: bool) -> None:
    """Print a new token for a lane. The current one works until the lane first uses the new one."""
    with _audited(url, "lane_token", lane_id, "at once" if at_once else "") as db:
        made = lanes.renew_token(db, lane_id, at_once=at_once)
    click.echo(made)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
def disable(url: str, lane_id: str) -> None:
    """Refuse a lane's token. What it has sent is kept."""
    with _audited(url, "lane_disabled", lane_id) as db:
        lanes.set_disabled(db, lane_id, True)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
def enable(url: str, lane_id: str) -> None:
    """Accept a disabled lane's token again."""
    with _audited(url, "lane_enabled", lane_id) as db:
        lanes.set_disabled(db, lane_id, False)


@lane.command()
@database_option
@click.argument("lane_id", metavar="POSID")
@click.option("--shop", help="The new shop.")
@click.option("--profile", help="Name of the new settings layer for lanes of one kind.")
def move(url: str, lane_id: str, shop: str | None, profile: str | None) -> None:
    """Give a lane another shop or profile."""
    with _audited(url, "lane_moved", lane_id, _in(shop, profile)) as db:
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
