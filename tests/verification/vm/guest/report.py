"""How the guest reports to the host: one JSON message a line on the second serial port, one for each check."""

from __future__ import annotations

import faulthandler
import json
import os
import time
import traceback
import tty
from collections.abc import Callable
from typing import Any

HANGS_S = 240.0
"""A check that takes longer hangs: the guest shows where, and ends."""


class Skip(Exception):
    """A check cannot be made here; the message gives the reason. Every skip is counted and shown."""


class Report:
    """The line to the host, and what was found so far.

    Args:
        only: words; a check runs when one of them is in "device check". Empty for all.
    """

    def __init__(self, only: tuple[str, ...] = (), line: str = "/dev/ttyS1") -> None:
        self._only = only
        self._fd = os.open(line, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._fd)
        self._file = os.fdopen(self._fd, "rb", buffering=0)
        self.failed = 0

    def wanted(self, device: str, name: str = "") -> bool:
        """Whether this check was asked for; without a name: whether one of the device's may be."""
        text = f"{device} {name}"
        return not self._only or not name or any(word in text for word in self._only)

    def send(self, **message: Any) -> None:
        """Tell the host."""
        data = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    def ask(self, **message: Any) -> dict[str, Any]:
        """Tell the host and wait for its answer."""
        self.send(**message)
        return self.receive()

    def receive(self) -> dict[str, Any]:
        """The next message of the host."""
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self._file.read(1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def check(self, device: str, name: str, run: Callable[[], object]) -> bool:
        """Make one check; True when nothing was found wrong."""
        if not self.wanted(device, name):
            return True
        start = time.monotonic()
        faulthandler.dump_traceback_later(HANGS_S, exit=True)
        outcome, detail = "passed", ""
        try:
            run()
        except Skip as skip:
            outcome, detail = "skipped", str(skip)
        except Exception as error:
            outcome, detail = "failed", f"{type(error).__name__}: {error}"
            print(f"--- {device} {name}", flush=True)
            traceback.print_exc()
            self.failed += 1
        faulthandler.cancel_dump_traceback_later()
        took = round(time.monotonic() - start, 2)
        self.send(device=device, check=name, outcome=outcome, seconds=took, detail=detail)
        return outcome != "failed"
