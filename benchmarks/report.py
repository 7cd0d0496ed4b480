"""The form of every benchmark's figures: ours, a peer's and the limit side by side, as text and as JSON.

A benchmark is `benchmarks/AREA/bench_*.py`, run from the root as `python -m benchmarks.AREA.bench_NAME`. It fills
`Row`s in one run and ends with `finish(rows)`; with `--json FILE` it writes them there too, and `make bench` runs all
of them so. `--quick` asks for few rounds, to see that it works. A figure that misses its goal is printed as such;
it never fails the run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        area: printer, nfc, screen, core, service.
        what: what was measured, in a few words.
        unit: ms, bytes, MiB, %, 1/s, pages, times.
        ours: our figure.
        peer: the same of a peer, and `peer_name`, who it is.
        limit: what physics, the device or the plainest code allows, and `limit_name`, what it is.
        goal: how it is judged, in words: "at most 1.5 ms", "at most 1.1 x limit".
        met: whether the goal is met; None where there is none.
    """

    area: str
    what: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    limit: float | None = None
    limit_name: str = ""
    goal: str = ""
    met: bool | None = None


def options(description: str) -> argparse.Namespace:
    """The command line that every benchmark has: `json` (a path or None) and `quick`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works, not to measure")
    return parser.parse_args()


def figure(value: float | None) -> str:
    """A value as it is in a table."""
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


HEADINGS = ("what", "unit", "ours", "peer", "limit", "ours/limit", "goal", "")


def cells(row: Row) -> tuple[str, ...]:
    """The row as it is in a table under `HEADINGS`, with the ratio of ours to the limit where there is one."""
    ratio = f"{row.ours / row.limit:.2f}" if row.limit else "-"
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    peer = figure(row.peer) + (f" {row.peer_name}" if row.peer is not None and row.peer_name else "")
    limit = figure(row.limit) + (f" {row.limit_name}" if row.limit is not None and row.limit_name else "")
    return (f"{row.area}: {row.what}", row.unit, figure(row.ours), peer, limit, ratio, row.goal, verdict)


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def finish(rows: Sequence[Row], json_to: Path | None = None) -> None:
    """Print the table, and write the rows to `json_to` where that is asked for."""
    print(table(rows))
    if json_to is not None:
        json_to.write_text(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1) + "\n")
