"""What a lane does for its fleet, in a thread of its own: send the journal, report its health, bring back decisions.

No part of a lane waits for it, and nothing that fails here reaches a payment. Without an answer it tries again, later
each time and never at a moment that other lanes may have chosen too.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from sco_payment.fleet import decisions
from sco_payment.fleet.client import Client, FleetError, FleetRefused, head_of
from sco_payment.fleet.shipper import Refused, Shipper
from sco_payment.journal import JournalError
from sco_payment.package import version
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 1.0
_ANSWER_SOON_S = 5.0
"""After how long a heartbeat follows one that brought decisions, at the latest."""
_BATCHES_BETWEEN_HEARTBEATS = 20
"""While a long journal is sent the office still sees the lane."""

Json = dict[str, Any]


class OfferedSettings(Protocol):
    """What takes settings from the fleet, where the lane takes them from there."""

    def in_use(self) -> tuple[str, int | None]:
        """Hash and version of the settings that the lane runs with."""

    def offered(self, client: Client, offer: Json | None) -> None:
        """The fleet has `{"version", "hash"}` for this lane, or nothing newer. Raises FleetError."""


class Agent:
    """Sends a lane's journal and health to its fleet.

    Args:
        settings: of the lane, with `fleet.url`.
        health: what is known of the lane, as plain data; called in the agent's thread.
        offered: takes settings from the fleet; None for a lane that does not.
        polls: look for new records by itself, because nobody calls `wake`.

    Attributes:
        contact_ms: when the fleet last answered; None before that.
        problem: why rows cannot be sent, for people; empty while they can, or only the network fails.
        last_error: what failed last; empty when the last turn went well.
        behind: why the journal is not the latest, by what the fleet has; empty where it is.
    """

    def __init__(
        self,
        settings: Settings,
        health: Callable[[], Json],
        offered: OfferedSettings | None = None,
        *,
        polls: bool = False,
    ) -> None:
        self._settings, self._health, self._offered, self._polls = settings, health, offered, polls
        self._woken, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self.run, name="sco-fleet", daemon=True)
        self._client: Client | None = None
        self._shipper: Shipper | None = None
        self._answers: list[Json] = []
        self._heartbeat_at = 0.0
        self._failures = 0
        self._blocked = False  # rows are refused: asked again with each heartbeat, not with each record
        self.last_error = ""
        self._version = version()
        self.contact_ms: int | None = None
        self.problem = self.behind = ""

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new record. Returns at once."""
        self._woken.set()

    def close(self, wait_s: float = 0.5) -> None:
        """End it. What it waits for in the network ends by itself, later; what is not sent is sent next time."""
        self._stop.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    @property
    def acknowledged_row(self) -> int:
        """The last row that the fleet has; 0 while that is not known."""
        head = None if self._shipper is None else self._shipper.acknowledged
        return 0 if head is None else head.seq

    def run(self) -> None:
        """Work until `close`."""
        self._stop.wait(random.uniform(0, min(self._settings.fleet.ship_interval_s, 1.0)))  # noqa: S311
        try:
            while not self._stop.is_set():
                wait_s = self.turn()
                self._wait(wait_s)
        finally:
            if self._shipper is not None:
                self._shipper.close()
            if self._client is not None:
                self._client.close()

    def _wait(self, wait_s: float) -> None:
        if self._failures:
            self._stop.wait(wait_s)
            return
        own = self._settings.fleet
        if self._polls:
            self._stop.wait(min(wait_s, own.ship_interval_s))
        elif self._woken.wait(wait_s):
            self._stop.wait(min(wait_s, own.ship_interval_s))  # further records of this payment come along
        self._woken.clear()

    # --- work -------------------------------------------------------------------------------------------------

    def turn(self) -> float:
        """Send what there is and report when it is time; returns after how many seconds to come again."""
        own = self._settings.fleet
        try:
            if not self._blocked or self._is_due:
                self._ship()
            if self._is_due:
                self._heartbeat()
        except (FleetError, JournalError, ValueError) as error:
            self._note_problem(str(error) if isinstance(error, FleetRefused) else "")
            return self._failed(error, error.wait_s if isinstance(error, FleetError) else None)
        except Exception as error:
            log.exception("sending to the fleet failed")
            return self._failed(error, None)
        self._failures, self.last_error = 0, ""
        return max(0.0, min(self._heartbeat_at - time.monotonic(), own.heartbeat_s))

    @property
    def _is_due(self) -> bool:
        return time.monotonic() >= self._heartbeat_at

    def _failed(self, error: Exception, wait_s: float | None) -> float:
        self._failures += 1
        if str(error) != self.last_error:
            self.last_error = str(error)
            log.warning("%s; the lane tries again", error)
        if isinstance(error, JournalError) and self._shipper is not None:
            self._shipper.close()
        longest = self._settings.fleet.longest_wait_s
        backoff: float = min(longest, _FIRST_WAIT_S * 2 ** min(self._failures - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
        return backoff if wait_s is None else max(backoff, wait_s * random.uniform(1.0, 1.25))  # noqa: S311

    def _open(self) -> tuple[Client, Shipper]:
        """Raises ValueError: the token or the authorities cannot be used."""
        if self._client is None or self._shipper is None:
            own = self._settings.fleet
            self._client = Client(own)
            self._shipper = Shipper(self._client, Path(self._settings.journal.path), own.batch_rows)
        return self._client, self._shipper

    def _ship(self) -> None:
        _, shipper = self._open()
        try:
            batches = 0
            while not self._stop.is_set() and shipper.ship_batch():
                self.contact_ms = _now_ms()
                batches += 1
                if batches % _BATCHES_BETWEEN_HEARTBEATS == 0 and self._is_due:
                    self._heartbeat()
            self._blocked = False
            self._note_problem("")
        except Refused as error:
            self._blocked = True
            self._note_problem(str(error))

    def _note_problem(self, text: str) -> None:
        if text and text != self.problem:
            log.error("the fleet does not get this lane's records: %s", text)
        self.problem = text

    def _heartbeat(self) -> None:
        client, shipper = self._open()
        epoch, seq, digest = shipper.outbox.head()
        settings_hash, settings_version = ("", None) if self._offered is None else self._offered.in_use()
        health = self._health()
        if self.problem:
            health = {**health, "shipping_problem": self.problem}
        report = {
            "epoch": epoch,
            "seq": seq,
            "hash": digest,
            "now_ms": _now_ms(),
            "version": self._version,
            "settings_hash": settings_hash or str(health.get("settings_hash", "")),
            "settings_version": settings_version,
            "health": _as_json(health),
            "answers": self._answers,
        }
        found = client.heartbeat(report)
        self.contact_ms = _now_ms()
        self._compare(shipper, epoch, seq, digest, found.get("head"))
        self._answers = decisions.handle(shipper.outbox, epoch, found.get("decisions"))
        own = self._settings.fleet
        wait_s = own.heartbeat_s * random.uniform(0.9, 1.1)  # noqa: S311
        if found.get("decisions"):
            wait_s = min(wait_s, _ANSWER_SOON_S)
        self._heartbeat_at = time.monotonic() + wait_s
        offer = found.get("settings")
        if self._offered is not None:
            self._offered.offered(client, offer if isinstance(offer, dict) else None)

    def _compare(self, shipper: Shipper, epoch: str, seq: int, digest: str, found: object) -> None:
        """Is the journal the latest, by what the fleet has of it? See `acknowledged`."""
        head = head_of(found)
        if not epoch or head.epoch != epoch:
            return
        shipper.note(head)
        text = ""
        if head.seq > seq:
            text = f"the journal ends at row {seq}, and the fleet has its row {head.seq}: an older copy is in its place"
        elif head.seq == seq > 0 and head.hash != digest:
            text = f"row {seq} of the journal is not the one that the fleet has: another journal is in its place"
        if text and text != self.behind:
            log.error("%s; find the newer file", text)
        self.behind = text


def _as_json(health: Json) -> msgspec.Raw:
    """As it can be sent: what a device reports may hold any character."""
    return msgspec.Raw(json.dumps(health, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
