"""New settings from the fleet when the service starts: on trial until it has come up with them."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sco_payment.settings_reader import SettingsError, fleet_store, read_table

if TYPE_CHECKING:
    from sco_payment.fleet.settings import SettingsFromFleet
    from sco_payment.fleet.settings_store import Store, Trial

log = logging.getLogger(__name__)


class NewSettings:
    """Does nothing for a lane that takes no settings from a fleet.

    Args:
        settings_file: the lane's own.

    Raises:
        ValueError: what waits for this start is not this lane's.
    """

    def __init__(self, settings_file: str) -> None:
        self._file = settings_file
        self._store: Store | None = None
        self._trial: Trial | None = None
        try:
            self._store = fleet_store(settings_file, read_table(settings_file), os.environ)
        except SettingsError:  # whoever loads the settings reports it
            return
        if self._store is not None:
            self._on_disk(self._begin)

    @property
    def on_trial(self) -> bool:
        """Whether this start is with new settings."""
        return self._trial is not None

    def taker(self) -> SettingsFromFleet | None:
        """What takes the next settings while the service runs."""
        if self._store is None:
            return None
        taker: SettingsFromFleet = importlib.import_module("sco_payment.fleet.settings").open_settings(
            self._file, self._store
        )
        return taker

    def confirm(self) -> None:
        """The service has come up with them."""
        store, trial = self._store, self._trial
        if store is not None and trial is not None:
            self._on_disk(lambda: store.confirm(trial))
            self._trial = None

    def give_up(self, reason: str) -> bool:
        """The service cannot run with them; whether to start again, with those before."""
        store, trial = self._store, self._trial
        if store is None or trial is None:
            return False
        self._trial = None
        return self._on_disk(lambda: store.refuse(trial, reason))

    def postpone(self) -> None:
        """This start says nothing about them."""
        store, trial = self._store, self._trial
        if store is not None and trial is not None:
            self._on_disk(lambda: store.postpone(trial))
            self._trial = None

    def _begin(self) -> None:
        assert self._store is not None
        self._trial = self._store.begin()

    def _on_disk(self, work: Callable[[], object]) -> bool:
        """Whether it could be written down. A disk that cannot be written stops no lane here: the journal will."""
        try:
            work()
        except OSError as error:
            log.error("settings from the fleet: %s", error)
            return False
        return True
