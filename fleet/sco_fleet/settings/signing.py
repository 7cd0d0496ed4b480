"""The office's key: made once, kept in a file that only its owner may read, never in the database."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from sco_payment.fleet.bundle import packed, payload, public_key, signed_bytes
from sco_payment.paymaster.token import TokenError, read_secret_file

_HEADER = "sco-fleet settings key, secret: keep it off the server where you can\n"


class KeyRefused(ValueError):
    """The key's file cannot be used, or not be made."""


class Key:
    """Signs bundles.

    Attributes:
        public: as `fleet.settings_key` of the lanes has it.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public = public_key(bytes(self._key.verify_key))

    def bundle(
        self, lane: str, version: int, made_at_ms: int, layers: Mapping[str, int], settings: Mapping[str, Any]
    ) -> str:
        """A lane's signed settings."""
        text = payload(lane, version, made_at_ms, layers, settings)
        return packed(text, self.public, self._key.sign(signed_bytes(text)).signature)


def make_key(path: Path) -> Key:
    """A new key, in a new file of mode 0600. Raises KeyRefused: the file is there already, or cannot be written."""
    seed = bytes(SigningKey.generate())
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(_HEADER + base64.b64encode(seed).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeyRefused(f"{path} already exists: a key is never overwritten") from None
    except OSError as error:
        raise KeyRefused(f"{path}: {error.strerror}") from None
    return Key(seed)


def load_key(path: Path) -> Key:
    """The key in a file. Raises KeyRefused."""
    try:
        text = read_secret_file(path)
    except TokenError as error:
        raise KeyRefused(str(error)) from None
    try:
        seed = base64.b64decode(text.removeprefix(_HEADER).strip(), validate=True)
    except (binascii.Error, ValueError):
        seed = b""
    if not text.startswith(_HEADER) or len(seed) != 32:
        raise KeyRefused(f"{path} is not a key of `sco-fleet settings keygen`")
    return Key(seed)
