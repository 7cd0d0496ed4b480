"""Make every mutant of the given modules, run the focused tests against each, print the score and each survivor. The exit
status is 1 when a goal is missed or a survivor is not explained in docs/mutation.md."""

from __future__ import annotations

import argparse
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tests.verification.mutation.mutate import UNHARMED, Mutant, mutants

ROOT = Path(__file__).parents[3]
EXPLAINED = ROOT / "docs" / "mutation.md"


class Target(NamedTuple):
    """A module and its focused tests, stage by stage: a mutant that the first stage does not notice meets the next.

    `limit_s` is of computing: a busy machine makes no mutant look endless. By the clock it is `_PATIENCE` times that.
    """

    file: str
    stages: tuple[tuple[str, ...], ...]
    limit_s: int
    goal: float


_PATIENCE = 8


PAYMENT = "tests/payment"
VERIFICATION = "tests/verification"
RUNNER = (
    # a part of the simulation: computing only, and most mutants end here
    ("-p", "pytest_timeout", f"{VERIFICATION}/test_simulate.py::test_the_invariants_hold[0]"),
    (f"{PAYMENT}/test_lane_edges.py", f"{PAYMENT}/test_print_once.py"),
    (f"{PAYMENT}/test_lane.py",),
    (f"{PAYMENT}/test_lane_others.py", f"{PAYMENT}/test_lane_tag.py", f"{PAYMENT}/journal/test_resolutions.py"),
)
TARGETS = {
    "sco_payment.attempt.machine": Target(
        "payment/sco_payment/attempt/machine.py",
        (
            (f"{PAYMENT}/test_machine.py",),
            (f"{VERIFICATION}/test_explore.py", "-k", "crashes0 or planted_mistake"),
        ),
        240,
        0.95,
    ),
    "sco_payment.attempt._handlers": Target(
        "payment/sco_payment/attempt/_handlers.py",
        (
            (f"{PAYMENT}/test_machine.py",),
            (f"{VERIFICATION}/test_explore.py", "-k", "crashes0 or planted_mistake"),
        ),
        240,
        0.95,
    ),
    "sco_payment.link": Target("payment/sco_payment/link.py", ((f"{PAYMENT}/test_link.py",),), 60, 0.95),
    "sco_payment.journal.store": Target(
        "payment/sco_payment/journal/store.py",
        (
            (f"{PAYMENT}/journal/test_journal.py", f"{PAYMENT}/journal/test_migration.py"),
            (f"{VERIFICATION}/test_powerloss.py",),
        ),
        120,
        0.9,
    ),
    "sco_payment.lane": Target("payment/sco_payment/lane.py", RUNNER, 30, 0.8),
    "sco_payment.loop": Target("payment/sco_payment/loop.py", RUNNER, 30, 0.8),
    "sco_payment.customer.display": Target("payment/sco_payment/customer/display.py", RUNNER, 30, 0.8),
}


SLOW = ("sco_payment.lane", "sco_payment.loop", "sco_payment.customer.display")
"""Only when named: their tests wait for clocks and devices. One of them may fail on a busy machine by itself, so that a
mutant counts as killed when a second run agrees."""


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a mutated tree."""

    def __init__(self, module: str, file: Path, mutant: Mutant) -> None:
        self._module, self._file, self._mutant = module, file, mutant
        self._source = file.read_text("utf-8")

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree(self._source), str(self._file), "exec"), module.__dict__)


def _child(module: str, file: Path, mutant: Mutant, stage: tuple[str, ...]) -> int:
    """0 when the tests notice nothing."""
    import pytest

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.meta_path.insert(0, _Planted(module, file, mutant))
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=no", *stage]))


def _start(module: str, target: Target, mutant: Mutant, stage: int) -> int:
    pid = os.fork()
    if pid == 0:
        status = 3
        resource.setrlimit(resource.RLIMIT_CPU, (target.limit_s, target.limit_s + 5))
        try:
            status = _child(module, ROOT / target.file, mutant, target.stages[stage])
        finally:
            os._exit(status)
    return pid


class _Wanted(NamedTuple):
    mutant: Mutant
    stage: int
    again: bool = False  # it was killed once


class _Running(NamedTuple):
    wanted: _Wanted
    until: float


def run(
    module: str, target: Target, jobs: int, only: str = "", every: int = 1, skip: int = 0
) -> tuple[Counter[str], list[Mutant]]:
    """Counts of killed, timeout and survived, and the survivors."""
    source = (ROOT / target.file).read_text("utf-8")
    unharmed = {_start(module, target, UNHARMED, number): stage for number, stage in enumerate(target.stages)}
    for pid, stage in unharmed.items():
        if os.waitpid(pid, 0)[1]:
            raise SystemExit(f"{module}: the tests {stage} fail without any mistake")
    waiting = [_Wanted(mutant, 0) for mutant in mutants(source) if only in mutant.name][skip::every]
    waiting.reverse()
    gc.collect()
    gc.freeze()  # children share what is here
    running: dict[int, _Running] = {}
    fates: Counter[str] = Counter()
    survivors: list[Mutant] = []
    told = 0
    while waiting or running:
        while waiting and len(running) < jobs:
            wanted = waiting.pop()
            pid = _start(module, target, wanted.mutant, wanted.stage)
            running[pid] = _Running(wanted, time.monotonic() + _PATIENCE * target.limit_s)
        time.sleep(0.02)
        for pid, (wanted, until) in list(running.items()):
            mutant, number, again = wanted
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() > until:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                fates["timeout"] += 1
            elif not done:
                continue
            elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                fates["timeout"] += 1
            elif status and number and module in SLOW and not again:
                waiting.append(_Wanted(mutant, number, again=True))
            elif status:
                fates["killed"] += 1
            elif number + 1 < len(target.stages):
                waiting.append(_Wanted(mutant, number + 1))
            else:
                fates["survived"] += 1
                survivors.append(mutant)
                print(f"  survived  {target.file}:{mutant.line} {mutant.name}", flush=True)
            del running[pid]
            if fates.total() != told and not fates.total() % 25:
                told = fates.total()
                print(f"  {told} done, {len(waiting) + len(running)} to come", flush=True)
    return fates, survivors


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--every", type=int, default=1, help="every n-th mutant only")
    parser.add_argument("--skip", type=int, default=0, help="not the first n mutants: to go on with a run")
    parser.add_argument("--stages", type=int, help="the first stages of tests only")
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the focused tests need none, and each child would load them
    import greenlet  # noqa: F401 - once, for all children
    import hypothesis.strategies  # noqa: F401
    import msgspec  # noqa: F401
    import pytest  # noqa: F401
    import urllib3  # noqa: F401

    import sco_drivers.printer.memory  # noqa: F401

    explained = EXPLAINED.read_text("utf-8") if EXPLAINED.exists() else ""
    bad = 0
    for module in options.modules or [name for name in TARGETS if name not in SLOW]:
        target, started = TARGETS[module], time.monotonic()
        target = target._replace(stages=target.stages[: options.stages])
        fates, survivors = run(module, target, options.jobs, options.only, options.every, options.skip)
        total = fates.total()
        score = (total - fates["survived"]) / total if total else 1.0
        unexplained = [mutant for mutant in survivors if mutant.name not in explained]
        bad |= bool(unexplained) or score < target.goal
        print(
            f"{module}: {total} mutants, {fates['killed']} killed by a test, {fates['timeout']} by never ending, "
            f"{fates['survived']} survived ({len(unexplained)} unexplained): {score:.1%} (goal {target.goal:.0%}), "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
