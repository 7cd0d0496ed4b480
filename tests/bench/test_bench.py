"""`make bench` over benchmarks that measure, break, hang and say nothing; the page that is made of the figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as bench
from benchmarks import performance
from benchmarks.chart import WIDE, chart
from benchmarks.machine import describe
from benchmarks.report import Row

ROOT = Path(bench.__file__).resolve().parent.parent

GOOD = """
from benchmarks.report import Row, finish, options
asked = options("good")
rows = [
    Row("demo", "a|b", "ms", 1.5, peer=9, peer_name="other", limit=1, limit_name="memcpy", goal="at most 2", met=True),
    Row("demo", "slow", "ms", 5000.0 if asked.quick else 4000.0, goal="at most 1", met=False),
]
finish(rows, asked.json)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with benchmarks of its own."""
    area = tmp_path / "benchmarks" / "demo"
    area.mkdir(parents=True)
    shutil.copy(ROOT / "benchmarks" / "report.py", tmp_path / "benchmarks")
    (area / "bench_good.py").write_text(GOOD)
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    return tmp_path


def test_one_table_of_all_and_their_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "out"
    assert bench.main(["--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "demo: a|b" in printed
    assert "1.50" in printed
    assert "MISSED" in printed  # and yet the exit status is 0
    report = json.loads((out / "all.json").read_text())
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["packages"]["segno"]
    assert [row["ours"] for row in report["runs"][0]["rows"]] == [1.5, 4000.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [("raise SystemExit(3)", "exit status 3"), ("print(1)", "no figures"), ("import time; time.sleep(60)", "no end")],
)
def test_a_broken_one_is_shown_and_the_others_run(
    place: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (place / "benchmarks" / "demo" / "bench_bad.py").write_text(text)
    limit = "1" if "sleep" in text else "60"
    only = ["bench_bad"] if "sleep" in text else []  # a second is short for the other one on a busy machine
    assert bench.main(["--out", str(place / "out"), "--timeout", limit, *only]) == 1
    printed = capsys.readouterr().out
    assert "FAILED benchmarks.demo.bench_bad" in printed
    assert words in printed
    assert only or "demo: slow" in printed


def test_quick_is_passed_on_and_never_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--quick", "--out", str(place / "out"), "demo"]) == 0
    assert "5,000" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        bench.main(["--quick", "--keep"])
    with pytest.raises(SystemExit):
        bench.main(["nothing-like-it"])
    assert "there are benchmarks.demo.bench_good" in capsys.readouterr().err


def test_figures_of_one_machine_are_kept_side_by_side(tmp_path: Path) -> None:
    machine = {"cpu": "A", "cores": 2, "memory_mib": 1, "kernel": "L", "python": "P", "packages": {"x": "1"}}
    measured, to = tmp_path / "measured.json", tmp_path / "page.md"

    def keep(name: str, ours: float, known: tuple[str, ...], cpu: str = "A") -> str:
        row = {"area": "demo", "what": "w|x", "unit": "ms", "ours": ours}
        run = {
            "module": f"benchmarks.demo.bench_{name}",
            "date": "D",
            "seconds": 1.0,
            "load": 0.5,
            "rows": [row],
            "failure": "",
        }
        modules = [f"benchmarks.demo.bench_{one}" for one in known]
        performance.keep({"machine": {**machine, "cpu": cpu}, "runs": [run]}, modules, measured, to)
        return to.read_text()

    keep("one", 1.25, ("one", "two"))
    both = keep("two", 2.5, ("one", "two"))
    assert "1.25" in both
    assert "2.5" in both
    assert "w\\|x" in both  # a bar would end the cell
    assert "1.25" not in keep("two", 2.5, ("two",))  # its benchmark is gone
    assert "2.5" not in keep("one", 1.0, ("one", "two"), cpu="B")  # another machine


def test_the_page_is_what_the_kept_figures_make() -> None:
    kept = json.loads(performance.MEASURED.read_text("utf-8"))
    assert performance.PAGE.read_text("utf-8") == performance.page(kept), "python -m benchmarks.performance"
    assert not kept.get("quick")


def test_the_charts_are_what_the_kept_figures_make(tmp_path: Path) -> None:
    performance.write(json.loads(performance.MEASURED.read_text("utf-8")), tmp_path / "page.md")
    made = {path.name: path.read_text("utf-8") for path in (tmp_path / "diagrams").iterdir()}
    kept = {path.name: path.read_text("utf-8") for path in (performance.PAGE.parent / "diagrams").glob("charts-*.svg")}
    assert kept == made, "python -m benchmarks.performance"
    for name in kept:
        assert f"](diagrams/{name})" in performance.PAGE.read_text("utf-8")


def test_bars_are_as_long_as_their_figures_and_fit() -> None:
    rows = [
        Row(
            "demo",
            "a<b",
            "ms",
            2.0,
            peer=8,
            peer_name="other",
            limit=1,
            limit_name="memcpy",
            goal="at most 1",
            met=False,
        ),
        Row("demo", "a<b", "ms", 2.0, peer=4, peer_name="third"),
        Row("demo", "none", "count", 0, peer=0, peer_name="with a name that is as long as a name can be, and longer"),
        Row("demo", "neither peer nor limit", "ms", 3.0),
    ]
    drawn = chart(rows, "demo")
    assert drawn is not None
    root = ET.fromstring(drawn.svg)
    bars = [
        (one.get("class"), float(one.get("width", "0")), float(one.get("x", "0")))
        for one in root.iter("{http://www.w3.org/2000/svg}rect")
        if one.get("class")
    ]
    assert [kind for kind, _, _ in bars] == ["ours", "peer", "limit", "peer", "ours", "peer"]
    ours, other, memcpy, third = (wide for _, wide, _ in bars[:4])
    assert (other / ours, ours / memcpy, third / ours) == pytest.approx((4, 2, 2), rel=0.01)
    assert all(x + wide < WIDE for _, wide, x in bars)
    assert drawn.svg.count("goal missed") == 1
    assert "neither" not in drawn.svg
    assert chart(rows[-1:], "demo") is None


def test_the_machine_is_described() -> None:
    machine = describe()
    assert machine.cpu
    assert machine.memory_mib > 100
    assert machine.python.startswith("CPython 3.")
