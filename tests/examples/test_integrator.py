"""The projects in examples/ pass their own tests, from their own folders, several at a time or one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLIC = re.compile(r"^(?:from|import) (sco_\w+(?:\.\w+)*)(?: import (.+))?$", re.MULTILINE)


@pytest.mark.parametrize("name", ["integrator", "acquirer"])
def test_its_tests_pass_in_a_copy_of_their_own(tmp_path: Path, name: str) -> None:
    """Copied away, so that nothing of this repository but the installed package can help it."""
    project = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, project, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower(), done.stdout


def test_it_uses_public_names_only() -> None:
    files = [*(ROOT / "examples").rglob("*.py")]
    found = [(path.name, match) for path in files for match in PUBLIC.finditer(path.read_text("utf-8"))]
    assert found
    for name, match in found:
        assert "._" not in match[1], f"{name}: {match[0]}"
        assert not re.search(r"\b_\w+", match[2] or ""), f"{name}: {match[0]}"
    assert not [
        path for path in files if re.search(r"\b(?:lane|till|screen|bench|\w+_simulator)\._", path.read_text("utf-8"))
    ]
