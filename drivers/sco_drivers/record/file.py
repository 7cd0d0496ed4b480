"""The file of a trace: one JSON object on a line, added at the end as things happen.

A program that is killed leaves all lines but perhaps the last one whole.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import zlib
from typing import Any

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the trace; it changes when its meaning does."""
HEADER, CHECK = "sco_trace", "c"
"""Keys of the first line of each recording, and of each line's check."""
MAX_BYTES = 64 << 20
"""A trace ends at this size: a lane that was left recording must not fill its disk."""


def checked(entry: dict[str, Any], before: int) -> tuple[bytes, int]:
    """The line of `entry`, and its check: a CRC-32 of the line without it and of the check of the line before, so that
    a line that was changed, taken out, put in or moved is noticed.
    """
    check = zlib.crc32(_json(entry), 0 if HEADER in entry else before)
    return _json(entry | {CHECK: f"{check:08x}"}), check


def _json(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair, which JSON writes so too


class TraceFile:
    """Appends lines. Never raises: at the first failure the trace ends, and `failure` says why.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.failure = ""
        self._mutex = threading.Lock()
        self._check = 0
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._fd = os.open(path, flags, 0o600)
        try:
            seen = os.fstat(self._fd)
            if not stat.S_ISREG(seen.st_mode):
                raise OSError(None, "it is not a regular file", path)
            self._size = seen.st_size
            if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":  # an earlier recording was cut off
                self._put(b"\n")
        except BaseException:
            os.close(self._fd)
            raise

    def write(self, entry: dict[str, Any]) -> None:
        """Append `entry`, which could be JSON."""
        with self._mutex:
            if self._fd < 0 or self.failure:
                return
            try:
                line, self._check = checked(entry, self._check)
                self._put(line + b"\n")
            except (OSError, ValueError, TypeError) as error:
                self._fail(getattr(error, "strerror", None) or str(error))

    def fail(self, why: str) -> None:
        """End the trace."""
        with self._mutex:
            if not self.failure:
                self._fail(why)

    def _fail(self, why: str) -> None:
        self.failure = why
        log.error("the trace %s ends here (%s); the device works on without it", self.path, why)

    def _put(self, line: bytes) -> None:
        if self._size + len(line) > MAX_BYTES:
            raise ValueError(f"it has {MAX_BYTES >> 20} MiB")
        while line:
            taken = os.write(self._fd, line)
            self._size += taken
            line = line[taken:]

    def close(self) -> None:
        """Close it. May be called twice."""
        with self._mutex:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)
