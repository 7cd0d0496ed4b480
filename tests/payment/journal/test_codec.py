"""What is on disk and in JSON is fixed: by kept files, and by tables that miss nothing."""

from __future__ import annotations

import dataclasses
import re
import shutil
import sqlite3
import types
import typing
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment.attempt import states
from sco_payment.journal import Journal, JournalDamaged, JournalTooNew, codec
from sco_payment.journal.codec import BOOLEAN, INTEGER, OPTIONAL_TEXT, TEXT, Choice, Field, Shape
from sco_payment.journal.describe import describe
from sco_payment.journal.resolutions import Resolution
from tests.payment.journal import samples
from tests.payment.journal.kit import opened, plan, tamper

KEPT = Path(__file__).parents[2] / "corpora" / "journal"
SHAPES = {
    **codec.EVENTS,
    **codec.EFFECTS,
    "state": codec.STATE,
    "plan": codec.PLAN,
    "timing": codec.TIMING,
}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A copy of the journal that the first release wrote."""
    return Path(shutil.copy(KEPT / "version-1.db", tmp_path / "kept"))


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(path)
    rows = db.execute("SELECT * FROM records ORDER BY seq").fetchall()
    db.close()
    return rows


def lines_of(path: Path) -> list[str]:
    with Journal(path, read_only=True) as journal:
        assert journal.verify() == []
        records = [codec.to_json(codec.record_data(record)) for record in journal.records()]
        cases = [codec.to_json(codec.case_data(case)) for case in journal.cases(include_closed=True)]
        return [*records, *cases]


def texts_written_again(path: Path) -> Iterator[tuple[str, str]]:
    """Each body and state as it is on disk, and as it is when it is read and written again."""
    for _, _, _, kind, version, _, _, text, _, _ in rows_of(path):
        values = codec.decode_body(version, kind, codec.from_json(text))
        yield text, codec.to_json(codec.encode_body(kind, **values))
    db = sqlite3.connect(path)
    for version, text in db.execute("SELECT version, state FROM attempts"):
        yield text, codec.to_json(codec.encode_state(codec.decode_state(version, codec.from_json(text))))
    db.close()


def test_the_journal_of_the_first_release_reads_as_it_did(kept: Path) -> None:
    assert lines_of(kept) == (KEPT / "version-1.jsonl").read_text("utf-8").splitlines()
    again = list(texts_written_again(kept))
    assert len(again) > 100
    for text, written in again:
        assert written == text


def test_what_is_written_is_byte_for_byte_what_the_first_release_wrote(kept: Path, tmp_path: Path) -> None:
    """Names, order, escapes, hashes: all of each row."""
    samples.write(tmp_path / "written")
    assert rows_of(tmp_path / "written") == rows_of(kept)


def test_every_record_is_described_in_words(kept: Path) -> None:
    with Journal(kept, read_only=True) as journal:
        lines = [describe(record) for record in journal.records()]
    assert all(line and "{" not in line for line in lines)
    assert "attempt started: order A-0, 253,00\xa0₽" in lines
    assert "payment p-1 is paid (Settled), 253,00\xa0₽, not proved to be this attempt's -> creating" in lines
    assert "case 1 closed by Иванова: деньги вернули" in lines
    assert "added to the case: money came" in lines


# --- a rename in Python -------------------------------------------------------------------------------------------


def renamed(shape: Shape, name: str, **attributes: str) -> Shape:
    """The table's entry after its class was renamed to `name`, and its attributes (old=new) as well."""
    assert isinstance(shape.make, type)
    fields = [
        (attributes.get(field.name, field.name), field.type, dataclasses.field(default=field.default))
        for field in dataclasses.fields(shape.make)
    ]
    changed = dataclasses.make_dataclass(name, fields, frozen=True, slots=True)
    entries = tuple(
        replace(field, attribute=attributes.get(field.python_name, field.python_name)) for field in shape.fields
    )
    return Shape(changed, entries)


def test_no_python_name_or_value_is_written(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for enum in codec.ENUMS:
        for member in enum:
            monkeypatch.setattr(member, "_value_", f"renamed {member.name}")
    classes = [shape.make for shape in SHAPES.values() if isinstance(shape.make, type)]
    names = [one.__name__ for one in classes]
    try:
        for one in classes:
            one.__name__ = f"Renamed{one.__name__}"
        samples.write(tmp_path / "written")
    finally:
        for one, name in zip(classes, names, strict=True):
            one.__name__ = name
    assert rows_of(tmp_path / "written") == rows_of(kept)


def test_classes_fields_and_members_that_are_renamed_in_python_change_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stage(Enum):
        FIRST, SECOND, THIRD = 1, 2, 3

    created = renamed(codec.EVENTS["payment_created"], "BankPayment", kopecks="minor", payment_id="bank_id")
    monkeypatch.setitem(codec.EVENTS, "payment_created", created)
    finish = renamed(codec.EFFECTS["report_outcome"], "Ended", reason="why")
    monkeypatch.setitem(codec.EFFECTS, "report_outcome", finish)
    modes = Choice(dict(zip(Stage, codec.DISPLAY_MODES.values(), strict=True)))
    plan = renamed(codec.PLAN, "Leg", key="attempt_id", mode="stage")
    plan = replace(plan, fields=tuple(replace(f, type=modes) if f.name == "display_mode" else f for f in plan.fields))
    state = renamed(codec.STATE, "Situation", case="needs", link="url", seq="question")
    state = replace(state, fields=tuple(replace(f, type=plan) if f.name == "plan" else f for f in state.fields))
    monkeypatch.setattr(codec, "STATE", state)
    for kind in ("attempt_started", "attempt_step"):
        fields = tuple(replace(field, type=state) if field.name == "state" else field for field in codec.KINDS[kind])
        monkeypatch.setitem(codec.KINDS, kind, fields)
    event = codec.decode_body(1, "attempt_step", next(_bodies(kept, "payment_created")))["event"]
    assert (type(event).__name__, event.minor, event.bank_id) == ("BankPayment", 25_300, "p-1")
    for text, written in texts_written_again(kept):
        assert written == text


def _bodies(path: Path, event: str) -> Iterator[dict[str, Any]]:
    bodies = (codec.from_json(row[7]) for row in rows_of(path))
    return (body for body in bodies if body.get("event", {}).get("name") == event)


# --- the tables miss nothing --------------------------------------------------------------------------------------


def test_every_event_and_effect_has_a_name() -> None:
    assert {shape.make for shape in codec.EVENTS.values()} == set(typing.get_args(m.Event))
    assert {shape.make for shape in codec.EFFECTS.values()} == set(typing.get_args(m.Effect))
    with pytest.raises(TypeError, match="State has no name"):
        codec.Named(codec.EVENTS).encode(m.State(next(samples.states()).plan))


@pytest.mark.parametrize("name", SHAPES)
def test_every_field_is_in_its_table_with_its_type(name: str) -> None:
    shape = SHAPES[name]
    assert isinstance(shape.make, type)
    hints = typing.get_type_hints(shape.make)
    entries = {field.python_name: field.type for field in shape.fields}
    assert set(entries) == {field.name for field in dataclasses.fields(shape.make)}
    assert len({field.name for field in shape.fields}) == len(shape.fields)
    for python_name, entry in entries.items():
        assert entry == expected_type(hints[python_name]), python_name


def expected_type(hint: Any) -> Any:
    if hint == tuple[str, ...] | None:
        return codec.Words()
    if isinstance(hint, types.UnionType):
        (inner,) = set(typing.get_args(hint)) - {types.NoneType}
        return replace(expected_type(inner), optional=True)
    if hint in codec.ENUMS:
        return Choice(codec.ENUMS[hint])
    return {int: INTEGER, bool: BOOLEAN, str: TEXT, m.Plan: codec.PLAN, m.Timing: codec.TIMING}[hint]


def test_every_member_of_every_enum_has_a_text_of_its_own() -> None:
    enums = {thing for thing in vars(states).values() if isinstance(thing, type) and issubclass(thing, Enum)}
    assert set(codec.ENUMS) == enums - {Enum}
    for enum, texts in codec.ENUMS.items():
        assert set(texts) == set(enum)
        assert len(set(texts.values())) == len(texts)


def test_names_are_snake_case_and_times_and_amounts_carry_their_units() -> None:
    fields = [field for shape in SHAPES.values() for field in shape.fields]
    fields += [field for of_kind in codec.KINDS.values() for field in of_kind]
    names = {*codec.KINDS, *codec.EVENTS, *codec.EFFECTS, *(field.name for field in fields)}
    names |= {text for texts in codec.ENUMS.values() for text in texts.values()}
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    integers = {field.name for field in fields if field.type is INTEGER}
    assert {name for name in integers if not name.endswith(("_ms", "_kopecks"))} == {
        "request_seq", "overtaken_request_seq", "case_number", "last_row",
    }  # fmt: skip


def test_the_samples_hold_everything_that_the_tables_name(kept: Path) -> None:
    text = "".join(lines_of(kept))
    named = {*codec.KINDS, *codec.EVENTS, *codec.EFFECTS} - {"archived"}  # no lane writes it: see test_archive.py
    named |= {member for texts in codec.ENUMS.values() for member in texts.values()}
    assert {name for name in named if f'"{name}"' not in text} == set()


# --- reading ------------------------------------------------------------------------------------------------------


def started() -> dict[str, Any]:
    return codec.encode_body("attempt_started", state=m.begin(next(samples.states()).plan)[0], effects=(m.Withdraw(),))


def test_fields_of_a_later_release_are_ignored() -> None:
    body = started()
    body["weather"] = body["state"]["weather"] = body["state"]["plan"]["weather"] = {"rain": [1]}
    body["effects"][0]["weather"] = "fine"
    assert codec.decode_body(1, "attempt_started", body) == codec.decode_body(1, "attempt_started", started())


def test_a_field_that_was_added_later_has_a_meaning_where_it_is_missing() -> None:
    shape = Shape(m.Presented, (Field("at_ms", INTEGER), Field("evidence", TEXT, missing="none is recorded")))
    assert shape.decode({"at_ms": 5}, "presented") == m.Presented(5, "none is recorded")
    assert shape.encode(m.Presented(5, "none is recorded")) == {"at_ms": 5}, "as before the field was added"
    with pytest.raises(JournalDamaged, match=r"presented\.evidence: expected text, found None"):
        shape.decode({"at_ms": 5, "evidence": None}, "presented")


def test_a_cancellation_of_an_older_record_has_nothing_to_wait_for() -> None:
    events = codec.Named(codec.EVENTS)
    answered = m.CancelAnswered(7_000, 8, m.Cancel.NOT_ASKED, "too many requests", wait_ms=15_000)
    written = events.encode(answered)
    assert events.decode(written, "event") == answered
    del written["wait_ms"]
    older = events.decode(written, "event")
    assert older == replace(answered, wait_ms=0)
    assert events.encode(older) == written


def test_an_outcome_that_was_given_back_is_told_from_a_restart() -> None:
    shape = codec.EVENTS["recovered"]
    assert shape.encode(m.Recovered(5)) == {"at_ms": 5}, "as before the field was added"
    given_back = m.Recovered(5, not_accepted=True)
    assert shape.decode(shape.encode(given_back), "recovered") == given_back
    assert shape.decode({"at_ms": 5}, "recovered") == m.Recovered(5)


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_that_never_existed_is_damage(version: int) -> None:
    with pytest.raises(JournalDamaged, match=f"no record version {version}"):
        codec.decode_body(version, "note", {"text": "x"})


@pytest.mark.parametrize(
    "read",
    [lambda: codec.decode_body(2, "note", {"text": "x"}), lambda: codec.decode_state(2, started()["state"])],
    ids=["record", "state"],
)
def test_a_version_of_a_later_release_is_refused(read: Any) -> None:
    with pytest.raises(JournalTooNew, match="record version 2, this package knows 1: update the package"):
        read()


@pytest.mark.parametrize(
    ("where", "value", "found"),
    [
        ("state", None, "attempt_started.state: expected an object, found None"),
        ("state.phase", "resting", "attempt_started.state.phase: expected one of creating, .*, found 'resting'"),
        ("state.phase", None, "state.phase: expected one of"),
        ("state.outcome", "x" * 99, r"state.outcome: expected one of .*, found 'x{39}\.\.\.$"),
        ("state.phase", "x" * 38, r"state.phase: expected one of .*, found 'x{38}'$"),
        ("state.phase", "x" * 39, r"state.phase: expected one of .*, found 'x{39}\.\.\.$"),
        ("state.presented", 1, "state.presented: expected true or false, found 1"),
        ("state.plan.amount_kopecks", True, "amount_kopecks: expected a whole number, found True"),
        ("state.plan.amount_kopecks", 25.0, "amount_kopecks: expected a whole number, found 25.0"),
        ("state.plan.order_no", 42, "state.plan.order_no: expected text, found 42"),
        ("effects", {}, "attempt_started.effects: expected a list"),
        ("effects", [{"name": "fly"}], "attempt_started.effects: unknown name 'fly'"),
        ("effects", [{"name": []}], r"effects: unknown name \[\]"),
        ("effects", ["withdraw_link"], "effects: unknown name None"),
        ("effects", [{"name": "send_create"}], "effects send_create: the field request_seq is missing"),
    ],
)
def test_known_fields_are_read_strictly(where: str, value: object, found: str) -> None:
    body = started()
    inner, names = body, where.split(".")
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = value
    with pytest.raises(JournalDamaged, match=found):
        codec.decode_body(1, "attempt_started", body)


def test_unknown_kinds_and_missing_fields_are_damage() -> None:
    with pytest.raises(JournalDamaged, match="unknown kind of record 'weather'"):
        codec.decode_body(1, "weather", {})
    with pytest.raises(JournalDamaged, match="note: the field text is missing"):
        codec.decode_body(1, "note", {})
    assert codec.STATE.decode(started()["state"] | {"payment_id": None, "case_reason": None}, "s").payment_id is None
    assert OPTIONAL_TEXT.decode(None, "x") is None
    with pytest.raises(JournalDamaged, match=r"^state: the field plan is missing"):
        codec.decode_state(1, {})


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 100_000, b"\xff"])
def test_json_that_is_not_an_object_is_damage(text: str | bytes) -> None:
    with pytest.raises(JournalDamaged, match=r"not (JSON|an object of JSON)"):
        codec.from_json(text)


DECISION = Resolution(7, "Иванова", "выдано", 5, "watching")
DECISION_DATA = {
    "version": 1, "case_number": 7, "operator": "Иванова", "resolution": "выдано", "at_ms": 5, "phase": "watching",
}  # fmt: skip


def test_a_decision_that_waits_is_written_by_the_table_too() -> None:
    assert codec.encode_resolution(DECISION) == DECISION_DATA
    assert Resolution(**codec.decode_resolution(DECISION_DATA | {"terminal": "office"})) == DECISION
    named = replace(DECISION, attempt="k9")
    assert Resolution(**codec.decode_resolution(codec.encode_resolution(named))) == named
    for name in DECISION_DATA:
        with pytest.raises(JournalDamaged):
            codec.decode_resolution({key: value for key, value in DECISION_DATA.items() if key != name})
        with pytest.raises(JournalDamaged):
            codec.decode_resolution(DECISION_DATA | {name: []})
    for limit in ({"case_number": 1}, {"case_number": 2**31}, {"at_ms": 0}, {"at_ms": 2**53}):
        codec.decode_resolution(DECISION_DATA | limit)
    for beyond in ({"case_number": 0}, {"case_number": 2**31 + 1}, {"at_ms": -1}, {"at_ms": 2**53 + 1}):
        with pytest.raises(JournalDamaged, match="out of range"):
            codec.decode_resolution(DECISION_DATA | beyond)
    with pytest.raises(JournalTooNew):
        codec.decode_resolution(DECISION_DATA | {"version": 2})


def test_a_record_that_cannot_be_read_is_named(kept: Path) -> None:
    tamper(
        kept,
        "UPDATE records SET version = 2 WHERE seq = 3",
        "UPDATE records SET kind = 'weather' WHERE seq = 5",
        "UPDATE attempts SET version = 2 WHERE attempt = 'k9'",
    )
    with Journal(kept, read_only=True) as journal:
        with pytest.raises(JournalTooNew, match="row 3 of the journal: record version 2"):
            journal.records()
        with pytest.raises(JournalDamaged, match="row 5 of the journal cannot be read: unknown kind"):
            journal.records(after=3)
        assert [record.seq for record in journal.records(after=5, limit=2)] == [6, 7]
        with pytest.raises(JournalTooNew, match="update the package"):
            journal.attempt("k9")
        found = journal.verify()
    assert "row 3 cannot be read: record version 2, this package knows 1: update the package" in found
    assert "row 5 cannot be read: unknown kind of record 'weather'" in found


def test_a_lane_goes_on_with_the_journal_of_the_first_release(kept: Path) -> None:
    with opened(kept) as journal:
        head = journal.head()
        journal.record(None, *m.begin(replace(samples._PLAN, key="new")), at_ms=1)
        assert journal.verify(head) == []


@pytest.mark.parametrize("hosts", [None, (), ("qr.nspk.ru", "pay.example")])
def test_a_list_of_texts_comes_back(hosts: tuple[str, ...] | None) -> None:
    state = m.State(replace(plan(), link_hosts=hosts))
    written = codec.encode_state(state)
    assert written["plan"].get("link_hosts") == (None if hosts is None else list(hosts))
    assert codec.decode_state(codec.RECORD_VERSION, written) == state


@pytest.mark.parametrize("value", [None, 7, 1.5])
def test_a_body_that_is_no_text_is_damage(value: object) -> None:
    with pytest.raises(JournalDamaged, match=f"not text: {value}"):
        codec.from_json(value)


def test_a_decision_that_cannot_be_read_says_where() -> None:
    with pytest.raises(JournalDamaged, match=r"^version: "):
        codec.decode_resolution({"version": "1"})
    with pytest.raises(JournalDamaged, match=r"^resolution: the field case_number is missing"):
        codec.decode_resolution({"version": 1})


def test_the_hash_of_a_row_never_changes() -> None:
    """Of any row, one that is damaged too: a half of a surrogate pair, octets in place of a text."""
    assert (
        codec.row_hash(1, 2, "k", "note", 1, "КСО", "paymaster", "{}", "0" * 64)
        == "dd4cbe55f53157bfdae82626d5144b6d2e316f81e8216bc347b4aea38d927ca3"
    )
    assert (
        codec.row_hash(1, 2, "\ud800", "note", 1, b"\xff", "p", None, "")
        == "80ce00c54befde36353eb760a853f0c285782b693f1f9580f60a97b5405092ee"
    )
