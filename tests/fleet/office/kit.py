"""Visitors of the office's page, as a browser without scripts is one."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psycopg
import urllib3
from psycopg.rows import dict_row


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sent; `text` with references resolved."""

    status: int
    headers: Any
    body: bytes

    @property
    def source(self) -> str:
        return self.body.decode()

    @property
    def text(self) -> str:
        return html.unescape(self.source)


class Office:
    """The page's address and database."""

    def __init__(self, server: str, database: str) -> None:
        self.server, self.database = server, database

    def rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.database, autocommit=True, row_factory=dict_row) as db:
            return db.execute(query.encode(), values or None).fetchall()

    def execute(self, query: str, **values: object) -> None:
        with psycopg.connect(self.database, autocommit=True) as db:
            db.execute(query.encode(), values or None)

    def visitor(self, role: str = "") -> Visitor:
        """Somebody who has logged in with that role; nobody without one."""
        found = Visitor(self.server)
        if role:
            assert found.log_in(role, f"password of {role}").status == 303
        return found


class Visitor:
    """Keeps cookies and follows no redirect."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.cookies: dict[str, str] = {}
        self._http = urllib3.PoolManager(retries=False, timeout=60.0)

    def log_in(self, name: str, password: str) -> Answer:
        return self.send("login", {"name": name, "password": password}, csrf=None)

    def get(self, path: str, headers: dict[str, str] | None = None, **query: object) -> Answer:
        return self._request("GET", path + (f"?{urlencode(query)}" if query else ""), headers or {})

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("password").source)
        return found[1] if found else ""

    def send(
        self, path: str, form: dict[str, Any], *, csrf: str | None = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """POST a form with the session's token, another one, or none."""
        fields = dict(form)
        if csrf is not None:
            fields["csrf"] = csrf or self.csrf()
        if any(isinstance(value, tuple) for value in fields.values()):
            body, kind = urllib3.encode_multipart_formdata(fields)
        else:
            body, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        return self._request("POST", path, {"Content-Type": kind, **(headers or {})}, body)

    def _request(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        found = self._http.request(
            method,
            f"{self.server}/office/{path}",
            headers={**({"Cookie": cookies} if cookies else {}), **headers},
            body=body,
            redirect=False,
        )
        for line in found.headers.getlist("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return Answer(found.status, found.headers, found.data)
