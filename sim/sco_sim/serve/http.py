"""The HTTP API of mock devices; `openapi.yaml` next to this file describes it."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, Literal, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sco_sim.local import web_server
from sco_sim.serve.bench import PLACES, MockBench, Place, Refused
from sco_sim.serve.customer import Customer, Customers, Deed
from sco_sim.serve.faults import BY_NAME, CATALOGUE, FaultOptions
from sco_sim.serve.sight import Button

_PICTURES: tuple[Place | Literal["roll"], ...] = (*PLACES, "roll")
_LONGEST_WAIT_S = 300.0


class CustomerBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /customers`."""

    does: Deed = "pays"
    place: Place | None = None
    after_s: float = 0.0
    patience_s: float = 60.0


class PaperBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /paper`."""

    left_mm: float | None = None


class TapBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /touch`: a button, or a px."""

    button: Button | None = None
    x: int | None = None
    y: int | None = None


Body = TypeVar("Body")
Handler = Callable[[Request], Any]


class Api:
    """The API.

    Args:
        bench: what it drives.
        url: of the API, for the answers.
    """

    def __init__(self, bench: MockBench, url: str) -> None:
        self._bench = bench
        self._url = url
        self.customers = Customers(bench)

    def urls(self) -> dict[str, Any]:
        """What `GET /` answers."""
        return {"url": self._url, **self._bench.urls()}

    def routes(self) -> list[Route]:
        """Each resource."""
        return [
            Route("/", self._get(lambda request: self.urls())),
            Route("/openapi.yaml", self._openapi),
            Route("/state", self._get(lambda request: {**self._bench.state(), "customers": self.customers.as_json()})),
            *(Route(f"/{name}.png", self._picture(name)) for name in _PICTURES),
            *(Route(f"/{name}/link", self._get(self._read(name))) for name in PLACES),
            Route("/faults", self._get(lambda request: {"faults": self._faults()})),
            Route("/faults/{name}", self._with(FaultOptions, self._begin_fault), methods=["PUT"]),
            Route("/faults/{name}", self._get(self._end_fault), methods=["DELETE"]),
            Route("/customers", self._with(CustomerBody, self._customer_comes, 201), methods=["POST"]),
            Route("/customers/{id:int}", self._get(self._customer)),
            Route("/customers/{id:int}", self._get(self._send_away), methods=["DELETE"]),
            Route("/paper", self._with(PaperBody, self._load_paper), methods=["POST"]),
            Route("/ticket/take", self._with(None, lambda request, _: self._take_ticket()), methods=["POST"]),
            Route("/touch", self._with(TapBody, self._tap), methods=["POST"]),
            Route("/reset", self._with(None, lambda request, _: self._reset()), methods=["POST"]),
        ]

    def app(self, *, any_host: bool) -> Starlette:
        """The application. Unless `any_host`, it answers only those who know it as this machine."""
        hosts = ["*"] if any_host else ["127.0.0.1", "localhost"]
        return Starlette(
            routes=self.routes(),
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
            exception_handlers={HTTPException: _problem},
        )

    # --- the resources ------------------------------------------------------------------------------------------

    def _openapi(self, request: Request) -> Response:
        return Response(files(__package__).joinpath("openapi.yaml").read_bytes(), media_type="application/yaml")

    def _picture(self, name: Place | Literal["roll"]) -> Handler:
        def handler(request: Request) -> Response:
            try:
                picture = self._bench.picture(name)
            except Refused as refused:
                raise HTTPException(404, str(refused)) from None
            data = io.BytesIO()
            picture.save(data, format="PNG")
            return Response(data.getvalue(), media_type="image/png", headers={"Cache-Control": "no-store"})

        return handler

    def _read(self, place: Place) -> Callable[[Request], dict[str, Any]]:
        return lambda request: {"link": self._bench.read(place)}

    def _faults(self) -> list[dict[str, Any]]:
        on = self._bench.faults
        return [
            {
                "name": one.name,
                "meaning": one.meaning,
                "options": list(one.options),
                "once": one.end is None,
                "on": one.name in on,
            }
            for one in CATALOGUE
        ]

    def _begin_fault(self, request: Request, options: FaultOptions) -> dict[str, Any]:
        name = _fault_name(request)
        self._bench.begin_fault(name, options)
        return {"name": name, "on": name in self._bench.faults}

    def _end_fault(self, request: Request) -> dict[str, Any]:
        name = _fault_name(request)
        self._bench.end_fault(name)
        return {"name": name, "on": False}

    def _customer_comes(self, request: Request, body: CustomerBody) -> dict[str, Any]:
        for name in ("after_s", "patience_s"):
            if not 0 <= getattr(body, name) <= 86_400:
                raise HTTPException(400, f"{name} must be from 0 to 86400")
        return self.customers.come(body.does, body.place, body.after_s, body.patience_s).as_json()

    def _customer(self, request: Request) -> dict[str, Any]:
        one = self._find(request)
        one.wait(_wait_s(request))
        return one.as_json()

    def _send_away(self, request: Request) -> dict[str, Any]:
        one = self._find(request)
        one.leave()
        return one.as_json()

    def _find(self, request: Request) -> Customer:
        one = self.customers.find(request.path_params["id"])
        if one is None:
            raise HTTPException(404, f"there is no customer {request.path_params['id']} since the last reset")
        return one

    def _load_paper(self, request: Request, body: PaperBody) -> dict[str, Any]:
        if body.left_mm is not None and not 0 <= body.left_mm <= 1_000_000:
            raise HTTPException(400, "left_mm must be from 0 to 1000000")
        self._bench.load_paper(body.left_mm)
        return {"left_mm": body.left_mm}

    def _take_ticket(self) -> dict[str, Any]:
        self._bench.printer.ticket_taken()
        return {}

    def _tap(self, request: Request, body: TapBody) -> dict[str, Any]:
        if body.button is not None and body.x is None and body.y is None:
            x, y = self._bench.tap_button(body.button)
        elif body.button is None and body.x is not None and body.y is not None:
            x, y = body.x, body.y
            self._bench.tap(x, y)
        else:
            raise HTTPException(400, 'write {"button": "retry"}, {"button": "cancel"} or {"x": 512, "y": 384}')
        return {"x": x, "y": y}

    def _reset(self) -> dict[str, Any]:
        self.customers.leave()
        self._bench.reset()
        return {}

    # --- around them --------------------------------------------------------------------------------------------

    def _get(self, answer: Callable[[Request], dict[str, Any]]) -> Handler:
        def handler(request: Request) -> Response:
            return _answered(lambda: answer(request))

        return handler

    def _with(
        self, kind: type[Body] | None, answer: Callable[[Request, Any], dict[str, Any]], status: int = 200
    ) -> Handler:
        async def handler(request: Request) -> Response:
            raw = await request.body()
            # A foreign page in a browser on this machine can send a form, but no JSON.
            if raw and request.headers.get("content-type", "").partition(";")[0] != "application/json":
                raise HTTPException(415, "send the body as application/json")
            if "origin" in request.headers:
                raise HTTPException(403, "this API is not for web pages")
            try:
                body = msgspec.json.decode(raw or b"{}", type=kind or dict[str, None])
            except msgspec.DecodeError as error:
                raise HTTPException(400, f"the body: {error}") from None
            return await run_in_threadpool(_answered, lambda: answer(request, body), status)

        return handler


def _answered(answer: Callable[[], dict[str, Any]], status: int = 200) -> Response:
    try:
        return JSONResponse(answer(), status)
    except Refused as refused:
        raise HTTPException(409, str(refused)) from None


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _fault_name(request: Request) -> str:
    name = str(request.path_params["name"])
    if name not in BY_NAME:
        raise HTTPException(404, f"there is no fault {name!r}; GET /faults lists them")
    return name


def _wait_s(request: Request) -> float:
    try:
        wait_s = float(request.query_params.get("wait_s", "0"))
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= _LONGEST_WAIT_S:
        raise HTTPException(400, f"wait_s must be from 0 to {_LONGEST_WAIT_S:g}")
    return wait_s


@contextlib.contextmanager
def serving(bench: MockBench, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Api]:
    """The API in a thread, until the end of the block.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server((host, port))
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - to find it, not to listen on it
    api = Api(bench, f"http://{shown}:{listener.getsockname()[1]}")
    app = api.app(any_host=host not in ("127.0.0.1", "localhost"))
    try:
        with web_server(app, listener, "mock-bench"):
            try:
                yield api
            finally:
                api.customers.leave()
    finally:
        listener.close()
