"""Neva's answers as the payment core's events.

Neva refunds a paid order when it is voided, and calls that a success. Only a void that closed the order unpaid is an
ACCEPTED cancellation: one that was answered with a refund is not, and the order's status says what came of it. The lane
opens a case: the customer has the money back, and no goods.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from neva_acquirer.client import Answer, Client, NoAnswer, NotSent
from sco_payment.acquirer import (
    AcquirerSetup,
    Cancel,
    CancelAnswered,
    Created,
    CreateFailed,
    PaymentNotListed,
    PaymentStatus,
    PaymentStatusReceived,
    Plan,
    StatusUnavailable,
    checked_by,
)

if TYPE_CHECKING:
    from sco_payment import Settings

log = logging.getLogger(__name__)

STATES: dict[str, PaymentStatus] = {
    "NEW": PaymentStatus.OPEN,
    "SHOWN": PaymentStatus.OPEN,
    "DECLINED": PaymentStatus.OPEN,  # one try of the customer's; the next one may succeed
    "HOLD": PaymentStatus.OPEN,
    "DONE": PaymentStatus.PAID,
    "RETURNING": PaymentStatus.REFUNDED,
    "RETURNED": PaymentStatus.REFUNDED,
    "VOID": PaymentStatus.CLOSED,
    "LAPSED": PaymentStatus.CLOSED,
}
KEY_VARIABLE = "NEVA_API_KEY"
_NO_PLATES = "Neva has no plates: use another display mode"


class NevaAcquirer:
    """See `sco_payment.acquirer.Acquirer`.

    Args:
        client: Neva's API.
        terminal: the lane's terminal at Neva.
        shop: the name that the customer reads.
        now: lane time, in ms since the epoch.
    """

    name = "neva"
    link_hosts = ()  # its links are of nspk.ru
    clock_ahead_s = None  # its times on the wire are durations

    def __init__(self, client: Client, *, terminal: str, shop: str, now: Callable[[], int]) -> None:
        self._client = client
        self._terminal = terminal
        self._shop = shop
        self._now = now

    # --- calls -----------------------------------------------------------------------------------------------

    def create(self, plan: Plan, seq: int, foreign_ids: Collection[str]) -> Created | CreateFailed:
        """Create the order under the attempt's key; where Neva has it already, look it up."""

        def failed(detail: str, *, may_exist: bool, final: bool = False, wait_s: int = 0) -> CreateFailed:
            return CreateFailed(self._now(), seq, detail, may_exist, final, wait_s * 1000)

        if plan.sticker_id is not None:
            return failed(_NO_PLATES, may_exist=False, final=True)
        body = {
            "terminal": self._terminal,
            "reference": plan.key,
            "amount": plan.kopecks,
            "lifetime_s": max(1, (plan.expires_at_ms - self._now()) // 1000),
            "purpose": f"{self._shop}, заказ {plan.order_no}",
        }
        exists = False
        try:
            answer = self._client.call("POST", "/v1/orders", body)
            if answer.status == 409 and answer.error == "DUPLICATE_REFERENCE":
                exists = True  # an earlier try got through: whatever happens now, there is an order
                answer = self._client.call("GET", f"/v1/references/{plan.key}")
        except NotSent as error:
            return failed(str(error), may_exist=exists)
        except NoAnswer as error:
            return failed(str(error), may_exist=True)
        if answer.status == 429:
            return failed("too many requests", may_exist=exists, wait_s=answer.wait_s)
        if answer.status in (400, 401, 403, 422) and answer.error:
            return failed(f"Neva refused the order: {answer.error}", may_exist=exists, final=True)
        order = _order(answer)
        if order is None:
            return failed(f"unusable answer (HTTP {answer.status} {answer.error})", may_exist=True)
        if order["reference"] != plan.key or str(order["order"]) in foreign_ids:
            return failed(f"Neva answered about another order: {order['order']}", may_exist=True)
        link = order.get("qr")
        status, _ = _status_of(order)
        return Created(
            self._now(), seq, str(order["order"]), status, order["amount"], "RUB", link if type(link) is str else None
        )

    def status(self, payment_id: str, seq: int) -> PaymentStatusReceived | StatusUnavailable:
        """Ask for the order with this number."""
        if not _is_number(payment_id):
            return StatusUnavailable(self._now(), seq, f"{payment_id!r} is not a number of Neva's")
        event = self._asked(f"/v1/orders/{payment_id}", seq, lambda order: str(order["order"]) == payment_id)
        assert not isinstance(event, PaymentNotListed)
        return event

    def find(
        self, plan: Plan, seq: int, foreign_ids: Collection[str]
    ) -> PaymentStatusReceived | StatusUnavailable | PaymentNotListed:
        """Ask for the order with the attempt's key. Neva has no list: only its own "unknown reference" says there is
        none."""
        return self._asked(
            f"/v1/references/{plan.key}",
            seq,
            lambda order: order["reference"] == plan.key and str(order["order"]) not in foreign_ids,
            reference=plan.key,
        )

    def _asked(
        self, path: str, seq: int, is_ours: Callable[[Mapping[str, Any]], bool], reference: str | None = None
    ) -> PaymentStatusReceived | StatusUnavailable | PaymentNotListed:
        try:
            answer = self._client.call("GET", path)
        except (NotSent, NoAnswer) as error:
            return StatusUnavailable(self._now(), seq, str(error))
        unknown = answer.status == 404 and answer.error == "UNKNOWN_REFERENCE"
        if reference is not None and unknown and answer.data.get("reference") == reference:
            return PaymentNotListed(self._now(), seq)
        order = _order(answer)
        if order is None:
            detail = f"HTTP {answer.status} {answer.error}".rstrip()
            return StatusUnavailable(self._now(), seq, detail, answer.wait_s * 1000)
        if not is_ours(order):
            return StatusUnavailable(self._now(), seq, f"Neva answered about another order: {order['order']}")
        status, words = _status_of(order)
        link = order.get("qr")
        return PaymentStatusReceived(
            self._now(),
            seq,
            str(order["order"]),
            status,
            words,
            order["amount"],
            "RUB",
            link=link if type(link) is str else None,
        )

    def cancel(self, payment_id: str, seq: int) -> CancelAnswered:
        """Void the order. Only the state in the answer says whether that closed it unpaid or refunded it."""

        def answered(result: Cancel, detail: str = "", wait_s: int = 0) -> CancelAnswered:
            return CancelAnswered(self._now(), seq, result, detail, wait_s * 1000)

        if not _is_number(payment_id):
            return answered(Cancel.UNANSWERED, f"{payment_id!r} is not a number of Neva's; nothing was sent")
        try:
            answer = self._client.call("POST", f"/v1/orders/{payment_id}/void", request_key=f"void-{payment_id}")
        except NotSent as error:
            return answered(Cancel.NOT_ASKED, str(error))
        except NoAnswer as error:
            return answered(Cancel.UNANSWERED, str(error))
        if answer.status == 429:
            return answered(Cancel.NOT_ASKED, "too many requests; the order was not voided", answer.wait_s)
        if answer.status == 409 and answer.error == "CLOSED":
            return answered(Cancel.REFUSED, "Neva has closed the order before")
        order = _order(answer)
        if order is None or str(order["order"]) != payment_id:
            return answered(Cancel.UNANSWERED, f"unusable answer (HTTP {answer.status} {answer.error})")
        match STATES.get(order["state"]):
            case PaymentStatus.CLOSED:
                return answered(Cancel.ACCEPTED)
            case PaymentStatus.REFUNDED:
                return answered(Cancel.UNANSWERED, f"the order was paid; Neva refunds it ({order['state']})")
        return answered(Cancel.UNANSWERED, f"Neva left the order in the state {order['state']}")

    def close(self) -> None:
        """No connection is kept."""


# --- what an answer means --------------------------------------------------------------------------------------------


def _status_of(order: Mapping[str, Any]) -> tuple[PaymentStatus, str]:
    """The core's status, and Neva's word for the log."""
    word = str(order["state"])
    if word not in STATES:
        log.error("Neva sent the unknown state %r, which counts as not final", word)
    return STATES.get(word, PaymentStatus.UNKNOWN), word


def _is_number(payment_id: str) -> bool:
    return payment_id.isascii() and payment_id.isdigit() and len(payment_id) <= 18


def _order(answer: Answer) -> Mapping[str, Any] | None:
    """The order in an answer; None where there is none, or a field that money depends on is not what it should be."""
    data = answer.data
    usable = (
        answer.status in (200, 201)
        and type(data.get("order")) is int
        and type(data.get("amount")) is int
        and data["amount"] > 0
        and type(data.get("reference")) is str
        and type(data.get("state")) is str
        and data.get("currency") == "RUB"
    )
    return data if usable else None


# --- from the settings ----------------------------------------------------------------------------------------------


def _api_key(options: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Raises ValueError where there is none."""
    file = options.get("api_key_file")
    try:
        key = Path(file).read_text("ascii").strip() if isinstance(file, str) else environment.get(KEY_VARIABLE, "")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"acquirer_options.api_key_file: {file} cannot be read") from None
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"there is no API key: set {KEY_VARIABLE}, or acquirer_options.api_key_file")
    return key


def check(settings: Settings, environment: Mapping[str, str], credential: bool) -> list[str]:
    """All that is wrong with [acquirer_options] and the key, and with a lane that Neva cannot serve."""
    options, problems = settings.acquirer_options, []
    known = ("base_url", "terminal", "api_key_file", "timeout_s")
    for name in sorted(set(options) - set(known)):
        problems.append(f"unknown setting acquirer_options.{name}; expected one of {', '.join(known)}")
    if not isinstance(options.get("terminal"), str) or not options["terminal"]:
        problems.append("acquirer_options.terminal is missing: the lane's terminal at Neva, in quotes")
    url = options.get("base_url")
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or not parts.hostname or parts.scheme not in ("https", "http"):
        problems.append("acquirer_options.base_url must be an https address")
    elif parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        problems.append("acquirer_options.base_url: plain http is allowed only to this machine; write https")
    timeout = options.get("timeout_s", 10.0)
    if type(timeout) not in (int, float) or not 0.1 <= timeout <= 60:
        problems.append("acquirer_options.timeout_s must be from 0.1 to 60")
    if settings.display.sticker_id:
        problems.append(f"display.sticker_id: {_NO_PLATES}")
    if credential:
        try:
            _api_key(options, environment)
        except ValueError as error:
            problems.append(str(error))
    return problems


@checked_by(check)
def open_acquirer(setup: AcquirerSetup, /) -> NevaAcquirer:
    """Neva as the lane's settings describe it; `setup.token` is the API key. Sends nothing yet.

    Raises:
        ValueError: the settings or the key cannot be used.
    """
    settings, token = setup.settings, setup.token
    problems = check(settings, os.environ, token is None)
    if problems:
        raise ValueError("; ".join(problems))
    options = settings.acquirer_options
    key = _api_key(options, os.environ) if token is None else str(token)
    return NevaAcquirer(
        Client(options["base_url"], key, float(options.get("timeout_s", 10.0))),
        terminal=options["terminal"],
        shop=settings.lane.shop,
        now=setup.clock.now,
    )
