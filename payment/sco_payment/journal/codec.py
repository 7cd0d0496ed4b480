"""What the journal's records look like on disk and in JSON.

Every name that is written is spelled out in the tables below, next to the Python attribute that it represents. A class,
field or enum member can therefore be renamed in Python without changing a byte on disk: only the table's Python side
changes with it.

Record version 1. The rules for later releases:

- A field may be added without a new version. Readers ignore fields that they do not know. A reader that needs the new
  field gives it a value for records that lack it (`Field.missing`).
- Everything else needs a new record version: a new kind, event, effect or enum text, another meaning, a field that is
  renamed or dropped. A reader refuses a version that it does not know (`JournalTooNew`). The schema version of the file
  is raised with it, so that an older release refuses the whole file before it writes to it.
- What a reader knows it reads strictly: a missing field, a wrong type or an unknown name is damage (`JournalDamaged`).

Times are in ms since the epoch (`..._at_ms`), durations in ms (`..._ms`), amounts in kopecks (`..._kopecks`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, cast

from sco_payment import attempt as m
from sco_payment.journal.errors import JournalDamaged, JournalTooNew
from sco_payment.journal.records import Case, Record

RECORD_VERSION = 1
GENESIS = "0" * 64
"""The hash before the first row."""
_NO_DEFAULT = object()


# --- types of a field ---------------------------------------------------------------------------------------------


class Type(Protocol):
    """How a value is written and read. `where` names the field in error messages."""

    def encode(self, value: Any) -> Any: ...
    def decode(self, data: Any, where: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a whole number, or true and false; with `optional` also null."""

    python: type
    optional: bool = False

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, data: Any, where: str) -> Any:
        if type(data) is not self.python and not (self.optional and data is None):
            raise JournalDamaged(f"{where}: expected {_JSON_TYPES[self.python]}, found {_shortened(data)}")
        return data


@dataclass(frozen=True, slots=True)
class Choice:
    """One member of an enum, as the text that the table gives it; with `optional` also null."""

    texts: Mapping[Enum, str]
    optional: bool = False

    def encode(self, value: Any) -> Any:
        return None if value is None else self.texts[value]

    def decode(self, data: Any, where: str) -> Any:
        if self.optional and data is None:
            return None
        for member, text in self.texts.items():
            if data == text:
                return member
        raise JournalDamaged(f"{where}: expected one of {', '.join(self.texts.values())}, found {_shortened(data)}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a shape.

    Attributes:
        name: on disk.
        type: how it is written.
        attribute: its name in Python; the same as on disk where it is empty.
        missing: what a record that lacks it means; without it the record is damaged. A field with that value is not
            written, so that a record looks as it did before the field was added.
    """

    name: str
    type: Type
    attribute: str = ""
    missing: Any = _NO_DEFAULT

    @property
    def python_name(self) -> str:
        """Its name in Python."""
        return self.attribute or self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """An object of `make`, as an object of JSON."""

    make: Callable[..., Any]
    fields: tuple[Field, ...]

    def encode(self, value: Any) -> dict[str, Any]:
        values = ((field, getattr(value, field.python_name)) for field in self.fields)
        return {field.name: field.type.encode(found) for field, found in values if found != field.missing}

    def decode(self, data: Any, where: str) -> Any:
        return self.make(**_decode_fields(self.fields, data, where))


@dataclass(frozen=True, slots=True)
class Named:
    """One of several shapes; `name` in the object says which."""

    shapes: Mapping[str, Shape]

    def encode(self, value: Any) -> dict[str, Any]:
        for name, shape in self.shapes.items():
            if type(value) is shape.make:
                return {"name": name, **shape.encode(value)}
        raise TypeError(f"{type(value).__name__} has no name in the journal")

    def decode(self, data: Any, where: str) -> Any:
        name = data.get("name") if isinstance(data, dict) else None
        shape = self.shapes.get(name) if isinstance(name, str) else None
        if shape is None:
            raise JournalDamaged(f"{where}: unknown name {_shortened(name)}")
        return shape.decode(data, f"{where} {name}")


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    type: Type

    def encode(self, value: Any) -> list[Any]:
        return [self.type.encode(one) for one in value]

    def decode(self, data: Any, where: str) -> list[Any]:
        if not isinstance(data, list):
            raise JournalDamaged(f"{where}: expected a list, found {_shortened(data)}")
        return [self.type.decode(one, where) for one in data]


@dataclass(frozen=True, slots=True)
class Words:
    """A tuple of texts, or null."""

    def encode(self, value: Any) -> Any:
        return None if value is None else list(value)

    def decode(self, data: Any, where: str) -> Any:
        return None if data is None else tuple(Many(TEXT).decode(data, where))


def _decode_fields(fields: tuple[Field, ...], data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise JournalDamaged(f"{where}: expected an object, found {_shortened(data)}")
    values = {}
    for field in fields:
        if field.name in data:
            values[field.python_name] = field.type.decode(data[field.name], f"{where}.{field.name}")
        elif field.missing is _NO_DEFAULT:
            raise JournalDamaged(f"{where}: the field {field.name} is missing")
        else:
            values[field.python_name] = field.missing
    return values


def _shortened(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 40 else f"{text[:40]}..."


_JSON_TYPES: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}
TEXT, OPTIONAL_TEXT = Scalar(str), Scalar(str, optional=True)
INTEGER, BOOLEAN = Scalar(int), Scalar(bool)


# --- enum member -> text ------------------------------------------------------------------------------------------

PHASES: dict[Enum, str] = {
    m.Phase.CREATING: "creating",
    m.Phase.FINDING: "finding",
    m.Phase.PRESENTING: "presenting",
    m.Phase.WAITING: "waiting",
    m.Phase.ASKING: "asking",
    m.Phase.CANCELLING: "cancelling",
    m.Phase.CONFIRMING: "confirming",
    m.Phase.WATCHING: "watching",
    m.Phase.CLOSED: "closed",
    m.Phase.OVERDUE: "overdue",
    m.Phase.REFUNDABLE: "refundable",
    m.Phase.PAID: "paid",
    m.Phase.UNPAID: "unpaid",
    m.Phase.PAID_LATE: "paid_late",
    m.Phase.UNSETTLED: "unsettled",
}
OUTCOMES: dict[Enum, str] = {
    m.Outcome.PAID: "paid",
    m.Outcome.UNPAID: "unpaid",
    m.Outcome.UNKNOWN: "unknown",
    m.Outcome.NOT_PRESENTED: "not_presented",
}
DISPLAY_MODES: dict[Enum, str] = {
    m.Mode.PRINT: "print",
    m.Mode.SCREEN: "screen",
    m.Mode.PLATE: "plate",
}
END_REASONS: dict[Enum, str] = {
    m.EndReason.NONE: "none",
    m.EndReason.CUSTOMER: "customer",
    m.EndReason.EXPIRED: "expired",
    m.EndReason.NOT_PRESENTED: "not_presented",
    m.EndReason.LINK_REFUSED: "link_refused",
    m.EndReason.NOT_CREATED: "not_created",
    m.EndReason.DECLINED: "declined",
    m.EndReason.RESTART: "restart",
}
CANCELLATIONS: dict[Enum, str] = {
    m.Cancel.NOT_ASKED: "not_requested",
    m.Cancel.ASKED: "requested",
    m.Cancel.ACCEPTED: "accepted",
    m.Cancel.REFUSED: "refused",
    m.Cancel.UNANSWERED: "unanswered",
}
CASE_REASONS: dict[Enum, str] = {
    m.CaseReason.CANCEL_REFUSED: "cancel_refused",
    m.CaseReason.CANCEL_UNANSWERED: "cancel_unanswered",
    m.CaseReason.EXPIRED_UNCONFIRMED: "expired_unconfirmed",
    m.CaseReason.CREATE_UNKNOWN: "create_unknown",
    m.CaseReason.AMOUNT_MISMATCH: "amount_mismatch",
    m.CaseReason.CANCEL_PAY_RACE: "cancel_pay_race",
    m.CaseReason.LATE_MONEY: "late_money",
    m.CaseReason.PAID_AFTER_RESTART: "paid_after_restart",
    m.CaseReason.GOODS_UNCERTAIN: "goods_uncertain",
    m.CaseReason.PAID_UNSHOWN: "paid_unshown",
    m.CaseReason.REFUNDED: "refunded",
}
VIEWS: dict[Enum, str] = {
    m.View.WAIT: "wait",
    m.View.PAY: "pay",
    m.View.DIALOG: "dialog",
    m.View.PAID: "paid",
    m.View.UNPAID: "unpaid",
    m.View.ATTENDANT: "attendant",
}
PAYMENT_STATUSES: dict[Enum, str] = {
    m.PaymentStatus.OPEN: "open",
    m.PaymentStatus.PAID: "paid",
    m.PaymentStatus.REFUNDED: "refunded",
    m.PaymentStatus.CLOSED: "closed",
    m.PaymentStatus.UNKNOWN: "unknown",
}
ENUMS: dict[type[Enum], dict[Enum, str]] = {
    m.Phase: PHASES,
    m.PaymentStatus: PAYMENT_STATUSES,
    m.Outcome: OUTCOMES,
    m.Mode: DISPLAY_MODES,
    m.EndReason: END_REASONS,
    m.Cancel: CANCELLATIONS,
    m.CaseReason: CASE_REASONS,
    m.View: VIEWS,
}


_STATUS = Field("status", Choice(PAYMENT_STATUSES))
_ACQUIRER_STATUS = Field("acquirer_status", TEXT)


# --- event name -> fields -----------------------------------------------------------------------------------------

_AT = Field("at_ms", INTEGER)
_REQUEST = Field("request_seq", INTEGER, "seq")
_AMOUNT = Field("amount_kopecks", INTEGER, "kopecks")
_CURRENCY = Field("currency", TEXT)
_PAYMENT = Field("payment_id", TEXT)
_DETAIL = Field("detail", TEXT)
_WAIT = Field("wait_ms", INTEGER)

EVENTS = {
    "tick": Shape(m.Tick, (_AT,)),
    "payment_created": Shape(
        m.Created, (_AT, _REQUEST, _PAYMENT, _STATUS, _AMOUNT, _CURRENCY, Field("link", OPTIONAL_TEXT))
    ),
    "create_failed": Shape(
        m.CreateFailed,
        (_AT, _REQUEST, _DETAIL, Field("payment_may_exist", BOOLEAN, "may_exist"), Field("final", BOOLEAN), _WAIT),
    ),
    "status_received": Shape(
        m.PaymentStatusReceived,
        (
            _AT,
            _REQUEST,
            _PAYMENT,
            _STATUS,
            _ACQUIRER_STATUS,
            _AMOUNT,
            _CURRENCY,
            Field("proved", BOOLEAN),
            Field("link", OPTIONAL_TEXT, missing=None),
        ),
    ),
    "status_unavailable": Shape(m.StatusUnavailable, (_AT, _REQUEST, _DETAIL, _WAIT)),
    "payment_not_listed": Shape(m.PaymentNotListed, (_AT, _REQUEST)),
    "cancel_answered": Shape(
        m.CancelAnswered,
        (
            _AT,
            _REQUEST,
            Field("cancellation", Choice(CANCELLATIONS), "result"),
            _DETAIL,
            Field("wait_ms", INTEGER, missing=0),
        ),
    ),
    "presented": Shape(m.Presented, (_AT, Field("evidence", TEXT))),
    "present_failed": Shape(m.PresentFailed, (_AT, _DETAIL)),
    "retry_chosen": Shape(m.Retry, (_AT,)),
    "cancel_chosen": Shape(m.CancelWanted, (_AT,)),
    "recovered": Shape(m.Recovered, (_AT, Field("not_accepted", BOOLEAN, missing=False))),
    "outcome_taken": Shape(m.Delivered, (_AT,)),
}


# --- effect name -> fields ----------------------------------------------------------------------------------------

EFFECTS = {
    "send_create": Shape(m.SendCreate, (_REQUEST,)),
    "send_status_request": Shape(m.SendPoll, (_REQUEST, _PAYMENT)),
    "send_list_request": Shape(m.SendFind, (_REQUEST,)),
    "send_cancel": Shape(m.SendCancel, (_REQUEST, _PAYMENT)),
    "present_link": Shape(m.Present, (Field("link", TEXT), Field("verified", BOOLEAN))),
    "withdraw_link": Shape(m.Withdraw, ()),
    "show_view": Shape(m.Show, (Field("view", Choice(VIEWS)),)),
    "open_case": Shape(m.OpenCase, (Field("reason", Choice(CASE_REASONS)), _DETAIL)),
    "add_case_note": Shape(m.NoteCase, (_DETAIL, Field("reopens", BOOLEAN))),
    "report_outcome": Shape(
        m.Finish, (Field("outcome", Choice(OUTCOMES)), Field("end_reason", Choice(END_REASONS), "reason"))
    ),
}


# --- an attempt's state -> fields ---------------------------------------------------------------------------------

TIMING = Shape(
    m.Timing,
    (
        Field("poll_interval_ms", INTEGER, "poll_ms"),
        Field("poll_timeout_ms", INTEGER),
        Field("create_window_ms", INTEGER),
        Field("create_retry_ms", INTEGER),
        Field("present_timeout_ms", INTEGER, "present_ms"),
        Field("confirm_timeout_ms", INTEGER, "confirm_ms"),
        Field("watch_interval_ms", INTEGER, "watch_ms"),
        Field("grace_ms", INTEGER),
        Field("overdue_ms", INTEGER, missing=m.Timing().overdue_ms),
        Field("dialog_again", BOOLEAN),
        Field("poll_in_dialog", BOOLEAN),
    ),
)
PLAN = Shape(
    m.Plan,
    (
        Field("attempt", TEXT, "key"),
        Field("order_no", TEXT),
        _AMOUNT,
        _CURRENCY,
        Field("display_mode", Choice(DISPLAY_MODES), "mode"),
        Field("begun_at_ms", INTEGER),
        Field("expires_at_ms", INTEGER),
        Field("sticker_id", OPTIONAL_TEXT),
        Field("plate_link", OPTIONAL_TEXT),
        Field("tendered_elsewhere_kopecks", INTEGER, "tendered_elsewhere"),
        Field("tendered_by_sbp_kopecks", INTEGER, "tendered_by_sbp", missing=0),
        Field("remaining_kopecks", INTEGER, "remaining", missing=0),
        Field("timing", TIMING),
        Field("till_id", OPTIONAL_TEXT, missing=None),
        Field("link_hosts", Words(), missing=None),
    ),
)
STATE = Shape(
    m.State,
    (
        Field("plan", PLAN),
        Field("phase", Choice(PHASES)),
        Field("payment_id", OPTIONAL_TEXT),
        Field("link", OPTIONAL_TEXT),
        Field("end_reason", Choice(END_REASONS), "reason"),
        Field("cancellation", Choice(CANCELLATIONS), "cancel"),
        Field("outcome", Choice(OUTCOMES, optional=True)),
        Field("case_reason", Choice(CASE_REASONS, optional=True), "case"),
        Field("outcome_taken", BOOLEAN, "delivered"),
        Field("payment_may_exist", BOOLEAN, "may_exist"),
        Field("presented", BOOLEAN),
        Field("dialog_shown", BOOLEAN, "asked"),
        Field("request_seq", INTEGER, "seq"),
        Field("overtaken_request_seq", INTEGER, "earlier_seq", missing=0),
        Field("request_pending", BOOLEAN, "busy"),
        Field("request_sent_at_ms", INTEGER, "sent_at_ms", missing=0),
        Field("next_request_at_ms", INTEGER, "next_at_ms"),
        Field("phase_ends_at_ms", INTEGER, "until_ms"),
        Field("phase_put_off_ms", INTEGER, "put_off_ms", missing=0),
        Field("resumed_at_ms", INTEGER, missing=0),
        Field("last_status_at_ms", INTEGER),
    ),
)


# --- record kind -> fields ----------------------------------------------------------------------------------------

_EFFECTS = Field("effects", Many(Named(EFFECTS)))
_STATE = Field("state", STATE)
_CASE = Field("case_number", INTEGER)

KINDS: dict[str, tuple[Field, ...]] = {
    "attempt_started": (_STATE, _EFFECTS),
    "attempt_step": (Field("event", Named(EVENTS)), _STATE, _EFFECTS),
    "note": (Field("text", TEXT),),
    "case_opened": (_CASE, Field("reason", Choice(CASE_REASONS)), _DETAIL),
    "case_note": (_DETAIL,),
    "case_reopened": (_CASE,),
    "case_closed": (_CASE, Field("operator", TEXT), Field("resolution", TEXT)),
    "archived": (
        Field("last_row", INTEGER),
        Field("last_hash", TEXT),
        Field("file", TEXT),
        Field("kept_rows_hash", TEXT),
        Field("attempts_hash", TEXT),
    ),
}
"""Each kind's body. `archived` belongs to no attempt: see `archive`."""

_RESOLUTION = (
    Field("case_number", INTEGER, "number"),
    Field("operator", TEXT),
    Field("resolution", TEXT),
    Field("at_ms", INTEGER),
    Field("phase", TEXT),
    Field("attempt", TEXT, missing=""),
)


# --- functions ----------------------------------------------------------------------------------------------------


def to_json(data: Mapping[str, Any]) -> str:
    """The one text of `data`: keys sorted, no spaces, UTF-8 as it is."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def from_json(text: object) -> dict[str, Any]:
    """The object in `text`, which is a str or bytes in a sound journal; a damaged one may hold any value.

    Raises:
        JournalDamaged: there is none.
    """
    if not isinstance(text, str | bytes):
        raise JournalDamaged(f"not text: {_shortened(text)}")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JournalDamaged(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise JournalDamaged(f"not an object of JSON: {_shortened(data)}")
    return data


def encode_body(kind: str, **values: Any) -> dict[str, Any]:
    """The body of a record of `kind`, from the Python value of each of its fields."""
    return {field.name: field.type.encode(values[field.python_name]) for field in KINDS[kind]}


def decode_body(version: int, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The Python value of each field of a record's body: events, states and effects are the machine's own.

    Raises:
        JournalTooNew: a newer release wrote it. JournalDamaged: it is not what `kind` holds.
    """
    _check_version(version)
    if kind not in KINDS:
        raise JournalDamaged(f"unknown kind of record {_shortened(kind)}")
    return _decode_fields(KINDS[kind], data, kind)


def encode_state(state: m.State) -> dict[str, Any]:
    """An attempt's state."""
    return STATE.encode(state)


def decode_state(version: int, data: Mapping[str, Any]) -> m.State:
    """The state that `encode_state` gave.

    Raises:
        JournalTooNew: a newer release wrote it. JournalDamaged: it is not a state.
    """
    _check_version(version)
    return cast(m.State, STATE.decode(data, "state"))


def encode_resolution(decision: object) -> dict[str, Any]:
    """A decision on a case (`resolutions.Resolution`), with the version of its format."""
    found = {field: getattr(decision, field.python_name) for field in _RESOLUTION}
    values = {field.name: field.type.encode(value) for field, value in found.items() if value != field.missing}
    return {"version": RECORD_VERSION, **values}


def decode_resolution(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the decision that `encode_resolution` gave.

    Raises:
        JournalTooNew: a newer release wrote it. JournalDamaged: it is not a decision.
    """
    _check_version(INTEGER.decode(data.get("version"), "version"))
    values = _decode_fields(_RESOLUTION, data, "resolution")
    if not (1 <= values["number"] <= 2**31 and 0 <= values["at_ms"] <= 2**53):
        raise JournalDamaged("resolution: a number is out of range")
    return values


def _check_version(version: int) -> None:
    if version > RECORD_VERSION:
        raise JournalTooNew(f"record version {version}, this package knows {RECORD_VERSION}: update the package")
    if version < 1:
        raise JournalDamaged(f"there is no record version {version}")


def row_hash(
    seq: int,
    at_ms: int,
    attempt: str,
    kind: str,
    version: int,
    lane_id: str,
    acquirer: str,
    body: str,
    prev_hash: str,
) -> str:
    """The hash of a row: SHA-256 of the JSON array of all its other columns, in this order and without spaces.

    A damaged row may hold bytes, which JSON has not: it has a hash too, and not the one that was written.
    """
    row = (seq, at_ms, attempt, kind, version, lane_id, acquirer, body, prev_hash)
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def record_data(record: Record) -> dict[str, Any]:
    """A record as plain data, for JSON."""
    return {
        "seq": record.seq,
        "at_ms": record.at_ms,
        "attempt": record.attempt,
        "kind": record.kind,
        "version": record.version,
        "lane_id": record.lane_id,
        "acquirer": record.acquirer,
        "body": record.body,
        "hash": record.hash,
    }


def case_data(case: Case) -> dict[str, Any]:
    """A case as plain data, for JSON."""
    return {
        "number": case.number,
        "attempt": case.attempt,
        "order_no": case.order_no,
        "amount_kopecks": case.amount_kopecks,
        "payment_id": case.payment_id,
        "phase": case.phase,
        "opened_at_ms": case.opened_at_ms,
        "reason": case.reason,
        "detail": case.detail,
        "closed_at_ms": case.closed_at_ms,
        "operator": case.operator,
        "resolution": case.resolution,
    }
