"""The page as an application that a server mounts: every route, and the role that it needs."""

from __future__ import annotations

from importlib.resources import files

from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sco_fleet.office import login_pages, pages, reconciliation_pages, rollout_pages
from sco_fleet.office.guard import SafeHeaders
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.office.web import LARGEST_FILE, LARGEST_FORM, Apart, Endpoint, Handler, Office, Page
from sco_fleet.query import Connection

_SHOWN = (*pages.LISTS, rollout_pages.ROLLOUTS)
_EXPORTED = (*_SHOWN, reconciliation_pages.RECONCILIATIONS, reconciliation_pages.RUN, rollout_pages.ROLLOUT)
Row = tuple[str, tuple[Handler, str | None] | None, tuple[Handler, str | None] | None]

ROUTES: tuple[Row, ...] = (
    ("", (login_pages.home, "viewer"), None),
    ("login", (login_pages.login_form, None), (Apart(login_pages.login), None)),
    ("logout", None, (login_pages.logout, "viewer")),
    ("password", (login_pages.password_form, "viewer"), (Apart(login_pages.password), "viewer")),
    ("lane", (pages.lane, "viewer"), None),
    ("case", (pages.case, "viewer"), (pages.decide, "decider")),
    ("payment", (pages.payment, "viewer"), None),
    ("alarms/seen", None, (pages.see_alarm, "decider")),
    ("reconciliation", (reconciliation_pages.show, "viewer"), (Apart(reconciliation_pages.start), "decider")),
    ("run", (reconciliation_pages.show_run, "viewer"), None),
    ("rollout", (rollout_pages.show, "viewer"), None),
    *(
        (one.path, (one.show, "administrator" if one in (pages.AUDIT, pages.USERS) else "viewer"), None)
        for one in _SHOWN
    ),
    *(
        (f"{one.path}.csv", (one.export, "administrator" if one in (pages.AUDIT, pages.USERS) else "viewer"), None)
        for one in _EXPORTED
    ),
)
"""Path below the page, handler and role for GET, handler and role for POST; no role: without a login."""
_UPLOADS = ("reconciliation",)


def office_app(pool: ConnectionPool[Connection], settings: OfficeSettings) -> Starlette:
    """The page on a pool of connections to the fleet's database.

    It may be mounted under any path. The pool's own time-out says how long a page waits for a connection.
    """
    office = Office(pool, settings)
    style = files("sco_fleet.office").joinpath("static", "office.css").read_bytes()

    async def css(request: Request) -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=300"})

    routes: list[BaseRoute] = [
        Route(
            f"/{path}", Endpoint(office, get=get, post=post, largest=LARGEST_FILE if path in _UPLOADS else LARGEST_FORM)
        )
        for path, get, post in ROUTES
    ]
    missing = Endpoint(office, get=(_missing, None))
    return Starlette(
        routes=[*routes, Route("/office.css", css), Route("/{path:path}", missing)],
        middleware=[Middleware(SafeHeaders)],
    )


def _missing(page: Page, db: Connection) -> Response:
    raise page.not_found()
