"""What the office's page and the reconciliation can be told: the tables `[office]` and `[paymaster]` of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sco_fleet.reconcile.access import PayMasterAccess


class OfficeSettingsError(ValueError):
    """The settings cannot be used. `problems`: one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class OfficeSettings:
    """How the page behaves.

    Attributes:
        time_zone: of the days and times on the page, and of a reconciled day.
        idle_s, session_s: a session ends when nothing was done for `idle_s`, and at the latest `session_s` after the
            login.
        silent_s: a lane that was not seen for so long needs attention.
        clock_off_s: so does one whose clock is so far off.
        paymaster: whom the reconciliation asks.
    """

    time_zone: str = "Europe/Moscow"
    idle_s: int = 1800
    session_s: int = 43200
    silent_s: int = 600
    clock_off_s: int = 120
    paymaster: PayMasterAccess = field(default_factory=PayMasterAccess)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)


S = TypeVar("S", OfficeSettings, PayMasterAccess)


def load_office_settings(path: str | Path | None) -> OfficeSettings:
    """The settings in a TOML file; the defaults without one.

    Raises:
        OfficeSettingsError: with every problem.
    """
    if path is None:
        return OfficeSettings()
    try:
        table = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise OfficeSettingsError([f"{path}: {error.strerror}"]) from None
    except ValueError as error:
        raise OfficeSettingsError([f"{path}: not TOML in UTF-8: {error}"]) from None
    return settings_from(table, Path(path).parent)


def settings_from(table: Mapping[str, Any], folder: Path = Path()) -> OfficeSettings:
    """The settings in a table; relative paths start at `folder`. Other tables than ours are left to their readers.

    Raises:
        OfficeSettingsError: with every problem.
    """
    problems: list[str] = []
    access = _read(PayMasterAccess, "paymaster", table.get("paymaster", {}), problems)
    office = _read(OfficeSettings, "office", table.get("office", {}), problems)
    for name in ("token_file", "ca_file"):
        if access.get(name):
            access[name] = str(folder / access[name])
    for name in ("idle_s", "session_s", "silent_s", "clock_off_s"):
        if office.get(name, 1) < 1:
            problems.append(f"office.{name}: {office[name]} is less than 1")
    zone = office.get("time_zone", OfficeSettings().time_zone)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(
            f"office.time_zone: unknown zone {zone!r}; write a name like Europe/Moscow (is tzdata installed?)"
        )
    if problems:
        raise OfficeSettingsError(problems)
    return OfficeSettings(**office, paymaster=PayMasterAccess(**access))


def _read(kind: type[S], section: str, table: object, problems: list[str]) -> dict[str, Any]:
    """The values of a section that are of the right type."""
    if not isinstance(table, Mapping):
        problems.append(f"{section}: expected a table, found {table!r}")
        return {}
    defaults = kind()
    known = {one.name: getattr(defaults, one.name) for one in fields(kind) if one.name != "paymaster"}
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            problems.append(f"{section}.{name}: unknown setting; expected one of {', '.join(known)}")
        elif isinstance(known[name], dict):
            if isinstance(value, Mapping) and all(type(one) is int and 1 <= one <= 6 for one in value.values()):
                found[name] = dict(value)
            else:
                problems.append(
                    f"{section}.{name}: expected status words with order states from 1 to 6, found {value!r}"
                )
        elif isinstance(known[name], tuple):
            if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
                found[name] = tuple(value)
            else:
                problems.append(f"{section}.{name}: expected a list of names, found {value!r}")
        elif type(value) is not type(known[name]):
            problems.append(f"{section}.{name}: expected {type(known[name]).__name__}, found {value!r}")
        else:
            found[name] = value
    return found
