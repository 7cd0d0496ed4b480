"""The history of many runs in one SQLite file: what each device measured, and when.

A device is known by its serial number; one that reports none, by its URL. `trend` judges how a measurement moves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, Self

from sco_hwtest.results import Kind, Report

_APPLICATION = 0x53434F48  # "SCOH", in the file's header
_VERSION = 1
_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, seconds REAL NOT NULL, host TEXT NOT NULL, version TEXT NOT NULL,
    verdict TEXT NOT NULL, UNIQUE (started, seconds, host)
);
CREATE TABLE device (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, kind TEXT NOT NULL, url TEXT NOT NULL,
    maker TEXT, model TEXT, serial TEXT, firmware TEXT, verdict TEXT NOT NULL
);
CREATE INDEX device_of_run ON device (run);
CREATE TABLE measured (
    device INTEGER NOT NULL REFERENCES device, measurement TEXT NOT NULL, unit TEXT NOT NULL, value REAL NOT NULL,
    verdict TEXT, PRIMARY KEY (device, measurement)
);
CREATE TABLE checked (
    device INTEGER NOT NULL REFERENCES device, name TEXT NOT NULL, verdict TEXT NOT NULL, found TEXT NOT NULL
);
CREATE INDEX checked_of_device ON checked (device);
"""
_POINTS = """
SELECT device.kind, coalesce(device.serial, ''), measured.measurement, measured.unit, run.started, measured.value,
       coalesce(measured.verdict, ''), coalesce(device.maker, ''), coalesce(device.model, ''),
       coalesce(device.firmware, ''), device.url, run.host
FROM measured JOIN device ON device.id = measured.device JOIN run ON run.id = device.run
WHERE (:kind IS NULL OR device.kind = :kind) AND (:serial IS NULL OR device.serial = :serial)
  AND (:measurement IS NULL OR measured.measurement = :measurement)
ORDER BY device.kind, device.serial IS NULL, device.serial, CASE WHEN device.serial IS NULL THEN device.url END,
         measured.measurement, run.started, run.id
"""


class HistoryError(Exception):
    """A history cannot be used. The message names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measured value of one run.

    Attributes:
        started: when the run began, s since the epoch.
        value: in the series' unit.
        verdict: by the limits of that run; empty if it had none.
        firmware, url, host: of the device, and where it ran.
    """

    started: float
    value: float
    verdict: str
    firmware: str
    url: str
    host: str


@dataclass(frozen=True, slots=True)
class Series:
    """A measurement of one device over time.

    Attributes:
        kind, serial: which device; `serial` is empty if it reports none, then `url` is the device.
        url, maker, model: as of its last run.
        measurement, unit: what was measured.
        points: the oldest first; at least one.
    """

    kind: Kind
    serial: str
    url: str
    maker: str
    model: str
    measurement: str
    unit: str
    points: tuple[Point, ...]


class History:
    """A history file. Use as a context manager.

    Args:
        path: the file.
        mode: "write" makes a new file if there is none; "read" changes nothing.

    Raises:
        HistoryError: the file is missing, damaged, in use, or something else.
    """

    def __init__(self, path: str | Path, mode: Literal["read", "write"] = "write") -> None:
        self._path = Path(path)
        if mode == "read" and not self._path.exists():
            raise HistoryError(f"{path}: no such file; sco-hwtest run --history {path} makes it")
        with self._guarded():
            uri = f"{self._path.absolute().as_uri()}?mode={'ro' if mode == 'read' else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            with self._guarded():
                self._prepare(new=mode == "write")
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, *, new: bool) -> None:
        """Check what the file is; lay out an empty one."""
        self._db.execute("PRAGMA foreign_keys = ON")
        if new:
            self._db.execute("BEGIN IMMEDIATE")
            if self._number("application_id") == 0 and not self._tables():
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
            self._db.execute("COMMIT")
        if self._number("application_id") != _APPLICATION:
            raise HistoryError(f"{self._path} is a database of another program; name another file")
        if (version := self._number("user_version")) != _VERSION:
            raise HistoryError(
                f"{self._path} has version {version}; this sco-hwtest reads {_VERSION}: use the newer sco-hwtest"
            )

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    def _tables(self) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master").fetchone() is not None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Say what an error of SQLite means."""
        try:
            yield
        except sqlite3.Error as error:
            raise HistoryError(f"{self._path}: {_meaning(error)}") from error
        except OSError as error:
            raise HistoryError(f"{self._path}: {error.strerror}") from error

    def add(self, report: Report) -> bool:
        """Add a run; all of it or nothing.

        Returns:
            Whether it was added. A run that the history has already is not added again.

        Raises:
            HistoryError: it cannot be written.
        """
        with self._guarded(), closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                added = self._add(cursor, report)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
        return added

    @staticmethod
    def _add(cursor: sqlite3.Cursor, report: Report) -> bool:
        machine = report.machine
        started, seconds = round(report.started, 3), round(report.seconds, 3)  # as its JSON document rounds them
        cursor.execute(
            "INSERT OR IGNORE INTO run (started, seconds, host, version, verdict) VALUES (?, ?, ?, ?, ?)",
            (started, seconds, machine.get("host", ""), machine.get("sco-paymaster", ""), report.verdict.value),
        )
        if not cursor.rowcount:
            return False
        run = cursor.lastrowid
        for device in report.devices:
            identity = device.identity
            cursor.execute(
                "INSERT INTO device (run, kind, url, maker, model, serial, firmware, verdict)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(run, device.kind, device.url, identity.maker, identity.model, identity.serial),
                    *(identity.firmware, device.verdict.value),
                ),
            )
            number = cursor.lastrowid
            verdicts = {check.name: check.verdict.value for check in device.checks}
            cursor.executemany(
                "INSERT OR REPLACE INTO measured (device, measurement, unit, value, verdict) VALUES (?, ?, ?, ?, ?)",
                [
                    (number, one.measurement, one.unit, one.value, verdicts.get(f"{one.measurement}-limit"))
                    for one in device.figures
                    if one.measurement
                ],
            )
            cursor.executemany(
                "INSERT INTO checked (device, name, verdict, found) VALUES (?, ?, ?, ?)",
                [(number, check.name, check.verdict.value, check.found) for check in device.checks],
            )
        return True

    def series(
        self, *, kind: Kind | None = None, serial: str | None = None, measurement: str | None = None
    ) -> list[Series]:
        """Every series, or those of a kind, a serial number or a measurement.

        Raises:
            HistoryError: the file is damaged or in use.
        """
        with self._guarded():
            rows = self._db.execute(_POINTS, {"kind": kind, "serial": serial, "measurement": measurement}).fetchall()
        found = []
        for key, group in groupby(rows, lambda row: (row[0], row[1], "" if row[1] else row[10], row[2], row[3])):
            points = list(group)
            last = points[-1]
            values = tuple(Point(row[4], row[5], row[6], *row[9:12]) for row in points)
            found.append(Series(key[0], key[1], last[10], last[7], last[8], key[3], key[4], values))
        return found

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _meaning(error: sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorname", "").split("_")[1:2]:
        case ["NOTADB"]:
            return "this is not a history of sco-hwtest; name another file"
        case ["CORRUPT"]:
            return f"the history is damaged ({error}); move it away, and a new one is made"
        case ["BUSY" | "LOCKED"]:
            return "another program is writing to it; try again"
        case ["READONLY" | "PERM" | "CANTOPEN" | "AUTH"]:
            return f"it cannot be opened or written ({error}); check the folder and its permissions"
        case ["FULL" | "IOERR"]:
            return f"the disk is full or broken ({error})"
    return f"it cannot be used ({error})"
