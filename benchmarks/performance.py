"""Makes `docs/performance.md` and its charts from the kept figures, `benchmarks/measured.json`.

`python -m benchmarks.performance` makes them again.
`make bench KEEP=1` measures, keeps and writes in one go.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.chart import chart
from benchmarks.report import HEADINGS, Row, cells

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "benchmarks" / "measured.json"
PAGE = ROOT / "docs" / "performance.md"

_AREAS = {"nfc": "NFC"}
_HEAD = """# Performance

Ours, a peer's and the limit (what physics, the device or the plainest code allows), measured side by side in one run.
A figure is a median; a missed goal is shown as such. A load above the number of cores means that the machine was busy
with other things, and that times are worse than they need be. This page is made from `benchmarks/measured.json`:
`make bench` measures on your machine, `make bench KEEP=1` makes the page again, `make bench QUICK=1` only shows that
all of it works.

In the charts blue is ours, grey a peer, the hatched bar the limit; shorter is better, but for rates (1/s) and photos
read, where longer is. Each group has its own scale. The tables hold the same figures, and those that have neither peer
nor limit.

## The machine
"""


def page(report: Mapping[str, Any]) -> str:
    """The whole page in Markdown."""
    machine = report["machine"]
    parts = [
        _HEAD,
        f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']} MiB",
        f"- {machine['kernel']}, {machine['python']}",
        "- " + ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
    ]
    for run in report["runs"]:
        parts += ["", *_section(run, machine["cores"])]
    return "\n".join(parts) + "\n"


def _section(run: Mapping[str, Any], cores: int) -> list[str]:
    _, area, name = run["module"].split(".")
    rows = [Row(**row) for row in run["rows"]]
    name = name.removeprefix("bench_").replace("_", " ")
    lines = [
        f"## {_AREAS.get(area, area.capitalize())}" + (f": {name}" if name != area else ""),
        "",
        f"`python -m {run['module']}`, {run['date']}, {run['seconds']:g} s, load {run['load']:g} on {cores} cores.",
        "",
    ]
    if run["failure"]:
        return [*lines, f"**Failed:** {run['failure']}."]
    table = [_row(HEADINGS), _row(["---", "---", "---:", "---:", "---:", "---:", "---", "---"])]
    for row in rows:
        what, *rest = cells(row)
        table.append(_row([what.removeprefix(f"{area}: "), *rest]))
    if drawn := chart(rows, run["module"]):
        lines += [f"![{drawn.text}](diagrams/{chart_name(run['module'])})", ""]
    return [*lines, f"<details><summary>All {len(rows)} figures</summary>", "", *table, "", "</details>"]


def chart_name(module: str) -> str:
    """The chart's file of a benchmark."""
    return f"charts-{module.rpartition('bench_')[2].replace('_', '-')}.svg"


def write(report: Mapping[str, Any], to: Path = PAGE) -> None:
    """Write the page, and its charts into `diagrams` next to it; a chart of a benchmark that is gone goes."""
    folder = to.parent / "diagrams"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("charts-*.svg"):
        old.unlink()
    for run in report["runs"]:
        if drawn := chart([Row(**row) for row in run["rows"]], run["module"]):
            (folder / chart_name(run["module"])).write_text(drawn.svg, "utf-8")
    to.write_text(page(report), "utf-8")


def _row(texts: Any) -> str:
    return "| " + " | ".join(str(text).replace("|", "\\|") for text in texts) + " |"


def keep(report: Mapping[str, Any], modules: Collection[str], measured: Path = MEASURED, to: Path = PAGE) -> None:
    """Merge the runs of `report` into the kept ones and write the page again.

    Figures of another machine or of other packages are dropped, and so are those of a benchmark that is no longer in
    `modules`.
    """
    runs = {}
    if measured.exists():
        kept = json.loads(measured.read_text("utf-8"))
        if kept["machine"] == report["machine"]:
            runs = {run["module"]: run for run in kept["runs"] if run["module"] in modules}
    runs |= {run["module"]: run for run in report["runs"]}
    whole = {"machine": report["machine"], "runs": [runs[name] for name in sorted(runs)]}
    measured.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")
    write(whole, to)


if __name__ == "__main__":
    write(json.loads(MEASURED.read_text("utf-8")))
