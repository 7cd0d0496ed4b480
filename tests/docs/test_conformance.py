"""The page of conformance: every point has a test, every mark means a point, and the page is the present one."""

from __future__ import annotations

import re
from dataclasses import astuple

from sco_payment.customer.texts import RUSSIAN
from sco_payment.settings_reader import reference
from tests.docs.requirements import OF_THE_TILL, REQUIREMENTS
from tests.docs.test_generated import script


def problems(marked: dict[str, list[tuple[str, str]]]) -> list[str]:
    """What is wrong between the points and the tests that are marked."""
    known = {one.id: one for one in REQUIREMENTS}
    found = [f"{name} has no test" for name, one in known.items() if not one.elsewhere and not marked.get(name)]
    found += [
        f"{name} is met elsewhere and has a test" for name, one in known.items() if one.elsewhere and name in marked
    ]
    return found + [
        f"{file}: {test} is marked with {name}, which is not a requirement"
        for name, tests in marked.items()
        if name not in known
        for file, test in tests
    ]


def test_every_point_has_a_test_and_every_mark_a_point() -> None:
    assert problems(script("evidence").marked("requirement")) == []


def test_a_point_without_a_test_and_a_mark_without_a_point_are_found() -> None:
    marked = script("evidence").marked("requirement")
    assert ("tests/payment/test_requirement.py", "test_the_words_are_exact") in marked["R3"]
    elsewhere = next(one.id for one in REQUIREMENTS if one.elsewhere)
    del marked["R3"]
    assert problems({**marked, "R99": [("a.py", "test_it")], elsewhere: [("a.py", "test_it")]}) == [
        "R3 has no test",
        f"{elsewhere} is met elsewhere and has a test",
        "a.py: test_it is marked with R99, which is not a requirement",
    ]


def test_the_page_is_the_present_one() -> None:
    evidence = script("evidence")
    page = evidence.conformance()
    assert evidence.CONFORMANCE.read_text("utf-8") == page, "make diagrams"
    assert re.findall(r"^\*\*(R\d+)\.\*\*", page, re.MULTILINE) == [one.id for one in REQUIREMENTS]


def test_points_are_numbered_once_and_their_sections_are_whole() -> None:
    ids = [one.id for one in REQUIREMENTS]
    assert len(set(ids)) == len(ids)
    sections = [one.section for one in REQUIREMENTS]
    assert sections == sorted(sections, key=sections.index)


def test_quoted_words_are_those_of_the_lane_or_the_till() -> None:
    shown = {*astuple(RUSSIAN), *OF_THE_TILL}
    for one in REQUIREMENTS:
        for words in re.findall(r"«([^»]+)»", one.text + one.reading):
            assert words in shown, f"{one.id}: nobody shows {words!r}"


def test_settings_that_are_named_exist() -> None:
    known = {f"{section}.{name}" for section, name, _, _ in reference()}
    sections = {name.partition(".")[0] for name in known}
    for one in REQUIREMENTS:
        for name in re.findall(r"`(\w+\.\w+)", one.text + one.reading):
            assert name in known or name.partition(".")[0] not in sections, f"{one.id}: there is no setting {name}"
