"""`python -m tests.verification.service.child N --settings FILE` is `sco-pay serve` that dies at its N-th point.

There is a point before and after every commit of the journal and every request to the acquirer, before a request of a
client is looked at, and when its answer is made and not sent. SCO_TEST_FAULT names a seeded fault of `faults`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from sco_payment.cli.main import main as sco_pay
from sco_service import routing
from tests.verification.kill import child
from tests.verification.points import Points
from tests.verification.seeded import seeded
from tests.verification.service.faults import FAULTS


def arm(point: Points) -> None:
    """Put the points into the code that ships."""
    child.arm(point)
    answer = routing.Router.__call__

    def answer_with_points(self: routing.Router, request: Any) -> Any:
        point(f"before {request.method} is looked at")
        found = answer(self, request)
        point(f"{request.method} has its answer")
        return found

    routing.Router.__call__ = answer_with_points  # type: ignore[method-assign]


def main() -> None:
    """As the module's docstring describes."""
    point = Points(int(sys.argv[1]))
    arm(point)
    name = os.environ.get("SCO_TEST_FAULT")
    with contextlib.ExitStack() as stack:
        if name:
            stack.enter_context(seeded(next(fault for fault in FAULTS if fault.name == name)))
        point.run(sco_pay, ["serve", *sys.argv[2:]])


if __name__ == "__main__":
    main()
