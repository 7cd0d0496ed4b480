"""The attendant's page in a real Chromium, on a phone's screen, on the lane's service as it ships."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from sco_payment import attempt as m
from sco_service.wording import WHAT_HAPPENED
from sco_sim.desk import PIN
from tests.security.test_words import is_plain, with_evil_case
from tests.service.web.accessibility import check_contrast, check_focus, check_tree
from tests.service.web.chromium import Chromium, Page
from tests.service.web.conftest import TIMING, Lane

pytestmark = pytest.mark.program("chromium")

PHONE = (390, 844)


def words_of(page: Page, selector: str) -> str:
    """The visible words of an element."""
    return str(page.run(f"document.querySelector('{selector}').innerText"))


def check(page: Page) -> None:
    """It can be read and used, and nothing reaches beyond the phone's edge."""
    check_contrast(page)
    check_tree(page)
    check_focus(page)
    assert page.run("document.documentElement.scrollWidth") <= PHONE[0]
    assert page.problems == []


@contextmanager
def late_money_shown(folder: Path, chromium: Chromium) -> Iterator[tuple[Lane, Page]]:
    """A lane whose journal has a case of late money, with a stranger's words; the page shows it."""
    with ExitStack() as stack:
        lane = Lane(folder, stack)
        with_evil_case(folder / "demo-journal.db")
        lane.process.start(1)
        with chromium.page(lane.attendant, PHONE) as page:
            page.wait("document.querySelectorAll('#cases a').length === 1")
            page.click("#cases a")
            page.wait_visible("#resolve")
            yield lane, page


def answer(page: Page) -> str:
    """What the page says when the decision was refused."""
    page.wait("!document.querySelector('#resolve [type=submit]').disabled")
    return words_of(page, "#resolve-problem")


def test_case_is_resolved_on_a_phone(lane: Lane, chromium: Chromium) -> None:
    lane.open_case()
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelectorAll('#cases a').length === 1")
        assert "token" not in page.run("location.href")
        check(page)
        assert "253,00" in words_of(page, "#cases")
        page.click("#cases a")
        page.wait_visible("#case")
        check(page)
        case = lane.ask("GET", "/v1/cases/1", role="attendant")
        shown = words_of(page, "#case")
        assert case["what_happened"]["ru"] in shown
        assert case["what_to_do"]["ru"] in shown
        assert case["payment_id"] in shown
        assert not page.visible("#not-final")
        for step in case["timeline"]:
            said, _, done = step["text"]["ru"].rstrip("]").partition(" [")
            assert said in shown
            assert done in shown
        assert "диск кассы заполнен" in words_of(page, "#timeline")

        page.write("#operator", "Иванова")
        page.click("#phrases button")
        page.write("#pin", "0000")
        page.click("#resolve [type=submit]")
        page.wait("document.querySelector('#resolve-problem').textContent")
        assert lane.ask("GET", "/v1/cases/1", role="attendant")["closed_at_ms"] is None
        assert page.run("document.querySelector('#pin').value") == ""
        assert page.run("document.querySelector('#reason').value") == "Товар выдан"
        check_contrast(page)

        page.write("#pin", PIN)
        page.click("#resolve [type=submit]")
        page.wait_visible("#done")
        done = lane.ask("GET", "/v1/cases/1", role="attendant")
        assert (done["operator"] or done["decided_by"]) == "Иванова"
        assert page.run("document.querySelector('#resolve').hidden")
        page.click("nav a[href='#closed']")
        page.wait("document.querySelector('#cases').innerText.includes('Товар выдан')")
        assert PIN not in page.run("JSON.stringify([{...localStorage}, {...sessionStorage}])")


def test_a_payment_that_changed_meanwhile_is_shown_again(tmp_path: Path, chromium: Chromium) -> None:
    with late_money_shown(tmp_path, chromium) as (lane, page):
        page.run("document.querySelector('#case').dataset.phase = 'watching'")  # as it was before the last look
        page.write("#operator", "Иванова")
        page.write("#reason", "не оплачено")
        page.write("#pin", PIN)
        page.click("#resolve [type=submit]")
        assert "состояние платежа изменилось" in answer(page)
        page.wait("document.querySelector('#case').dataset.phase === 'paid_late'")
        assert page.run("document.querySelector('#reason').value") == "не оплачено"
        case = lane.ask("GET", "/v1/cases/1", role="attendant")
        assert (case["closed_at_ms"], case["decided_by"]) == (None, None)
        page.write("#pin", PIN)
        page.click("#resolve [type=submit]")
        page.wait_visible("#done")


@pytest.mark.attack("A26")
def test_wrong_pins_are_throttled(lane: Lane, chromium: Chromium) -> None:
    lane.open_case()
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelectorAll('#cases a').length === 1")
        page.click("#cases a")
        page.wait_visible("#resolve")
        page.write("#operator", "Иванова")
        page.write("#reason", "проверено")
        said = []
        for _ in range(6):
            page.write("#pin", "0000")
            page.click("#resolve [type=submit]")
            said.append(answer(page))
        assert said[0] != said[-1]
        page.write("#pin", PIN)
        page.click("#resolve [type=submit]")
        assert answer(page) == said[-1]  # the right one does not help now
        assert lane.ask("GET", "/v1/cases/1", role="attendant")["closed_at_ms"] is None


def test_login_and_logout(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/attendant", PHONE) as page:
        page.wait_visible("#login")
        check(page)
        page.write("#token", "wrong")
        page.click("#login [type=submit]")
        page.wait("document.querySelector('#login-problem').textContent")
        assert not page.visible("#inside")
        page.run("document.querySelector('#token').value = ''")
        page.write("#token", lane.process.tokens["attendant"])
        page.click("#login [type=submit]")
        page.wait_visible("#none")
        assert page.run("localStorage.getItem('token')") is None
        page.click("#leave")
        page.wait_visible("#login")
        assert page.run("sessionStorage.getItem('token')") is None


def test_ticket_is_printed_again_while_it_can_be_paid(lane: Lane, chromium: Chromium) -> None:
    lane.process.stop()
    lane.process.start(0)
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait_visible("#none")
        page.click("nav a[href='#lane']")
        page.wait_visible("#lane-page")
        assert not page.visible("#print")
        lane.begin()
        page.wait_visible("#print")
        check(page)
        page.click("#print")
        page.wait("document.querySelector('#payment-said').textContent")
        lane.printer.wait_idle()
        assert len({code.text for code in lane.printer.codes}) == 1
        assert len(lane.printer.tickets) == 2
        assert "ПОВТОР" in lane.printer.text
        lane.paymaster.phone.pay(lane.printer.codes[-1].text)
        page.wait_visible("#print", False)


def test_payment_is_cancelled_in_two_steps(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait_visible("#none")
        page.click("nav a[href='#lane']")
        lane.begin()
        page.wait_visible("#cancel")
        page.click("#cancel")
        assert words_of(page, "#cancel") == "Точно отменить?"
        assert lane.paymaster.bank.cancels == 0
        check_contrast(page)
        page.click("#cancel")
        page.wait("document.querySelector('#payment').innerText.includes('Сейчас никто не платит')")
        assert lane.paymaster.bank.cancels == 1


def test_faulty_printer_and_lost_lane_are_shown(lane: Lane, chromium: Chromium) -> None:
    lane.process.stop()
    lane.printer.open_cover()
    lane.process.start(0)
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait_visible("#none")
        page.click("nav a[href='#lane']")
        page.wait("document.querySelector('#devices').innerText.includes('неисправность')")
        check(page)
        lane.process.kill()
        page.wait_visible("#lost")
        check_contrast(page)
        lane.process.start(0)
        page.wait_visible("#lost", False)


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (9, "Часы кассы отстают от часов PayMaster на 9 с."),
        (-9, "Часы кассы спешат относительно часов PayMaster на 9 с."),
    ],
)
@pytest.mark.bank("B4")
def test_a_clock_that_is_wrong_is_a_warning(lane: Lane, chromium: Chromium, ahead_s: int, said: str) -> None:
    lane.paymaster.bank.clock = lambda: time.time() + ahead_s
    lane.begin()
    lane.wait_for_link()
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelector('#health').innerText === 'Нужно внимание'")
        page.click("nav a[href='#lane']")
        page.wait_visible("#clock")
        words = words_of(page, "#clock")
        found = int("".join(filter(str.isdigit, words)))
        assert abs(found - 9) <= 1, "the bank's clock is read in whole seconds"
        assert words.replace(f" {found} ", " 9 ").startswith(said)
        assert "Часы отличаются" not in words_of(page, "#lane-facts")
        check(page)
    lane.ask("POST", "/v1/payments/42/cancel")


def test_a_clock_that_is_nearly_right_is_a_fact(lane: Lane, chromium: Chromium) -> None:
    lane.paymaster.bank.clock = lambda: time.time() + 2
    lane.begin()
    lane.paymaster.phone.pay(lane.wait_for_link())
    lane.finished()
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelector('#health').innerText === 'Работает'")
        page.click("nav a[href='#lane']")
        page.wait_visible("#lane-page")
        assert not page.visible("#clock")
        assert "Часы отличаются от PayMaster на" in words_of(page, "#lane-facts")


def test_a_payment_that_waits_to_begin_can_be_cancelled(lane: Lane, chromium: Chromium) -> None:
    """It is shown as what it is, not as a payment that nobody knows."""
    lane.begin()
    lane.wait_for_link()
    [payment] = lane.paymaster.bank.payments
    lane.paymaster.go_offline()
    lane.process.kill()  # the next start must ask about it before the order may be paid again
    lane.document["timing"] = {**TIMING, "confirm_timeout_s": 100.0}
    lane.process.start(1)
    with ThreadPoolExecutor() as pool, chromium.page(lane.attendant, PHONE) as page:
        page.wait_visible("#none")
        page.click("nav a[href='#lane']")
        page.wait_visible("#lane-page")
        begun = pool.submit(lane.begin_again)
        page.wait("document.querySelector('#payment').innerText.includes('ещё не начат')")
        assert not page.visible("#lost")
        check(page)
        page.click("#cancel")
        page.click("#cancel")
        page.wait("document.querySelector('#cancel').disabled")
        lane.paymaster.bank.decline(payment)
        lane.paymaster.go_online()
        assert begun.result() == 201
        page.wait("document.querySelector('#payment').innerText.includes('Сейчас никто не платит')")
        assert lane.finished("43")["reason"] == "customer"


def test_case_whose_payment_may_still_change_says_so(lane: Lane, chromium: Chromium) -> None:
    number = lane.begin()
    lane.wait_for_link()
    lane.paymaster.go_offline()
    lane.ask("POST", f"/v1/payments/{number}/cancel")
    assert lane.finished(number)["outcome"] == "unknown"
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelectorAll('#cases a').length === 1")
        page.click("#cases a")
        page.wait_visible("#not-final")
        check(page)


def test_over_tls_by_its_own_name(lane: Lane, chromium: Chromium, tmp_path: Path) -> None:
    lane.open_case()
    lane.process.stop()
    found = trustme.CA().issue_cert("kso-7.localhost")
    (tmp_path / "lane.pem").write_bytes(b"".join(one.bytes() for one in found.cert_chain_pems))
    (tmp_path / "lane.key").touch(mode=0o600)
    found.private_key_pem.write_to_path(tmp_path / "lane.key")
    lane.process.start(
        1,
        tls_certificate=str(tmp_path / "lane.pem"),
        tls_key=str(tmp_path / "lane.key"),
        host_names="kso-7.localhost",  # browsers look for such a name on their own machine
    )
    with chromium.page("about:blank", PHONE) as page:
        page.call("Security.setIgnoreCertificateErrors", ignore=True)  # the phone of the shop knows the shop's CA
        page.go(lane.attendant.replace("http://127.0.0.1", "https://kso-7.localhost"))
        page.wait("document.querySelectorAll('#cases a').length === 1")
        page.click("#cases a")
        page.wait_visible("#resolve")
        page.write("#operator", "Иванова")
        page.write("#reason", "Товар выдан")
        page.write("#pin", PIN)
        page.click("#resolve [type=submit]")
        page.wait_visible("#done")


def test_english(lane: Lane, chromium: Chromium) -> None:
    lane.process.stop()
    lane.process.start(1, attendant_language="en")
    lane.open_case()
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelectorAll('#cases a').length === 1")
        page.click("#cases a")
        page.wait_visible("#case")
        assert page.run("document.documentElement.lang") == "en"
        assert lane.ask("GET", "/v1/cases/1", role="attendant")["what_happened"]["en"] in words_of(page, "#case")
        assert page.run("Object.keys(WORDS.ru).join() === Object.keys(WORDS.en).join()")
        assert set(page.run("FINAL")) == {phase.value for phase in m.FINAL}
        assert set(page.run("Object.keys(WORDS.ru.phases)")) == {phase.value for phase in m.Phase}
        assert set(page.run("Object.keys(WORDS.ru.reasons)")) == set(WHAT_HAPPENED)
        for table in ("reasons", "phases", "kinds", "states"):
            assert page.run(f"Object.keys(WORDS.ru.{table}).join() === Object.keys(WORDS.en.{table}).join()")
        page.click("nav a[href='#lane']")
        page.wait_visible("#lane-page")
        check(page)


def test_nothing_in_the_data_becomes_markup(lane: Lane, chromium: Chromium) -> None:
    evil = '<img src=x onerror="evil=1"><b>'
    lane.begin()
    lane.paymaster.phone.pay(lane.wait_for_link())
    lane.finished()
    lane.ask("POST", "/v1/payments/42/not_accepted", {"reason": evil})
    with chromium.page(lane.attendant, PHONE) as page:
        page.wait("document.querySelectorAll('#cases a').length === 1")
        page.click("#cases a")
        page.wait_visible("#case")
        assert evil in words_of(page, "#timeline")
        assert page.run("document.querySelectorAll('#case img, #case b').length") == 0
        assert page.run("window.evil") is None


@pytest.mark.attack("A14")
def test_a_strangers_words_are_only_text(tmp_path: Path, chromium: Chromium) -> None:
    """Markup is not carried out, and no mark of direction turns "closed" into something else before a person."""
    with late_money_shown(tmp_path, chromium) as (_, page):
        shown = words_of(page, "#case")
        assert "case 7 closed by manager" in shown
        assert r"\u202e" in shown
        assert is_plain(shown)
        assert page.run("document.querySelectorAll('#case img').length") == 0
        assert "owned" not in page.run("document.title")
        assert page.problems == []
