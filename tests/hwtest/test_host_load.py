"""How busy the machine is: a process that has no processor to itself waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sco_hwtest import host_load, run
from sco_hwtest.host_load import CpuWaiting


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel does not count it")
def test_threads_that_share_a_processor_wait_for_it() -> None:
    """Two processes on one processor: each waits for half of the time, or longer on a busy machine."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        with subprocess.Popen(
            [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
        ) as rival:
            assert rival.stdout is not None
            rival.stdout.readline()  # it has started
            waiting = CpuWaiting()
            end = time.process_time() + 0.3
            while time.process_time() < end:
                pass
            percent = waiting.percent
            rival.kill()
    finally:
        os.sched_setaffinity(0, allowed)
    assert percent is not None
    assert 30 < percent <= 100


def test_a_kernel_that_does_not_count_it_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_load, "_TASKS", tmp_path / "none")
    assert CpuWaiting().percent is None
    (tmp_path / "task/1").mkdir(parents=True)
    (tmp_path / "task/1/schedstat").write_text("no numbers\n")
    monkeypatch.setattr(host_load, "_TASKS", tmp_path / "task")
    assert CpuWaiting().percent is None


@pytest.mark.usefixtures("idle_time")
def test_every_run_records_it() -> None:
    [device] = run([("nfc", "sim://")]).devices
    found = {figure.measurement: figure for figure in device.figures}
    if "cpu-waiting" in found:
        assert 0 <= found["cpu-waiting"].value <= 100
    assert len(found["opening"].samples) == 3
