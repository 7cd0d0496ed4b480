"""A whole self-checkout on one web page: what `sco-pay demo --web` runs.

The lane's service is the program that ships, in a process of its own, so that it can be killed with the mouse; bank,
phone, printer and NFC tag are the simulators at its wires, in this process. The page shows the service's own pages.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import urllib3
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sco_payment.settings import TOKEN_VARIABLE
from sco_sim.local import free_port, settings_text, web_server, write_private
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.paymaster.phone import phone_routes
from sco_sim.printer import VirtualPrinter

log = logging.getLogger(__name__)

_JOURNAL = "demo-journal.db"
_POLL_S = 0.2
_START_S = 120.0
_PROXY_S = 30.0
_KINDS = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}
_PASSED_ON = ("accept", "authorization", "content-type")  # of a request to the service
_GIVEN_BACK = ("content-type", "cache-control", "content-security-policy", "retry-after", "etag")
PIN = "1234"


class Refused(Exception):
    """The desk cannot do that now; says why."""


class LaneProcess:
    """`sco-pay serve` in a process of its own.

    Args:
        folder: for settings, journal, tokens and log.
        document: the settings but for display mode, service and journal.
        token: PayMaster's.
    """

    def __init__(self, folder: Path, document: Mapping[str, Mapping[str, Any]], token: str) -> None:
        self._folder = folder.resolve()  # settings name files from their own folder
        self._document = document
        own = {name: value for name, value in os.environ.items() if not name.startswith("SCO_")}
        self._environment = {**own, TOKEN_VARIABLE: token}  # settings of a real lane in the environment are not for it
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.tokens = {role: secrets.token_urlsafe(24) for role in ("till", "attendant")}
        for role, secret in self.tokens.items():
            write_private(self._folder / f"{role}.token", secret)
        write_private(self._folder / "operators", f"Иванова: {PIN}\n")
        self._log = self._folder / "service.log"
        self._log.unlink(missing_ok=True)

    @property
    def running(self) -> bool:
        """Whether there is such a process."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self, mode: int, **service: object) -> None:
        """Start it in that display mode, with these settings of the service; returns when it answers.

        Raises:
            Refused: it does not start; the log says why.
        """
        settings = write_private(self._folder / "lane.toml", settings_text(self._document_of(mode, service)))
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sco_payment.cli.main", "-v", "serve", "--settings", str(settings)],
                stdout=output,
                stderr=output,
                env=self._environment,
            )
        end = time.monotonic() + _START_S
        while self.running and time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), 1.0).close()
                return
            time.sleep(0.02)
        self.kill()
        last = self._log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
        raise Refused(f"the lane's service does not start: {last}; see {self._log}")

    def _document_of(self, mode: int, service: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
        document: dict[str, Any] = {
            **self._document,
            "display": {"mode": mode, "plate": "dynamic"},
            "journal": {"path": str(self._folder / _JOURNAL)},
            "service": {
                "listen": f"127.0.0.1:{self._port}",
                "operators_file": str(self._folder / "operators"),
                **service,
            },
        }
        for role in self.tokens:
            document[f"service.clients.{role}"] = {"role": role, "token_file": str(self._folder / f"{role}.token")}
        return document

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Till:
    """What a till does: begins a payment, waits for its outcome, and says that it has it."""

    def __init__(self, lane: LaneProcess) -> None:
        self._lane = lane
        self._http = urllib3.PoolManager(retries=False, timeout=5.0)
        self._numbers = itertools.count(1)
        self.payment: dict[str, Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether a payment is under way."""
        return self.payment is not None and self.payment["outcome"] is None

    def begin(self, kopecks: int) -> None:
        """Begin a payment of a new order.

        Raises:
            Refused: the lane refuses it or is not there.
        """
        if self.busy:
            raise Refused("a payment is under way")
        number = str(next(self._numbers))
        self.payment = self._ask("PUT", f"/v1/payments/{number}", {"order": number, "total_kopecks": kopecks})
        threading.Thread(target=self._follow, args=(number,), name="till", daemon=True).start()

    def _follow(self, number: str) -> None:
        while self.busy:
            time.sleep(_POLL_S)
            with contextlib.suppress(Refused):  # the service was stopped: its journal has the payment
                found = self._ask("GET", f"/v1/payments/{number}")
                if found["outcome"] is not None:
                    found = self._ask("POST", f"/v1/payments/{number}/taken", {})
                self.payment = found

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._lane.tokens['till']}"}
        try:
            answer = self._http.request(method, self._lane.url + path, headers=headers, json=body)
            data = dict(answer.json())
        except (urllib3.exceptions.HTTPError, ValueError):
            raise Refused("the lane's service does not answer") from None
        if answer.status >= 400:
            raise Refused(f"{data.get('title')}: {data.get('detail')}")
        return data


class Desk:
    """The whole on one page at `url`.

    Args:
        folder: for settings, journal, tokens and log; made if need be.
        mode: display mode to begin with.
        port: of the page; 0 for a free one.

    Raises:
        Refused: the port is taken; the lane's service does not start. OSError: no such folder can be made.
    """

    def __init__(self, folder: Path, *, mode: int = 1, port: int = 0) -> None:
        self._folder = folder
        self._mode = mode
        self._lock = threading.Lock()  # one change of the lane at a time
        self._faults = {"network": False, "paper": False, "service": False}
        self._stack = contextlib.ExitStack()
        self._proxy = urllib3.PoolManager(retries=False, maxsize=20, timeout=urllib3.Timeout(3.0, read=_PROXY_S))
        try:
            self._socket = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise Refused(f"port {port}: {error.strerror}; choose another one with --port") from None
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.enter_context(self._socket)
            self._folder.mkdir(parents=True, exist_ok=True)
            for suffix in ("", "-wal", "-shm", ".lock"):
                (self._folder / (_JOURNAL + suffix)).unlink(missing_ok=True)
            self.paymaster = self._stack.enter_context(PayMasterSimulator())
            self.printer = self._stack.enter_context(VirtualPrinter())
            self.reader = self._stack.enter_context(VirtualReader())
            self.lane = LaneProcess(self._folder, self._document(), self.paymaster.token)
            self.till = Till(self.lane)
            self._stack.enter_context(web_server(self._app(), self._socket, "desk"))
            self._stack.callback(self.lane.stop)  # before the page, which may be waiting for it
            self.lane.start(self._mode)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _document(self) -> dict[str, dict[str, Any]]:
        return {
            "lane": {"pos_id": "KSO-1", "shop": "Магазин у дома"},
            "paymaster": {"base_url": self.paymaster.base_url, "merchant_id": self.paymaster.merchant_id},
            "timing": {"poll_interval_s": 1.0, "poll_timeout_s": 10.0, "invoice_life_s": 180.0, "grace_s": 60.0},
            "devices": {"printer": self.printer.url, "nfc": self.reader.url},
        }

    # --- the page's own part ------------------------------------------------------------------------------------

    def _app(self) -> Starlette:
        phone = phone_routes(
            self.paymaster.phone,
            self.paymaster,
            lambda body, status=200: JSONResponse(body, status),
            lambda line: None,
        )
        phone[0] = Route("/phone", phone[0].endpoint)
        return Starlette(
            routes=[
                *(Route(path, _page(name)) for path, name in (("/", "demo.html"), ("/demo.css", ""), ("/demo.js", ""))),
                *phone,
                Route("/desk/state", self._state),
                Route("/desk/paper.png", lambda request: _picture(self.printer.image)),
                Route("/desk/ticket.png", self._ticket),
                Route("/desk/pay", self._post(lambda body: self.till.begin(int(body["kopecks"]))), methods=["POST"]),
                Route("/desk/mode", self._post(lambda body: self.use_mode(int(body["mode"]))), methods=["POST"]),
                Route(
                    "/desk/fault",
                    self._post(lambda body: self.set_fault(str(body["name"]), bool(body["on"]))),
                    methods=["POST"],
                ),
                Route("/{path:path}", self._pass_on, methods=["GET", "POST"]),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        )

    def _state(self, request: Request) -> Response:
        tickets = len(self.printer.tickets)
        return JSONResponse(
            {
                "mode": self._mode,
                "busy": self.till.busy or self._lock.locked(),
                "payment": self.till.payment,
                "printed": tickets,
                "tag": str(self.reader.tag.uri() or ""),
                "faults": self._faults,
                "attendant": f"/attendant#token={self.lane.tokens['attendant']}",
                "pin": PIN,
            }
        )

    def _ticket(self, request: Request) -> Response:
        """The last ticket, as a customer holds it."""
        tickets = self.printer.tickets
        return _picture(tickets[-1].image) if tickets else Response(status_code=404)

    def _post(self, act: Callable[[dict[str, Any]], None]) -> Callable[[Request], Any]:
        async def handler(request: Request) -> Response:
            if request.headers.get("content-type") != "application/json":  # a foreign page cannot send that
                return JSONResponse({"error": "send JSON"}, 415)
            body = await request.json()
            try:
                await run_in_threadpool(act, body)
            except Refused as error:
                return JSONResponse({"error": str(error)}, 409)
            return JSONResponse({})

        return handler

    def use_mode(self, mode: int) -> None:
        """Restart the lane in another display mode. Raises Refused."""
        with self._lock:
            if self.till.busy:
                raise Refused("a payment is under way")
            self._mode = mode
            if self.lane.running:
                self.lane.stop()
                self.lane.start(mode)

    def set_fault(self, name: str, on: bool) -> None:
        """Bring about `network`, `paper` or `service`, or end it. Raises Refused."""
        with self._lock:
            match name, on:
                case "network", True:
                    self.paymaster.go_offline()
                case "network", False:
                    self.paymaster.go_online()
                case "paper", True:
                    self.printer.run_out_of_paper()
                case "paper", False:
                    self.printer.load_paper()
                case "service", True:
                    self.lane.kill()
                case "service", False:
                    if not self.lane.running:
                        self.lane.start(self._mode)
                case _:
                    raise Refused(f"no fault {name!r}")
            self._faults[name] = on

    # --- the service's part -------------------------------------------------------------------------------------

    async def _pass_on(self, request: Request) -> Response:
        """Ask the service, as if its pages were here: this page may show them in frames then."""
        here = self.url.rstrip("/")
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        if (origin := request.headers.get("origin")) is not None:
            headers["origin"] = self.lane.url if origin == f"http://{request.headers['host']}" else origin
        url = self.lane.url + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = await request.body()
        try:
            answer = await run_in_threadpool(
                lambda: self._proxy.request(request.method, url, headers=headers, body=body or None, redirect=False)
            )
        except urllib3.exceptions.HTTPError:
            return JSONResponse({"title": f"the service behind {here} does not answer"}, 502)
        back = {name: answer.headers[name] for name in _GIVEN_BACK if name in answer.headers}
        if "content-security-policy" in back:
            back["content-security-policy"] = back["content-security-policy"].replace(
                "frame-ancestors 'none'", "frame-ancestors 'self'"
            )
        return Response(answer.data, answer.status, back)


def _page(name: str) -> Callable[[Request], Response]:
    def handler(request: Request) -> Response:
        file = name or request.url.path.lstrip("/")
        return Response(files(__package__).joinpath(file).read_bytes(), media_type=_KINDS[file.rpartition(".")[2]])

    return handler


def _picture(image: Callable[[], Any]) -> Response:
    data = io.BytesIO()
    image().save(data, format="PNG")
    return Response(data.getvalue(), media_type="image/png", headers={"Cache-Control": "no-store"})
