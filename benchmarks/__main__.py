"""Runs every benchmark, each as a process of its own, and prints one table: `make bench`, or `python -m benchmarks`.

The output and the figures of each go to `out/bench/`; `out/bench/all.json` has all figures with the machine they
were measured on. A benchmark that fails is shown with its last words, the others still run, and the exit status is 1.
A missed goal is a figure, not a failure. `--keep` puts the figures into `benchmarks/measured.json` and makes
`docs/performance.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import performance
from benchmarks.machine import describe
from benchmarks.report import Row, table

ROOT = Path(__file__).resolve().parent.parent
_LAST_LINES = 40
"""Of what a failed benchmark said: where it ran, nobody may be able to open the file."""


@dataclass(frozen=True, slots=True)
class Run:
    """One benchmark's run.

    Attributes:
        module, date: which, and when.
        seconds: how long it took.
        load: processes that ran or waited while it began (the system's load of the last minute): a busy machine's
            figures are worse.
        rows: its figures.
        failure: why it has none.
    """

    module: str
    date: str
    seconds: float
    load: float
    rows: list[dict[str, Any]]
    failure: str = ""


def modules() -> list[str]:
    """The benchmarks there are, by module name."""
    return sorted(f"benchmarks.{path.parent.name}.{path.stem}" for path in ROOT.glob("benchmarks/*/bench_*.py"))


def run(module: str, out: Path, *, quick: bool, timeout_s: float) -> Run:
    """Run one and read its figures; its output goes to `out/MODULE.txt`."""
    name = module.removeprefix("benchmarks.")
    figures = out / f"{name}.json"
    figures.unlink(missing_ok=True)
    command = [sys.executable, "-m", module, "--json", str(figures), *(["--quick"] if quick else [])]
    load = round(os.getloadavg()[0], 1)
    date, start = datetime.now(UTC).strftime("%Y-%m-%d"), time.monotonic()
    with (out / f"{name}.txt").open("wb") as words:
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=words, stderr=subprocess.STDOUT, timeout=timeout_s)
            failure = "" if done.returncode == 0 else f"exit status {done.returncode}"
        except subprocess.TimeoutExpired:
            failure = f"no end within {timeout_s:g} s"
    rows: list[dict[str, Any]] = []
    if not failure:
        try:
            rows = json.loads(figures.read_text("utf-8"))
        except (OSError, ValueError):
            failure = "it wrote no figures"
    return Run(module, date, round(time.monotonic() - start, 1), load, rows, failure)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("only", nargs="*", help="areas or modules, e.g. screen or screen.bench_screen; all without")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that they work, not to measure")
    parser.add_argument("--keep", action="store_true", help="keep the figures and write docs/performance.md again")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench", help="where the results go")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for each (900)")
    chosen = parser.parse_args(arguments)
    if chosen.keep and chosen.quick:
        parser.error("a quick run measures nothing: it is not kept")
    wanted = [name for name in modules() if not chosen.only or _is_one_of(name, chosen.only)]
    if not wanted:
        parser.error(f"no benchmark is called {' or '.join(chosen.only)}; there are {', '.join(modules())}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    runs = []
    for module in wanted:
        print(f"{module} ... ", end="", flush=True)
        runs.append(run(module, chosen.out, quick=chosen.quick, timeout_s=chosen.timeout))
        print(f"{runs[-1].seconds} s {runs[-1].failure}".rstrip())
    report = {"machine": asdict(describe()), "quick": chosen.quick, "runs": [asdict(one) for one in runs]}
    (chosen.out / "all.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"\n{table([Row(**row) for one in runs for row in one.rows])}")
    if chosen.quick:
        print("\nquick: these figures only show that the benchmarks work")
    failed = [one for one in runs if one.failure]
    for one in failed:
        words = chosen.out / f"{one.module.removeprefix('benchmarks.')}.txt"
        print(f"\nFAILED {one.module}: {one.failure}: the end of {words}:")
        print("\n".join(words.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]))
    if chosen.keep:
        performance.keep(report, modules())
    return 1 if failed else 0


def _is_one_of(module: str, names: list[str]) -> bool:
    _, area, name = module.split(".")
    return bool({area, name, f"{area}.{name}", module} & set(names))


if __name__ == "__main__":
    sys.exit(main())
