"""What the documentation draws, lists and quotes is what the code has."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import astuple
from pathlib import Path
from types import ModuleType

import pytest

from sco_payment.attempt import TABLE, CaseReason, Phase
from sco_payment.customer.texts import RUSSIAN
from sco_payment.events import catalogue
from tests.docs.docpages import ROOT, Page, pages


def script(name: str) -> ModuleType:
    """A module of docs/, which is not a package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_the_code_s() -> None:
    generate = script("generate")
    assert generate.SETTINGS.read_text("utf-8") == generate.settings(), "make diagrams"


def test_the_faults_page_is_the_code_s() -> None:
    generate = script("generate")
    assert generate.FAULTS.read_text("utf-8") == generate.faults(), "make diagrams"


def test_the_drawing_of_the_packages_is_the_code_s() -> None:
    """It cannot be drawn with an arrow that runs up, or in a circle."""
    generate = script("generate")
    assert generate.PACKAGES_PICTURE.read_text("utf-8") == generate.packages_picture(), "make diagrams"


def test_the_diagram_is_the_table_s() -> None:
    diagrams = script("diagrams")
    drawn = diagrams.states()
    assert diagrams.STATES.read_text("utf-8") == drawn, "make diagrams"
    for phase in Phase:
        assert f">{phase.value}</text>" in drawn
    assert diagrams.arrows() == {
        (start, end): [event.__name__ for event, rule in rules.items() if end in rule.leads_to]
        for start, rules in TABLE.items()
        for end in {end for rule in rules.values() for end in rule.leads_to}
    }


def test_the_drawings_are_what_the_settings_and_texts_make() -> None:
    drawings = script("drawings")
    for name, draw in drawings.DRAWINGS.items():
        assert (drawings.HERE / name).read_text("utf-8") == draw(), "make diagrams"
    assert f"no answer for {drawings.ASK:g} s" in drawings.timeline()


def test_the_pages_made_for_each_build_can_be_made() -> None:
    generate = script("generate")
    commands = generate.commands()
    for command in ("sco-pay cases", "sco-pay settings check", "sco-hwtest printer print", "sco-sim serve"):
        assert f"### {command}\n" in commands
    assert "| `sco_payment.attempt` | The life of one attempt" in generate.modules_page()
    assert ">payment.lane</text>" in generate.modules_picture()


RUSSIAN_PAGES = [page for page in pages() if page.name.startswith("docs/ru/")]


@pytest.mark.parametrize("page", RUSSIAN_PAGES, ids=lambda page: Path(page.name).stem)
def test_bold_quotes_are_the_lane_s_exact_words(page: Page) -> None:
    """In the operator's pages **«...»** is what stands on the screen or the ticket, to the letter."""
    patterns = [re.sub(r"\\{\w+\\}", r"[0-9:]+", re.escape(text)) for text in astuple(RUSSIAN)]
    for quoted in re.findall(r"\*\*«([^»]+)»\*\*", page.prose):
        words = " ".join(quoted.split())
        assert any(re.fullmatch(pattern, words) for pattern in patterns), f"{page.name}: the lane never says {quoted!r}"


INSTALLER = ("set-retail-10",)
"""The Russian pages that are for who connects the lane, with commands."""


@pytest.mark.parametrize("page", RUSSIAN_PAGES, ids=lambda page: Path(page.name).stem)
def test_a_shop_needs_no_command(page: Page) -> None:
    if Path(page.name).stem in INSTALLER:
        return
    assert not page.blocks or {block.language for block in page.blocks} == {"{toctree}"}
    assert not [code for code in page.code if re.match(r"sudo|sco-|systemctl|journalctl", code)]


def test_the_attendant_s_page_is_quoted_to_the_letter() -> None:
    words = (ROOT / "service" / "sco_service" / "pages" / "attendant.js").read_text("utf-8")
    page = next(page for page in RUSSIAN_PAGES if page.name == "docs/ru/attendant.md")
    for quoted in re.findall(r"«([^»]+)»|\| \*\*([^*]+)\*\* \|", page.prose):
        text = " ".join("".join(quoted).split())
        assert text in words or text in astuple(RUSSIAN), f"the page never says {text!r}"
    cases = next(page for page in RUSSIAN_PAGES if page.name == "docs/ru/cases.md")
    reasons = re.findall(r"^\| (.+?) \| .+ \| `(\w+)` \|$", cases.prose, re.MULTILINE)
    assert len(reasons) == len(CaseReason)
    for title, name in reasons:
        assert f'{name}: "{title}"' in words, f"the page calls {name} otherwise than {title!r}"


def test_every_reason_of_a_case_is_explained() -> None:
    texts = {page.name: page.prose for page in pages()}
    for reason in CaseReason:
        for name in ("docs/payment.md", "docs/ru/cases.md"):
            assert f"| `{reason.value}` |" in texts[name], f"{name} does not explain {reason.value}"


def test_the_events_page_is_the_code_s() -> None:
    generate = script("generate")
    page = generate.EVENTS.read_text("utf-8")
    assert page == generate.events(), "make diagrams"
    listed = set(re.findall(r"^## `(\w+)`$", page, re.MULTILINE))
    assert listed == {entry.name for entry in catalogue() if entry.name}


def test_the_service_page_is_the_code_s() -> None:
    generate = script("generate")
    assert generate.SERVICE.read_text("utf-8") == generate.service(), "make diagrams"


# --- what architecture.md promises ----------------------------------------------------------------------------------

FROM_DRIVERS = (
    *("errors", "urls", "registry", "qr", "printer", "nfc", "nfc.guard", "nfc.endurance"),
    *("screen", "touch", "display", "plain"),
)
"""What a lane may load of the drivers: protocols and plain helpers, no backend."""


def test_the_core_needs_only_the_protocols_of_the_drivers() -> None:
    generate = script("generate")
    known = generate.modules()
    needs = {name: generate.imports(path, known) for name, path in known.items()}
    allowed = {"sco_drivers", *(f"sco_drivers.{name}" for name in FROM_DRIVERS)}
    for name, found in needs.items():
        if name.startswith("sco_payment."):
            assert not [one for one in found if one.startswith("sco_drivers") and one not in allowed], name
    pure = {name for name in known if name.startswith("sco_payment.attempt")}
    assert set().union(*(needs[name] for name in pure)) - pure == {"sco_payment.link", "sco_payment.money"}
    assert needs["sco_payment.link"] == set()
