"""The simulated PayMaster on real HTTP: API v2 with bearer auth, and the customer's phone, each on a port of its own.

Faults are real ones: a cut connection is a reset on the socket, a lane that is offline cannot get through at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import formatdate
from functools import partial
from typing import Any, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sco_payment.money import format_amount
from sco_sim.paymaster.bank import Bank, BankPayment, Refusal
from sco_sim.paymaster.notify import Notifier
from sco_sim.paymaster.phone import Phone, phone_routes
from sco_sim.paymaster.script import Call, Fault, Script
from sco_sim.paymaster.wires import Wires, listen

log = logging.getLogger(__name__)

TOKEN = "simulator-token"  # noqa: S105 - of a bank without money
MERCHANT_ID = "simulator-merchant"
_PAGE = 50
_NEXT_TRY_S = 20.0
_HEARTBEAT_S = 0.05
_JSON = msgspec.json.Encoder(decimal_format="number")
Handler = Callable[[Request], Awaitable[Response]]


class PayMasterSimulator:
    """A bank in a thread.

    Args:
        port, phone_port: of the API and of the phone; 0 takes free ones.
        host: the address to listen on.
        token, merchant_id: what the lane must send.
        clock: s since the epoch; a demo's may run faster.
        script: what customers, bank and network do, see `script`.
        shop: the name on the phone.
        on_call: receives a line about each call of the API and the phone; by default they go to the log.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        phone_port: int = 0,
        host: str = "127.0.0.1",
        token: str = TOKEN,
        merchant_id: str = MERCHANT_ID,
        clock: Callable[[], float] = time.time,
        script: str = "leaves",
        shop: str = "Магазин у дома",
        on_call: Callable[[str], None] = log.info,
    ) -> None:
        self._on_call = on_call
        self.token = token
        self.next_token = f"{token}-2"
        self.merchant_id = merchant_id
        self._notifier = Notifier(lambda payment: _JSON.encode(payment.body()))
        self.script = Script()
        self.bank = Bank(lambda: clock() + self.script.clock_ahead_s, shop=shop, on_final=self._notifier.notify)
        self.bank.on_create = self._customer_comes
        self.phone = Phone(self.bank)
        self._host, self._ports = host, (port, phone_port)
        self._sockets: list[socket.socket] = []
        self._offline = threading.Event()
        self._wires = Wires(self._offline)
        self.use(script)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._heart: threading.Event = threading.Event()

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen. Raises OSError when a port is taken."""
        for port in self._ports:
            try:
                listener = listen(self._host, port)
            except OSError:
                self.close()
                raise
            self._sockets.append(listener)
        self._ports = tuple(listener.getsockname()[1] for listener in self._sockets)
        self._wires.api_port = self._ports[0]
        config = uvicorn.Config(
            self._app(),
            http=self._wires.protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="paymaster-simulator", daemon=True)
        self._thread.start()
        threading.Thread(target=self._beat, name="paymaster-simulator-time", daemon=True).start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)
        return self

    def _serve(self) -> None:
        assert self._server is not None
        asyncio.run(self._server.serve(sockets=self._sockets))

    def _beat(self) -> None:
        """Time passes at the bank, whether anyone asks or not."""
        while not self._heart.wait(_HEARTBEAT_S):
            self.bank.advance()
            self._wires.listen_if_due(self.bank.clock())

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._heart.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(5.0)
        self._notifier.close()
        for listener in self._sockets:
            listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """Where the API is; valid once started."""
        return f"http://{self._host}:{self._ports[0]}"

    @property
    def phone_url(self) -> str:
        """Where the customer's phone is; valid once started."""
        return f"http://{self._host}:{self._ports[1]}/"

    # --- fault controls -----------------------------------------------------------------------------------------------

    def use(self, script: str) -> None:
        """Change what happens from now on. Raises BadScript."""
        self.script = Script.parse(script)
        self.bank.behaviours = self.script.behaviours
        self._wires.listen_soon()

    @property
    def offline(self) -> bool:
        """Whether the lane's network is cut."""
        return self._offline.is_set()

    def go_offline(self) -> None:
        """The lane's network fails: open connections are reset, new ones fail. Phones stay online."""
        self._offline.set()
        self._wires.cut_all()

    def go_online(self) -> None:
        """The lane's network is back."""
        self._offline.clear()

    def _customer_comes(self, payment: BankPayment) -> None:
        script, at = self.script, payment.created + self.script.after_s
        match script.customer:
            case "pays":
                self.bank.plan(at, partial(self.bank.settle, payment.id))
            case "declines":
                self.bank.plan(at, partial(self.bank.decline, payment.id))
            case "declines-then-pays":
                self.bank.plan(at, partial(self.bank.reject_and_settle, payment.id, _NEXT_TRY_S))
            case "pays-late":
                self.bank.plan((payment.expires or at) + script.after_s, partial(self.bank.force_settle, payment.id))
            case _:
                pass

    # --- HTTP ------------------------------------------------------------------------------------------------------

    def _app(self) -> Starlette:
        api = "/api/v2"
        return Starlette(
            routes=[
                Route(f"{api}/payments", self._api("create", self._create), methods=["POST"]),
                Route(f"{api}/payments", self._api("list", self._list), methods=["GET"]),
                Route(f"{api}/payments/{{id}}", self._api("get", self._get), methods=["GET"]),
                Route(f"{api}/payments/{{id}}/cancel", self._api("cancel", self._cancel), methods=["PUT"]),
                Route(f"{api}/stickers", self._api(None, self._create_sticker), methods=["POST"]),
                Route(f"{api}/stickers/{{id}}", self._api(None, self._sticker), methods=["GET", "PUT"]),
                Route(f"{api}/refunds", self._api(None, self._refund), methods=["POST"]),
                Route(f"{api}/", self._root, methods=["GET"]),
                *phone_routes(self.phone, self, self._answer, self._on_call),
            ]
        )

    def _answer(self, body: Any, status: int = 200, **headers: str) -> Response:
        dated = {"Date": formatdate(self.bank.clock(), usegmt=True), **headers}
        content = b"" if body is None else _JSON.encode(body)
        return Response(content, status, dated, media_type="application/json" if content else None)

    def _api(self, call: Call | None, handler: Handler) -> Handler:
        answer_to = self._guarded(call, handler)

        async def reported(request: Request) -> Response:
            answer = await answer_to(request)
            what = "cut" if self._wires.is_cut(request) else str(answer.status_code)
            self._on_call(f"{request.method} {request.url.path} -> {what}{_about(answer)}")
            return answer

        return reported

    def _guarded(self, call: Call | None, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            token = self.next_token if "token-replaced" in self.script.behaviours else self.token
            if request.headers.get("authorization") != f"Bearer {token}":
                return self._answer({"code": "not_authorized", "message": "The token is not accepted"}, 401)
            payment = self.bank.payments.get(request.path_params.get("id", ""))
            age = None if payment is None else self.bank.clock() - payment.created
            fault = self.script.fault_for(call, age) if call is not None else None
            early = await self._before(request, fault)
            if early is not None:
                return early
            try:
                answer = await handler(request)
            except Refusal as refusal:
                answer = self._answer(refusal.body(), refusal.status)
            return self._after(request, fault, answer)

        return guarded

    async def _before(self, request: Request, fault: Fault | None) -> Response | None:
        match fault:
            case Fault(kind="500"):
                return self._answer({"code": "internal_error", "message": "Something broke"}, 500)
            case Fault(kind="429"):
                wait = f"{fault.wait_s:g}"
                body = {"code": "too_many_requests", "message": "Slow down"}
                return self._answer(body, 429, **{"Retry-After": wait})
            case Fault(kind="503"):
                body = {"code": "unavailable", "message": "Under maintenance"}
                return self._answer(body, 503, **{"Retry-After": f"{fault.wait_s:g}"})
            case Fault(kind="401"):
                return self._answer({"code": "not_authorized", "message": "The token is not accepted"}, 401)
            case Fault(kind="404"):
                return self._answer({"code": "not_found", "message": "There is no such payment"}, 404)
            case Fault(kind="slow"):
                await asyncio.sleep(fault.wait_s)
            case Fault(kind="late"):
                await self._take_effect_later(request, fault.wait_s)
                self._wires.cut(request)
                return Response(status_code=500)  # goes nowhere
            case Fault(kind="cut-before"):
                self._wires.cut(request)
                return Response(status_code=500)  # goes nowhere: the wire is cut
        return None

    def _after(self, request: Request, fault: Fault | None, answer: Response) -> Response:
        match fault:
            case Fault(kind="500-after"):
                return self._answer({"code": "internal_error", "message": "Something broke"}, 500)
            case Fault(kind="repeated"):
                return self._answer({"code": "duplicate_request", "message": "The request was sent twice"}, 409)
            case Fault(kind="down"):
                assert self._server is not None
                self._wires.refuse(self._server, self.bank.clock() + fault.wait_s)
            case Fault(kind="garbage"):
                return Response(b"<html>maintenance", 200)
            case Fault(kind="cut-after"):
                self._wires.cut(request)
        return answer

    async def _root(self, _: Request) -> Response:
        return self._answer(None)

    async def _create(self, request: Request) -> Response:
        raw = await request.body()
        payment = self.bank.create(_decoded(raw), request.headers.get("idempotency-key"), raw)
        return self._answer(payment.body())

    async def _get(self, request: Request) -> Response:
        return self._answer(self.bank.get(request.path_params["id"]).body())

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        found = self.bank.list(_time(query.get("start")), _time(query.get("end")))
        first = int(query.get("cursor", "0"))
        page: dict[str, Any] = {"items": [payment.body() for payment in found[first : first + _PAGE]]}
        if "list-nameless" in self.script.behaviours:
            for item in page["items"]:
                item["invoice"] = {"description": item["invoice"]["description"]}
        if first + _PAGE < len(found):
            page["cursor"] = str(first + _PAGE)
        return self._answer(page)

    async def _take_effect_later(self, request: Request, wait_s: float) -> None:
        raw, key = await request.body(), request.headers.get("idempotency-key")
        payment_id = request.path_params.get("id", "")

        def take_effect() -> None:
            with contextlib.suppress(Refusal):
                if request.method == "POST":
                    self.bank.create(_decoded(raw), key, raw)
                elif request.method == "PUT":
                    self._cancel_now(payment_id)

        self.bank.plan(self.bank.clock() + wait_s, take_effect)

    async def _cancel(self, request: Request) -> Response:
        self._cancel_now(request.path_params["id"])
        return self._answer(None)

    def _cancel_now(self, payment_id: str) -> None:
        """Raises Refusal."""
        if self.script.customer == "pays-at-cancel":
            self.bank.settle(payment_id)
        self.bank.cancel(payment_id)
        if self.script.customer == "pays-after-cancel":
            self.bank.force_settle(payment_id)

    async def _create_sticker(self, request: Request) -> Response:
        data = _decoded(await request.body())
        return self._answer(
            self.bank.add_sticker(
                cashlink=data.get("cashlink") is True, description=str(data.get("description", ""))
            ).body()
        )

    async def _sticker(self, request: Request) -> Response:
        sticker = self.bank.sticker(request.path_params["id"])
        if request.method == "PUT":
            sticker.active = _decoded(await request.body()).get("active") is True
        return self._answer(sticker.body())

    async def _refund(self, request: Request) -> Response:
        self.bank.refund()
        return self._answer({"id": "refund", "status": "Pending"})


def _about(answer: Response) -> str:
    """The payment in an answer, or what the bank says against the request."""
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:  # nothing, or what a fault has made of it
        return ""
    if not isinstance(body, dict):
        return ""
    match body:
        case {"code": code}:
            return f" {code}"
        case {"items": list(items)}:
            return f" {len(items)} payments"
        case {"id": number, "status": status, "amount": {"value": value}, "invoice": dict(invoice)}:
            amount = format_amount(round(value * 100))
            return f" payment {number} is {status}, {amount}, order {invoice.get('orderNo', '?')}"
        case _:
            return ""


def _decoded(raw: bytes) -> Any:
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise Refusal(400, "validation_error", "The body is not JSON", (str(error),)) from None
    if not isinstance(data, dict):
        raise Refusal(400, "validation_error", "The body must be an object")
    return data


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise Refusal(400, "validation_error", "start and end must be ISO 8601 times") from None
