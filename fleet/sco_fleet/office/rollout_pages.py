"""The pages of the roll-outs of settings: to look at. `sco-fleet settings roll-out` changes them."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from sco_fleet.office import lists
from sco_fleet.office.listing_pages import ListPage
from sco_fleet.office.web import Page
from sco_fleet.office.words import TABLES
from sco_fleet.query import Connection, listed, one
from sco_fleet.settings import status

ROLLOUTS = ListPage(lists.ROLLOUTS, "rollouts", "rollouts")


def _of_rollout(page: Page) -> dict[str, Any]:
    number = page.query.get("id", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise page.not_found()
    wanted = page.query.get("status", "")
    return {"rollout": int(number), **({"status": wanted} if wanted in TABLES["bundle_states"] else {})}


ROLLOUT = ListPage(lists.BUNDLES, "rollout", "rollout_lanes", (), _of_rollout)


def show(page: Page, db: Connection) -> Response:
    """A roll-out: what happened to it, and what its lanes have answered."""
    number = _of_rollout(page)["rollout"]
    found = one(db, listed(lists.ROLLOUTS.listing.select, "number = %(id)s"), id=number)
    if not found:
        raise page.not_found()
    facts = [column for column in lists.ROLLOUTS.columns if column.name not in ("number", *TABLES["bundle_states"])]
    return page.html(
        "rollout.html", rollout=found, facts=facts, states=tuple(TABLES["bundle_states"]),
        events=status.events(db, number),
        **{**ROLLOUT.content(page, db), "title": page.say("rollout", n=number)},
    )  # fmt: skip
