"""A case is closed while the lane runs: by a decision left next to the journal, which only the lane writes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sco_payment import attempt as m
from sco_payment.cli import cases as cases_command
from sco_payment.customer.ui import ScreenState
from sco_payment.events import CaseOpened, LaneEvent
from sco_payment.journal import Journal, JournalUnwritable, NoSuchCase, resolutions
from sco_payment.journal.codec import PHASES
from sco_payment.journal.resolutions import Resolution
from sco_payment.order import Order, PaymentRefused
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.journal.kit import opened
from tests.payment.lane_kit import OwnUI, bench, run, settings_file

CLOSING = Resolution(1, "Иванова", "деньги вернули на кассе 2", 1_700_000_000_000, "unsettled")
ON_DISK = {
    "version": 1,
    "case_number": 1,
    "operator": "Иванова",
    "resolution": "деньги вернули на кассе 2",
    "at_ms": 1_700_000_000_000,
    "phase": "unsettled",
}


def with_case(path: Path, order_no: str = "42") -> None:
    """A journal with case 1: an attempt that the bank never settled."""
    plan = m.Plan("k1", order_no, 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
    state, effects = m.begin(plan)
    unsettled = replace(state, phase=m.Phase.UNSETTLED, outcome=m.Outcome.UNKNOWN)
    with opened(path) as journal:
        journal.record(None, state, effects, at_ms=0)
        reason = m.CaseReason.EXPIRED_UNCONFIRMED
        assert journal.record(m.Tick(1), replace(unsettled, case=reason), (m.OpenCase(reason, "?"),), at_ms=1) == 1


def test_a_decision_on_a_lost_journals_case_closes_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A journal that was begun again gives the number to another payment's case."""
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, replace(CLOSING, attempt="k0"))
    with opened(path) as journal:
        resolutions.apply_pending(journal)
        assert (closed_by(journal), waiting(path)) == (None, [])
        assert "another journal's case" in caplog.text
        resolutions.submit(path, replace(CLOSING, attempt="k1"))
        resolutions.apply_pending(journal)
        assert closed_by(journal) == CLOSING.operator


def waiting(journal: Path) -> list[str]:
    return sorted(path.name for path in resolutions._folder(journal).iterdir())


def closed_by(journal: Journal) -> str | None:
    return journal.case(1).operator


def test_the_running_lane_writes_it_down(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    with bench(tmp_path) as (lane, _):
        lane.start()
        resolutions.submit(path, CLOSING)
        end = time.monotonic() + 20
        while waiting(path) and time.monotonic() < end:
            time.sleep(0.02)
        case = lane.journal.case(1)
        assert (case.operator, case.resolution, case.closed_at_ms) == (
            CLOSING.operator,
            CLOSING.resolution,
            CLOSING.at_ms,
        )
        assert lane.journal.verify() == []
        assert waiting(path) == []


def test_it_is_written_down_before_the_next_payment_checks_the_orders_history(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    with bench(tmp_path, "pays") as (lane, paymaster):
        with pytest.raises(PaymentRefused):
            lane.pay(Order("42", 25_300))
        assert paymaster.bank.creates == 0
        resolutions.submit(path, CLOSING)
        assert lane.pay(Order("42", 25_300)).outcome is m.Outcome.PAID


@pytest.mark.parametrize("left", ["before", "meanwhile"])
def test_any_short_use_of_a_lane_writes_it_down(tmp_path: Path, left: str) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    with bench(tmp_path) as (lane, _):
        if left == "before":
            resolutions.submit(path, CLOSING)
        assert lane.recover() == []
        assert closed_by(lane.journal) == ("Иванова" if left == "before" else None)
        if left == "meanwhile":
            resolutions.submit(path, CLOSING)
    with Journal(path, read_only=True) as journal:
        assert (closed_by(journal), waiting(path)) == ("Иванова", [])


def test_a_decision_that_cannot_be_written_down_delays_no_payment_and_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, CLOSING)

    def fails(*_: object, **__: object) -> None:
        raise JournalUnwritable("the disk is full")

    with bench(tmp_path, "pays") as (lane, _):
        monkeypatch.setattr(Journal, "close_case", fails)
        assert lane.pay(Order("43", 25_300)).outcome is m.Outcome.PAID
        lane.run_pending()
    assert len(waiting(path)) == 1
    assert [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"] == [
        "decisions on cases are not recorded yet: the disk is full"
    ]


def test_no_payment_under_way_is_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    seen: list[str | None] = []

    def submit(_: object) -> None:
        resolutions.submit(path, CLOSING)
        time.sleep(0.5)
        seen.append(lane.journal.case(1).operator)
        threading.Thread(target=lane.cancel).start()

    with bench(tmp_path, ui=OwnUI(on_pay=submit)) as (lane, _):
        lane.start()
        assert lane.pay(Order("43", 25_300)).outcome is m.Outcome.UNPAID
        end = time.monotonic() + 20
        while closed_by(lane.journal) is None and time.monotonic() < end:
            time.sleep(0.02)
        assert seen == [None]
        assert closed_by(lane.journal) == "Иванова"


def test_a_decision_is_on_disk_for_its_owner_only_and_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, CLOSING)
    (name,) = waiting(path)
    folder = resolutions._folder(path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert json.loads((folder / name).read_bytes()) == ON_DISK
    with pytest.raises(NoSuchCase, match="was closed just now"):
        resolutions.submit(path, replace(CLOSING, operator="Петров"))
    assert waiting(path) == [name]


def test_a_decision_with_fields_of_a_later_release_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, CLOSING)
    (name,) = waiting(path)
    (resolutions._folder(path) / name).write_text(json.dumps(ON_DISK | {"terminal": "office"}))
    assert resolutions.pending(path) == {1: CLOSING}


@pytest.mark.parametrize("changes", [{"operator": " "}, {"resolution": ""}, {"operator": os.fsdecode(b"\xc8\xe2")}])
def test_a_decision_that_closes_no_case_is_refused_by_both_ways(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    bad = replace(CLOSING, **changes)
    with pytest.raises(ValueError, match="the operator's name and the reason"):
        resolutions.submit(path, bad)
    with opened(path) as journal:
        with pytest.raises(ValueError, match="the operator's name and the reason"):
            journal.close_case(1, operator=bad.operator, resolution=bad.resolution, at_ms=1)
        assert (closed_by(journal), journal.verify()) == (None, [])


def test_a_user_whose_files_the_lane_cannot_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, above all: the lane would find the decision, and could not read it."""
    path = tmp_path / "journal.db"
    with_case(path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(JournalUnwritable, match="sudo -u sco"):
        resolutions.submit(path, CLOSING)
    assert not resolutions._folder(path).exists()


def test_a_full_disk_leaves_no_half_of_a_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    with_case(path)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalUnwritable, match="No space left"):
        resolutions.submit(path, CLOSING)
    assert waiting(path) == []


def test_after_a_power_cut_between_the_journal_and_the_file_nothing_is_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, CLOSING)
    with opened(path) as journal:
        journal.close_case(1, operator=CLOSING.operator, resolution=CLOSING.resolution, at_ms=CLOSING.at_ms)
        rows = journal.count()
        resolutions.apply_pending(journal)
        assert (journal.count(), journal.verify(), waiting(path)) == (rows, [], [])


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", "[" * 100_000, json.dumps(ON_DISK | {"case_number": "1"}),
        json.dumps(ON_DISK | {"version": 0}), json.dumps(ON_DISK | {"version": 2}),
        json.dumps(ON_DISK | {"version": "1"}),
        json.dumps(ON_DISK | {"case_number": 10**30}), json.dumps(ON_DISK | {"case_number": 0}),
        json.dumps(ON_DISK | {"operator": " "}), json.dumps(ON_DISK | {"resolution": "\ud800"}),
        json.dumps(ON_DISK | {"at_ms": -1}), json.dumps(ON_DISK | {"at_ms": 2**53 + 1}),
        json.dumps(ON_DISK | {"phase": 1}),
    ],
)  # fmt: skip
def test_an_invalid_decision_is_put_aside_and_the_others_count(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, CLOSING)
    (resolutions._folder(path) / "0.json").write_text(text)
    with opened(path) as journal:
        resolutions.apply_pending(journal)
        assert closed_by(journal) == "Иванова"
    assert waiting(path) == ["0.unreadable"]


def test_a_decision_on_a_case_that_is_not_there_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, replace(CLOSING, number=7))
    with opened(path) as journal:
        resolutions.apply_pending(journal)
        assert closed_by(journal) is None
    assert waiting(path) == []


def watched(path: Path) -> m.State:
    """A journal with case 1: an attempt that the bank is still asked about; the question is under way."""
    plan = m.Plan("k1", "42", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
    reason = m.CaseReason.CANCEL_UNANSWERED
    state = m.State(
        plan, m.Phase.WATCHING, "p-1", "https://pay.example/1", outcome=m.Outcome.UNKNOWN, case=reason, seq=1, busy=True
    )
    with opened(path) as journal:
        journal.record(None, state, (m.OpenCase(reason, "?"),), at_ms=0)
    return state


def bank_says(journal: Journal, state: m.State, status: m.PaymentStatus) -> int | None:
    """The number of the case that the step opened again."""
    event = m.PaymentStatusReceived(50_000, state.seq, "p-1", status, "word", 25_300, "RUB")
    after, effects = m.step(state, event)
    return journal.record(event, after, effects, at_ms=50_000)


def test_money_that_comes_after_an_operator_has_closed_the_case_reopens_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    state = watched(path)
    with opened(path) as journal:
        journal.close_case(1, operator="Иванова", resolution="денег нет", at_ms=40_000)
        assert bank_says(journal, state, m.PaymentStatus.PAID) == 1
        (case,) = journal.cases()
        assert (case.number, case.phase, case.closed_at_ms, case.operator, case.resolution) == (
            1, "paid_late", None, None, None,
        )  # fmt: skip
        kinds = [record.kind for record in journal.timeline("k1")]
        assert kinds[-4:] == ["case_closed", "attempt_step", "case_note", "case_reopened"]
        assert journal.verify() == []
        journal.close_case(1, operator="Петров", resolution="деньги вернули", at_ms=60_000)
        assert (journal.cases(), journal.case(1).operator, journal.verify()) == ([], "Петров", [])


def test_a_closed_status_leaves_a_closed_case_closed_and_a_paid_one_an_open_case_open(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    state = watched(path)
    with opened(path) as journal:
        assert bank_says(journal, state, m.PaymentStatus.PAID) is None
        assert [case.number for case in journal.cases()] == [1]
        journal.close_case(1, operator="Иванова", resolution="денег нет", at_ms=40_000)
        assert bank_says(journal, state, m.PaymentStatus.CLOSED) is None
        assert (journal.cases(), journal.verify()) == ([], [])


@pytest.mark.parametrize(("status", "operator"), [(m.PaymentStatus.PAID, None), (m.PaymentStatus.CLOSED, "Иванова")])
def test_a_decision_that_money_came_before_closes_nothing(
    tmp_path: Path, status: m.PaymentStatus, operator: str | None
) -> None:
    path = tmp_path / "journal.db"
    state = watched(path)
    resolutions.submit(path, replace(CLOSING, phase="watching"))
    with opened(path) as journal:
        bank_says(journal, state, status)
        resolutions.apply_pending(journal)
        assert (closed_by(journal), waiting(path)) == (operator, [])


def test_the_lane_reports_again_a_case_that_late_money_reopens(tmp_path: Path) -> None:
    """The network fails after the customer paid, the cancellation is lost, the operator closes the case too early."""
    reported: list[int] = []
    ui = OwnUI("cancel")

    def observer(event: LaneEvent) -> None:
        if isinstance(event, CaseOpened):
            reported.append(event.case)

    with bench(tmp_path, ui=ui, observer=observer) as (lane, paymaster):

        def pay_offline(screen: ScreenState) -> None:
            paymaster.go_offline()
            paymaster.phone.pay(str(screen.link))

        ui._on_pay = pay_offline
        assert lane.pay(Order("42", 25_300)).case == 1
        resolutions.submit(lane.journal.path, replace(CLOSING, phase=lane.journal.case(1).phase))
        lane.run_pending()
        assert lane.journal.cases() == []
        paymaster.go_online()
        assert [one.case for one in lane.recover(follow=True)] == [1]
        assert [(case.number, case.phase) for case in lane.journal.cases()] == [(1, "paid_late")]
    assert reported == [1, 1]


def test_a_decision_that_cannot_be_left_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions._folder(path).touch()
    with pytest.raises(JournalUnwritable, match=r"journal\.db\.resolutions"):
        resolutions.submit(path, CLOSING)


DECISION = ("--close", "--operator", "Иванова", "--reason", "отдали")


def close(settings: str, number: int = 1, *options: str) -> subprocess.CompletedProcess[str]:
    return run("cases", str(number), *DECISION, *options, "--settings", settings)


NEWS = "case 1 stays open: its payment was watching when this was decided, and is unsettled now; see sco-pay cases 1"


@pytest.mark.parametrize("lane_runs", [False, True])
def test_the_command_closes_no_case_on_what_was_true_before(tmp_path: Path, lane_runs: bool) -> None:
    """The operator has looked at the case, and then news of its money came."""
    path = tmp_path / "journal.db"
    with_case(path)
    with PayMasterSimulator() as paymaster:
        settings = settings_file(tmp_path, paymaster)
    with bench(tmp_path) if lane_runs else contextlib.nullcontext():
        refused = close(settings, 1, "--phase", "watching")
        assert (refused.returncode, NEWS in refused.stderr) == (2, True), refused.stderr
        assert not resolutions.pending(path)
    unknown = close(settings, 1, "--phase", "lost")
    assert (unknown.returncode, "'lost' is not one of" in unknown.stderr) == (2, True), unknown.stderr
    alone = run("cases", "1", "--phase", "watching", "--settings", settings)
    assert (alone.returncode, "--phase go with --close" in alone.stderr) == (2, True), alone.stderr
    assert close(settings, 1, "--phase", "unsettled").returncode == 0
    with Journal(path, read_only=True) as journal:
        assert closed_by(journal) == "Иванова"


@pytest.mark.parametrize("news", [True, False], ids=["news", "an unreadable file"])
def test_the_command_says_that_the_lane_has_not_closed_the_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, news: bool
) -> None:
    """News of the money came between the command and the lane's next free moment; or the lane cannot use the file."""
    monkeypatch.setattr(cases_command, "_LANE_WRITES_S", 300.0)
    path = tmp_path / "journal.db"
    with_case(path)
    with PayMasterSimulator() as paymaster:
        settings = settings_file(tmp_path, paymaster)
    decision = ["1", *DECISION, "--settings", settings]
    with opened(path) as journal:
        watching = replace(next(iter(journal.attempts())), phase=m.Phase.WATCHING)
        journal.record(m.Tick(2), watching, (), at_ms=2)
        found: list[Result] = []
        command = threading.Thread(target=lambda: found.append(CliRunner().invoke(cases_command.cases, decision)))
        command.start()
        while not (files := list(resolutions._folder(path).glob("*.json"))):
            assert command.is_alive(), found[0].output
            time.sleep(0.02)
        if news:
            journal.record(m.Tick(3), replace(watching, phase=m.Phase.UNSETTLED), (), at_ms=3)
        else:
            files[0].write_bytes(b"{")
        resolutions.apply_pending(journal)
        command.join()
    expected = NEWS if news else "case 1 stays open; the lane's log says why"
    assert (found[0].exit_code, expected in found[0].output) == (2, True), found[0].output


def test_the_command_closes_through_the_lane_that_has_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    with PayMasterSimulator() as paymaster:
        settings = settings_file(tmp_path, paymaster)
    with bench(tmp_path) as (lane, _):
        waits = close(settings)
        assert (waits.returncode, "closes the case as soon as it is idle" in waits.stderr) == (0, True)
        again = close(settings)
        assert (again.returncode, "was closed just now" in again.stderr) == (2, True)
        lane.start()
        end = time.monotonic() + 20
        while waiting(path) and time.monotonic() < end:
            time.sleep(0.02)
        closed = close(settings)
        assert (closed.returncode, "is already closed" in closed.stderr) == (2, True)
        assert "no case 2" in close(settings, 2).stderr
    for number in (3, 2**63, 10**30):
        assert f"there is no case {number}" in close(settings, number).stderr


@pytest.mark.parametrize(
    ("command", "expected"), [(("recover",), "no payment is open"), (("pay", "1", "--order", "43"), "paid: order 43")]
)
def test_a_command_that_ends_writes_down_what_is_left_for_it(
    tmp_path: Path, command: tuple[str, ...], expected: str
) -> None:
    """A decision that came while a lane was at work, which then ended: no lane idles in between."""
    path = tmp_path / "journal.db"
    with_case(path)
    with PayMasterSimulator(script="pays") as paymaster:
        settings = settings_file(tmp_path, paymaster)
        resolutions.submit(path, CLOSING)
        open_still = run("cases", "--settings", settings).stdout
        assert "open; closed by Иванова, not yet recorded by the lane" in open_still
        assert json.loads(run("cases", "--json", "--settings", settings).stdout)["decided_by"] == "Иванова"
        done = run(*command, "--settings", settings, SCO_PAYMASTER_TOKEN=paymaster.token)
    assert (done.returncode, expected in done.stdout, "must decide" in done.stderr) == (0, True, False), done.stderr
    assert waiting(path) == []
    with Journal(path, read_only=True) as journal:
        assert closed_by(journal) == "Иванова"


def test_a_decision_in_the_middle_of_a_payment_is_written_down_after_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    with PayMasterSimulator(script="pays after=1") as paymaster:
        settings = settings_file(tmp_path, paymaster)
        paying = subprocess.Popen(
            [sys.executable, "-m", "sco_payment.cli.main", "pay", "1", "--order", "43", "--settings", settings],
            env=os.environ | {"SCO_PAYMASTER_TOKEN": paymaster.token},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert paying.stderr is not None
        for line in paying.stderr:
            if "waiting for the customer" in line:
                break
        resolutions.submit(path, CLOSING)
        output, _ = paying.communicate(timeout=120)
    assert (paying.returncode, "paid: order 43" in output) == (0, True)
    assert waiting(path) == []
    with Journal(path, read_only=True) as journal:
        assert closed_by(journal) == "Иванова"


@pytest.mark.parametrize("over", [0, 1])
def test_the_longest_decision_that_is_read(tmp_path: Path, over: int) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    resolutions.submit(path, CLOSING)
    (name,) = waiting(path)
    file = resolutions._folder(path) / name
    file.write_bytes(file.read_bytes().ljust(64 * 1024 + over))
    assert resolutions.pending(path) == ({} if over else {1: CLOSING})


def test_a_decision_is_on_disk_before_it_has_its_name_and_its_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    with_case(path)
    done: list[object] = []
    monkeypatch.setattr(os, "fsync", lambda file: done.append(os.fstat(file).st_size))
    monkeypatch.setattr(resolutions.location, "sync_folder", lambda folder: done.append((folder.name, waiting(path))))
    resolutions.submit(path, CLOSING)
    (name,) = names = waiting(path)
    size = (resolutions._folder(path) / name).stat().st_size
    assert done == [size, ("journal.db.resolutions", names), (tmp_path.name, names)]


@pytest.mark.parametrize("now", m.Phase)
def test_which_news_overtake_a_decision(now: m.Phase) -> None:
    news = now in (m.Phase.PAID_LATE, m.Phase.OVERDUE, m.Phase.REFUNDABLE, m.Phase.UNSETTLED)
    assert resolutions.overtaken("somewhere else", PHASES[now]) is news
    assert not resolutions.overtaken(PHASES[now], PHASES[now])
