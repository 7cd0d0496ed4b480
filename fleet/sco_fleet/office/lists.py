"""The lists of the page: what each row has, by what it can be filtered, and its columns on the page and in a file."""

from __future__ import annotations

from dataclasses import dataclass

from sco_fleet.query import Listing


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: of the value in the row, and of its heading in `words`.
        kind: how it is written: text, number, count (none is not shown), amount (kopecks), ms (since the epoch),
            time, ahead (ms), short (of a hash), or `word:TABLE`, a name that `words` has a sentence for.
        page: whether the page shows it too, not only the file.
        link: the page that the value leads to.
    """

    name: str
    kind: str = "text"
    page: bool = True
    link: str = ""


@dataclass(frozen=True, slots=True)
class List:
    """A list and its columns."""

    listing: Listing
    columns: tuple[Column, ...]


_LANES = """
SELECT l.lane_id, l.shop, l.profile, l.version, l.last_seen_at, l.clock_ahead_ms, l.settings_hash, l.settings_version,
  l.disabled, l.device_faults, coalesce(c.open, 0) AS open_cases, coalesce(a.unseen, 0) AS alarms,
  l.last_seen_at IS NULL OR l.last_seen_at < now() - make_interval(secs => %(silent_s)s) AS silent,
  coalesce(abs(l.clock_ahead_ms), 0) > %(clock_off_s)s * 1000 AS clock_off,
  CASE WHEN l.disabled THEN 1 ELSE -(
    CASE WHEN coalesce(a.unseen, 0) > 0 THEN 16 ELSE 0 END + CASE WHEN coalesce(c.open, 0) > 0 THEN 8 ELSE 0 END
    + CASE WHEN l.last_seen_at IS NULL OR l.last_seen_at < now() - make_interval(secs => %(silent_s)s) THEN 4 ELSE 0 END
    + CASE WHEN l.device_faults > 0 THEN 2 ELSE 0 END
    + CASE WHEN coalesce(abs(l.clock_ahead_ms), 0) > %(clock_off_s)s * 1000 THEN 1 ELSE 0 END
  ) END AS calm
FROM lanes l
LEFT JOIN (SELECT lane_id, count(*)::integer AS open FROM cases WHERE closed_at_ms IS NULL GROUP BY lane_id) c
  USING (lane_id)
LEFT JOIN (SELECT lane_id, count(*)::integer AS unseen FROM alarms WHERE seen_at IS NULL GROUP BY lane_id) a
  USING (lane_id)
"""
LANES = List(
    Listing(
        _LANES,
        ("calm", "lane_id"),
        {"lane": "lane_id = %(lane)s", "shop": "shop = %(shop)s", "trouble": "calm < 0"},
        descending=False,
    ),
    (
        Column("lane_id", link="lane"),
        Column("shop"),
        Column("state", "state"),
        Column("open_cases", "count"),
        Column("alarms", "count"),
        Column("device_faults", "count"),
        Column("last_seen_at", "time"),
        Column("clock_ahead_ms", "ahead"),
        Column("version"),
        Column("settings_version", "number"),
        Column("settings_hash", "short"),
        Column("profile", page=False),
    ),
)

_CASES = """
SELECT c.lane_id, c.epoch, c.number, c.attempt, c.opened_at_ms, c.reason, c.detail, c.closed_at_ms, c.operator,
  c.resolution, a.order_no, a.amount_kopecks, a.payment_id, a.phase, l.shop, d.operator AS decided_by
FROM cases c
LEFT JOIN attempts a ON a.lane_id = c.lane_id AND a.epoch = c.epoch AND a.attempt = c.attempt
LEFT JOIN lanes l ON l.lane_id = c.lane_id
LEFT JOIN decisions d
  ON d.lane_id = c.lane_id AND d.epoch = c.epoch AND d.number = c.number AND d.status = 'waiting'
"""
CASES = List(
    Listing(
        _CASES,
        ("opened_at_ms", "lane_id", "epoch", "number"),
        {
            "open": "closed_at_ms IS NULL",
            "closed": "closed_at_ms IS NOT NULL",
            "lane": "lane_id = %(lane)s",
            "from_ms": "opened_at_ms >= %(from_ms)s",
            "until_ms": "opened_at_ms < %(until_ms)s",
        },
    ),
    (
        Column("number", "number", link="case"),
        Column("lane_id", link="lane"),
        Column("shop"),
        Column("opened_at_ms", "ms"),
        Column("reason", "word:reasons"),
        Column("order_no"),
        Column("amount_kopecks", "amount"),
        Column("phase", "word:phases"),
        Column("decision", "decision"),
        Column("payment_id", page=False),
        Column("closed_at_ms", "ms", page=False),
        Column("operator", page=False),
        Column("resolution", page=False),
        Column("detail", page=False),
        Column("epoch", page=False),
    ),
)

_PAYMENTS = """
SELECT a.lane_id, a.epoch, a.attempt, a.order_no, a.till_id, a.payment_id, a.amount_kopecks, a.mode, a.phase, a.outcome,
  a.reason AS end_reason, a.begun_at_ms, a.last_at_ms, a.acquirer, l.shop
FROM attempts a LEFT JOIN lanes l ON l.lane_id = a.lane_id
"""
PAYMENTS = List(
    Listing(
        _PAYMENTS,
        ("begun_at_ms", "lane_id", "epoch", "attempt"),
        {
            "order": "order_no = %(order)s",
            "lane": "lane_id = %(lane)s",
            "payment": "payment_id = %(payment)s",
            "till": "till_id = %(till)s",
            "from_ms": "begun_at_ms >= %(from_ms)s",
            "until_ms": "begun_at_ms < %(until_ms)s",
        },
    ),
    (
        Column("begun_at_ms", "ms", link="payment"),
        Column("order_no"),
        Column("amount_kopecks", "amount"),
        Column("outcome", "word:outcomes"),
        Column("phase", "word:phases"),
        Column("lane_id", link="lane"),
        Column("shop"),
        Column("payment_id"),
        Column("till_id", page=False),
        Column("end_reason", page=False),
        Column("mode", "number", page=False),
        Column("acquirer", page=False),
        Column("attempt", page=False),
    ),
)

ALARMS = List(
    Listing(
        "SELECT id, lane_id, kind, detail, raised_at, last_at, times, seen_by, seen_at FROM alarms",
        ("id",),
        {"unseen": "seen_at IS NULL", "lane": "lane_id = %(lane)s"},
    ),
    (
        Column("last_at", "time"),
        Column("kind", "word:alarm_kinds"),
        Column("lane_id", link="lane"),
        Column("detail"),
        Column("times", "number"),
        Column("raised_at", "time"),
        Column("seen_by", "seen"),
        Column("seen_at", "time", page=False),
    ),
)

RECONCILIATIONS = List(
    Listing(
        """
        SELECT r.*, (SELECT count(*)::integer FROM differences d WHERE d.reconciliation = r.id) AS differences
        FROM reconciliations r
        """,
        ("id",),
        {"day": "day = %(day)s"},
    ),
    (
        Column("day", "day", link="run"),
        Column("source", "source"),
        Column("status", "word:run_states"),
        Column("differences", "number"),
        Column("bank_paid", "number"),
        Column("bank_kopecks", "amount"),
        Column("lanes_paid", "number"),
        Column("lanes_kopecks", "amount"),
        Column("begun_at", "time"),
        Column("made_by"),
        Column("problem", page=False),
    ),
)

DIFFERENCES = List(
    Listing(
        "SELECT d.*, d.lane AS lane_id, l.shop FROM differences d LEFT JOIN lanes l ON l.lane_id = d.lane",
        ("reconciliation", "number"),
        {"run": "reconciliation = %(run)s", "kind": "kind = %(kind)s"},
        descending=False,
    ),
    (
        Column("kind", "word:difference_kinds"),
        Column("at_ms", "ms"),
        Column("payment_id", link="payment"),
        Column("order_no"),
        Column("bank_kopecks", "amount"),
        Column("bank_status"),
        Column("lane_kopecks", "amount"),
        Column("lane_phase", "word:phases"),
        Column("lane_id", link="lane"),
        Column("case_number", "number", link="case"),
        Column("detail"),
        Column("shop", page=False),
    ),
)

ROLLOUTS = List(
    Listing(
        """
        SELECT r.version AS number, r.state, r.stage, r.made_at, r.made_by, r.comment, b.*
        FROM rollouts r CROSS JOIN LATERAL (
          SELECT count(*) FILTER (WHERE status = 'applied')::integer AS applied,
            count(*) FILTER (WHERE status = 'refused')::integer AS refused,
            count(*) FILTER (WHERE status = 'pulled')::integer AS pulled,
            count(*) FILTER (WHERE status = 'waiting')::integer AS waiting
          FROM bundles WHERE version = r.version
        ) b
        """,
        ("number",),
        {},
    ),
    (
        Column("number", "number", link="rollout"),
        Column("state", "word:rollout_states"),
        Column("stage", "word:rollout_stages"),
        Column("comment"),
        Column("applied", "number"),
        Column("refused", "count"),
        Column("pulled", "count"),
        Column("waiting", "count"),
        Column("made_at", "time"),
        Column("made_by"),
    ),
)

BUNDLES = List(
    Listing(
        """
        SELECT b.version, b.lane_id, l.shop, b.stage, b.status, b.reason, b.changed_at, l.last_seen_at
        FROM bundles b LEFT JOIN lanes l ON l.lane_id = b.lane_id
        """,
        ("stage", "lane_id"),
        {"rollout": "version = %(rollout)s", "status": "status = %(status)s"},
        descending=False,
    ),
    (
        Column("lane_id", link="lane"),
        Column("shop"),
        Column("stage", "word:rollout_stages"),
        Column("status", "word:bundle_states"),
        Column("reason"),
        Column("changed_at", "time"),
        Column("last_seen_at", "time"),
    ),
)

AUDIT = List(
    Listing(
        "SELECT id, at, user_name, address, action, subject, detail FROM office_audit",
        ("id",),
        {"user": "user_name = %(user)s"},
    ),
    (
        Column("at", "time"),
        Column("user_name"),
        Column("action", "word:actions"),
        Column("subject"),
        Column("detail"),
        Column("address"),
    ),
)

USERS = List(
    Listing(
        "SELECT u.name AS user_name, u.full_name, u.role, u.disabled, u.added_at,"
        " (SELECT max(s.last_at) FROM office_sessions s WHERE s.user_name = u.name) AS last_at FROM office_users u",
        ("user_name",),
        {},
        descending=False,
    ),
    (
        Column("user_name"),
        Column("full_name"),
        Column("role", "word:roles"),
        Column("disabled", "yes"),
        Column("added_at", "time"),
        Column("last_at", "time"),
    ),
)
