"""Watches a lane's tag: the enrolled serial number, the expected octets, nothing else in the field.

It knows nothing of payments. Once it has seen something strange it is disabled until a person calls `enable`; a reader
that fails or a tag that is silent is reported and does not disable it, since that is no sign of tampering.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sco_drivers.errors import DeviceError
from sco_drivers.nfc import ForeignTag, SeveralTags, TagReader, WrongContent

_TAMPERING = (ForeignTag, SeveralTags, WrongContent)


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """What a check found.

    Attributes:
        error: the reason.
        disabled: whether the guard is disabled now.
    """

    error: DeviceError
    disabled: bool


class TagGuard:
    """Checks one tag before use and, if started, periodically.

    Args:
        reader: where the tag lies.
        uri: what the tag must carry.
        uid: the tag's enrolled serial number.
        on_event: called for each failed check, from the thread that checked.
    """

    def __init__(self, reader: TagReader, uri: str, uid: bytes, on_event: Callable[[GuardEvent], None]) -> None:
        self._reader, self._uri, self._uid, self._on_event = reader, uri, uid, on_event
        self._reason: DeviceError | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def disabled(self) -> bool:
        """Whether something strange was seen since the last `enable`."""
        return self._reason is not None

    @property
    def reason(self) -> DeviceError | None:
        """What was seen, while disabled."""
        return self._reason

    def check(self) -> bool:
        """Verify the tag now; whether it may be used. False, and the tag left alone, while disabled."""
        with self._lock:
            if self._reason is not None:
                return False
            try:
                self._reader.verify(self._uri, uid=self._uid)
            except DeviceError as error:
                if isinstance(error, _TAMPERING):
                    self._reason = error
                event = GuardEvent(error, self.disabled)
            else:
                return True
        self._on_event(event)
        return False

    def enable(self) -> None:
        """A person has looked at the tag: check it again from now on."""
        with self._lock:
            self._reason = None

    def start(self, interval_s: float) -> None:
        """Check every `interval_s` seconds in a thread of its own, until `stop`."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, args=(interval_s,), name="tag-guard", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the periodic checks; waits for one that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, interval_s: float) -> None:
        while not self._stop.wait(interval_s):
            self.check()
