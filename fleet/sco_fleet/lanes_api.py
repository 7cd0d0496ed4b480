"""What lanes ask the server: see `openapi.yaml`. Each answer comes after the COMMIT of what it reports."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sco_fleet import heartbeat, ingest
from sco_fleet.http import Problem, answer, decoded, lane_of, read_body, read_packed, turn, with_database
from sco_fleet.records import MAX_BYTES, Batch

_STATUS = {ingest.DIFFERENT_ROW: 409, ingest.GAP: 409, ingest.BROKEN_CHAIN: 422}
BATCHES_AT_ONCE = 64
"""Unpacked in memory: one has some 400 kB then, and thousands come when lanes were cut off for long."""
_LONGEST_REPORT = 256 * 1024
_LONGEST_EPOCH = 128


async def post_records(request: Request) -> Response:
    """Rows of a lane's journal."""
    lane_id = await lane_of(request)
    body = await read_packed(request, MAX_BYTES)
    async with turn(request.app.state.batches):
        batch = decoded(body(), Batch)
        found = await with_database(request, partial(ingest.store, lane_id=lane_id, batch=batch))
    if isinstance(found, ingest.Stored):
        return answer(asdict(found))
    details: dict[str, Any] = {"epoch": batch.epoch, "seq": found.seq}
    if found.hash:
        details["stored_hash" if found.code == ingest.DIFFERENT_ROW else "hash"] = found.hash
    raise Problem(_STATUS[found.code], found.code, found.message, **details)


async def get_head(request: Request) -> Response:
    """The last stored row of a journal."""
    lane_id = await lane_of(request)
    epoch = request.query_params.get("epoch", "")
    if not 0 < len(epoch) <= _LONGEST_EPOCH or not epoch.isprintable():
        raise Problem(422, "malformed", f"name the journal: ?epoch=ID, at most {_LONGEST_EPOCH} printable characters")
    return answer(asdict(await with_database(request, partial(ingest.head, lane_id=lane_id, epoch=epoch))))


async def post_heartbeat(request: Request) -> Response:
    """The lane's health; answered with what the office has for it."""
    lane_id = await lane_of(request)
    report = decoded(await read_body(request, _LONGEST_REPORT), heartbeat.Report)
    return answer(await with_database(request, partial(heartbeat.receive, lane_id=lane_id, report=report)))


ROUTES = [
    Route("/lane/v1/records", post_records, methods=["POST"]),
    Route("/lane/v1/records/head", get_head, methods=["GET"]),
    Route("/lane/v1/heartbeat", post_heartbeat, methods=["POST"]),
]
