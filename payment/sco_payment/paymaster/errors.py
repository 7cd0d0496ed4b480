"""How a call to PayMaster can fail, by what it means for money.

::

    PayMasterError
    ├── NotSent           the request certainly did not reach PayMaster: it has no effect
    ├── NoAnswer          it was sent and no usable answer came: it may have taken effect
    │   └── ListTooLong   a list has more pages than are read: ask for a shorter time
    ├── RequestRefused    PayMaster understood the request and refused it
    ├── BadRequest        our request is wrong
    ├── NotAuthorised     the token is not accepted
    ├── TooManyRequests   PayMaster did not process it; `wait_s` says when to ask again
    └── PaymentNotFound   PayMaster has no such payment or sticker; right after a creation that is not "unpaid"
"""

from __future__ import annotations


class PayMasterError(Exception):
    """Base class. The message never contains the token.

    Args:
        message: what happened.
        code: PayMaster's error code, where it gave one.
        errors: PayMaster's list of details.
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


class NotSent(PayMasterError):
    """No connection: the request certainly did not reach PayMaster."""


class NoAnswer(PayMasterError):
    """The request was sent, or may have been, and no usable answer came: it may have taken effect."""


class ListTooLong(NoAnswer):
    """A list has more pages than are read, or they took too long: ask for a shorter time."""


class RequestRefused(PayMasterError):
    """PayMaster understood the request and refused it."""


class BadRequest(PayMasterError):
    """PayMaster reports that our request is wrong: `validation_error`, `idempotency_key_violation`."""


class NotAuthorised(PayMasterError):
    """PayMaster does not accept the token."""


class PaymentNotFound(PayMasterError):
    """PayMaster has no such payment or sticker. Not the same as unpaid."""


class TooManyRequests(PayMasterError):
    """PayMaster wants us to wait; the request took no effect. `wait_s` is None when it did not say how long."""

    def __init__(
        self, message: str, *, wait_s: float | None = None, code: str = "", errors: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, code=code, errors=errors, status=429)
        self.wait_s = wait_s
