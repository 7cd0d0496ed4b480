"""What every test starts from: no device is remembered from a test before, whose simulator had the same address.

A test that needs a program of the system is marked with it, `@pytest.mark.program("mount")`, and is skipped where the
program is absent. So is one that needs a Python package of the dependency group `programs`: those build against the
system's libraries.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from sco_drivers.printer import memory
from tests.idle_time import IdleTime

settings.register_profile("slow machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slow machine")


@pytest.fixture(autouse=True)
def _no_device_is_remembered() -> None:
    memory.forget()


@pytest.fixture(autouse=True)
def _signals_are_heard_again() -> Iterator[None]:
    """A command that ran in this process may ignore them from its end on, and so would all processes that it starts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def idle_time() -> Iterator[IdleTime]:
    """A clock that no test waits for, shared by drivers, simulators and the test.

    Its patches are its own: a test's `monkeypatch` must be undone before what the test's fixtures have changed.
    """
    clock = IdleTime()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        yield clock


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("program"):
        name = mark.args[0]
        if shutil.which(name) is None and importlib.util.find_spec(name) is None:
            pytest.skip(f"needs the program {name}, which is not on this machine")
