"""The server: the lanes' API and, where they are installed, the office's pages and the settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sco_fleet import lanes_api, settings_api
from sco_fleet.http import Problem, answer, with_database
from sco_fleet.office.app import office_app
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.pool import Pool


def create_app(pool: Pool, office: OfficeSettings | None = None) -> Starlette:
    """The application over an open pool, which it closes at its end.

    Args:
        pool: connections in autocommit mode.
        office: settings of the office's page, which is at /office.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        pool.close()

    routes: list[BaseRoute] = [Route("/health", get_health), *lanes_api.ROUTES, *settings_api.ROUTES]
    routes.append(Route("/", get_page))
    routes.append(Mount("/office", office_app(pool, office or OfficeSettings())))
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={Problem: _problem, HTTPException: _http_problem, Exception: _unforeseen},
    )
    app.state.pool = pool
    app.state.batches = asyncio.Semaphore(lanes_api.BATCHES_AT_ONCE)
    return app


async def get_page(request: Request) -> Response:
    """To the office's page."""
    return RedirectResponse("/office/")


async def get_health(request: Request) -> Response:
    """For a load balancer: whether the database answers."""
    await with_database(request, lambda db: db.execute("SELECT 1"))
    return answer({"status": "ok"})


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = Problem(error.status_code, "http", str(error.detail)).response()
    response.headers.update(error.headers or {})
    return response


async def _unforeseen(request: Request, error: Exception) -> Response:
    return Problem(500, "unforeseen", "the server failed; see its log").response()
