"""What every page goes through: headers, limits, the session, the role, the forms' token, the language, and errors."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
from jinja2 import Environment
from psycopg_pool import ConnectionPool
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from sco_fleet.office.access import User, session_of
from sco_fleet.office.guard import bounded
from sco_fleet.office.lists import Column
from sco_fleet.office.render import Writer, environment
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.office.threads import Threads
from sco_fleet.office.words import LANGUAGES, TEXTS, text, word
from sco_fleet.pool import UNAVAILABLE, report
from sco_fleet.query import BadCursor, Connection, Row

log = logging.getLogger(__name__)

COOKIE = "sco_office"
LANGUAGE_COOKIE = "sco_language"
BY_ITSELF = "auto"
"""In the query of a page that reloads by itself: nobody has used the session."""
LARGEST_FORM = 64 * 1024
LARGEST_FILE = 16 * 1024 * 1024
"""Bytes."""
FORM_WITHIN_S, FILE_WITHIN_S = 15.0, 120.0
"""How long a body may take to come."""


@dataclass(frozen=True, slots=True)
class Office:
    """What the pages share."""

    pool: ConnectionPool[Connection]
    settings: OfficeSettings
    templates: Environment = field(default_factory=environment)
    apart: Threads = field(default_factory=lambda: Threads(4, "office-apart"))
    reconciliations: Threads = field(default_factory=lambda: Threads(2, "office-reconcile", room=3))

    @property
    def url(self) -> str:
        """The database's, for what takes longer than a page."""
        url = self.pool.conninfo
        return url if isinstance(url, str) else url()


@dataclass(frozen=True, slots=True)
class Page:
    """One request, with what its handler may need.

    Attributes:
        user: None before the login.
        secret: of the session's cookie.
        form: of a POST.
        base: the path under which the page is mounted.
    """

    office: Office
    request: Request
    user: User | None
    secret: str
    language: str
    form: Mapping[str, Any]
    files: FormData | None = None

    @property
    def query(self) -> QueryParams:
        """What comes after the question mark."""
        return self.request.query_params

    @property
    def base(self) -> str:
        """The path of the whole page on the server."""
        return str(self.request.scope.get("root_path", ""))

    @property
    def address(self) -> str:
        """The client's."""
        return self.request.client.host if self.request.client else ""

    @property
    def writer(self) -> Writer:
        """For values in the page's language."""
        return Writer(self.language, self.office.settings.zone)

    @property
    def who(self) -> User:
        """The user, on a page that needs one."""
        assert self.user is not None
        return self.user

    def url(self, path: str, /, **values: object) -> str:
        """The address of a page; values that are None or empty are left out."""
        given = {name: str(value) for name, value in values.items() if value not in (None, "")}
        return f"{self.base}/{path}" + (f"?{urlencode(given, errors='replace')}" if given else "")

    def kept(self, *but: str) -> dict[str, str]:
        """What of the query a link to the same page has."""
        return {name: value for name, value in self.query.items() if name not in ("lang", BY_ITSELF, *but)}

    def say(self, name: str, **values: object) -> str:
        """A sentence."""
        return text(self.language, name, **values)

    def link(self, column: Column, row: Row) -> str:
        """Where a row's value leads; empty for nowhere."""
        match column.link:
            case "lane" if row["lane_id"]:
                return self.url("lane", id=row["lane_id"])
            case "case":
                number = row["number"] if "opened_at_ms" in row else row["case_number"]
                return self.url("case", lane=row["lane_id"], journal=row["epoch"], number=number) if number else ""
            case "payment" if row["attempt"]:
                return self.url("payment", lane=row["lane_id"], journal=row["epoch"], attempt=row["attempt"])
            case "rollout":
                return self.url("rollout", id=row["number"])
            case "run":
                return self.url("run", id=row["id"])
            case _:
                return ""

    def html(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page from a template."""
        other = LANGUAGES[1 - LANGUAGES.index(self.language)]
        kept = self.kept()
        context = {
            "page": self,
            "user": self.user,
            "w": self.writer,
            "t": self.say,
            "word": lambda table, name: word(self.language, table, str(name)),
            "url": self.url,
            "here": self.request.scope["path"].removeprefix(self.base),
            "other": other,
            "other_url": f"?{urlencode({**kept, 'lang': other}, errors='replace')}",
            "reload_url": f"?{urlencode({**kept, BY_ITSELF: 1}, errors='replace')}",
            "problem": "",
            "done": "",
            "reload_s": 0,
            **values,
        }
        return HTMLResponse(self.office.templates.get_template(template).render(context), status)

    def redirect(self, path: str, /, **values: object) -> Response:
        """See another page, after a form."""
        return RedirectResponse(self.url(path, **values), 303)

    def not_found(self) -> HTTPException:
        """To raise."""
        return HTTPException(404)


@dataclass(frozen=True, slots=True)
class Apart:
    """A handler of what takes long: it takes a connection only for as long as it needs one."""

    work: Callable[[Page], Response]


Handler = Callable[[Page, Connection], Response] | Apart


class Endpoint:
    """A page with one handler for GET and one for POST, each for a role and those above it; no role: for everybody.

    A handler runs in a thread, with a connection in autocommit mode; see `Apart`.
    """

    def __init__(
        self, office: Office, *, get: tuple[Handler, str | None] | None, post: tuple[Handler, str | None] | None = None,
        largest: int = LARGEST_FORM,
    ) -> None:  # fmt: skip
        self._office = office
        self._handlers = {"GET": get, "HEAD": get, "POST": post}
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        within_s = FORM_WITHIN_S if self._largest <= LARGEST_FORM else FILE_WITHIN_S
        request = Request(scope, bounded(receive, self._largest, within_s))
        answer = await self._answer(request)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        page = Page(self._office, request, None, "", _language(request), {})
        try:
            return await self._checked(page)
        except HTTPException as error:
            return await run_in_threadpool(failure, page, error.status_code, error.headers)
        except UNAVAILABLE as error:
            report(error)
            return await run_in_threadpool(failure, page, 503, {"Retry-After": "10"})
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            return await run_in_threadpool(failure, page, 500)

    async def _checked(self, page: Page) -> Response:
        request = page.request
        chosen = self._handlers.get(request.method)
        if chosen is None:
            raise HTTPException(405)
        handler, role = chosen
        secret = request.cookies.get(COOKIE, "")
        used = request.method == "POST" or BY_ITSELF not in request.query_params
        user = await run_in_threadpool(_user, page.office, secret, used) if secret else None
        page = Page(page.office, request, user, secret, page.language, {})
        if role is not None and user is None:
            if request.method == "POST":
                return await run_in_threadpool(failure, page, 419, None)
            return page.redirect("login", next=_local(page))
        if role is not None and not page.who.may(role):
            return await run_in_threadpool(failure, page, 403, None)
        if request.method != "POST":
            return await self._run(handler, page)
        if not _of_our_page(request):
            return await run_in_threadpool(failure, page, 419, None)
        async with request.form(max_files=1, max_fields=100) as form:
            fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            if role is not None and not hmac.compare_digest(fields.get("csrf", "").encode(), page.who.csrf.encode()):
                return await run_in_threadpool(failure, page, 419, None)
            return await self._run(handler, Page(page.office, request, user, secret, page.language, fields, form))

    async def _run(self, handler: Handler, page: Page) -> Response:
        def run() -> Response:
            try:
                if isinstance(handler, Apart):
                    return handler.work(page)
                with page.office.pool.connection() as db:
                    return handler(page, db)
            except (psycopg.DataError, psycopg.errors.UndefinedFunction, BadCursor) as error:
                log.info("%s %s: %s", page.request.method, page.request.url.path, error)
                return failure(page, 400)

        answer = await (page.office.apart.run(run) if isinstance(handler, Apart) else run_in_threadpool(run))
        _keep_language(page.request, answer)
        return answer


def failure(page: Page, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The page that says what went wrong."""
    name = f"error_{status}" if f"error_{status}" in TEXTS else "error_400"
    answer = page.html("problem.html", status=403 if status == 419 else status, problem=page.say(name))
    answer.headers.update(headers or {})
    return answer


def set_session(page: Page, answer: Response, secret: str) -> None:
    """Give the browser the session's secret; an empty one ends it."""
    secure = page.request.url.scheme == "https"
    path = page.base or "/"
    if secret:
        answer.set_cookie(COOKIE, secret, path=path, secure=secure, httponly=True, samesite="strict")
    else:
        answer.delete_cookie(COOKIE, path=path, secure=secure, httponly=True, samesite="strict")


def local_path(path: str) -> str:
    """A path below the page, from a stranger's word for one; empty where it leads elsewhere."""
    parts = urlsplit(path)
    fine = not parts.scheme and not parts.netloc and not path.startswith(("/", "\\")) and path.isprintable()
    return path if fine and "\\" not in path and ":" not in parts.path else ""


def _user(office: Office, secret: str, used: bool) -> User | None:
    with office.pool.connection() as db:
        return session_of(db, secret, idle_s=office.settings.idle_s, session_s=office.settings.session_s, used=used)


def _local(page: Page) -> str:
    path = str(page.request.scope["path"]).removeprefix(page.base).lstrip("/")
    query = urlencode(
        [(name, value) for name, value in page.query.multi_items() if name != BY_ITSELF], errors="replace"
    )
    return path + (f"?{query}" if query else "")


def _language(request: Request) -> str:
    for wanted in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wanted in LANGUAGES:
            return wanted
    accepted = request.headers.get("accept-language", "").lower()
    return "en" if accepted.startswith("en") else "ru"


def _keep_language(request: Request, answer: Response) -> None:
    wanted = request.query_params.get("lang")
    if wanted in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, wanted, max_age=31_536_000, httponly=True, samesite="lax")


def _of_our_page(request: Request) -> bool:
    """Whether a form comes from this page, as far as the browser says so; the token in the form is the proof."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
