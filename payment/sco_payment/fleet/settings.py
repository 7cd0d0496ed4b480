"""Settings from the fleet, on the lane: pulled when the office has newer ones, verified, checked, and in force from the
service's next start, which comes between two customers.

The service restarts instead of changing its settings while it runs: there is one way to come up with settings, and
every power cut takes it too.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sco_payment.fleet.bundle import BundleRefused, read
from sco_payment.fleet.client import FleetRefused
from sco_payment.fleet.settings_store import Store

log = logging.getLogger(__name__)

_CHECK_S = 120.0
_LONGEST_REASON = 2000


_REPORT = "/settings/report"


class Calls(Protocol):
    """The lane's connection to the fleet: a `fleet.client.Client`."""

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request; returns the answer. Raises FleetError."""


def check_in_child(settings_file: str, bundle: str) -> str | None:
    """Why this lane cannot take a bundle; None if it can. `sco-pay settings check` judges, in a process of its own.

    So the library that verifies, and whatever the check loads, is never in the lane's memory.
    """
    command = [sys.executable, "-m", "sco_payment.cli.main", "settings", "check", settings_file, "--bundle", "-"]
    try:
        done = subprocess.run(command, input=bundle.encode(), capture_output=True, timeout=_CHECK_S, check=False)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"the settings cannot be checked: {type(error).__name__}: {error}"
    if done.returncode == 0:
        return None
    reason = done.stderr.decode("utf-8", "replace").strip().removeprefix("sco-pay: ")
    return reason[-_LONGEST_REASON:] or f"the check of the settings ended with status {done.returncode}"


class SettingsFromFleet:
    """Takes the lane's settings from the office. One thread calls it: the agent's.

    Args:
        store: where the lane keeps them.
        check: returns why this lane cannot take a bundle, or None.

    Attributes:
        is_waiting: whether new settings wait for the next start of the service.
    """

    def __init__(self, store: Store, check: Callable[[str], str | None]) -> None:
        self._store, self._check = store, check
        bundle = store.in_force()
        self._version = None if bundle is None else bundle.version
        self._hash = "" if bundle is None else bundle.hash
        self.is_waiting = store.waiting() is not None

    def in_use(self) -> tuple[str, int | None]:
        """Hash and version of what the lane has come up with; an empty text and None for none, and during a trial."""
        return ("", None) if self._store.is_on_trial() else (self._hash, self._version)

    def offered(self, client: Calls, offer: Mapping[str, Any] | None) -> None:
        """The office's answer to a heartbeat: version and hash of what it has for this lane, or None for nothing newer.

        Raises:
            FleetError: the next answer comes back to it.
        """
        waiting = self._store.waiting()
        try:
            if offer is None and waiting is not None:
                log.info("the office has withdrawn version %d of the settings", waiting.version)
                self._store.withdraw()
            refused = self._send_report(client)  # first: the offer was made without it
            has = (self._hash, refused, waiting.hash if waiting is not None else None)
            if offer is not None and offer.get("hash") not in has:
                found = client.call("GET", "/settings")
                self._take(client, json.dumps(found, ensure_ascii=False, sort_keys=True))
                self._send_report(client)
        except FleetRefused as error:  # withdrawn meanwhile
            log.warning("settings from the fleet: %s", error)
        except OSError as error:
            log.error("settings from the fleet: %s: %s", self._store.folder, error.strerror)
        self.is_waiting = self._store.waiting() is not None

    def _take(self, client: Calls, text: str) -> None:
        try:
            bundle = read(text)
        except BundleRefused as error:  # its version is not known
            log.error("settings from the fleet: %s", error)
            client.call("POST", _REPORT, {"version": 0, "hash": "", "status": "refused", "reason": str(error)})
            return
        reason = self._check(text)
        if reason is None:
            try:
                self._store.take(bundle)
                log.info("settings from the fleet, version %d: in force when there is no customer", bundle.version)
                return
            except OSError as error:
                reason = f"they cannot be kept: {self._store.folder}: {error.strerror}"
        log.error("settings from the fleet, version %d: %s", bundle.version, reason)
        report = self._store.new_report(bundle, "refused", reason)
        try:
            self._store.keep_report(report)
        except OSError:  # a full disk: it is sent now or not at all
            client.call("POST", _REPORT, report)

    def _send_report(self, client: Calls) -> object:
        """Send what waits to be reported; the hash of what that refuses, or None."""
        report = self._store.report()
        if report is None:
            return None
        try:
            client.call("POST", _REPORT, report)
        except FleetRefused as error:
            log.error("the fleet does not take the report %s: %s", report, error)
        self._store.reported(report)
        return report.get("hash") if report.get("status") == "refused" else None


def open_settings(settings_file: str, store: Store) -> SettingsFromFleet:
    """As the service uses it: `sco-pay settings check` of this lane judges."""
    return SettingsFromFleet(store, lambda bundle: check_in_child(settings_file, bundle))
