"""What lanes ask the server about their settings: the signed bundle, and where they report what became of it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sco_fleet.http import Problem, answer, decoded, lane_of, read_body, with_database
from sco_fleet.settings import offers

_LONGEST_REPORT = 64 * 1024


class Report(msgspec.Struct, frozen=True):
    """What became of a bundle on the lane; version 0 is one that could not even be read."""

    version: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    hash: Annotated[str, Meta(max_length=64, pattern="^[^\\x00]*$")]
    status: Literal["applied", "refused"]
    reason: str = ""


async def get_settings(request: Request) -> Response:
    """The newest bundle that the lane may get now."""
    lane_id = await lane_of(request)
    bundle = await with_database(request, partial(offers.pull, lane_id=lane_id))
    if bundle is None:
        raise Problem(404, "no_settings", "the office has no settings for this lane")
    return Response(bundle.encode(), media_type="application/json")


async def post_report(request: Request) -> Response:
    """Applied, or refused and why."""
    lane_id = await lane_of(request)
    report = decoded(await read_body(request, _LONGEST_REPORT), Report)
    await with_database(
        request,
        partial(
            offers.report,
            lane_id=lane_id,
            version=report.version,
            digest=report.hash,
            status=report.status,
            reason=report.reason,
        ),
    )
    return answer({})


ROUTES = [
    Route("/lane/v1/settings", get_settings, methods=["GET"]),
    Route("/lane/v1/settings/report", post_report, methods=["POST"]),
]
