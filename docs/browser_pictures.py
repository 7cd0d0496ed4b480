"""Photographs the pages for browsers in a Chromium, from payments on the simulated lane: part of `make pictures`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image

from sco_sim.desk import Desk
from tests.service.web.chromium import Chromium, Page
from tests.service.web.conftest import Lane

HERE = Path(__file__).parent / "pictures"
_GAP, _GREY = 16, "#5f6b77"


@contextmanager
def _lane() -> Iterator[Lane]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        lane = Lane(Path(folder), stack)
        lane.process.start(1)
        yield lane


def _scene(page: Page, name: str) -> Image.Image:
    page.wait(f"document.querySelector('#scene').dataset.scene === '{name}'")
    page.run("document.fonts.ready.then(() => true)")
    return page.picture().convert("RGB")


def screen(chromium: Chromium) -> Image.Image:
    """One payment as the customer sees it, landscape and upright."""
    with _lane() as lane, chromium.page(f"{lane.url}/screen", (1024, 768)) as page:
        lane.begin()
        pictures = [_scene(page, "qr")]
        page.resize((432, 768))
        pictures.append(_scene(page, "qr"))
        page.resize((1024, 768))
        lane.paymaster.go_offline()
        pictures.append(_scene(page, "dialog"))
        lane.process.kill()
        pictures.append(_scene(page, "out_of_service"))
    return _row(pictures, 480)


def attendant(chromium: Chromium) -> Image.Image:
    """The list, a case and the lane on a phone."""
    with _lane() as lane:
        lane.open_case()
        with chromium.page(lane.attendant, (390, 844), phone=True) as page:
            page.wait("document.querySelectorAll('#cases a').length === 1")
            pictures = [page.picture().convert("RGB")]
            page.click("#cases a")
            page.wait_visible("#case")
            pictures.append(page.picture().convert("RGB"))
            page.run("document.querySelector('#resolve').scrollIntoView()")
            pictures.append(page.picture().convert("RGB"))
            page.click("nav a[href='#lane']")
            page.wait_visible("#lane-page")
            pictures.append(page.picture().convert("RGB"))
    return _row(pictures, 900)


def demo(chromium: Chromium) -> Image.Image:
    """`sco-pay demo --web` while a customer pays."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Desk(Path(folder)) as desk,
        chromium.page(f"{desk.url}?lang=ru", (1440, 880)) as page,
    ):
        frame = "document.querySelector('#{}').contentDocument?.querySelector('{}')"
        page.wait("document.querySelector('[name=mode]:checked') !== null && !document.querySelector('#pay').disabled")
        page.click("#pay")
        page.wait(f"{frame.format('screen', '#scene')}?.dataset.scene === 'qr'")
        page.click("#scan-screen")
        page.wait(f"!{frame.format('phone', '#bill')}?.hidden")
        return page.picture().convert("RGB")


def _row(pictures: list[Image.Image], high: int) -> Image.Image:
    scaled = [one.resize((round(one.width * high / one.height), high)) for one in pictures]
    sheet = Image.new("RGB", (sum(one.width + _GAP for one in scaled) + _GAP, high + 2 * _GAP), _GREY)
    x = _GAP
    for one in scaled:
        sheet.paste(one, (x, _GAP))
        x += one.width + _GAP
    return sheet


def main() -> None:
    """Make all three."""
    chromium = Chromium()
    try:
        for name, make in (("browser.png", screen), ("attendant.png", attendant), ("web-demo.png", demo)):
            make(chromium).quantize(128).save(HERE / name, optimize=True)
    finally:
        chromium.close()


if __name__ == "__main__":
    main()
