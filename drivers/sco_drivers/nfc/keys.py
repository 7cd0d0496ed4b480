"""Per-tag passwords from one key file.

Passwords are sent over the air in clear, so each tag needs its own: it is an HMAC of the tag's UID under the shop's
key. Key files that others can read, and keys under 16 bytes, are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path

from sco_drivers.errors import BadDeviceUrl

_LABEL = b"sco-paymaster NTAG password 1"


class TagKey:
    """The shop's key for its tags. Its `repr` does not show the key."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("a key has at least 16 bytes")
        self._secret = secret

    def __repr__(self) -> str:
        return "TagKey(...)"

    @classmethod
    def load(cls, path: str, *, url: str = "") -> TagKey:
        """Read the key from the file at `path`.

        Raises:
            BadDeviceUrl: the file is missing, not a regular file, readable by others, or too short.
        """
        file = Path(path)
        try:
            mode = file.stat().st_mode
            if not stat.S_ISREG(mode):  # a pipe or /dev/urandom would never end
                raise BadDeviceUrl(f"not a regular file: key {path!r}", url=url, hint="head -c 32 /dev/urandom > FILE")
            secret = file.read_bytes()
        except OSError as error:
            raise BadDeviceUrl(f"the key file {path!r} cannot be read: {error.strerror}", url=url) from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadDeviceUrl(f"the key file {path} can be read by others", url=url, hint=f"chmod 600 {path}")
        try:
            return cls(secret)
        except ValueError as error:
            raise BadDeviceUrl(
                f"the key file {path}: {error}", url=url, hint="head -c 32 /dev/urandom > FILE"
            ) from None

    def password(self, uid: bytes) -> tuple[bytes, bytes]:
        """The 4-byte password and the 2-byte acknowledge of the tag `uid`."""
        digest = hmac.digest(self._secret, _LABEL + uid, hashlib.sha256)
        return digest[:4], digest[4:6]
