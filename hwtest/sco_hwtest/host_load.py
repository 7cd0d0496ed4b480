"""How busy the machine of a measurement is: how long the measuring process waited for a processor.

A time that was measured on a busy machine says less about the device. The kernel counts for each thread how long it ran
and how long it was ready to run and had to wait (proc(5), /proc/PID/task/TID/schedstat).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


class CpuWaiting:
    """Counts from its creation on."""

    def __init__(self) -> None:
        self._before = _counted()

    @property
    def percent(self) -> float | None:
        """The share of the time, in percent, in which this process's threads wanted to run and had to wait.

        Of threads that are alive now. None if the kernel does not count it.
        """
        ran = waited = 0
        for thread, (its_run, its_wait) in _counted().items():
            run_before, wait_before = self._before.get(thread, (0, 0))
            ran, waited = ran + its_run - run_before, waited + its_wait - wait_before
        return 100 * waited / (ran + waited) if ran + waited > 0 else None


def _counted() -> dict[str, tuple[int, int]]:
    """Of each thread: how long it ran and how long it waited, in ns."""
    found: dict[str, tuple[int, int]] = {}
    with suppress(OSError):
        for task in _TASKS.iterdir():
            with suppress(OSError, ValueError):  # a thread that has ended, a kernel that does not count
                ran, waited, *_ = (task / "schedstat").read_text().split()
                found[task.name] = int(ran), int(waited)
    return found
