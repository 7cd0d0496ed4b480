"""Whose answer counts: late, twice, to another question, from two tablets; and what happens when nobody is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sco_hwtest.contracts.check import Check
from sco_hwtest.questions import Answer, Question
from sco_hwtest.results import CheckResult, DeviceReport, Report, Verdict
from sco_hwtest.station.board import NOBODY, TERMINAL, Board, Refused
from tests.hwtest.station import own_suite
from tests.hwtest.station.conftest import Bench, Browser

FIRST, SECOND = Question("first", "Is the first thing right?"), Question("second", "And the second?")
LEFT, RIGHT = "tablet-on-the-left", "tablet-on-the-right"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def board(clock: Clock, stop: threading.Event) -> Board:
    """A board of one printer that two tablets look at; the left one came first."""
    found = Board([("printer", "sim://")], stop, clock)
    found.device("printer", "sim://", 3)
    found.seen(LEFT)
    found.seen(RIGHT)
    return found


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as found:
        call()
    return found.value.code


def test_first_answer_counts_and_closes_the_question(board: Board) -> None:
    number = board.ask(FIRST)
    assert board.answer_of(number) is None
    board.answer(number, Answer.YES, LEFT)
    assert board.answer_of(number) == (Answer.YES, LEFT)
    assert board.document(LEFT, 15)["question"] is None


def test_same_answer_once_more_is_no_second_one(board: Board) -> None:
    """Its reply was lost: the page sends it again, even when the next question is open already."""
    number = board.ask(FIRST)
    board.answer(number, Answer.YES, LEFT)
    later = board.ask(SECOND)
    board.answer(number, Answer.YES, LEFT)
    assert board.answer_of(later) is None


def test_other_answer_afterwards_changes_nothing(board: Board) -> None:
    number = board.ask(FIRST)
    board.answer(number, Answer.YES, LEFT)
    assert refused(lambda: board.answer(number, Answer.NO, LEFT)) == "answered_already"
    assert board.answer_of(number) == (Answer.YES, LEFT)


def test_late_answer_does_not_answer_the_next_question(board: Board) -> None:
    first = board.ask(FIRST)
    board.answer(first, Answer.NO, TERMINAL)
    second = board.ask(SECOND)
    assert refused(lambda: board.answer(first, Answer.YES, LEFT)) == "answered_already"
    assert board.answer_of(first) == (Answer.NO, TERMINAL)
    assert board.answer_of(second) is None


@pytest.mark.parametrize("number", [2, 99])
def test_answer_to_a_question_that_was_not_asked_is_refused(board: Board, number: int) -> None:
    board.ask(FIRST)
    assert refused(lambda: board.answer(number, Answer.YES, LEFT)) == "no_such_question"


def test_tablet_that_watches_cannot_answer_stop_or_end(board: Board, stop: threading.Event) -> None:
    number = board.ask(FIRST)
    assert refused(lambda: board.answer(number, Answer.YES, RIGHT)) == "only_watching"
    assert refused(lambda: board.abort(RIGHT)) == "only_watching"
    board.finished(Report())
    assert refused(lambda: board.close(RIGHT)) == "only_watching"
    assert not stop.is_set()
    assert not board.closed


def test_tablet_that_takes_over_answers_and_the_other_one_watches(board: Board) -> None:
    number = board.ask(FIRST)
    board.take_seat(RIGHT)
    assert board.document(RIGHT, 15)["yours"]
    assert refused(lambda: board.answer(number, Answer.NO, LEFT)) == "only_watching"
    board.answer(number, Answer.YES, RIGHT)
    assert board.answer_of(number) == (Answer.YES, RIGHT)


def test_answer_before_the_seat_was_taken_stays(board: Board) -> None:
    """Its repetition is acknowledged though the other tablet answers now: it was counted."""
    number = board.ask(FIRST)
    board.answer(number, Answer.NO, LEFT)
    board.take_seat(RIGHT)
    board.answer(number, Answer.NO, LEFT)
    assert refused(lambda: board.answer(number, Answer.YES, RIGHT)) == "answered_already"
    assert board.answer_of(number) == (Answer.NO, LEFT)


@pytest.mark.parametrize("repeat", range(20))
def test_two_tablets_at_the_same_moment_give_one_answer(clock: Clock, stop: threading.Event, repeat: int) -> None:
    board = Board([("printer", "sim://")], stop, clock)
    number = board.ask(FIRST)
    together = threading.Barrier(2)

    def answer(name: str, word: Answer) -> Answer | str:
        together.wait()
        try:
            return board.answer(number, word, name)
        except Refused as refusal:
            return refusal.code

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(answer, LEFT, Answer.YES), pool.submit(answer, RIGHT, Answer.NO)]
    found = board.answer_of(number)
    assert found is not None
    assert sorted(str(one.result()) for one in both) == sorted([str(found[0]), "answered_already"])


def test_terminal_answers_whoever_has_the_seat(board: Board) -> None:
    number = board.ask(FIRST)
    board.answer(number, Answer.YES, TERMINAL)
    assert board.document(LEFT, 15)["last"]["told"] == "The question was answered with “yes” at the terminal."


def test_stopping_leaves_the_open_question_unanswered(board: Board, stop: threading.Event) -> None:
    number = board.ask(FIRST)
    board.abort(LEFT)
    assert stop.is_set()
    assert board.answer_of(number) == (Answer.NONE, NOBODY)
    assert refused(lambda: board.answer(number, Answer.YES, LEFT)) == "answered_already"


def test_page_is_closed_only_after_the_run(board: Board) -> None:
    assert refused(lambda: board.close(LEFT)) == "not_finished"
    board.finished(Report([DeviceReport("printer", "sim://")]))
    board.close(LEFT)
    assert board.closed


def test_board_is_left_alone_once_no_browser_asked_for_a_while(board: Board, clock: Clock) -> None:
    clock.now += 59
    assert not board.left_alone(60)
    board.seen(RIGHT)
    clock.now += 59
    assert not board.left_alone(60)
    clock.now += 2
    assert board.left_alone(60)
    assert board.document(LEFT, 15)["others"] == 0


def test_progress_is_shown_as_it_happens(board: Board) -> None:
    board.begins("prints")
    shown = board.document(LEFT, 15)["devices"][0]
    assert (shown["running"], shown["state"], shown["total"], shown["checks"]) == ("prints", "running", 3, [])
    board.ends(CheckResult("prints", "It prints.", Verdict.FAILED, 0, "no paper", "load a roll"))
    shown = board.document(LEFT, 15)["devices"][0]
    assert shown["running"] == ""
    assert shown["checks"][0] | {"what": ""} == {
        "name": "prints", "what": "", "verdict": "failed", "mark": "✗", "style": "failed", "found": "no paper",
        "to_do": "load a roll",
    }  # fmt: skip


# --- a whole run -----------------------------------------------------------------------------------------------------


def test_real_run_is_answered_over_the_network_and_its_report_fetched(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(("screen", "sim://?size=480x320"))
    tablet = Browser(bench.url, LEFT)
    bench.begin()
    for word in ("yes", "no"):
        question = tablet.wait("question")["question"]
        assert tablet.get(question["pictures"][0]["path"]).data[:4] == b"\x89PNG"
        assert tablet.get("/report.html").status == 409
        assert tablet.answer(question["number"], word) == (200, "")
    state = tablet.wait("report")
    assert state["report"]["verdict"] == "failed"
    page = tablet.get("/report.html?download")
    assert page.headers["Content-Disposition"].endswith('.html"')
    assert b"code-is-readable" in page.data
    assert tablet.get("/report.json").json()["summary"] == state["report"]["summary"]
    assert tablet.post("/close")[0] == 200
    report = bench.ended()
    asked = {check.name: check.verdict for check in report.devices[0].checks if check.asked}
    assert asked == {"code-on-screen": Verdict.PASSED, "colours": Verdict.FAILED}


@pytest.mark.usefixtures("own_suite")
def test_skipped_question_is_not_answered(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(own_suite.READER)
    tablet = Browser(bench.url, LEFT)
    bench.begin()
    assert tablet.answer(tablet.wait("question")["question"]["number"], "none") == (200, "")
    assert tablet.wait("report")["report"]["verdict"] == "not answered"


@pytest.mark.usefixtures("own_suite")
def test_run_goes_on_without_terminal_and_browser(open_bench: Callable[..., Bench]) -> None:
    bench = open_bench(own_suite.READER, absent_s=0.0)
    bench.begin()
    report = bench.ended()
    assert report.devices[0].checks[-1].verdict is Verdict.NOT_ANSWERED
    assert not report.failures
    assert "phone-reads-tag: no answer" in bench.output.getvalue()


@pytest.mark.usefixtures("own_suite")
def test_stopped_run_ends_with_its_report_on_the_page(
    open_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    going, go_on = threading.Event(), threading.Event()

    def lasts(device: object) -> None:
        """It takes long."""
        going.set()
        assert go_on.wait(300)

    def never(device: object) -> None:
        """It is not reached."""
        raise AssertionError("it was stopped before")

    monkeypatch.setattr(own_suite, "CHECKS", (Check(lasts), Check(never)))
    bench = open_bench(own_suite.READER, check_timeout_s=600)
    tablet = Browser(bench.url, LEFT)
    tablet.state()
    bench.begin()
    assert going.wait(300)
    assert tablet.post("/abort")[0] == 200
    assert tablet.state()["stopping"]
    go_on.set()
    assert tablet.wait("report")["report"]["summary"].startswith("Stopped before the end.")
    assert tablet.post("/close")[0] == 200
    assert bench.ended().interrupted
