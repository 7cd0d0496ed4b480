"""PayMaster's own list of a day: an hour at a time, less where an hour has too many pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from sco_fleet.reconcile.access import PayMasterAccess
from sco_fleet.reconcile.days import Day
from sco_fleet.reconcile.rows import BankRow, NoAnswerAbout, NotKnown
from sco_payment.paymaster.adapter import NAME, STATES, TOKEN_VARIABLE, meaning_of
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.errors import (
    ListTooLong,
    NoAnswer,
    NotAuthorised,
    NotSent,
    PayMasterError,
    PaymentNotFound,
    TooManyRequests,
)
from sco_payment.paymaster.wire import Payment, printable

A = TypeVar("A")
_AROUND = timedelta(hours=2)
"""Before and after the day: a payment that a lane began before midnight may be PayMaster's of the next day."""
_WINDOW = timedelta(hours=1)
_SHORTEST = timedelta(minutes=1)
_LONGEST = 200
"""Characters of an order number."""
_WAITS_S = (1.0, 5.0, 20.0)
"""Before the second and each further try of a request."""
_LONGEST_WAIT_S = 60.0
_MOST_FAILURES = 3
"""Windows without an answer, after which no further one is asked for."""


class PayMasterList:
    """See `rows.Source`.

    Args:
        client: PayMaster's API.
        states: status word -> order state, over PayMaster's own.
        test_mode: test payments count as money.
        pause: waits for so many s before the next try.
    """

    name = "list"
    acquirer = NAME
    can_be_asked = True

    def __init__(
        self,
        client: PayMaster,
        *,
        states: Mapping[str, int],
        test_mode: bool,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause = pause
        self.problem = ""
        self._client = client
        self._states = {**STATES, **states}
        self._test_mode = test_mode

    def rows(self, day: Day) -> Iterator[BankRow]:
        """The day's payments and those of two hours around it."""
        now = datetime.now(UTC)
        if day.end > now:
            self.problem = "day_not_over"
        windows = _windows(day.start - _AROUND, min(day.end + _AROUND, now))
        failures = 0
        while windows and failures < _MOST_FAILURES:
            start, end = windows.pop(0)
            try:
                found = self._try(partial(self._client.list_payments, start, end))
            except ListTooLong as error:
                if end - start > _SHORTEST:
                    middle = start + (end - start) / 2
                    windows[:0] = [(start, middle), (middle, end)]
                    continue
                self._fail(start, error)
                failures += 1
            except (PayMasterError, ValueError) as error:
                self._fail(start, error)
                failures = _MOST_FAILURES if isinstance(error, NotAuthorised) else failures + 1
            else:
                yield from (self._row(payment) for payment in found)

    def _try(self, call: Callable[[], A]) -> A:
        """The answer to a request that changes nothing, asked again where that may help. Raises PayMasterError."""
        for wait_s in _WAITS_S:
            try:
                return call()
            except TooManyRequests as error:
                self._pause(min(error.wait_s or wait_s, _LONGEST_WAIT_S))
            except ListTooLong:
                raise
            except (NoAnswer, NotSent):
                self._pause(wait_s)
        return call()

    def _fail(self, start: datetime, error: Exception) -> None:
        if not self.problem:
            self.problem = f"from {start:%Y-%m-%d %H:%M %Z}: {type(error).__name__}: {error}"

    def ask(self, payment_id: str) -> BankRow:
        """`GET /payments/{id}`. Raises NotKnown, NoAnswerAbout."""
        try:
            payment = self._try(partial(self._client.get_payment, payment_id))
        except PaymentNotFound as error:
            raise NotKnown(str(error)) from None
        except (PayMasterError, ValueError) as error:
            raise NoAnswerAbout(f"{type(error).__name__}: {error}") from None
        if payment.id != payment_id:
            raise NoAnswerAbout(f"PayMaster answered about {payment.id}")
        return self._row(payment)

    def _row(self, payment: Payment) -> BankRow:
        return BankRow(
            payment.id,
            meaning_of(payment.status, self._states),
            payment.status,
            payment.amount_kopecks,
            payment.currency,
            None if payment.order_no is None else printable(payment.order_no[:_LONGEST]),
            None if payment.created is None else round(payment.created.timestamp() * 1000),
            payment.test_mode and not self._test_mode,
        )

    def close(self) -> None:
        """Release the connections."""
        self._client.close()


def _windows(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """From `start` to `end` in windows that meet: the list of PayMaster has both ends in it."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    found = []
    while start < end:
        found.append((start, min(start + _WINDOW, end)))
        start += _WINDOW
    return found


def open_list(access: PayMasterAccess) -> PayMasterList:
    """PayMaster as the settings describe it; sends nothing yet.

    Raises:
        ValueError: merchant or token are not set, or address, token or CA file cannot be used.
    """
    if not access.is_set:
        raise ValueError(
            f"paymaster.merchant_id, and paymaster.token_file or {TOKEN_VARIABLE}, must be set to ask PayMaster"
        )
    client = PayMaster(
        access.base_url,
        access.token(),
        access.merchant_id,
        read_timeout_s=30.0,
        ca_file=access.ca_file or None,
    )
    return PayMasterList(client, states=access.states, test_mode=access.test_mode)
