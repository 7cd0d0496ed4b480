"""The customer's phone as a web page: what it lists, which links and pictures it takes, what its buttons do."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import segno
import urllib3
from PIL import Image

from sco_sim.paymaster import NothingToPay, PayMasterSimulator
from sco_sim.paymaster.phone import MAX_PICTURE, Trouble, pasted_link, read_picture
from sco_sim.paymaster.phone_page import PAGE_TEXTS, language_of, page_in

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


class Till:
    """A bank with one payment under way, and what a browser sends it."""

    def __init__(self, bank: PayMasterSimulator) -> None:
        self.bank = bank
        self.http = urllib3.PoolManager(retries=False, timeout=10.0)
        self.calls: list[str] = []

    def create(self, order: str = "42") -> str:
        """Create a payment as a lane does; its link."""
        body = {
            "merchantId": self.bank.merchant_id,
            "amount": {"value": 253, "currency": "RUB"},
            "invoice": {"description": "Чек", "orderNo": order},
            "paymentData": {"paymentMethod": "SBP"},
        }
        headers = {"Authorization": f"Bearer {self.bank.token}"}
        answer = self.http.request("POST", self.bank.base_url + "/api/v2/payments", json=body, headers=headers)
        return str(answer.json()["confirmation"]["paymentUrl"])

    def post(self, what: str, **body: Any) -> tuple[int, dict[str, Any]]:
        answer = self.http.request("POST", self.bank.phone_url + what, json=body)
        return answer.status, answer.json()

    def upload(self, data: bytes) -> tuple[int, dict[str, Any]]:
        answer = self.http.request("POST", self.bank.phone_url + "phone/scan", body=data)
        return answer.status, answer.json()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.request("GET", self.bank.phone_url + "phone/state").json()
        return found

    def page(self, accept: str, query: str = "") -> str:
        answer = self.http.request("GET", self.bank.phone_url + query, headers={"Accept-Language": accept})
        return answer.data.decode()


@pytest.fixture
def till() -> Iterator[Till]:
    calls: list[str] = []
    with PayMasterSimulator(on_call=calls.append) as bank:
        till = Till(bank)
        till.calls = calls
        yield till


# --- what waits, and what the buttons do -----------------------------------------------------------------------------


def test_it_lists_what_waits_to_be_paid(till: Till) -> None:
    assert till.state() == {"waiting": [], "offline": False}
    first, second = till.create("41"), till.create("42")
    waiting = till.state()["waiting"]
    assert [(one["order"], one["link"]) for one in waiting] == [("42", second), ("41", first)]
    assert waiting[0]["sum"] == "253,00\u00a0₽"
    till.post("phone/pay", link=first)
    assert [one["order"] for one in till.state()["waiting"]] == ["42"]


def test_paying_twice_takes_the_money_once(till: Till) -> None:
    link = till.create()
    assert till.post("phone/pay-twice", link=link)[1]["trouble"] == "over"
    (payment,) = till.bank.bank.payments.values()
    assert (payment.status, len(payment.history)) == ("Settled", 2)


def test_paying_later_brings_the_money_whatever_became_of_the_payment(till: Till) -> None:
    link = till.create()
    assert till.post("phone/pay-later?after_s=0.4", link=link)[1]["status"] == "Confirmation"
    (payment,) = till.bank.bank.payments.values()
    till.bank.bank.cancel(payment.id)
    assert payment.status == "Cancelled"
    end = time.monotonic() + 10
    while payment.status != "Settled":
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("after_s", ["soon", "-1", "1e9", "nan"])
def test_later_is_a_time(till: Till, after_s: str) -> None:
    status, answer = till.post(f"phone/pay-later?after_s={after_s}", link=till.create())
    assert (status, answer["trouble"]) == (422, "bad_request")


def test_it_cuts_the_lanes_network_and_not_its_own(till: Till) -> None:
    link = till.create()
    assert till.post("phone/network", offline=True) == (200, {"offline": True})
    assert till.state()["offline"]
    with pytest.raises(urllib3.exceptions.HTTPError):
        till.create("43")
    assert till.post("phone/pay", link=link)[1]["status"] == "Settled"
    till.post("phone/network", offline=False)
    assert till.create("43")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"offline": "yes"}', b"[]"])
def test_a_wrong_request_about_the_network_is_refused(till: Till, body: bytes) -> None:
    assert till.http.request("POST", till.bank.phone_url + "phone/network", body=body).status == 422
    assert not till.bank.offline


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pasted",
    [
        LINK,
        f"  {LINK}\r\n",
        f"link: {LINK}",
        f"Ссылка: «{LINK}».",
        f"<{LINK}>",
        f'"{LINK}",',
        LINK.replace("&", "&amp;"),
        LINK.removeprefix("https://"),
        f"{LINK[:80]}\n{LINK[80:]}",
        f"\u200b{LINK}\ufeff",
    ],
)
def test_a_pasted_link_works_as_it_is(pasted: str) -> None:
    assert pasted_link(pasted) == LINK


@pytest.mark.parametrize("text", ["", "hello", "ftp://qr.nspk.ru/", "javascript:alert(1)"])
def test_what_is_no_link_stays_so(till: Till, text: str) -> None:
    assert till.post("phone/scan", link=text)[1]["trouble"] == "link_refused"


@pytest.mark.parametrize("link", [None, 7, ["a"], {}])
def test_a_link_of_another_type_is_refused(till: Till, link: object) -> None:
    assert till.post("phone/scan", link=link)[0] == 422


# --- pictures --------------------------------------------------------------------------------------------------------


def picture_of(*texts: str, form: str = "PNG") -> bytes:
    sheet = Image.new("RGB", (700 * max(1, len(texts)), 700), "white")
    for place, text in enumerate(texts):
        code = io.BytesIO()
        segno.make(text).save(code, kind="png", scale=8, border=4)
        sheet.paste(Image.open(code).convert("RGB"), (700 * place + 50, 50))
    data = io.BytesIO()
    sheet.save(data, form)
    return data.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_is_read(till: Till, form: str) -> None:
    link = till.create()
    assert till.upload(picture_of(link, form=form))[1]["link"] == link


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b"", Trouble.NO_PICTURE),
        ("Это текст, а не снимок.".encode(), Trouble.NO_PICTURE),
        (picture_of(LINK)[:200], Trouble.NO_PICTURE),
        (picture_of(LINK).replace(b"IDAT", b"IDAX"), Trouble.NO_PICTURE),
        (picture_of(LINK, form="GIF"), Trouble.NO_PICTURE),
        (picture_of(LINK, form="BMP"), Trouble.NO_PICTURE),
        (picture_of(LINK, form="EPS"), Trouble.NO_PICTURE),
        (picture_of(), Trouble.NO_CODE),
        (picture_of(LINK, LINK + "2"), Trouble.SEVERAL_CODES),
    ],
    ids=["nothing", "text", "short", "damaged", "gif", "bmp", "eps", "no code", "two codes"],
)
@pytest.mark.attack("A22")
def test_what_is_no_picture_of_one_code_gets_a_sentence(till: Till, data: bytes, trouble: Trouble) -> None:
    status, answer = till.upload(data)
    assert (status, answer["trouble"]) == (422, trouble.value)
    for texts in PAGE_TEXTS.values():
        assert texts[trouble.value]


@pytest.mark.attack("A22")
def test_eps_starts_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would give a foreign file to Ghostscript."""

    def started(*command: object, **how: object) -> None:
        raise AssertionError(f"started {command}")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(subprocess, "check_call", started)
    with pytest.raises(NothingToPay):
        read_picture(picture_of(LINK, form="EPS"))


def bomb(side: int) -> bytes:
    """A small PNG of many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(side // 8 + 1)) for _ in range(min(side, 2000))) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 20_000, 60_000])
@pytest.mark.attack("A22")
def test_a_picture_of_too_many_pixels_is_not_unpacked(till: Till, side: int) -> None:
    packed = bomb(side)
    began = time.monotonic()
    assert till.upload(packed)[1]["trouble"] == "too_large"
    assert time.monotonic() - began < 60


@pytest.mark.attack("A22")
def test_a_picture_of_too_many_bytes_is_not_taken(till: Till) -> None:
    assert till.upload(bytes(MAX_PICTURE + 1))[1]["trouble"] == "too_large"


# --- the page --------------------------------------------------------------------------------------------------------


class Words(HTMLParser):
    """The words on a page, without its program."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.found.append(data.strip())


def test_one_language_a_page() -> None:
    russian, english = " ".join(Words(page_in("ru")).found), " ".join(Words(page_in("en")).found)
    assert not re.search("[А-яЁё]", english)
    known = {"QR", "NFC", "PNG", "JPEG"}
    assert set(re.findall("[A-Za-z]+", russian)) <= known
    assert '<html lang="en">' in page_in("en")
    assert "{{" not in page_in("ru")


def test_the_page_is_in_the_readers_language(till: Till) -> None:
    assert "Телефон покупателя" in till.page("ru-RU,ru;q=0.9,en;q=0.8")
    assert "The customer&#x27;s phone" in till.page("en-GB,en;q=0.9")
    assert "The customer&#x27;s phone" in till.page("ru", "?lang=en")


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, "", "ru"),
        (None, "de", "ru"),
        (None, "de,en;q=0.5", "en"),
        (None, "en;q=0.5,ru;q=0.7", "ru"),
        (None, "ru;q=0,en;q=0.1", "en"),
        (None, "en;q=high,ru", "ru"),
        ("en", "ru", "en"),
        ("xx", "en", "en"),
    ],
)
def test_the_language_is_chosen(asked: str | None, accepted: str, language: str) -> None:
    assert language_of(asked, accepted) == language


def test_both_languages_have_the_same_words_and_every_trouble() -> None:
    assert PAGE_TEXTS["ru"].keys() == PAGE_TEXTS["en"].keys()
    assert {trouble.value for trouble in Trouble} <= PAGE_TEXTS["ru"].keys()
    page = files("sco_sim.paymaster").joinpath("phone.html").read_text("utf-8")
    used = set(re.findall(r"{{(\w+)}}|texts\.(\w+)", page))
    assert {one or other for one, other in used} - {"texts", "language"} <= PAGE_TEXTS["ru"].keys()


# --- `sco-pay simulate` ----------------------------------------------------------------------------------------------


def test_each_call_is_reported(till: Till) -> None:
    link = till.create()
    till.post("phone/pay", link=link)
    till.upload(b"text")
    till.http.request("GET", till.bank.base_url + "/api/v2/payments/00000001")
    assert till.calls[0] == "POST /api/v2/payments -> 200 payment 00000001 is Confirmation, 253,00\u00a0₽, order 42"
    assert till.calls[1] == "phone: pay: payment 00000001 of 253,00\u00a0₽ is Settled"
    assert till.calls[2].startswith("phone: scan: not a PNG or JPEG picture")
    assert till.calls[3] == "GET /api/v2/payments/00000001 -> 401 not_authorized"


def test_a_call_that_is_cut_is_reported_so() -> None:
    calls: list[str] = []
    with PayMasterSimulator(script="cut-after on=create", on_call=calls.append) as bank:
        with pytest.raises(urllib3.exceptions.HTTPError):
            Till(bank).create()
        assert calls == ["POST /api/v2/payments -> cut payment 00000001 is Confirmation, 253,00\u00a0₽, order 42"]


def test_the_settings_that_it_prints_fit_its_own_port(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sco_payment.cli.main"]
    simulator = subprocess.Popen(
        [*command, "simulate", "--port", "0", "--host", "0.0.0.0", "--script", "pays"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert simulator.stdout is not None
        printed = ""
        while "Each call follows" not in printed:
            printed += simulator.stdout.readline()
        found = re.search(r"sco-pay (settings example .*) > lane.toml", printed)
        token = re.search(r"export SCO_PAYMASTER_TOKEN=(\S+)", printed)
        assert found
        assert token
        text = subprocess.run([*command, *found[1].split()], capture_output=True, check=True, timeout=60).stdout
        (tmp_path / "lane.toml").write_bytes(text)
        paid = subprocess.run(
            [*command, "pay", "1", "--order", "7", "--json", "--settings", str(tmp_path / "lane.toml")],
            env={
                "SCO_PAYMASTER_TOKEN": token[1],
                "SCO_TIMING_POLL_INTERVAL_S": "0.2",
                "PYTHONPATH": ":".join(sys.path),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert json.loads(paid.stdout.splitlines()[-1])["outcome"] == "paid", paid.stderr
        assert "POST /api/v2/payments -> 200 payment" in simulator.stdout.readline()
    finally:
        simulator.terminate()
        simulator.wait(30)
        assert simulator.stdout is not None
        simulator.stdout.close()
