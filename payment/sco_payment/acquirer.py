"""The acquirer, as the lane needs it: who is asked for payments, and how one is found by its name in the settings.

An adapter turns an acquirer's API into the core's own types: it takes a `Plan` or a payment's id and returns the event
that `attempt.step` understands. PayMaster's adapter is built in. Third parties add theirs by an entry point in the
group `sco_payment.acquirers`. Its name is what `lane.acquirer` in the settings selects, its object an `OpenAcquirer`::

    [project.entry-points."sco_payment.acquirers"]
    otherbank = "our_package.adapter:open_acquirer"

What money depends on, and what `sco_sim.testing.acquirer_contract` checks of every adapter:

* No call raises, and each returns in bounded time. An adapter does not repeat a request: retries belong to the core.
* PAID, REFUNDED and CLOSED are reported only on the acquirer's own word, and as it gives it: what a cancellation may
  still do to a payment is the core's concern. What the adapter does not know is UNKNOWN; what it could not ask is
  `StatusUnavailable`.
* An answer about another payment is never accepted.
* `CreateFailed.may_exist` is False only where this request certainly created nothing. `CancelAnswered` is ACCEPTED only
  where the acquirer says that the cancellation succeeded, and does not say that it was a refund. It is REFUSED only
  where the cancellation certainly changes nothing, now or later: the core then trusts PAID. Everything else, a refund
  too, is UNANSWERED, and the status says what came of it.
* `PaymentNotListed` means that the acquirer itself says there is no such payment. A "not found" about an id, or an
  acquirer that cannot be asked by order, is `StatusUnavailable`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

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

if TYPE_CHECKING:
    from sco_payment.settings import Settings

__all__ = [
    "Acquirer",
    "AcquirerSetup",
    "AcquirerUnavailable",
    "Cancel",
    "CancelAnswered",
    "Clock",
    "CreateFailed",
    "Created",
    "OpenAcquirer",
    "PaymentNotListed",
    "PaymentStatus",
    "PaymentStatusReceived",
    "Plan",
    "StatusUnavailable",
    "UnknownAcquirer",
    "checked_by",
]

GROUP = "sco_payment.acquirers"
"""The group of entry points."""
CLOCKS_AGREE_S = 5.0
"""Clocks that are less apart than this are the same: times on the wire have whole seconds, and an answer takes some."""
BUILT_IN: dict[str, tuple[str, str]] = {"paymaster": ("sco_payment.paymaster.adapter", "open_acquirer")}
"""Name -> module and function, imported on first use."""


class Acquirer(Protocol):
    """Asks one acquirer on behalf of attempts. Its calls come from several threads at once."""

    @property
    def name(self) -> str:
        """The adapter's name, as `lane.acquirer` gives it; it goes into the journal's records."""

    @property
    def clock_ahead_s(self) -> float | None:
        """How far the acquirer's clock is ahead of lane time, in s; None where that is not known. The lane reports it
        from `CLOCKS_AGREE_S` on; the adapter allows for it in the times that it sends."""

    @property
    def link_hosts(self) -> Collection[str]:
        """The acquirer's own hosts: links to them and their subdomains may be shown, as those of nspk.ru may."""

    def create(self, plan: Plan, seq: int, foreign_ids: Collection[str]) -> Created | CreateFailed:
        """Create the plan's payment, at most one for each `plan.key`, however often it is called.

        Args:
            plan: amount in kopecks, order number, key, end of the invoice.
            seq: number of the request; goes into the event.
            foreign_ids: payment ids of the order's other attempts, none of which is this attempt's.
        """

    def status(self, payment_id: str, seq: int) -> PaymentStatusReceived | StatusUnavailable:
        """Ask for the status of the payment with this id."""

    def find(
        self, plan: Plan, seq: int, foreign_ids: Collection[str]
    ) -> PaymentStatusReceived | StatusUnavailable | PaymentNotListed:
        """Look for the plan's payment, whose id the lane does not know: the answer to its creation was lost."""

    def cancel(self, payment_id: str, seq: int) -> CancelAnswered:
        """Cancel the payment. The core calls it at most once for each attempt, and again only after NOT_ASKED: answer
        that where the cancellation certainly was not sent, or not looked at."""

    def close(self) -> None:
        """Release connections. May be called twice."""


class Clock(Protocol):
    """The lane's clock. Lane time never jumps; the wall clock may be set while the lane runs."""

    def now(self) -> int:
        """Lane time in ms since the epoch."""

    def wall(self, at_ms: int) -> float:
        """The wall clock, in s since the epoch, at a moment of lane time."""

    def clock_was_set_by(self) -> float:
        """By how many seconds the wall clock was put forward since lane time began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquirerSetup:
    """What an adapter is opened with.

    Attributes:
        settings: the lane's settings. `acquirer_options` is for third parties; the adapter validates what is in it.
        clock: the lane's clock.
        token: the acquirer's credential, where the program gives one to `open_lane`; None for the one in the settings
            or the environment. Its type is the adapter's.
    """

    settings: Settings
    clock: Clock
    token: object | None = None


class OpenAcquirer(Protocol):
    """What an entry point names: opens the adapter and sends nothing yet. Raises ValueError for what cannot be used.

    One that is decorated by `checked_by` has its settings checked before anything is opened.
    """

    def __call__(self, setup: AcquirerSetup, /) -> Acquirer: ...


CheckSettings = Callable[["Settings", Mapping[str, str], bool], list[str]]
"""Settings, environment and whether the credential must be there -> every problem, named by its setting."""
Opener = TypeVar("Opener", bound=OpenAcquirer)


class UnknownAcquirer(ValueError):
    """No adapter has this name; the message lists those that exist."""


class AcquirerUnavailable(ValueError):
    """The adapter cannot be loaded or opened."""


def known() -> list[str]:
    """The names that `lane.acquirer` may have, built in and by entry points, sorted."""
    from importlib.metadata import entry_points

    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def opener(name: str) -> OpenAcquirer:
    """The function that opens the acquirer `name`; loads its module.

    Raises:
        UnknownAcquirer, AcquirerUnavailable
    """
    if name in BUILT_IN:
        module, function = BUILT_IN[name]
        return cast(OpenAcquirer, getattr(importlib.import_module(module), function))
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=name):
        try:
            return cast(OpenAcquirer, point.load())
        except Exception as error:  # a third party's module may raise anything while it loads
            raise AcquirerUnavailable(f"the acquirer {name} ({point.value}) cannot be loaded: {error}") from error
    raise UnknownAcquirer(f"unknown acquirer {name!r}; expected one of {', '.join(known())}")


def checked_by(check: CheckSettings) -> Callable[[Opener], Opener]:
    """Decorates an opener with the function that checks its settings, so that all mistakes are reported at once."""

    def mark(function: Opener) -> Opener:
        function.check = check  # type: ignore[attr-defined]
        return function

    return mark


def check_settings(settings: Settings, environment: Mapping[str, str], *, credential: bool = True) -> list[str]:
    """All that is wrong in what the acquirer `lane.acquirer` needs of the settings and the environment; [] for nothing.

    Args:
        settings: of the lane.
        environment: where the credential may come from.
        credential: whether the acquirer's token or key must be there and usable.
    """
    name = settings.lane.acquirer
    try:
        check: CheckSettings | None = getattr(opener(name), "check", None)
    except (UnknownAcquirer, AcquirerUnavailable) as error:
        return [f"lane.acquirer: {error}"]
    if check is None:
        return []
    try:
        return check(settings, environment, credential)
    except Exception as error:  # of a third party
        return [f"lane.acquirer: the settings of {name} cannot be checked: {type(error).__name__}: {error}"]


def open_acquirer(settings: Settings, clock: Clock, token: object | None = None) -> Acquirer:
    """The acquirer that `lane.acquirer` names, with `token` or the settings' own credential; sends nothing yet.

    Raises:
        UnknownAcquirer: no adapter has this name. AcquirerUnavailable: it cannot be loaded or opened. ValueError: of
            the adapter, for settings or a credential that cannot be used.
    """
    name = settings.lane.acquirer
    open_it = opener(name)
    try:
        return open_it(AcquirerSetup(settings=settings, clock=clock, token=token))
    except ValueError:
        raise
    except Exception as error:  # of a third party
        raise AcquirerUnavailable(f"the acquirer {name} cannot be opened: {type(error).__name__}: {error}") from error
