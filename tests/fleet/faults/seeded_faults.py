"""Mistakes that a fleet's software has made somewhere, which the search must catch: see `tests.verification.seeded`."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import psycopg

from sco_fleet import heartbeat, ingest
from sco_payment.fleet import decisions, shipper
from sco_payment.journal import acknowledged, resolutions
from tests.verification.seeded import Patch, SeededFault


def _before_commit(original: Any) -> Any:
    """The batch is put into a queue of the server's, and answered."""

    def store(db: Any, lane_id: str, batch: Any) -> Any:
        if not batch.rows:
            return original(db, lane_id=lane_id, batch=batch)

        def later() -> None:
            time.sleep(0.05)
            with psycopg.connect(dsn, autocommit=True) as own:
                original(own, lane_id=lane_id, batch=batch)

        dsn = db.info.dsn
        threading.Thread(target=later).start()
        return ingest.Stored(batch.epoch, batch.rows[-1].seq, batch.rows[-1].hash)

    return store


def _not_compared(original: Any) -> Any:
    return lambda db, lane_id, epoch, known: None


def _joined(original: Any) -> Any:
    """Nor is what follows the head compared with it."""

    def lock(db: Any, lane_id: str, batch: Any) -> Any:
        journal = original(db, lane_id, batch)
        fresh = [row for row in batch.rows if row.seq == journal.seq + 1]
        return journal._replace(hash=fresh[0].prev_hash) if fresh else journal

    return lock


def _not_locked(original: Any) -> Any:
    """The head is read, and not held."""

    def lock(db: Any, lane_id: str, batch: Any) -> Any:
        with psycopg.connect(db.info.dsn, autocommit=True) as other:
            found = original(other, lane_id, batch)
        time.sleep(0.05)
        return found

    return lock


def _advances(original: Any) -> Any:
    """The rows are on their way: that will do."""

    def ship_batch(self: shipper.Shipper) -> bool:
        head = self.acknowledged
        try:
            return bool(original(self))
        except Exception:
            if head is not None:
                rows = self.outbox.rows(head.seq, self._batch_rows)
                if rows:
                    self.note(acknowledged.Head(head.epoch, rows[-1][0], rows[-1][9]))
            raise

    return ship_batch


def _sent_again(original: Any) -> Any:
    """The server sends every decision that there was."""

    def all_decisions(db: Any, lane_id: str) -> Any:
        found = db.execute(
            "SELECT id::text, epoch, number, attempt, phase, d.operator, d.resolution, at_ms "
            "FROM decisions d JOIN cases c USING (lane_id, epoch, number) WHERE lane_id = %s",
            (lane_id,),
        ).fetchall()
        names = ("id", "epoch", "case", "attempt", "phase", "operator", "resolution", "at_ms")
        return [dict(zip(names, row, strict=True)) for row in found]

    return all_decisions


def _by_number(original: Any) -> Any:
    """A case is the one that has the number."""
    return lambda decision, case: replace(decision, attempt=case.attempt)


def _no_news(original: Any) -> Any:
    """Money that came after a decision does not matter."""
    return ()


FAULTS = (
    SeededFault(
        "rows are answered before COMMIT",
        frozenset({"was acknowledged as"}),
        (Patch(ingest, "store", _before_commit),),
    ),
    SeededFault(
        "hashes are not compared on conflict",
        frozenset({"does not follow"}),
        (Patch(ingest, "_different", _not_compared), Patch(ingest, "_lock", _joined)),
        where="clones",
    ),
    SeededFault(
        "the head is not locked",
        frozenset({"was acknowledged as", "does not follow", "the server failed"}),
        (Patch(ingest, "_lock", _not_locked),),
        where="clones",
    ),
    SeededFault(
        "the shipper goes on after an error",
        frozenset({"the lane believes"}),
        (Patch(shipper.Shipper, "ship_batch", _advances),),
    ),
    SeededFault(
        "a decision is applied twice",
        frozenset({"was applied 2 times"}),
        (Patch(heartbeat, "_decisions", _sent_again), Patch(resolutions, "NEWS", _no_news)),
        where="decisions",
    ),
    SeededFault(
        "a decision closes another payment's case of its number",
        frozenset({"closed the case of another payment"}),
        (Patch(decisions, "_bound", _by_number),),
        where="copies",
    ),
    SeededFault(
        "a decision closes a case whose money came after it",
        frozenset({"applied at"}),
        (Patch(resolutions, "NEWS", _no_news),),
        where="late money",
    ),
)
"""`where`: what a round must have in it for the fault to show, see `search.Focus`."""
