"""What a lane reports to systemd, read from a real socket as systemd reads it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sco_payment.systemd import Notifier


class Manager:
    """The service manager's end of the line."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)
        self.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000", "WATCHDOG_PID": str(os.getpid())}

    def received(self) -> list[str]:
        return self.socket.recv(4096).decode().splitlines()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@sco-test-{os.getpid()}-{tmp_path.name}"
    found = Manager(address)
    yield found
    found.socket.close()


def test_ready_status_and_stopping_are_sent(manager: Manager) -> None:
    notifier = Notifier(manager.environment)
    assert notifier.active
    notifier.ready("waiting for a customer")
    assert manager.received() == ["READY=1", "STATUS=waiting for a customer"]
    notifier.status("two\nlines")
    assert manager.received() == ["STATUS=two lines"]
    notifier.stopping()
    assert manager.received() == ["STOPPING=1"]


def test_the_watchdog_is_notified_as_long_as_the_lane_lives(manager: Manager) -> None:
    lives = threading.Event()
    lives.set()
    notifier = Notifier(manager.environment)
    assert notifier.watchdog_s == 0.06
    with notifier.watch(lives.is_set):
        for _ in range(3):
            assert manager.received() == ["WATCHDOG=1"]
        lives.clear()
        manager.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):  # noqa: PT012 - what was under way may still come
            for _ in range(100):
                manager.received()
        lives.set()
        manager.socket.settimeout(5)
        assert manager.received() == ["WATCHDOG=1"]


def test_a_question_that_fails_counts_as_no(manager: Manager) -> None:
    def fails() -> bool:
        raise RuntimeError("the loop is gone")

    with Notifier(manager.environment).watch(fails):
        manager.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            manager.received()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1234"},
        {"NOTIFY_SOCKET": "/nowhere/notify"},
        {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "soon"},
    ],
)
def test_without_a_service_manager_nothing_fails(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    notifier.ready()
    notifier.stopping()
    with notifier.watch(lambda: True):
        pass


def test_the_watchdog_of_another_process_is_not_ours(manager: Manager) -> None:
    manager.environment["WATCHDOG_PID"] = "1"
    assert Notifier(manager.environment).watchdog_s is None
