"""The page of attacks: every row has a test or a command that is there, and the page is the present one."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.attacks import ATTACKS
from tests.docs.docpages import ROOT
from tests.docs.test_generated import script

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOWS = "".join(path.read_text("utf-8") for path in (ROOT / ".github/workflows").glob("*.yml"))
CI = (ROOT / ".ci/run").read_text("utf-8")


def problems(marked: dict[str, list[tuple[str, str]]], makefile: str = MAKEFILE) -> list[str]:
    """What is wrong between the rows and the tests and commands that show them."""
    known = {one.id: one for one in ATTACKS}
    found = [f"{name}: nothing tries it" for name, one in known.items() if not one.command and not marked.get(name)]
    found += [
        f"{one.id}: the Makefile has no {one.command}"
        for one in ATTACKS
        if one.command and not re.search(rf"^{one.command}:", makefile, re.MULTILINE)
    ]
    return found + [f"{name}: no such row" for name in marked if name not in known]


def test_every_row_is_tried_and_every_mark_is_a_row() -> None:
    assert problems(script("evidence").marked("attack")) == []


def test_a_row_whose_test_or_command_vanished_is_found() -> None:
    marked = script("evidence").marked("attack")
    del marked["A1"]
    assert problems({**marked, "A99": [("a.py", "test_it")]}, MAKEFILE.replace("versions-check:", "x:")) == [
        "A1: nothing tries it",
        "A27: the Makefile has no versions-check",
        "A99: no such row",
    ]


def test_what_a_command_shows_is_run_for_every_change() -> None:
    """A command that nobody runs shows nothing."""
    commands = {one.command for one in ATTACKS if one.command}
    assert {command for command in commands if f"\nmake {command} " not in CI} == set()
    assert "make release TAG=" in WORKFLOWS
    assert "tests/dist/versions.py --all" in WORKFLOWS


def test_every_test_of_the_folder_tries_a_row() -> None:
    """`tests/security` has no test of which a reviewer cannot say what it is for."""
    named = {(Path(file).name, test) for tests in script("evidence").marked("attack").values() for file, test in tests}
    for path in sorted((ROOT / "tests/security").glob("test_*.py")):
        for test in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE):
            assert (path.name, test) in named, f"{path.name}: {test} is marked with no row"


def test_the_page_is_the_present_one() -> None:
    evidence = script("evidence")
    page = evidence.security()
    assert evidence.SECURITY.read_text("utf-8") == page, "make diagrams"
    assert re.findall(r"^\*\*(A\d+)\.\*\*", page, re.MULTILINE) == [one.id for one in ATTACKS]


def test_rows_are_numbered_once_and_their_sections_are_whole() -> None:
    ids = [one.id for one in ATTACKS]
    assert len(set(ids)) == len(ids)
    sections = [one.section for one in ATTACKS]
    assert sections == sorted(sections, key=sections.index)
