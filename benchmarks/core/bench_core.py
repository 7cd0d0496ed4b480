"""The payment core: exploration, crash points, journal, decision latency, memory, CPU, start.

    python -m benchmarks.core.bench_core

Times that have a limit take turns with it, so that both meet the same machine. The journal lies in `out/`, on a real
disk; the images of cut power lie in memory. Memory and CPU are those of a lane in a process of its own, read from
/proc, with its drivers open on simulated devices that live in this process, and TLS to the bank. Its modules have
their bytecode, as pip leaves them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import trustme

from benchmarks.core.instant_bank import InstantBank
from benchmarks.installed import compile_packages
from benchmarks.report import Row, finish, options
from sco_payment import attempt as m
from sco_payment.assemble import open_lane
from sco_payment.customer.ui import ScreenState
from sco_payment.journal import Journal
from sco_payment.order import Order
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.paymaster import PayMasterSimulator, TlsFront
from sco_sim.printer import VirtualPrinter
from sco_sim.screen import VirtualScreen
from sco_sim.touch import VirtualTouch
from tests.verification.explore.model import SCENARIOS
from tests.verification.explore.search import explore
from tests.verification.powerloss.__main__ import fast_folder
from tests.verification.powerloss.check import cut_everywhere, fail_everywhere, life, prints_of, record

ROOT = Path(__file__).resolve().parents[2]
SIZE = (1024, 768)
MEMORY_GOAL, CPU_GOAL, START_GOAL = 50.0, 1.0, 400.0


def explored(quick: bool) -> list[Row]:
    """Every state of a payment on the screen, within the bounds of the tests."""
    scenario = replace(SCENARIOS["screen"], life=1, crashes=0 if quick else 1)
    report = explore(scenario)
    assert report.trace is None, report.trace
    what = f"exploration, screen, life 1, {scenario.crashes} crash"
    return [
        Row("core", f"{what}: states", "count", report.states),
        Row("core", f"{what}: transitions", "count", report.transitions),
        Row("core", f"{what}: states a second of CPU", "1/s", report.states / report.seconds),
        Row("core", f"{what}: transitions a second of CPU", "1/s", report.transitions / report.seconds),
    ]


def crash_points(quick: bool) -> list[Row]:
    """The power cut after every operation, and the disk failing at every one."""
    works = list(life(3 if quick else 12))
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        folder = Path(name)
        prints = prints_of(works, folder / "reference")
        cut = cut_everywhere(record(works, folder / "record"), prints, folder / "image")
        failed = fail_everywhere(works[: len(list(life(3)))], prints, folder / "image", every=4 if quick else 1)
    lost = len(cut.failures) + len(failed.failures)
    images = cut.opened + failed.opened
    return [
        Row("core", "crash points: power cut, disk failing", "count", cut.points + failed.points),
        Row("core", "images recovered and verified", "count", images),
        Row("core", "images recovered a second", "1/s", images / (cut.seconds + failed.seconds)),
        Row("core", "acknowledged transactions lost", "count", lost, goal="none", met=not lost),
    ]


def simulated(quick: bool) -> list[Row]:
    """The real lane in simulated time, as the last line of the simulation has it."""
    seeds = 10 if quick else 300
    done = subprocess.run(
        [sys.executable, "-m", "tests.verification.simulate", "--seeds", str(seeds)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1]
    found = re.search(r"(\d+) seeds .* (\d+) faults .* ([\d.]+) seeds/s, ([\d.]+) faults/s", last)
    assert found is not None, last
    return [
        Row("core", "simulation: seeds played", "count", int(found[1])),
        Row("core", "simulation: faults injected", "count", int(found[2])),
        Row("core", "simulation: seeds a second", "1/s", float(found[3])),
        Row("core", "simulation: faults a second", "1/s", float(found[4])),
    ]


def quantile(times: list[float], share: float) -> float:
    """In ms, of times in s."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


def journal(folder: Path, quick: bool) -> list[Row]:
    """A commit of ours, the same octets by raw SQLite with the same pragmas, and a bare fdatasync, in turn."""
    rounds = 60 if quick else 1500
    raw = sqlite3.connect(folder / "raw.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, body TEXT) STRICT")
    bare = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
    plan = m.Plan("k", "A-1", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)
    state, effects = m.begin(plan)
    text = json.dumps({"event": None, "state": repr(state), "effects": repr(effects)})

    def by_raw(n: int) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO t VALUES (?, ?)", (n, text))
        raw.execute("COMMIT")

    def by_fdatasync(n: int) -> None:
        os.pwrite(bare, text.encode().ljust(4096), n * 4096)
        os.fdatasync(bare)

    with Journal(folder / "journal.db", lane_id="lane-1", acquirer="paymaster") as ours:

        def by_us(n: int) -> None:
            ours.record(None, replace(state, plan=replace(plan, key=f"k{n}", order_no=f"A-{n}")), effects, at_ms=n)

        times = in_turn({"ours": by_us, "raw": by_raw, "fdatasync": by_fdatasync}, rounds)
    raw.close()
    os.close(bare)
    return [
        Row(
            "core", f"journal: a step on disk, {label}", "ms",
            quantile(times["ours"], share), quantile(times["raw"], share), "raw SQLite, same pragmas",
            quantile(times["fdatasync"], share), "bare fdatasync of 4 KiB",
        )
        for label, share in (("median", 0.5), ("p99", 0.99))
    ]  # fmt: skip


def in_turn(ways: dict[str, Callable[[int], None]], rounds: int) -> dict[str, list[float]]:
    """Times in s."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way(n)
            times[name].append(time.perf_counter() - start)
    return times


class _Seen:
    """A lane's screen that draws nothing and records when it is paid."""

    def __init__(self) -> None:
        self.paid_at = 0.0

    def show(self, screen: ScreenState) -> None:
        if screen.view is m.View.PAID:
            self.paid_at = time.perf_counter()

    def close(self) -> None:
        """Nothing to close."""


def decisions(folder: Path, quick: bool) -> list[Row]:
    """From the bank's answer in the socket to PAID on disk, and to the paid screen wholly drawn."""
    rounds = 10 if quick else 300
    on_disk, on_screen, syncs = [], [], []
    with InstantBank() as bank, VirtualScreen(size=SIZE) as display:
        settings = settings_from_mapping(
            {
                "lane": {"pos_id": "K", "shop": "S"},
                "paymaster": {"base_url": bank.url, "merchant_id": "m"},
                "timing": {"poll_interval_s": 0.1},
                "devices": {"screen": display.url},
                "journal": {"path": str(folder / "decisions.db")},
            },
            {TOKEN_VARIABLE: "t"},
        )
        seen = _Seen()  # shows after our screen has drawn
        bare = os.open(folder / "bare2", os.O_RDWR | os.O_CREAT)
        with open_lane(settings, also_show_on=(seen,), token=Token("t")) as lane:
            recorded: dict[str, float] = {}
            write = lane.journal.record

            def writing(event: m.Event | None, state: m.State, effects: object, *, at_ms: int) -> int | None:
                number = write(event, state, effects, at_ms=at_ms)  # type: ignore[arg-type]
                if state.phase is m.Phase.PAID and state.outcome is not None and not state.delivered:
                    recorded[state.plan.order_no] = time.perf_counter()
                return number

            lane.journal.record = writing  # type: ignore[method-assign]
            for n in range(rounds):
                seen.paid_at = 0.0
                result = lane.pay(Order(f"A-{n}", 25_300 + n))
                assert result.outcome is m.Outcome.PAID, result
                end = time.monotonic() + 5
                while not seen.paid_at and time.monotonic() < end:
                    time.sleep(0.001)
                on_disk.append(recorded[f"A-{n}"] - bank.answered[f"A-{n}"])
                on_screen.append(seen.paid_at - bank.answered[f"A-{n}"])
                start = time.perf_counter()
                os.pwrite(bare, bytes(4096), n * 4096)
                os.fdatasync(bare)
                syncs.append(time.perf_counter() - start)
        os.close(bare)
    return [
        Row(
            "core", f"the bank's answer in the socket -> paid {where}, {label}", "ms", quantile(times, share),
            limit=quantile(syncs, share), limit_name="bare fdatasync",
        )
        for where, times in (("on disk", on_disk), ("on the screen", on_screen))
        for label, share in (("median", 0.5), ("p99", 0.99))
    ]  # fmt: skip


@contextlib.contextmanager
def lane_in_a_process(folder: Path, state: str, module: str = "benchmarks.core.lane_process") -> Iterator[int]:
    """A lane with printer, reader, screen and touch panel open, waiting: its process id. It has its unit's heap."""
    with (
        PayMasterSimulator() as bank,
        tls_before(bank.base_url, folder) as (url, authorities),
        VirtualPrinter() as printer,
        VirtualReader(uri="") as reader,
        VirtualScreen(size=SIZE) as screen,
        VirtualTouch(SIZE) as touch,
    ):
        file = settings_file(folder, url, printer=printer.url, nfc=reader.url, screen=screen.url, touch=touch.url)
        command = [sys.executable, "-m", module, str(file), state]
        environment = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env=environment
            | {TOKEN_VARIABLE: bank.token, "SSL_CERT_DIR": str(authorities), "MALLOC_ARENA_MAX": "1"},  # as its unit
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(1.0)
            yield process.pid
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def tls_before(bank: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """TLS before a simulated bank: its address, and the machine's own folder of authorities with one more."""
    ca = trustme.CA()
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authorities = folder / "authorities"
    shutil.copytree(ssl.get_default_verify_paths().capath or "/etc/ssl/certs", authorities)
    ca.cert_pem.write_to_path(authorities / "bench.pem")
    subprocess.run(["openssl", "rehash", str(authorities)], check=True)
    with TlsFront(bank, folder / "server.pem") as front:
        yield front.base_url, authorities


def settings_file(folder: Path, bank: str, **devices: str) -> Path:
    """Settings of a lane in display mode 1."""
    file = folder / "lane.toml"
    lines = ["[lane]", 'pos_id = "K"', 'shop = "S"', "[paymaster]", f'base_url = "{bank}"']
    lines += ['merchant_id = "simulator-merchant"', "[journal]", f'path = "{folder / "lane.db"}"', "[devices]"]
    file.write_text("\n".join([*lines, *(f'{name} = "{url}"' for name, url in devices.items())]) + "\n", "utf-8")
    return file


def memory_mib(pid: int) -> dict[str, float]:
    """Resident and proportional size, MiB, without the simulated display: a real one's memory is not the process's."""
    found = {"Rss": 0.0, "Pss": 0.0}
    ours = True
    for row in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = row.partition(":")
        if name in found and ours:
            found[name] += int(rest.split()[0]) / 1024
        elif "-" in name.split()[0]:
            ours = not row.endswith(".fb")
    return found


def cpu_s(pid: int, *, ended: bool = False) -> float:
    """CPU seconds that the process has used; with `ended`, also those of its children that have ended."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11 : 15 if ended else 13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def waiting(folder: Path, quick: bool) -> list[Row]:
    """Memory and CPU of a lane that waits."""
    rows = []
    seconds = 3 if quick else 30
    bare = bare_interpreter()
    for state, words in (("pay", "waiting for a customer's payment"), ("idle", "waiting for a customer")):
        (folder / state).mkdir()
        with lane_in_a_process(folder / state, state) as pid:
            before = cpu_s(pid)
            time.sleep(seconds)
            share = (cpu_s(pid) - before) / seconds * 100
            memory = memory_mib(pid)
        goal = f"at most {MEMORY_GOAL:g} MiB"
        for kind, label in (("Rss", "resident"), ("Pss", "its share of shared pages")):
            rows.append(
                Row(
                    "core", f"memory, all drivers open, {words}, {label}", "MiB", memory[kind], limit=bare[kind],
                    limit_name="Python alone", goal=goal, met=memory[kind] <= MEMORY_GOAL,
                )
            )  # fmt: skip
        rows.append(
            Row("core", f"CPU, spinner off, {words}", "%", share, goal=f"at most {CPU_GOAL:g} %", met=share <= CPU_GOAL)
        )
    return rows


def bare_interpreter() -> dict[str, float]:
    """The memory of an interpreter that does nothing."""
    code = "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = memory_mib(process.pid)
        process.kill()
    return found


def started(folder: Path, quick: bool) -> list[Row]:
    """From the start of a process to a lane that is ready, and to the create at the bank; caches warm."""
    rounds = 3 if quick else 15
    ready, asked, bare, cpu = [], [], [], []
    code = (
        "import sys; from sco_payment.assemble import open_lane; "
        "from sco_payment.settings_reader import load_settings; "
        "open_lane(load_settings(sys.argv[1])); sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    environment = {**os.environ, TOKEN_VARIABLE: "t"}
    with VirtualScreen(size=SIZE) as screen:
        for n in range(rounds + 1):
            with InstantBank() as bank:
                own = folder / f"start {n}"
                own.mkdir()
                file = settings_file(own, bank.url, screen=screen.url)
                start = time.monotonic()
                with subprocess.Popen(
                    [sys.executable, "-c", code, str(file)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                ) as process:
                    assert process.stdout is not None
                    process.stdout.readline()
                    ready.append(time.monotonic() - start)
                    cpu.append(cpu_s(process.pid))
                start = time.monotonic()
                command = [str(Path(sys.executable).with_name("sco-pay")), "pay", "253", "--settings", str(file)]
                with subprocess.Popen(
                    [*command, "--order", f"S-{time.time_ns()}"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
                ) as process:  # fmt: skip
                    bank.first_create.wait(120)
                    assert bank.created is not None
                    asked.append(bank.created - start)
                    process.kill()
                start = time.monotonic()
                subprocess.run([sys.executable, "-c", "pass"], check=True)
                bare.append(time.monotonic() - start)
            if n == 0:
                for times in (ready, asked, bare, cpu):
                    times.clear()  # that round warmed the caches
    limit = statistics.median(bare) * 1000
    median = statistics.median(ready) * 1000
    return [
        Row(
            "core", "process start -> ready for payment, median", "ms", median, limit=limit, limit_name="Python alone",
            goal=f"at most {START_GOAL:g} ms", met=median <= START_GOAL,
        ),
        Row("core", "process start -> ready for payment, CPU time", "ms", statistics.median(cpu) * 1000),
        Row(
            "core", "`sco-pay pay` -> the create at the bank, median", "ms", statistics.median(asked) * 1000,
            limit=limit, limit_name="Python alone",
        ),
    ]  # fmt: skip


def main() -> None:
    """All of it."""
    asked = options(__doc__ or "")
    rows: list[Row] = []
    compile_packages()
    (ROOT / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "out") as name:
        folder = Path(name)
        rows += started(folder, asked.quick)
        rows += waiting(folder, asked.quick)
        rows += journal(folder, asked.quick)
        rows += decisions(folder, asked.quick)
    rows += crash_points(asked.quick)
    rows += explored(asked.quick)
    rows += simulated(asked.quick)
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
