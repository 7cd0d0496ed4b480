"""The catalogue of events: names and fields in JSON are fixed, complete, and plain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

import pytest

from sco_payment import events
from sco_payment.attempt import EndReason, Outcome, Phase
from sco_payment.events import (
    CancelSent,
    CaseOpened,
    LaneEvent,
    LinkAccepted,
    NoteAdded,
    OutcomeReached,
    OutcomeTaken,
    ScreenFailed,
    StateChanged,
    TagChanged,
    TagEnduranceExceeded,
)

COMMON = {"seq": 3, "time_ms": 1_700_000_000_000, "attempt": "k1"}
EXAMPLES: list[tuple[LaneEvent, dict[str, object]]] = [
    (
        StateChanged(**COMMON, order_no="42", phase=Phase.WAITING, payment_id=None, expires_at_ms=5),  # type: ignore[arg-type]
        {"event": "state_changed", "order": "42", "phase": "waiting", "payment_id": None, "expires_at_ms": 5},
    ),
    (
        LinkAccepted(**COMMON, link="https://qr.nspk.ru/A", verified=True),  # type: ignore[arg-type]
        {"event": "link_accepted", "link": "https://qr.nspk.ru/A", "verified": True},
    ),
    (NoteAdded(**COMMON, text="t"), {"event": "note_added", "text": "t"}),  # type: ignore[arg-type]
    (CancelSent(**COMMON, payment_id="7"), {"event": "cancel_sent", "payment_id": "7"}),  # type: ignore[arg-type]
    (
        OutcomeReached(
            **COMMON,  # type: ignore[arg-type]
            order_no="42",
            outcome=Outcome.UNKNOWN,
            reason=EndReason.CUSTOMER,
            amount_kopecks=100,
            payment_id="7",
            case=1,
        ),
        {
            "event": "outcome_reached",
            "order": "42",
            "outcome": "unknown",
            "reason": "customer",
            "amount_kopecks": 100,
            "payment_id": "7",
            "case": 1,
        },
    ),
    (OutcomeTaken(**COMMON, order_no="42"), {"event": "outcome_taken", "order": "42"}),  # type: ignore[arg-type]
    (CaseOpened(**COMMON, order_no="42", case=1), {"event": "case_opened", "order": "42", "case": 1}),  # type: ignore[arg-type]
    (ScreenFailed(**COMMON, detail="d"), {"event": "screen_failed", "detail": "d"}),  # type: ignore[arg-type]
    (
        TagChanged(**COMMON, problem=None, disabled=False, needs_operator=False),  # type: ignore[arg-type]
        {"event": "tag_changed", "problem": None, "disabled": False, "needs_operator": False},
    ),
    (
        TagEnduranceExceeded(**COMMON, uid="04ff", write_count=9, endurance=10),  # type: ignore[arg-type]
        {"event": "tag_endurance_exceeded", "uid": "04ff", "write_count": 9, "endurance": 10},
    ),
]


def subclasses(cls: type[LaneEvent]) -> Iterator[type[LaneEvent]]:
    for one in cls.__subclasses__():
        if one.__module__ == events.__name__ and getattr(events, one.__name__) is one:  # slots make a second class
            yield one
        yield from subclasses(one)


@pytest.mark.parametrize(("event", "data"), EXAMPLES, ids=lambda one: type(one).__name__)
def test_the_json_of_an_event_is_fixed(event: LaneEvent, data: dict[str, object]) -> None:
    assert json.loads(json.dumps(event.as_json())) == {**COMMON, **data}


def test_every_event_is_in_the_catalogue_with_every_attribute() -> None:
    known = set(subclasses(LaneEvent))
    assert known == set(events._JSON) == {type(event) for event, _ in EXAMPLES}
    for cls in known:
        own = {field.name for field in fields(cls)} - set(COMMON)
        assert [attribute for attribute, _ in events._JSON[cls][1].values()] == [
            field.name for field in fields(cls) if field.name in own
        ]
    names = [entry.name for entry in events.catalogue()]
    assert len(set(names)) == len(names) == len(known) + 1


def test_every_time_has_its_unit_in_its_name() -> None:
    found = [field for entry in events.catalogue() for field, _ in entry.fields]
    times = [field for field in found if "time" in field or "expires" in field or field.endswith("_at")]
    assert times
    assert all(field.endswith(("_ms", "_s")) for field in times)


def test_an_observer_gets_events_with_number_and_time() -> None:
    seen: list[LaneEvent] = []
    now = iter((10, 20))
    observer = events.stamped(seen.append, lambda: next(now))
    observer(NoteAdded(text="a"))
    observer(NoteAdded(attempt="k1", text="b"))
    assert seen == [NoteAdded(seq=1, time_ms=10, text="a"), NoteAdded(seq=2, time_ms=20, attempt="k1", text="b")]
