"""Check a journal: the chain of hashes, the head, and the tables that are derived from the records.

`problems` returns what is wrong as sentences. It reads row by row: a journal of several years does not fit into a
lane's memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from sco_payment.attempt import needs_recovery
from sco_payment.journal import codec, schema
from sco_payment.journal.errors import JournalDamaged, JournalTooNew, WrongAnchor

Query = Callable[..., Iterator[tuple[Any, ...]]]
"""Runs an SQL query with its parameters and returns the rows one by one."""
_LAST_STEP = (
    "SELECT version, body FROM records WHERE attempt = ? AND kind IN ('attempt_started', 'attempt_step') "
    "ORDER BY seq DESC LIMIT 1"
)


def parse_anchor(text: str) -> tuple[int, str]:
    """Row number and hash of an anchor, `SEQ:HASH`.

    Raises:
        WrongAnchor: `text` is something else.
    """
    seq, _, digest = text.strip().partition(":")
    if not (seq.isascii() and seq.isdigit()) or len(digest) != len(codec.GENESIS):
        raise WrongAnchor(f"{text!r} is not an anchor: write NUMBER:HASH as `sco-pay journal verify` printed it")
    return int(seq), digest


def problems(query: Query, anchor: tuple[int, str] | None) -> list[str]:
    """What is wrong with the journal that `query` reads, all of it at one moment; empty when nothing is.

    Raises:
        WrongAnchor: the row of `anchor` is in an archive.
    """
    part = schema.segment(query)
    if anchor is not None and 0 < anchor[0] < part.base_seq:
        raise WrongAnchor(
            f"row {anchor[0]} of the anchor is in an archive, at the latest {part.base_file}: check it there"
        )
    found: list[str] = []
    expected, previous = part.base_seq + 1, part.base_hash
    if anchor is not None and anchor[0] == part.base_seq > 0 and anchor[1] != previous:
        found.append(_rewritten(anchor[0]))
    kept, archiving = hashlib.sha256(), None
    cases = ReplayedCases()
    for row in query(
        "SELECT seq, at_ms, attempt, kind, version, lane_id, acquirer, body, prev_hash, hash FROM records ORDER BY seq"
    ):
        seq, at_ms, attempt, kind, version, _, _, body, prev_hash, digest = row
        if seq <= part.base_seq:
            kept.update(f"{seq}:{digest}\n".encode())
        else:
            if seq != expected:
                found.append(_missing(expected, seq - 1))
            if prev_hash != previous and seq == expected:
                found.append(f"row {seq} does not follow row {seq - 1}")
            expected, previous = seq + 1, digest
        if digest != codec.row_hash(*row[:-1]):
            found.append(f"row {seq} was changed")
        if anchor is not None and seq == anchor[0] and digest != anchor[1]:
            found.append(_rewritten(seq))
        if kind == "attempt_started" and not [*query("SELECT 1 FROM attempts WHERE attempt = ?", attempt)]:
            found.append(f"attempt {attempt} is missing from the table of attempts")
        try:
            data = codec.from_json(body)
            cases.apply(at_ms, attempt, kind, data)
            codec.decode_body(version, kind, data)
        except (JournalDamaged, JournalTooNew) as error:
            found.append(f"row {seq} cannot be read: {error}")
            continue
        if kind == "archived" and data["last_row"] == part.base_seq:
            archiving = data
    if anchor is not None and anchor[0] >= expected:
        found.append(f"row {anchor[0]} of the anchor is missing: rows were cut off, or an old copy was put back")
    found += _head_problems(query, expected - 1, previous)
    found += _attempt_problems(query)
    found += cases.differences(
        query("SELECT number, attempt, opened_at_ms, reason, detail, closed_at_ms, operator, resolution FROM cases")
    )
    return found + _archiving_problems(query, part, archiving, kept.hexdigest())


def _rewritten(seq: int) -> str:
    return f"row {seq} is not the row of the anchor: the journal was rewritten"


def attempts_hash(query: Query) -> str:
    """Of the table `archived`."""
    whole = hashlib.sha256()
    for row in query("SELECT order_no, attempt, payment_id, paid FROM archived ORDER BY order_no, attempt"):
        whole.update(json.dumps(row, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace") + b"\n")
    return whole.hexdigest()


def kept_rows_hash(query: Query, base_seq: int) -> str:
    """Of the rows up to `base_seq` that stay in the journal when those of closed attempts leave it."""
    whole = hashlib.sha256()
    for seq, digest in query("SELECT seq, hash FROM records WHERE seq <= ? ORDER BY seq", base_seq):
        whole.update(f"{seq}:{digest}\n".encode())
    return whole.hexdigest()


def _archiving_problems(
    query: Query, part: schema.Segment, archiving: dict[str, Any] | None, kept_hash: str
) -> list[str]:
    """Whether what the last archive left behind is what the row says that was written then."""
    if part.base_seq == 0:
        return []
    if archiving is None:  # a further archive need not hold that row: it may be a later one
        return (
            [] if part.sealed else [f"no row says that the rows up to {part.base_seq} were archived: they are missing"]
        )
    found = []
    if (archiving["last_hash"], archiving["file"]) != (part.base_hash, part.base_file):
        found.append("the journal does not begin where its archive ends")
    if archiving["kept_rows_hash"] != kept_hash:
        found.append(f"rows up to {part.base_seq}, which were kept in the journal, are missing or were added")
    if not part.sealed and archiving["attempts_hash"] != attempts_hash(query):
        found.append("the table of archived attempts was changed")
    return found


def _missing(first: int, last: int) -> str:
    return f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"


def _head_problems(query: Query, last: int, digest: str) -> list[str]:
    seq, head_hash = next(query("SELECT seq, hash FROM head"), (0, codec.GENESIS))
    if isinstance(seq, int) and seq > last:
        return [_missing(last + 1, seq) + ": cut off at the end"]
    return [] if (seq, head_hash) == (last, digest) else ["the head does not agree with the last row"]


def _attempt_problems(query: Query) -> list[str]:
    """Whether each row of the table of attempts agrees with the attempt's last record."""
    found = []
    for attempt, order_no, is_open, version, text in query(
        "SELECT attempt, order_no, open, version, state FROM attempts"
    ):
        record = next(query(_LAST_STEP, attempt), None)
        try:
            data = codec.from_json(text)
            state = codec.decode_state(version, data)
            agrees = record is not None and (version, data) == (record[0], codec.from_json(record[1]).get("state"))
        except (JournalDamaged, JournalTooNew):
            agrees = False
        if not agrees:
            found.append(f"attempt {attempt} does not agree with its last row: rows were cut off, or it was changed")
        elif (order_no, is_open) != (state.plan.order_no, int(needs_recovery(state))):
            found.append(f"attempt {attempt} has another order number or open flag in the table than in its last row")
    return found


def _in_order(number: object) -> tuple[int, str]:
    """A damaged table may hold numbers that are none: they come first."""
    return (number, "") if isinstance(number, int) else (0, repr(number))


class ReplayedCases:
    """The table of cases as it must be by the records."""

    def __init__(self) -> None:
        self._cases: dict[int, list[Any]] = {}

    def apply(self, at_ms: int, attempt: str, kind: str, body: dict[str, Any]) -> None:
        """One more record, of any kind."""
        number = body.get("case_number")
        if not isinstance(number, int):
            return
        match kind:
            case "case_opened":
                self._cases[number] = [attempt, at_ms, body.get("reason"), body.get("detail"), None, None, None]
            case "case_reopened" if number in self._cases:
                self._cases[number][4:] = [None, None, None]
            case "case_closed" if number in self._cases:
                self._cases[number][4:] = [at_ms, body.get("operator"), body.get("resolution")]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the table, oldest first."""
        return ((number, *self._cases[number]) for number in sorted(self._cases))

    def differences(self, rows: Iterator[tuple[Any, ...]]) -> list[str]:
        """What is wrong with `rows` of the table."""
        found = {row[0]: list(row[1:]) for row in rows}
        return [
            f"case {number} is missing from the table of cases"
            if number not in found
            else f"case {number} is in the table of cases and in no row"
            if number not in self._cases
            else f"case {number} does not agree with its rows: it was changed"
            for number in sorted({*found, *self._cases}, key=_in_order)
            if found.get(number) != self._cases.get(number)
        ]
