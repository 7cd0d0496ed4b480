"""`python -m tests.verification.kill.child N ARGUMENTS...` is `sco-pay ARGUMENTS` that kills itself at its N-th point;
0 is none.

There is a point before and after every commit of the journal, every request to the acquirer and every line of output,
so that the process dies with a step unwritten, with one written and not performed, with a request sent and its answer
unread, and with the outcome reported and not recorded as delivered. What it dies at goes to stderr. With
SCO_TEST_INTERRUPT=n the customer cancels after n status requests; SCO_TEST_FAULT names a seeded fault of
`tests.verification.explore.faults` to put into the machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
from typing import Any

from sco_payment import journal
from sco_payment.cli import terminal
from sco_payment.paymaster import client
from tests.verification.points import Points


def arm(point: Points) -> None:
    """Put the points into the code that ships."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            if sql != "COMMIT":
                return super().execute(sql, *rest)
            point("before a commit")
            cursor = super().execute(sql, *rest)
            point("after a commit")
            return cursor

    def connect(self: journal.Journal, uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)

    journal.Journal._connect = connect  # type: ignore[method-assign]
    exchange, read, write_line = client.PayMaster._exchange, client._read, terminal.JsonLines._write
    interrupt_at = int(os.environ.get("SCO_TEST_INTERRUPT", "0"))
    status_requests = 0

    def exchange_with_points(self: client.PayMaster, token: Any, method: str, path: str, *rest: Any) -> Any:
        nonlocal status_requests
        point(f"before {method}")
        answer = exchange(self, token, method, path, *rest)
        point(f"after {method}")
        if method == "GET":
            status_requests += 1
            if status_requests == interrupt_at:
                os.kill(os.getpid(), signal.SIGINT)
        return answer

    def read_with_point(*arguments: Any) -> bytes:
        point("the acquirer has answered, nothing is read")
        return read(*arguments)

    def write_line_with_points(self: terminal.JsonLines, data: Any) -> None:
        point(f"before the line {data['event']}")
        write_line(self, data)
        point(f"after the line {data['event']}")

    client.PayMaster._exchange = exchange_with_points  # type: ignore[method-assign]
    client._read = read_with_point
    terminal.JsonLines._write = write_line_with_points  # type: ignore[method-assign]


def main() -> None:
    """As the module's docstring describes."""
    point = Points(int(sys.argv[1]))
    arm(point)
    from sco_payment.cli.main import main as sco_pay

    fault = os.environ.get("SCO_TEST_FAULT")
    with contextlib.ExitStack() as stack:
        if fault:
            from tests.verification.explore.faults import FAULTS
            from tests.verification.seeded import seeded

            stack.enter_context(seeded(next(one for one in FAULTS if one.name == fault)))
        point.run(sco_pay, sys.argv[2:])


if __name__ == "__main__":
    main()
