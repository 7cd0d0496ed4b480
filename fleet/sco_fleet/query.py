"""SQL by name, and lists that are read a page at a time in the order of an index (keyset pagination)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
Connection = psycopg.Connection[Any]


class BadCursor(ValueError):
    """What should say where a list goes on says nothing."""


def rows(db: Connection, text: str, **values: Any) -> list[Row]:
    """All rows of a query with named parameters."""
    with db.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(text.encode(), values).fetchall()


def one(db: Connection, text: str, **values: Any) -> Row:
    """The first row; an empty one where there is none."""
    found = rows(db, text, **values)
    return found[0] if found else {}


def listed(select: str, conditions: str) -> str:
    """A query of our own texts for those rows of a list that meet some conditions."""
    return " ".join(("SELECT * FROM (", select, ") AS listed WHERE", conditions))


def run(db: Connection, text: str, **values: Any) -> int:
    """Perform a change; returns how many rows it concerned."""
    return db.execute(text.encode(), values).rowcount


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of rows.

    Attributes:
        select: everything that a row has; parameters in it are in `values`.
        order: the columns that order it and together are unique.
        filters: name -> condition on the list's columns with the parameter of that name.
        descending: newest first.
        values: parameters that are always there.
    """

    select: str
    order: tuple[str, ...]
    filters: Mapping[str, str]
    descending: bool = True
    values: Mapping[str, Any] = field(default_factory=dict)

    def statement(self, given: Sequence[str], after: bool) -> str:
        """The query for some filters; public so that a test can have it explained."""
        conditions = [self.filters[name] for name in given]
        if after:
            keys = ", ".join(f"%(after_{number})s" for number in range(len(self.order)))
            conditions.append(f"({', '.join(self.order)}) {'<' if self.descending else '>'} ({keys})")
        way = " DESC" if self.descending else ""
        return " ".join(
            (
                "SELECT * FROM (", self.select, ") AS listed",
                "WHERE" if conditions else "", " AND ".join(conditions),
                "ORDER BY", ", ".join(name + way for name in self.order), "LIMIT %(limit)s",
            )
        )  # fmt: skip

    def page(
        self, db: Connection, given: Mapping[str, Any], *, after: str = "", limit: int = 50
    ) -> tuple[list[Row], str]:
        """Rows, and the cursor that the next page begins after; empty at the end.

        Raises:
            BadCursor: `after` is not what a page has given.
        """
        keys = self._keys(after) if after else []
        values = {**self.values, **given, **{f"after_{number}": key for number, key in enumerate(keys)}}
        found = rows(db, self.statement(tuple(given), bool(keys)), **values, limit=limit + 1)
        if len(found) <= limit:
            return found, ""
        return found[:limit], self._cursor(found[limit - 1])

    def _cursor(self, row: Row) -> str:
        keys = [row[name] for name in self.order]
        return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode("ascii").rstrip("=")

    def _keys(self, cursor: str) -> list[Any]:
        try:
            keys = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except (ValueError, RecursionError):
            raise BadCursor(cursor) from None
        if not isinstance(keys, list) or len(keys) != len(self.order):
            raise BadCursor(cursor)
        if not all(isinstance(key, str) or (type(key) is int and abs(key) < 2**63) for key in keys):
            raise BadCursor(cursor)
        return keys

    def all(
        self, connections: Any, given: Mapping[str, Any], *, most: int, batch: int = 1000
    ) -> Iterator[tuple[Row, bool]]:
        """Up to `most` rows, each with whether it was the last of more: a batch at a time, so that no slow reader holds
        a connection of the pool `connections`."""
        after, seen = "", 0
        while True:
            with connections.connection() as db:
                found, after = self.page(db, given, after=after, limit=min(batch, most - seen))
            seen += len(found)
            cut = seen >= most and bool(after)
            yield from ((row, cut and place == len(found)) for place, row in enumerate(found, 1))
            if not after or seen >= most:
                return
