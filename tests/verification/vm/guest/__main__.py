"""The guest's program: make the devices, run the checks, report to the host."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[4]))  # the simulators of tests/

from report import Report


def main() -> None:
    """Run what was asked for: words on the command line, all when there are none."""
    start = time.monotonic()
    report = Report(tuple(sys.argv[1:]))
    try:
        report.send(note="the guest is up", uptime=Path("/proc/uptime").read_text().split()[0])
        import bench

        bench.run(report)
    except BaseException as error:
        traceback.print_exc()
        report.send(device="bench", check="goes-through", outcome="failed", seconds=0, detail=f"{error!r}")
    report.send(done=True, seconds=round(time.monotonic() - start, 1))


main()
sys.stdout.flush()
os._exit(0)  # threads of devices that are still plugged in
