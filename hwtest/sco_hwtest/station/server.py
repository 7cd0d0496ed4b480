"""The station page's HTTP: who may ask, which request does what. What it shows and decides is the board's.

The address that is printed carries a token once; the page gets it back as a cookie that no script can read. A browser
names itself in each request, by a random text of its own.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from sco_hwtest import run_page
from sco_hwtest.questions import Answer
from sco_hwtest.results import Report
from sco_hwtest.station.board import Board, Refused
from sco_service.http import Server
from sco_service.messages import Answer as HttpAnswer
from sco_service.messages import Later, Request, Response
from sco_service.pages import Pages
from sco_service.problems import SAFE_HEADERS, Problem, problem, to_json
from sco_service.routing import Field, Fields, Text, Whole, read_body, read_query
from sco_service.security import Doorkeeper

POLL_S = 10.0
"""How long a browser waits for a change before it asks again."""
HERE_S = POLL_S + 5.0
"""A browser that has asked within this time is there."""

_CLIENT = Field(Text(9, 64))
_STATE: Fields = {"client": _CLIENT, "after": Field(Whole(0, 2**53), 0), "wait_s": Field(Whole(0, 30), 0)}
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class StationServer:
    """Serves the page of one board.

    Args:
        board: what it shows.
        host, port: where to listen; port 0 for a free one; host "0.0.0.0" or "::" for every address of this machine.

    Attributes:
        url: the address with the token, for the operator.

    Raises:
        OSError: nobody can listen there.
    """

    def __init__(self, board: Board, host: str, port: int) -> None:
        self._board = board
        self._token = secrets.token_urlsafe(24)
        everywhere = host in ("0.0.0.0", "::", "")  # noqa: S104 - what the operator has asked for
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
        self._port = int(listening.getsockname()[1])
        reached = _own_address(family) if everywhere else host
        self.root = f"http://{f'[{reached}]' if ':' in reached else reached}:{self._port}"
        self.url = f"{self.root}/?token={self._token}"
        self._cookie = f"sco_station_{self._port}"  # cookies are shared by all ports of a host
        names = (reached, socket.gethostname(), f"{socket.gethostname()}.local")
        self._doorkeeper = Doorkeeper(
            names, self._port, any_address=everywhere, hint="use the address that sco-hwtest has printed"
        )
        self._pages = Pages(Path(str(files("sco_hwtest.station"))) / "pages")
        self._reads: dict[str, Callable[[Request], HttpAnswer]] = {
            "/state": self._state,
            "/report.html": self._report_page,
            "/report.json": self._report_document,
        }
        self._writes: dict[str, tuple[Fields, Callable[[Mapping[str, Any]], object]]] = {
            "/answer": (
                {"client": _CLIENT, "question": Field(Whole(1, 2**31)), "answer": Field(Text(choices=_ANSWERS))},
                lambda body: board.answer(body["question"], Answer(body["answer"]), body["client"]),
            ),
            "/seat": ({"client": _CLIENT}, lambda body: board.take_seat(body["client"])),
            "/abort": ({"client": _CLIENT}, lambda body: board.abort(body["client"])),
            "/close": ({"client": _CLIENT}, lambda body: board.close(body["client"])),
        }
        self._server = Server(listening, self._handle, problem)
        board.on_change = self._server.wake
        self._server.start()

    def close(self) -> None:
        """Answer those who wait, and stop."""
        self._board.on_change = lambda: None
        self._server.close()

    # --- requests -------------------------------------------------------------------------------------------------

    def _handle(self, request: Request) -> HttpAnswer:
        try:
            self._doorkeeper.check(request)
            return self._answer(request)
        except Problem as found:
            return found.response()
        except Refused as refusal:
            data = {"code": refusal.code, "detail": str(refusal)}
            return Response(409, to_json(data), headers=SAFE_HEADERS)

    def _answer(self, request: Request) -> HttpAnswer:
        method = "GET" if request.method == "HEAD" else request.method
        path = request.path
        if method == "GET" and path in ("/station.js", "/station.css", *_FONTS):
            return self._pages.page(path[1:])
        if path == "/" and method == "GET":
            return self._page(request)
        if not self._has_token(request):
            raise Problem("unauthorized", "open the address that sco-hwtest has printed")
        if method == "GET" and path in self._reads:
            return self._reads[path](request)
        if method == "GET" and path.startswith("/pictures/"):
            return self._picture(path)
        if method == "POST" and path in self._writes:
            fields, act = self._writes[path]
            act(read_body(request, fields))
            return Response(200, b"{}", headers=SAFE_HEADERS)
        if path in self._reads or path in self._writes:
            raise Problem("method_not_allowed", headers=(("Allow", "GET" if path in self._reads else "POST"),))
        raise Problem("no_such_path", f"there is no {path[:100]}")

    def _has_token(self, request: Request, *more: str) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        shown = [bearer.strip() if scheme.lower() == "bearer" else "", *more]
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            cookie = None
        shown.append("" if cookie is None else cookie.value)
        return any(hmac.compare_digest(one.encode("utf-8", "replace"), self._token.encode()) for one in shown)

    def _page(self, request: Request) -> Response:
        """The page; with the token in its address, that token as a cookie."""
        given = parse_qs(request.query, max_num_fields=20).get("token", [""])[0] if len(request.query) < 500 else ""
        if not self._has_token(request, given):
            return replace(self._pages.page("locked.html"), status=401)
        found = self._pages.page("station.html")
        cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return replace(found, headers=(*found.headers, ("Set-Cookie", cookie)))

    def _state(self, request: Request) -> HttpAnswer:
        """The board, once it has changed after the version that the browser has."""
        query = read_query(request, _STATE)
        client: str = query["client"]
        self._board.seen(client)

        def now() -> Response:
            self._board.seen(client)
            return Response(200, to_json(self._board.document(client, HERE_S)), headers=SAFE_HEADERS)

        def changed() -> Response | None:
            return now() if self._board.version != query["after"] else None

        wait_s = min(query["wait_s"], POLL_S)
        return changed() or (Later(changed, time.monotonic() + wait_s, now) if wait_s else now())

    def _picture(self, path: str) -> Response:
        parts = path.split("/")[2:]
        png = None
        if len(parts) == 2 and all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
            png = self._board.picture(int(parts[0]), int(parts[1]))
        if png is None:
            raise Problem("no_such_path", "there is no such picture")
        return Response(200, png, "image/png", SAFE_HEADERS)

    def _report(self) -> Report:
        report = self._board.report
        if report is None:
            raise Refused("not_finished", "The run has not ended yet.")
        return report

    def _report_page(self, request: Request) -> Response:
        report = self._report()
        headers = (*_saved_as(request, report, "html"), ("Content-Security-Policy", _REPORT_POLICY), *SAFE_HEADERS)
        return Response(200, run_page.html(report).encode(), "text/html; charset=utf-8", headers)

    def _report_document(self, request: Request) -> Response:
        report = self._report()
        body = json.dumps(report.as_json(), ensure_ascii=False, indent=2).encode()
        return Response(200, body, "application/json", (*_saved_as(request, report, "json"), *SAFE_HEADERS))


_ANSWERS = tuple(answer.value for answer in Answer)
_FONTS = ("/Roboto-Regular.ttf", "/Roboto-Bold.ttf")


def _saved_as(request: Request, report: Report, suffix: str) -> tuple[tuple[str, str], ...]:
    """The header that makes a browser save the file, where the address asks for it."""
    if request.query != "download":
        return ()
    name = time.strftime("sco-hwtest-%Y-%m-%d-%H%M", time.localtime(report.started))
    return (("Content-Disposition", f'attachment; filename="{name}.{suffix}"'),)


def _own_address(family: socket.AddressFamily) -> str:
    """The address by which this machine's network reaches it; its own where there is no network. Sends nothing."""
    outside = ("2001:db8::1", 9) if family is socket.AF_INET6 else ("192.0.2.1", 9)  # documentation's, never reached
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(outside)
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if family is socket.AF_INET6 else "127.0.0.1"
