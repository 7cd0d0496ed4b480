"""`sco-pay cases NUMBER` tells the story of a case in the operator's language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.cli.story import STORY_WORDS, StoryWords, _note, heading, story
from sco_payment.journal import Journal, Record, codec
from tests.payment.lane_kit import run

FOREIGN = re.compile(r"[A-Za-z]{2,}")


@pytest.fixture(scope="module", params=["retry", "cancel"])
def journal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a demo whose payment ended in a case."""
    out = tmp_path_factory.mktemp(request.param)
    customer = "pays-late" if request.param == "retry" else "pays-offline"
    done = run(
        "demo", "--customer", customer, "--dialog", request.param, "--speed", "20", "--skip-waiting", "--out", str(out)
    )
    assert done.returncode == 4, done.stderr
    return out / "demo-journal.db"


def read(path: Path) -> tuple[list[str], list[Record]]:
    with Journal(path, read_only=True) as journal:
        case = journal.case(1)
        return heading(case, None, "2026-01-01", "ru"), journal.timeline(case.attempt)


def test_the_story_has_only_words_of_its_language(journal: Path) -> None:
    head, timeline = read(journal)
    sentences = [text for _, text in story(timeline, "ru")]
    assert not [text for text in sentences if FOREIGN.search(text)], sentences
    assert not [line for line in head if FOREIGN.search(re.sub(r"\([a-z_]+\)$", "", line))], head
    assert "253,00\u00a0₽" in head[1]


def test_the_story_tells_what_was_seen_and_chosen_once(journal: Path) -> None:
    _, timeline = read(journal)
    told = [text for _, text in story(timeline, "ru")]
    assert told[0] == "Начата оплата 253,00\u00a0₽"
    assert any("Покупатель видит: «Оплата не завершена, нет связи с процессингом»" in text for text in told)
    assert any("Покупатель видит: «Позовите сотрудника магазина»" in text for text in told)
    assert told.count("Покупатель может оплатить") == 1, "its note and its step are one thing"
    if "Выбрано «Повторить»" in told:
        assert told[-1] == "Банк: оплачено, 253,00\u00a0₽"
    else:
        assert told.count("Отмена отправлена один раз, ответа нет") == 1


def test_effects_have_their_names_only_when_asked_for(tmp_path: Path, journal: Path) -> None:
    settings = run("settings", "example", "--simulated").stdout
    (tmp_path / "lane.toml").write_text(settings, "utf-8")
    arguments = ("cases", "1", "--settings", str(tmp_path / "lane.toml"))
    places = {"SCO_JOURNAL_PATH": str(journal)}
    plain, names = run(*arguments, **places).stdout, run(*arguments, "-v", **places).stdout
    assert "Обращение № 1" in plain
    assert "Подробно" in plain
    assert "[show wait, create the payment]" in names
    assert "[" not in plain
    assert "Now: " in run(*arguments, SCO_LANE_LANGUAGE="en", **places).stdout


def test_every_name_of_the_journal_has_words() -> None:
    for words in STORY_WORDS.values():
        own = {"tick", "status_received", "cancel_answered"}
        only_here = {"link_refused", "not_accepted"}  # of a note, and of "recovered" by a field
        assert {*words.events, *own} == {*codec.EVENTS, *only_here}
        assert {*words.reasons} == {*codec.CASE_REASONS.values()}
        assert {*words.statuses} == {*codec.PAYMENT_STATUSES.values()}
        assert {*words.cancellations} == {*codec.CANCELLATIONS.values()} - {"requested"}
        with_case = m.FINAL | m.BACKGROUND
        assert {*words.phases} == {name for phase, name in codec.PHASES.items() if phase in with_case}


def test_both_languages_have_the_same_sentences() -> None:
    russian, english = STORY_WORDS["ru"], STORY_WORDS["en"]
    for field in fields(StoryWords):
        one, other = getattr(russian, field.name), getattr(english, field.name)
        if isinstance(one, Mapping):
            assert {name: re.findall(r"{\w+}", text) for name, text in one.items()} == {
                name: re.findall(r"{\w+}", text) for name, text in other.items()
            }
        else:
            assert re.findall(r"{\w+}", one) == re.findall(r"{\w+}", other)


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        ("acquirer: open (Confirmation), 1\u00a0253,00\u00a0RUB", "Банк: ещё не оплачено"),
        ("acquirer: paid (Settled), 1\u00a0253,00\u00a0RUB", "Банк: оплачено, 1\u00a0253,00\u00a0₽"),
        ("acquirer: paid (Settled), 1\u00a0253,00\u00a0₽", "Банк: оплачено, 1\u00a0253,00\u00a0₽"),
        ("acquirer: paid (Settled), 5,00\u00a0USD", "Банк: оплачено, 5,00\u00a0USD"),
        ("acquirer: unknown (Жду), 5,00\u00a0RUB", "Банк: непонятное состояние «Жду»"),
        ("no answer from the acquirer: HTTP 500", "Банк не отвечает"),
        ("acquirer: no payment of this order", "Банк не знает платежей этого заказа"),
        ("cancel: refused too late", "Банк отказал в отмене"),
        ("cancel: not_asked no network", "Отмена не дошла до банка"),
        ("not presented: paper out", "Показать ссылку не удалось (paper out)"),
        ("the paper was changed", "the paper was changed"),
        (
            "acquirer: paid (Settled), 5,00\u00a0RUB; that is payment 7, which agrees in order, and names no attempt",
            "Банк: оплачено, 5,00\u00a0₽; чей это платёж, банк не подтверждает",
        ),
    ],
)  # fmt: skip
def test_a_note_of_an_answer_in_russian(note: str, sentence: str) -> None:
    assert _note(note, STORY_WORDS["ru"]) == sentence
