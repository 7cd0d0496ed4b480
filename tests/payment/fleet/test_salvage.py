"""A journal that was salvaged is another one for the fleet: it has a new id, and what the fleet had is put aside."""

from __future__ import annotations

from pathlib import Path

from sco_payment.fleet.outbox import Outbox
from sco_payment.journal import acknowledged
from sco_payment.journal.acknowledged import Head
from sco_payment.journal.opening import open_journal, salvage_journal
from sco_payment.settings import JournalSettings, LaneSettings, Settings
from tests.payment.journal.kit import full, tamper


def test_a_salvaged_journal_is_sent_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "j"
    count = full(path)
    before, _, _ = Outbox(path).head()
    acknowledged.write(path, Head(before, count, "a" * 64))
    tamper(path, "UPDATE records SET body = '{' WHERE seq = 3")
    settings = Settings(
        lane=LaneSettings(pos_id="lane-1", acquirer="paymaster"), journal=JournalSettings(path=str(path))
    )
    aside, _, _ = salvage_journal(settings, 9_000_000)
    epoch, last, _ = Outbox(path).head()
    assert epoch != before
    assert Outbox(aside).head()[0] == before
    assert acknowledged.read(path) == acknowledged.NOTHING
    assert [row[0] for row in Outbox(path).rows(0, 500)] == list(range(1, last + 1))
    open_journal(settings).close()
