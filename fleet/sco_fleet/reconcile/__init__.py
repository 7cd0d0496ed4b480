"""Daily reconciliation: the acquirer's payments of a day against the journals of all lanes, every difference named."""

from __future__ import annotations

from sco_fleet.reconcile.access import PayMasterAccess
from sco_fleet.reconcile.compare import AlreadyRunning, Summary, reconcile
from sco_fleet.reconcile.days import Day
from sco_fleet.reconcile.paymaster import PayMasterList, open_list
from sco_fleet.reconcile.registry import RegistryError, RegistryFile
from sco_fleet.reconcile.rows import BankRow, Source

__all__ = [
    "AlreadyRunning", "BankRow", "Day", "PayMasterAccess", "PayMasterList", "RegistryError", "RegistryFile", "Source",
    "Summary", "open_list", "reconcile",
]  # fmt: skip
