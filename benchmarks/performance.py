"""Makes `docs/performance.md` from the kept figures, `benchmarks/measured.json`: `python -m benchmarks.performance`.

`make bench KEEP=1` measures, keeps and writes in one go.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import HEADINGS, Row, cells

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "benchmarks" / "measured.json"
PAGE = ROOT / "docs" / "performance.md"

_HEAD = """# Performance

Ours, a peer's and the limit (what physics, the device or the plainest code allows), measured side by side in one run.
A figure is a median; a missed goal is shown as such. A load above the number of cores means that the machine was busy
with other things, and that times are worse than they need be. This page is made from `benchmarks/measured.json`:
`make bench` measures on your machine, `make bench KEEP=1` makes the page again, `make bench QUICK=1` only shows that
all of it works.

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
        f"## {area.capitalize()}" + (f": {name}" if name != area else ""),
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
    return [*lines, *table]


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
    to.write_text(page(whole), "utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(MEASURED.read_text("utf-8"))), "utf-8")
