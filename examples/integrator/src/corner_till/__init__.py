"""A shop's own self-checkout: receipt, screen, and a payment whose SBP leg goes through sco-paymaster."""

from corner_till.screen import TillScreen
from corner_till.till import Receipt, Till

__all__ = ["Receipt", "Till", "TillScreen"]
