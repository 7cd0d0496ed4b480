"""A PostgreSQL of one's own: where it may lie, and what is said when it does not start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import psycopg
import pytest

from sco_fleet import embedded

pytestmark = pytest.mark.program("pg_createcluster")


def test_the_folder_may_be_named_from_where_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="sco-postgres-") as folder:
        monkeypatch.chdir(folder)
        with embedded.running(Path("own")) as server, psycopg.connect(server.url()) as db:
            assert db.execute("SELECT 1").fetchall() == [(1,)]


def test_one_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(embedded.NoServer, match='unrecognized configuration parameter "no_such_option"'),
        embedded.temporary(options=("-c no_such_option=1",)),
    ):
        raise AssertionError("it started")


def test_a_folder_whose_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(embedded.NoServer, match="too long a path for PostgreSQL's socket, at most 93 bytes"):
        embedded.Server(tmp_path / ("d" * 100))
