"""A day's payments at PayMaster against the lanes' journals: each difference named, nothing claimed without knowing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from click.testing import CliRunner

from sco_fleet.cli.main import main
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.reconcile import AlreadyRunning, Day, PayMasterAccess, RegistryFile, compare
from sco_fleet.reconcile.compare import begin
from sco_payment.paymaster import client
from sco_sim.paymaster import PayMasterSimulator
from tests.fleet.office.bank import DAY, MOSCOW, Books
from tests.fleet.office.kit import Office

pytestmark = pytest.mark.program("pg_createcluster")


@pytest.fixture(scope="module")
def paymaster() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator() as found:
        yield found


@pytest.fixture
def settings(paymaster: PayMasterSimulator, tmp_path: Path) -> OfficeSettings:
    return OfficeSettings(paymaster=PayMasterAccess(paymaster.base_url, paymaster.merchant_id, str(tmp_path / "token")))


@pytest.fixture
def books(office: Office, paymaster: PayMasterSimulator, tmp_path: Path) -> Books:
    paymaster.use("leaves")
    paymaster.go_online()
    paymaster.bank.payments.clear()
    return Books(office, paymaster, tmp_path)


def test_books_that_agree_have_no_difference(books: Books) -> None:
    for number in range(130):  # more than a page of PayMaster's
        books.bank(f"p{number}", order=f"A-{number}")
        books.lane(f"p{number}", order=f"A-{number}")
    books.bank("open", status="Confirmation", order="B-1")
    books.lane("open", phase="watching", order="B-1")
    books.bank("cancelled", status="Cancelled", order="B-2")
    books.lane("cancelled", phase="unpaid", order="B-2")
    found = books.compare()
    assert (found.whole, found.kinds, books.differences()) == (True, {}, [])
    (run,) = books.office.rows("SELECT * FROM reconciliations")
    assert (run["bank_paid"], run["lanes_paid"]) == (130, 130)
    assert run["bank_kopecks"] == run["lanes_kopecks"] == 130 * 25300
    assert (run["status"], run["source"], run["lanes_behind"]) == ("whole", "list", 0)


def test_every_difference_is_named_with_its_lane_and_case(books: Books) -> None:
    books.bank("nobodys", order="Z-1")
    books.bank("nameless", order=None)
    books.bank("lost-id", order="A-2")
    books.lane(None, order="A-2", phase="unsettled", case=2)
    books.bank("late", order="A-3")
    books.lane("late", order="A-3", phase="unpaid", case=3)
    books.bank("more", order="A-4", kopecks=25301)
    books.lane("more", order="A-4")
    books.bank("back", order="A-5", status="Refunded")
    books.lane("back", order="A-5")
    books.bank("strange", order="A-6", status="Frozen")
    books.lane("strange", order="A-6", phase="watching")
    books.bank("closed", order="A-7", status="Rejected")
    books.lane("closed", order="A-7", case=7)
    books.bank("test", order="A-8", test_mode=True)
    books.lane("invented", order="A-9")
    found = books.compare()
    assert found.whole
    assert sorted(books.differences(), key=str) == sorted(
        [
            ("unknown_to_lanes", "nobodys", "Z-1", None, None),
            ("paid_without_order", "nameless", None, None, None),
            ("id_never_received", "lost-id", "A-2", "lane-1", 2),
            ("lane_not_paid", "late", "A-3", "lane-1", 3),
            ("amount", "more", "A-4", "lane-1", None),
            ("refunded", "back", "A-5", "lane-1", None),
            ("unknown_status", "strange", "A-6", "lane-1", None),
            ("bank_not_paid", "closed", "A-7", "lane-1", 7),
            ("test_payment", "test", "A-8", None, None),
            ("bank_unknown", "invented", "A-9", "lane-1", None),
        ],
        key=str,
    )
    assert found.kinds == dict.fromkeys(found.kinds, 1)


def test_midnight_is_that_of_the_zone_and_neighbours_are_looked_at(books: Books) -> None:
    before, after = DAY.day - timedelta(days=1), DAY.day + timedelta(days=1)
    books.lane("across", at="23:59:58", order="A-1")  # PayMaster's clock is two seconds ahead
    books.bank("across", at="00:00:00", order="A-1", day=after)
    books.lane("earlier", at="23:59:59", order="A-2", day=before)
    books.bank("earlier", at="00:00:01", order="A-2")
    books.bank("yesterdays", at="23:59:59", order="Z-1", day=before)
    books.bank("tomorrows", at="00:00:00", order="Z-2", day=after)
    assert books.compare().kinds == {}
    books.bank("first", at="00:00:00", order="Z-3")
    books.bank("last", at="23:59:59", order="Z-4")
    assert books.compare().kinds == {"unknown_to_lanes": 2}
    utc = Day(DAY.day, ZoneInfo("UTC"))  # its day begins three hours later
    assert {one[1] for one in books.differences()} == {"first", "last"}
    books.compare(day=utc)
    assert {one[1] for one in books.differences()} == {"last", "tomorrows"}


def test_a_day_of_25_hours_is_a_whole_one(books: Books) -> None:
    day = Day(date(2025, 10, 26), ZoneInfo("Europe/Berlin"))
    assert day.end_ms - day.start_ms == 25 * 3_600_000
    books.bank("late", at="23:30:00", day=day.day, order="Z")  # Moscow: 21:30 in Berlin
    books.bank("next", at="02:30:00", day=date(2025, 10, 27), order="Z")  # 00:30 in Berlin
    books.compare(day=day)
    assert [one[1] for one in books.differences()] == ["late"]


def test_a_payment_of_a_lane_whose_clock_is_off_is_asked_about(books: Books) -> None:
    books.lane("other-day", order="A-1")
    books.bank("other-day", order="A-1", day=date(2024, 11, 28))
    assert books.compare().kinds == {}
    books.bank("other-day", order="A-1", day=date(2024, 11, 28), status="Cancelled")
    assert books.compare().kinds == {"bank_not_paid": 1}


@pytest.mark.parametrize("script", ["500 on=list", "cut-before on=list", "garbage on=list", "429 wait=0 on=list"])
def test_without_the_whole_list_nothing_is_called_missing(books: Books, script: str) -> None:
    books.lane("p1")
    books.paymaster.use(script)
    found = books.compare()
    assert not found.whole
    assert found.problem
    assert (found.kinds, books.differences()) == ({}, [])
    (run,) = books.office.rows("SELECT * FROM reconciliations")
    assert run["status"] == "incomplete"


def test_what_was_seen_is_told_although_the_list_is_not_whole(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.bank("late", at="10:00:00")
    books.lane("late", at="10:00:00", phase="unpaid")
    books.lane("unseen", at="20:00:00")
    source = books.list()
    whole = source._client.list_payments

    def cut(start: datetime, end: datetime) -> object:
        if start >= datetime(2025, 11, 28, 12, tzinfo=UTC):
            raise client.NoAnswer("no answer in time")
        return whole(start, end)

    monkeypatch.setattr(source._client, "list_payments", cut)
    found = books.compare(source)
    assert not found.whole
    assert "no answer in time" in found.problem
    assert books.differences() == [("lane_not_paid", "late", "A-1", "lane-1", None)]


def test_a_short_fault_is_got_over(books: Books) -> None:
    books.bank("p1")
    books.lane("p1")
    books.paymaster.use("cut-before first=2 on=list + 429 wait=0 first=1 on=list")
    assert books.compare().whole


def test_a_refused_token_is_told_at_once(books: Books) -> None:
    books.paymaster.use("token-replaced")
    found = books.compare()
    assert not found.whole
    assert "NotAuthorised" in found.problem
    assert books.paymaster.token not in found.problem


def test_hours_with_too_many_pages_are_asked_for_in_parts(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_PAGES", 2)
    for number in range(400):
        at = f"12:{number * 3 // 20:02}:{number * 9 % 60:02}"
        books.bank(f"p{number}", at=at, order=f"A-{number}")
        books.lane(f"p{number}", at=at, order=f"A-{number}")
    found = books.compare()
    assert (found.whole, found.kinds) == (True, {})
    assert books.office.rows("SELECT bank_paid FROM reconciliations")[0]["bank_paid"] == 400


def test_a_payment_that_cannot_be_asked_about_is_not_called_unpaid(books: Books) -> None:
    books.lane("p1")
    books.paymaster.use("500 on=get")
    assert books.compare().kinds == {"not_checked": 1}


def test_an_attempt_in_two_journals_is_one_payment(books: Books) -> None:
    books.bank("p1")
    books.lane("p1", attempt="k", epoch="old", phase="watching", last_ms=1)
    books.lane("p1", attempt="k", epoch="new", case=4)
    assert books.compare().kinds == {}
    assert books.office.rows("SELECT lanes_paid FROM reconciliations")[0]["lanes_paid"] == 1


def test_a_day_that_is_not_over_is_not_whole(books: Books) -> None:
    today = Day(datetime.now(MOSCOW).date(), MOSCOW)
    found = books.compare(day=today)
    assert (found.whole, found.problem) == (False, "day_not_over")


def test_lanes_that_have_not_reported_since_are_counted(books: Books) -> None:
    books.office.execute(
        "INSERT INTO lanes (lane_id, shop, last_seen_at, disabled) VALUES ('a', 's', NULL, false),"
        " ('b', 's', '2025-11-28 20:59:59+00', false), ('c', 's', '2025-11-28 21:00:01+00', false),"
        " ('d', 's', NULL, true)"
    )
    books.compare()
    assert books.office.rows("SELECT lanes_behind FROM reconciliations")[0]["lanes_behind"] == 2


def test_lanes_whose_rows_have_not_come_are_counted(books: Books) -> None:
    """A lane that cannot send its journal goes on reporting."""
    books.office.execute(
        "INSERT INTO lanes (lane_id, shop, last_seen_at, epoch, seq) VALUES ('a', 's', now(), 'e', 7),"
        " ('b', 's', now(), 'e', 8), ('c', 's', now(), 'new', 1), ('d', 's', now(), NULL, 0)"
    )
    books.office.execute("INSERT INTO journals (lane_id, epoch, head_seq) VALUES ('a', 'e', 7), ('b', 'e', 7)")
    books.compare()
    assert books.office.rows("SELECT lanes_behind FROM reconciliations")[0]["lanes_behind"] == 2


def test_a_day_is_reconciled_once_at_a_time(books: Books) -> None:
    with psycopg.connect(books.office.database, autocommit=True) as db:
        begin(db, DAY, "list", "somebody")
        with pytest.raises(AlreadyRunning):
            books.compare()
        db.execute("UPDATE reconciliations SET begun_at = now() - interval '3 hours'")
    assert books.compare().whole
    first = books.office.rows("SELECT status, problem FROM reconciliations ORDER BY id")[0]
    assert first == {"status": "incomplete", "problem": "interrupted"}


def test_so_many_differences_are_doubted_and_not_all_kept(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the token of another merchant: nothing is missing where nobody looked."""
    monkeypatch.setattr(compare, "_MOST_KEPT", 3)
    for number in range(5):
        books.bank(f"other{number}", order=f"Z-{number}")
        books.lane(f"p{number}", order=f"A-{number}")
    found = books.compare()
    assert (found.whole, found.problem) == (False, "too_many_differences")
    assert found.kinds == {"unknown_to_lanes": 4}
    (made,) = books.office.rows("SELECT id, status, bank_paid, lanes_paid FROM reconciliations")
    assert (made["status"], made["bank_paid"], made["lanes_paid"]) == ("incomplete", 5, 5)
    page = books.office.visitor("viewer").get(f"run?id={made['id']}&lang=en").text
    assert "The comparison is incomplete: too many differences: is it the right merchant?" in page
    books.paymaster.bank.payments.clear()
    assert books.compare().kinds == {}
    assert books.office.rows("SELECT status FROM reconciliations ORDER BY id")[1]["status"] == "incomplete"


def test_of_several_merchants_each_has_its_shops(books: Books) -> None:
    books.office.execute(
        "UPDATE lanes SET shop = 'Ours'; INSERT INTO lanes (lane_id, shop) VALUES ('lane-2', 'Theirs')"
    )
    books.bank("p1", order="A-1")
    books.lane("p1", order="A-1")
    books.lane("p2", order="A-2")
    books.lane(None, order="A-3", phase="unsettled")
    books.office.execute("UPDATE attempts SET lane_id = 'lane-2' WHERE order_no <> 'A-1'")
    books.bank("p3", order="A-3")  # the other merchant's shop has an order of this number, too
    found = books.compare(shops=("Ours",))
    assert found.whole
    assert books.differences() == [("unknown_to_lanes", "p3", "A-3", None, None)]
    (made,) = books.office.rows("SELECT * FROM reconciliations")
    assert (made["shops"], made["lanes_paid"], made["lanes_behind"]) == ("Ours", 1, 0)
    found = books.compare(shops=("Ours", "Nobody's"))
    assert (found.whole, found.problem) == (False, "no_such_shop")
    assert books.compare().kinds == {"bank_unknown": 1, "id_never_received": 1}


# --- a registry file --------------------------------------------------------------------------------------------------

REGISTRY = """Номер платежа;Дата;Сумма;Номер заказа\r
p1;28.11.2025 12:00:00;253,00;A-1\r
nobodys;28.11.2025 13:00;1 253,50 ₽;Z-9\r
"""


def test_a_registry_file_is_reconciled(books: Books) -> None:
    books.lane("p1")
    books.lane("noon", order="A-2")
    books.lane("midnight", order="A-3", at="23:30:00")
    books.compare(RegistryFile("r.csv", REGISTRY.encode(), MOSCOW))
    assert books.differences() == [
        ("unknown_to_lanes", "nobodys", "Z-9", None, None),
        ("at_midnight", "midnight", "A-3", "lane-1", None),
        ("not_in_file", "noon", "A-2", "lane-1", None),
    ]


# --- the page and the command -----------------------------------------------------------------------------------------


def finished(office: Office, path: str) -> str:
    """The page of a reconciliation, as soon as it has ended."""
    visitor = office.visitor("viewer")
    for _ in range(600):
        page = visitor.get(path).text
        if 'http-equiv="refresh"' not in page:
            return page
    raise AssertionError(page)


def test_the_page_asks_the_bank_and_names_the_differences(books: Books) -> None:
    books.bank("nobodys", order="Z-1")
    books.bank("late", order="A-3")
    books.lane("late", order="A-3", phase="unpaid", case=3)
    answer = books.office.visitor("decider").send("reconciliation", {"day": "2025-11-28"})
    assert answer.status == 303
    path = answer.headers["Location"].removeprefix("/office/")
    page = finished(books.office, path)
    assert "Деньги в банке, о которых не знает ни одна касса" in page
    assert "case?lane=lane-1&journal=e&number=3" in page
    assert re.search(r"payment\?lane=lane-1&journal=e&attempt=k-late-A-3", page)
    only = books.office.visitor("viewer").get(path + "&kind=lane_not_paid").source
    assert only.count("<tr><td") == 1
    (done,) = books.office.rows("SELECT subject, detail FROM office_audit WHERE action = 'reconcile'")
    assert done == {"subject": "2025-11-28", "detail": "list"}


def test_the_page_says_what_is_not_known(books: Books) -> None:
    books.paymaster.use("token-replaced")
    answer = books.office.visitor("decider").send("reconciliation", {"day": "2025-11-28"})
    page = finished(books.office, answer.headers["Location"].removeprefix("/office/"))
    assert "Список банка не полон" in page
    assert "это не значит «не оплачено»" in page
    assert "Расхождений нет" not in page


def test_a_file_is_uploaded(books: Books) -> None:
    books.lane("p1")
    visitor = books.office.visitor("decider")
    answer = visitor.send("reconciliation", {"day": "2025-11-28", "file": ("реестр.csv", REGISTRY.encode())})
    assert answer.status == 303
    page = finished(books.office, answer.headers["Location"].removeprefix("/office/"))
    assert "реестр.csv" in page
    assert "nobodys" in page


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"day": "yesterday"}, 400, "не день"),
        ({"day": ""}, 400, "не день"),
        ({"day": "2199-01-01"}, 400, "ещё не наступил"),
        ({"day": "2025-11-28", "file": ("r.csv", b"\xff\xfe")}, 400, "save it as CSV"),
        ({"day": "2025-11-27", "file": ("r.csv", REGISTRY.encode())}, 400, "it has no payment of 2025-11-27"),
        ({"day": "2025-11-28", "file": ("r.csv", b"x" * 17_000_000)}, 413, "Слишком много данных"),
        ({"day": "2025-11-28", "file": ("", b"")}, 400, "Выберите файл"),
    ],
)
def test_what_cannot_be_reconciled_is_refused(books: Books, form: dict[str, object], status: int, said: str) -> None:
    answer = books.office.visitor("decider").send("reconciliation", form)
    assert answer.status == status
    assert said in answer.text
    assert books.office.rows("SELECT 1 FROM reconciliations") == []


def run(books: Books, *arguments: str, settings: str = "") -> tuple[int, str]:
    file = books.token_file.with_name("office.toml")
    file.write_text(
        settings
        or f'[paymaster]\nbase_url = "{books.paymaster.base_url}"\nmerchant_id = "{books.paymaster.merchant_id}"\n'
        'token_file = "token"\n'
    )
    done = CliRunner().invoke(
        main, ["reconcile", "--database", books.office.database, "--office", str(file), *arguments]
    )
    return done.exit_code, done.output


def test_the_command_tells_scripts_what_it_found(books: Books) -> None:
    assert run(books, "2025-11-28") == (0, "no difference\n")
    books.bank("nobodys", order="Z-1")
    assert run(books, "2025-11-28") == (1, "unknown_to_lanes\t1\n")
    code, output = run(books, "2025-11-28", "--json")
    assert json.loads(output) == {
        "reconciliation": 3, "whole": True, "problem": "", "kinds": {"unknown_to_lanes": 1},
    }  # fmt: skip
    books.paymaster.use("token-replaced")
    code, output = run(books, "2025-11-28")
    assert code == 4
    assert "the acquirer's list is incomplete" in output


def test_without_the_database_the_command_has_a_status_of_its_own(books: Books) -> None:
    arguments = ["reconcile", "--database", "postgresql://nobody@127.0.0.1:1/none", "2025-11-28"]
    file = books.token_file.with_name("registry.csv")
    file.write_text(REGISTRY)
    done = CliRunner().invoke(main, [*arguments, "--file", str(file)])
    assert done.exit_code == 8
    assert "the database" in done.output


def test_the_commands_shops_are_those_of_its_settings(books: Books) -> None:
    paymaster = (
        f'[paymaster]\nbase_url = "{books.paymaster.base_url}"\nmerchant_id = "{books.paymaster.merchant_id}"\n'
        'token_file = "token"\n'
    )
    code, output = run(books, "2025-11-28", settings=f'{paymaster}shops = ["Nobody\'s"]\n')
    assert code == 4
    assert "the comparison is incomplete: paymaster.shops names a shop that has no lane" in output
    for wrong in ('"Ours"', "[1]", '[""]'):
        code, output = run(books, "2025-11-28", settings=f"{paymaster}shops = {wrong}\n")
        assert code == 2
        assert "paymaster.shops: expected a list of names" in output


def test_the_token_may_be_in_the_environment(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = f'[paymaster]\nbase_url = "{books.paymaster.base_url}"\nmerchant_id = "x"\n'
    code, output = run(books, "yesterday", settings=settings)
    assert code == 2
    assert "SCO_PAYMASTER_TOKEN" in output
    monkeypatch.setenv("SCO_PAYMASTER_TOKEN", books.paymaster.token)
    assert run(books, "yesterday", settings=settings) == (0, "no difference\n")


def test_the_command_names_every_mistake_of_its_settings(books: Books) -> None:
    code, output = run(
        books, "2025-11-28", settings='[office]\ntime_zone = "Mars"\nidle_s = "x"\nfoo = 1\n[paymaster]\nstates = 5\n'
    )
    assert code == 2
    for said in ("office.time_zone: unknown zone 'Mars'", "office.idle_s", "office.foo", "paymaster.states"):
        assert said in output
    assert run(books, "2199-01-01")[0] == 2
    for day in ("tomorrow", "0001-01-01", "9999-12-31"):
        assert f"{day!r} is not a day" in run(books, day)[1]
    assert run(books, "2025-11-28", settings="[paymaster]\n")[0] == 2
