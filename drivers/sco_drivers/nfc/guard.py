"""Whether a lane's tag may be used, from what each look at it found: the enrolled tag, its octets, nothing beside it.

It knows nothing of payments and has no clock: its owner checks before each use and now and then while idle. What it
finds falls into three kinds:

- The reader fails or the tag is silent: not usable now, usable again as soon as it answers. That is no sign of
  tampering.
- Something lies on the reader (another tag, a second one, a bank card): disabled until `GOOD_LOOKS` looks in a row have
  found all well, since customers lay wallets on plates and take them away again, and a sticker that is put over the tag
  stays.
- The tag itself was changed (other octets, locked): disabled until a person has looked at it and calls `enable`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sco_drivers.errors import DeviceError
from sco_drivers.nfc import ForeignTag, SeveralTags, TagLocked, TagReader, UnsupportedTag, WrongContent

GOOD_LOOKS = 2
_SOMETHING_LIES_THERE = (ForeignTag, SeveralTags, UnsupportedTag)
_CHANGED = (WrongContent, TagLocked)


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """Something is otherwise than at the look before.

    Attributes:
        error: what was found; None when all is well again.
        disabled: whether the tag must not be used from now on.
        needs_person: whether it stays so until `TagGuard.enable`.
    """

    error: DeviceError | None
    disabled: bool
    needs_person: bool


class TagGuard:
    """Judges one tag. Safe from several threads.

    Args:
        uid: the tag's enrolled serial number; None when it is not known, and then not checked.
        on_event: is called at each change, from the thread that looked. The same finding twice is told once.
    """

    def __init__(self, uid: bytes | None, on_event: Callable[[GuardEvent], None]) -> None:
        self._uid, self._on_event = uid, on_event
        self._found: DeviceError | None = None
        self._reason: DeviceError | None = None
        self._good = 0
        self._lock = threading.Lock()

    @property
    def disabled(self) -> bool:
        """Whether something strange was seen, and neither time nor a person has cleared it up."""
        return self._reason is not None

    @property
    def reason(self) -> DeviceError | None:
        """What was seen, while disabled."""
        return self._reason

    @property
    def needs_person(self) -> bool:
        """Whether it stays disabled until `enable`."""
        return isinstance(self._reason, _CHANGED)

    def check(self, reader: TagReader, uri: str | None) -> DeviceError | None:
        """Look at the tag now; None when it may be used, else why not.

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
        """Take in what a look, a write or a clearing found; None for all well."""
        with self._lock:
            before, self._found = self._found, found
            was_disabled = self.disabled
            if isinstance(found, _CHANGED) or (isinstance(found, _SOMETHING_LIES_THERE) and not self.needs_person):
                self._reason = found
            self._good = 0 if found is not None else self._good + 1
            if self._good >= GOOD_LOOKS and not self.needs_person:
                self._reason = None
            if (type(before), str(before)) == (type(found), str(found)) and was_disabled == self.disabled:
                return
            if found is None and self.disabled:
                return  # not yet well again
            event = GuardEvent(found, self.disabled, self.needs_person)
        self._on_event(event)

    def enable(self) -> None:
        """A person has looked at the tag: judge it afresh from now on."""
        with self._lock:
            self._found = self._reason = None
