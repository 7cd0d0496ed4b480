"""PayMaster as an acquirer: its answers become the machine's events, and its status words the core's `PaymentStatus`.

The requirement counts the states of an order from 1 to 6, of which 5 (paid) and 6 (closed unpaid) are final. `STATES`
maps PayMaster's words to these numbers; it is inferred, and `paymaster.states` in the settings corrects it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from sco_payment import link
from sco_payment.acquirer import CLOCKS_AGREE_S, AcquirerSetup, checked_by
from sco_payment.attempt import (
    Cancel,
    CancelAnswered,
    Created,
    CreateFailed,
    PaymentNotListed,
    PaymentStatus,
    PaymentStatusReceived,
    Plan,
    StatusUnavailable,
)
from sco_payment.customer.texts import LANGUAGES
from sco_payment.money import format_amount
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.creations import Creation, Creations
from sco_payment.paymaster.errors import (
    BadRequest,
    NotAuthorised,
    NotSent,
    PayMasterError,
    RequestRefused,
    TooManyRequests,
)
from sco_payment.paymaster.token import ProxyLogin, Token, TokenError
from sco_payment.paymaster.wire import NewPayment, Payment

if TYPE_CHECKING:
    from sco_payment.settings import Settings

log = logging.getLogger(__name__)

NAME = "paymaster"
TOKEN_VARIABLE = "SCO_PAYMASTER_TOKEN"  # noqa: S105 - the variable's name, not a token
STATES: dict[str, int] = {
    "Confirmation": 3,
    "Pending": 4,
    "Authorized": 4,
    "Settled": 5,
    "Cancelled": 6,
    "Rejected": 6,
}
"""PayMaster's `status` -> the requirement's order state: 1 created, 2 QR issued, 3 presented, 4 in processing, 5 paid,
6 closed unpaid."""
PAID_STATE, CLOSED_STATE = 5, 6
HOSTS = ("paymaster.ru",)
"""Whose links PayMaster may return besides NSPK's: its own pages."""

_ATTEMPT = "attempt"
_REFUNDED = "Refunded"
"""Not documented, and no order state of the requirement: other services of the kind have this word."""
_MAY_BE_REPEATED = (409, 423, 425)
"""HTTP statuses that a gateway may bring about by repeating a request: the first one may have created a payment."""
_TRY_AGAIN = (423, 425)
_SHOWN = 5
_CLOCKS_APART = timedelta(minutes=10)
_FAR_APART = timedelta(days=2)
_WRONG_CLOCK_S = 40 * 3600.0


class PayMasterClient(Protocol):
    """What the adapter needs of `paymaster.client.PayMaster`."""

    clock_ahead_s: float | None

    def ask_for_the_time(self) -> None: ...
    def create_payment(self, new: NewPayment, idempotency_key: str) -> Payment: ...
    def get_payment(self, payment_id: str) -> Payment: ...
    def cancel_payment(self, payment_id: str) -> None: ...
    def list_payments(self, start: datetime, end: datetime, *, order_no: str | None = None) -> list[Payment]: ...
    def close(self) -> None: ...


class PayMasterAcquirer:
    """See `sco_payment.acquirer.Acquirer`.

    Args:
        client: PayMaster's API.
        now: lane time, ms since the epoch.
        states: status word -> order state, over `STATES`.
        describe: the payment's description for a plan, as the customer reads it in the bank's app.
        callback_url: for notifications; None for none.
        pos_id: the lane's id, sent as a parameter of the invoice.
        clock_was_set_by: by how many seconds the wall clock was put forward since lane time began.
        test_mode: whether test payments were asked for. Where they were not, a test payment counts as no money.
        link_hosts: PayMaster's own hosts, whose links may be shown.
    """

    name = NAME

    def __init__(
        self,
        client: PayMasterClient,
        now: Callable[[], int],
        *,
        states: Mapping[str, int],
        describe: Callable[[Plan], str],
        callback_url: str | None,
        pos_id: str,
        clock_was_set_by: Callable[[], float] = lambda: 0.0,
        test_mode: bool = False,
        link_hosts: Collection[str] = HOSTS,
    ) -> None:
        self.link_hosts = link_hosts
        self._client = client
        self._now = now
        self._states = {**STATES, **states}
        self._describe = describe
        self._callback_url = callback_url
        self._pos_id = pos_id
        self._clock_was_set_by = clock_was_set_by
        self._test_mode = test_mode
        self._creations = Creations()

    # --- calls -----------------------------------------------------------------------------------------------

    def create(self, plan: Plan, seq: int, foreign_ids: Collection[str] = ()) -> Created | CreateFailed:
        """POST the payment; the same plan gives the same body and key."""
        try:
            creation = self._creation_of(plan)
            new = NewPayment(
                order_no=plan.order_no,
                description=self._describe(plan),
                amount_kopecks=plan.kopecks,
                expires=creation.expires,
                sticker_id=plan.sticker_id,
                callback_url=self._callback_url,
                params={"posId": self._pos_id, _ATTEMPT: plan.key},
            )
            payment = self._client.create_payment(new, plan.key)
        except (RequestRefused, NotAuthorised, BadRequest) as error:
            # A key that was used before belongs to a payment that exists.
            exists = error.code == "idempotency_key_violation" or error.status in _MAY_BE_REPEATED
            return CreateFailed(self._now(), seq, str(error), exists, final=error.status not in _TRY_AGAIN)
        except PayMasterError as error:
            exists = not isinstance(error, NotSent | TooManyRequests)
            return CreateFailed(self._now(), seq, str(error), exists, final=False, wait_ms=_wait_ms(error))
        except (ValueError, OverflowError) as error:  # it cannot be written as a request: nothing was sent
            return CreateFailed(self._now(), seq, str(error), may_exist=False, final=True)
        if payment.id in foreign_ids or not _is_of(payment, plan):
            text = f"PayMaster answered about another payment: {payment.id} of order {payment.order_no}"
            return CreateFailed(self._now(), seq, text, may_exist=True, final=False)
        if _names_its_attempt(payment):
            creation.payment_id = payment.id
        return Created(
            self._now(),
            seq,
            payment.id,
            self._status_of(payment),
            payment.amount_kopecks,
            payment.currency,
            self._link_of(payment),
        )

    def status(self, payment_id: str, seq: int) -> PaymentStatusReceived | StatusUnavailable:
        """GET the payment."""
        try:
            payment = self._client.get_payment(payment_id)
        except (PayMasterError, ValueError) as error:
            return self._unavailable(error, seq)
        if payment.id != payment_id:
            text = f"asked about payment {payment_id}, PayMaster answered about {payment.id}"
            return StatusUnavailable(self._now(), seq, text)
        return self._received(payment, seq)

    def find(
        self, plan: Plan, seq: int, foreign_ids: Collection[str]
    ) -> PaymentStatusReceived | StatusUnavailable | PaymentNotListed:
        """Look for the plan's payment by time, order number and attempt.

        Another lane of the merchant may sell under the same number at the same time. Where PayMaster returns the
        attempt's key, only the key counts. Where it does not, one payment of the order and amount proves nothing, and
        the event says so. Anything else that may be the attempt's has no status, and leaves no "not listed": several
        of the order, one with another amount, or one of the amount that names neither order nor attempt.

        PayMaster's times are by its own clock, so the search allows for the difference. The last query, whose answer
        may close the attempt, covers two days before and after; where the clocks are further apart than that, an empty
        list means nothing.
        """
        now = self._now()
        ahead = self._client.clock_ahead_s or 0.0
        apart = _FAR_APART if now >= plan.over_at_ms else _CLOCKS_APART
        shift = timedelta(seconds=round(ahead))
        begun, until = _utc(plan.begun_at_ms), _utc(now)  # now: the clock may have been set right since it was begun
        try:
            listed = self._client.list_payments(
                min(begun, begun + shift) - apart, max(until, until + shift) + apart, order_no=plan.order_no
            )
        except (PayMasterError, ValueError) as error:
            return self._unavailable(error, seq)
        possible = [p for p in listed if p.id not in foreign_ids and self._may_be(p, plan)]
        named = [p for p in possible if _ATTEMPT in p.params]
        ours = named or possible
        if len(ours) == 1 and (named or (ours[0].order_no is not None and _is_for(ours[0], plan))):
            return self._received(ours[0], seq, proved=bool(named))
        if ours:
            text = f"PayMaster lists what may be this payment, and does not say which is: {_listed(ours)}"
            return StatusUnavailable(self._now(), seq, text)
        if abs(ahead) > _WRONG_CLOCK_S or plan.begun_at_ms > now:
            text = f"no payment of this order is listed, and the lane's clock is wrong (PayMaster's is {ahead:+.0f} s)"
            return StatusUnavailable(self._now(), seq, text)
        return PaymentNotListed(self._now(), seq)

    def cancel(self, payment_id: str, seq: int) -> CancelAnswered:
        """PUT the cancellation. NOT_ASKED: it never left, or was turned away because of the token or too many requests.
        Anything else but a plain yes or no is UNANSWERED."""
        try:
            self._client.cancel_payment(payment_id)
        except (RequestRefused, BadRequest) as error:
            return CancelAnswered(self._now(), seq, Cancel.REFUSED, str(error))
        except (NotSent, TooManyRequests, NotAuthorised) as error:
            return CancelAnswered(self._now(), seq, Cancel.NOT_ASKED, str(error), _wait_ms(error))
        except (PayMasterError, ValueError) as error:
            return CancelAnswered(self._now(), seq, Cancel.UNANSWERED, str(error), _wait_ms(error))
        return CancelAnswered(self._now(), seq, Cancel.ACCEPTED)

    def close(self) -> None:
        """Release the client's connections."""
        self._client.close()

    # --- what an answer means --------------------------------------------------------------------------------

    def status_of(self, word: str) -> PaymentStatus:
        """What PayMaster's status word means. An unknown word is logged as an error and is never final."""
        status = meaning_of(word, self._states)
        if status is PaymentStatus.UNKNOWN:
            log.error("PayMaster sent the unknown status %r, which counts as not final: set paymaster.states", word)
        return status

    def _is_unwanted_test(self, payment: Payment) -> bool:
        """Whether it is a test payment on a lane that takes real money: no customer sees its link."""
        return payment.test_mode and not self._test_mode

    def _status_of(self, payment: Payment) -> PaymentStatus:
        status = self.status_of(payment.status)
        if not self._is_unwanted_test(payment):
            return status
        log.critical("PayMaster made the test payment %s: switch the account's test mode off", payment.id)
        return PaymentStatus.UNKNOWN if status is PaymentStatus.PAID else status

    def _received(self, payment: Payment, seq: int, *, proved: bool = True) -> PaymentStatusReceived:
        return PaymentStatusReceived(
            self._now(),
            seq,
            payment.id,
            self._status_of(payment),
            ("test payment: " if self._is_unwanted_test(payment) else "")
            + payment.status
            + (f"/{payment.result_code}" if payment.result_code else ""),
            payment.amount_kopecks,
            payment.currency,
            proved,
            self._link_of(payment),
        )

    def _link_of(self, payment: Payment) -> str | None:
        return None if self._is_unwanted_test(payment) else payment.link

    def _unavailable(self, error: Exception, seq: int) -> StatusUnavailable:
        return StatusUnavailable(self._now(), seq, f"{type(error).__name__}: {error}", _wait_ms(error))

    # --- clocks ----------------------------------------------------------------------------------------------

    @property
    def clock_ahead_s(self) -> float | None:
        """How far PayMaster's clock is ahead of lane time, in s; None before its first answer."""
        return self._client.clock_ahead_s

    def _creation_of(self, plan: Plan) -> Creation:
        """The plan's creation, the same for each try: its invoice's end is part of a body that must not change."""
        found = self._creations.get(plan.key)
        if found is not None:
            return found
        expires = self._expires_on_the_wire(plan)
        return self._creations.add(plan.key, Creation(expires, self._client.clock_ahead_s))

    def _expires_on_the_wire(self, plan: Plan) -> datetime:
        """The invoice's end by PayMaster's clock, so that it ends there when it ends here; where PayMaster cannot be
        asked, by the wall clock as it is now."""
        if self._client.clock_ahead_s is None:
            self._client.ask_for_the_time()
        ahead = self._client.clock_ahead_s
        if ahead is None:
            ahead = self._clock_was_set_by()
        elif abs(ahead) < CLOCKS_AGREE_S:
            ahead = 0.0
        return _utc(plan.expires_at_ms) + timedelta(seconds=round(ahead))

    def _may_be(self, payment: Payment, plan: Plan) -> bool:
        """Whether a listed payment can be the attempt's. One that names neither order nor attempt must have its amount;
        where this process has created it, also its time by PayMaster's clock, and no other attempt may have it."""
        if _names_its_attempt(payment):
            return _is_of(payment, plan)
        if not _is_for(payment, plan) or payment.id in self._creations.others(plan.key):
            return False
        creation = self._creations.get(plan.key)
        if creation is None or creation.clock_ahead_s is None or payment.created is None:
            return True
        apart, shift = _CLOCKS_APART, timedelta(seconds=round(creation.clock_ahead_s))
        begun, over = _utc(plan.begun_at_ms) + shift, _utc(plan.over_at_ms) + shift
        return begun - apart <= payment.created <= over + apart


def meaning_of(word: str, states: Mapping[str, int] = STATES) -> PaymentStatus:
    """What PayMaster's status word means by a table of order states; UNKNOWN for a word that is not in it."""
    state = states.get(word)
    if state is None:
        return PaymentStatus.REFUNDED if word == _REFUNDED else PaymentStatus.UNKNOWN
    return {PAID_STATE: PaymentStatus.PAID, CLOSED_STATE: PaymentStatus.CLOSED}.get(state, PaymentStatus.OPEN)


def _is_of(payment: Payment, plan: Plan) -> bool:
    """Whether the payment can be the attempt's, by what PayMaster returns of what it was sent."""
    attempt = payment.params.get(_ATTEMPT)
    if attempt is not None:
        return attempt == plan.key
    return payment.order_no in (None, plan.order_no)


def _names_its_attempt(payment: Payment) -> bool:
    return payment.order_no is not None or _ATTEMPT in payment.params


def _is_for(payment: Payment, plan: Plan) -> bool:
    return (payment.amount_kopecks, payment.currency) == (plan.kopecks, plan.currency)


def _listed(payments: list[Payment]) -> str:
    """Payments for an operator to look at, the first ones of many."""
    shown = [
        f"{one.id} ({'no order' if one.order_no is None else f'order {one.order_no}'}, "
        f"{format_amount(one.amount_kopecks, currency=one.currency)}, {one.status})"
        for one in payments[:_SHOWN]
    ]
    return ", ".join(shown) + (f" and {len(payments) - _SHOWN} more" if len(payments) > _SHOWN else "")


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1000, UTC)


def _wait_ms(error: Exception) -> int:
    """How long PayMaster does not want to be asked again."""
    return round((error.wait_s or 0.0) * 1000) if isinstance(error, PayMasterError) else 0


# --- from the settings ----------------------------------------------------------------------------------------------


def open_token(settings: Settings) -> Token:
    """The token, from the file that the settings name, or else from the environment.

    Raises:
        TokenError: it is missing, or others may read the file.
    """
    if settings.paymaster.token_file:
        return Token.from_file(settings.paymaster.token_file)
    return Token.from_environment(TOKEN_VARIABLE)


def open_client(settings: Settings, token: Token | None = None, clock: Callable[[], float] = time.time) -> PayMaster:
    """PayMaster's client as the settings describe it, with `token` or the settings' own, by the lane's clock (s since
    the epoch); sends nothing yet.

    Raises:
        TokenError, ValueError: token, address, CA file or proxy cannot be used.
    """
    paymaster = settings.paymaster
    return PayMaster(
        paymaster.base_url,
        open_token(settings) if token is None else token,
        paymaster.merchant_id,
        connect_timeout_s=paymaster.connect_timeout_s,
        read_timeout_s=paymaster.read_timeout_s,
        clock=clock,
        test_mode=paymaster.test_mode,
        ca_file=paymaster.ca_file or None,
        proxy=paymaster.proxy or None,
        proxy_login=ProxyLogin.from_file(paymaster.proxy_login_file) if paymaster.proxy_login_file else None,
    )


def check(settings: Settings, environment: Mapping[str, str], credential: bool) -> list[str]:
    """What is wrong with status words, token and login; the rest of [paymaster] is checked with the other sections."""
    problems = _check_states(settings.paymaster.states) + _check_plate_host(settings)
    return problems + _check_token(settings, environment) + _check_login(settings) if credential else problems


def _check_states(states: Mapping[str, int]) -> list[str]:
    """A word that PayMaster documents keeps its meaning for money: 5 hands out goods, 6 lets the customer pay again."""
    means = {PAID_STATE: "paid", CLOSED_STATE: "closed unpaid"}
    known = {word.casefold(): (word, state) for word, state in STATES.items()}
    known[_REFUNDED.casefold()] = _REFUNDED, 0
    problems = []
    for written, state in states.items():
        word, own = known.get(written.strip().casefold(), (written, state))
        if state != own and state in means:
            advice = f"it is {means.get(own, 'not final')}: write {own}, or remove the line"
            problems.append(
                f"paymaster.states.{written} = {state}: PayMaster's status {word} never means {means[state]}; "
                + (advice if own else "the money was returned: remove the line")
            )
    return problems


def _hosts(settings: Settings) -> tuple[str, ...]:
    """PayMaster's own hosts: where it is reached under another name, links to that are its own too."""
    host = urlsplit(settings.paymaster.base_url).hostname or ""
    return (*HOSTS, host) if link.is_host(host) and host not in HOSTS else HOSTS


def _check_plate_host(settings: Settings) -> list[str]:
    plate = settings.display.plate_link
    if link.judge(plate).verdict is link.Verdict.REFUSED:
        return []  # missing, or reported with the other sections
    judgement = link.judge(plate, hosts=(*_hosts(settings), *settings.display.link_hosts))
    return [f"display.plate_link: {judgement.reason}"] if judgement.verdict is link.Verdict.REFUSED else []


def _check_token(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    file, text = settings.paymaster.token_file, environment.get(TOKEN_VARIABLE)
    try:
        if file:
            Token.from_file(file)
        elif text:
            Token(text)
        else:
            return [f"the token is missing: set {TOKEN_VARIABLE}, or paymaster.token_file to a file of mode 0600"]
    except TokenError as error:
        return [f"{'paymaster.token_file' if file else TOKEN_VARIABLE}: {error}"]
    return []


def _check_login(settings: Settings) -> list[str]:
    try:
        if settings.paymaster.proxy_login_file:
            ProxyLogin.from_file(settings.paymaster.proxy_login_file)
    except TokenError as error:
        return [f"paymaster.proxy_login_file: {error}"]
    return []


@checked_by(check)
def open_acquirer(setup: AcquirerSetup) -> PayMasterAcquirer:
    """PayMaster as the settings describe it; `setup.token` is a `Token`. Sends nothing yet.

    Raises:
        TokenError, ValueError: see `open_client`.
    """
    settings, clock, token = setup.settings, setup.clock, setup.token
    if token is not None and not isinstance(token, Token):
        raise ValueError(f"PayMaster's token must be a Token, not {type(token).__name__}")
    shop, texts = settings.lane.shop, LANGUAGES[settings.lane.language]
    return PayMasterAcquirer(
        open_client(settings, token, lambda: clock.now() / 1000),
        clock.now,
        states=settings.paymaster.states,
        describe=lambda plan: texts.description.format(
            shop=shop, number=plan.order_no, amount=format_amount(plan.kopecks)
        ),
        callback_url=settings.paymaster.callback_url or None,
        pos_id=settings.lane.pos_id,
        clock_was_set_by=clock.clock_was_set_by,
        test_mode=settings.paymaster.test_mode,
        link_hosts=_hosts(settings),
    )
