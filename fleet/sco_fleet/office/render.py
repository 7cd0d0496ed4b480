"""Values as people read them, in HTML and in CSV. Whatever a lane, a bank or a user wrote is escaped, and its control
characters and marks of direction are made visible: `finalize` does so for every value that a template writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from sco_drivers.plain import lines, one_line
from sco_fleet.office.lists import Column
from sco_fleet.office.words import text, word
from sco_fleet.query import Row
from sco_payment.money import format_amount

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_LONGEST_MS = 253_402_300_799_000
"""The end of the year 9999: a lane's clock may say anything."""


def _plain(value: Any) -> Any:
    return lines(value) if type(value) is str else value


def environment() -> Environment:
    """The templates of this package."""
    return Environment(
        loader=PackageLoader("sco_fleet.office"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Writer:
    """Writes values in one language and time zone."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language, self.zone = language, zone

    def value(self, column: Column, row: Row) -> str:
        """A row's value as text."""
        kind, _, table = column.kind.partition(":")
        if kind in ("state", "decision", "seen", "source"):
            return str(getattr(self, kind)(row))
        value = row[column.name]
        if kind == "yes":
            return text(self.language, "yes" if value else "no")
        if value is None or value == "":
            return ""
        match kind:
            case "amount":
                return self.amount(value)
            case "ms":
                return self.ms(value)
            case "time":
                return self.time(value)
            case "day":
                return self.day(value)
            case "ahead":
                return self.seconds(value)
            case "short":
                return str(value)[:8]
            case "count":
                return str(value or "")
            case "word":
                return word(self.language, table, str(value))
            case _:
                return str(value)

    # --- numbers and times ----------------------------------------------------------------------------------------

    def amount(self, kopecks: int) -> str:
        """`1 234,56 ₽`."""
        if kopecks < 0:
            return f"-{format_amount(-kopecks)}"
        return format_amount(kopecks)

    def ms(self, at_ms: int) -> str:
        """A time in ms since the epoch; one that no calendar has as its number."""
        if not 0 <= at_ms <= _LONGEST_MS:
            return str(at_ms)
        return datetime.fromtimestamp(at_ms / 1000, self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def time(self, at: datetime) -> str:
        """A time of the database."""
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def day(self, day: date) -> str:
        """A day."""
        return day.isoformat()

    def seconds(self, ms: int) -> str:
        """ms as seconds."""
        seconds = f"{round(ms / 1000, 1) + 0.0:.1f}".replace(".", "," if self.language == "ru" else ".")
        return text(self.language, "seconds", n=seconds)

    # --- states ---------------------------------------------------------------------------------------------------

    def troubles(self, row: Row) -> list[str]:
        """What needs attention on a lane: names of sentences."""
        if row["disabled"]:
            return ["is_disabled"]
        found = {
            "has_alarms": row["alarms"] > 0,
            "has_cases": row["open_cases"] > 0,
            "is_silent": row["silent"],
            "has_faults": row["device_faults"] > 0,
            "is_clock_off": row["clock_off"],
        }
        return [name for name, yes in found.items() if yes]

    def state(self, row: Row) -> str:
        """A lane's state."""
        return ", ".join(text(self.language, name) for name in self.troubles(row) or ["is_fine"])

    def decision(self, row: Row) -> str:
        """Where the decision on a case is."""
        if row["closed_at_ms"] is not None:
            return text(self.language, "closed_by", who=row["operator"], what=row["resolution"])
        if row["decided_by"] is not None:
            return f"{row['decided_by']}: {text(self.language, 'decision_waiting')}"
        return ""

    def seen(self, row: Row) -> str:
        """Who has seen an alarm."""
        return "" if row["seen_by"] is None else f"{row['seen_by']}, {self.time(row['seen_at'])}"

    def source(self, row: Row) -> str:
        """What the lanes were reconciled with."""
        source = text(self.language, "source_list") if row["source"] == "list" else str(row["source"])
        return f"{source} ({row['shops']})" if row["shops"] else source

    # --- CSV --------------------------------------------------------------------------------------------------------

    def csv(self, columns: Iterable[Column], found: Iterable[tuple[Row, bool]], most: int) -> Iterator[bytes]:
        """A CSV file as Excel opens it: UTF-8 with a byte-order mark, semicolons, amounts as numbers.

        Args:
            found: rows, each with whether more were left out after it.
            most: how many were allowed, to say so in the last line.
        """
        chosen = tuple(columns)
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=";")
        buffer.write("\ufeff")
        writer.writerow([text(self.language, column.name) for column in chosen])
        for number, (row, cut) in enumerate(found, 1):
            writer.writerow([self._cell(column, row) for column in chosen])
            if cut:
                writer.writerow([text(self.language, "cut", n=most)])
            if number % 200 == 0:
                yield _taken(buffer)
        yield _taken(buffer)

    def _cell(self, column: Column, row: Row) -> str:
        value = row.get(column.name)
        if column.kind == "amount" and value is not None:
            return f"{value / 100:.2f}".replace(".", ",")
        if column.kind == "ahead" and value is not None:
            return f"{value / 1000:.1f}".replace(".", ",")
        if column.kind in ("short", "count"):
            return defused(str(row[column.name] or ("" if column.kind == "short" else 0)))
        return defused(self.value(column, row))


def defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, in one line."""
    plain = one_line(cell)
    first = cell.lstrip(" \u00a0\u3000\ufeff")[:1]
    if cell[:1] in _FORMULA or first in _FORMULA or first in "＝＋－＠":
        return "'" + plain if cell else ""
    return plain


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode("utf-8", "replace")
    buffer.seek(0)
    buffer.truncate()
    return data
