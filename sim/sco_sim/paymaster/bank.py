"""The simulated PayMaster without HTTP: payments, stickers, idempotency, expiry, cancellation, counts.

Pure but for its clock; every public call first lets time do what it does (expiry, scheduled customers). Safe from
several threads. It moves no money and checks no rights: `server` does the latter.
"""

from __future__ import annotations

import binascii
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from sco_payment.link import same_code

OPEN = ("Confirmation", "Pending")
FINAL = ("Settled", "Cancelled", "Rejected", "Refunded")
_LINK_AFTER_S, _IN_USE_S, _REFUND_S = 3.0, 2.0, 20.0
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BANK_ID = "100000000111"
_TEST_PAGE = "https://paymaster.ru/cpay/mock/sbp/"
_FOREIGN = "https://pay.bank.example/"


class Refusal(Exception):
    """The bank's error envelope with its HTTP status."""

    def __init__(self, status: int, code: str, message: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, Any]:
        """The envelope."""
        return {"code": self.code, "message": self.message} | ({"errors": list(self.errors)} if self.errors else {})


@dataclass(slots=True)
class BankSticker:
    """A static QR at the bank; `armed_by` is the payment that waits on it."""

    id: str
    payload: str
    cashlink: bool
    description: str = ""
    active: bool = True
    armed_by: str | None = None

    def body(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "stickerType": "SBP",
            "cashlink": self.cashlink,
            "status": "Active" if self.active else "Inactive",
            "description": self.description,
            "payload": self.payload,
        }


@dataclass(slots=True)
class BankPayment:
    """A payment at the bank. Amounts in kopecks, times in s since the epoch."""

    id: str
    kopecks: int
    invoice: dict[str, Any]
    created: float
    expires: float | None
    link: str
    merchant_id: str
    test_mode: bool
    callback_url: str | None = None
    sticker_id: str | None = None
    status: str = "Confirmation"
    result_code: str | None = None
    cancel_requests: int = 0
    history: list[tuple[float, str]] = field(default_factory=list)

    @property
    def final(self) -> bool:
        """Whether it has reached a final status."""
        return self.status in FINAL

    def body(self) -> dict[str, Any]:
        """As the API shows it; the amount with four decimal digits, as PayMaster writes it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "created": _iso(self.created),
            "testMode": self.test_mode,
            "status": self.status,
            "merchantId": self.merchant_id,
            "amount": {"value": Decimal(self.kopecks).scaleb(-2).quantize(Decimal("0.0001")), "currency": "RUB"},
            "invoice": self.invoice,
            "paymentData": {"paymentMethod": "SBP", "paymentInstrumentTitle": "СБП"},
        }
        if self.result_code is not None:
            shown["resultCode"] = self.result_code
        if self.status == "Confirmation":
            shown["confirmation"] = {"type": "ExternalPayment", "paymentUrl": self.link}
        return shown


class Bank:
    """The bank's books.

    Args:
        clock: s since the epoch.
        shop: the name that a phone shows.
        on_final: called with each payment that reaches a final status.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        shop: str = "Магазин у дома",
        on_final: Callable[[BankPayment], None] | None = None,
    ) -> None:
        self.clock = clock
        self.shop = shop
        self.payments: dict[str, BankPayment] = {}
        self.stickers: dict[str, BankSticker] = {}
        self.calls: Counter[str] = Counter()
        self.on_create: Callable[[BankPayment], None] | None = None
        self.behaviours: set[str] = set()  # of `script.BEHAVIOURS`
        self._on_final = on_final
        self._keys: dict[str, tuple[bytes, str]] = {}
        self._planned: list[tuple[float, Callable[[], object]]] = []
        self._mutex = threading.RLock()
        self._serial = 0

    @property
    def creates(self) -> int:
        """Payments that were created: repeats of one key count once."""
        return len(self.payments)

    @property
    def cancels(self) -> int:
        """Cancellations that reached the bank, taken or refused."""
        return sum(payment.cancel_requests for payment in self.payments.values())

    @property
    def refunds(self) -> int:
        """Refunds that were asked for; a self-checkout asks for none."""
        return self.calls["refund"]

    def reset(self) -> None:
        """Forget payments, plans and counts. Stickers stay, unarmed; no payment's id comes a second time."""
        with self._mutex:
            for book in (self.payments, self._keys, self._planned, self.calls):
                book.clear()
            for sticker in self.stickers.values():
                sticker.armed_by = None

    # --- time --------------------------------------------------------------------------------------------------

    def plan(self, at: float, what: Callable[[], object]) -> None:
        """Do `what` when the clock reaches `at`."""
        with self._mutex:
            self._planned.append((at, what))

    def advance(self) -> None:
        """Let the time that has passed have its effects, in its order."""
        with self._mutex:
            now = self.clock()
            while due := [entry for entry in self._planned if entry[0] <= now]:
                first = min(due, key=lambda entry: entry[0])
                self._planned.remove(first)
                self._expire(first[0])
                first[1]()
            self._expire(now)

    def _expire(self, now: float) -> None:
        if "stays-open" in self.behaviours:
            return
        for payment in self.payments.values():
            if not payment.final and payment.expires is not None and payment.expires <= now:
                self._end(payment, "Rejected", "PaymentExpired")

    def _confirm(self, payment: BankPayment) -> None:
        if payment.status == "Pending":
            payment.status = "Confirmation"

    def _end(self, payment: BankPayment, status: str, result_code: str) -> None:
        payment.status, payment.result_code = status, result_code
        payment.history.append((self.clock(), status))
        if payment.sticker_id is not None:
            sticker = self.stickers[payment.sticker_id]
            if sticker.armed_by == payment.id:
                sticker.armed_by = None
        if self._on_final is not None:
            self._on_final(payment)

    # --- the merchant's calls ------------------------------------------------------------------------------------

    def create(self, data: Any, key: str | None, raw: bytes) -> BankPayment:
        """`POST /payments`. Raises Refusal."""
        with self._mutex:
            self.advance()
            self.calls["create"] += 1
            if key is not None and key in self._keys:
                body, payment_id = self._keys[key]
                if body != raw or "key-refused" in self.behaviours:
                    raise Refusal(409, "idempotency_key_violation", "The key was used before")
                return self.payments[payment_id]
            payment = self._new_payment(data)
            self.payments[payment.id] = payment
            if key is not None:
                self._keys[key] = (raw, payment.id)
            if self.on_create is not None:
                self.on_create(payment)
            if "settled-at-once" in self.behaviours:
                self.force_settle(payment.id)
            return payment

    def _new_payment(self, data: Any) -> BankPayment:
        problems: list[str] = []
        invoice = data.get("invoice") if isinstance(data, dict) else None
        amount = data.get("amount") if isinstance(data, dict) else None
        method = data.get("paymentData") if isinstance(data, dict) else None
        if not isinstance(invoice, dict) or not invoice.get("description"):
            problems.append("invoice.description is required")
        kopecks = _kopecks(amount.get("value")) if isinstance(amount, dict) else None
        if kopecks is None or kopecks <= 0:
            problems.append("amount.value must be a positive number")
        if not isinstance(amount, dict) or amount.get("currency") != "RUB":
            problems.append("amount.currency must be RUB")
        if not isinstance(method, dict) or method.get("paymentMethod") != "SBP":
            problems.append("paymentData.paymentMethod must be SBP")
        expires: float | None = None
        if isinstance(invoice, dict) and "expires" in invoice:
            try:
                expires = datetime.fromisoformat(str(invoice["expires"])).timestamp()
            except ValueError:
                problems.append("invoice.expires must be an ISO 8601 time")
        if problems:
            raise Refusal(400, "validation_error", "The request is not valid", tuple(problems))
        assert isinstance(method, dict)
        assert isinstance(invoice, dict)
        assert kopecks is not None
        self._serial += 1
        payment_id = f"{self._serial:08d}"
        sticker_id = method.get("stickerId")
        link = self._arm(sticker_id, payment_id, kopecks) if sticker_id else self._dynamic_link(kopecks)
        is_test_page, is_foreign = "test-page" in self.behaviours, "foreign-link" in self.behaviours
        protocol = data.get("protocol") if isinstance(data.get("protocol"), dict) else {}
        payment = BankPayment(
            id=payment_id,
            kopecks=kopecks,
            invoice=invoice,
            created=self.clock(),
            expires=expires,
            link=_TEST_PAGE + payment_id if is_test_page else _FOREIGN + payment_id if is_foreign else link,
            merchant_id=str(data.get("merchantId")),
            test_mode=is_test_page or data.get("testMode") is True,
            callback_url=protocol.get("callbackUrl"),
            sticker_id=sticker_id,
            status="Pending" if "link-later" in self.behaviours else "Confirmation",
        )
        if payment.status == "Pending":
            self.plan(payment.created + _LINK_AFTER_S, partial(self._confirm, payment))
        payment.history.append((payment.created, payment.status))
        return payment

    def _arm(self, sticker_id: str, payment_id: str, kopecks: int) -> str:
        sticker = self.stickers.get(sticker_id)
        if sticker is None:
            raise Refusal(400, "validation_error", "The request is not valid", ("paymentData.stickerId is unknown",))
        if not sticker.active or not sticker.cashlink:
            raise Refusal(400, "invalid_operation", "The sticker takes no amounts")
        if sticker.armed_by is not None:
            raise Refusal(400, "invalid_operation", "Another amount is pending on the sticker")
        sticker.armed_by = payment_id
        return _rewritten(sticker.payload, kopecks) if "plate-rewritten" in self.behaviours else sticker.payload

    def get(self, payment_id: str) -> BankPayment:
        """`GET /payments/{id}`. Raises Refusal."""
        with self._mutex:
            self.advance()
            self.calls["get"] += 1
            return self._payment(payment_id)

    def list(self, start: float | None, end: float | None) -> list[BankPayment]:
        """`GET /payments`, oldest first."""
        with self._mutex:
            self.advance()
            self.calls["list"] += 1
            low, high = start if start is not None else 0.0, end if end is not None else float("inf")
            return [payment for payment in self.payments.values() if low <= payment.created <= high]

    def cancel(self, payment_id: str) -> None:
        """`PUT /payments/{id}/cancel`. Raises Refusal."""
        with self._mutex:
            self.advance()
            self.calls["cancel"] += 1
            payment = self._payment(payment_id)
            payment.cancel_requests += 1
            if "cancel-in-use" in self.behaviours and not payment.final:
                self.plan(self.clock() + _IN_USE_S, partial(self.settle, payment_id))
                raise Refusal(400, "invalid_operation", "The payment is in use")
            if payment.status == "Settled" and {"cancel-refunds", "cancel-refunds-later"} & self.behaviours:
                wait_s = _REFUND_S if "cancel-refunds-later" in self.behaviours else 0.0
                self.plan(self.clock() + wait_s, partial(self._end, payment, "Refunded", "Success"))
                self.advance()
                return
            if "cancel-refused" in self.behaviours or payment.final:
                raise Refusal(400, "invalid_operation", f"The payment is {payment.status} and cannot be cancelled")
            self._end(payment, "Cancelled", "CancelledByUser")

    def refund(self) -> None:
        """`POST /refunds`: counted, so that a test can prove that it never is."""
        with self._mutex:
            self.calls["refund"] += 1

    def add_sticker(self, *, cashlink: bool = True, description: str = "") -> BankSticker:
        """`POST /stickers`."""
        with self._mutex:
            self._serial += 1
            text = f"https://qr.nspk.ru/{self._qrc_id('S')}?type=01&bank={_BANK_ID}"
            sticker = BankSticker(f"st-{self._serial:06d}", _with_crc(text), cashlink, description)
            self.stickers[sticker.id] = sticker
            return sticker

    def sticker(self, sticker_id: str) -> BankSticker:
        """`GET /stickers/{id}`. Raises Refusal."""
        with self._mutex:
            if sticker_id not in self.stickers:
                raise Refusal(404, "not_found", "There is no such sticker")
            return self.stickers[sticker_id]

    def _payment(self, payment_id: str) -> BankPayment:
        if payment_id not in self.payments:
            raise Refusal(404, "not_found", "There is no such payment")
        return self.payments[payment_id]

    # --- the customer's calls --------------------------------------------------------------------------------------

    def by_link(self, link: str) -> BankPayment | None:
        """The payment that a phone sees at `link`: the newest that is not final, else the newest; None for none."""
        with self._mutex:
            self.advance()
            found = [payment for payment in self.payments.values() if _leads_to(link, payment)]
            waiting = [payment for payment in found if not payment.final]
            for payment in (waiting or found)[-1:]:
                sticker = self.stickers.get(payment.sticker_id or "")
                return payment if sticker is None or sticker.armed_by == payment.id or payment.final else None
            return None

    def settle(self, payment_id: str) -> bool:
        """The customer pays; returns whether it could still be paid."""
        return self._customer_ends(payment_id, "Settled", "Success")

    def decline(self, payment_id: str) -> bool:
        """The customer declines; returns whether there was something to decline."""
        return self._customer_ends(payment_id, "Rejected", "CancelledByUser")

    def reject_and_settle(self, payment_id: str, after_s: float) -> None:
        """A try is declined, which PayMaster reports as the end; another one is paid `after_s` later."""
        with self._mutex:
            if self.decline(payment_id):
                self.plan(self.clock() + after_s, partial(self.force_settle, payment_id))

    def force_settle(self, payment_id: str) -> None:
        """Money arrives whatever the payment's state was: the race that every acquirer knows."""
        with self._mutex:
            self._end(self._payment(payment_id), "Settled", "Success")

    def _customer_ends(self, payment_id: str, status: str, result_code: str) -> bool:
        with self._mutex:
            self.advance()
            payment = self._payment(payment_id)
            if payment.final:
                return False
            self._end(payment, status, result_code)
            return True

    # --- links -----------------------------------------------------------------------------------------------------

    def _dynamic_link(self, kopecks: int) -> str:
        kind = "U" if "unknown-code" in self.behaviours else "D"
        return _with_crc(f"https://qr.nspk.ru/{self._qrc_id(kind)}?type=02&bank={_BANK_ID}&sum={kopecks}&cur=RUB")

    def _qrc_id(self, kind: str) -> str:
        """32 characters that look like the real ones and never repeat."""
        value = self._serial * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 150)
        digits = ""
        for _ in range(30):
            value, digit = divmod(value, len(_ALPHABET))
            digits += _ALPHABET[digit]
        return f"A{kind}{digits}"


def _with_crc(text: str) -> str:
    return f"{text}&crc={binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


def _rewritten(payload: str, kopecks: int) -> str:
    """The same plate, as another part of the bank would write its link."""
    place, _, query = payload.rpartition("&crc=")[0].partition("?")
    text, _, crc = _with_crc(f"{place}?cur=RUB&sum={kopecks}&{'&'.join(reversed(query.split('&')))}").rpartition("=")
    return f"{text}={crc.lower()}"


def _leads_to(link: str, payment: BankPayment) -> bool:
    return payment.link == link or (payment.sticker_id is not None and same_code(payment.link, link))


def _kopecks(value: Any) -> int | None:
    try:
        kopecks = Decimal(str(value)) * 100
    except InvalidOperation:
        return None
    return int(kopecks) if kopecks.is_finite() and kopecks == kopecks.to_integral_value() else None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
