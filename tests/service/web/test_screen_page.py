"""The customer's screen in a real Chromium, on the lane's service as it ships."""

from __future__ import annotations

import os
import signal
import time

import pytest
import zxingcpp

from sco_payment.customer.texts import ENGLISH, RUSSIAN
from tests.service.web.accessibility import check_contrast, check_fits, check_focus, check_tree
from tests.service.web.chromium import Chromium, Page
from tests.service.web.conftest import Lane

pytestmark = pytest.mark.program("chromium")

SIZES = ((800, 480), (1024, 768), (1280, 1024), (1920, 1080), (1080, 1920))
LOST_S = 4.0
"""What the guide promises: after this long without an answer no code is on the screen."""


def codes(page: Page) -> list[str]:
    """What a phone reads from the screen."""
    return [code.text for code in zxingcpp.read_barcodes(page.picture().convert("L")) if code.valid]


def shows(page: Page, scene: str, words: str) -> None:
    """Wait for the scene and its headline."""
    page.wait(f"document.querySelector('#scene').dataset.scene === '{scene}'")
    page.wait(f"document.querySelector('#headline').innerText === '{words}'")


def check_everywhere(page: Page, code: str | None = None) -> None:
    """The scene is whole and legible at every size, its code can be read, and it can be used without a mouse."""
    for size in SIZES:
        page.resize(size)
        page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        check_fits(page, size)
        assert codes(page) == ([] if code is None else [code]), size
    page.resize(SIZES[1])
    check_contrast(page)
    check_tree(page)
    check_focus(page)
    assert page.problems == []


def test_code_on_the_screen_is_paid(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        page.wait("document.querySelector('#scene').dataset.scene === 'idle'")
        lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        assert "253,00" in page.text()
        assert page.wait("/^[0-2]:[0-5][0-9]$/.test(document.querySelector('#left').textContent)")
        assert RUSSIAN.time_left in page.text()
        check_everywhere(page, lane.link())
        lane.paymaster.phone.pay(codes(page)[0])
        shows(page, "paid", RUSSIAN.paid)
        check_everywhere(page)


def test_code_on_paper(lane: Lane, chromium: Chromium) -> None:
    lane.process.stop()
    lane.process.start(0)
    with chromium.page(f"{lane.url}/screen") as page:
        lane.begin()
        page.wait(f"document.body.innerText.includes('{RUSSIAN.scan_ticket}')")
        assert RUSSIAN.wait in page.text()
        check_everywhere(page)
        lane.paymaster.phone.decline(lane.printer.codes[-1].text)
        shows(page, "unpaid", RUSSIAN.unpaid)
        check_everywhere(page)


def test_code_on_the_tag(lane: Lane, chromium: Chromium) -> None:
    lane.process.stop()
    lane.process.start(2)
    with chromium.page(f"{lane.url}/screen") as page:
        lane.begin()
        page.wait("['plate', 'qr'].includes(document.querySelector('#scene').dataset.scene)")
        assert RUSSIAN.pay in page.text()
        check_everywhere(page, lane.screen()["link"])
        lane.paymaster.phone.pay(str(lane.reader.tag.uri()))
        shows(page, "paid", RUSSIAN.paid)


@pytest.mark.parametrize("button", ["retry", "cancel"])
def test_dialog_is_answered_with_a_finger(lane: Lane, chromium: Chromium, button: str) -> None:
    with chromium.page(f"{lane.url}/screen", phone=True) as page:
        number = lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        lane.paymaster.go_offline()
        shows(page, "dialog", RUSSIAN.dialog)
        words = page.run("[...document.querySelectorAll('button')].map(one => one.innerText)")
        assert words == [RUSSIAN.retry, RUSSIAN.cancel]
        page.resize((1024, 768))
        check_everywhere(page)
        lane.paymaster.go_online()
        page.resize((1024, 768), phone=True)
        time.sleep(0.3)  # a touch right after a new scene does not count
        page.tap("button.primary" if button == "retry" else "button:not(.primary)")
        if button == "retry":
            shows(page, "qr", RUSSIAN.pay)
            lane.paymaster.phone.pay(lane.link())
            shows(page, "paid", RUSSIAN.paid)
        else:
            shows(page, "unpaid", RUSSIAN.unpaid)
        assert lane.paymaster.bank.cancels == (button == "cancel")
        assert lane.ask("GET", f"/v1/payments/{number}")["outcome"] == ("paid" if button == "retry" else "unpaid")


def test_cancel_is_chosen_with_the_keyboard_and_sent_once(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        page.run(
            "window.posts = 0; const f = fetch; fetch = (u, o) => { posts += o.method === 'POST'; return f(u, o); };"
        )
        page.run("show(shown, loaded.image), document.querySelector('button').click()")  # meant for the scene before
        assert page.run("posts") == 0
        time.sleep(0.3)
        page.key("Enter", 13, "\r")  # of a scanner that is a keyboard: nothing has the focus
        page.key("Tab", 9)
        assert page.run("posts") == 0
        page.key("Enter", 13, "\r")
        page.key("Enter", 13, "\r")
        shows(page, "unpaid", RUSSIAN.unpaid)
        assert page.run("posts") == 1
        assert lane.paymaster.bank.cancels == 1


def test_killed_service_takes_the_code_away_and_heals(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        number = lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        link = lane.link()
        lane.process.kill()
        killed = time.monotonic()
        shows(page, "out_of_service", RUSSIAN.out_of_service)
        assert time.monotonic() - killed < 30
        assert codes(page) == []
        check_everywhere(page)
        lane.paymaster.phone.pay(link)  # the customer had scanned it before
        lane.process.start(1)
        page.wait("document.querySelector('#scene').dataset.scene !== 'out_of_service'")
        assert codes(page) == []
        lane.finished(number)
        lane.begin("43")
        shows(page, "qr", RUSSIAN.pay)


def test_hung_service_takes_the_code_away_and_heals(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        assert lane.process.pid is not None
        os.kill(lane.process.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            shows(page, "out_of_service", RUSSIAN.out_of_service)
            assert time.monotonic() - stopped < 30
            assert codes(page) == []
        finally:
            os.kill(lane.process.pid, signal.SIGCONT)
        page.wait("['qr', 'dialog'].includes(document.querySelector('#scene').dataset.scene)")


def test_browser_without_network(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        page.offline(True)
        shows(page, "out_of_service", RUSSIAN.out_of_service)
        page.offline(False)
        shows(page, "qr", RUSSIAN.pay)


def test_quick_restart_does_not_leave_the_old_scene(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        lane.process.kill()
        lane.process.start(1)
        page.wait("document.querySelector('#scene').dataset.scene !== 'qr'")


def test_countdown_goes_by_the_service_not_by_the_browser(lane: Lane, chromium: Chromium) -> None:
    with chromium.page("about:blank") as page:
        page.call(
            "Page.addScriptToEvaluateOnNewDocument",
            source="Date.now = () => 0; Date = class extends Date { constructor() { super(0); } };",
        )
        page.go(f"{lane.url}/screen")
        lane.begin()
        shows(page, "qr", RUSSIAN.pay)
        left = page.wait("document.querySelector('#left').textContent.match(/^[12]:[0-5][0-9]$/)?.[0]")
        page.wait(f"document.querySelector('#left').textContent < {left!r}")


def test_words_in_the_page_are_the_lanes(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        page.wait("document.querySelector('#lost') !== null")
        lost = "document.querySelector('#lost').content.querySelector('[lang={}]').textContent"
        assert page.run(lost.format("ru")) == RUSSIAN.out_of_service
        assert page.run(lost.format("en")) == ENGLISH.out_of_service
        assert page.run("document.querySelector('noscript').textContent").endswith(f"{RUSSIAN.out_of_service}</h1>")


def test_nothing_in_the_data_becomes_markup(lane: Lane, chromium: Chromium) -> None:
    with chromium.page(f"{lane.url}/screen") as page:
        page.wait("document.querySelector('#scene').dataset.scene === 'idle'")
        evil = '<img src=x onerror="window.evil=1"><b>'
        page.run(f"paint('wait', 'spinner', 'sign', '{evil}', ['{evil}'], {{amount: '{evil}', number: '{evil}'}})")
        assert page.run("document.querySelector('#headline').textContent") == evil
        assert page.run("document.querySelectorAll('main b:not(#left), main img:not(#code)').length") == 0
        assert page.run("window.evil") is None
