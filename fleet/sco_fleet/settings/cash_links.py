"""Cash links of plates: no two lanes may have the same one, or a customer at one lane pays the order of another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from psycopg import Connection

from sco_fleet.settings.check import ONE_LANES, SettingsRefused, lanes_named
from sco_fleet.settings.layers import Snapshot, places
from sco_payment import link
from sco_payment.fleet.bundle import BundleRefused, read

Link = tuple[str, str]
"""The setting, and the cash link in it: of a link of NSPK its QRC id, however the rest of it is written."""


def check_cash_links(db: Connection[Any], snapshot: Snapshot, planned: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check that no lane gets the cash link of another one.

    Args:
        db: the fleet's database.
        snapshot: the layers.
        planned: PosID and settings of each lane that gets some.

    Raises:
        SettingsRefused: another lane has it in its layers too, or may still run with it.
    """
    wanted = {found for _, settings in planned for found in _links(settings)}
    if not wanted:
        return
    given = _by_link(_from_layers(db, snapshot))
    running = _by_link(_in_force(db))
    problems = []
    for setting, value in sorted(wanted):
        lanes = given.get((setting, value), set())
        others = running.get((setting, value), set()) - lanes
        if len(lanes) > 1:
            problems.append(
                f"{setting}: the cash link {value} is given to {lanes_named(sorted(lanes))}: a customer at one of them "
                "would pay the order of another"
            )
        elif others:
            problems.append(
                f"{setting}: the cash link {value} is given to {lanes_named(sorted(lanes))}, but "
                f"{lanes_named(sorted(others))} may still run with it: first take it from there with a roll-out of "
                "its own, or disable that lane"
            )
    if problems:
        raise SettingsRefused("the settings", problems)


def _links(settings: Mapping[str, Any]) -> Iterator[Link]:
    for where in ONE_LANES:
        section, _, name = where.partition(".")
        value = settings.get(section, {}).get(name)
        if isinstance(value, str) and value:
            yield where, _identity(value)


def _identity(value: str) -> str:
    try:
        found = link.parse(value)
    except link.LinkRefused:  # an id, which is no link
        return value
    return value if found is None else found.qrc_id


def _by_link(lanes: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[Link, set[str]]:
    found: dict[Link, set[str]] = {}
    for lane_id, settings in lanes:
        for one in _links(settings):
            found.setdefault(one, set()).add(lane_id)
    return found


def _from_layers(db: Connection[Any], snapshot: Snapshot) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place in places(db):
        with contextlib.suppress(SettingsRefused):  # nothing can be rolled out to that lane
            yield place.lane_id, snapshot.merged(place).settings


def _in_force(db: Connection[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each lane may run with: what it applied last, and whatever it was or will be offered since."""
    for lane_id, text in db.execute(_IN_FORCE).fetchall():
        with contextlib.suppress(BundleRefused):  # damaged in the database: nobody knows what it was
            yield lane_id, read(text).settings


_IN_FORCE = """
WITH applied AS (SELECT lane_id, max(version) AS newest FROM bundles WHERE status = 'applied' GROUP BY lane_id)
SELECT b.lane_id, b.bundle
FROM bundles b JOIN rollouts r USING (version) JOIN lanes l USING (lane_id) LEFT JOIN applied a USING (lane_id)
WHERE NOT l.disabled AND b.version >= coalesce(a.newest, 0)
    AND (b.status IN ('applied', 'pulled') OR (b.status = 'waiting' AND r.state <> 'aborted'))
    AND (b.bundle LIKE '%sticker_id%' OR b.bundle LIKE '%plate_link%')
"""
