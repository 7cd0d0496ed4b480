"""Many lanes as the server sees them: their rows, made from a real payment's, and their connections."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.instant_bank import InstantBank
from sco_payment.assemble import open_lane
from sco_payment.journal import Journal, codec
from sco_payment.order import Order
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping

Row = tuple[int, int, str, str, int, str, str, str, str, str]
"""As in a journal: seq, at_ms, attempt, kind, version, lane_id, acquirer, body, prev_hash, hash."""


def real_payment(folder: Path) -> list[Row]:
    """The rows of one paid payment, as a lane writes them."""
    path = folder / "template.db"
    with InstantBank() as bank:
        settings = settings_from_mapping(
            {
                "lane": {"pos_id": "K", "shop": "S"},
                "paymaster": {"base_url": bank.url, "merchant_id": "m"},
                "timing": {"poll_interval_s": 0.1},
                "journal": {"path": str(path)},
            },
            {TOKEN_VARIABLE: "t"},
        )
        with open_lane(settings, token=Token("t")) as lane:
            lane.pay(Order("A-000001", 25_300), deliver=lambda result: None)
    with Journal(path, read_only=True) as journal:
        return list(journal.raw_rows(0, limit=100, max_bytes=1 << 20))


def rows_of(lane_id: str, template: Sequence[Row], payments: int, first_ms: int) -> Iterator[list[Row]]:
    """The rows of so many payments of a lane, payment by payment, in one chain from row 1 on."""
    seq, last = 0, codec.GENESIS
    key = template[0][2]
    for number in range(payments):
        attempt = f"{lane_id}-{number:06}".rjust(len(key), "0")
        rows: list[Row] = []
        for _, _, _, kind, version, _, acquirer, body, _, _ in template:
            seq += 1
            text = body.replace(key, attempt).replace("A-000001", f"A-{number:06}")
            at_ms = first_ms + number * 60_000 + len(rows) * 1_000
            row = (seq, at_ms, attempt, kind, version, lane_id, acquirer, text, last)
            last = codec.row_hash(*row)
            rows.append((*row, last))
        yield rows


def request_of(epoch: str, rows: Sequence[Row], token: str, *, zipped: bool = True) -> bytes:
    """The whole HTTP request that sends rows."""
    body = json.dumps({"epoch": epoch, "rows": rows}, ensure_ascii=False, separators=(",", ":")).encode()
    coding = ""
    if zipped:
        body, coding = gzip.compress(body, 6), "Content-Encoding: gzip\r\n"
    return (
        f"POST /lane/v1/records HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\n{coding}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


@dataclass(slots=True)
class Result:
    """What came of a load: seconds of each request, in all, and what was answered but 200, by status."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    refused: dict[int, int] = field(default_factory=dict)
    broken: int = 0
    finished: list[float] = field(default_factory=list)
    """When each lane had its last acknowledgement, in s from the start."""


class _Lane(asyncio.Protocol):
    """One connection that sends its requests, each when the one before is answered."""

    def __init__(self, requests: Sequence[bytes], result: Result, over: asyncio.Future[bool]) -> None:
        self._requests, self._result, self._over = requests, result, over
        self._next, self._sent, self._buffer = 0, 0.0, b""
        self.status = 0
        self.retry_after_s = 1.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, whole, body = self._buffer.partition(b"\r\n\r\n")
        if not whole:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        self.status = int(head.split(b" ", 2)[1])
        if self.status != 200:
            self._result.refused[self.status] = self._result.refused.get(self.status, 0) + 1
            self.retry_after_s = float(lower.partition(b"retry-after:")[2].partition(b"\r\n")[0] or 1)
            self._end(False)
            return
        self._result.latencies_s.append(time.perf_counter() - self._sent)
        self._next += 1
        if self._next == len(self._requests):
            self._end(True)
        else:
            self._send()

    def _end(self, good: bool) -> None:
        if not self._over.done():
            self._over.set_result(good)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over.done():
            self._result.broken += 1
            self._over.set_result(False)


async def _serve(
    lanes: Sequence[Sequence[bytes]], ports: Sequence[int], again_s: float, limit_s: float, result: Result
) -> None:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()

    async def one(number: int, requests: Sequence[bytes]) -> None:
        done, wait_s = 0, again_s
        while done < len(requests) and time.perf_counter() - start < limit_s:
            over: asyncio.Future[bool] = loop.create_future()
            try:
                _, lane = await loop.create_connection(
                    lambda rest=requests[done:], over=over: _Lane(rest, result, over),  # type: ignore[misc]
                    "127.0.0.1",
                    ports[number % len(ports)],
                )
                await asyncio.wait_for(over, max(0.1, limit_s - (time.perf_counter() - start)))
                done += lane._next
                wait_s = max(wait_s, lane.retry_after_s) if lane.status != 200 else again_s
            except (OSError, TimeoutError):
                result.broken += 1
            if done < len(requests):
                spread = (number * 7919 % 1000) / 1000  # each lane waits for a time of its own, as a shipper does
                await asyncio.sleep(wait_s * (0.5 + spread))
                wait_s = min(wait_s * 2, 30.0)
        if done == len(requests):
            result.finished.append(time.perf_counter() - start)

    await asyncio.gather(*(one(number, requests) for number, requests in enumerate(lanes)))
    result.seconds = time.perf_counter() - start


def send(
    lanes: Sequence[Sequence[bytes]], ports: Sequence[int], *, again_s: float = 0.5, limit_s: float = 120.0
) -> Result:
    """Let each lane send its requests on a connection of its own, all at once; refused ones are sent again later."""
    result = Result()
    asyncio.run(_serve(lanes, ports, again_s, limit_s, result))
    return result
