"""Decide whether a lane's tag may be used: it must be the enrolled tag, carry the expected octets, and be alone.

The guard has no clock and no knowledge of payments: its owner checks the tag before each use and periodically while
idle. There are three kinds of findings:

- The reader fails or the tag does not answer: the tag is unusable now, and usable again as soon as it answers. That is
  no sign of tampering.
- Something lies on the reader (another tag, a second one, a bank card): disabled until `GOOD_CHECKS` consecutive checks
  found no problem. Customers put wallets on plates and take them away again; a sticker over the tag stays.
- The tag itself was changed (other octets, locked): disabled until an attendant has examined it and `enable` is called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sco_drivers.errors import DeviceError
from sco_drivers.nfc import ForeignTag, SeveralTags, TagLocked, TagReader, UnsupportedTag, WrongContent

GOOD_CHECKS = 2
_OBJECT_ON_READER = (ForeignTag, SeveralTags, UnsupportedTag)
_CHANGED = (WrongContent, TagLocked)


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """The result of a check differs from the previous one.

    Attributes:
        error: what was found; None when there is no problem any more.
        disabled: whether the tag must not be used from now on.
        needs_attendant: whether it stays disabled until `TagGuard.enable`.
    """

    error: DeviceError | None
    disabled: bool
    needs_attendant: bool


class TagGuard:
    """Guards one tag. Thread-safe.

    Args:
        uid: the tag's enrolled serial number; None when it is not known: then it is not checked.
        on_event: called on each change, from the thread that checked. A repeated finding is reported once.
    """

    def __init__(self, uid: bytes | None, on_event: Callable[[GuardEvent], None]) -> None:
        self._uid, self._on_event = uid, on_event
        self._found: DeviceError | None = None
        self._reason: DeviceError | None = None
        self._good = 0
        self._lock = threading.Lock()

    @property
    def disabled(self) -> bool:
        """Whether the tag must not be used because of an earlier finding."""
        return self._reason is not None

    @property
    def reason(self) -> DeviceError | None:
        """What was found, while disabled; None otherwise."""
        return self._reason

    @property
    def needs_attendant(self) -> bool:
        """Whether it stays disabled until `enable`."""
        return isinstance(self._reason, _CHANGED)

    def check(self, reader: TagReader, uri: str | None) -> DeviceError | None:
        """Check the tag now; None when it may be used, else why not.

        Args:
            uri: the link that it must carry, octet for octet; None for no link at all.
        """
        try:
            reader.verify(uri, uid=self._uid)
        except DeviceError as error:
            self.note(error)
            return error
        self.note(None)
        return self._reason

    def note(self, found: DeviceError | None) -> None:
        """Record what a check, a write or a clear found; None for no problem."""
        with self._lock:
            before, self._found = self._found, found
            was_disabled = self.disabled
            if isinstance(found, _CHANGED) or (isinstance(found, _OBJECT_ON_READER) and not self.needs_attendant):
                self._reason = found
            self._good = 0 if found is not None else self._good + 1
            if self._good >= GOOD_CHECKS and not self.needs_attendant:
                self._reason = None
            if (type(before), str(before)) == (type(found), str(found)) and was_disabled == self.disabled:
                return
            if found is None and self.disabled:
                return  # one good check is not enough
            event = GuardEvent(found, self.disabled, self.needs_attendant)
        self._on_event(event)

    def enable(self) -> None:
        """Forget earlier findings: an attendant has examined the tag."""
        with self._lock:
            self._found = self._reason = None
