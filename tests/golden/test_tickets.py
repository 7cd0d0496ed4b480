"""Each ticket is printed on each profile as it was accepted, and a change is shown in words and pictures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from sco_payment.customer.texts import LANGUAGES
from sco_sim.testing.devices import codes_in
from tests.golden import page, tickets
from tests.golden.store import FOLDER, load, save
from tests.service.web.chromium import Chromium


def test_tickets_are_printed_as_accepted() -> None:
    changed = page.changes(load(), tickets.everything())
    if changed:
        pytest.fail(page.write(changed), pytrace=False)


def test_each_accepted_payment_ticket_is_read_by_a_decoder() -> None:
    """On the widest and the narrowest paper, drawn by printer or driver: what is accepted can be paid."""
    tickets_with_code = {
        (template, one.octets): one.picture
        for (template, _), one in load().items()
        if template.startswith("payment") and one.picture is not None
    }
    assert len(tickets_with_code) > 20
    for (template, _), picture in tickets_with_code.items():
        assert codes_in(picture) == [tickets.LINK], template


@pytest.fixture
def few_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at each kind of printer is enough to see a change: own codes, pictures, narrow paper, no code at all."""
    monkeypatch.setattr(tickets, "names", lambda: ["TM-T88V", "default", "POS-5890", "TM-U220"])


def accepted() -> dict[tuple[str, str], tickets.Printed]:
    return {(template, model): one for (template, model), one in load().items() if model in tickets.names()}


def framed(path: Path) -> tuple[int, int, int, int, int, int]:
    """Left, top, right, bottom of all frames together; width and height of the sheet."""
    with Image.open(path) as sheet:
        red, green, _ = sheet.convert("RGB").split()
    box = ImageChops.subtract(red, green).getbbox()
    assert box is not None
    return *box, *red.size


@pytest.mark.usefixtures("few_profiles")
def test_changed_text_is_shown_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    planted = replace(LANGUAGES["ru"], to_pay="К оплате сейчас")
    monkeypatch.setitem(LANGUAGES, "ru", planted)
    changed = page.changes(accepted(), tickets.everything())
    with_it = {"payment", "payment-full", "payment-short", "payment-again"}
    assert {template for template, _ in changed} == with_it
    assert {model for _, model in changed} == {"TM-T88V", "default", "POS-5890"}, "a refusal is the same as before"
    message = page.write(changed, tmp_path / "golden")
    assert "“К оплате” became “К оплате сейчас”" in message
    assert str(tmp_path / "golden" / "index.html") in message
    assert page.ACCEPT in message
    html = (tmp_path / "golden" / "index.html").read_text("utf-8")
    assert "at octet" in html
    assert html.count("<section>") == len(list((tmp_path / "golden").glob("*.png"))) == 12
    left, top, right, bottom, wide, _ = framed(tmp_path / "golden" / "payment-TM-T88V.png")
    assert left < wide // 2 < right, "both pictures have a frame"
    assert bottom - top < 60, "only the line that has changed is framed"


@pytest.mark.usefixtures("few_profiles")
def test_new_line_frames_only_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(LANGUAGES, "ru", replace(LANGUAGES["ru"], payment_type="Оплата по СБП\nпо QR-коду"))
    changed = page.changes(accepted(), tickets.everything())
    page.write(changed, tmp_path)
    *_, bottom, _, high = framed(tmp_path / "payment-TM-T88V.png")
    assert bottom < high / 3, "what is below has only moved"


@pytest.mark.usefixtures("few_profiles")
def test_new_and_lost_templates_and_refusals_are_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    templates = {name: make for name, make in tickets.TEMPLATES.items() if name != "bench"}
    monkeypatch.setattr(tickets, "TEMPLATES", {**templates, "another": templates["receipt-text"]})
    now = tickets.everything()
    now["receipt", "TM-T88V"] = tickets.Printed(refusal="no paper of that width")
    changed = page.changes(accepted(), now)
    assert {template for template, _ in changed} == {"another", "bench", "receipt"}
    page.write(changed, tmp_path)
    html = (tmp_path / "index.html").read_text("utf-8")
    assert "it was printed" in html
    assert "it is refused: no paper of that width" in html
    assert "it was not there" in html


def test_accepted_changes_are_no_changes(tmp_path: Path) -> None:
    """A picture that another Pillow has packed in another way is the same picture."""
    folder = shutil.copytree(FOLDER, tmp_path / "kept")
    for path in folder.rglob("*.png"):
        with Image.open(path) as picture:
            picture.load()
        picture.convert("L").save(path, compress_level=1)
    before = load(folder)
    assert page.changes(load(), before) == {}
    assert before
    save(before, folder)
    assert page.changes(load(), load(folder)) == {}


@pytest.mark.program("chromium")
@pytest.mark.usefixtures("few_profiles")
def test_the_page_shows_its_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Chromium) -> None:
    monkeypatch.setitem(LANGUAGES, "ru", replace(LANGUAGES["ru"], to_pay="К оплате сейчас"))
    page.write(page.changes(accepted(), tickets.everything()), tmp_path)
    with chromium.page((tmp_path / "index.html").as_uri(), (1280, 1000)) as shown:
        shown.wait("document.images.length && [...document.images].every(one => one.complete && one.naturalWidth)")
        assert "“К оплате” became “К оплате сейчас”" in shown.text()
        assert shown.problems == []
