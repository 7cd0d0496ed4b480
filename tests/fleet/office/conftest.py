"""The office's page at a socket, over a real database that lanes have sent their journals to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sco_fleet.app import create_app
from sco_fleet.office import access, passwords
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.pool import open_pool
from tests.fleet.kit import Fleet, listening, ship
from tests.fleet.office.kit import Office
from tests.payment.journal.kit import full
from tests.service.web.chromium import Chromium
from tests.service.web.conftest import chromium as chromium

__all__ = ["Chromium", "chromium"]


@pytest.fixture
def settings() -> OfficeSettings:
    """The page's settings; a module may have its own."""
    return OfficeSettings()


@pytest.fixture
def office(database: str, settings: OfficeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The page over an empty database, with a user of each role."""
    monkeypatch.setattr(passwords, "_COST", 16)
    with psycopg.connect(database, autocommit=True) as db:
        for role in access.ROLES:
            access.add_user(db, role, role, f"password of {role}", full_name=f"Имя {role}", by="test")
    with listening(create_app(open_pool(database, most=8), settings)) as url:
        yield Office(url, database)


@pytest.fixture
def lane(office: Office, tmp_path: Path) -> Fleet:
    """A lane that has sent a journal with everything in it."""
    fleet = Fleet(office.server, office.database)
    full(tmp_path / "j")
    ship(fleet.shipper(tmp_path / "j", fleet.add_lane()))
    return fleet
