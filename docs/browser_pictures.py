"""Photographs the pages for browsers in a Chromium, from payments on the simulated lane: part of `make pictures`."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from PIL import Image

from sco_fleet import embedded
from sco_fleet.app import create_app
from sco_fleet.database import migrate
from sco_fleet.office import access
from sco_fleet.pool import open_pool
from sco_hwtest import run
from sco_hwtest.progress import PlainLines
from sco_hwtest.results import Kind
from sco_hwtest.station.session import Session
from sco_sim.desk import Desk
from tests.fleet.kit import listening
from tests.fleet.office import scene
from tests.fleet.office.kit import Office
from tests.service.web.chromium import Chromium, Page
from tests.service.web.conftest import Lane

HERE = Path(__file__).parent / "pictures"
_GAP, _GREY, _PHONE = 16, "#5f6b77", 640


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


def attendant(chromium: Chromium) -> dict[str, Image.Image]:
    """The list, a case, the decision and the lane on a phone, by the names of their files."""
    found = {}

    def keep(page: Page, name: str) -> None:
        picture = page.picture().convert("RGB")
        found[f"attendant-{name}.png"] = picture.resize((_PHONE, round(picture.height * _PHONE / picture.width)))

    with _lane() as lane:
        lane.open_case()
        with chromium.page(lane.attendant, (390, 680), phone=True) as page:
            page.wait("document.querySelectorAll('#cases a').length === 1")
            keep(page, "list")
            page.click("#cases a")
            page.wait_visible("#case")
            keep(page, "case")
            page.run("document.querySelector('#resolve').scrollIntoView()")
            keep(page, "decision")
            page.click("nav a[href='#lane']")
            page.wait_visible("#lane-page")
            keep(page, "lane")
    return found


def office(chromium: Chromium) -> dict[str, Image.Image]:
    """The lanes of a chain and a case, by the names of their files."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = stack.enter_context(embedded.running(Path(folder) / "postgres"))
        migrate(server.url())
        with psycopg.connect(server.url(), autocommit=True) as db:
            access.add_user(db, "ivanova", "decider", "password of ivanova", full_name="Иванова А. П.", by="")
        url = stack.enter_context(listening(create_app(open_pool(server.url()))))
        page = stack.enter_context(chromium.page(f"{url}/office/lanes?lang=ru", (1180, 620)))
        scene.build(Office(url, server.url()), Path(folder) / "lanes")
        page.wait("document.readyState === 'complete' && document.querySelector('#name') !== null")
        page.write("#name", "ivanova")
        page.write("#password", "password of ivanova")
        page.click("button.primary")
        found = {}
        for name, path, ready in (
            ("lanes", "lanes", "document.querySelectorAll('tbody tr').length > 5"),
            ("case", "cases", "document.querySelector('td a') !== null"),
        ):
            page.go(f"{url}/office/{path}")
            page.wait(ready)
            if name == "case":
                page.click("td a")
                page.resize((1180, 1000))
                page.wait("document.querySelector('#decide') !== null")
            found[f"office-{name}.png"] = page.picture().convert("RGB")
        return found


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


def station(chromium: Chromium) -> Image.Image:
    """`sco-hwtest run --web` at its first question."""
    stop, lines = threading.Event(), io.StringIO()
    devices: list[tuple[Kind, str]] = [("printer", "sim://"), ("nfc", "sim://")]
    with Session(devices, "127.0.0.1", 0, PlainLines(lines), stop, lines) as session:
        bench = threading.Thread(target=run, args=(devices,), kwargs={"operator": session.ask, "progress": session})
        bench.start()
        try:
            with chromium.page(session.url, (1024, 768)) as page:
                page.wait("document.querySelector('#seen img')?.naturalWidth")
                page.run("document.fonts.ready.then(() => true)")
                return page.picture().convert("RGB")
        finally:
            stop.set()
            bench.join()


def _row(pictures: list[Image.Image], high: int) -> Image.Image:
    scaled = [one.resize((round(one.width * high / one.height), high)) for one in pictures]
    sheet = Image.new("RGB", (sum(one.width + _GAP for one in scaled) + _GAP, high + 2 * _GAP), _GREY)
    x = _GAP
    for one in scaled:
        sheet.paste(one, (x, _GAP))
        x += one.width + _GAP
    return sheet


def main() -> None:
    """Make all of them."""
    chromium = Chromium()
    try:
        pictures = {
            "browser.png": screen(chromium),
            **attendant(chromium),
            **office(chromium),
            "station.png": station(chromium),
            "web-demo.png": demo(chromium),
        }
        for name, picture in pictures.items():
            picture.quantize(128).save(HERE / name, optimize=True)
    finally:
        chromium.close()


if __name__ == "__main__":
    main()
