"""The floors of the house, held: which package may import which, no circles, and nothing hidden in functions.

`lint-imports` holds floors and circles (see `[tool.importlinter]` in pyproject.toml). Here is what it cannot see.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "sco_drivers": ROOT / "drivers",
    "sco_payment": ROOT / "payment",
    "sco_service": ROOT / "service",
    "sco_fleet": ROOT / "fleet",
    "sco_sim": ROOT / "sim",
    "sco_hwtest": ROOT / "hwtest",
}
FACES = {
    "sco_drivers", "sco_drivers.printer", "sco_drivers.nfc", "sco_drivers.screen", "sco_drivers.touch",
    "sco_drivers.display", "sco_drivers.errors", "sco_payment", "sco_payment.acquirer", "sco_sim",
    "sco_sim.testing", "sco_hwtest", "sco_service",
}  # fmt: skip
"""What may be imported from outside: documentation and examples use nothing else."""


MODULES = [path for package, folder in PACKAGES.items() for path in sorted((folder / package).rglob("*.py"))]


def ours(node: ast.AST) -> list[str]:
    """The modules of ours that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.split(".")[0] in PACKAGES]
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
        return [node.module]
    return []


def imports_in_functions(tree: ast.Module) -> list[tuple[int, str]]:
    found = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                found |= {(node.lineno, name) for name in ours(node)}  # type: ignore[attr-defined]
    return sorted(found)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_ours_is_imported_inside_a_function(path: Path) -> None:
    """What must load late stands as a name in a lazy table (`importlib`), where it can be found."""
    found = imports_in_functions(ast.parse(path.read_text("utf-8")))
    assert not found, f"{path.relative_to(ROOT)}: {found}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_ships_imports_mocks_or_tests(path: Path) -> None:
    names = [
        name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    assert not [name for name in names if name.split(".")[0] in ("tests", "benchmarks") or name == "unittest.mock"]


EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_import_from_the_faces_only(path: Path) -> None:
    found = {name for node in ast.walk(ast.parse(path.read_text("utf-8"))) for name in ours(node)}
    assert found <= FACES, f"private: {sorted(found - FACES)}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_documentation_imports_from_the_faces_only(path: Path) -> None:
    found = set(re.findall(r"^ *(?:from|import) (sco_[\w.]+)", path.read_text("utf-8"), re.MULTILINE))
    assert found <= FACES, f"private: {sorted(found - FACES)}"


@pytest.mark.parametrize("name", ["sco_drivers", "sco_payment", "sco_service", "sco_sim", "sco_hwtest"])
def test_a_face_shows_its_public_names_and_nothing_else(name: str) -> None:
    face = importlib.import_module(name)
    assert sorted(face.__all__) == list(dir(face))
    for public in face.__all__:
        assert getattr(face, public) is not None
    with pytest.raises(AttributeError, match="no attribute 'surely_not'"):
        _ = face.surely_not
