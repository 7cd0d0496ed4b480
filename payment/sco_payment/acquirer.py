"""PayMaster's answers as the machine's events: the one place where the bank's words get the mission's numbers.

Every call here gives an event and never raises: what went wrong is data for the machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sco_payment.machine import (
    BankSilent,
    BankWord,
    Cancel,
    CancelAnswered,
    Created,
    CreateFailed,
    FoundNothing,
    Plan,
)
from sco_payment.paymaster.errors import BadRequest, BankError, BankRefused, NotAuthorised, NotSent, TooManyRequests
from sco_payment.paymaster.wire import NewPayment, Payment

log = logging.getLogger(__name__)

ORDER_STATES: dict[str, int] = {
    "Confirmation": 3,
    "Pending": 4,
    "Authorized": 4,
    "Settled": 5,
    "Cancelled": 6,
    "Rejected": 6,
}
"""PayMaster's `status` -> the mission's order state, whose final values are 5 (paid) and 6 (closed unpaid). Inferred;
`paymaster.states` in the settings corrects it."""

NOT_FINAL = 4
_CLOCKS_APART = timedelta(minutes=10)


class Acquirer(Protocol):
    """What the lane needs of `paymaster.client.PayMaster`."""

    def create_payment(self, new: NewPayment, idempotency_key: str) -> Payment: ...
    def get_payment(self, payment_id: str) -> Payment: ...
    def cancel_payment(self, payment_id: str) -> None: ...
    def list_payments(self, start: datetime, end: datetime) -> list[Payment]: ...


class Bank:
    """Asks the acquirer on behalf of attempts.

    Args:
        client: the acquirer's client.
        now: lane time, ms since the epoch.
        states: words over `ORDER_STATES`.
        describe: the payment's description for a plan, as the customer reads it in the bank's app.
        callback_url: for notifications; None for none.
        pos_id: the lane's id, sent as a parameter of the invoice.
    """

    def __init__(
        self,
        client: Acquirer,
        now: Callable[[], int],
        *,
        states: Mapping[str, int],
        describe: Callable[[Plan], str],
        callback_url: str | None,
        pos_id: str,
    ) -> None:
        self._client = client
        self._now = now
        self._states = {**ORDER_STATES, **states}
        self._describe = describe
        self._callback_url = callback_url
        self._pos_id = pos_id

    def number_of(self, word: str) -> int:
        """The order state of PayMaster's word; unknown words are not final, and are logged loudly."""
        number = self._states.get(word)
        if number is None:
            log.error("PayMaster sent the unknown status %r; it is taken as not final: set paymaster.states", word)
            return NOT_FINAL
        return number

    def create(self, plan: Plan, seq: int) -> Created | CreateFailed:
        """POST the payment; the same plan gives the same body and key."""
        new = NewPayment(
            order_no=plan.order_no,
            description=self._describe(plan),
            amount_kopecks=plan.kopecks,
            expires=_utc(plan.expires_at),
            sticker_id=plan.sticker_id,
            callback_url=self._callback_url,
            params={"posId": self._pos_id, "attempt": plan.key},
        )
        try:
            payment = self._client.create_payment(new, plan.key)
        except (BankRefused, NotAuthorised, BadRequest) as error:
            # A key that was used with another body belongs to a payment that exists.
            exists = getattr(error, "code", "") == "idempotency_key_violation"
            return CreateFailed(self._now(), seq, str(error), may_exist=exists, final=True)
        except TooManyRequests as error:
            return CreateFailed(self._now(), seq, str(error), may_exist=False, final=False, wait_ms=_wait_ms(error))
        except NotSent as error:
            return CreateFailed(self._now(), seq, str(error), may_exist=False, final=False)
        except BankError as error:
            return CreateFailed(self._now(), seq, str(error), may_exist=True, final=False)
        return Created(
            self._now(),
            seq,
            payment.id,
            self.number_of(payment.status),
            payment.amount_kopecks,
            payment.currency,
            payment.link,
        )

    def poll(self, payment_id: str, seq: int) -> BankWord | BankSilent:
        """GET the payment."""
        try:
            payment = self._client.get_payment(payment_id)
        except BankError as error:
            return self._silent(error, seq)
        if payment.id != payment_id:
            return BankSilent(self._now(), seq, f"asked for {payment_id}, the bank answered about {payment.id}")
        return self._word(payment, seq)

    def find(self, plan: Plan, seq: int, foreign: Iterable[str]) -> BankWord | BankSilent | FoundNothing:
        """Look for the plan's payment by time, order number and sum; `foreign` are the ids of other attempts."""
        start = _utc(plan.begun_at) - _CLOCKS_APART
        try:
            listed = self._client.list_payments(start, _utc(self._now()) + _CLOCKS_APART)
        except BankError as error:
            return self._silent(error, seq)
        known = set(foreign)
        ours = [p for p in listed if p.order_no == plan.order_no and p.id not in known]
        if not ours:
            return FoundNothing(self._now(), seq)
        if len(ours) > 1:
            ids = ", ".join(payment.id for payment in ours)
            return BankSilent(self._now(), seq, f"the bank lists several payments of order {plan.order_no}: {ids}")
        return self._word(ours[0], seq)

    def cancel(self, payment_id: str, seq: int) -> CancelAnswered:
        """PUT the cancellation; anything but a plain yes or no is UNANSWERED."""
        try:
            self._client.cancel_payment(payment_id)
        except (BankRefused, BadRequest, NotAuthorised) as error:
            return CancelAnswered(self._now(), seq, Cancel.REFUSED, str(error))
        except BankError as error:
            return CancelAnswered(self._now(), seq, Cancel.UNANSWERED, str(error))
        return CancelAnswered(self._now(), seq, Cancel.ACCEPTED)

    def _word(self, payment: Payment, seq: int) -> BankWord:
        return BankWord(
            self._now(),
            seq,
            payment.id,
            self.number_of(payment.status),
            payment.status + (f"/{payment.result_code}" if payment.result_code else ""),
            payment.amount_kopecks,
            payment.currency,
        )

    def _silent(self, error: BankError, seq: int) -> BankSilent:
        wait = _wait_ms(error) if isinstance(error, TooManyRequests) else 0
        return BankSilent(self._now(), seq, f"{type(error).__name__}: {error}", wait)


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1000, UTC)


def _wait_ms(error: TooManyRequests) -> int:
    return round((error.wait_s or 0.0) * 1000)
