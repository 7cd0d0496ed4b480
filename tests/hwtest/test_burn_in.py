"""`sco-hwtest burn-in`: counts, keeps every failure with its time, ends cleanly, and does not itself grow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_hwtest import BurnInReport, Verdict, consumption, run_burn_in, write_html, write_json
from sco_hwtest.burn_in_results import Failure, Sample, Tally, Times
from sco_hwtest.cli.main import main
from sco_hwtest.limits_file import limits_from_text
from sco_sim.nfc.pn532 import VirtualReader


def test_a_burn_in_counts_and_keeps_each_failure_with_its_time(tmp_path: Path) -> None:
    log = tmp_path / "failures.jsonl"
    stop = threading.Event()
    with VirtualReader() as bench:

        def after(report: BurnInReport) -> None:
            if report.rounds == 2:
                bench.tags.clear()
            if report.rounds == 4:
                stop.set()

        report = run_burn_in([("nfc", bench.url)], 1.0, pause_s=0, only=["clears"], stop=stop, log=log, on_round=after)
    assert (report.rounds, report.failed, report.ended_by) == (4, 2, "signal")
    assert [failure.round for failure in report.failures] == [3, 4]
    assert report.verdict is Verdict.FAILED
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [line["check"] for line in lines] == ["clears", "clears"]
    assert abs(lines[0]["at"] - time.time()) < 60
    tally = report.tallies["nfc", bench.url, "clears"]
    assert (tally.verdicts[Verdict.PASSED], tally.verdicts[Verdict.FAILED]) == (2, 2)


def test_a_burn_in_ends_when_its_time_is_over() -> None:
    report = run_burn_in([("nfc", "sim://")], 0.5 / 3600, pause_s=0, only=["reads-the-tag"])
    assert (report.ended_by, report.failed) == ("time", 0)
    assert report.rounds >= 1
    assert report.verdict is Verdict.PASSED


def test_growth_is_a_failure() -> None:
    def grown(mib: Callable[[float], float], files: Callable[[float], int] = lambda at: 10) -> BurnInReport:
        samples = [Sample(float(at), mib(at), files(at)) for at in range(0, 1000, 10)]
        return BurnInReport([("nfc", "sim://")], 1.0, rounds=9, samples=samples)

    cache = grown(lambda at: 50 + min(at, 200) / 4)  # fills at the beginning, and stays
    assert (cache.verdict is Verdict.FAILED, cache.growth and cache.growth.mib) == (False, 0.0)
    leak = grown(lambda at: 50 + at / 20)
    assert [check.verdict for check in leak.growth_checks] == [Verdict.FAILED, Verdict.PASSED]
    assert leak.verdict is Verdict.FAILED
    assert "Memory grew by 25.0 MiB" in leak.summary
    assert grown(lambda at: 50, lambda at: 10 + int(at) // 10).verdict is Verdict.FAILED
    assert BurnInReport([], 1.0, samples=[Sample(1.0, 50.0, 10), Sample(2.0, 500.0, 10)]).growth is None


def test_growth_is_judged_by_limits() -> None:
    limits = limits_from_text('format = 1\n[burn-in.memory-growth]\nunit = "MiB"\nmarginal_above = 20\n', "x")
    samples = [Sample(float(at), 50 + at / 20, 10) for at in range(0, 1000, 10)]
    report = BurnInReport([("nfc", "sim://")], 1.0, rounds=9, samples=samples, limits=limits)
    assert report.verdict is Verdict.MARGINAL
    assert [check.found for check in report.growth_checks] == ["it is 25 MiB; marginal above 20 MiB"]
    assert report.as_json()["growth"][0]["verdict"] == "marginal"


def test_stdout_has_only_json() -> None:
    done = CliRunner().invoke(
        main, ["burn-in", "--nfc", "sim://", "--only", "reads-the-tag", "--hours", "0.0001", "--json", "-"]
    )
    assert (json.loads(done.stdout)["verdict"], "rounds in" in done.stderr) == ("passed", True)


def test_percentiles_do_not_need_every_duration() -> None:
    times = Times()
    for n in range(1, 1001):
        times.add(n / 1000)
    assert times.percentile(0.5) == pytest.approx(0.5, rel=0.06)
    assert times.percentile(0.99) == pytest.approx(0.99, rel=0.06)
    assert len(times._buckets) < 130


def test_equal_failures_share_a_row(tmp_path: Path) -> None:
    report = BurnInReport([("nfc", "sim://")], 1.0)
    report.tallies["nfc", "sim://", "x"] = Tally("nfc", "sim://", "x", "It does.")
    report.failures = [Failure(float(n), n, "nfc", "sim://", "x", "<no> tag", "lay one") for n in range(500)]
    report.failed = 2500
    write_html(report, tmp_path / "burn-in.html")
    write_json(report, tmp_path / "burn-in.json")
    page = (tmp_path / "burn-in.html").read_text("utf-8")
    assert page.count("&lt;no&gt; tag") == 1
    assert "2000 more are in the log file" in page
    assert len(json.loads((tmp_path / "burn-in.json").read_text("utf-8"))["failures"]) == 500


def test_a_round_uses_what_the_constants_say() -> None:
    from sco_drivers import open_nfc, open_printer
    from sco_hwtest.contracts import nfc, printer
    from sco_sim.printer import VirtualPrinter

    with VirtualReader() as reader:
        for check in nfc.CHECKS:
            with open_nfc(reader.url) as tag:
                check.run(tag)
        assert max(reader.tag.page_writes.values()) <= consumption.TAG_WRITES
    printing = set()
    with VirtualPrinter() as paper:
        for one in printer.CHECKS:
            before = len(paper.tickets)
            with open_printer(paper.url) as device:
                one.run(device)
            assert paper.wait_idle()
            printing |= {one.name} if len(paper.tickets) > before else set()
        dots = sum(mark.printed for ticket in paper.tickets for mark in ticket.marks)
    assert printing == consumption._PRINTING
    assert 0.5 * consumption.PAPER_M < dots / 203 * 0.0254 <= consumption.PAPER_M


def test_a_burn_in_beyond_the_write_endurance_of_a_tag_is_refused() -> None:
    real = [("printer", "tcp://10.0.0.5:9100"), ("nfc", "pn532:///dev/ttyS1"), ("screen", "fb:///dev/fb0")]
    paper, tag = consumption.cost(real, 72, consumption.pause_for(real), ())  # type: ignore[arg-type]
    assert "21 m of paper an hour" in paper
    assert "51,840 writes" in tag
    with pytest.raises(consumption.TooManyWrites, match="give a longer --pause"):
        consumption.cost(real, 72, 5, ())  # type: ignore[arg-type]
    assert consumption.cost(real, 72, 5, ["reads-the-tag"]) == []  # type: ignore[arg-type]
    assert consumption.cost([("nfc", "spy+sim://"), ("printer", "sim://")], 9999, 0, ()) == []
    done = CliRunner().invoke(main, ["burn-in", "--nfc", "pn532:///dev/no-such", "--hours", "72", "--pause", "1"])
    assert (done.exit_code, "endures 100,000" in done.output) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_burn_in_with_its_report(number: signal.Signals, tmp_path: Path) -> None:
    document = tmp_path / "burn-in.json"
    command = [
        sys.executable,
        "-m",
        "sco_hwtest.cli.main",
        "burn-in",
        "--nfc",
        "sim://",
        "--hours",
        "1",
        "--pause",
        "0.1",
    ]
    with subprocess.Popen(
        [*command, "--only", "reads-the-tag", "--json", str(document)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "1 rounds" in process.stdout.readline()
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == 0, rest
    assert "Stopped before the end." in rest
    assert json.loads(document.read_text("utf-8"))["ended_by"] == "signal"
