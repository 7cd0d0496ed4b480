"""The tests of what banks, clocks and networks do can fail: with the fault that each was written for, they do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verification.behaviours import FAULTS
from tests.verification.seeded import SeededFault

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_caught(fault: SeededFault) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "tests.verification.behaviours",
            fault.where,
        ],
        cwd=ROOT,
        env={**os.environ, "SCO_TEST_FAULT": fault.name},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    print(done.stdout[-2_000:])
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, f"not caught: {fault.name}{done.stderr[-2_000:]}"
    assert "1 failed" in done.stdout
