"""A lane's own program as the unit runs it, with a till that takes orders by a socket in the unit's run folder.

Besides payments it tries what the bench asks of it: only a process in the sandbox can find out what the sandbox allows.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from sco_payment.assemble import open_lane
from sco_payment.events import LaneEvent, StateChanged
from sco_payment.lane import Lane
from sco_payment.order import Order, Result
from sco_payment.settings_reader import load_settings
from sco_payment.systemd import Notifier

ALIVE_S = 5.0
"""A loop that has not run for so long hangs."""


class Till:
    """The program's own loop: one request a connection."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._over = threading.Event()
        self._turned = time.monotonic()
        self._payment = threading.Thread()
        self._states: dict[str, str] = {}
        self._line = socket.socket(socket.AF_UNIX)
        place = Path(os.environ["RUNTIME_DIRECTORY"]) / "till"
        place.unlink(missing_ok=True)  # of a run that was killed
        self._line.bind(str(place))
        self._line.listen()
        self._line.settimeout(0.5)

    def alive(self) -> bool:
        """Whether the loop has run lately."""
        return time.monotonic() - self._turned < ALIVE_S

    def stop(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: no further order, and the payment under way is cancelled."""
        self._over.set()

    def run(self, lane: Lane) -> None:
        """Take orders until `stop`, and continue until the last payment has an outcome."""
        while not self._over.is_set() or self._payment.is_alive():
            self._turned = time.monotonic()
            if self._over.is_set():
                lane.cancel()
            with contextlib.suppress(TimeoutError):
                line, _ = self._line.accept()
                with line, line.makefile("rwb") as file:
                    file.write(json.dumps(self._answer(lane, json.loads(file.readline()))).encode() + b"\n")
        self._notifier.stopping()

    def _answer(self, lane: Lane, asked: dict[str, Any]) -> Any:
        match asked:
            case {"pay": _} if self._payment.is_alive() or self._over.is_set():
                return "busy"
            case {"pay": [str(number), int(kopecks)]}:
                order = Order(number, kopecks)
                self._payment = threading.Thread(target=lane.pay, args=(order,), kwargs={"deliver": self._taken})
                self._payment.start()
                return "begun"
            case {"order": str(number)}:
                return self._states.get(number, "")
            case {"open": str(path), "write": bool(write)}:
                return tried(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_NONBLOCK | os.O_NOCTTY)
            case {"create": str(path)}:
                return tried(path, os.O_WRONLY | os.O_CREAT)
            case {"hang": True}:
                time.sleep(3600)
        return "what?"

    def observe(self, event: LaneEvent) -> None:
        """The lane's observer: remembers the phase of each order, and reports it to systemd."""
        if isinstance(event, StateChanged):
            self._states[event.order_no] = event.phase.value
            self._notifier.status(f"{event.order_no} {event.phase.value}")

    def _taken(self, result: Result) -> None:
        assert result.outcome is not None
        self._states[result.order_no] = f"ended {result.outcome.value}"


def tried(path: str, flags: int) -> str:
    """Open and close: "opened", or the error's name."""
    try:
        os.close(os.open(path, flags, 0o600))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "opened"


def main() -> None:
    """As the guide has it: ready when the lane is open, alive while its own loop and the lane's turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", required=True)
    notifier = Notifier()
    till = Till(notifier)
    with open_lane(load_settings(parser.parse_args().settings), observer=till.observe) as lane:
        signal.signal(signal.SIGTERM, till.stop)
        lane.start()
        with notifier.watch(lambda: till.alive() and lane.stalled_for_s() < 30):
            notifier.ready("waits for an order")
            till.run(lane)


if __name__ == "__main__":
    main()
