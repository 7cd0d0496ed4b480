"""The events that a lane reports while it works, for logs, metrics and a till's own software.

One class an event. `_JSON` fixes its name and fields in JSON: renaming a class or an attribute here changes nothing for
whoever reads them. `catalogue` gives the same to the documentation.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from sco_payment.attempt import EndReason, Outcome, Phase

log = logging.getLogger(__name__)

JsonValue = str | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneEvent:
    """Base of all events.

    Attributes:
        seq: 1, 2, 3 and so on since the lane was opened.
        time_ms: lane time of the event, ms since the epoch.
        attempt: key of the attempt; None for an event of the lane itself.
    """

    seq: int = 0
    time_ms: int = 0
    attempt: str | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The event as a JSON object: `event` (its name), `seq`, `time_ms`, `attempt`, then its own fields."""
        name, fields = _JSON[type(self)]
        data: dict[str, JsonValue] = {"event": name}
        for field, (attribute, _) in (*_COMMON.items(), *fields.items()):
            data[field] = _plain(getattr(self, attribute))
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(LaneEvent):
    """An attempt entered a phase."""

    order_no: str
    phase: Phase
    payment_id: str | None
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAccepted(LaneEvent):
    """The acquirer's link passed the checks and is about to be presented."""

    link: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAdded(LaneEvent):
    """Something changed that an operator may want to read: an acquirer's answer, a presentation, a device fault."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSent(LaneEvent):
    """The one cancellation of the attempt is sent."""

    payment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeReached(LaneEvent):
    """The attempt has an outcome, which is on disk. The till has not taken it yet."""

    order_no: str
    outcome: Outcome
    reason: EndReason
    amount_kopecks: int
    payment_id: str | None
    case: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeTaken(LaneEvent):
    """The till has taken the outcome, which is on disk: `deliver` returned, or `Lane.acknowledge` was called."""

    order_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(LaneEvent):
    """A case was opened, or opened again by late money: call an operator."""

    order_no: str
    case: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenFailed(LaneEvent):
    """The lane's screen could not show what it should."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChanged(LaneEvent):
    """The NFC tag was found in another condition than at the check before."""

    problem: str | None
    disabled: bool
    needs_operator: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TagEnduranceExceeded(LaneEvent):
    """A dynamic tag has nearly used up its write endurance: replace it."""

    uid: str
    write_count: int
    endurance: int


_Fields = Mapping[str, tuple[str, str]]
_COMMON: _Fields = {
    "seq": ("seq", "1, 2, 3 and so on since the lane was opened"),
    "time_ms": ("time_ms", "lane time, ms since the epoch"),
    "attempt": ("attempt", "key of the attempt; null for an event of the lane itself"),
}
_ORDER = ("order_no", "number of the order")
_PAYMENT = ("payment_id", "the acquirer's id of the payment; null while it is not known")
_JSON: dict[type[LaneEvent], tuple[str, _Fields]] = {
    StateChanged: (
        "state_changed",
        {
            "order": _ORDER,
            "phase": ("phase", "the phase entered"),
            "payment_id": _PAYMENT,
            "expires_at_ms": ("expires_at_ms", "end of the invoice, in lane time, ms since the epoch"),
        },
    ),
    LinkAccepted: (
        "link_accepted",
        {
            "link": ("link", "what the code says"),
            "verified": ("verified", "whether amount, currency and checksum could be checked in the link itself"),
        },
    ),
    NoteAdded: ("note_added", {"text": ("text", "the note, for people")}),
    CancelSent: ("cancel_sent", {"payment_id": _PAYMENT}),
    OutcomeReached: (
        "outcome_reached",
        {
            "order": _ORDER,
            "outcome": ("outcome", "`paid`, `unpaid`, `unknown` or `not_presented`"),
            "reason": ("reason", "why it ended this way"),
            "amount_kopecks": ("amount_kopecks", "amount of this leg"),
            "payment_id": _PAYMENT,
            "case": ("case", "number of the case, or null"),
        },
    ),
    OutcomeTaken: ("outcome_taken", {"order": _ORDER}),
    CaseOpened: ("case_opened", {"order": _ORDER, "case": ("case", "number of the case")}),
    ScreenFailed: ("screen_failed", {"detail": ("detail", "the fault, for people")}),
    TagChanged: (
        "tag_changed",
        {
            "problem": ("problem", "what is wrong with the tag; null when it is in order again"),
            "disabled": ("disabled", "whether the lane stops using the tag"),
            "needs_operator": ("needs_operator", "whether it stays so until an operator enables the tag again"),
        },
    ),
    TagEnduranceExceeded: (
        "tag_endurance_exceeded",
        {
            "uid": ("uid", "serial number of the tag, hexadecimal"),
            "write_count": ("write_count", "writes of its busiest page"),
            "endurance": ("endurance", "writes for which the tag is rated"),
        },
    ),
}
"""Class -> name in JSON, and field in JSON -> (attribute, meaning)."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """An event for readers: its JSON name, its class, when it is reported, and each JSON field with its meaning."""

    name: str
    cls: str
    when: str
    fields: tuple[tuple[str, str], ...]


def catalogue() -> list[CatalogueEntry]:
    """Every event, in the order of the documentation; the fields that all have in common come first, under `event`."""
    common = tuple((field, meaning) for field, (_, meaning) in _COMMON.items())
    return [
        CatalogueEntry("", LaneEvent.__name__, "every event", (("event", "the event's name"), *common)),
        *(
            CatalogueEntry(
                name, cls.__name__, cls.__doc__ or "", tuple((field, meaning) for field, (_, meaning) in fields.items())
            )
            for cls, (name, fields) in _JSON.items()
        ),
    ]


def _plain(value: object) -> JsonValue:
    if isinstance(value, Enum):
        value = value.value
    assert value is None or isinstance(value, str | int)
    return value


# --- observers ------------------------------------------------------------------------------------------------------


class Observer(Protocol):
    """Receives the events of a lane, from several threads. Must return soon and must not raise."""

    def __call__(self, event: LaneEvent, /) -> None: ...


def null_observer(event: LaneEvent, /) -> None:
    """Ignores every event."""


def isolated(observer: Observer) -> Observer:
    """An observer whose exceptions are logged and go no further: no payment depends on it."""

    def observe(event: LaneEvent, /) -> None:
        try:
            observer(event)
        except Exception as error:
            log.error("the observer failed at %s: %s: %s", type(event).__name__, type(error).__name__, error)

    return observe


def stamped(observer: Observer, now: Callable[[], int]) -> Observer:
    """An observer that gives each event its number and, from `now`, its time in ms before it passes it on."""
    numbers = itertools.count(1)

    def observe(event: LaneEvent, /) -> None:
        observer(replace(event, seq=next(numbers), time_ms=now()))

    return observe
