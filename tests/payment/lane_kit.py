"""A whole lane for tests: real HTTP, real journal, real devices' wires, time that runs faster."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sco_payment.assemble import open_lane
from sco_payment.attempt import Message, Phase, View
from sco_payment.customer.ui import Choose, LaneUI, ScreenState
from sco_payment.events import LaneEvent, Observer, StateChanged, null_observer
from sco_payment.lane import Lane
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.local import settings_text
from sco_sim.paymaster import PayMasterSimulator

SPEED = 20.0


class OwnUI:
    """An integrator's own screen: remembers what was shown, answers the dialog, and lets a test act on a view."""

    def __init__(self, answer: str | None = None, on_pay: Callable[[ScreenState], None] | None = None) -> None:
        self.shown: list[ScreenState] = []
        self.closed = False
        self._answer = answer
        self._on_pay = on_pay
        self._choose: Choose | None = None

    def bind(self, choose: Choose) -> None:
        self._choose = choose

    def choose(self, state: ScreenState, button: str) -> bool:
        assert self._choose is not None
        return self._choose(state.attempt, button)

    def show(self, state: ScreenState) -> None:
        self.shown.append(state)
        if state.view is View.PAY and self._on_pay is not None:
            self._on_pay(state)
        if state.view is View.DIALOG and self._answer is not None:
            threading.Timer(0.02, self.choose, (state, self._answer)).start()

    def close(self) -> None:
        self.closed = True

    @property
    def headlines(self) -> list[str]:
        return [one.headline for one in self.shown]

    @property
    def pay_screens(self) -> list[ScreenState]:
        return [state for state in self.shown if state.view is View.PAY]


def document(paymaster: PayMasterSimulator, journal: Path, /, **sections: dict[str, Any]) -> dict[str, Any]:
    """Settings of a test lane; sections are merged over the defaults."""
    base: dict[str, dict[str, Any]] = {
        "lane": {"pos_id": "KSO-7", "shop": "Магазин у дома"},
        "paymaster": {
            "base_url": paymaster.base_url,
            "merchant_id": paymaster.merchant_id,
            "connect_timeout_s": 2.0,
            "read_timeout_s": 2.0,
        },
        "timing": {"invoice_life_s": 120.0, "poll_timeout_s": 30.0, "grace_s": 60.0},
        "journal": {"path": str(journal)},
    }
    for name, values in sections.items():
        base[name] = base.get(name, {}) | values
    return base


@contextlib.contextmanager
def bench(
    folder: Path,
    script: str = "leaves",
    *,
    ui: LaneUI | None = None,
    observer: Observer = null_observer,
    **sections: dict[str, Any],
) -> Iterator[tuple[Lane, PayMasterSimulator]]:
    """A lane and its simulated bank, both on the same fast clock."""
    runtime: ThreadRuntime[Message] = ThreadRuntime(SPEED)
    with PayMasterSimulator(clock=lambda: runtime.now() / 1000, script=script) as paymaster:
        data = document(paymaster, folder / "journal.db", **sections)
        settings = settings_from_mapping(data, {TOKEN_VARIABLE: paymaster.token})
        with open_lane(settings, ui=ui, observer=observer, runtime=runtime, token=Token(paymaster.token)) as lane:
            yield lane, paymaster


def settings_file(tmp_path: Path, paymaster: PayMasterSimulator) -> str:
    """A settings file of a test lane, for a process of its own: its time is real, so it asks often; the file's name."""
    data = document(paymaster, tmp_path / "journal.db")
    data["timing"]["poll_interval_s"] = 0.2
    path = tmp_path / "lane.toml"
    path.write_text(settings_text(data), "utf-8")
    return str(path)


def bare_settings_file(tmp_path: Path, journal: Path | str) -> str:
    """The least that a lane's settings file may hold; the file's name."""
    path = tmp_path / "lane.toml"
    sections = {
        "lane": {"pos_id": "l", "shop": "s"},
        "paymaster": {"merchant_id": "m"},
        "journal": {"path": str(journal)},
    }
    path.write_text(settings_text(sections), "utf-8")
    return str(path)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`sco-pay` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sco_payment.cli.main", *arguments],
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=110,
        env={**os.environ, **environment},
        check=False,
    )


class Phases:
    """The phases that the lane's attempts came to."""

    def __init__(self) -> None:
        self._reached = threading.Condition()
        self._phases: list[Phase] = []

    def __call__(self, event: LaneEvent) -> None:
        if isinstance(event, StateChanged):
            with self._reached:
                self._phases.append(event.phase)
                self._reached.notify_all()

    def wait_for(self, phase: Phase, times: int = 1) -> None:
        """Wait until as many attempts have come to `phase`."""
        with self._reached:
            assert self._reached.wait_for(lambda: self._phases.count(phase) >= times, timeout=60), self._phases
