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
    CLOSED = "closed"  # final: not paid, and can never be paid
    UNKNOWN = "unknown"  # a status that the adapter does not know or cannot rely on: never final


class Phase(Enum):
    """Where an attempt stands."""

    CREATING = "creating"  # the bank is asked for a payment
    FINDING = "finding"  # a create may have happened: the order is looked for at the bank
    PRESENTING = "presenting"  # the link is being put before the customer
    WAITING = "waiting"  # the customer may pay; the bank is polled
    ASKING = "asking"  # the bank is silent: the customer chooses between Повторить and Отменить
    CANCELLING = "cancelling"  # the one cancellation is on its way
    CONFIRMING = "confirming"  # cancelled, refused, unanswered or expired: the bank's last word is awaited
    WATCHING = "watching"  # the customer has an outcome; the bank is still watched, to the invoice's end plus grace
    PAID = "paid"  # final: the bank has the full sum
    UNPAID = "unpaid"  # final: the bank has closed it unpaid, or it never came to be
    PAID_LATE = "paid_late"  # final: money came after the outcome was given; a case is open
    UNSETTLED = "unsettled"  # final: the bank never gave its word, or contradicts itself; a case is open


FINAL = frozenset({Phase.PAID, Phase.UNPAID, Phase.PAID_LATE, Phase.UNSETTLED})
FOREGROUND = frozenset(set(Phase) - FINAL - {Phase.WATCHING})


class Outcome(Enum):
    """What the lane is told, once an attempt."""

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
    """Why the attempt is being ended."""

    NONE = "none"
    CUSTOMER = "customer"
    EXPIRED = "expired"
    NOT_PRESENTED = "not_presented"
    LINK_REFUSED = "link_refused"
    NOT_CREATED = "not_created"
    DECLINED = "declined"
    RESTART = "restart"


class Cancel(Enum):
    """What has become of the one cancellation."""

    NOT_ASKED = "not_asked"
    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


class CaseReason(Enum):
    """Why a person must decide."""

    CANCEL_REFUSED = "cancel_refused"
    CANCEL_UNANSWERED = "cancel_unanswered"
    EXPIRED_UNCONFIRMED = "expired_unconfirmed"
    CREATE_UNKNOWN = "create_unknown"
    AMOUNT_MISMATCH = "amount_mismatch"
    CANCEL_PAY_RACE = "cancel_pay_race"
    LATE_MONEY = "late_money"
    PAID_AFTER_RESTART = "paid_after_restart"
    GOODS_UNCERTAIN = "goods_uncertain"
    PAID_UNSHOWN = "paid_unshown"


class View(Enum):
    """What stands before the customer."""

    WAIT = "wait"
    PAY = "pay"
    DIALOG = "dialog"
    PAID = "paid"
    UNPAID = "unpaid"
    ATTENDANT = "attendant"


# --- what an attempt is -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timing:
    """The schedule, in ms. Retries are data of the core, never hidden in a library."""

    poll_ms: int = 3_000
    poll_timeout_ms: int = 90_000
    create_window_ms: int = 20_000
    create_retry_ms: int = 2_000
    present_ms: int = 40_000
    confirm_ms: int = 15_000
    watch_ms: int = 30_000
    grace_ms: int = 600_000
    dialog_again: bool = False
    poll_in_dialog: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What never changes about an attempt.

    `plate_link` is set when a static plate or tag is armed by `sticker_id`. The order's total is `kopecks`, this leg,
    plus `tendered_elsewhere`, the legs before it: they add up by construction.
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
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class State:
    """Where an attempt stands, with all that the next step needs."""

    plan: Plan
    phase: Phase = Phase.CREATING
    payment_id: str | None = None
    link: str | None = None
    reason: EndReason = EndReason.NONE
    cancel: Cancel = Cancel.NOT_ASKED
    outcome: Outcome | None = None
    case: CaseReason | None = None
    delivered: bool = False
    may_exist: bool = False  # a create may have reached the bank
    presented: bool = False  # the customer may have seen the link
    asked: bool = False  # the dialog has been shown
    # clockwork: lost in a crash without harm
    seq: int = 0  # number of the latest request; answers to others are stale
    busy: bool = False  # that request is under way
    next_at_ms: int = 0  # when the next request is due: the pace runs from question to question
    until_ms: int = 0  # when the phase ends by itself
    last_status_at_ms: int = 0  # when the bank last said how the payment stands
