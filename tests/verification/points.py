"""Where a process of a round kills itself: at its N-th point; 0 is none. What it dies at goes to stderr."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


class Points:
    """Counts the points that are passed."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.passed = 0

    def __call__(self, what: str) -> None:
        """Pass a point, or die at it."""
        self.passed += 1
        if self.passed == self._at:
            os.write(2, f"killed at point {self.passed}: {what}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self, command: Callable[[list[str]], object], arguments: list[str]) -> None:
        """Run a command; how many points it passed goes to stderr however it ends."""
        try:
            command(arguments)
        finally:
            os.write(2, f"points passed: {self.passed}\n".encode())
