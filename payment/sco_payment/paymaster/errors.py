"""What a call to PayMaster can come to, told apart by what it means for money.

::

    BankError
    ├── NotSent           the request certainly did not reach the bank: nothing has happened
    ├── NoAnswer          it was sent and no usable answer came: it may have happened
    ├── BankRefused       the bank says no
    ├── BadRequest        our request is wrong
    ├── NotAuthorised     the token is not accepted
    ├── TooManyRequests   the bank did not look at it; `wait_s` says when to ask again
    └── PaymentNotFound   the bank knows no such thing; right after a creation that is not "unpaid"
"""

from __future__ import annotations


class BankError(Exception):
    """Base of all. The message never holds the token.

    Args:
        message: what happened.
        code: the bank's error code, where it gave one.
        errors: the bank's list of details.
        status: HTTP status, where there was one.
    """

    def __init__(
        self, message: str, *, code: str = "", errors: tuple[str, ...] = (), status: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.errors = errors
        self.status = status


class NotSent(BankError):
    """No connection: the request certainly did not reach the bank."""


class NoAnswer(BankError):
    """The request was sent, or may have been, and no usable answer came: it may have taken effect."""


class BankRefused(BankError):
    """The bank understood and says no."""


class BadRequest(BankError):
    """The bank says that our request is wrong: `validation_error`, `idempotency_key_violation`."""


class NotAuthorised(BankError):
    """The bank does not accept the token."""


class PaymentNotFound(BankError):
    """The bank knows no such payment or sticker. Not the same as unpaid."""


class TooManyRequests(BankError):
    """The bank asks us to wait; the request took no effect. `wait_s` is None when it did not say how long."""

    def __init__(
        self, message: str, *, wait_s: float | None = None, code: str = "", errors: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, code=code, errors=errors, status=429)
        self.wait_s = wait_s
