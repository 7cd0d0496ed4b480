"""A list as a page and as a CSV file, from what `lists` says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from sco_fleet.office.access import audit
from sco_fleet.office.lists import List
from sco_fleet.office.web import Page
from sco_fleet.query import Connection, Listing, Row
from sco_fleet.reconcile.days import parse_day

MOST_EXPORTED = 100_000
"""Rows of a CSV file; an Excel sheet has about ten times as many."""
_EXPORTS = BoundedSemaphore(4)
"""At a time, in this process."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form above a list: `choices` are names of sentences and what they put into the query."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list.

    Attributes:
        path: of the page; the file's is the same with `.csv`.
        title: the sentence above it.
        chosen: filters from the query. It may put a sentence about a mistake into the mapping's `problem`.
    """

    list: List
    path: str
    title: str
    fields: tuple[Field, ...] = ()
    chosen: Callable[[Page], dict[str, Any]] = lambda page: {}

    def listing(self, page: Page) -> Listing:
        """The listing with the settings that it needs."""
        settings = page.office.settings
        own = self.list.listing
        return Listing(
            own.select, own.order, own.filters, own.descending,
            {**own.values, "silent_s": settings.silent_s, "clock_off_s": settings.clock_off_s},
        )  # fmt: skip

    def show(self, page: Page, db: Connection) -> Response:
        """The page."""
        return page.html("list.html", **self.content(page, db))

    def content(self, page: Page, db: Connection) -> dict[str, Any]:
        """What `list.html` needs."""
        given, problem = self._given(page)
        rows: list[Row] = []
        after = ""
        if not problem:
            rows, after = self.listing(page).page(db, given, after=page.query.get("after", ""))
        kept = page.kept("after")
        return {
            "view": self,
            "title": page.say(self.title),
            "columns": [column for column in self.list.columns if column.page],
            "rows": rows,
            "next_url": page.url(self.path, **{**kept, "after": after}) if after else "",
            "first_url": page.url(self.path, **kept) if page.query.get("after") else "",
            "export_url": page.url(f"{self.path}.csv", **kept),
            "problem": problem,
        }

    def export(self, page: Page, db: Connection) -> Response:
        """The file."""
        given, problem = self._given(page)
        if problem:
            raise HTTPException(400)
        if not _EXPORTS.acquire(blocking=False):
            raise HTTPException(429, headers={"Retry-After": "30"})
        try:
            filters = ", ".join(given)  # without what they are: an order's number may be erased later
            audit(db, page.who.name, page.address, "export", self.path, filters)
            found = self.listing(page).all(page.office.pool, given, most=MOST_EXPORTED)
            lines = page.writer.csv(self.list.columns, found, MOST_EXPORTED)
        except BaseException:
            _EXPORTS.release()
            raise
        name = quote(f"{self.path}-{datetime.now(page.office.settings.zone):%Y-%m-%d}.csv")
        return _Export(
            lines,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _given(self, page: Page) -> tuple[Mapping[str, Any], str]:
        given = self.chosen(page)
        return given, str(given.pop("problem", ""))


class _Export(StreamingResponse):
    """A file whose turn ends when it has been sent, or its reader is gone."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            _EXPORTS.release()


def words_of(page: Page, *names: str) -> dict[str, Any]:
    """Filters that are texts."""
    found = {name: page.query.get(name, "").strip() for name in names}
    return {name: value for name, value in found.items() if value}


def times_of(page: Page) -> dict[str, Any]:
    """The filters `from_ms` and `until_ms`, by the fields `from` and `until` in the page's time zone."""
    zone = page.office.settings.zone
    found: dict[str, Any] = {}
    for name, end in (("from", False), ("until", True)):
        written = page.query.get(name, "").strip()
        if not written:
            continue
        try:
            found[f"{name}_ms"] = moment_ms(written, zone, end=end)
        except ValueError:
            found["problem"] = page.say("bad_time", text=written[:50])
    return found


def moment_ms(written: str, zone: ZoneInfo, *, end: bool) -> int:
    """A day, or a day and a time, in ms; with `end` the end of that day, or of that minute.

    Raises:
        ValueError: neither.
    """
    moment = datetime.fromisoformat(written)
    if not 1970 <= moment.year <= 9998:  # what follows it must be a time, too
        raise ValueError(written)
    if len(written) <= len("2026-11-29"):
        day = moment.date() + timedelta(days=1) if end else moment.date()
        return to_ms(datetime.combine(day, time(), zone))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return to_ms(moment + timedelta(minutes=1) if end else moment)


def to_ms(moment: datetime) -> int:
    """ms since the epoch."""
    return round(moment.timestamp() * 1000)


def day_of(written: str) -> date | None:
    """A day as it is typed; None for none."""
    try:
        return parse_day(written)
    except ValueError:
        return None
