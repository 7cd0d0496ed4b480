"""PayMaster's answers as the machine's events: the one place where the bank's words get the mission's numbers.

Every call here gives an event and never raises: what went wrong is data for the machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sco_payment.attempt import (
    PAID_NUMBER,
    Cancel,
    CancelAnswered,
    Created,
    CreateFailed,
    PaymentNotListed,
    PaymentStatusReceived,
    Plan,
    StatusUnavailable,
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
_ATTEMPT = "attempt"
_CLOCKS_APART = timedelta(minutes=10)
_FAR_APART = timedelta(days=2)
_LOST_S = 40 * 3600.0


class Acquirer(Protocol):
    """What the lane needs of `paymaster.client.PayMaster`."""

    last_clock_skew_s: float | None

    def create_payment(self, new: NewPayment, idempotency_key: str) -> Payment: ...
    def get_payment(self, payment_id: str) -> Payment: ...
    def cancel_payment(self, payment_id: str) -> None: ...
    def list_payments(self, start: datetime, end: datetime, *, order_no: str | None = None) -> list[Payment]: ...


class Bank:
    """Asks the acquirer on behalf of attempts.

    Args:
        client: the acquirer's client.
        now: lane time, ms since the epoch.
        states: words over `ORDER_STATES`.
        describe: the payment's description for a plan, as the customer reads it in the bank's app.
        callback_url: for notifications; None for none.
        pos_id: the lane's id, sent as a parameter of the invoice.
        wall: the wall clock, in s, of a moment of lane time; None where lane time is the wall clock.
        clock_was_set_by: how far the wall clock was put forward, in s, since lane time began.
        test_mode: whether test payments were asked for; where not, one that the bank makes all the same is no money.
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
        wall: Callable[[int], float] | None = None,
        clock_was_set_by: Callable[[], float] = lambda: 0.0,
        test_mode: bool = False,
    ) -> None:
        self._client = client
        self._now = now
        self._states = {**ORDER_STATES, **states}
        self._describe = describe
        self._callback_url = callback_url
        self._pos_id = pos_id
        self._wall = wall
        self._clock_was_set_by = clock_was_set_by
        self._test_mode = test_mode
        self._expires: tuple[str, datetime] | None = None  # of the attempt that is being created

    def number_of(self, word: str) -> int:
        """The order state of PayMaster's word; unknown words are not final, and are logged loudly."""
        number = self._states.get(word)
        if number is None:
            log.error("PayMaster sent the unknown status %r; it is taken as not final: set paymaster.states", word)
            return NOT_FINAL
        return number

    def _is_play_money(self, payment: Payment) -> bool:
        """Whether it is a test payment on a lane that takes real money: its link is shown to nobody."""
        return payment.test_mode and not self._test_mode

    def _number(self, payment: Payment) -> int:
        number = self.number_of(payment.status)
        if not self._is_play_money(payment):
            return number
        log.critical("PayMaster made the test payment %s: switch the account's test mode off", payment.id)
        return NOT_FINAL if number == PAID_NUMBER else number

    def create(self, plan: Plan, seq: int, foreign: Iterable[str] = ()) -> Created | CreateFailed:
        """POST the payment; the same plan gives the same body and key. `foreign` are the ids of other attempts."""
        new = NewPayment(
            order_no=plan.order_no,
            description=self._describe(plan),
            amount_kopecks=plan.kopecks,
            expires=self._expires_on_the_wire(plan),
            sticker_id=plan.sticker_id,
            callback_url=self._callback_url,
            params={"posId": self._pos_id, _ATTEMPT: plan.key},
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
        if payment.id in set(foreign) or not _is_of(payment, plan):
            text = f"the bank answered about another payment: {payment.id} of order {payment.order_no}"
            return CreateFailed(self._now(), seq, text, may_exist=True, final=False)
        return Created(
            self._now(),
            seq,
            payment.id,
            self._number(payment),
            payment.amount_kopecks,
            payment.currency,
            None if self._is_play_money(payment) else payment.link,
        )

    def _expires_on_the_wire(self, plan: Plan) -> datetime:
        """By the wall clock as it is now: a lane that starts before its clock is set would else send what is long past
        to the end of its days. Told once an attempt, since each try must have the same body."""
        if self._expires is None or self._expires[0] != plan.key:
            self._expires = plan.key, _utc(plan.expires_at_ms) + timedelta(seconds=round(self._clock_was_set_by()))
        return self._expires[1]

    def poll(self, payment_id: str, seq: int) -> PaymentStatusReceived | StatusUnavailable:
        """GET the payment."""
        try:
            payment = self._client.get_payment(payment_id)
        except BankError as error:
            return self._silent(error, seq)
        if payment.id != payment_id:
            return StatusUnavailable(self._now(), seq, f"asked for {payment_id}, the bank answered about {payment.id}")
        return self._word(payment, seq)

    def find(
        self, plan: Plan, seq: int, foreign: Iterable[str]
    ) -> PaymentStatusReceived | StatusUnavailable | PaymentNotListed:
        """Look for the plan's payment by time, order number and attempt; `foreign` are the ids of other attempts.

        Another lane of the merchant may sell under the same number at the same time: where the bank tells the attempt
        again, nothing else counts; elsewhere the sum does, which proves nothing, and the word says so. The bank keeps
        its times by its own clock: the last question, whose answer may close the attempt, is asked for days around,
        and where the clocks are further apart nothing found is no word.
        """
        now = self._now()
        ahead = self._bank_is_ahead_s(now)
        apart = _FAR_APART if now >= plan.expires_at_ms + plan.timing.grace_ms else _CLOCKS_APART
        shift = timedelta(seconds=round(ahead))
        begun, until = _utc(plan.begun_at_ms), _utc(now)
        try:
            listed = self._client.list_payments(
                min(begun, begun + shift) - apart, max(until, until + shift) + apart, order_no=plan.order_no
            )
        except BankError as error:
            return self._silent(error, seq)
        known = set(foreign)
        ours = [p for p in listed if p.order_no == plan.order_no and p.id not in known and _is_of(p, plan)]
        named = [p for p in ours if _ATTEMPT in p.params]
        # A till whose software names no attempt, and a bank that does not tell it again: then the sum must be ours.
        ours = named or [p for p in ours if (p.amount_kopecks, p.currency) == (plan.kopecks, plan.currency)]
        if not ours and (abs(ahead) > _LOST_S or plan.begun_at_ms > now):
            text = f"no payment of this order is listed, and the lane's clock is wrong (the bank's is {ahead:+.0f} s)"
            return StatusUnavailable(self._now(), seq, text)
        if not ours:
            return PaymentNotListed(self._now(), seq)
        if len(ours) > 1:
            ids = ", ".join(payment.id for payment in ours)
            return StatusUnavailable(
                self._now(), seq, f"the bank lists several payments of order {plan.order_no}: {ids}"
            )
        return self._word(ours[0], seq, proved=bool(named))

    def _bank_is_ahead_s(self, now: int) -> float:
        """The bank's clock minus lane time, in s; 0 while the bank has not told its time."""
        skew = self._client.last_clock_skew_s
        if skew is None:
            return 0.0
        return skew + (0.0 if self._wall is None else self._wall(now) - now / 1000)

    def cancel(self, payment_id: str, seq: int) -> CancelAnswered:
        """PUT the cancellation; anything but a plain yes or no is UNANSWERED."""
        try:
            self._client.cancel_payment(payment_id)
        except (BankRefused, BadRequest, NotAuthorised) as error:
            return CancelAnswered(self._now(), seq, Cancel.REFUSED, str(error))
        except BankError as error:
            return CancelAnswered(self._now(), seq, Cancel.UNANSWERED, str(error))
        return CancelAnswered(self._now(), seq, Cancel.ACCEPTED)

    def _word(self, payment: Payment, seq: int, *, proved: bool = True) -> PaymentStatusReceived:
        return PaymentStatusReceived(
            self._now(),
            seq,
            payment.id,
            self._number(payment),
            ("test payment: " if self._is_play_money(payment) else "")
            + payment.status
            + (f"/{payment.result_code}" if payment.result_code else ""),
            payment.amount_kopecks,
            payment.currency,
            proved,
        )

    def _silent(self, error: BankError, seq: int) -> StatusUnavailable:
        wait = _wait_ms(error) if isinstance(error, TooManyRequests) else 0
        return StatusUnavailable(self._now(), seq, f"{type(error).__name__}: {error}", wait)


def _is_of(payment: Payment, plan: Plan) -> bool:
    """Whether the payment can be the attempt's, by what the bank tells again of what it was given."""
    attempt = payment.params.get(_ATTEMPT)
    if attempt is not None:
        return attempt == plan.key
    return payment.order_no in (None, plan.order_no)


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1000, UTC)


def _wait_ms(error: TooManyRequests) -> int:
    return round((error.wait_s or 0.0) * 1000)
