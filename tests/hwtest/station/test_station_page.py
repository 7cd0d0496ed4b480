"""The station page in a real Chromium at a tablet's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from sco_hwtest import runner
from sco_hwtest.pictures import png_of
from sco_hwtest.results import DeviceReport, Picture, Verdict
from tests.hwtest.station.conftest import Bench, Browser
from tests.hwtest.station.own_suite import PRINTER, READER
from tests.service.web.accessibility import check_contrast, check_focus, check_tree
from tests.service.web.chromium import Chromium, Page

pytestmark = [pytest.mark.program("chromium"), pytest.mark.usefixtures("own_suite")]

LANDSCAPE, PORTRAIT = (1024, 768), (768, 1024)
RUN_S = 300.0
"""How long a whole run may take on a busy machine."""
_IN_VIEW = """[...document.querySelectorAll('#answers button')].every(one => {
  const box = one.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth && box.height >= 64;
})"""


def asks(page: Page, words: str) -> None:
    """Wait for the question."""
    page.wait(f"!document.querySelector('#question').hidden && document.body.innerText.includes({words!r})", RUN_S)
    page.wait("document.fonts.status === 'loaded' && [...document.images].every(one => one.naturalWidth)")


def taps_no_without_a_network(page: Page) -> None:
    """The answer to the first question cannot leave the tablet."""
    asks(page, "Hold a phone")
    page.offline(True)
    page.wait_visible("#lost")
    page.tap("#answers .no")
    page.wait_visible("#sending")


def ended(page: Page) -> None:
    """Wait for the report."""
    page.wait("!document.querySelector('#report').hidden", RUN_S)


@contextmanager
def at_tablet(chromium: Chromium, url: str, size: tuple[int, int] = LANDSCAPE) -> Iterator[Page]:
    """The page on a tablet, whose console must stay empty."""
    with chromium.page(url, size, phone=True) as page:
        page.wait("document.querySelector('#who').textContent && document.fonts.status === 'loaded'")
        yield page
        assert page.problems == []


def test_operator_answers_with_a_finger_and_has_the_report(
    open_bench: Callable[..., Bench], chromium: Chromium, tmp_path: Path
) -> None:
    bench = open_bench(PRINTER, READER)
    with at_tablet(chromium, bench.url) as page:
        assert page.run("location.href") == bench.url.partition("?")[0], "the token is not left in the address"
        assert "waiting" in page.text()
        bench.begin()
        asks(page, "Take the ticket")
        for size in (LANDSCAPE, PORTRAIT):
            page.resize(size, phone=True)
            assert page.wait(_IN_VIEW, 5), f"the buttons are out of view at {size}"
            check_contrast(page)
            check_tree(page)
            page.save(tmp_path / f"question-{size[0]}.png")
        check_focus(page)
        page.tap("#answers .yes")
        asks(page, "Russian letters")
        page.tap("#answers .no")
        asks(page, "Is the ticket cut off")
        assert page.run("document.querySelector('svg.drawing use').getAttribute('href')") == "#d-ticket-is-cut"
        page.tap("#answers .quiet")
        asks(page, "Hold a phone")
        assert "the operator answered no" in page.text()
        page.tap("#answers .yes")
        ended(page)
        assert "1 of " in page.text()
        check_contrast(page)
        for link in ("/report.html", "/report.html?download", "/report.json?download"):
            assert page.run(f"fetch('{link}').then(answer => answer.status)") == 200
            assert page.run(f"document.querySelector('a[href=\"{link}\"]').offsetParent !== null")
        page.save(tmp_path / "end.png")
        page.tap("#close")
        page.wait_visible("#over")
    assert bench.ended().count(Verdict.FAILED) == 1


def test_report_opens_with_its_pictures_and_runs_no_script(
    open_bench: Callable[..., Bench], chromium: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(device: object, report: DeviceReport, operator: object) -> None:
        report.pictures.append(Picture("The paper", png_of(Image.new("1", (576, 600), 1))))

    monkeypatch.setattr(runner, "MEASURES", {"nfc": seen})
    bench = open_bench(READER)
    with at_tablet(chromium, bench.url) as page:
        bench.begin()
        ended(page)
        page.go(f"{bench.url.partition('?')[0]}report.html")
        page.wait("document.images.length && [...document.images].every(one => one.naturalWidth)")
        assert "sco-hwtest" in page.text()
        assert page.run("getComputedStyle(document.querySelector('.verdict')).borderLeftWidth") == "8px"


def test_reload_keeps_question_and_seat(open_bench: Callable[..., Bench], chromium: Chromium) -> None:
    bench = open_bench(READER)
    bench.begin()
    with at_tablet(chromium, bench.url) as page:
        asks(page, "Hold a phone")
        page.call("Page.reload")
        asks(page, "Hold a phone")
        assert "You answer here" in page.text()
        page.tap("#answers .yes")
        ended(page)
        page.call("Page.reload")
        ended(page)
        assert "checks passed" in page.text()


def test_answer_while_the_network_is_gone_arrives_when_it_is_back(
    open_bench: Callable[..., Bench], chromium: Chromium
) -> None:
    bench = open_bench(READER)
    bench.begin()
    with at_tablet(chromium, bench.url) as page:
        taps_no_without_a_network(page)
        assert page.run("[...document.querySelectorAll('#answers button')].every(one => one.disabled)")
        page.offline(False)
        page.wait_visible("#lost", False)
        ended(page)
    assert bench.report is not None
    assert bench.report.count(Verdict.FAILED) == 1


def test_question_that_the_terminal_answered_goes_with_a_word(
    open_bench: Callable[..., Bench], chromium: Chromium
) -> None:
    """The tablet's answer comes late: it was without a network while somebody else answered."""
    bench = open_bench(READER)
    bench.begin()
    with at_tablet(chromium, bench.url) as page:
        taps_no_without_a_network(page)
        other = Browser(bench.url, "another-tablet")
        assert other.post("/seat")[0] == 200
        assert other.answer(other.state()["question"]["number"], "yes") == (200, "")
        page.offline(False)
        ended(page)
        page.wait("document.querySelector('#notice').textContent.includes('answered with “yes” on the page')")
        assert "You are watching" in page.text()
    assert bench.report is not None
    assert bench.report.verdict is Verdict.PASSED


def test_second_tablet_watches_until_it_takes_over(open_bench: Callable[..., Bench], chromium: Chromium) -> None:
    bench = open_bench(READER)
    bench.begin()
    with at_tablet(chromium, bench.url) as first, at_tablet(chromium, bench.url, PORTRAIT) as second:
        asks(first, "Hold a phone")
        asks(second, "Hold a phone")
        assert "You are watching" in second.text()
        assert not second.visible("#answers")
        assert not second.visible("#stop")
        second.tap("#watching .take")
        second.wait_visible("#answers")
        first.wait_visible("#answers", False)
        second.tap("#answers .yes")
        for page in (first, second):
            ended(page)
        assert not first.visible("#close")
        first.tap("#take-end")
        first.wait_visible("#close")


def test_stop_asks_before_it_stops(open_bench: Callable[..., Bench], chromium: Chromium) -> None:
    bench = open_bench(READER, PRINTER)
    bench.begin()
    with at_tablet(chromium, bench.url) as page:
        asks(page, "Hold a phone")
        page.tap("#stop")
        page.wait_visible("#sure")
        page.tap("#stop-no")
        page.wait_visible("#sure", False)
        assert not bench.stop.is_set()
        page.tap("#stop")
        page.tap("#stop-yes")
        ended(page)
        assert "Stopped before the end" in page.text()


def test_page_without_the_token_says_what_to_do(open_bench: Callable[..., Bench], chromium: Chromium) -> None:
    bench = open_bench(READER)
    with chromium.page(bench.url.partition("?")[0], LANDSCAPE) as page:
        page.wait("document.body.innerText.includes('Open the address that sco-hwtest has printed')")


def test_page_of_a_run_that_is_gone_says_so(open_bench: Callable[..., Bench], chromium: Chromium) -> None:
    bench = open_bench(READER)
    bench.begin()
    with at_tablet(chromium, bench.url) as page:
        asks(page, "Hold a phone")
        bench.close()
        page.wait_visible("#lost")
