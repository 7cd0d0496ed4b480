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
from pathlib import Path
from typing import Any

from sco_payment.fleet.bundle import Bundle, BundleRefused, read
from sco_payment.fleet.settings_store import Store

log = logging.getLogger(__name__)

_CHECK_S = 120.0
_LONGEST_REASON = 2000


Call = Callable[[str, str, Mapping[str, Any] | None], dict[str, Any]]
"""`fleet.client.Client.call`: method, path and body of a request to the fleet -> its answer; raises FleetError."""


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
    """Takes the lane's settings from the office. One thread calls it: the one that talks to the server.

    Args:
        store: where the lane keeps them.
        call: makes a request to the office.
        restart_when_idle: called about once a second while new settings wait: restarts the service and returns True,
            or does nothing while there is a customer.
        check: returns why this lane cannot take a bundle, or None.

    Attributes:
        version: of the settings from the fleet with which the lane runs; 0 for none.
        hash: theirs; empty for none.
    """

    def __init__(
        self,
        store: Store,
        call: Call,
        restart_when_idle: Callable[[], bool],
        check: Callable[[str], str | None],
    ) -> None:
        self._store, self._call = store, call
        self._restart_when_idle, self._check = restart_when_idle, check
        bundle = store.in_force()
        self.version, self.hash = (0, "") if bundle is None else (bundle.version, bundle.hash)

    def heard(self, offer: Mapping[str, Any] | None) -> None:
        """The office's answer to a heartbeat: version and hash of what it has for this lane, or None for nothing newer.

        Raises:
            FleetError: the next answer comes back to it. OSError: of the lane's disk.
        """
        waiting = self._store.waiting()
        if offer is None:
            if waiting is not None:
                log.info("the office has withdrawn version %d of the settings", waiting.version)
                self._store.withdraw()
            return
        if waiting is not None and waiting.hash == offer.get("hash"):
            return
        self._take(json.dumps(self._call("GET", "/settings", None), ensure_ascii=False, sort_keys=True))

    def run_once(self) -> None:
        """Report what became of the settings, and restart with those that wait if there is no customer.

        Raises:
            FleetError: the report is sent again. OSError: of the lane's disk.
        """
        if self._store.waiting() is not None:
            self._restart_when_idle()
        report = self._store.report()
        if report is not None:
            self._report(report)
            self._store.reported(report)

    def _report(self, report: Mapping[str, Any]) -> None:
        self._call("POST", "/settings/report", report)

    def _take(self, text: str) -> None:
        try:
            bundle = read(text)
        except BundleRefused as error:  # its version is not known: the office sees it by the lane that stays behind
            log.error("settings from the fleet: %s", error)
            self._report({"version": 0, "hash": "", "status": "refused", "reason": str(error)})
            return
        if bundle.hash == self.hash:
            self._store.keep_report(bundle, "applied")
            return
        reason = self._check(text) or self._keep(bundle)
        if reason is not None:
            log.error("settings from the fleet, version %d: %s", bundle.version, reason)
            self._keep_refusal(bundle, reason)

    def _keep(self, bundle: Bundle) -> str | None:
        try:
            self._store.take(bundle)
        except OSError as error:
            return f"the settings cannot be kept: {self._store.folder}: {error.strerror}"
        log.info("settings from the fleet, version %d: in force from the next pause", bundle.version)
        return None

    def _keep_refusal(self, bundle: Bundle, reason: str) -> None:
        try:
            self._store.folder.mkdir(mode=0o700, exist_ok=True)
            self._store.keep_report(bundle, "refused", reason)
        except OSError:  # a full disk keeps no report: this one is sent at once or not at all
            report = {"version": bundle.version, "hash": bundle.hash, "status": "refused", "reason": reason}
            self._report(report)


def open_settings(
    settings_file: str, folder: Path, call: Call, restart_when_idle: Callable[[], bool]
) -> SettingsFromFleet:
    """As the service uses it: checked by `sco-pay settings check` of this lane."""
    return SettingsFromFleet(
        Store(folder), call, restart_when_idle, lambda bundle: check_in_child(settings_file, bundle)
    )
