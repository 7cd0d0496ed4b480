"""What the server does with rows: each is stored once, in order, and what does not fit is refused and raised."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sco_payment.journal import Journal, codec
from tests.fleet.kit import Answer, Fleet
from tests.payment.journal.kit import full

pytestmark = pytest.mark.program("pg_createcluster")


@pytest.fixture
def rows(tmp_path: Path) -> list[list[Any]]:
    full(tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal:
        return [list(row) for row in journal.raw_rows(0, limit=100, max_bytes=1 << 20)]


def send(fleet: Fleet, token: str, rows: list[Any], epoch: str = "e1", **more: Any) -> Answer:
    return fleet.request("POST", "/records", token, {"epoch": epoch, "rows": rows, **more})


def rehashed(row: list[Any], **changes: Any) -> list[Any]:
    """The row with other columns, and with their hash."""
    names = ("seq", "at_ms", "attempt", "kind", "version", "lane_id", "acquirer", "body", "prev_hash")
    values = dict(zip(names, row, strict=False)) | changes
    return [*values.values(), codec.row_hash(**values)]


def stored(fleet: Fleet) -> list[int]:
    return [seq for (seq,) in fleet.rows("SELECT seq FROM records ORDER BY seq")]


def alarms(fleet: Fleet) -> list[str]:
    return [kind for (kind,) in fleet.rows("SELECT kind FROM alarms ORDER BY id")]


def test_the_answer_has_the_head(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    for part in (rows[:4], rows[4:]):
        found = send(fleet, token, part)
        assert (found.status, found.body) == (200, {"epoch": "e1", "seq": part[-1][0], "hash": part[-1][-1]})
    assert fleet.request("GET", "/records/head?epoch=e1", token).body == found.body
    unknown = fleet.request("GET", "/records/head?epoch=e2", token).body
    assert unknown == {"epoch": "e2", "seq": 0, "hash": "0" * 64}


def test_duplicates_and_overlaps_are_harmless(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    for part in (rows[:5], rows[:5], rows[2:4], rows[3:9], rows, []):
        assert send(fleet, token, part).status == 200
    assert stored(fleet) == [row[0] for row in rows]
    assert alarms(fleet) == []


def test_a_gap_is_answered_with_the_head(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    found = send(fleet, token, rows[3:])
    assert (found.status, found.body["error"]["code"], found.body["error"]["seq"]) == (409, "gap", 0)
    send(fleet, token, rows[:2])
    found = send(fleet, token, rows[5:])
    assert found.body["error"]["seq"] == 2
    assert found.body["error"]["hash"] == rows[1][-1]
    assert stored(fleet) == [1, 2]


def test_reordered_rows_are_a_broken_chain(fleet: Fleet, rows: list[Any]) -> None:
    found = send(fleet, fleet.add_lane(), [rows[1], rows[0]])
    assert (found.status, found.body["error"]["code"]) == (422, "broken_chain")
    assert stored(fleet) == []


@pytest.mark.parametrize("column", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_a_row_that_was_changed_on_the_way_is_refused_with_an_alarm(fleet: Fleet, rows: list[Any], column: int) -> None:
    token = fleet.add_lane()
    value = rows[2][column]
    rows[2][column] = value + 1 if isinstance(value, int) else "f" * 64 if column > 7 else value + " "
    found = send(fleet, token, rows)
    assert (found.status, found.body["error"]["code"], found.body["error"]["seq"]) == (422, "broken_chain", 3)
    assert stored(fleet) == []
    assert alarms(fleet) == ["broken_chain"]
    send(fleet, token, rows)
    assert fleet.rows("SELECT times FROM alarms") == [(2,)]


def test_another_row_under_the_head_raises_an_alarm_and_changes_nothing(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    send(fleet, token, rows[:5])
    other = rehashed(rows[4], at_ms=rows[4][1] + 1)
    for part in ([other], [rehashed(rows[5], prev_hash=other[-1])]):
        found = send(fleet, token, part)
        assert (found.status, found.body["error"]["code"]) == (409, "different_row")
        assert (found.body["error"]["seq"], found.body["error"]["stored_hash"]) == (5, rows[4][-1])
    assert set(alarms(fleet)) == {"journal_rolled_back"}
    assert send(fleet, token, rows[5:7]).status == 200
    assert set(alarms(fleet)) == {"journal_rolled_back", "two_lanes_one_id"}


def test_two_journals_that_grow_at_once_are_two_lanes_with_one_id(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    send(fleet, token, rows[:3], "e1")
    send(fleet, token, rows[:3], "e2")
    assert alarms(fleet) == []  # a new journal replaced the first one
    send(fleet, token, rows[3:5], "e2")
    assert alarms(fleet) == []
    send(fleet, token, rows[3:5], "e1")
    assert alarms(fleet) == ["two_lanes_one_id"]


def test_the_rows_of_another_lane_are_kept_with_an_alarm(fleet: Fleet, rows: list[Any]) -> None:
    assert send(fleet, fleet.add_lane("lane-2"), rows).status == 200
    assert alarms(fleet) == ["other_lane"]
    assert fleet.rows("SELECT DISTINCT lane_id, written_by FROM records") == [("lane-2", "lane-1")]


def test_a_journal_whose_first_rows_are_nowhere_begins_after_them(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    base = [rows[3][0], rows[3][-1]]
    assert send(fleet, token, rows[4:6], base=base).status == 200
    assert send(fleet, token, rows[6:], base=[rows[5][0], rows[5][-1]]).status == 200
    assert fleet.rows("SELECT base_seq, head_seq FROM journals") == [(4, len(rows))]
    assert send(fleet, token, rows[:4]).status == 200
    assert stored(fleet) == [row[0] for row in rows[4:]]


def test_a_gap_does_not_keep_a_journal_from_beginning_after_its_first_rows(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    assert send(fleet, token, rows[6:]).body["error"]["code"] == "gap"
    assert send(fleet, token, rows[4:], base=[rows[3][0], rows[3][-1]]).status == 200
    assert fleet.rows("SELECT base_seq, head_seq, projected_seq FROM journals") == [(4, len(rows), len(rows))]


def test_records_of_a_newer_release_wait_for_a_server_that_knows_them(
    fleet: Fleet, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, previous = [], codec.GENESIS
    for row in rows:
        changes = {"version": 2} if row[0] >= 4 else {}
        newer.append(rehashed(row, prev_hash=previous, **changes))
        previous = newer[-1][-1]
    token = fleet.add_lane()
    assert send(fleet, token, newer[:6]).status == 200
    assert fleet.rows("SELECT head_seq, projected_seq FROM journals") == [(6, 3)]
    monkeypatch.setattr(codec, "RECORD_VERSION", 2)
    assert send(fleet, token, newer[6:]).status == 200
    assert fleet.rows("SELECT projected_seq FROM journals") == [(len(rows),)]
    assert len(fleet.rows("SELECT * FROM cases")) == 1
    assert alarms(fleet) == []


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"case_number":1' + "0" * 30 + ',"reason":"create_unknown","detail":""}', '{"a":"\\u0000"}'],
)
def test_a_record_that_no_release_writes_is_kept_with_an_alarm(fleet: Fleet, rows: list[Any], body: str) -> None:
    odd = rehashed(rows[0], kind="case_opened", body=body)
    following = rehashed(rows[1], prev_hash=odd[-1])
    assert send(fleet, fleet.add_lane(), [odd, following]).status == 200
    assert stored(fleet) == [1, 2]
    assert alarms(fleet) == ["unreadable_record"]
    assert fleet.rows("SELECT projected_seq FROM journals") == [(2,)]


def test_texts_that_postgresql_cannot_hold_reach_the_office_without_it(fleet: Fleet, rows: list[Any]) -> None:
    opened = next(row for row in rows if row[3] == "case_opened")
    body = opened[7].replace('"detail":"', '"detail":"\\u0000\\ud800')
    odd = rehashed(opened, seq=1, prev_hash=codec.GENESIS, body=body)
    assert send(fleet, fleet.add_lane(), [odd]).status == 200
    ((detail,),) = fleet.rows("SELECT detail FROM cases")
    assert detail.startswith("\ufffd?")


def test_batches_that_arrive_at_once_are_stored_once(fleet: Fleet, rows: list[Any]) -> None:
    token = fleet.add_lane()
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda at=at: found.append(send(fleet, token, rows[at:]).status))  # type: ignore[misc]
        for at in (0, 0, 3, 3, 0, 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {200, 409}
    assert send(fleet, token, rows).status == 200
    assert stored(fleet) == [row[0] for row in rows]
    assert alarms(fleet) == []


def test_rows_are_in_the_partition_of_their_month(fleet: Fleet, rows: list[Any]) -> None:
    token, previous, sent = fleet.add_lane(), codec.GENESIS, []
    times = (0, 1_700_000_000_000, 1_702_000_000_000, 4_000_000_000_000, 2**53)
    for seq, at_ms in enumerate(times, start=1):
        sent.append(rehashed(rows[1], seq=seq, at_ms=at_ms, prev_hash=previous))
        previous = sent[-1][-1]
    assert send(fleet, token, sent).status == 200
    found = fleet.rows("SELECT tableoid::regclass::text FROM records ORDER BY seq")
    assert [name for (name,) in found] == [
        "records_other",
        "records_2023_11",
        "records_2023_12",
        "records_other",
        "records_other",
    ]
