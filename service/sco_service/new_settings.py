"""New settings from the fleet when the service starts: on trial until it has come up with them. And the way back to
those before where settings that were good can no longer be used: their logo is gone, or an older release runs."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sco_payment.settings import Settings
from sco_payment.settings_reader import SettingsError, fleet_store, load_settings, read_table

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

    def go_back(self, error: SettingsError) -> Settings | None:
        """The settings before, once, where those in force can no longer be used; None where that is no way.

        The office then learns what is wrong, and can give others. It is no way where the money might go to another
        place than with those in force: these may be years old, and the plate another lane's by now.
        """
        store = self._store
        if store is None or self._trial is not None:
            return None
        try:
            present, before = store.confirmed(), store.previous()
            found = load_settings(self._file, from_fleet=before.settings) if before is not None else None
        except ValueError:  # the lane's own file is wrong, too
            return None
        if present is None or before is None or found is None:
            return None
        if error.settings is None or _where_money_goes(error.settings) != _where_money_goes(found):
            log.error("the settings before, version %d, name another merchant or cash link: not used", before.version)
            return None
        reason = f"they can no longer be used; version {before.version} is in force again: {'; '.join(error.problems)}"
        return found if self._on_disk(lambda: store.go_back(present, before, reason)) else None

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


def _where_money_goes(settings: Settings) -> tuple[str, str, str]:
    return settings.paymaster.merchant_id, settings.display.sticker_id, settings.display.plate_link
