"""The page's words: every one that is asked for is there, in two languages, with the same blanks."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Formatter
from typing import get_args

import pytest

from sco_fleet import alarms
from sco_fleet.office import lists, pages, reconciliation_pages, rollout_pages
from sco_fleet.office.access import ROLES, Action
from sco_fleet.office.decisions import ANSWERS
from sco_fleet.office.words import TABLES, TEXTS
from sco_fleet.settings.rollouts import STAGES
from sco_payment.journal import codec
from sco_service.wording import WHAT_HAPPENED

_LISTS = [one for one in vars(lists).values() if isinstance(one, lists.List)]


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("name", TEXTS)
def test_both_languages_have_the_same_blanks(name: str) -> None:
    russian, english = TEXTS[name]
    assert russian.strip()
    assert english.strip()
    assert blanks(russian) == blanks(english)


def test_what_templates_and_lists_say_is_there() -> None:
    wanted = {column.name for one in _LISTS for column in one.columns}
    for view in (*pages.LISTS, reconciliation_pages.RECONCILIATIONS, reconciliation_pages.RUN, rollout_pages.ROLLOUTS,
                 rollout_pages.ROLLOUT):  # fmt: skip
        wanted |= (
            {view.title} | {field.label for field in view.fields} | {field.hint for field in view.fields if field.hint}
        )
        wanted |= {word for field in view.fields for word, _ in field.choices}
    for entry in files("sco_fleet.office").joinpath("templates").iterdir():
        wanted |= set(re.findall(r'\bt\("(\w+)"', entry.read_text("utf-8")))
    assert wanted <= set(TEXTS)


def test_every_name_of_the_journal_has_a_word() -> None:
    assert set(TABLES["phases"]) == set(codec.PHASES.values())
    assert set(TABLES["outcomes"]) == set(codec.OUTCOMES.values())
    assert set(TABLES["reasons"]) == set(codec.CASE_REASONS.values()) == set(WHAT_HAPPENED)
    assert set(TABLES["roles"]) == set(ROLES)
    assert set(TABLES["actions"]) == set(get_args(Action))
    assert set(ANSWERS) <= set(TEXTS)
    assert set(TABLES["rollout_stages"]) == {str(stage) for stage in STAGES}
    assert {f"stage {stage}: {name}" for stage, name in STAGES.items() if stage > 1} <= set(TABLES["rollout_events"])
    kinds = {value for name, value in vars(alarms).items() if name.isupper() and not name.startswith("_")}
    assert set(TABLES["alarm_kinds"]) == kinds


def test_columns_name_tables_that_exist() -> None:
    tables = {column.kind.partition(":")[2] for one in _LISTS for column in one.columns if ":" in column.kind}
    assert tables <= set(TABLES)
