"""A decision of the office goes to the lane, which records it or says why not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sco_payment.journal import Journal
from tests.fleet.kit import Fleet, ship
from tests.fleet.office.kit import Answer, Office, Visitor
from tests.payment.journal.kit import opened, written

pytestmark = pytest.mark.program("pg_createcluster")


class OpenCase:
    """A lane with an open case, and both sides of it."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.office, self.fleet = office, Fleet(office.server, office.database)
        self.journal = folder / "j"
        self.token = self.fleet.add_lane()
        written(self.journal)
        self.ship()
        self.epoch = office.rows("SELECT epoch FROM cases")[0]["epoch"]
        self.path = f"case?lane=lane-1&journal={self.epoch}&number=1"

    def ship(self) -> None:
        ship(self.fleet.shipper(self.journal, self.token))

    def phase(self) -> str:
        return str(
            self.office.rows("SELECT phase FROM attempts a JOIN cases c USING (lane_id, epoch, attempt)")[0]["phase"]
        )

    def decide(self, visitor: Visitor, answer: str = "goods_given", note: str = "", phase: str = "") -> Answer:
        return visitor.send(self.path, {"answer": answer, "note": note, "phase": phase or self.phase()})

    def heartbeat(self, answers: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
        """What the lane learns."""
        with Journal(self.journal, read_only=True) as journal:
            seq, _, digest = journal.head().partition(":")
        body = {
            "epoch": self.epoch, "seq": int(seq), "hash": digest, "now_ms": round(time.time() * 1000), "version": "0",
            "settings_hash": "", "settings_version": None, "health": {}, "answers": list(answers),
        }  # fmt: skip
        return list(self.fleet.request("POST", "/heartbeat", self.token, body).body["decisions"])


@pytest.fixture
def case(office: Office, tmp_path: Path) -> Iterator[OpenCase]:
    return OpenCase(office, tmp_path)


def test_the_lane_gets_the_decision_and_its_journal_closes_the_case(case: OpenCase) -> None:
    visitor = case.office.visitor("decider")
    answer = case.decide(visitor, note="чек  пробит")
    assert answer.status == 303
    page = visitor.get(case.path + "&stored=1&lang=en").text
    assert "waits for the lane" in page
    assert 'http-equiv="refresh"' in page
    assert 'id="decide"' not in page
    assert case.office.rows("SELECT closed_at_ms FROM cases")[0]["closed_at_ms"] is None
    (decision,) = case.heartbeat()
    assert decision["operator"] == "Имя decider (decider)"
    assert decision["resolution"] == "Товар выдан. чек пробит"
    assert (decision["case"], decision["epoch"], decision["phase"]) == (1, case.epoch, case.phase())
    with opened(case.journal) as journal:
        journal.close_case(
            decision["case"], operator=decision["operator"], resolution=decision["resolution"], at_ms=90_000
        )
    case.ship()
    page = visitor.get(case.path).text
    assert "applied by the lane" in page
    assert "Closed by Имя decider (decider): Товар выдан. чек пробит" in page
    assert 'http-equiv="refresh"' not in page
    (done,) = case.office.rows("SELECT user_name, subject, detail FROM office_audit WHERE action = 'decision'")
    assert (done["user_name"], done["subject"]) == ("decider", "lane-1 № 1")
    assert done["detail"] == f"goods_given; journal {case.epoch}; decision {decision['id']}"


def test_a_refusal_is_shown_with_its_reason_and_another_decision_can_be_made(case: OpenCase) -> None:
    visitor = case.office.visitor("decider")
    case.decide(visitor)
    (decision,) = case.heartbeat()
    assert (
        case.heartbeat(({"id": decision["id"], "status": "refused", "reason": "the payment is paid_late now"},)) == []
    )
    page = visitor.get(case.path, headers={"Accept-Language": "en"}).text
    assert "refused by the lane: the payment is paid_late now" in page
    assert 'id="decide"' in page
    assert case.decide(visitor, "money_returned").status == 303


def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(case: OpenCase) -> None:
    visitors = [case.office.visitor("decider") for _ in range(6)]
    phase, tokens = case.phase(), [visitor.csrf() for visitor in visitors]
    found: list[Answer] = []
    lock, gate = threading.Lock(), threading.Barrier(len(visitors))

    def decide(visitor: Visitor, token: str) -> None:
        gate.wait()
        answer = visitor.send(case.path, {"answer": "no_payment", "phase": phase}, csrf=token)
        with lock:
            found.append(answer)

    threads = [threading.Thread(target=decide, args=pair) for pair in zip(visitors, tokens, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in found) == [303] + [409] * 5
    assert all("Ваше не отправлено" in answer.text for answer in found if answer.status == 409)
    assert len(case.office.rows("SELECT 1 FROM decisions")) == 1
    assert len(case.office.rows("SELECT 1 FROM office_audit WHERE action = 'decision'")) == 1


def test_a_decision_on_a_payment_that_has_changed_is_not_sent(case: OpenCase) -> None:
    answer = case.decide(case.office.visitor("decider"), phase="watching" if case.phase() != "watching" else "paid")
    assert answer.status == 409
    assert "состояние платежа изменилось" in answer.text
    assert case.heartbeat() == []


def test_a_decision_on_a_case_that_the_lane_has_closed_is_not_sent(case: OpenCase) -> None:
    with opened(case.journal) as journal:
        journal.close_case(1, operator="Петрова", resolution="решили на месте", at_ms=90_000)
    case.ship()
    visitor = case.office.visitor("decider")
    answer = case.decide(visitor)
    assert answer.status == 409
    assert "Обращение уже закрыто" in answer.text
    assert "Закрыл(а) Петрова: решили на месте" in answer.text
    assert case.office.rows("SELECT 1 FROM decisions") == []


@pytest.mark.parametrize(
    ("answer", "note", "said"),
    [
        ("", "", "Выберите"),
        ("other", "  ", "Выберите"),
        ("nonsense", "x", "Выберите"),
        ("other", "x" * 1001, "длиннее"),
    ],
)
def test_a_decision_without_words_is_refused_and_keeps_what_was_typed(
    case: OpenCase, answer: str, note: str, said: str
) -> None:
    found = case.decide(case.office.visitor("decider"), answer, note)
    assert found.status == 400
    assert said in found.text
    assert note.strip() in found.text
    assert case.office.rows("SELECT 1 FROM decisions") == []


def test_a_viewer_sees_the_evidence_and_no_form(case: OpenCase) -> None:
    page = case.office.visitor("viewer").get(case.path).text
    assert 'id="decide"' not in page
    assert "Начата оплата 253,00" in page
    assert "Открыто обращение № 1" in page


def test_a_case_whose_payment_is_not_here_yet_waits_for_it(case: OpenCase) -> None:
    case.office.execute("DELETE FROM attempts")
    visitor = case.office.visitor("decider")
    page = visitor.get(case.path)
    assert page.status == 200
    assert 'id="decide"' not in page.text
    assert visitor.send(case.path, {"answer": "goods_given", "phase": "watching"}).status == 409


def test_a_case_that_is_not_there_is_no_page(case: OpenCase) -> None:
    visitor = case.office.visitor("viewer")
    for path in ("case", "case?number=1", case.path.replace("number=1", "number=2"), "case?number=-1", "lane?id=x",
                 "payment", "run?id=1", "run?id=x", "run.csv?id=x"):  # fmt: skip
        assert visitor.get(path).status == 404, path
