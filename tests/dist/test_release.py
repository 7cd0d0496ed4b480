"""Version, tag, changelog, lock and documentation agree."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION: str = PROJECT["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def load(name: str) -> ModuleType:
    path = ROOT / f"packaging/{name}.py"
    spec = importlib.util.spec_from_file_location(f"sco_packaging_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.attack("A31")
def test_version_tag_and_changelog_agree() -> None:
    listed = subprocess.run(
        ["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    tag = next((each for each in listed if each.startswith("v")), "")
    assert load("release").disagreements(VERSION, tag, CHANGELOG) == []


@pytest.mark.parametrize(
    ("tag", "changelog", "says"),
    [
        ("v1.0.1", "## [1.0.0] - 2026-01-02", "tag v1.0.1"),
        ("v1.0.0", "## [Unreleased]", "does not begin"),
        ("v1.0.0", "## [1.0.0]", "does not begin"),
        ("", "## [Unreleased]\n\n## [0.9.0] - 2026-01-02", "0.9.0"),
    ],
)
@pytest.mark.attack("A31")
def test_what_disagrees_is_named(tag: str, changelog: str, says: str) -> None:
    assert says in "; ".join(load("release").disagreements("1.0.0", tag, changelog))


@pytest.mark.attack("A31")
def test_a_release_that_agrees_is_accepted() -> None:
    assert load("release").disagreements("1.0.0", "v1.0.0", "## [Unreleased]\n\n## [1.0.0] - 2026-01-02") == []


@pytest.mark.attack("A28")
def test_each_dependency_is_locked_within_its_range_and_has_notices() -> None:
    inventory = load("inventory")
    locked = {inventory.normal(each.name): each for each in inventory.locked()}
    for requirement in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["simulator"]:
        name, lowest = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        entry = locked[inventory.normal(name)]
        assert [int(part) for part in re.findall(r"\d+", entry.version)] >= [int(part) for part in lowest.split(".")]
        assert entry.hashes
        assert inventory.normal(name) in inventory.licences()
    assert inventory.licences()["nfcpy"] == "EUPL-1.1"
    assert inventory.licences()["libusb1"] == "LGPL-2.1-or-later"
    lacking = [name for name, each in locked.items() if name not in inventory.licences() and "win32" not in each.marker]
    assert lacking == []


@pytest.mark.attack("A31")
def test_the_documentation_names_the_lowest_python() -> None:
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {lowest}" in (ROOT / "README.md").read_text()
