"""Which resource answers a request, what it may be sent, and by whom. Every refusal is a `Problem`."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from sco_payment.journal import JournalError, NoSuchCase, RowsArchived
from sco_service.messages import Answer, Later, Request, Response
from sco_service.problems import SAFE_HEADERS, Problem, to_json
from sco_service.records import NeverWritten
from sco_service.security import SCREEN, Client, Clients, Doorkeeper, is_local

log = logging.getLogger(__name__)


# --- fields of bodies, parameters of queries --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `low` to `high` characters."""

    low: int = 1
    high: int = 64
    pattern: re.Pattern[str] | None = None
    choices: tuple[str, ...] = ()

    def read(self, value: object) -> str:
        """The text. Raises ValueError."""
        if not isinstance(value, str):
            raise ValueError("must be text")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must be text that UTF-8 can hold") from None
        if self.choices and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}")
        if not self.low <= len(value) <= self.high:
            raise ValueError(f"must have {self.low} to {self.high} characters, found {len(value)}")
        if self.pattern is not None and not self.pattern.fullmatch(value):
            raise ValueError(f"must match {self.pattern.pattern}")
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    low: int
    high: int

    def read(self, value: object) -> int:
        """The number. Raises ValueError."""
        if type(value) is not int:  # 19.99 * 100 is 1998.9999999999998
            raise ValueError("must be a whole number")
        if not self.low <= value <= self.high:
            raise ValueError(f"must be from {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    low: float
    high: float

    def read(self, value: object) -> float:
        """The number. Raises ValueError."""
        if type(value) not in (int, float) or not math.isfinite(float(value)):  # type: ignore[arg-type]
            raise ValueError("must be a number")
        if not self.low <= float(value) <= self.high:  # type: ignore[arg-type]
            raise ValueError(f"must be from {self.low:g} to {self.high:g}")
        return float(value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def read(self, value: object) -> bool:
        """The value. Raises ValueError."""
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of texts."""

    high: int
    each: Text

    def read(self, value: object) -> list[str]:
        """The texts. Raises ValueError."""
        if not isinstance(value, list) or not 1 <= len(value) <= self.high:
            raise ValueError(f"must be a list of 1 to {self.high} texts")
        return [self.each.read(one) for one in value]


Kind = Text | Whole | Number | Flag | Texts
_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body or a parameter of a query; without `default` it must be there. Null means the default."""

    kind: Kind
    default: Any = _REQUIRED
    nullable: bool = False


Fields = Mapping[str, Field]


def read_fields(data: Mapping[str, Any], expected: Fields) -> dict[str, Any]:
    """The value of each expected field.

    Raises:
        Problem: one is missing, wrong or unknown.
    """
    for name in data:
        if name not in expected:
            names = ", ".join(expected) or "none"
            raise Problem("unknown_field", f"unknown {name[:64]!r}; expected: {names}", field=name[:64])
    values: dict[str, Any] = {}
    for name, one in expected.items():
        if name not in data or (one.nullable and data[name] is None):
            if one.default is _REQUIRED:
                raise Problem("bad_field", f"{name} is missing", field=name)
            values[name] = one.default
            continue
        try:
            values[name] = one.kind.read(data[name])
        except ValueError as error:
            raise Problem("bad_field", f"{name} {error}", field=name) from None
    return values


def read_body(request: Request, expected: Fields) -> dict[str, Any]:
    """The fields of a JSON body. Raises Problem."""
    if not request.body:
        data: Any = {}
        if "content-type" not in request.headers and expected:
            raise Problem("bad_json", "the body is empty")
    else:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise Problem("unsupported_media", f"the body is {media[:64] or 'of no stated type'}, not application/json")
        try:
            data = json.loads(request.body.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise Problem("bad_json", f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(data, dict):
        raise Problem("bad_json", "the body must be a JSON object")
    return read_fields(data, expected)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a field is given twice")
    return data


def read_query(request: Request, expected: Fields) -> dict[str, Any]:
    """The parameters of a query. Raises Problem."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise Problem("bad_field", "the query cannot be read") from None
    data: dict[str, Any] = {}
    for name, text in pairs:
        if name in data:
            raise Problem("bad_field", f"{name[:64]} is given twice", field=name[:64])
        data[name] = _plain(text, expected[name].kind) if name in expected else text
    return read_fields(data, expected)


def _plain(text: str, kind: Kind) -> object:
    if isinstance(kind, Whole):
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
    if isinstance(kind, Number):
        return float(text) if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,18})?", text) else text
    if isinstance(kind, Flag):
        return {"true": True, "false": False}.get(text, text)
    return text


# --- routes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered.

    Attributes:
        request: the request.
        path: what the path's placeholders stand for.
        query, body: by name.
        client: who asks; None where no token is needed.
    """

    request: Request
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    client: Client | None

    @property
    def wants_events(self) -> bool:
        """Whether the client asked for server-sent events."""
        return "text/event-stream" in self.request.headers.get("accept", "")


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a resource.

    Attributes:
        method: its name.
        path: its segments; `{name}` stands for one that is read by `where`.
        answer: what answers it.
        roles: who may; None for everybody, without a token.
        where, query, body: what it takes.
        screen: a browser on the lane's own machine may, without a token, where the settings allow it.
    """

    method: str
    path: str
    answer: Callable[[Call], Answer]
    roles: frozenset[str] | None
    where: Fields = field(default_factory=dict)
    query: Fields = field(default_factory=dict)
    body: Fields | None = None
    screen: bool = False


class Router:
    """Finds the route of each request, and lets through what is allowed.

    Args:
        routes: what there is.
        clients: who may ask.
        doorkeeper: refuses what came through another site's page.
        screen_without_token: see `Route.screen`.
    """

    def __init__(
        self, routes: Sequence[Route], clients: Clients, doorkeeper: Doorkeeper, *, screen_without_token: bool
    ) -> None:
        self._routes = [(tuple(route.path.strip("/").split("/")), route) for route in routes]
        self._clients = clients
        self._doorkeeper = doorkeeper
        self._screen_without_token = screen_without_token

    def __call__(self, request: Request) -> Answer:
        """Answer a request; never raises a problem of the client's."""
        try:
            return self._answer(request)
        except Problem as problem:
            return problem.response()
        except Exception as error:
            return as_problem(error).response()

    def _answer(self, request: Request) -> Answer:
        self._doorkeeper.check(request)
        method = "GET" if request.method == "HEAD" else request.method
        segments = tuple(request.path.strip("/").split("/"))
        found = [(names, route) for names, route in self._routes if _matches(names, segments)]
        if not found:
            raise Problem("no_such_path", f"there is no {request.path[:100]}; see /v1/openapi.yaml")
        for names, route in found:
            if route.method == method:
                return self._let_in(request, route, names, segments)
        allowed = ", ".join(sorted({route.method for _, route in found}))
        raise Problem("method_not_allowed", f"{request.path[:100]} has {allowed}", headers=(("Allow", allowed),))

    def _let_in(self, request: Request, route: Route, names: tuple[str, ...], segments: tuple[str, ...]) -> Answer:
        client = self._client(request, route)
        path = _read_path(route, names, segments)
        query = read_query(request, route.query)
        body = read_body(request, route.body) if route.body is not None else {}
        if route.body is None and request.body:
            raise Problem("bad_json", "this method takes no body")
        return guarded(route.answer(Call(request, path, query, body, client)))

    def _client(self, request: Request, route: Route) -> Client | None:
        if route.roles is None:
            return None
        authorization = request.headers.get("authorization")
        if authorization is None and route.screen and self._screen_without_token and is_local(request.peer):
            return Client("", SCREEN)
        client = self._clients.of(authorization or "")
        if client is None:
            challenge = (("WWW-Authenticate", 'Bearer realm="sco-pay"'),)
            detail = "unknown token" if authorization else "send Authorization: Bearer TOKEN"
            raise Problem("unauthorized", detail, headers=challenge)
        if client.role not in route.roles:
            raise Problem("forbidden", f"{client.name} is a {client.role}; needed: {', '.join(sorted(route.roles))}")
        return client


def _matches(names: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return len(names) == len(segments) and all(
        name == segment or name.startswith("{") for name, segment in zip(names, segments, strict=True)
    )


def _read_path(route: Route, names: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, segment in zip(names, segments, strict=True):
        if not name.startswith("{"):
            continue
        placeholder = name[1:-1]
        try:
            text = unquote(segment, errors="strict")
        except ValueError:
            raise Problem("bad_field", f"{placeholder} is not UTF-8", field=placeholder) from None
        values[placeholder] = _plain(text, route.where[placeholder].kind)
    return read_fields(values, route.where)


def as_problem(error: Exception) -> Problem:
    """The problem that a client gets for an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, NoSuchCase):
        code = "case_closed" if "closed" in str(error) else "no_such_case"
        return Problem(code, str(error))
    if isinstance(error, RowsArchived):
        return Problem("events_archived", str(error), first_seq=error.last_row + 1)
    if isinstance(error, NeverWritten):
        return Problem("events_archived", str(error), first_seq=error.first_row)
    if isinstance(error, JournalError):
        return Problem("journal_unavailable", str(error))
    log.error("a request failed in an unforeseen way", exc_info=error)
    return Problem("internal", f"unforeseen: {type(error).__name__}: see the service's log")


def guarded(answer: Answer) -> Answer:
    """An answer whose later parts turn errors into problems too."""
    if isinstance(answer, Later):
        later = answer

        def poll() -> Response | None:
            try:
                return later.poll()
            except Exception as error:
                return as_problem(error).response()

        def at_end() -> Response:
            try:
                return later.at_end()
            except Exception as error:
                return as_problem(error).response()

        return Later(poll, later.until, at_end, later.counted)
    return answer


def ok(data: Mapping[str, Any], status: int = 200) -> Response:
    """An answer with JSON."""
    return Response(status, to_json(data), "application/json", SAFE_HEADERS)
