"""The examples for mock devices: the shell script, the Python test, and the Java test where it can run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "bench"
JUNIT = [Path("/usr/share/java") / name for name in ("junit4.jar", "hamcrest.jar", "hamcrest-core.jar")]
PROGRAMS = {"sco-pay": "sco_payment.cli.main", "sco-sim": "sco_sim.serve.main"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The package's commands on PATH, wherever it is installed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in PROGRAMS.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


def passes(environment: dict[str, str], folder: Path, *command: str) -> str:
    """Run a command that must pass; its output."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.program("curl")
def test_the_shell_script_passes(tmp_path: Path, environment: dict[str, str]) -> None:
    leftover = {**environment, "SCO_DEVICES_PRINTER": "tcp://192.0.2.1:9100"}
    assert passes(leftover, tmp_path, "bash", str(EXAMPLE / "test_payment.sh")).endswith("passed\n")


def test_the_python_test_passes(tmp_path: Path, environment: dict[str, str]) -> None:
    source = shutil.copy(EXAMPLE / "test_payment.py", tmp_path)
    pytest_alone = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(source))
    assert "4 passed" in passes(environment, tmp_path, *pytest_alone)


@pytest.mark.program("javac")
@pytest.mark.skipif(not JUNIT[0].exists(), reason="needs JUnit 4: apt-get install junit4")
def test_the_java_test_passes(tmp_path: Path, environment: dict[str, str]) -> None:
    path = ":".join(map(str, [*JUNIT, tmp_path]))
    source = str(shutil.copy(EXAMPLE / "BenchTest.java", tmp_path))
    strict = ("-Xlint:all", "-Werror", "-encoding", "UTF-8")
    passes(environment, tmp_path, "javac", *strict, "-cp", path, "-d", str(tmp_path), source)
    runner = ("java", "-Xmx64m", "-cp", path, "org.junit.runner.JUnitCore", "BenchTest")
    assert "OK (2 tests)" in passes(environment, tmp_path, *runner)
