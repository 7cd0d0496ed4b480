"""A lane with a stolen token may send anything as its words: they are shown as text, and hide nothing else."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal
from tests.fleet.kit import Fleet, ship
from tests.fleet.office.kit import Office

pytestmark = pytest.mark.program("pg_createcluster")

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
TRICKS = "\u202egnp.exe\u2066 \x1b[2J \x07 line\nbreak"
FORMULAS = ('=HYPERLINK("http://evil")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1")


def hostile(office: Office, folder: Path, words: str) -> None:
    """A lane whose every text is `words`."""
    fleet = Fleet(office.server, office.database)
    token = fleet.add_lane()
    with Journal(folder / "j", lane_id="lane-1", acquirer="paymaster") as journal:
        plan = m.Plan("k1", words, 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=1_000, expires_at_ms=301_000)
        state, effects = m.begin(plan)
        journal.record(None, state, effects, at_ms=1_000)
        journal.note("k1", words, at_ms=2_000)
        journal.note("k1", "acquirer: sideways (x), 1,00 RUB", at_ms=2_500)
        effect = m.OpenCase(m.CaseReason.LATE_MONEY, words)
        journal.record(m.Recovered(3_000), state, (effect,), at_ms=3_000)
    ship(fleet.shipper(folder / "j", token))
    office.execute("UPDATE lanes SET shop = %(w)s, version = %(w)s, settings_hash = %(w)s", w=words[:60])
    office.execute(
        "UPDATE lanes SET health = jsonb_build_object('devices', jsonb_build_array(jsonb_build_object("
        "'kind', %(w)s::text, 'url', %(w)s::text, 'state', 'fault', 'problem', %(w)s::text), 5), 'tag',"
        " jsonb_build_object('disabled', true, 'problem', %(w)s::text))",
        w=words,
    )
    office.execute("INSERT INTO alarms (lane_id, kind, detail) VALUES ('lane-1', %(w)s, %(w)s)", w=words)
    office.execute("UPDATE attempts SET payment_id = %(w)s, till_id = %(w)s", w=words)
    office.execute(
        "INSERT INTO reconciliations (day, time_zone, source, made_by, status, problem)"
        " VALUES ('2026-11-29', 'Europe/Moscow', %(w)s, 'x', 'incomplete', %(w)s)",
        w=words,
    )
    office.execute(
        "INSERT INTO differences (reconciliation, number, kind, payment_id, order_no, bank_status, lane, detail)"
        " SELECT id, 1, 'amount', %(w)s, %(w)s, %(w)s, 'lane-1', %(w)s FROM reconciliations",
        w=words,
    )


def test_markup_in_a_roll_out_is_text(office: Office, tmp_path: Path) -> None:
    hostile(office, tmp_path, SCRIPT)
    office.execute(
        "INSERT INTO rollouts (version, state, stage, wait_s, soak_s, stop_after, layers, made_by, comment)"
        " VALUES (1, 'running', 1, 1, 1, 1, '{}', %(w)s, %(w)s)",
        w=SCRIPT,
    )
    office.execute("INSERT INTO rollout_events (version, who, what, reason) VALUES (1, %(w)s, %(w)s, %(w)s)", w=SCRIPT)
    office.execute(
        "INSERT INTO bundles (lane_id, version, stage, bundle, hash, content, status, reason)"
        " VALUES ('lane-1', 1, 1, '', '', '', 'refused', %(w)s)",
        w=SCRIPT,
    )
    visitor = office.visitor("viewer")
    for path in ("rollouts", "rollout?id=1"):
        source = visitor.get(path).source
        assert "<script" not in source, path
        assert "<img" not in source, path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source, path


def all_pages(office: Office) -> dict[str, str]:
    """The source of every page."""
    visitor = office.visitor("administrator")
    case = office.rows("SELECT * FROM cases")[0]
    one = f"lane=lane-1&journal={case['epoch']}"
    run = office.rows("SELECT id FROM reconciliations")[0]["id"]
    paths = ("lanes", "lane?id=lane-1", "cases", f"case?{one}&number={case['number']}", "payments",
             f"payment?{one}&attempt=k1", "alarms", "reconciliation", f"run?id={run}", "audit", "users")  # fmt: skip
    found = {}
    for path in paths:
        answer = visitor.get(path)
        assert answer.status == 200, path
        found[path] = answer.source
    return found


def test_markup_in_a_lanes_words_is_text(office: Office, tmp_path: Path) -> None:
    hostile(office, tmp_path, SCRIPT)
    pages = all_pages(office)
    for path, source in pages.items():
        assert "<script" not in source, path
        assert "<img" not in source, path
    for path in ("lanes", "lane?id=lane-1", "payments", "alarms", "reconciliation"):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in pages[path], path


def test_what_would_turn_or_hide_text_is_made_visible(office: Office, tmp_path: Path) -> None:
    hostile(office, tmp_path, TRICKS)
    for path, source in all_pages(office).items():
        for char in "\u202e\u2066\x1b\x07":
            assert char not in source, path
    assert "\\u202egnp.exe\\u2066" in office.visitor("viewer").get("payments").text


def test_a_record_that_cannot_be_read_hides_no_other(office: Office, tmp_path: Path) -> None:
    hostile(office, tmp_path, "42")
    office.execute("UPDATE records SET body = '{\"text\": 5}' WHERE seq = 2")
    office.execute("UPDATE records SET kind = 'from_the_future', version = 9, body = '{}' WHERE kind = 'case_opened'")
    case = office.rows("SELECT * FROM cases")[0]
    page = office.visitor("viewer").get(f"case?lane=lane-1&journal={case['epoch']}&number=1").text
    assert "Начата оплата 253,00" in page
    assert "Запись «note», которую эта версия не понимает" in page
    assert "Запись «from_the_future», которую эта версия не понимает" in page
    assert "acquirer: sideways (x), 1,00 RUB" in page


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_a_file_is_a_formula(office: Office, tmp_path: Path, formula: str) -> None:
    hostile(office, tmp_path, formula)
    visitor = office.visitor("administrator")
    for path in ("lanes", "cases", "payments", "alarms", "audit", "reconciliation", "run"):
        run = office.rows("SELECT id FROM reconciliations")[0]["id"]
        data = visitor.get(f"{path}.csv" + (f"?id={run}" if path == "run" else "")).body
        assert data.startswith("\ufeff".encode())
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig")), delimiter=";"))
        assert len(rows) > 1, path
        for cell in (cell for row in rows for cell in row):
            first = cell.lstrip()[:1]
            assert first not in tuple("=+@＝") or not first, (path, cell)
            assert first != "-" or cell.replace(",", "")[1:].isdigit(), (path, cell)


def test_a_lanes_health_may_have_any_shape(office: Office, lane: Fleet) -> None:
    visitor = office.visitor("viewer")
    for health in ("{}", "[]", "5", '"x"', "null", '{"devices": {"a": 1}, "tag": []}', '{"devices": [[], null, {}]}',
                   '{"devices": [{"state": {"a": []}, "kind": 5}]}'):  # fmt: skip
        office.execute("UPDATE lanes SET health = %(it)s", it=health)
        assert visitor.get("lane?id=lane-1").status == 200, health
        assert visitor.get("lanes").status == 200, health


def test_times_that_no_calendar_has_are_shown_as_numbers(office: Office, lane: Fleet) -> None:
    office.execute("UPDATE attempts SET begun_at_ms = 9000000000000000000, last_at_ms = -5")
    office.execute("UPDATE cases SET opened_at_ms = 9000000000000000000")
    visitor = office.visitor("viewer")
    assert "9000000000000000000" in visitor.get("payments").text
    assert "9000000000000000000" in visitor.get("cases?state=all").text
