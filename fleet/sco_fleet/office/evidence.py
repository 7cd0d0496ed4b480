"""A payment's timeline in words, from the records that its lane sent. A lane may send anything: what cannot be read is
shown as that, and hides nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from sco_fleet.office.words import text
from sco_fleet.query import Connection, rows
from sco_payment.cli.story import story
from sco_payment.journal import JournalError, Record, codec

MOST = 2000
"""Records that are shown. A payment has some dozens."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the timeline; `after_s`: since the first record."""

    seq: int
    at_ms: int
    after_s: float
    text: str


def timeline(db: Connection, lane_id: str, epoch: str, attempt: str, language: str) -> tuple[list[Line], bool]:
    """The lines, and whether there are more records than are read."""
    found = rows(
        db,
        "SELECT seq, at_ms, attempt, kind, version, acquirer, body, hash FROM records"
        " WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND attempt = %(attempt)s ORDER BY seq LIMIT %(most)s",
        lane=lane_id, epoch=epoch, attempt=attempt, most=MOST + 1,
    )  # fmt: skip
    records: list[Record] = []
    unreadable: dict[int, str] = {}
    for row in found[:MOST]:
        body = {}
        try:
            if row["body"] is None:
                unreadable[row["seq"]] = text(language, "erased", kind=row["kind"])
            else:
                body = codec.from_json(row["body"])
                codec.decode_body(row["version"], row["kind"], body)
        except JournalError as error:
            unreadable[row["seq"]] = f"{text(language, 'unreadable', kind=row['kind'])}: {error}"
            body = {}
        own = {**row, "lane_id": lane_id, "body": body}
        records.append(Record(**own))
    said = {record.seq: words for record, words in story([one for one in records if one.body], language)}
    said |= unreadable
    began = records[0].at_ms if records else 0
    lines = [Line(one.seq, one.at_ms, (one.at_ms - began) / 1000, said[one.seq]) for one in records if one.seq in said]
    return lines, len(found) > MOST
