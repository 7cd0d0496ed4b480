"""PayMaster's API v2 on the wire: typed, tolerant of what is new, strict about what we rely on.

Unknown fields and status words are accepted; a wrong type in a field that we rely on is a `WireError` that names it.
Fields that are only for people to read (`resultCode`, `message`, `created`) never make an answer unusable: where
they cannot be read they count as missing. Amounts are whole kopecks here and Decimal roubles on the wire, never floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from sco_payment.money import kopecks_from_wire, roubles

_BOM = b"\xef\xbb\xbf"
_SUM = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?")
_LONGEST_WORD = 100
"""Characters. PayMaster's ids and status words are much shorter; ours go into the journal with each answer."""
_LONGEST_CURSOR = 1000
_SHOWN = 8192
"""Characters of what was found instead, for the message. More than a token has: a cut one could not be hidden."""


class WireError(ValueError):
    """A body that does not follow the API; the message names the field."""


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment to create. `expires` is aware; `sticker_id` arms a cash link; the amount is in kopecks."""

    order_no: str
    description: str
    amount_kopecks: int
    expires: datetime
    sticker_id: str | None = None
    return_url: str | None = None
    callback_url: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as PayMaster returns it.

    `status` is PayMaster's own word; `link` is the content of the QR code; `params` are the invoice's own, empty where
    PayMaster does not return them.
    """

    id: str
    status: str
    amount_kopecks: int
    currency: str
    result_code: str | None = None
    message: str | None = None
    order_no: str | None = None
    created: datetime | None = None
    link: str | None = None
    test_mode: bool = False
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sticker:
    """A static QR: `payload` is the link on the plate and the tag."""

    id: str
    payload: str
    cashlink: bool
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """PayMaster's error object."""

    code: str
    message: str
    errors: tuple[str, ...]


def encode_payment(new: NewPayment, merchant_id: str, *, test_mode: bool) -> bytes:
    """The body of `POST /payments`: the same arguments always give the same bytes, as idempotency needs."""
    data: dict[str, Any] = {"paymentMethod": "SBP"}
    if new.sticker_id is not None:
        data["stickerId"] = new.sticker_id
    protocol = {
        name: url for name, url in (("returnUrl", new.return_url), ("callbackUrl", new.callback_url)) if url is not None
    }
    body: dict[str, Any] = {
        "merchantId": merchant_id,
        "testMode": test_mode,
        "dualMode": False,
        "invoice": {
            "description": new.description,
            "orderNo": new.order_no,
            "expires": to_wire_time(new.expires),
            "params": dict(new.params),
        },
        "amount": {"value": roubles(new.amount_kopecks), "currency": "RUB"},
        "paymentData": data,
    }
    if protocol:
        body["protocol"] = protocol
    return _ENCODER.encode(body)


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_wire_time(moment: datetime) -> str:
    """ISO 8601 in UTC, whole seconds.

    Raises:
        ValueError: a time without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_json(body: bytes) -> Any:
    """JSON, with or without a byte-order mark, numbers with a fraction as Decimal.

    Raises:
        WireError: not JSON.
    """
    try:
        return _DECODER.decode(body.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None


_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


def payment_from(data: Any) -> Payment:
    """A payment from decoded JSON.

    Raises:
        WireError: a field that we rely on is missing or of another type; names it.
    """
    top = _table(data, "payment")
    amount = _table(top.get("amount"), "amount")
    invoice = _table(top.get("invoice") or {}, "invoice")
    params = _table(invoice.get("params") or {}, "invoice.params")
    confirmation = _table(top.get("confirmation") or {}, "confirmation")
    return Payment(
        id=_word(top, "id"),
        status=_word(top, "status"),
        amount_kopecks=_kopecks(amount.get("value"), "amount.value"),
        currency=_word(amount, "currency", "amount."),
        result_code=_remark(top, "resultCode"),
        message=_remark(top, "message"),
        order_no=_text(invoice, "orderNo", "invoice."),
        created=_time(top, "created"),
        link=_text(confirmation, "paymentUrl", "confirmation."),
        test_mode=top.get("testMode") is True,
        params={name: value for name, value in params.items() if isinstance(value, str)},
    )


def parse_payment(body: bytes) -> Payment:
    """A payment from the body of an answer. Raises WireError."""
    return payment_from(parse_json(body))


def parse_cancelled(body: bytes, payment_id: str) -> None:
    """Check the answer to a cancellation, whose content is not documented: empty, or a JSON object about this payment.

    A proxy's page is neither. Raises WireError.
    """
    if body.removeprefix(_BOM).strip():
        found = _table(parse_json(body), "answer").get("id", payment_id)
        if str(found) != payment_id:
            raise WireError(f"it is about payment {found}")


def parse_notification(body: bytes) -> Payment:
    """A payment from a notification to `callbackUrl`, which may begin with a byte-order mark. Raises WireError.

    A notification is a hint to ask PayMaster, not a status: anyone can post to a public address.
    """
    return payment_from(parse_json(body))


def parse_page(body: bytes, order_no: str | None = None) -> tuple[list[Payment], str | None]:
    """One page of a list: its payments, and the cursor of the next page or None.

    Args:
        body: of the answer.
        order_no: the order to look for; an item of another order that cannot be read is then skipped.

    Raises:
        WireError: not a page, or an item that cannot be read and may be the one to look for.
    """
    top = _table(parse_json(body), "page")
    items = top.get("items")
    if not isinstance(items, list):
        raise WireError(f"items must be a list, found {_kind(items)}")
    found = []
    for item in items:
        try:
            found.append(payment_from(item))
        except WireError:
            if order_no is None or _orders_number(item) in (None, order_no):
                raise
    cursor = _text(top, "cursor") or None
    if cursor is not None and len(cursor) > _LONGEST_CURSOR:
        raise WireError(f"cursor has {len(cursor)} characters, at most {_LONGEST_CURSOR} are accepted")
    return found, cursor


def _orders_number(item: Any) -> str | None:
    """The order that a payment names, as far as it can be read."""
    invoice = item.get("invoice") if isinstance(item, dict) else None
    number = invoice.get("orderNo") if isinstance(invoice, dict) else None
    return number if isinstance(number, str) else None


def parse_sticker(body: bytes) -> Sticker:
    """A sticker from the body of an answer. Raises WireError."""
    top = _table(parse_json(body), "sticker")
    return Sticker(
        id=_word(top, "id"),
        payload=_filled(top, "payload"),
        cashlink=top.get("cashlink") is True,
        status=_text(top, "status"),
    )


def parse_failure(body: bytes) -> Failure:
    """The error object, as far as the body is one; never fails."""
    try:
        top = _table(parse_json(body), "error")
    except WireError:
        return Failure("", "", ())
    errors = top.get("errors")
    return Failure(
        code=str(top["code"]) if isinstance(top.get("code"), str) else "",
        message=str(top["message"]) if isinstance(top.get("message"), str) else "",
        errors=tuple(str(one) for one in errors) if isinstance(errors, list) else (),
    )


def _kind(value: Any) -> str:
    return "none" if value is None else f"{type(value).__name__} {value!r}"[:_SHOWN]


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError(f"{name} must be an object, found {_kind(value)}")
    return value


def _text(table: dict[str, Any], name: str, prefix: str = "") -> str | None:
    value = table.get(name)
    if value is not None and not isinstance(value, str):
        raise WireError(f"{prefix}{name} must be a text, found {_kind(value)}")
    return value


def _word(table: dict[str, Any], name: str, prefix: str = "") -> str:
    value = table.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and name == "id":
        return str(value)  # ids are documented as strings; a number is accepted too
    word = _filled(table, name, prefix)
    if len(word) > _LONGEST_WORD or not word.isprintable():
        raise WireError(f"{prefix}{name} must be at most {_LONGEST_WORD} printable characters, found {_kind(word)}")
    if name == "id" and word in (".", ".."):
        raise WireError(f"{prefix}{name} cannot be {word!r}")
    return word


def _filled(table: dict[str, Any], name: str, prefix: str = "") -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise WireError(f"{prefix}{name} must be a text, found {_kind(value)}")
    return value


def _kopecks(value: Any, name: str) -> int:
    if isinstance(value, str) and _SUM.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise WireError(f"{name} must be a number, found {_kind(value)}")
    try:
        return kopecks_from_wire(Decimal(value))
    except (ValueError, ArithmeticError) as error:
        raise WireError(f"{name}: {error}") from None


def _remark(table: dict[str, Any], name: str) -> str | None:
    """A field that is only for people to read."""
    value = table.get(name)
    if value is None or isinstance(value, dict | list):
        return None
    return printable(str(value)[:_LONGEST_WORD])


def printable(text: str) -> str:
    """`text` with a space for what is not printable."""
    return "".join(char if char.isprintable() else " " for char in text)


def _time(table: dict[str, Any], name: str) -> datetime | None:
    value = table.get(name)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
