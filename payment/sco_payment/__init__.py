"""SBP payments on a self-checkout lane: one leg of an order, presented by display mode, through an acquirer.

What an integrator uses::

    from sco_payment import Order, Outcome, load_settings, open_lane

    with open_lane(load_settings("lane.toml")) as lane:
        result = lane.pay(Order("42", kopecks=25300))
        if result.outcome is Outcome.PAID:
            ...  # release the goods

What is not in `__all__` is private. Importing this imports nothing else: each name is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sco_payment.acquirer import Acquirer as Acquirer
    from sco_payment.assemble import open_lane as open_lane
    from sco_payment.attempt import CaseReason as CaseReason
    from sco_payment.attempt import EndReason as EndReason
    from sco_payment.attempt import Outcome as Outcome
    from sco_payment.attempt import PaymentStatus as PaymentStatus
    from sco_payment.attempt import Phase as Phase
    from sco_payment.attempt import View as View
    from sco_payment.customer.picture import render as render
    from sco_payment.customer.theme import load_theme as load_theme
    from sco_payment.customer.ui import Button as Button
    from sco_payment.customer.ui import LaneUI as LaneUI
    from sco_payment.customer.ui import NoUI as NoUI
    from sco_payment.customer.ui import ScreenState as ScreenState
    from sco_payment.events import CancelSent as CancelSent
    from sco_payment.events import CaseOpened as CaseOpened
    from sco_payment.events import LaneEvent as LaneEvent
    from sco_payment.events import LinkAccepted as LinkAccepted
    from sco_payment.events import NoteAdded as NoteAdded
    from sco_payment.events import Observer as Observer
    from sco_payment.events import OutcomeReached as OutcomeReached
    from sco_payment.events import OutcomeTaken as OutcomeTaken
    from sco_payment.events import ScreenFailed as ScreenFailed
    from sco_payment.events import StateChanged as StateChanged
    from sco_payment.events import TagChanged as TagChanged
    from sco_payment.events import TagEnduranceExceeded as TagEnduranceExceeded
    from sco_payment.journal import Case as Case
    from sco_payment.journal import Journal as Journal
    from sco_payment.journal import JournalError as JournalError
    from sco_payment.lane import DeviceHealth as DeviceHealth
    from sco_payment.lane import Lane as Lane
    from sco_payment.lane import LaneHealth as LaneHealth
    from sco_payment.money import format_amount as format_amount
    from sco_payment.order import LaneError as LaneError
    from sco_payment.order import NotAcceptable as NotAcceptable
    from sco_payment.order import Order as Order
    from sco_payment.order import PaymentRefused as PaymentRefused
    from sco_payment.order import Refusal as Refusal
    from sco_payment.order import Result as Result
    from sco_payment.order import UnknownAttempt as UnknownAttempt
    from sco_payment.order import check_order as check_order
    from sco_payment.paymaster.token import Token as Token
    from sco_payment.paymaster.token import TokenError as TokenError
    from sco_payment.settings import Settings as Settings
    from sco_payment.settings_reader import SettingsError as SettingsError
    from sco_payment.settings_reader import load_settings as load_settings
    from sco_payment.settings_reader import settings_from_mapping as settings_from_mapping
    from sco_payment.systemd import Notifier as Notifier

_WHERE = {
    "Acquirer": "acquirer",
    "Button": "customer.ui",
    "CancelSent": "events",
    "Case": "journal",
    "CaseOpened": "events",
    "CaseReason": "attempt",
    "DeviceHealth": "lane",
    "EndReason": "attempt",
    "Journal": "journal",
    "JournalError": "journal",
    "Lane": "lane",
    "LaneError": "order",
    "LaneEvent": "events",
    "LaneHealth": "lane",
    "LaneUI": "customer.ui",
    "LinkAccepted": "events",
    "NoUI": "customer.ui",
    "NotAcceptable": "order",
    "NoteAdded": "events",
    "Notifier": "systemd",
    "Observer": "events",
    "Order": "order",
    "Outcome": "attempt",
    "OutcomeReached": "events",
    "OutcomeTaken": "events",
    "PaymentRefused": "order",
    "PaymentStatus": "attempt",
    "Phase": "attempt",
    "Refusal": "order",
    "Result": "order",
    "ScreenFailed": "events",
    "ScreenState": "customer.ui",
    "Settings": "settings",
    "SettingsError": "settings_reader",
    "StateChanged": "events",
    "TagChanged": "events",
    "TagEnduranceExceeded": "events",
    "Token": "paymaster.token",
    "TokenError": "paymaster.token",
    "UnknownAttempt": "order",
    "View": "attempt",
    "check_order": "order",
    "format_amount": "money",
    "load_settings": "settings_reader",
    "load_theme": "customer.theme",
    "open_lane": "assemble",
    "render": "customer.picture",
    "settings_from_mapping": "settings_reader",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    """A public name, from the module that has it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
