"""The last row that the fleet has, as an anchor of the journal: see `sco_payment.journal.acknowledged`."""

from __future__ import annotations

from dataclasses import replace

from sco_payment.fleet.client import Client, FleetError
from sco_payment.journal import Journal, acknowledged
from sco_payment.settings import Settings

_WAIT_S = 5.0


def compare_with_fleet(settings: Settings, journal: Journal) -> tuple[list[str], list[str]]:
    """What is wrong with a journal by what the fleet has of it, and remarks; asks the fleet, without insisting.

    Raises:
        JournalError: the journal cannot be read.
    """
    epoch, remarks = journal.id(), []
    heads = [head for head in (acknowledged.read(journal.path),) if head.epoch == epoch]
    try:
        client = Client(replace(settings.fleet, timeout_s=min(_WAIT_S, settings.fleet.timeout_s)))
        try:
            heads.append(client.head(epoch))
        finally:
            client.close()
    except (FleetError, ValueError) as error:
        remarks.append(f"not compared with the fleet, only with its last answer: {error}")
    found = [problem for head in heads if head.seq and (problem := journal.lacks(head.seq, head.hash))]
    if heads and not found:
        remarks.append(f"the fleet has its rows up to {max(head.seq for head in heads)}")
    return [f"{problem}, says the fleet" for problem in dict.fromkeys(found)], remarks
