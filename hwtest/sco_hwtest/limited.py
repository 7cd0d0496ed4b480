"""Calls that may hang, in a thread of their own with a time limit that leaves the operator any time.

error = limited(lambda operator: check(device, operator), at_the_bench, 180.0)
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from sco_hwtest.questions import Answer, Operator, Question

_LOOK_S = 0.2


class Hung(Exception):
    """A call did not return in time."""


class Stopped(Exception):
    """A call was left alone when KeyboardInterrupt came."""


class _Asked:
    """A question, and where its answer, or what asking it raised, is awaited."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()


def limited(work: Callable[[Operator], None], operator: Operator, limit_s: float) -> Exception | None:
    """Run `work` in a thread, so that a hanging driver does not hang the caller.

    Args:
        work: is given whom to ask.
        operator: is asked in the caller's thread, for as long as it takes.
        limit_s: for `work`, and again after each answer.

    Returns:
        What it raised, if anything; `Hung` or `Stopped` if it may still be running.
    """
    reported: queue.SimpleQueue[_Asked | Exception | None] = queue.SimpleQueue()

    def asks(question: Question) -> Answer:
        asked = _Asked(question)
        reported.put(asked)
        answer = asked.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def guarded() -> None:
        try:
            work(asks)
        except Exception as error:
            reported.put(error)
        else:
            reported.put(None)

    threading.Thread(target=guarded, name="sco-hwtest-check", daemon=True).start()
    try:
        while isinstance(found := _next(reported, limit_s), _Asked):
            try:
                found.answers.put(operator(found.question))
            except Exception as error:
                found.answers.put(error)
    except KeyboardInterrupt:
        return Stopped("it was stopped before its end")
    return found


def _next(reported: queue.SimpleQueue[_Asked | Exception | None], limit_s: float) -> _Asked | Exception | None:
    """What is reported next; `Hung` if nothing is within `limit_s`."""
    end = time.monotonic() + limit_s
    while (left := end - time.monotonic()) > 0:
        # The system may deliver Ctrl-C to another thread, which does not wake this one.
        with suppress(queue.Empty):
            return reported.get(timeout=min(_LOOK_S, left))
    return Hung(f"it did not return within {limit_s:.0f} s")
