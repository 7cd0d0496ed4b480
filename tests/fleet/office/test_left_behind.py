"""Cases of journals that no lane goes on with: salvaged ones move, and the others are decided here."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sco_fleet import erasure, lanes, retention
from sco_fleet.left_behind import FINAL_PHASES
from sco_fleet.projection import catch_up_all
from sco_payment import attempt as m
from sco_payment.journal import Journal
from sco_payment.journal.opening import salvage_journal
from sco_payment.settings import JournalSettings, LaneSettings, Settings
from tests.fleet.kit import ship
from tests.fleet.office.kit import Office
from tests.fleet.office.test_decisions import OpenCase
from tests.payment.journal.kit import opened

pytestmark = pytest.mark.program("pg_createcluster")


@pytest.fixture
def case(office: Office, tmp_path: Path) -> OpenCase:
    return OpenCase(office, tmp_path)


def begin_another_journal(case: OpenCase) -> None:
    """As after `sco-pay journal new`, with a payment since."""
    case.journal.rename(case.journal.with_name("lost"))
    with Journal(case.journal, lane_id="lane-1", acquirer="paymaster", new=True) as journal:
        journal.note("k9", "the first row", at_ms=90_000)
    case.ship()


def disable_the_lane(case: OpenCase) -> None:
    with psycopg.connect(case.office.database, autocommit=True) as db:
        lanes.set_disabled(db, "lane-1", True)


def closed(case: OpenCase) -> list[tuple[bool, str | None, str | None]]:
    found = case.office.rows("SELECT * FROM cases WHERE epoch = %(epoch)s", epoch=case.epoch)
    return [(one["closed_at_ms"] is not None, one["operator"], one["resolution"]) for one in found]


@pytest.mark.parametrize("read_first", ["the old one", "the new one"])
def test_a_salvaged_case_is_open_in_the_new_journal_only(case: OpenCase, read_first: str) -> None:
    settings = Settings(
        lane=LaneSettings(pos_id="lane-1", acquirer="paymaster"), journal=JournalSettings(path=str(case.journal))
    )
    salvage_journal(settings, 9_000_000)
    if read_first == "the new one":  # the old one waited for a newer release of the server
        case.office.execute("DELETE FROM cases")
    case.ship()
    if read_first == "the new one":
        case.office.execute("UPDATE journals SET projected_seq = 0 WHERE epoch = %(epoch)s", epoch=case.epoch)
        with psycopg.connect(case.office.database, autocommit=True) as db:
            catch_up_all(db)
    ((epoch,),) = [(one["epoch"],) for one in case.office.rows("SELECT epoch FROM cases WHERE closed_at_ms IS NULL")]
    assert epoch != case.epoch
    assert closed(case) == [(True, "sco-pay journal salvage", f"moved to journal {epoch}")]
    page = case.office.visitor("viewer").get(case.path).text
    assert f"case?lane=lane-1&journal={epoch}&number=1" in page
    with psycopg.connect(case.office.database, autocommit=True) as db:
        (kept,) = db.execute(
            f"SELECT count(*) FROM attempts a WHERE NOT {retention.OVER} AND epoch = %(epoch)s",
            {"final": FINAL_PHASES, "epoch": case.epoch},
        ).fetchall()
    assert kept == (0,)


@pytest.mark.parametrize("left", [begin_another_journal, disable_the_lane])
def test_a_case_that_no_lane_has_any_more_is_closed_here(case: OpenCase, left: object) -> None:
    visitor = case.office.visitor("decider")
    assert case.decide(visitor).status == 303  # and the lane never takes it
    assert callable(left)
    left(case)
    page = visitor.get(case.path + "&lang=en").text
    assert "The lane will not get this decision" in page
    assert 'http-equiv="refresh"' not in page
    assert case.decide(visitor, "money_returned").status == 409  # what the page said was that the lane would get it
    form = {"answer": "money_returned", "note": "", "phase": case.phase(), "here": "1"}
    assert visitor.send(case.path, {**form, "phase": "paid"}).status == 409
    assert visitor.send(case.path, form).status == 303
    assert closed(case) == [(True, "Имя decider (decider)", "Refunded at a pos/touch till")]
    page = visitor.get(case.path + "&lang=en").text
    assert "recorded by the office, not by the lane" in page
    assert "never taken by the lane" in page
    found = case.office.rows("SELECT id, status, answer FROM decisions ORDER BY at_ms")
    assert [(one["status"], one["answer"]) for one in found] == [
        ("refused", "no lane took it"), ("applied", "recorded by the office"),
    ]  # fmt: skip
    (done,) = case.office.rows("SELECT user_name, subject, detail FROM office_audit WHERE action = 'case_closed_here'")
    assert (done["user_name"], done["subject"]) == ("decider", "lane-1 № 1")
    assert done["detail"] == f"money_returned; journal {case.epoch}; decision {found[1]['id']}"
    assert visitor.send(case.path, form).status == 409
    assert closed(case)[0][2] == "Refunded at a pos/touch till"


def test_news_of_a_lane_that_was_disabled_opens_the_case_again(case: OpenCase) -> None:
    """The lane has the case open all the time: it notes the money, and opens nothing again."""
    visitor = case.office.visitor("decider")
    disable_the_lane(case)
    form = {"answer": "no_payment", "note": "", "phase": case.phase(), "here": "1"}
    assert visitor.send(case.path, form).status == 303
    with psycopg.connect(case.office.database, autocommit=True) as db:
        lanes.set_disabled(db, "lane-1", False)
    with opened(case.journal) as journal:
        state = journal.attempts()[-1]
        event = m.Tick(95_000)
        journal.record(event, state, (m.NoteCase("money came", reopens=True),), at_ms=95_000)
        assert [record.kind for record in journal.records()][-1] == "case_note"
    case.ship()
    assert closed(case) == [(False, None, None)]
    assert 'id="decide"' in visitor.get(case.path).text


def test_what_was_decided_here_is_kept_and_erased_as_any_other(case: OpenCase) -> None:
    visitor = case.office.visitor("decider")
    begin_another_journal(case)
    with psycopg.connect(case.office.database, autocommit=True) as db:
        with pytest.raises(ValueError, match="is open"):
            erasure.erase(db, "lane-1", "A-1")
        db.execute("DELETE FROM attempts WHERE attempt <> (SELECT attempt FROM cases)")
        db.execute("DELETE FROM records WHERE attempt <> (SELECT attempt FROM cases)")
        (month,) = retention.old_months(db, retention.months_before(1)) or [None]
        assert month is None  # the journal's kit writes in 1970: its rows are strays
        before_ms = retention.months_before(1)
        assert retention.drop_strays(db, before_ms) == 0
        form = {"answer": "money_returned", "note": "", "phase": case.phase(), "here": "1"}
        assert visitor.send(case.path, form).status == 303
        assert erasure.erase(db, "lane-1", "A-1") > 0
        assert retention.drop_strays(db, before_ms) > 0
        db.execute("UPDATE cases SET closed_at_ms = 1")
        dropped = retention.drop_summaries(db, before_ms)
        assert (dropped["attempts"], dropped["cases"]) == (1, 1)


def test_a_lane_that_still_has_the_journal_gets_the_decision(case: OpenCase, tmp_path: Path) -> None:
    """Two lanes with one id: another journal came, and the last report is of this one."""
    other = tmp_path / "other"
    with opened(other) as journal:
        journal.note("k9", "another lane", at_ms=90_000)
    ship(case.fleet.shipper(other, case.token))
    case.heartbeat()
    visitor = case.office.visitor("decider")
    assert "The lane will not get this decision" not in visitor.get(case.path + "&lang=en").text
    form = {"answer": "money_returned", "note": "", "phase": case.phase(), "here": "1"}
    assert visitor.send(case.path, form).status == 409
    assert case.decide(visitor).status == 303
    assert len(case.heartbeat()) == 1


def test_a_case_whose_payment_never_came_can_be_closed_here(case: OpenCase) -> None:
    case.office.execute("DELETE FROM attempts")
    begin_another_journal(case)
    visitor = case.office.visitor("decider")
    assert 'id="decide"' in visitor.get(case.path).text
    assert visitor.send(case.path, {"answer": "goods_given", "phase": "", "here": "1"}).status == 303
    assert closed(case)[0][0]
