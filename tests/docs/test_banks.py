"""The page of banks and clocks: its scripts, engines, faults and tests exist, and it is the present one."""

from __future__ import annotations

import re
from dataclasses import astuple

import pytest

from sco_payment.customer.texts import RUSSIAN
from sco_payment.settings_reader import reference
from sco_sim.paymaster.script import BEHAVIOURS, Script
from tests.docs.banks import ENGINES, EXPLORED, ROWS, Row
from tests.docs.docpages import ROOT
from tests.docs.test_generated import script
from tests.verification import behaviours
from tests.verification.explore import faults as explore
from tests.verification.explore.model import SCENARIOS
from tests.verification.kill import rounds
from tests.verification.simulate import seeded_faults as simulate
from tests.verification.simulate.faults import KINDS

Tests = dict[str, list[tuple[str, str]]]

SEEDED = {
    "explore": {fault.name for fault in explore.FAULTS},
    "simulate": {fault.name for fault in simulate.FAULTS},
    "kill": {fault.name for fault in explore.FAULTS},
    "behaviours": {fault.name for fault in behaviours.FAULTS},
}
MET = {
    "explore": set(SCENARIOS),
    "simulate": set(KINDS),
    "kill": {scenario.name for scenario in rounds.SCENARIOS},
}
ORDINARY = {"leaves", "pays"}
"""Customers who show nothing of a bank."""


def text_of(file: str) -> str:
    return (ROOT / file).read_text("utf-8")


def words_of(text: str) -> set[str]:
    """The words of a script that say what is not ordinary."""
    return {part.split()[0] for part in text.split("+")} - ORDINARY


def problems(rows: tuple[Row, ...], marked: Tests) -> list[str]:
    """What is wrong between the rows and the code that they name."""
    found = [f"{name} is no row" for name in marked if name not in {row.id for row in rows}]
    for row in rows:
        tests = marked.get(row.id, [])
        if not tests:
            found.append(f"{row.id} has no test")
        if bool(row.scripts) == bool(row.no_script):
            found.append(f"{row.id} must have a script, or say why it has none")
        if not row.faults:
            found.append(f"{row.id} has no seeded fault")
        sources = "".join(text_of(file) for file in sorted({file for file, _ in tests}))
        for text in row.scripts:
            Script.parse(text)
            found += [f"{row.id}: no test of it uses {word}" for word in sorted(words_of(text)) if word not in sources]
        for engine, names in row.faults.items():
            found += [f"{row.id}: {engine} has no fault {name!r}" for name in names if name not in SEEDED[engine]]
        for engine, names in row.met.items():
            found += [f"{row.id}: {engine} has no {name!r}" for name in names if name not in MET[engine]]
    return found


def test_scripts_faults_engines_and_tests_of_every_row_exist() -> None:
    assert problems(ROWS, script("evidence").marked("bank")) == []


def test_what_is_missing_is_found() -> None:
    row = ROWS[0]
    wrong = row._replace(
        scripts=(*row.scripts, "pays + 401"),
        no_script="none",
        met={"explore": ("nowhere",)},
        faults={"kill": ("no fault",)},
    )
    test = ("tests/payment/test_bank_behaviours.py", "test_it")
    assert problems((wrong, row._replace(id="B98", scripts=(), faults={})), {"B1": [test], "B99": [test]}) == [
        "B99 is no row",
        "B1 must have a script, or say why it has none",
        "B1: no test of it uses 401",
        "B1: kill has no fault 'no fault'",
        "B1: explore has no 'nowhere'",
        "B98 has no test",
        "B98 must have a script, or say why it has none",
        "B98 has no seeded fault",
    ]
    with pytest.raises(ValueError, match="is not known in a script"):
        problems((row._replace(scripts=("no-such-word",)),), {})


def test_each_behaviour_of_the_simulated_bank_has_a_row() -> None:
    assert set(BEHAVIOURS) - set().union(*(words_of(text) for row in ROWS for text in row.scripts)) == set()


def test_each_fault_that_no_engine_looks_for_has_a_row() -> None:
    assert SEEDED["behaviours"] - {name for row in ROWS for name in row.faults.get("behaviours", ())} == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_test_that_catches_an_engines_faults_exists(engine: str) -> None:
    source = text_of(ENGINES[engine].test)
    assert "def test_a_seeded_fault_is_caught(" in source
    if engine == "kill":  # it takes some of the explorer's
        assert all(f'"{name}"' in source for row in ROWS for name in row.faults.get("kill", ()))
    else:
        assert '@pytest.mark.parametrize("fault", FAULTS' in source


def test_the_page_is_the_present_one() -> None:
    evidence = script("evidence")
    page = evidence.banks()
    assert evidence.BANKS.read_text("utf-8") == page, "make diagrams"
    assert re.findall(r"^### (B\d+)\. ", page, re.MULTILINE) == [row.id for row in ROWS]


def test_rows_are_numbered_once_and_their_sections_are_whole() -> None:
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids)
    sections = [row.section for row in ROWS]
    assert sections == sorted(sections, key=sections.index)


def test_states_are_listed_for_each_scenario() -> None:
    assert [one.scenario for one in EXPLORED] == list(SCENARIOS)
    assert all(one.now > 0 for one in EXPLORED)


def test_settings_that_are_named_exist_and_quoted_words_are_the_lanes() -> None:
    known = {f"{section}.{name}" for section, name, _, _ in reference()}
    for row in ROWS:
        for name in re.findall(r"`(\w+\.\w+)", row.happens + row.answer):
            assert name in known, f"{row.id}: there is no setting {name}"
        for words in re.findall(r"«([^»]+)»", row.happens + row.answer):
            assert words in astuple(RUSSIAN), f"{row.id}: the lane never says {words!r}"
