"""What an attempt is: its plan, its phases, its state. Pure data.

Times are in ms since the epoch on the lane's clock; amounts are in kopecks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PaymentStatus(Enum):
    """A payment's status at the acquirer, in the core's own terms; an adapter maps its own words to these."""

    OPEN = "open"  # not paid yet, and can still be paid
    PAID = "paid"  # final: the acquirer has the money
    REFUNDED = "refunded"  # final: the acquirer took the money and has returned it to the customer
    CLOSED = "closed"  # final: not paid, and can never be paid
    UNKNOWN = "unknown"  # a status that the adapter does not know or cannot rely on: never final


class Phase(Enum):
    """The phase of an attempt."""

    CREATING = "creating"  # the payment is being created at the acquirer
    FINDING = "finding"  # the answer to its creation, or its link, has not come: look for it at the acquirer
    PRESENTING = "presenting"  # the link is being shown to the customer
    WAITING = "waiting"  # the customer can pay; the status is polled
    ASKING = "asking"  # no status for too long: the customer chooses between Повторить and Отменить
    CANCELLING = "cancelling"  # the one cancellation is on its way
    CONFIRMING = "confirming"  # cancelled, refused, unanswered or expired: wait for the final status
    WATCHING = "watching"  # the customer has an outcome, and the acquirer's final status has not come
    CLOSED = "closed"  # the acquirer closed a payment that the customer could see: watched for money all the same
    OVERDUE = "overdue"  # no final status by the invoice's end plus grace: a case is open; asked about for days
    REFUNDABLE = "refundable"  # paid, no goods, and the lane's own cancellation may still refund it: a case is open
    PAID = "paid"  # final: the acquirer has the full amount
    UNPAID = "unpaid"  # final: the acquirer has closed it unpaid, or it was never created
    PAID_LATE = "paid_late"  # final: money came after the outcome was given; a case is open
    UNSETTLED = "unsettled"  # final: still open after days, or the money is not as it should be; a case is open


FINAL = frozenset({Phase.PAID, Phase.UNPAID, Phase.PAID_LATE, Phase.UNSETTLED})
BACKGROUND = frozenset({Phase.WATCHING, Phase.CLOSED, Phase.OVERDUE, Phase.REFUNDABLE})
"""The customer has an outcome; the payment is asked about on."""
FOREGROUND = frozenset(set(Phase) - FINAL - BACKGROUND)


class Outcome(Enum):
    """What the lane reports to its software, once for each attempt."""

    PAID = "paid"
    UNPAID = "unpaid"
    UNKNOWN = "unknown"
    NOT_PRESENTED = "not_presented"


class Mode(Enum):
    """The display mode of the settings."""

    PRINT = 0
    SCREEN = 1
    PLATE = 2


class EndReason(Enum):
    """Why the attempt ends."""

    NONE = "none"
    CUSTOMER = "customer"
    EXPIRED = "expired"
    NOT_PRESENTED = "not_presented"
    LINK_REFUSED = "link_refused"
    NOT_CREATED = "not_created"
    DECLINED = "declined"
    RESTART = "restart"


class Cancel(Enum):
    """The state of the one cancellation."""

    NOT_ASKED = "not_asked"
    ASKED = "asked"  # on its way
    ACCEPTED = "accepted"  # by the acquirer's word; if the customer had paid, it may be a refund
    REFUSED = "refused"  # it changes nothing, now or later
    UNANSWERED = "unanswered"  # what came of it, or will come, only the status can tell


class CaseReason(Enum):
    """Why an operator must decide."""

    CANCEL_REFUSED = "cancel_refused"  # the acquirer refused the cancellation and gave no final status
    CANCEL_UNANSWERED = "cancel_unanswered"  # the cancellation was sent once and never answered
    EXPIRED_UNCONFIRMED = "expired_unconfirmed"  # the invoice is over, or was not cancelled, and no final status came
    CREATE_UNKNOWN = "create_unknown"  # the acquirer may have a payment whose id it never returned
    AMOUNT_MISMATCH = "amount_mismatch"  # the acquirer took another amount
    CANCEL_PAY_RACE = "cancel_pay_race"  # paid, though the cancellation was accepted or may still be: see REFUNDABLE
    LATE_MONEY = "late_money"  # money came after the customer was shown another outcome
    PAID_AFTER_RESTART = "paid_after_restart"  # paid while the lane was down
    GOODS_UNCERTAIN = "goods_uncertain"  # paid; the lane stopped before its software had taken the outcome
    PAID_UNSHOWN = "paid_unshown"  # a payment of the order is paid whose link this lane never showed
    REFUNDED = "refunded"  # the acquirer took the money and has refunded the customer


class View(Enum):
    """What the customer sees."""

    WAIT = "wait"
    PAY = "pay"
    DIALOG = "dialog"
    PAID = "paid"
    UNPAID = "unpaid"
    ATTENDANT = "attendant"


# --- what an attempt is -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timing:
    """The schedule, in ms. Retries are data of the core; no library repeats a request on its own.

    `overdue_ms` is how long a payment without a final status is asked about after the grace period.
    """

    poll_ms: int = 3_000
    poll_timeout_ms: int = 90_000
    create_window_ms: int = 20_000
    create_retry_ms: int = 2_000
    present_ms: int = 40_000
    confirm_ms: int = 15_000
    watch_ms: int = 30_000
    grace_ms: int = 600_000
    overdue_ms: int = 7 * 86_400_000
    dialog_again: bool = False
    poll_in_dialog: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What never changes about an attempt.

    `plate_link` is set when a static plate or tag is armed by `sticker_id`. The order's total is `kopecks`, this leg,
    plus `tendered_elsewhere` and `tendered_by_sbp`, the legs before it, plus `remaining`, those after it: they add up
    by construction. `till_id` is what a till in another process calls the payment. `link_hosts` are the hosts whose
    links may be shown besides NSPK's; None for any, in journals that are older than this limit.
    """

    key: str
    order_no: str
    kopecks: int
    currency: str
    mode: Mode
    begun_at_ms: int
    expires_at_ms: int
    sticker_id: str | None = None
    plate_link: str | None = None
    tendered_elsewhere: int = 0
    tendered_by_sbp: int = 0
    remaining: int = 0
    timing: Timing = Timing()
    till_id: str | None = None
    link_hosts: tuple[str, ...] | None = None

    @property
    def over_at_ms(self) -> int:
        """When nothing about the payment should change any more, and the acquirer's list is complete."""
        return self.expires_at_ms + self.timing.grace_ms

    @property
    def total_kopecks(self) -> int:
        """The order's total."""
        return self.kopecks + self.tendered_elsewhere + self.tendered_by_sbp + self.remaining


@dataclass(frozen=True, slots=True)
class State:
    """The state of an attempt: all that the next step needs."""

    plan: Plan
    phase: Phase = Phase.CREATING
    payment_id: str | None = None
    link: str | None = None
    reason: EndReason = EndReason.NONE
    cancel: Cancel = Cancel.NOT_ASKED
    outcome: Outcome | None = None
    case: CaseReason | None = None
    delivered: bool = False
    may_exist: bool = False  # a create may have reached the acquirer
    presented: bool = False  # the customer may have seen the link
    asked: bool = False  # the dialog has been shown
    # scheduling fields: a crash may lose them without harm
    seq: int = 0  # number of the latest request; answers to others do not count
    earlier_seq: int = 0  # but to this one: a poll that was late when the latest was sent; 0 is none
    busy: bool = False  # that request is under way
    sent_at_ms: int = 0  # when that request was sent; in the background only
    next_at_ms: int = 0  # when the next request is due, counted from the one before
    until_ms: int = 0  # when the phase ends by itself
    put_off_ms: int = 0  # by how much the acquirer's own "wait" has put that off
    resumed_at_ms: int = 0  # when the lane last started again with the attempt; 0 is never
    last_status_at_ms: int = 0  # when the acquirer last reported a status
