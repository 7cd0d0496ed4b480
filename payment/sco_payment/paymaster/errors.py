"""How a call to PayMaster can fail, by what it means for money.

::

    PayMasterError
    ├── NotSent           the request certainly did not reach PayMaster: it has no effect
    │   └── LoginRefused  the proxy does not accept the login
    ├── NoAnswer          it was sent and no usable answer came: it may have taken effect
    │   └── ListTooLong   a list has more pages than are read: ask for a shorter time
    ├── RequestRefused    PayMaster understood the request and refused it
    ├── BadRequest        our request is wrong
    ├── NotAuthorised     the token is not accepted
    ├── TooManyRequests   PayMaster did not process it
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
        wait_s: how long PayMaster does not want to be asked again; None where it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        errors: tuple[str, ...] = (),
        status: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.errors = errors
        self.status = status
        self.wait_s = wait_s


class NotSent(PayMasterError):
    """No connection: the request certainly did not reach PayMaster."""


class LoginRefused(NotSent):
    """The proxy does not accept the login, or wants one."""


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
    """PayMaster wants us to wait; the request took no effect."""
