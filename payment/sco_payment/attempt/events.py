"""Events happen to an attempt; effects must be performed after them. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from sco_payment.attempt.states import Cancel, CaseReason, EndReason, Outcome, PaymentStatus, View


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that `due` named has come."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Created:
    """The acquirer answered a create with a payment."""

    at_ms: int
    seq: int
    payment_id: str
    status: PaymentStatus
    kopecks: int
    currency: str
    link: str | None


@dataclass(frozen=True, slots=True)
class CreateFailed:
    """A create returned no payment.

    `may_exist`: the acquirer may have one all the same. `final`: trying again cannot help. `wait_ms`: how long the
    acquirer wants no further request.
    """

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
    the payment may be another till's. `link`: what the customer pays by, where the acquirer reports it.
    """

    at_ms: int
    seq: int
    payment_id: str
    status: PaymentStatus
    acquirer_status: str
    kopecks: int
    currency: str
    proved: bool = True
    link: str | None = None


@dataclass(frozen=True, slots=True)
class StatusUnavailable:
    """No status: no network, an error, "too many requests", "not found". `wait_ms` as in `CreateFailed`."""

    at_ms: int
    seq: int
    detail: str
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class PaymentNotListed:
    """The acquirer answered, and lists no payment of the order."""

    at_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """What came of the cancellation: ACCEPTED, REFUSED, UNANSWERED; or NOT_ASKED, where it certainly never reached the
    acquirer or was certainly not looked at, so that it can still be sent. `wait_ms` as in `CreateFailed`."""

    at_ms: int
    seq: int
    result: Cancel
    detail: str = ""
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Presented:
    """The customer can see the link, or may see it; `evidence` says how that is known."""

    at_ms: int
    evidence: str


@dataclass(frozen=True, slots=True)
class PresentFailed:
    """Certainly no customer can see the link."""

    at_ms: int
    detail: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The customer chose Повторить."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class CancelWanted:
    """The customer chose Отменить, or the attendant cancels."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The lane has restarted and found this attempt in the journal.

    `not_accepted`: it has not, but its software did not accept the outcome, or gave it back after it had taken it.
    """

    at_ms: int
    not_accepted: bool = False


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
    """Create the payment with the plan's key and end."""

    seq: int


@dataclass(frozen=True, slots=True)
class SendPoll:
    """Ask for the payment's status."""

    seq: int
    payment_id: str


@dataclass(frozen=True, slots=True)
class SendFind:
    """Look for the attempt's payment, whose id is not known."""

    seq: int


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Send the cancellation. Once for each attempt."""

    seq: int
    payment_id: str


@dataclass(frozen=True, slots=True)
class Present:
    """Show the link to the customer by the plan's mode."""

    link: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Remove the link: clear a dynamic tag, show no code on the screen."""


@dataclass(frozen=True, slots=True)
class Show:
    """Change what the lane's screen shows."""

    view: View


@dataclass(frozen=True, slots=True)
class OpenCase:
    """An operator must decide. An attempt has at most one case: a second reason is added to it by `NoteCase`."""

    reason: CaseReason
    detail: str


@dataclass(frozen=True, slots=True)
class NoteCase:
    """Something new that the reader of the case must know. `reopens`: also where an operator has closed it."""

    detail: str
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Report the outcome to the lane. Once for each attempt."""

    outcome: Outcome
    reason: EndReason


Effect = SendCreate | SendPoll | SendFind | SendCancel | Present | Withdraw | Show | OpenCase | NoteCase | Finish
