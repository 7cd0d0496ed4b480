"""Check a journal: the chain of hashes, the head, and the tables that are derived from the records.

`problems` returns what is wrong as sentences. It reads row by row: a journal of several years does not fit into a
lane's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sco_payment.attempt import needs_recovery
from sco_payment.journal import codec
from sco_payment.journal.errors import JournalDamaged, JournalTooNew, WrongAnchor

Query = Callable[..., Iterator[tuple[Any, ...]]]
"""Runs an SQL query with its parameters and returns the rows one by one."""
_ATTEMPT_KINDS = ("attempt_started", "attempt_step")


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
    """What is wrong with the journal that `query` reads, all of it at one moment; empty when nothing is."""
    found: list[str] = []
    expected, previous = 1, codec.GENESIS
    latest: dict[str, int] = {}
    cases = _ReplayedCases()
    for row in query(
        "SELECT seq, at_ms, attempt, kind, version, lane_id, acquirer, body, prev_hash, hash FROM records ORDER BY seq"
    ):
        seq, at_ms, attempt, kind, version, _, _, body, prev_hash, digest = row
        if seq != expected:
            found.append(_missing(expected, seq - 1))
        if prev_hash != previous and seq == expected:
            found.append(f"row {seq} does not follow row {seq - 1}")
        if digest != codec.row_hash(*row[:-1]):
            found.append(f"row {seq} was changed")
        if anchor is not None and seq == anchor[0] and digest != anchor[1]:
            found.append(f"row {seq} is not the row of the anchor: the journal was rewritten")
        if kind in _ATTEMPT_KINDS:
            latest[attempt] = seq
        try:
            data = codec.from_json(body)
            cases.apply(at_ms, attempt, kind, data)
            codec.decode_body(version, kind, data)
        except (JournalDamaged, JournalTooNew) as error:
            found.append(f"row {seq} cannot be read: {error}")
        expected, previous = seq + 1, digest
    if anchor is not None and anchor[0] >= expected:
        found.append(f"row {anchor[0]} of the anchor is missing: rows were cut off, or an old copy was put back")
    found += _head_problems(query, expected - 1, previous)
    found += _attempt_problems(query, latest)
    return found + cases.differences(
        query("SELECT number, attempt, opened_at_ms, reason, detail, closed_at_ms, operator, resolution FROM cases")
    )


def _missing(first: int, last: int) -> str:
    return f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"


def _head_problems(query: Query, last: int, digest: str) -> list[str]:
    seq, head_hash = next(query("SELECT seq, hash FROM head"), (0, codec.GENESIS))
    if isinstance(seq, int) and seq > last:
        return [_missing(last + 1, seq) + ": cut off at the end"]
    return [] if (seq, head_hash) == (last, digest) else ["the head does not agree with the last row"]


def _attempt_problems(query: Query, latest: dict[str, int]) -> list[str]:
    """Whether each row of the table of attempts agrees with the attempt's last record; `latest` is used up."""
    found = []
    for attempt, order_no, is_open, version, text in query(
        "SELECT attempt, order_no, open, version, state FROM attempts"
    ):
        record = next(query("SELECT version, body FROM records WHERE seq = ?", latest.pop(attempt, 0)), None)
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
    return found + [f"attempt {attempt} is missing from the table of attempts" for attempt in latest]


def _in_order(number: object) -> tuple[int, str]:
    """A damaged table may hold numbers that are none: they come first."""
    return (number, "") if isinstance(number, int) else (0, repr(number))


class _ReplayedCases:
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
