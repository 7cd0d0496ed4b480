"""The acceptance page of the Set Retail 10 plugin has a row for each scenario that runs on the bench."""

from __future__ import annotations

import ast

from tests.docs.docpages import ROOT
from tests.set10.report import SCENARIOS

PAGE = ROOT / "docs" / "set10-acceptance.md"


def scenarios() -> dict[str, str]:
    """The tests of scenarios, and what they say of themselves."""
    trees = [ast.parse(path.read_text("utf-8")) for path in SCENARIOS]
    return {
        one.name: " ".join((ast.get_docstring(one) or "").split())
        for tree in trees
        for one in tree.body
        if isinstance(one, ast.FunctionDef) and any(argument.arg == "open_bench" for argument in one.args.args)
        if one.name.startswith("test_")
    }


def test_the_page_has_every_scenario() -> None:
    page = PAGE.read_text("utf-8")
    missing = [name for name, what in scenarios().items() if f"| {what} " not in page]
    assert not missing, "run: python -m tests.set10.report"
    assert len(scenarios()) > 40
