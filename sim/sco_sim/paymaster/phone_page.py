"""The page of the customer's phone, in the one language that its reader prefers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files

_RUSSIAN = {
    "title": "Телефон покупателя",
    "waiting": "Ждут оплаты",
    "nothing": "Пока ничего. Начните оплату на кассе.",
    "order": "заказ",
    "link": "Ссылка из QR-кода или NFC-метки",
    "open": "Открыть ссылку",
    "picture": "Выбрать снимок QR-кода (PNG или JPEG)",
    "pay": "Оплатить",
    "decline": "Отказаться",
    "pay_twice": "Оплатить дважды",
    "pay_later": "Оплатить позже",
    "later_s": "через, с",
    "network": "Сеть кассы",
    "network_on": "работает",
    "network_off": "отключена",
    "go_offline": "Отключить сеть кассы",
    "go_online": "Включить сеть кассы",
    "Settled": "Оплачено",
    "Rejected": "Отклонено",
    "Cancelled": "Отменено",
    "Refunded": "Деньги возвращены",
    "later": "Деньги придут позже, что бы ни сделала касса",
    "lost": "Симулятор не отвечает",
    "link_refused": "Телефон не откроет эту ссылку: она повреждена или не той формы",
    "no_payment": "По этой ссылке сейчас нечего оплачивать",
    "over": "Второй раз нельзя: этот платёж уже завершён",
    "no_picture": "Это не снимок: нужен файл PNG или JPEG",
    "too_large": "Снимок слишком большой",
    "no_code": "На снимке не видно QR-кода",
    "several_codes": "На снимке несколько QR-кодов, нужен один",
    "bad_request": "Симулятор не понял запрос",
}
_ENGLISH = {
    "title": "The customer's phone",
    "waiting": "Waiting to be paid",
    "nothing": "Nothing yet. Start a payment at the checkout.",
    "order": "order",
    "link": "Link from the QR code or NFC tag",
    "open": "Open the link",
    "picture": "Choose a picture of the QR code (PNG or JPEG)",
    "pay": "Pay",
    "decline": "Decline",
    "pay_twice": "Pay twice",
    "pay_later": "Pay later",
    "later_s": "after, s",
    "network": "The lane's network",
    "network_on": "works",
    "network_off": "is cut",
    "go_offline": "Cut the lane's network",
    "go_online": "Restore the lane's network",
    "Settled": "Paid",
    "Rejected": "Declined",
    "Cancelled": "Cancelled",
    "Refunded": "Money returned",
    "later": "The money will arrive later, whatever the lane does",
    "lost": "The simulator does not answer",
    "link_refused": "A phone does not open this link: it is damaged or of another form",
    "no_payment": "There is nothing to pay at this link now",
    "over": "Not twice: this payment is already over",
    "no_picture": "This is not a picture: choose a PNG or JPEG file",
    "too_large": "The picture is too large",
    "no_code": "No QR code can be seen in the picture",
    "several_codes": "The picture shows several QR codes: exactly one is needed",
    "bad_request": "The simulator did not understand the request",
}
PAGE_TEXTS: Mapping[str, Mapping[str, str]] = {"ru": _RUSSIAN, "en": _ENGLISH}
_SLOT = re.compile(r"{{(\w+)}}")


def language_of(asked: str | None, accepted: str) -> str:
    """The page's language: `asked`, else the first of the Accept-Language header that there is, else Russian."""
    if asked in PAGE_TEXTS:
        return str(asked)
    wanted = []
    for part in accepted.split(","):
        tag, _, parameters = part.strip().partition(";")
        quality = parameters.strip().removeprefix("q=") or "1"
        try:
            wanted.append((-float(quality), tag.partition("-")[0].lower()))
        except ValueError:
            continue
    known = [tag for quality, tag in sorted(wanted, key=lambda one: one[0]) if tag in PAGE_TEXTS and quality < 0]
    return known[0] if known else "ru"


def page_in(language: str) -> str:
    """The page in that language."""
    texts = {**PAGE_TEXTS[language], "language": language}
    page = files(__package__).joinpath("phone.html").read_text("utf-8")
    data = json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c")
    return _SLOT.sub(lambda slot: data if slot[1] == "texts" else escape(texts[slot[1]]), page)
