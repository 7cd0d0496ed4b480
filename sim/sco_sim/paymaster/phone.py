"""The customer's phone: scan a link or a picture of a QR, see shop and amount, pay or decline. An API and a page."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from html import unescape
from typing import Protocol

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sco_payment import link as links
from sco_payment.money import format_amount
from sco_sim.paymaster.bank import OPEN, Bank, BankPayment
from sco_sim.paymaster.phone_page import language_of, page_in

MAX_PICTURE = 16 * 1024 * 1024
"""Bytes of an uploaded picture."""
MAX_PIXELS = 50_000_000
"""Of an uploaded picture: what phones take, and no more than a process can hold unpacked."""
_FORMATS = ("PNG", "JPEG")  # others are not even tried: for EPS, Pillow would start Ghostscript
_ENOUGH_PX = (2000, 2000)
_PASTED = re.compile(r"(?:https?://|qr\.nspk\.ru/)[^<>\"'«»“”]+", re.IGNORECASE)
_INVISIBLE = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])


class Trouble(Enum):
    """What is wrong, for the page to say in its language."""

    LINK_REFUSED = "link_refused"
    NO_PAYMENT = "no_payment"
    OVER = "over"
    NO_PICTURE = "no_picture"
    TOO_LARGE = "too_large"
    NO_CODE = "no_code"
    SEVERAL_CODES = "several_codes"
    BAD_REQUEST = "bad_request"


class NothingToPay(Exception):
    """The phone cannot do that: no code in the picture, a foreign or damaged link, no payment for it, too late.

    Attributes:
        trouble: which of these.
    """

    def __init__(self, message: str, trouble: Trouble = Trouble.BAD_REQUEST) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Seen:
    """What the phone shows after a scan."""

    payment_id: str
    shop: str
    kopecks: int
    status: str
    link: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A payment that waits for its customer; `left_s` is None for one that never expires."""

    payment_id: str
    link: str
    kopecks: int
    order_no: str
    left_s: float | None


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

    def pay_later(self, code: str | bytes, after_s: float) -> Seen:
        """Scan and confirm; the money arrives `after_s` later, whatever became of the payment. Raises NothingToPay."""
        seen = self.scan(code)
        self._bank.plan(self._bank.clock() + after_s, partial(self._bank.force_settle, seen.payment_id))
        return seen

    def waiting(self) -> list[Waiting]:
        """What can be paid now, the newest first."""
        found = [payment for payment in self._bank.list(None, None) if not payment.final and payment.status in OPEN]
        return [
            Waiting(
                payment.id,
                payment.link,
                payment.kopecks,
                str(payment.invoice.get("orderNo", "")),
                None if payment.expires is None else payment.expires - self._bank.clock(),
            )
            for payment in reversed(found)
        ]

    def _end(self, code: str | bytes, how: Callable[[str], bool]) -> Seen:
        seen = self.scan(code)
        if not how(seen.payment_id):
            raise NothingToPay(f"the payment is {seen.status} already", Trouble.OVER)
        return self.scan(seen.link)

    def _payment(self, link: str) -> BankPayment:
        judgement = links.judge(link)
        if judgement.verdict is links.Verdict.REFUSED:
            raise NothingToPay(judgement.reason, Trouble.LINK_REFUSED)
        payment = self._bank.by_link(link)
        if payment is None:
            raise NothingToPay("no payment is waiting at this link", Trouble.NO_PAYMENT)
        return payment


def read_picture(data: bytes) -> str:
    """The text of the one QR code in a PNG or JPEG picture. Raises NothingToPay."""
    import zxingcpp
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:  # reads the header only
            if picture.width * picture.height > MAX_PIXELS:
                raise NothingToPay(f"the picture has more than {MAX_PIXELS} pixels", Trouble.TOO_LARGE)
            picture.draft("L", _ENOUGH_PX)  # of a JPEG, the size that is needed
            grey = picture.convert("L")
    except Image.DecompressionBombError:
        raise NothingToPay(f"the picture has more than {MAX_PIXELS} pixels", Trouble.TOO_LARGE) from None
    except (OSError, ValueError, SyntaxError, struct.error) as error:  # all of them for damaged files
        raise NothingToPay(f"not a PNG or JPEG picture: {error}", Trouble.NO_PICTURE) from None
    codes = [code.text for code in zxingcpp.read_barcodes(grey) if code.valid]
    if len(codes) != 1:
        trouble = Trouble.SEVERAL_CODES if codes else Trouble.NO_CODE
        raise NothingToPay(f"the picture shows {len(codes)} codes", trouble)
    return codes[0]


def pasted_link(text: str) -> str:
    """The link in what somebody pasted: with quotes, line breaks, words before it, or without its scheme."""
    joined = "".join(unescape(text).translate(_INVISIBLE).split())
    found = _PASTED.search(joined)
    link = joined if found is None else found[0].rstrip(".,;:)]}")
    return link if found is None or "://" in link else f"https://{link}"


def phone_routes(phone: Phone, network: Network, answer: Callable[..., Response], on_call: OnCall) -> list[Route]:
    """The phone on HTTP: `/` the page; `GET /phone/state` what waits; `POST /phone/scan`, `/pay`, `/decline`,
    `/pay-twice` and `/pay-later?after_s=30` with `{"link": ...}` or a picture as the body; `POST /phone/network` with
    `{"offline": true}` for the lane's network."""

    async def page(request: Request) -> Response:
        language = language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        return HTMLResponse(page_in(language), headers={"Content-Language": language, "Vary": "Accept-Language"})

    async def state(request: Request) -> Response:
        waiting = [
            {
                "payment": one.payment_id,
                "link": one.link,
                "sum": format_amount(one.kopecks),
                "order": one.order_no,
                "left_s": None if one.left_s is None else max(0, round(one.left_s)),
            }
            for one in phone.waiting()
        ]
        return answer({"waiting": waiting, "offline": network.offline})

    async def set_network(request: Request) -> Response:
        try:
            offline = msgspec.json.decode(await request.body(), type=dict[str, bool])["offline"]
        except (msgspec.DecodeError, KeyError):
            return answer({"error": 'write {"offline": true}', "trouble": Trouble.BAD_REQUEST.value}, 422)
        (network.go_offline if offline else network.go_online)()
        on_call(f"the lane's network is {'cut' if offline else 'back'}")
        return answer({"offline": network.offline})

    def act(name: str, what: Callable[[str | bytes, Request], Seen]) -> Route:
        async def handler(request: Request) -> Response:
            try:
                seen = await run_in_threadpool(what, await _code(request), request)  # a picture takes its time
            except NothingToPay as error:
                on_call(f"phone: {name}: {error}")
                return answer({"error": str(error), "trouble": error.trouble.value}, 422)
            on_call(f"phone: {name}: payment {seen.payment_id} of {format_amount(seen.kopecks)} is {seen.status}")
            return answer(
                {
                    "shop": seen.shop,
                    "sum": format_amount(seen.kopecks),
                    "status": seen.status,
                    "link": seen.link,
                    "payment": seen.payment_id,
                }
            )

        return Route(f"/phone/{name}", handler, methods=["POST"])

    def pay_twice(code: str | bytes, request: Request) -> Seen:
        return phone.pay(phone.pay(code).link)

    def pay_later(code: str | bytes, request: Request) -> Seen:
        try:
            after_s = float(request.query_params.get("after_s", _LATER_S))
        except ValueError:
            after_s = -1.0
        if not 0 <= after_s <= _LONGEST_S:
            raise NothingToPay(f"after_s must be from 0 to {_LONGEST_S:g}")
        return phone.pay_later(code, after_s)

    return [
        Route("/", page),
        Route("/phone/state", state),
        Route("/phone/network", set_network, methods=["POST"]),
        act("scan", lambda code, request: phone.scan(code)),
        act("pay", lambda code, request: phone.pay(code)),
        act("decline", lambda code, request: phone.decline(code)),
        act("pay-twice", pay_twice),
        act("pay-later", pay_later),
    ]


_LATER_S, _LONGEST_S = 30.0, 86_400.0


class Network(Protocol):
    """The lane's network to the bank."""

    @property
    def offline(self) -> bool: ...
    def go_offline(self) -> None: ...
    def go_online(self) -> None: ...


OnCall = Callable[[str], None]
"""Takes a line about each call."""


async def _code(request: Request) -> str | bytes:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_PICTURE:
            raise NothingToPay(f"the picture has more than {MAX_PICTURE} bytes", Trouble.TOO_LARGE)
    if not request.headers.get("content-type", "").startswith("application/json"):
        return body
    try:
        link = msgspec.json.decode(body)["link"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise NothingToPay('write {"link": "https://..."}') from None
    return pasted_link(str(link))
