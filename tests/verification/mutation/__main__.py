"""Make every mutant of the given modules, run the focused tests against each, print the score and each survivor.

The exit status is 1 when a goal is missed or a survivor is not explained in docs/mutation.md.
"""

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

from tests.verification.mutation.mutate import UNCHANGED, Mutant, enums_in, mutants
from tests.verification.verdict import verdict

ROOT = Path(__file__).parents[3]
EXPLAINED = ROOT / "docs" / "mutation.md"


class Target(NamedTuple):
    """The focused tests of a module, stage by stage: a mutant that one stage does not kill meets the next.

    `limit_s` is of computing: a busy machine makes no mutant look endless. By the clock it is `_PATIENCE` times that.
    The stages from `waiting_from` on wait for clocks and devices. One of their tests may fail on a busy machine by
    itself, so that a mutant counts as killed when a second run agrees.
    """

    stages: tuple[tuple[str, ...], ...]
    waiting_from: int | None = None
    limit_s: int = 60
    goal: float = 0.95


_PATIENCE = 20
_PAYMENT = "tests/payment"
_VERIFICATION = "tests/verification"
_MACHINE = Target(
    (
        (f"{_PAYMENT}/test_machine.py",),
        (f"{_VERIFICATION}/test_explore.py", "-k", "crashes0 or seeded_fault"),
    ),
    limit_s=240,
)
_JOURNAL = Target(
    (
        tuple(f"{_PAYMENT}/journal/test_{name}.py" for name in ("journal", "reading", "codec", "migration")),
        (f"{_PAYMENT}/journal/test_archive.py", "tests/security/test_journal_attacks.py"),
        (f"{_VERIFICATION}/test_powerloss.py",),
    ),
    limit_s=120,
    goal=0.9,
)


def _one_by_one(*tests: str) -> Target:
    """A part of the journal: its own tests first, each file a stage."""
    return Target(tuple((test,) for test in tests), limit_s=120, goal=0.9)


def _answers(first: str, *others: str) -> tuple[tuple[str, ...], ...]:
    """The tests of PayMaster's wire: the quickest first."""
    return (
        tuple(f"{_PAYMENT}/paymaster/test_{name}.py" for name in (first, *others)),
        tuple(
            f"{_PAYMENT}/paymaster/test_{name}.py"
            for name in (
                "adapter",
                "answers",
                "client",
                "requests",
                "token",
                "wire",
                "token_rotation",
                "simulator",
                "creations",
            )
            if name not in (first, *others)
        ),
        ("tests/contract/test_acquirer.py", f"{_PAYMENT}/test_acquirer.py", f"{_PAYMENT}/test_settings.py"),
        (f"{_PAYMENT}/paymaster/test_proxy.py", f"{_PAYMENT}/paymaster/test_tls.py"),
    )


_WIRE = _answers("client", "requests", "wire", "answers")
_COMPUTED = ("-p", "pytest_timeout", f"{_VERIFICATION}/test_simulate.py::test_the_invariants_hold[0]")
"""A part of the simulation: it only computes."""
_PAYMENTS = (
    tuple(
        f"{_PAYMENT}/test_{name}.py" for name in ("choose", "cancel_early", "acknowledge", "lane_edges", "print_once")
    ),
    tuple(f"{_PAYMENT}/test_{name}.py" for name in ("legs", "lane_rules", "lane_others", "ticket")),
    (f"{_PAYMENT}/test_lane_tag.py", f"{_PAYMENT}/test_bank_behaviours.py", "tests/security/test_links.py"),
    (f"{_PAYMENT}/test_lane.py", f"{_PAYMENT}/journal/test_resolutions.py"),
)
_SHOWN = (
    *("-p", "sco_sim.testing.pytest_plugin"),
    *(f"{_PAYMENT}/test_{name}.py" for name in ("lane_tag_faults", "qr_display", "screen_faults", "retract")),
    *(f"{_PAYMENT}/test_{name}.py" for name in ("requirement", "till_id")),
)
_LANE = Target((_COMPUTED, *_PAYMENTS, _SHOWN), waiting_from=1, limit_s=30, goal=0.8)
_DISPLAY = Target((_PAYMENTS[0], _SHOWN, *_PAYMENTS[1:], _COMPUTED), waiting_from=0, limit_s=30, goal=0.8)
TARGETS = {
    f"sco_payment.{name}": target
    for target, names in (
        (_MACHINE, ("attempt.machine", "attempt._handlers", "attempt.gate", "attempt.states", "attempt.events")),
        (Target(((f"{_PAYMENT}/test_link.py",), ("tests/security/test_links.py",))), ("link",)),
        (Target(((f"{_PAYMENT}/test_money.py",), (f"{_PAYMENT}/paymaster/test_client.py",))), ("money",)),
        (
            Target(_answers("adapter", "answers", "creations", "opening")),
            ("acquirer", "paymaster.adapter", "paymaster.creations"),
        ),
        (
            Target(_WIRE, goal=0.9),
            ("paymaster.client", "paymaster.wire"),
        ),
        (Target(_WIRE, goal=0.85), ("paymaster.transport",)),
        (Target(_answers("token", "token_rotation", "client"), goal=0.9), ("paymaster.token",)),
        (
            _one_by_one(
                *(f"{_PAYMENT}/journal/test_{name}.py" for name in ("archive", "archive_cli", "archive_power"))
            ),
            ("journal.archive",),
        ),
        (
            _one_by_one(f"{_PAYMENT}/journal/test_resolutions.py", "tests/security/test_journal_attacks.py"),
            ("journal.resolutions",),
        ),
        (
            _one_by_one(
                f"{_PAYMENT}/journal/test_salvage.py",
                f"{_PAYMENT}/journal/test_reading.py",
                f"{_PAYMENT}/fleet/test_salvage.py",
                "tests/security/test_journal_attacks.py",
            ),
            ("journal.salvage",),
        ),
        (_JOURNAL, ("journal.store", "journal.codec", "journal.verify", "journal.schema")),
        (_LANE, ("lane", "loop", "order")),
        (_DISPLAY, ("customer.display",)),
    )
    for name in names
}
SLOW = tuple(module for module, target in TARGETS.items() if target.waiting_from is not None)
"""Only when named."""


def file_of(module: str) -> Path:
    """The source of a module of `sco_payment`."""
    return (ROOT / "payment").joinpath(*module.split(".")).with_suffix(".py")


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
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
    """0 when no test fails."""
    import pytest

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.meta_path.insert(0, _Mutated(module, file, mutant))
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=no", "-m", "", *stage]))


def _start(module: str, target: Target, mutant: Mutant, stage: int) -> int:
    pid = os.fork()
    if pid == 0:
        status = 3
        resource.setrlimit(resource.RLIMIT_CPU, (target.limit_s, target.limit_s + 5))
        try:
            status = _child(module, file_of(module), mutant, target.stages[stage])
        finally:
            os._exit(status)
    return pid


def _passes_unchanged(module: str, target: Target, stage: int) -> bool:
    """A second try where the tests may fail on a busy machine by themselves."""
    tries = 2 if _waits(target, stage) else 1
    return any(os.waitpid(_start(module, target, UNCHANGED, stage), 0)[1] == 0 for _ in range(tries))


def _waits(target: Target, stage: int) -> bool:
    return target.waiting_from is not None and stage >= target.waiting_from


def _mutants(module: str) -> list[Mutant]:
    return list(mutants(file_of(module).read_text("utf-8"), enums_in(ROOT / "payment")))


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
    for number, stage in enumerate(target.stages):
        if not _passes_unchanged(module, target, number):
            raise SystemExit(f"{module}: the tests {stage} fail without any change")
    waiting = [_Wanted(mutant, 0) for mutant in _mutants(module) if only in mutant.name][skip::every]
    waiting.reverse()
    gc.collect()
    gc.freeze()  # children share what is here
    running: dict[int, _Running] = {}
    fates: Counter[str] = Counter()
    survivors: list[Mutant] = []
    printed = 0
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
            elif status and _waits(target, number) and not again:
                waiting.append(_Wanted(mutant, number, again=True))
            elif status:
                fates["killed"] += 1
            elif number + 1 < len(target.stages):
                waiting.append(_Wanted(mutant, number + 1))
            else:
                fates["survived"] += 1
                survivors.append(mutant)
                print(f"  survived  {file_of(module).relative_to(ROOT)}:{mutant.line} {mutant.name}", flush=True)
            del running[pid]
            if fates.total() != printed and not fates.total() % 25:
                printed = fates.total()
                print(f"  {printed} done, {len(waiting) + len(running)} to come", flush=True)
    return fates, survivors


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--every", type=int, default=1, help="every n-th mutant only")
    parser.add_argument("--skip", type=int, default=0, help="not the first n mutants: to continue a run")
    parser.add_argument("--count", action="store_true", help="print how many mutants there are, and run none")
    parser.add_argument("--stages", type=int, help="the first stages of tests only")
    options = parser.parse_args()
    if options.count:
        counts = {module: len(_mutants(module)) for module in options.modules or TARGETS}
        print(*(f"{module}: {count} mutants" for module, count in counts.items()), sep="\n")
        print(f"{sum(counts.values())} mutants in {len(counts)} modules")
        return 0
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the focused tests need none, and each child would load them
    import greenlet  # noqa: F401 - once, for all children
    import hypothesis.strategies  # noqa: F401
    import msgspec  # noqa: F401
    import pytest  # noqa: F401
    import urllib3  # noqa: F401

    import sco_drivers.printer.memory  # noqa: F401

    explained = EXPLAINED.read_text("utf-8") if EXPLAINED.exists() else ""
    total = 0
    broken = []
    began = time.monotonic()
    for module in options.modules or [name for name in TARGETS if name not in SLOW]:
        target, started = TARGETS[module], time.monotonic()
        target = target._replace(stages=target.stages[: options.stages])
        fates, survivors = run(module, target, options.jobs, options.only, options.every, options.skip)
        count = fates.total()
        total += count
        score = (count - fates["survived"]) / count if count else 1.0
        unexplained = [mutant for mutant in survivors if mutant.name not in explained]
        if score < target.goal:
            broken.append(f"{module} misses its goal of {target.goal:.0%} with {score:.1%}")
        if unexplained:
            broken.append(f"{len(unexplained)} survivors of {module} are not explained")
        print(
            f"{module}: {count} mutants, {fates['killed']} killed by a test, {fates['timeout']} by never ending, "
            f"{fates['survived']} survived ({len(unexplained)} unexplained): {score:.1%} (goal {target.goal:.0%}), "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    counts = f"{total} mutants, {time.monotonic() - began:.0f} s"
    print(verdict(counts, broken, good="all goals are met and all survivors explained"))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
