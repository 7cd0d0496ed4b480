"""The pages: what each of them shows, and what its form does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from sco_fleet.office import decisions, evidence, lists
from sco_fleet.office.access import audit
from sco_fleet.office.listing_pages import Field, ListPage, times_of, words_of
from sco_fleet.office.web import Page
from sco_fleet.projection import MOVED_TO, SALVAGE
from sco_fleet.query import Connection, Row, listed, one, rows
from sco_payment.attempt import FINAL
from sco_payment.journal import codec
from sco_service.wording import ADVICE, WHAT_HAPPENED

_FINAL = frozenset(codec.PHASES[phase] for phase in FINAL)
_CHECK = ADVICE["expired_unconfirmed"]
_RELOAD_S = 5
_ON_A_PAGE = 10


def _states(page: Page) -> dict[str, Any]:
    state = page.query.get("state", "open")
    found: dict[str, Any] = {state: True} if state in ("open", "closed") else {}
    return {**found, **words_of(page, "lane"), **times_of(page)}


def _lanes(page: Page) -> dict[str, Any]:
    found = words_of(page, "lane", "shop")
    return {**found, "trouble": True} if page.query.get("show") == "trouble" else found


def _alarms(page: Page) -> dict[str, Any]:
    found = words_of(page, "lane")
    return found if page.query.get("show") == "all" else {**found, "unseen": True}


_TIMES = (Field("from", "from", hint="time_hint"), Field("until", "until", hint="time_hint"))
LANES = ListPage(
    lists.LANES, "lanes", "lanes",
    (Field("show", "show", (("all", ""), ("trouble_only", "trouble"))), Field("lane", "lane_id"),
     Field("shop", "shop")),
    _lanes,
)  # fmt: skip
CASES = ListPage(
    lists.CASES, "cases", "cases",
    (Field("state", "show", (("open", "open"), ("closed", "closed"), ("all", "all"))),
     Field("lane", "lane_id"), *_TIMES),
    _states,
)  # fmt: skip
PAYMENTS = ListPage(
    lists.PAYMENTS, "payments", "payments",
    (
        Field("order", "order_no"), Field("payment", "payment_id"), Field("till", "till_id"), Field("lane", "lane_id"),
        *_TIMES,
    ),
    lambda page: {**words_of(page, "order", "payment", "till", "lane"), **times_of(page)},
)  # fmt: skip
ALARMS = ListPage(
    lists.ALARMS, "alarms", "alarms",
    (Field("show", "show", (("unseen_only", ""), ("all", "all"))), Field("lane", "lane_id")), _alarms,
)  # fmt: skip
AUDIT = ListPage(lists.AUDIT, "audit", "audit", (Field("user", "user_name"),), lambda page: words_of(page, "user"))
USERS = ListPage(lists.USERS, "users", "users")
LISTS = (LANES, CASES, PAYMENTS, ALARMS, AUDIT, USERS)


# --- lanes ------------------------------------------------------------------------------------------------------------


def lane(page: Page, db: Connection) -> Response:
    """A lane."""
    lane_id = page.query.get("id", "")
    found, _ = LANES.listing(page).page(db, {"lane": lane_id}, limit=1)
    if not found:
        raise page.not_found()
    health = one(db, "SELECT health FROM lanes WHERE lane_id = %(lane)s", lane=lane_id)["health"]
    cases, _ = lists.CASES.listing.page(db, {"lane": lane_id, "open": True}, limit=_ON_A_PAGE)
    payments, _ = lists.PAYMENTS.listing.page(db, {"lane": lane_id}, limit=_ON_A_PAGE)
    alarms, _ = lists.ALARMS.listing.page(db, {"lane": lane_id, "unseen": True}, limit=_ON_A_PAGE)
    bundles = rows(
        db,
        "SELECT version, status, reason, changed_at FROM bundles WHERE lane_id = %(lane)s"
        " ORDER BY version DESC LIMIT 5",
        lane=lane_id,
    )
    journals = rows(
        db,
        "SELECT epoch, head_seq, first_seen_at, last_stored_at FROM journals WHERE lane_id = %(lane)s"
        " ORDER BY last_stored_at DESC LIMIT 20",
        lane=lane_id,
    )
    return page.html(
        "lane.html", title=page.say("lane", id=lane_id), lane=found[0], devices=devices_of(health), journals=journals,
        bundles=bundles,
        cases=cases, payments=payments, alarms=alarms, case_columns=_columns(lists.CASES, "lane_id", "shop"),
        payment_columns=_columns(lists.PAYMENTS, "lane_id", "shop"), alarm_columns=_columns(lists.ALARMS, "lane_id"),
        facts=[column for column in lists.LANES.columns if column.name not in ("lane_id", "state")],
    )  # fmt: skip


def _columns(found: lists.List, *but: str) -> list[lists.Column]:
    return [column for column in found.columns if column.page and column.name not in but]


def devices_of(health: object) -> list[dict[str, str]]:
    """The devices and the NFC tag in a lane's health, which may be anything: `kind`, `url`, `state` and `problem`."""
    found = health.get("devices") if isinstance(health, Mapping) else None
    devices = [
        {name: str(one.get(name) or "")[:300] for name in ("kind", "url", "state", "problem")}
        for one in (found if isinstance(found, list) else [])[:50]
        if isinstance(one, Mapping)
    ]
    tag = health.get("tag") if isinstance(health, Mapping) else None
    if isinstance(tag, Mapping):
        fault = tag.get("disabled") is True or tag.get("needs_attendant") is True
        devices.append(
            {
                "kind": "tag",
                "url": "",
                "state": "fault" if fault else "ok",
                "problem": str(tag.get("problem") or "")[:300],
            }
        )
    return devices


# --- cases ------------------------------------------------------------------------------------------------------------


def _case(page: Page, db: Connection) -> Row:
    number = page.query.get("number", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise page.not_found()
    found = one(
        db,
        listed(lists.CASES.listing.select, "lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(number)s"),
        lane=page.query.get("lane", ""), epoch=page.query.get("journal", ""), number=int(number),
    )  # fmt: skip
    if not found:
        raise page.not_found()
    return found


def case(page: Page, db: Connection) -> Response:
    """A case with its evidence, and the form for a decision."""
    return _show_case(page, db, _case(page, db))


def _show_case(page: Page, db: Connection, found: Row, *, status: int = 200, problem: str = "") -> Response:
    lane_id, epoch, language = found["lane_id"], found["epoch"], page.language
    timeline, cut = evidence.timeline(db, lane_id, epoch, found["attempt"], language)
    made = decisions.of_case(db, lane_id, epoch, found["number"])
    here = found["closed_at_ms"] is None and decisions.closes_here(db, lane_id, epoch)
    waiting = found["decided_by"] is not None and not here
    moved = found["operator"] == SALVAGE and (found["resolution"] or "").startswith(MOVED_TO)
    happened = WHAT_HAPPENED.get(found["reason"])
    return page.html(
        "case.html", status=status, problem=problem, case=found,
        title=page.say("case", n=found["number"], lane=lane_id),
        happened=found["detail"] if happened is None else happened[language],
        todo=_advice(found)[language],
        timeline=timeline, timeline_cut=cut, decisions=made, waiting=waiting,
        may_decide=here or (found["closed_at_ms"] is None and not waiting and found["phase"] is not None),
        ends_here=here,
        moved_to=found["resolution"].removeprefix(MOVED_TO) if moved else "",
        is_final=found["phase"] in _FINAL, answers=decisions.ANSWERS, longest_note=decisions.LONGEST_NOTE,
        reload_s=_RELOAD_S if waiting and page.request.method == "GET" else 0, form=page.form,
        done=page.say("decision_stored") if waiting and page.query.get("stored") else "",
    )  # fmt: skip


def _advice(case: Row) -> dict[str, str]:
    """What to do: by the case's reason, and by what has become of the payment since."""
    by_reason = ADVICE.get(case["reason"], _CHECK)
    return ADVICE["late_money"] if by_reason == _CHECK and case["phase"] in ("paid", "paid_late") else by_reason


def decide(page: Page, db: Connection) -> Response:
    """Store a decision for the lane."""
    found = _case(page, db)
    answer, note = page.form.get("answer", ""), " ".join(page.form.get("note", "").split())
    if answer not in decisions.ANSWERS or (answer == "other" and not note):
        return _show_case(page, db, found, status=400, problem=page.say("needs_note"))
    if len(note) > decisions.LONGEST_NOTE:
        said = page.say("note_too_long", n=decisions.LONGEST_NOTE)
        return _show_case(page, db, found, status=400, problem=said)
    resolution = note if answer == "other" else page.say(answer) + (f". {note}" if note else "")
    lane_id, epoch, number, here = found["lane_id"], found["epoch"], found["number"], "here" in page.form
    try:
        with db.transaction():
            decision = decisions.decide(
                db, lane_id, epoch, number, phase=page.form.get("phase", ""), resolution=resolution, user=page.who,
                here=here,
            )  # fmt: skip
            audit(
                db, page.who.name, page.address, "case_closed_here" if here else "decision",
                f"{lane_id} № {number}", f"{answer}; journal {epoch}; decision {decision}",
            )  # fmt: skip
    except decisions.NotStored as refusal:
        return _show_case(page, db, _case(page, db), status=409, problem=page.say(refusal.code, **refusal.values))
    return page.redirect("case", lane=lane_id, journal=epoch, number=number, stored=1)


# --- payments, alarms -------------------------------------------------------------------------------------------------


def payment(page: Page, db: Connection) -> Response:
    """A payment with its timeline."""
    found = one(
        db,
        "SELECT a.*, a.reason AS end_reason, l.shop FROM attempts a LEFT JOIN lanes l USING (lane_id)"
        " WHERE a.lane_id = %(lane)s AND a.epoch = %(epoch)s AND a.attempt = %(attempt)s",
        lane=page.query.get("lane", ""), epoch=page.query.get("journal", ""), attempt=page.query.get("attempt", ""),
    )  # fmt: skip
    if not found:
        raise page.not_found()
    lines, cut = evidence.timeline(db, found["lane_id"], found["epoch"], found["attempt"], page.language)
    cases = rows(
        db,
        listed(lists.CASES.listing.select, "lane_id = %(lane)s AND epoch = %(epoch)s AND attempt = %(attempt)s"),
        lane=found["lane_id"], epoch=found["epoch"], attempt=found["attempt"],
    )  # fmt: skip
    return page.html(
        "payment.html", title=page.say("payment", order=found["order_no"]), payment=found, timeline=lines,
        timeline_cut=cut, cases=cases,
        case_columns=_columns(lists.CASES, "lane_id", "shop", "order_no", "amount_kopecks"),
        facts=[column for column in lists.PAYMENTS.columns if column.name not in ("lane_id", "mode", "order_no")],
    )  # fmt: skip


def see_alarm(page: Page, db: Connection) -> Response:
    """Note that somebody has seen an alarm. Two who do it at once: the first one is kept."""
    number = page.form.get("id", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise page.not_found()
    with db.transaction():
        seen = one(
            db,
            "UPDATE alarms SET seen_by = %(user)s, seen_at = now() WHERE id = %(id)s AND seen_at IS NULL"
            " RETURNING lane_id, kind",
            user=page.who.name,
            id=int(number),
        )
        if seen:
            audit(db, page.who.name, page.address, "alarm_seen", seen["lane_id"], f"{seen['kind']} ({number})")
    return page.redirect("alarms", **{name: page.query.get(name) for name in ("show", "lane")})
