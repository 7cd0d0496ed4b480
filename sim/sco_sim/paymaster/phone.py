"""The customer's phone: scan a link or a picture of a QR, see shop and amount, pay or decline. An API and a page."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sco_payment import link as links
from sco_payment.money import format_amount
from sco_sim.paymaster.bank import Bank, BankPayment

MAX_PICTURE = 16 * 1024 * 1024
"""Bytes of an uploaded picture."""


class NothingToPay(Exception):
    """The phone cannot do that: no code in the picture, a foreign or damaged link, no payment for it, too late."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the phone shows after a scan."""

    payment_id: str
    shop: str
    kopecks: int
    status: str
    link: str


class Phone:
    """A phone with a bank's app. It checks a link as phones do, does not know the lane, and is always online."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def scan(self, code: str | bytes) -> Seen:
        """What the app shows for a link, or for the QR in a picture (PNG or JPEG bytes).

        Raises:
            NothingToPay: says why.
        """
        link = read_picture(code) if isinstance(code, bytes) else code
        payment = self._payment(link)
        return Seen(payment.id, self._bank.shop, payment.kopecks, payment.status, link)

    def pay(self, code: str | bytes) -> Seen:
        """Scan and pay. Raises NothingToPay."""
        return self._end(code, self._bank.settle)

    def decline(self, code: str | bytes) -> Seen:
        """Scan and decline. Raises NothingToPay."""
        return self._end(code, self._bank.decline)

    def _end(self, code: str | bytes, how: Callable[[str], bool]) -> Seen:
        seen = self.scan(code)
        if not how(seen.payment_id):
            raise NothingToPay(f"the payment is {seen.status} already")
        return self.scan(seen.link)

    def _payment(self, link: str) -> BankPayment:
        judgement = links.judge(link)
        if judgement.verdict is links.Verdict.REFUSED:
            raise NothingToPay(judgement.reason)
        payment = self._bank.by_link(link)
        if payment is None:
            raise NothingToPay("no payment is waiting at this link")
        return payment


def read_picture(data: bytes) -> str:
    """The text of the one QR code in a picture. Raises NothingToPay."""
    import zxingcpp
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            grey = picture.convert("L")
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise NothingToPay(f"that is no picture: {error}") from None
    codes = [code.text for code in zxingcpp.read_barcodes(grey) if code.valid]
    if len(codes) != 1:
        raise NothingToPay(f"the picture shows {len(codes)} codes")
    return codes[0]


def phone_routes(phone: Phone, bank: Bank, answer: Callable[..., Response]) -> list[Route]:
    """The phone on HTTP: `/` the page, `POST /phone/scan|pay|decline` with `{"link": ...}` or a picture as the body."""

    async def page(request: Request) -> Response:
        return HTMLResponse(files(__package__).joinpath("phone.html").read_text("utf-8"))

    def act(what: Callable[[str | bytes], Seen]) -> Callable[[Request], Any]:
        async def handler(request: Request) -> Response:
            try:
                seen = what(await _code(request))
            except NothingToPay as error:
                return answer({"error": str(error)}, 422)
            return answer(
                {
                    "shop": seen.shop,
                    "sum": format_amount(seen.kopecks),
                    "status": seen.status,
                    "link": seen.link,
                    "payment": seen.payment_id,
                }
            )

        return handler

    return [
        Route("/", page),
        Route("/phone/scan", act(phone.scan), methods=["POST"]),
        Route("/phone/pay", act(phone.pay), methods=["POST"]),
        Route("/phone/decline", act(phone.decline), methods=["POST"]),
    ]


async def _code(request: Request) -> str | bytes:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_PICTURE:
            raise NothingToPay("the picture is too large")
    if not request.headers.get("content-type", "").startswith("application/json"):
        return body
    try:
        link = msgspec.json.decode(body)["link"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise NothingToPay('write {"link": "https://..."}') from None
    return str(link).strip()
