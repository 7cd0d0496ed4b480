"""What happens to an attempt (events), and what must then be done (effects). Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from sco_payment.attempt.states import Cancel, CaseReason, EndReason, Outcome, PaymentStatus, View


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has come for what `due` named."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Created:
    """The bank answered a create with a payment."""

    at_ms: int
    seq: int
    payment_id: str
    status: PaymentStatus
    kopecks: int
    currency: str
    link: str | None


@dataclass(frozen=True, slots=True)
class CreateFailed:
    """A create gave no payment. `may_exist`: it may have happened all the same. `final`: asking again cannot help."""

    at_ms: int
    seq: int
    detail: str
    may_exist: bool
    final: bool
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class PaymentStatusReceived:
    """The acquirer reports the status of a payment; `acquirer_status` is its own word for it, for logs and timelines.

    `proved`: the acquirer names the attempt, by its id or its key. Otherwise only order number and amount agree, and
    the payment may be another till's.
    """

    at_ms: int
    seq: int
    payment_id: str
    status: PaymentStatus
    acquirer_status: str
    kopecks: int
    currency: str
    proved: bool = True


@dataclass(frozen=True, slots=True)
class StatusUnavailable:
    """No word on the payment: no network, an error, "too many requests", "not found"."""

    at_ms: int
    seq: int
    detail: str
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class PaymentNotListed:
    """The bank answered and lists no payment of the order."""

    at_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """The fate of the cancellation: ACCEPTED, REFUSED or UNANSWERED."""

    at_ms: int
    seq: int
    result: Cancel
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Presented:
    """The link is before the customer, or may be: `evidence` says how that is known."""

    at_ms: int
    evidence: str


@dataclass(frozen=True, slots=True)
class PresentFailed:
    """It is certain that no customer can see the link."""

    at_ms: int
    detail: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The customer chose Повторить."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class CancelWanted:
    """The customer chose Отменить, or the attendant interrupts."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The lane has started again and found this attempt in the journal."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """The lane's own software has taken the outcome."""

    at_ms: int


Event = (
    Tick
    | Created
    | CreateFailed
    | PaymentStatusReceived
    | StatusUnavailable
    | PaymentNotListed
    | CancelAnswered
    | Presented
    | PresentFailed
    | Retry
    | CancelWanted
    | Recovered
    | Delivered
)
ANSWERS = (Created, CreateFailed, PaymentStatusReceived, StatusUnavailable, PaymentNotListed, CancelAnswered)
Message = tuple[str, Event]
"""An event and the key of the attempt that it happened to."""


# --- effects ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendCreate:
    """POST the payment with the plan's key and `expires`."""

    seq: int


@dataclass(frozen=True, slots=True)
class SendPoll:
    """GET the payment."""

    seq: int
    payment_id: str


@dataclass(frozen=True, slots=True)
class SendFind:
    """List payments since the attempt began and pick the one of this order and key."""

    seq: int


@dataclass(frozen=True, slots=True)
class SendCancel:
    """PUT the cancellation. Once an attempt."""

    seq: int
    payment_id: str


@dataclass(frozen=True, slots=True)
class Present:
    """Put the link before the customer by the plan's mode."""

    link: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the link away: clear a dynamic tag, no code on the screen."""


@dataclass(frozen=True, slots=True)
class Show:
    """Change what stands on the lane's screen."""

    view: View


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A person must decide. At most one open case an attempt: a second reason is added to the first."""

    reason: CaseReason
    detail: str


@dataclass(frozen=True, slots=True)
class NoteCase:
    """Something new that the reader of the case must know. `reopens`: also where a person has closed it before."""

    detail: str
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the lane. Once an attempt."""

    outcome: Outcome
    reason: EndReason


Effect = SendCreate | SendPoll | SendFind | SendCancel | Present | Withdraw | Show | OpenCase | NoteCase | Finish
