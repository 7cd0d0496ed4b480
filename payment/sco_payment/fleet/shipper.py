"""Sends the journal's rows that the fleet lacks. The journal is the outbox, the fleet's answer the receipt."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from sco_payment.fleet.client import Client, FleetRefused
from sco_payment.fleet.outbox import Outbox
from sco_payment.journal import RowsArchived, acknowledged
from sco_payment.journal.acknowledged import Head

log = logging.getLogger(__name__)


class Refused(Exception):
    """The fleet has other rows of this journal, or cannot take these: a person must look at it."""


class Shipper:
    """Brings the fleet up to the journal's last row, batch by batch.

    Args:
        client: to the server.
        path: the journal's file.
        batch_rows: rows in one request.

    Attributes:
        outbox: the journal, to read.
        acknowledged: the last row that the fleet has, as far as is known; None before its first answer.
    """

    def __init__(self, client: Client, path: Path, batch_rows: int) -> None:
        self._client, self._path, self._batch_rows = client, path, batch_rows
        self.outbox = Outbox(path)
        self.acknowledged: Head | None = None
        self._remembered: Head | None = None

    def close(self) -> None:
        """Close the journal."""
        self.outbox.close()

    def note(self, head: Head) -> None:
        """The fleet has stored rows up to this one.

        The latest such row is remembered next to the journal, where that can be written, but only if it is a row of
        this journal: what a wrong server says must not stop the lane's next start. A fleet whose database was put back
        to an earlier time has fewer rows: it gets them again.
        """
        before = self.acknowledged
        self.acknowledged = head
        if before is not None and before.epoch == head.epoch and head.seq < before.seq:
            log.warning("the fleet has lost rows %d to %d: they are sent again", head.seq + 1, before.seq)
        path = self.outbox.journal.path
        if self._remembered is None:
            self._remembered = acknowledged.read(path)
        newer = head.seq > (self._remembered.seq if self._remembered.epoch == head.epoch else 0)
        if newer and self.outbox.has(head):
            self._remembered = head
            with contextlib.suppress(OSError):
                acknowledged.write(path, head)

    def ship_batch(self) -> bool:
        """Send one batch; returns whether there is more to send.

        Raises:
            FleetError: no answer, or a refusal that is not about the rows. Refused: the fleet does not take them.
            JournalError: the journal cannot be read.
        """
        epoch, last, digest = self.outbox.head()
        if not epoch:
            raise Refused("the journal is of an older release: start the lane once with this one")
        head = self.acknowledged
        if head is None or head.epoch != epoch:
            head = self._client.head(epoch)
            self.note(head)
        if head.seq > last or (head.seq == last and last and head.hash != digest):
            raise Refused(_behind(last, head))
        if head.seq == last:
            return False
        base = None
        try:
            rows = self.outbox.rows(head.seq, self._batch_rows)
        except RowsArchived as error:
            if head.seq:
                raise Refused(str(error)) from None
            log.warning("the fleet gets this journal without its archives: %s", error)
            base = self.outbox.base()
            rows = self.outbox.rows(base[0], self._batch_rows)
        try:
            self.note(self._client.send_rows(epoch, rows, base))
        except FleetRefused as error:
            self._refused(error, epoch)
        assert self.acknowledged is not None
        return self.acknowledged.seq < last

    def _refused(self, error: FleetRefused, epoch: str) -> None:
        if error.code == "gap":
            seq, digest = error.details.get("seq"), error.details.get("hash")
            if isinstance(seq, int) and isinstance(digest, str):
                head = Head(epoch, seq, digest)
                if head == self.acknowledged:
                    raise Refused(f"row {seq + 1} is not in the journal: see `sco-pay journal verify`")
                self.note(head)
                return
        if error.code in ("different_row", "broken_chain"):
            self.acknowledged = None
        if error.status in (409, 413, 422):  # about the rows; the heartbeat still brings health and decisions
            raise Refused(str(error)) from None
        raise error


def _behind(last: int, head: Head) -> str:
    if head.seq > last:
        what = f"the journal ends at row {last}, and the fleet has its row {head.seq}"
    else:
        what = f"row {last} of the journal is not the one that the fleet has"
    return f"{what}: an older copy is in its place, or two lanes use one journal; find the newer file"
