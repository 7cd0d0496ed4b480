"""The pages of the daily reconciliation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from starlette.datastructures import UploadFile
from starlette.responses import Response

from sco_fleet.office import lists
from sco_fleet.office.access import audit
from sco_fleet.office.listing_pages import Field, ListPage, day_of
from sco_fleet.office.web import LARGEST_FILE, Page, log
from sco_fleet.office.words import TABLES
from sco_fleet.query import Connection, listed, rows
from sco_fleet.reconcile import AlreadyRunning, Day, RegistryError, RegistryFile, Source, open_list, reconcile
from sco_fleet.reconcile.compare import DOUBTS, begin

_RELOAD_S = 3
RECONCILIATIONS = ListPage(
    lists.RECONCILIATIONS, "reconciliation", "reconciliation",
    (Field("day", "day"),), lambda page: {"day": day} if (day := day_of(page.query.get("day", ""))) else {},
)  # fmt: skip


def _of_run(page: Page) -> dict[str, Any]:
    number = page.query.get("id", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise page.not_found()
    kind = page.query.get("kind", "")
    return {"run": int(number), **({"kind": kind} if kind in TABLES["difference_kinds"] else {})}


RUN = ListPage(lists.DIFFERENCES, "run", "differences", (), _of_run)


def show(page: Page, db: Connection) -> Response:
    """The reconciliations, and the forms to begin one."""
    return _show(page, db)


def _show(page: Page, db: Connection, status: int = 200, **values: Any) -> Response:
    content = RECONCILIATIONS.content(page, db) | {"mistakes": ()} | values
    settings = page.office.settings
    return page.html(
        "reconciliation.html", status=status, can_ask=settings.paymaster.is_set, zone=settings.time_zone, **content
    )


def show_run(page: Page, db: Connection) -> Response:
    """A reconciliation and its differences."""
    number = _of_run(page)["run"]
    found = rows(db, listed(lists.RECONCILIATIONS.listing.select, "id = %(id)s"), id=number)
    if not found:
        raise page.not_found()
    kinds = rows(
        db,
        "SELECT kind, count(*)::integer AS times, sum(coalesce(bank_kopecks, lane_kopecks))::bigint AS kopecks"
        " FROM differences WHERE reconciliation = %(id)s GROUP BY kind ORDER BY kind",
        id=number,
    )  # fmt: skip
    running = found[0]["status"] == "running"
    facts = [column for column in lists.RECONCILIATIONS.columns if column.name not in ("day", "problem")]
    return page.html(
        "run.html", run=found[0], kinds=kinds, facts=facts, doubts=DOUBTS, reload_s=_RELOAD_S if running else 0,
        **{**RUN.content(page, db), "title": page.say("run_title", day=found[0]["day"])},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A reconciliation that can begin."""

    day: Day
    source: Source


class _Refused(Exception):
    """It cannot begin; `said` is what the page says."""

    def __init__(self, **said: Any) -> None:
        super().__init__()
        self.said = said


def start(page: Page) -> Response:
    """Begin a reconciliation, with PayMaster's list or with an uploaded file; it goes on after the answer."""
    office = page.office
    shops = office.settings.paymaster.shops
    with office.reconciliations.enter() as go_on:  # before a file is read: what is read waits in memory
        try:
            wanted = _wanted(page)
        except _Refused as refusal:
            with office.pool.connection() as db:
                return _show(page, db, 400, **refusal.said)
        day, source = wanted.day, wanted.source
        with office.pool.connection() as db:
            try:
                with db.transaction():
                    number = begin(db, day, source.name, page.who.name, shops)
                    audit(db, page.who.name, page.address, "reconcile", day.day.isoformat(), source.name)
            except AlreadyRunning:
                return _show(page, db, 409, problem=page.say("runs_already"))
        go_on(partial(_run, office.url, day, source, page.who.name, number, shops))
    return page.redirect("run", id=number)


def _wanted(page: Page) -> _Wanted:
    """What the form says. Needs no database. Raises _Refused."""
    written = page.form.get("day", "")
    found = day_of(written)
    settings = page.office.settings
    if found is None:
        raise _Refused(problem=page.say("bad_day", text=written[:50]))
    day = Day(found, settings.zone)
    if day.start > datetime.now(settings.zone):
        raise _Refused(problem=page.say("future_day"))
    try:
        if page.files is not None and "file" in page.files:
            return _Wanted(day, _file(page, day))
        return _Wanted(day, open_list(settings.paymaster))
    except RegistryError as error:
        raise _Refused(problem=page.say("file_refused"), mistakes=error.problems) from None
    except ValueError as error:
        log.error("the reconciliation cannot begin: %s", error)
        raise _Refused(problem=f"{page.say('no_access')} {error}") from None


def _file(page: Page, day: Day) -> RegistryFile:
    upload = page.files["file"] if page.files is not None else None
    if not isinstance(upload, UploadFile) or not upload.filename:
        raise RegistryError([page.say("no_file")])
    data = upload.file.read(LARGEST_FILE + 1)
    settings = page.office.settings
    found = RegistryFile(upload.filename[:200], data, settings.zone, states=settings.paymaster.states)
    found.check_day(day)
    return found


def _run(url: str, day: Day, source: Source, made_by: str, number: int, shops: tuple[str, ...]) -> None:
    try:
        reconcile(url, day, source, made_by, number, shops)
    except psycopg.Error as error:  # noted in the database where it can be reached
        log.error("the reconciliation of %s: %s", day.day, str(error).strip())
    except Exception:
        log.exception("the reconciliation of %s", day.day)
