"""The server against slow, broken and hostile clients, without a database, and with tokens that do not serve."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sco_fleet import embedded, http, lanes, lanes_api, protocol
from sco_fleet.app import create_app
from sco_fleet.database import migrate
from sco_fleet.pool import open_pool
from tests.fleet.kit import Fleet, listening, ship
from tests.payment.journal.kit import full

pytestmark = pytest.mark.program("pg_createcluster")

ROUTES = [("POST", "/records"), ("GET", "/records/head?epoch=e"), ("POST", "/heartbeat")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "token", ["", "x", "sco1.bGFuZS0x." + "A" * 43, "sco1." + "A" * 390 + "." + "A" * 43, "sco1.gICA." + "A" * 43]
)
def test_nobody_is_answered_without_a_lanes_token(fleet: Fleet, method: str, path: str, token: str) -> None:
    fleet.add_lane()
    found = fleet.request(method, path, token, b"{" if method == "POST" else None)
    assert found.status == 401
    assert found.body["error"]["code"] in ("no_token", "bad_token")
    assert found.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_is_of_one_lane_and_stored_as_a_hash(fleet: Fleet) -> None:
    token = fleet.add_lane("Касса 1")
    assert fleet.request("GET", "/records/head?epoch=e", token).status == 200
    assert token not in str(fleet.rows("SELECT lanes::text FROM lanes"))
    with psycopg.connect(fleet.database, autocommit=True) as db:
        other = lanes.add(db, "lane-2", "Shop 8")
        mixed = ".".join([*token.split(".")[:2], other.split(".")[2]])
        assert lanes.authenticate(db, mixed) is None
        assert lanes.authenticate(db, other) == "lane-2"


def test_a_token_is_renewed_without_a_gap(fleet: Fleet) -> None:
    def works(token: str) -> bool:
        return fleet.request("GET", "/records/head?epoch=e", token).status == 200

    first = fleet.add_lane()
    with psycopg.connect(fleet.database, autocommit=True) as db:
        second = lanes.renew_token(db, "lane-1")
        assert works(first)
        assert works(second)
        assert not works(first)
        third = lanes.renew_token(db, "lane-1", at_once=True)
        assert not works(second)
        lanes.set_disabled(db, "lane-1", True)
        assert not works(third)
        lanes.set_disabled(db, "lane-1", False)
        assert works(third)
        with pytest.raises(lanes.LaneError, match="there is no lane 9"):
            lanes.renew_token(db, "9")


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 422),
        (b"{", {}, 422),
        (b"[]", {}, 422),
        (b'{"epoch": "e"}', {}, 422),
        (b'{"epoch": "", "rows": []}', {}, 422),
        (b'{"epoch": "e\\u0000", "rows": []}', {}, 422),
        (b'{"epoch": "e\\ud800", "rows": []}', {}, 422),
        (b'{"epoch": "\xff", "rows": []}', {}, 422),
        (b'{"epoch": "e", "rows": [[1]]}', {}, 422),
        (b'{"epoch": "e", "rows": ' + b"[" * 100_000 + b"}", {}, 422),
        (b'{"epoch": "e", "rows": [' + b",".join([b"0"] * 501) + b"]}", {}, 422),
        (b" " * (4 * 1024 * 1024 + 1), {}, 413),
        (packed(b" " * (4 * 1024 * 1024 + 1)), {"Content-Encoding": "gzip"}, 413),
        (packed(b"0" * 30_000_000), {"Content-Encoding": "gzip"}, 413),
        (packed(b"{}")[:-4], {"Content-Encoding": "gzip"}, 422),
        (packed(b"{}") + b"x", {"Content-Encoding": "gzip"}, 422),
        (zlib.compress(b"{}"), {"Content-Encoding": "gzip"}, 422),
        (b"{}", {"Content-Encoding": "br"}, 415),
    ],
)
def test_a_body_that_is_none_gets_a_reason(fleet: Fleet, body: bytes, headers: dict[str, str], status: int) -> None:
    found = fleet.request("POST", "/records", fleet.add_lane(), body, headers)
    assert found.status == status
    assert found.body["error"]["message"]


@pytest.mark.parametrize("path", ["/records/head", "/records/head?epoch=", "/records/head?epoch=" + "e" * 129])
def test_a_head_is_asked_for_by_the_journals_id(fleet: Fleet, path: str) -> None:
    assert fleet.request("GET", path, fleet.add_lane()).status == 422


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/records", 405), ("GET", "/nothing", 404)])
def test_other_requests_are_refused_as_json(fleet: Fleet, method: str, path: str, status: int) -> None:
    found = fleet.request(method, path)
    assert (found.status, set(found.body["error"])) == (status, {"code", "message"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)
ROW = st.tuples(
    st.integers(-1, 2**70) | JSON,
    st.integers(-1, 2**70) | JSON,
    *[st.text() | JSON] * 2,
    st.integers(0, 70_000) | JSON,
    *[st.text() | JSON] * 3,
    *[st.just("0" * 64) | st.text() | JSON] * 2,
)
BODIES = {
    "/records": st.fixed_dictionaries(
        {"epoch": st.text() | JSON, "rows": st.lists(ROW, max_size=3) | JSON}, optional={"base": JSON}
    )
    | JSON,
    "/heartbeat": st.fixed_dictionaries(
        {"epoch": st.text(), "seq": st.integers(0, 2**54), "now_ms": st.integers(0, 2**54)},
        optional={
            "hash": st.text(),
            "version": st.text(),
            "settings_hash": st.text(),
            "settings_version": st.integers(-1, 2**32) | st.none(),
            "health": st.dictionaries(st.text(), JSON, max_size=5),
            "answers": st.lists(JSON, max_size=3),
        },
    )
    | JSON,
}


@pytest.mark.parametrize("path", BODIES)
def test_no_body_makes_the_server_fail(fleet: Fleet, path: str) -> None:
    token = fleet.add_lane()

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(body=BODIES[path])
    def send(body: Any) -> None:
        data = json.dumps(body).encode("utf-8", "surrogatepass")
        found = fleet.request("POST", path, token, data)
        assert found.status in (200, 409, 422), (found, body)

    send()
    assert fleet.request("GET", "/records/head?epoch=e", token).status == 200


def connect(fleet: Fleet) -> socket.socket:
    parts = urlsplit(fleet.url)
    return socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30)


def test_a_client_that_does_not_end_its_headers_is_cut_off(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS_WITHIN_S", 0.3)
    for begun in (b"", b"POST /lane/v1/records HTTP/1.1\r\nHost: x\r\n"):
        with connect(fleet) as slow:
            slow.sendall(begun)
            with contextlib.suppress(ConnectionResetError):
                assert slow.recv(100) == b""


def test_a_client_that_does_not_end_its_body_is_answered(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_WITHIN_S", 0.3)
    token = fleet.add_lane()
    with connect(fleet) as slow:
        head = (
            f"POST /lane/v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n"
        )
        slow.sendall(head.encode() + b"{")
        assert b" 408 " in slow.recv(4096).splitlines()[0]


def test_many_clients_that_say_nothing_keep_nobody_out(fleet: Fleet) -> None:
    token = fleet.add_lane()
    idle = [connect(fleet) for _ in range(200)]
    try:
        assert fleet.request("GET", "/records/head?epoch=e", token).status == 200
    finally:
        for one in idle:
            one.close()


def test_without_a_database_lanes_are_asked_to_come_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if embedded.programs() is None:
        pytest.skip("needs PostgreSQL")
    full(tmp_path / "j")
    with embedded.running(tmp_path / "pg") as server:
        migrate(server.url())
        with listening(create_app(open_pool(server.url(), most=2))) as url:
            fleet = Fleet(url, server.url())
            shipper = fleet.shipper(tmp_path / "j", fleet.add_lane())
            token = (tmp_path / "fleet.token").read_text()
            server.stop("immediate")
            for method, path in ROUTES:
                found = fleet.request(method, path, token, {"epoch": "e"} if method == "POST" else None)
                assert (found.status, found.body["error"]["code"]) == (503, "unavailable")
                assert 5 <= int(found.headers["Retry-After"]) <= 30
            server.start()
            end = time.monotonic() + 60
            while fleet.request("GET", "/records/head?epoch=e", token).status != 200:
                assert time.monotonic() < end
            ship(shipper)
            assert fleet.rows("SELECT count(*) FROM records") == [(15,)]
    assert "Traceback" not in caplog.text


def test_a_server_starts_before_its_database_has_tables(postgres: embedded.Server) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as db:
        db.execute("CREATE DATABASE empty_fleet")
    with listening(create_app(open_pool(postgres.url("empty_fleet"), most=2))) as url:
        fleet = Fleet(url, postgres.url("empty_fleet"))
        found = fleet.request("GET", "/records/head?epoch=e", "sco1.bGFuZS0x." + "A" * 43)
        assert (found.status, found.body["error"]["message"]) == (503, "the fleet's database is not up to date")


def test_a_server_that_is_newer_than_its_tables_asks_lanes_to_come_again(fleet: Fleet) -> None:
    token = fleet.add_lane()
    fleet.execute("ALTER TABLE lanes DROP COLUMN seq")
    found = fleet.request("POST", "/heartbeat", token, {"epoch": "e", "seq": 1, "now_ms": 1})
    assert (found.status, found.body["error"]["message"]) == (503, "the fleet's database is not up to date")


def test_several_servers_share_a_database(fleet: Fleet, tmp_path: Path) -> None:
    full(tmp_path / "j")
    token = fleet.add_lane()
    with listening(create_app(open_pool(fleet.database, most=2))) as url:
        shippers = [fleet.shipper(tmp_path / "j", token, batch_rows=2)]
        shippers.append(Fleet(url, fleet.database).shipper(tmp_path / "j", token, batch_rows=3))
        threads = [threading.Thread(target=ship, args=(one,)) for one in shippers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fleet.rows("SELECT count(*), max(seq) FROM records") == [(15, 15)]
    assert fleet.rows("SELECT kind FROM alarms") == []


def test_batches_that_wait_for_their_turn_stay_packed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_api, "BATCHES_AT_ONCE", 0)
    monkeypatch.setattr(http, "TURN_WITHIN_S", 0.05)
    monkeypatch.setattr(http, "_inflated", lambda *_: pytest.fail("unpacked before its turn"))
    with listening(create_app(open_pool(database))) as url:
        fleet = Fleet(url, database)
        found = fleet.request("POST", "/records", fleet.add_lane(), b"x", {"Content-Encoding": "gzip"})
    assert (found.status, found.body["error"]["code"]) == (503, "unavailable")
    assert int(found.headers["Retry-After"]) > 0
