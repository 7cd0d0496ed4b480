"""PayMaster's API v2 on the wire: typed, tolerant of what is new, strict about what we rely on.

Unknown fields and unknown status words pass; a wrong type in a field that we read is a `WireError` that names it.
Sums are whole kopecks here and Decimal roubles on the wire, never floats.
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
_SUM = re.compile(r"-?\d{1,15}(\.\d{1,10})?")


class WireError(ValueError):
    """A body that is not what the API promises; the message names the field."""


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment to create. `expires` is aware; `sticker_id` arms a cash link; sums in kopecks."""

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
    """A payment as the bank tells it. `status` is the bank's own word; `link` is what the QR shall say."""

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


@dataclass(frozen=True, slots=True)
class Sticker:
    """A static QR: `payload` is the link that the plate and the tag carry."""

    id: str
    payload: str
    cashlink: bool
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The error envelope."""

    code: str
    message: str
    errors: tuple[str, ...]


def encode_payment(new: NewPayment, merchant_id: str, *, test_mode: bool) -> bytes:
    """The body of `POST /payments`: the same arguments always give the same octets, as idempotency needs."""
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
        ValueError: a time without a zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
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
    """A payment out of decoded JSON.

    Raises:
        WireError: a field that we rely on is missing or of another type; names it.
    """
    top = _table(data, "payment")
    amount = _table(top.get("amount"), "amount")
    invoice = _table(top.get("invoice") or {}, "invoice")
    confirmation = _table(top.get("confirmation") or {}, "confirmation")
    return Payment(
        id=_word(top, "id"),
        status=_word(top, "status"),
        amount_kopecks=_kopecks(amount.get("value"), "amount.value"),
        currency=_word(amount, "currency", "amount."),
        result_code=_text(top, "resultCode"),
        message=_text(top, "message"),
        order_no=_text(invoice, "orderNo", "invoice."),
        created=_time(top, "created"),
        link=_text(confirmation, "paymentUrl", "confirmation."),
        test_mode=top.get("testMode") is True,
    )


def parse_payment(body: bytes) -> Payment:
    """A payment out of an answer's body. Raises WireError."""
    return payment_from(parse_json(body))


def parse_notification(body: bytes) -> Payment:
    """A payment out of a notification to `callbackUrl`, which may begin with a byte-order mark. Raises WireError.

    A notification is a hint to ask the bank, not the bank's word: anyone may post to a public address.
    """
    return payment_from(parse_json(body))


def parse_page(body: bytes) -> tuple[list[Payment], str | None]:
    """One page of a list: its payments, and the cursor of the next page or None. Raises WireError."""
    top = _table(parse_json(body), "page")
    items = top.get("items")
    if not isinstance(items, list):
        raise WireError(f"items must be a list, found {_kind(items)}")
    return [payment_from(item) for item in items], _text(top, "cursor") or None


def parse_sticker(body: bytes) -> Sticker:
    """A sticker out of an answer's body. Raises WireError."""
    top = _table(parse_json(body), "sticker")
    return Sticker(
        id=_word(top, "id"),
        payload=_word(top, "payload"),
        cashlink=top.get("cashlink") is True,
        status=_text(top, "status"),
    )


def parse_failure(body: bytes) -> Failure:
    """The error envelope, as far as the body is one; never fails."""
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
    return "nothing" if value is None else f"{type(value).__name__} {value!r}"[:80]


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
        return str(value)  # ids are documented as strings; a number names a payment as well
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


def _time(table: dict[str, Any], name: str) -> datetime | None:
    text = _text(table, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WireError(f"{name} must be an ISO 8601 time, found {text!r}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
