"""The resources of the contract (`openapi.yaml`): what each of them reads and does. Money is decided by the lane."""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from sco_drivers.errors import DeviceError
from sco_drivers.printer import Document, DocumentRefused, DuplicateTicket, Item, Line, PrintOutcome, PrintResult, Raw
from sco_payment.journal import codec, resolutions
from sco_payment.journal.resolutions import Resolution
from sco_payment.lane import Lane
from sco_payment.order import NotAcceptable, Order, UnknownAttempt
from sco_service.messages import Answer, Later, Response, Stream
from sco_service.pages import Pages
from sco_service.payments import Job, Payments
from sco_service.problems import SAFE_HEADERS, Problem, to_json
from sco_service.records import Records
from sco_service.routing import Call, Field, Flag, Number, Route, Text, Texts, Whole, ok
from sco_service.screen import ScreenHub, qr_png, qr_svg
from sco_service.security import ATTENDANT, EVERYBODY, MONITOR, TILL, Pins, is_local

Json = dict[str, Any]
_KOPECKS = 10**12
_SEQ = 2**53 - 1
_BEGIN_S = 60.0
_RECORDED_S = 3.0
_RAW_BYTES = 65_536

ID = Text(pattern=re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}"))
_BY_ID = {"id": Field(ID)}
_AFTER = {"after": Field(Whole(0, _SEQ), 0), "wait_s": Field(Number(0, 25), 0.0)}
_VERSION = {"v": Field(Whole(0, _SEQ), None)}
_NEW_PAYMENT = {
    "order": Field(Text()),
    "total_kopecks": Field(Whole(1, _KOPECKS)),
    "leg_kopecks": Field(Whole(1, _KOPECKS), None, nullable=True),
    "tendered_elsewhere_kopecks": Field(Whole(0, _KOPECKS), 0),
    "tendered_by_sbp_kopecks": Field(Whole(0, _KOPECKS), 0),
}
_TILL = frozenset({TILL})
_ATTENDANT = frozenset({ATTENDANT})
_PEOPLE = frozenset({TILL, ATTENDANT})


class Health(Protocol):
    """What the service knows of its lane."""

    def health(self) -> Json:
        """The lane, as the contract has it."""

    def problems(self) -> list[str]:
        """Why the lane can take no payment now."""

    def metrics(self) -> str:
        """Prometheus's text format."""


class Resources:
    """Answers the requests of the contract.

    Args:
        lane, records, payments, screen: of the lane.
        pins: of the attendants.
        health: of lane and service.
        pages: for browsers.
    """

    def __init__(
        self,
        lane: Lane,
        *,
        records: Records,
        payments: Payments,
        screen: ScreenHub,
        pins: Pins,
        health: Health,
        pages: Pages,
    ) -> None:
        self._lane = lane
        self._records = records
        self._payments = payments
        self._screen = screen
        self._pins = pins
        self._health = health
        self._pages = pages
        self._printing = threading.Lock()
        self._deciding = threading.Lock()

    def routes(self) -> list[Route]:
        """Every method of every resource."""
        payment = "/v1/payments/{id}"
        number = {"number": Field(Whole(1, 2**31 - 1))}
        resolve = {
            "operator": Field(Text(1, 100)),
            "reason": Field(Text(1, 1000)),
            "pin": Field(Text(0, 32), None, nullable=True),
            "phase": Field(Text(choices=tuple(codec.PHASES.values())), None, nullable=True),
        }
        receipt = {
            "id": Field(ID),
            "lines": Field(Texts(500, Text(0, 500)), None, nullable=True),
            "octets_base64": Field(Text(4, 87_384), None, nullable=True),
            "cut": Field(Flag(), default=True),
        }
        button = {"button": Field(Text(choices=("retry", "cancel")))}
        return [
            Route("PUT", payment, self._begin, _TILL, where=_BY_ID, body=_NEW_PAYMENT),
            Route("GET", payment, self._payment, EVERYBODY, where=_BY_ID),
            Route("GET", "/v1/payments", self._of_order, EVERYBODY, query={"order": Field(Text())}),
            Route("GET", f"{payment}/events", self._payment_events, EVERYBODY, where=_BY_ID, query=_AFTER),
            Route("GET", "/v1/events", self._events, EVERYBODY, query=_AFTER),
            Route("POST", f"{payment}/choice", self._choose, _PEOPLE, where=_BY_ID, body=button, screen=True),
            Route("POST", f"{payment}/cancel", self._cancel, _PEOPLE, where=_BY_ID, body={}),
            Route("POST", f"{payment}/taken", self._taken, _TILL, where=_BY_ID, body={}),
            Route(
                "POST",
                f"{payment}/not_accepted",
                self._not_accepted,
                _TILL,
                where=_BY_ID,
                body={"reason": Field(Text(1, 300))},
            ),
            Route("POST", f"{payment}/print_again", self._print_again, _PEOPLE, where=_BY_ID, body={}),
            Route("GET", "/v1/screen", self._get_screen, EVERYBODY, query=_AFTER, screen=True),
            Route("GET", "/v1/screen/qr.svg", self._qr_svg, EVERYBODY, query=_VERSION, screen=True),
            Route(
                "GET",
                "/v1/screen/qr.png",
                self._qr_png,
                EVERYBODY,
                query={**_VERSION, "module_px": Field(Whole(1, 20), 8)},
                screen=True,
            ),
            Route("GET", "/v1/lane", lambda call: ok(self._health.health()), EVERYBODY),
            Route("POST", "/v1/tag/enable", self._enable_tag, _ATTENDANT, body={}),
            Route("GET", "/v1/cases", self._cases, EVERYBODY, query={"open": Field(Flag(), default=True)}),
            Route("GET", "/v1/cases/{number}", self._case, EVERYBODY, where=number),
            Route("POST", "/v1/cases/{number}/resolve", self._resolve, _ATTENDANT, where=number, body=resolve),
            Route("POST", "/v1/receipts", self._print, _TILL, body=receipt),
            Route("GET", "/metrics", self._metrics, frozenset({MONITOR})),
            Route("GET", "/healthz", self._healthz, None),
            Route("GET", "/v1/openapi.yaml", self._contract, None),
            Route("GET", "/screen", lambda call: self._pages.page("screen.html"), None),
            Route("GET", "/attendant", lambda call: self._pages.page("attendant.html"), None),
            Route("GET", "/pages/{name}", self._page, None, where={"name": Field(Text())}),
        ]

    # --- payments ---------------------------------------------------------------------------------------------

    def _begin(self, call: Call) -> Answer:
        body, till_id = call.body, call.path["id"]
        order = Order(
            body["order"],
            body["total_kopecks"],
            body["tendered_elsewhere_kopecks"],
            body["tendered_by_sbp_kopecks"],
            body["leg_kopecks"],
        )
        job, is_new = self._payments.begin(till_id, order)
        if job is None:
            return ok(self._present(self._payments.key(till_id)))
        return self._when_begun(job, 201 if is_new else 200)

    def _when_begun(self, job: Job, status: int) -> Later:
        """The payment, once its first step is on disk; or why there will be none."""

        def begun() -> Response | None:
            if job.begun:
                return ok(self._present(job.key), status)
            return job.problem.response() if job.problem is not None else None

        def too_late() -> Response:
            if job.withdraw():
                return Problem("lane_busy", "the lane could not begin in time: nothing was begun").response()
            detail = "the payment's first step is being written: ask again with the same body"
            return begun() or Problem("journal_unavailable", detail).response()

        return Later(begun, time.monotonic() + _BEGIN_S, too_late, counted=False)

    def _present(self, key: str) -> Json:
        data = self._records.payment(key)
        if data is None:
            raise Problem("no_such_payment")
        return data

    def _key(self, call: Call) -> str:
        """The attempt that the path means: by the till's id, or by its own key. Raises Problem."""
        till_id = call.path["id"]
        self._payments.check_begun(till_id)
        key = self._payments.key(till_id)
        for one in (key, till_id):
            if self._records.state(one) is not None:
                return one
        if any(self._records.journal.has_archived(one) for one in (key, till_id)):
            raise Problem("payment_archived")
        raise Problem("no_such_payment", f"no payment {till_id} was begun on this lane")

    def _payment(self, call: Call) -> Answer:
        return ok(self._present(self._key(call)))

    def _of_order(self, call: Call) -> Answer:
        self._payments.check_begun(order_no=call.query["order"])
        return ok({"payments": self._records.of_order(call.query["order"])})

    def _choose(self, call: Call) -> Answer:
        if not self._lane.choose(self._key(call), call.body["button"]):
            raise Problem("not_offered")
        return ok({"accepted": True})

    def _cancel(self, call: Call) -> Answer:
        till_id = call.path["id"]
        job = self._payments.job(till_id)
        if job is not None and not job.begun:
            self._payments.cancel(till_id, job.key)
            return self._when_begun(job, 202)
        key = self._key(call)
        data = self._present(key)
        if data["outcome"] is not None:
            return ok(data)
        self._payments.cancel(till_id, key)
        return ok(data, 202)

    def _taken(self, call: Call) -> Answer:
        key = self._key(call)
        try:
            self._lane.acknowledge(key)
        except UnknownAttempt as error:
            raise Problem("no_outcome_yet", str(error)) from None
        return ok(self._present(key))

    def _not_accepted(self, call: Call) -> Answer:
        key = self._key(call)
        try:
            self._lane.refuse_outcome(key, call.body["reason"])
        except UnknownAttempt as error:
            raise Problem("no_outcome_yet", str(error)) from None
        except NotAcceptable as error:
            raise Problem("not_acceptable", str(error)) from None
        return ok(self._present(key))

    # --- events -----------------------------------------------------------------------------------------------

    def _payment_events(self, call: Call) -> Answer:
        return self._events_of(call, self._key(call))

    def _events(self, call: Call) -> Answer:
        return self._events_of(call, None)

    def _events_of(self, call: Call, key: str | None) -> Answer:
        after = call.query["after"]
        if call.wants_events:
            return self._event_stream(call, key, after)
        cursor, journal = after, self._records.journal.id()

        def page(events: list[Json]) -> Response:
            return ok({"events": events, "next_after": cursor, "journal": journal})

        def poll() -> Response | None:
            nonlocal cursor
            events, cursor = self._records.events(cursor, key)
            return page(events) if events else None

        first = poll()
        if first is not None or not call.query["wait_s"]:
            return first or page([])
        until = time.monotonic() + call.query["wait_s"]
        return Later(poll, until, lambda: poll() or page([]))

    def _event_stream(self, call: Call, key: str | None, after: int) -> Answer:
        last = call.request.headers.get("last-event-id", "")
        cursor = int(last) if last.isdecimal() and len(last) < 17 else after
        self._records.events(cursor, key)  # an archive is reported before the stream begins

        def poll() -> bytes:
            nonlocal cursor
            events, cursor = self._records.events(cursor, key)
            return b"".join(_server_sent(event["seq"], event["type"], event) for event in events)

        return _stream(poll)

    # --- the screen -------------------------------------------------------------------------------------------

    def _get_screen(self, call: Call) -> Answer:
        screen = self._screen
        if call.wants_events:
            sent = 0

            def next_version() -> bytes:
                nonlocal sent
                if screen.version == sent:
                    return b""
                data = screen.as_json()
                sent = data["version"]
                return _server_sent(sent, "screen", data)

            return _stream(next_version)
        after = call.query["after"]
        if screen.version != after or not call.query["wait_s"]:
            return ok(screen.as_json())
        return Later(
            lambda: ok(screen.as_json()) if screen.version != after else None,
            time.monotonic() + call.query["wait_s"],
            lambda: ok(screen.as_json()),
        )

    def _qr_svg(self, call: Call) -> Answer:
        return Response(200, qr_svg(self._link(call)), "image/svg+xml", SAFE_HEADERS)

    def _qr_png(self, call: Call) -> Answer:
        return Response(200, qr_png(self._link(call), call.query["module_px"]), "image/png", SAFE_HEADERS)

    def _link(self, call: Call) -> str:
        link = self._screen.link(call.query["v"])
        if link is None:
            raise Problem("no_code")
        return link

    # --- cases ------------------------------------------------------------------------------------------------

    def _cases(self, call: Call) -> Answer:
        return ok({"cases": self._records.cases(include_closed=not call.query["open"])})

    def _case(self, call: Call) -> Answer:
        return ok(self._records.case_with_evidence(call.path["number"]))

    def _resolve(self, call: Call) -> Answer:
        """As `sco-pay cases --close`: the decision is left for the lane, on disk, which records it when it is idle."""
        number, body = call.path["number"], call.body
        self._records.case(number)
        for field in ("operator", "reason"):
            if not body[field].strip():
                raise Problem("bad_field", f"{field} is blank", field=field)
        self._pins.check(body["operator"], body["pin"])
        operator, reason = body["operator"].strip(), body["reason"].strip()
        with self._deciding:  # two attendants may decide at the same time
            self._decide(number, operator, reason, body["phase"])

        def recorded() -> Response | None:
            data = self._records.case(number)
            if data["closed_at_ms"] is None:
                return None
            if (data["operator"], data["resolution"]) != (operator, reason):
                raise Problem("case_closed", f"case {number} was closed by {data['operator']}")
            return ok({"recorded": True, "case": data})

        return Later(
            recorded,
            time.monotonic() + _RECORDED_S,
            lambda: recorded() or ok({"recorded": False, "case": self._records.case(number)}),
            counted=False,  # it is decided: no refusal may say otherwise
        )

    def _decide(self, number: int, operator: str, reason: str, phase: str | None) -> None:
        """Leave the decision, unless there is one. Raises Problem where that is another one, or news overtook it."""
        journal = self._records.journal
        waiting = resolutions.pending(journal.path).get(number)
        case = journal.case(number)  # after the decisions that wait: one that was recorded meanwhile is in the case
        if case.closed_at_ms is not None:
            raise Problem("case_closed", f"case {number} was closed by {case.operator}")
        if waiting is not None:
            if (waiting.operator, waiting.resolution) != (operator, reason):
                raise Problem("case_closed", f"{waiting.operator} has decided case {number} before")
            return
        seen = phase or case.phase
        if resolutions.overtaken(seen, case.phase):
            raise Problem("payment_changed", f"the payment was {seen} when this was decided, and is {case.phase} now")
        at_ms = time.time_ns() // 1_000_000
        resolutions.submit(journal.path, Resolution(number, operator, reason, at_ms, seen, case.attempt))

    # --- paper, tag, health -----------------------------------------------------------------------------------

    def _enable_tag(self, call: Call) -> Answer:
        self._lane.enable_tag()
        return ok({"enabled": True})

    def _print(self, call: Call) -> Answer:
        lines, octets = call.body["lines"], call.body["octets_base64"]
        if (lines is None) == (octets is None):
            raise Problem("bad_field", "give either lines or octets_base64", field="lines")
        items: list[Item]
        if lines is not None:
            items = [Line(line, centred=False) for line in lines]
        else:
            try:
                items = [Raw(base64.b64decode(octets, validate=True))]
            except (binascii.Error, ValueError):
                raise Problem("bad_field", "octets_base64 is not base64", field="octets_base64") from None
        document = Document(f"till:{call.body['id']}", items, cut=call.body["cut"])
        return self._printed(lambda printer: printer.print_document(document))

    def _print_again(self, call: Call) -> Answer:
        key = self._key(call)
        again = self._lane.ticket_again(key)
        if again is None:
            raise Problem("not_printable")
        return self._printed(lambda printer: printer.print_ticket(again))

    def _printed(self, work: Callable[[Any], PrintResult]) -> Answer:
        """Print, one document at a time: a printer that hangs must not take every worker with it."""
        if not self._printing.acquire(blocking=False):
            raise Problem("printer_unavailable", "another document is being printed: ask again")
        try:
            return self._print_now(work)
        finally:
            self._printing.release()

    def _print_now(self, work: Callable[[Any], PrintResult]) -> Answer:
        try:
            printer = self._lane.printer
            if printer is None:
                raise Problem("printer_unavailable", "the lane has no printer")
            result = work(printer)
        except DuplicateTicket as error:
            raise Problem("printed_before", str(error)) from None
        except DocumentRefused as error:
            raise Problem("document_refused", str(error)) from None
        except DeviceError as error:
            self._lane.printer_lost(error)
            raise Problem("printer_unavailable", str(error)) from None
        self._lane.printer_lost(result.error)
        if result.outcome is PrintOutcome.NOT_PRINTED:
            raise Problem("printer_unavailable", f"{result.evidence}: {result.error}")
        return ok({"outcome": result.outcome.value, "evidence": result.evidence})

    def _metrics(self, call: Call) -> Answer:
        body = self._health.metrics().encode()
        return Response(200, body, "text/plain; version=0.0.4; charset=utf-8", SAFE_HEADERS)

    def _healthz(self, call: Call) -> Answer:
        problems = self._health.problems()
        shown = problems if is_local(call.request.peer) else []  # no token is asked for: nothing about the machine
        return ok({"ok": not problems, "problems": shown}, 503 if problems else 200)

    def _contract(self, call: Call) -> Answer:
        return Response(200, contract(), "application/yaml", SAFE_HEADERS)

    def _page(self, call: Call) -> Answer:
        return self._pages.page(call.path["name"])


def routes() -> list[Route]:
    """Every method of every resource, for the documentation: without a lane none of them answers."""
    return Resources.__new__(Resources).routes()


def contract() -> bytes:
    """The contract's text: with this package, or in the source tree where it is worked on."""
    here = Path(str(files("sco_service")))
    for path in (here / "openapi.yaml", here.parent.parent / "till" / "openapi.yaml"):
        if path.is_file():
            return path.read_bytes()
    raise Problem("no_such_path", "this installation lacks openapi.yaml")


def _stream(poll: Callable[[], bytes]) -> Stream:
    return Stream(poll, headers=SAFE_HEADERS)


def _server_sent(number: int, name: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2)."""
    return f"id: {number}\nevent: {name}\ndata: ".encode() + to_json(data) + b"\n\n"
