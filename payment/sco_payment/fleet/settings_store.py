"""The lane's settings from the fleet on its disk, in a folder next to the journal.

    settings.json   what is in force
    previous.json   what was in force before; after the first settings, these themselves
    trial-0.json    taken, in force from the next start of the service
    trial-1.json    in force, on trial in its first start; trial-2.json in its second
    report.json     what the office has not been told yet

Each file is a whole bundle as it was signed. It gets its name by one rename, after its content is on the disk, and goes
from trial to settings by one rename too: after a power cut at any moment either the old settings or the new ones are in
force. New settings with which the service has not come up in two starts are given up; a single power cut during a trial
does not refuse them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sco_payment.fleet.bundle import LONGEST, Bundle, BundleRefused, read
from sco_payment.journal.location import read_short, sync_folder

log = logging.getLogger(__name__)

STARTS = 2
"""With how many starts new settings are tried."""
_IN_FORCE, _PREVIOUS, _REPORT = "settings.json", "previous.json", "report.json"


class OtherLane(ValueError):
    """The settings are of another lane: its disk was copied, or the PosID was changed."""


class Trial(NamedTuple):
    """New settings that the service starts with, until it has come up with them.

    Attributes:
        bundle: the settings.
        start: which start with them this is, from 1.
    """

    bundle: Bundle
    start: int


class Store:
    """The files of a lane's settings from the fleet.

    What reads a bundle raises OtherLane where it is not for this lane.

    Args:
        folder: made when the first bundle is kept.
        lane: PosID of the lane; empty where it is not known.
    """

    def __init__(self, folder: Path, lane: str) -> None:
        self.folder, self._lane = folder, lane

    # --- what is in force --------------------------------------------------------------------------------------

    def in_force(self) -> Bundle | None:
        """What the lane runs with, on trial or for good; None where the fleet has given nothing yet.

        Raises:
            ValueError: there are settings, and none of them can be read.
        """
        for start in range(STARTS, 0, -1):
            if (bundle := self._read(_trial(start))) is not None:
                return bundle
        return self.confirmed()

    def confirmed(self) -> Bundle | None:
        """What the lane has come up with. Raises ValueError, as `in_force`."""
        bundle = self._read(_IN_FORCE)
        if bundle is None and self._is_there(_IN_FORCE):
            bundle = self._read(_PREVIOUS)
            if bundle is None:
                raise ValueError(
                    f"{self.folder / _IN_FORCE} and {_PREVIOUS} are damaged: remove the folder {self.folder}, and the "
                    "lane starts with its own file until the office gives it its settings again; to go on with its "
                    "own file only, remove fleet.settings_key from it"
                )
            log.error("%s: the settings in force are damaged; those before are used", self.folder)
        return bundle

    def previous(self) -> Bundle | None:
        """What was in force before what is in force now. Raises ValueError, as `in_force`."""
        present, before = self.confirmed(), self._read(_PREVIOUS)
        is_other = present is not None and before is not None and before.hash != present.hash
        return before if is_other else None

    def newest_version(self) -> int:
        """The highest version that the lane still knows to have run with, 0 for none: it takes no older one.

        Raises ValueError, as `in_force`.
        """
        known = (self.in_force(), self._read(_PREVIOUS))
        return max((bundle.version for bundle in known if bundle is not None), default=0)

    # --- a new bundle ------------------------------------------------------------------------------------------

    def take(self, bundle: Bundle) -> None:
        """Keep a bundle that was verified and checked, for the next start. Raises OSError."""
        self._make_folder()
        self._write(_trial(0), bundle.text)

    def waiting(self) -> Bundle | None:
        """A bundle for the next start."""
        return self._read(_trial(0))

    def withdraw(self) -> None:
        """Forget the bundle that waits: the office has withdrawn it. Raises OSError."""
        self._remove(_trial(0))

    def begin(self) -> Trial | None:
        """The service starts: put what waits, or was on trial, on trial; None where there is nothing.

        Only whoever starts the service calls it. Raises OSError.
        """
        for start in range(STARTS, -1, -1):
            path = self.folder / _trial(start)
            if not path.exists():
                continue
            bundle = self._read(_trial(start))
            if bundle is None:
                self._remove(_trial(start))
                continue
            if start == STARTS:
                self.refuse(Trial(bundle, start), f"the lane did not come up with these settings in {STARTS} starts")
                continue
            self._rename(_trial(start), _trial(start + 1))
            return Trial(bundle, start + 1)
        return None

    # --- what the office must know -----------------------------------------------------------------------------

    def report(self) -> dict[str, Any] | None:
        """What to report to the office, until `reported`."""
        try:
            report = json.loads(read_short(self.folder / _REPORT, LONGEST))
        except (OSError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def reported(self, report: Mapping[str, Any]) -> None:
        """The office has it. A newer report stays. Raises OSError."""
        if self.report() == report:
            self._remove(_REPORT)

    @staticmethod
    def new_report(bundle: Bundle, status: str, reason: str = "") -> dict[str, Any]:
        """What became of a bundle, `applied` or `refused`, as the office reads it."""
        return {"version": bundle.version, "hash": bundle.hash, "status": status, "reason": reason}

    def keep_report(self, report: Mapping[str, Any]) -> None:
        """Report it to the office when it can be reached. Raises OSError."""
        self._make_folder()
        self._write(_REPORT, json.dumps(report, ensure_ascii=False))

    # --- a trial -----------------------------------------------------------------------------------------------

    def confirm(self, trial: Trial) -> None:
        """The lane has come up with them: they are in force for good. Raises OSError."""
        before = self._read(_IN_FORCE) or self._read(_PREVIOUS) or trial.bundle
        self._write(_PREVIOUS, before.text)
        self._rename(_trial(trial.start), _IN_FORCE)
        self.keep_report(self.new_report(trial.bundle, "applied"))

    def refuse(self, trial: Trial, reason: str) -> None:
        """The lane cannot run with them: those before are in force from the next start. Raises OSError.

        That comes before the office's knowledge: a disk that is full takes no report, and lets a file go.
        """
        self._keep_refusal(trial.bundle, reason)
        before = self._read(_PREVIOUS)
        if before is not None and before.hash == trial.bundle.hash:  # from a `confirm` that did not come to its end
            self._remove(_PREVIOUS)
        self._remove(_trial(trial.start))

    def go_back(self, bundle: Bundle, before: Bundle, reason: str) -> None:
        """The lane can no longer run with what is in force: what was `before` is, for good. Raises OSError.

        That comes before the office's knowledge, which offers it again where it does not learn of it.
        """
        self._write(_IN_FORCE, before.text)
        self._keep_refusal(bundle, reason)

    def postpone(self, trial: Trial) -> None:
        """The start was not theirs to be judged by: it does not count, and newer ones go first. Raises OSError."""
        if self.waiting() is not None:
            self._remove(_trial(trial.start))
        else:
            self._rename(_trial(trial.start), _trial(0))

    def is_on_trial(self) -> bool:
        """Whether the service has not come up yet with what is in force."""
        return any((self.folder / _trial(start)).exists() for start in range(1, STARTS + 1))

    def _keep_refusal(self, bundle: Bundle, reason: str) -> None:
        log.error("settings from the fleet, version %d: %s", bundle.version, reason)
        try:
            self.keep_report(self.new_report(bundle, "refused", reason))
        except OSError as error:
            log.error("%s: the refusal cannot be kept: %s", self.folder, error.strerror)

    # --- files -------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> Bundle | None:
        path = self.folder / name
        try:
            bundle = read(read_short(path, LONGEST).decode())
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, BundleRefused) as error:
            log.error("%s: %s", path, error)
            return None
        if self._lane and bundle.lane != self._lane:
            raise OtherLane(
                f"{path} has settings of the lane {bundle.lane}, and this is {self._lane}: the disk was copied or the "
                f"PosID was changed. Remove the folder {self.folder}: the office gives this lane its own settings again"
            )
        return bundle

    def _is_there(self, name: str) -> bool:
        """Raises ValueError: that cannot be known."""
        path = self.folder / name
        try:
            path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}: run this as the lane's user") from None
        return True

    def _make_folder(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700)
            sync_folder(self.folder.parent)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        new = path.with_suffix(".new")
        with open(new, "wb", opener=lambda at, flags: os.open(at, flags, 0o600)) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        self._rename(new.name, name)

    def _rename(self, name: str, to: str) -> None:
        os.replace(self.folder / name, self.folder / to)  # noqa: PTH105 - the tests cut the power here
        sync_folder(self.folder)

    def _remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        if self.folder.exists():
            sync_folder(self.folder)


def _trial(start: int) -> str:
    return f"trial-{start}.json"
