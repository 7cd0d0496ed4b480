"""The office's page in a real Chromium: a decision from the list to the lane's answer, by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sco_payment.journal import Journal
from tests.fleet.kit import Fleet
from tests.fleet.office import scene
from tests.fleet.office.kit import Office
from tests.fleet.office.test_decisions import OpenCase
from tests.fleet.office.test_hostile import SCRIPT, hostile
from tests.fleet.settings import office as settings
from tests.service.web.accessibility import check_contrast, check_focus, check_tree
from tests.service.web.chromium import Chromium, Page

pytestmark = [pytest.mark.program("pg_createcluster"), pytest.mark.program("chromium")]

DESK, PHONE = (1280, 800), (390, 844)


def log_in(page: Page, role: str) -> None:
    page.wait("document.readyState === 'complete' && document.querySelector('#name') !== null")
    page.write("#name", role)
    page.write("#password", f"password of {role}")
    page.click("button.primary")
    page.wait("document.querySelector('nav') !== null")


def opened(page: Page, url: str) -> None:
    """Go there, and wait until it is there."""
    page.run("document.title = 'left'")
    page.go(url)
    page.wait("document.readyState === 'complete' && document.title !== 'left'")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_case_is_decided_and_the_lanes_answer_is_shown(
    office: Office, tmp_path: Path, chromium: Chromium, size: tuple[int, int]
) -> None:
    case = OpenCase(office, tmp_path)
    with chromium.page(f"{office.server}/office/cases?lang=ru", size) as page:
        log_in(page, "decider")
        page.wait("location.pathname.endsWith('/cases')")  # where the login began
        page.click("td a")
        page.wait("document.querySelector('#decide') !== null")
        assert "Что делать" in page.text()
        page.click("input[value=goods_given]")
        page.write("#note", "чек 42")
        page.click("#decide button.primary")
        page.wait("document.body.innerText.includes('ждёт кассу')")
        assert page.run("document.querySelector('#decide')") is None
        (decision,) = case.heartbeat()
        assert decision["resolution"] == "Товар выдан. чек 42"
        with Journal(case.journal, lane_id="lane-1", acquirer="paymaster") as journal:
            journal.close_case(
                1, operator=decision["operator"], resolution=decision["resolution"], at_ms=decision["at_ms"]
            )
        case.ship()
        page.wait("document.body.innerText.includes('касса записала')")  # the page reloads by itself
        assert "Закрыл(а) Имя decider (decider): Товар выдан. чек 42" in page.text()
        assert page.problems == []


def test_a_lanes_script_does_not_run(office: Office, tmp_path: Path, chromium: Chromium) -> None:
    hostile(office, tmp_path, SCRIPT)
    case = office.rows("SELECT epoch FROM cases")[0]
    run = office.rows("SELECT id FROM reconciliations")[0]["id"]
    with chromium.page(f"{office.server}/office/lanes", DESK) as page:
        log_in(page, "administrator")
        for path in ("lanes", "lane?id=lane-1", "cases", f"case?lane=lane-1&journal={case['epoch']}&number=1",
                     "payments", "alarms", "reconciliation", f"run?id={run}", "audit"):  # fmt: skip
            opened(page, f"{office.server}/office/{path}")
            assert page.run("document.scripts.length") == 0, path
            assert page.run("document.images.length") == 0, path
            assert page.problems == [], path


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_can_be_read_and_used_by_keyboard(
    office: Office, tmp_path: Path, chromium: Chromium, language: str, size: tuple[int, int]
) -> None:
    scene.build(office, tmp_path, lanes=3)
    case = office.rows("SELECT * FROM cases LIMIT 1")[0]
    one = f"lane={case['lane_id']}&journal={case['epoch']}"
    office.execute("UPDATE lanes SET disabled = true WHERE lane_id = %(lane)s", lane=case["lane_id"])
    with psycopg.connect(office.database, autocommit=True) as db:
        version = settings.Office(db).start(version=15)
    with chromium.page(f"{office.server}/office/login?lang={language}", size) as page:
        page.wait("document.querySelector('#name') !== null")
        check_contrast(page)
        check_tree(page)
        log_in(page, "administrator")
        for path in ("lanes", f"lane?id={case['lane_id']}", "cases", f"case?{one}&number=1", "payments",
                     f"payment?{one}&attempt={case['attempt']}", "alarms", "reconciliation", "rollouts",
                     f"rollout?id={version}", "audit", "users",
                     "password", "nothing"):  # fmt: skip
            opened(page, f"{office.server}/office/{path}")
            check_contrast(page)
            check_tree(page)
            assert page.run("document.documentElement.scrollWidth") <= size[0], path
            assert page.run("document.documentElement.lang") == language
            assert page.problems == [] or path == "nothing", path


def test_the_form_can_be_sent_by_keyboard_alone(office: Office, tmp_path: Path, chromium: Chromium) -> None:
    case = OpenCase(office, tmp_path)
    with chromium.page(f"{office.server}/office/{case.path}&lang=ru", DESK) as page:
        page.wait("document.activeElement.id === 'name'")
        page.call("Input.insertText", text="decider")
        page.key("Tab", 9)
        page.call("Input.insertText", text="password of decider")
        page.key("Enter", 13, "\r")
        page.wait("document.querySelector('#decide') !== null")
        page.run("document.querySelector('#decide').querySelector('input[type=radio]').focus()")
        page.key(" ", 32, " ")
        page.key("ArrowDown", 40)
        page.key("Tab", 9)
        page.call("Input.insertText", text="на кассе 3")
        page.key("Tab", 9)
        page.key("Enter", 13, "\r")
        page.wait("document.querySelector('#decisions') !== null")
    assert [one["resolution"] for one in case.heartbeat()] == ["Деньги вернули на кассе pos/touch. на кассе 3"]


def test_every_control_of_a_list_is_reached_by_tab(office: Office, lane: Fleet, chromium: Chromium) -> None:
    with chromium.page(f"{office.server}/office/payments", DESK) as page:
        log_in(page, "viewer")
        page.run("document.querySelectorAll('.skip, header, main select').forEach(e => e.remove())")
        check_focus(page)
