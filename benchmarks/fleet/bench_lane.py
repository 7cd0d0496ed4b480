"""What shipping costs a lane, and how long a row is on its way: a lane's service with a fleet and without one.

    python -m benchmarks.fleet.bench_lane

The same process takes the same payments from a till, once without `[fleet]`: that is the limit. They take turns.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.bench_core import cpu_s, memory_mib, quantile
from benchmarks.core.instant_bank import InstantBank
from benchmarks.fleet.centre import Centre, add_lanes
from benchmarks.installed import compile_packages
from benchmarks.report import Row, finish, options
from benchmarks.service.bench_service import Till
from sco_payment.settings import TOKEN_VARIABLE
from sco_sim.local import settings_text, write_private

ROOT = Path(__file__).resolve().parents[2]
MEMORY_GOAL_MIB = 1.0


@dataclass(slots=True)
class Cost:
    """Of one lane's process: MiB when it has paid all, CPU ms of a payment, and each row's way to the receipt, ms."""

    rss_mib: float
    pss_mib: float
    cpu_ms: float
    lags_ms: list[float]


@contextlib.contextmanager
def _process(folder: Path, bank: InstantBank, fleet: dict[str, object] | None) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    write_private(folder / "till.token", "till-token")
    write_private(folder / "paymaster.token", "t")
    document: dict[str, dict[str, object]] = {
        "lane": {"pos_id": "L00000", "shop": "S"},
        "paymaster": {"base_url": bank.url, "merchant_id": "m", "token_file": str(folder / "paymaster.token")},
        "timing": {"poll_interval_s": 0.1},
        "journal": {"path": str(folder / "journal.db")},
        "service": {"listen": "127.0.0.1:0"},
        "service.clients.till": {"role": "till", "token_file": str(folder / "till.token")},
    }
    if fleet is not None:
        document["fleet"] = fleet
    (folder / "lane.toml").write_text(settings_text(document), "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fleet.lane_process", str(folder / "lane.toml")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment | {"MALLOC_ARENA_MAX": "1"},  # as its unit
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


def _cost(folder: Path, fleet: dict[str, object] | None, payments: int, pause_s: float) -> Cost:
    with InstantBank() as bank, _process(folder, bank, fleet) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        till = Till(int((folder / "port").read_text()))
        for number in range(5):  # what is loaded once
            till.pay(number, folder.name)
        before = cpu_s(process.pid)
        for number in range(5, 5 + payments):
            till.pay(number, folder.name)
            time.sleep(pause_s)
        till.close()
        time.sleep(1.5)  # the last records are on their way
        used = cpu_s(process.pid) - before
        found = memory_mib(process.pid)
        process.stdin.close()
        lags = json.loads(process.stdout.readline())
    return Cost(found["Rss"], found["Pss"], used / payments * 1000, lags)


def main() -> None:
    """All of it."""
    wanted = options(__doc__ or "")
    compile_packages()
    (ROOT / "out").mkdir(exist_ok=True)
    rounds, payments = (1, 10) if wanted.quick else (5, 60)
    costs: dict[str, list[Cost]] = {"with": [], "without": [], "at once": []}
    with tempfile.TemporaryDirectory(dir=ROOT / "out") as name, Centre(Path(name)) as centre:
        folder = Path(name)
        for number in range(rounds):
            with centre.database() as database, centre.servers(database, 1) as (port,):
                token = write_private(folder / "fleet.token", add_lanes(database, 1)["L00000"])
                fleet: dict[str, object] = {"url": f"http://127.0.0.1:{port}", "token_file": str(token)}
                costs["without"].append(_cost(folder / f"without-{number}", None, payments, 0.1))
                costs["with"].append(_cost(folder / f"with-{number}", fleet, payments, 0.1))
                (folder / f"with-{number}" / "journal.db").unlink()
            with centre.database() as database, centre.servers(database, 1) as (port,):
                write_private(folder / "fleet.token", add_lanes(database, 1)["L00000"])
                fleet = {"url": f"http://127.0.0.1:{port}", "token_file": str(token), "ship_interval_s": 0.1}
                costs["at once"].append(_cost(folder / f"at-once-{number}", fleet, payments, 0.1))
    finish(_rows(costs), wanted.json)


def _rows(costs: dict[str, list[Cost]]) -> list[Row]:
    def median(which: str, what: str) -> float:
        return statistics.median(float(getattr(cost, what)) for cost in costs[which])

    rows = []
    for what, label in (("rss_mib", "resident"), ("pss_mib", "its share of shared pages")):
        ours, limit = median("with", what), median("without", what)
        rows.append(
            Row(
                "fleet", f"a lane's memory, {label}", "MiB", ours, limit=limit, limit_name="the same without a fleet",
                goal=f"at most limit + {MEMORY_GOAL_MIB:g} MiB", met=ours <= limit + MEMORY_GOAL_MIB,
            )
        )  # fmt: skip
    rows.append(
        Row("fleet", "a lane's CPU for a payment", "ms", median("with", "cpu_ms"), limit=median("without", "cpu_ms"),
            limit_name="the same without a fleet")
    )  # fmt: skip
    for which, label in (("with", "ship_interval_s = 5, the default"), ("at once", "ship_interval_s = 0.1")):
        lags = [lag / 1000 for cost in costs[which] for lag in cost.lags_ms]
        rows += [
            Row(
                "fleet",
                f"a row on the lane's disk -> the centre's receipt, {label}, {word}",
                "ms",
                quantile(lags, share),
            )
            for word, share in (("median", 0.5), ("p99", 0.99))
        ]
    return rows


if __name__ == "__main__":
    main()
