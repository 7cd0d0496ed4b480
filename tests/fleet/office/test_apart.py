"""What takes long in the office holds up no lane: neither a connection to the database nor a thread is kept by it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from sco_fleet.app import create_app
from sco_fleet.office import access, passwords, reconciliation_pages
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.pool import open_pool
from sco_fleet.reconcile import PayMasterAccess
from tests.fleet.kit import Fleet, listening
from tests.fleet.office.kit import Office

pytestmark = pytest.mark.program("pg_createcluster")

_MANY = 45
"""More than the threads that requests share."""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Where what takes long waits, until the test lets it on."""
    found = threading.Event()
    yield found
    found.set()


@pytest.fixture
def small(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Office]:
    """The page with one connection to its database."""
    monkeypatch.setattr(passwords, "_COST", 16)
    for name in ("_PAIR", "_ADDRESS", "_USER"):
        monkeypatch.setattr(access, name, 1000)
    with psycopg.connect(database, autocommit=True) as db:
        access.add_user(db, "decider", "decider", "password of decider", full_name="", by="test")
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o600)
    settings = OfficeSettings(paymaster=PayMasterAccess("http://127.0.0.1:1", "m", str(token)))
    with listening(create_app(open_pool(database, most=1), settings)) as url:
        yield Office(url, database)


@contextlib.contextmanager
def at_once(work: Callable[[int], object], times: int) -> Iterator[None]:
    """The work in so many threads, which end with the block."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)


def held(gate: threading.Event, reached: threading.Semaphore) -> None:
    reached.release()
    assert gate.wait(60)


def lanes_are_answered(office: Office) -> None:
    fleet = Fleet(office.server, office.database)
    token = fleet.add_lane()
    for _ in range(3):
        assert fleet.request("GET", "/records/head?epoch=e", token).status == 200


def test_logins_hold_up_no_lane(small: Office, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, hashed = threading.Semaphore(0), passwords._scrypt

    def slow(*arguments: Any) -> bytes:
        held(gate, reached)
        return hashed(*arguments)

    monkeypatch.setattr(passwords, "_scrypt", slow)
    answers: list[int] = []

    def log_in(_: int) -> None:
        answers.append(small.visitor().log_in("decider", "password of decider").status)

    with at_once(log_in, _MANY):
        assert reached.acquire(timeout=60)
        lanes_are_answered(small)
        gate.set()
    assert answers == [303] * _MANY


def test_another_password_holds_up_no_lane(
    small: Office, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, hashed = threading.Semaphore(0), passwords.hashed
    visitor = small.visitor("decider")

    def slow(password: str) -> str:
        held(gate, reached)
        return hashed(password)

    monkeypatch.setattr(passwords, "hashed", slow)
    answers: list[int] = []
    form = {"old": "password of decider", "new": "another password"}
    with at_once(lambda _: answers.append(visitor.send("password", form).status), 1):
        assert reached.acquire(timeout=60)
        lanes_are_answered(small)
        gate.set()
    assert answers == [200]


def test_a_file_that_is_read_holds_up_no_lane(
    small: Office, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = threading.Semaphore(0)
    monkeypatch.setattr(reconciliation_pages, "RegistryFile", lambda *_, **__: held(gate, reached))
    visitor = small.visitor("decider")
    form = {"day": "2025-11-28", "file": ("r.csv", b"x")}
    with at_once(lambda _: visitor.send("reconciliation", form), 1):
        assert reached.acquire(timeout=60)
        lanes_are_answered(small)
        gate.set()


def test_reconciliations_hold_up_no_lane(small: Office, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = threading.Semaphore(0)
    monkeypatch.setattr(reconciliation_pages, "reconcile", lambda *_: held(gate, reached))
    visitor = small.visitor("decider")
    csrf = visitor.csrf()
    found = []
    for number in range(_MANY):
        form = {"day": str(date(2025, 1, 1) + timedelta(number))}
        found.append(visitor.send("reconciliation", form, csrf=csrf).status)
    assert found == [303] * 3 + [429] * (_MANY - 3)  # what waits is in memory
    assert reached.acquire(timeout=60)
    lanes_are_answered(small)
    gate.set()
    end = time.monotonic() + 60
    while visitor.send("reconciliation", {"day": "2025-06-01"}, csrf=csrf).status != 303:
        assert time.monotonic() < end


def test_a_refused_reconciliation_keeps_no_place(small: Office) -> None:
    visitor = small.visitor("decider")
    csrf = visitor.csrf()
    assert {visitor.send("reconciliation", {"day": "x"}, csrf=csrf).status for _ in range(5)} == {400}
