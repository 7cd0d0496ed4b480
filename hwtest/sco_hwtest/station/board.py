"""What the page shows, and whose answer to a question counts. Knows nothing of HTTP.

Each question of a run has a number. The first answer to it counts, from the terminal or from the page; an answer to
another question than the open one changes nothing. Of several browsers one has the seat: only it answers, stops and
ends; the others watch until one of them takes the seat.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sco_hwtest.page import MARKS, css_class, headline
from sco_hwtest.questions import Answer, Question
from sco_hwtest.results import KIND_LABELS, CheckResult, Kind, Picture, Report

TERMINAL: Final = "terminal"
"""Who answers where no browser does; no browser can have this name: theirs are longer than 8 characters."""
NOBODY: Final = "nobody"


class Refused(Exception):
    """What a browser asked for cannot be done. `code` is stable; the message says why, for the operator."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Asked:
    number: int
    question: Question
    pictures: tuple[Picture, ...]
    answer: Answer | None = None
    by: str = ""


@dataclass(slots=True)
class _Device:
    kind: Kind
    url: str
    total: int = 0
    running: str = ""
    checks: list[CheckResult] = field(default_factory=list)


class Board:
    """The state of one run; every method may be called by any thread.

    Args:
        devices: kind and URL of each, in the order of the run.
        stop: is set when the operator stops the run.
        now_s: monotonic time, in s.

    Attributes:
        on_change: is called after each change.
    """

    def __init__(
        self,
        devices: Sequence[tuple[Kind, str]],
        stop: threading.Event,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._devices = [_Device(kind, url) for kind, url in devices]
        self._at = -1
        self._stop = stop
        self._now_s = now_s
        self._changed = threading.Condition()
        self._version = 1
        self._asked: list[_Asked] = []
        self._seat = ""
        self._seen_s: dict[str, float] = {}
        self._begun_s = now_s()
        self._report: Report | None = None
        self._aborted = self._closed = False

    # --- the run: `runner.Progress` -------------------------------------------------------------------------------

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """The suite of the next device begins."""
        with self._changed:
            self._at += 1
            self._devices[self._at].total = checks
            self._change()

    def begins(self, name: str) -> None:
        """A check begins."""
        with self._changed:
            self._devices[self._at].running = name
            self._change()

    def ends(self, result: CheckResult) -> None:
        """A check has ended."""
        with self._changed:
            device = self._devices[self._at]
            device.checks.append(result)
            device.running = ""
            self._change()

    def finished(self, report: Report) -> None:
        """The run has ended with this report."""
        with self._changed:
            self._report = report
            for device in self._devices:
                device.running = ""
            self._withdraw()
            self._change()

    # --- questions ------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> int:
        """Open a question; its number."""
        with self._changed:
            self._asked.append(_Asked(len(self._asked) + 1, question, question.pictures))
            self._change()
            return len(self._asked)

    def answer_of(self, number: int) -> tuple[Answer, str] | None:
        """The answer that counts, and who gave it; None while the question is open."""
        with self._changed:
            asked = self._asked[number - 1]
            return None if asked.answer is None else (asked.answer, asked.by)

    def wait(self, number: int, timeout_s: float) -> None:
        """Wait until the question is answered, the run is stopped, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked[number - 1].answer is not None, timeout_s)

    def answer(self, number: int, answer: Answer, by: str) -> Answer:
        """Answer a question.

        The same answer of the same browser once more does not count as another one: its reply may have been lost.

        Raises:
            Refused: the question is answered already, is not known, or `by` only watches.
        """
        with self._changed:
            if not 1 <= number <= len(self._asked):
                raise Refused("no_such_question", "This run has no such question.")
            asked = self._asked[number - 1]
            if asked.answer is not None:
                if (asked.by, asked.answer) == (by, answer):
                    return answer
                raise Refused("answered_already", _told(asked))
            self._sit(by)
            asked.answer, asked.by = answer, by
            self._change()
            return answer

    def give_up(self, number: int) -> None:
        """Nobody answers the question: it counts as not answered."""
        with self._changed:
            asked = self._asked[number - 1]
            if asked.answer is None:
                asked.answer, asked.by = Answer.NONE, NOBODY
                self._change()

    def _withdraw(self) -> None:
        if self._asked and self._asked[-1].answer is None:
            self._asked[-1].answer, self._asked[-1].by = Answer.NONE, NOBODY

    # --- browsers -------------------------------------------------------------------------------------------------

    def seen(self, client: str) -> None:
        """A browser asks: it is there. The first one has the seat."""
        with self._changed:
            new = client not in self._seen_s
            self._seen_s[client] = self._now_s()
            if not self._seat:
                self._seat = client
                new = True
            if new:
                self._change()

    def take_seat(self, client: str) -> None:
        """This browser answers from now on."""
        with self._changed:
            if self._seat != client:
                self._seat = client
                self._change()

    def _sit(self, by: str) -> None:
        if by == TERMINAL:
            return
        self._seat = self._seat or by
        if self._seat != by:
            raise Refused("only_watching", "Another tablet answers. Take over first.")

    def left_alone(self, absent_s: float) -> bool:
        """Whether no browser was there in the last `absent_s` seconds."""
        with self._changed:
            return self._now_s() - max([self._begun_s, *self._seen_s.values()]) > absent_s

    def abort(self, by: str) -> None:
        """Stop the run after the current check; an open question counts as not answered. Raises Refused."""
        with self._changed:
            self._sit(by)
            self._aborted = True
            self._stop.set()
            self._withdraw()
            self._change()

    def close(self, by: str) -> None:
        """The operator has the report: the page may go. Raises Refused."""
        with self._changed:
            self._sit(by)
            if self._report is None:
                raise Refused("not_finished", "The run has not ended yet.")
            self._closed = True
            self._change()

    @property
    def aborted(self) -> bool:
        """Whether the operator has stopped the run on the page."""
        return self._aborted

    @property
    def closed(self) -> bool:
        """Whether the operator has closed the page."""
        return self._closed

    def wait_for_close(self, timeout_s: float) -> None:
        """Wait until the operator has closed the page, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout_s)

    # --- what is shown --------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    def _change(self) -> None:
        self._version += 1
        self._changed.notify_all()
        self.on_change()

    @property
    def report(self) -> Report | None:
        """The report, once the run has ended."""
        return self._report

    def picture(self, number: int, place: int) -> bytes | None:
        """The PNG of a question's picture, counted from 0; None where there is none."""
        with self._changed:
            if not 1 <= number <= len(self._asked) or not 0 <= place < len(self._asked[number - 1].pictures):
                return None
            return self._asked[number - 1].pictures[place].png

    def document(self, client: str, here_s: float) -> dict[str, Any]:
        """What the browser `client` shows, for JSON. `here_s`: how long ago one that is there has last asked."""
        with self._changed:
            asked = self._asked[-1] if self._asked else None
            here = [name for name, at in self._seen_s.items() if self._now_s() - at < here_s]
            return {
                "version": self._version,
                "stopping": self._stop.is_set(),
                "yours": self._seat == client,
                "others": len([name for name in here if name != client]),
                "devices": [_device(device, place, self._at) for place, device in enumerate(self._devices)],
                "question": None if asked is None or asked.answer is not None else _question(asked),
                "last": None if asked is None or asked.answer is None else _answered(asked),
                "report": None if self._report is None else _summary(self._report),
                "closed": self._closed,
            }


def _device(device: _Device, place: int, at: int) -> dict[str, Any]:
    return {
        "kind": device.kind,
        "label": KIND_LABELS[device.kind],
        "url": device.url,
        "total": max(device.total, len(device.checks)),
        "state": "done" if place < at else "running" if place == at else "waiting",
        "running": device.running,
        "checks": [
            {
                "name": check.name,
                "what": check.what,
                "verdict": check.verdict.value,
                "mark": MARKS[check.verdict],
                "style": css_class(check.verdict),
                "found": check.found,
                "to_do": check.to_do,
            }
            for check in device.checks
        ],
    }


def _question(asked: _Asked) -> dict[str, Any]:
    return {
        "number": asked.number,
        "name": asked.question.name,
        "text": asked.question.text,
        "if_no": asked.question.if_no,
        "pictures": [
            {"caption": picture.caption, "path": f"/pictures/{asked.number}/{place}"}
            for place, picture in enumerate(asked.pictures)
        ],
    }


def _answered(asked: _Asked) -> dict[str, Any]:
    return {"number": asked.number, "text": asked.question.text, "told": _told(asked)}


def _told(asked: _Asked) -> str:
    words = {Answer.YES: "“yes”", Answer.NO: "“no”", Answer.NONE: "“skip”"}
    if asked.by == NOBODY:
        return "The question was closed without an answer."
    where = "at the terminal" if asked.by == TERMINAL else "on the page"
    assert asked.answer is not None
    return f"The question was answered with {words[asked.answer]} {where}."


def _summary(report: Report) -> dict[str, Any]:
    return {
        "verdict": report.verdict.value,
        "headline": headline(report.verdict),
        "style": css_class(report.verdict),
        "summary": report.summary,
    }
