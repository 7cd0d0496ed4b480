"""Settings from the fleet as they travel: one lane's, one version's, signed with Ed25519 (RFC 8032).

A bundle is a JSON object of texts: `payload`, `hash` (SHA-256 of the payload), `key` (id of the key) and `signature`.
The payload is JSON too, and signed as it is written: nothing is written again to be verified.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sco_payment.settings import local_in

LONGEST = 1 << 20
"""Bytes of a bundle. The longest settings that a lane needs have some thousands."""
KEY_PREFIX = "ed25519:"
_SIGNED = b"sco-fleet settings 1\n"
"""Before the payload in what is signed: a signature of anything else is none of a bundle."""
_MISSING = "PyNaCl is not installed on this lane, which verifies signatures: pip install 'sco-paymaster[fleet-lane]'"


class BundleRefused(ValueError):
    """A bundle is not one for this lane, or not as it was signed. The message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle says.

    Attributes:
        lane: PosID of the lane that it is for.
        version: grows with each roll-out.
        made_at_ms: when it was signed.
        layers: versions of the layers that it was made from, by name.
        settings: section -> name -> value; nothing that only the lane's own file sets.
        hash: SHA-256 of the payload, in hex.
        text: the bundle itself, as it came.
    """

    lane: str
    version: int
    made_at_ms: int
    layers: Mapping[str, int]
    settings: Mapping[str, Any]
    hash: str
    text: str


def payload(lane: str, version: int, made_at_ms: int, layers: Mapping[str, int], settings: Mapping[str, Any]) -> str:
    """What is signed: the same settings give the same text."""
    data = {"lane": lane, "version": version, "made_at_ms": made_at_ms, "layers": layers, "settings": settings}
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def signed_bytes(text: str) -> bytes:
    """What the signature of a payload is of."""
    return _SIGNED + text.encode()


def packed(text: str, key: str, signature: bytes) -> str:
    """A bundle of a payload, the public key's text and the signature."""
    data = {"payload": text, "hash": _hash(text), "key": key_id(key), "signature": base64.b64encode(signature).decode()}
    return json.dumps(data, ensure_ascii=False, sort_keys=True)


def key_id(key: str) -> str:
    """A short name of a public key: which of two it is."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def public_key(raw: bytes) -> str:
    """A public key's 32 bytes as `fleet.settings_key` has them."""
    return KEY_PREFIX + base64.b64encode(raw).decode()


def read(text: str) -> Bundle:
    """A bundle that is whole; its signature is not verified.

    Raises:
        BundleRefused: it is cut, damaged or no bundle.
    """
    envelope = _object(text)
    inner = envelope.get("payload")
    if not isinstance(inner, str) or envelope.get("hash") != _hash(inner):
        raise BundleRefused("the bundle is damaged: its payload does not match its hash")
    data = _object(inner)
    lane, version, at, layers = (data.get(name) for name in ("lane", "version", "made_at_ms", "layers"))
    settings = data.get("settings")
    if not (
        isinstance(lane, str)
        and isinstance(version, int)
        and version > 0
        and isinstance(at, int)
        and isinstance(layers, dict)
        and isinstance(settings, dict)
        and all(isinstance(section, dict) for section in settings.values())
    ):
        raise BundleRefused("the bundle has a form that this release does not know: update sco-paymaster on the lane")
    return Bundle(
        lane=lane,
        version=version,
        made_at_ms=at,
        layers=layers,
        settings=settings,
        hash=str(envelope["hash"]),
        text=text,
    )


def verified(text: str, *, keys: Iterable[str], lane: str, newest: int) -> Bundle:
    """A bundle that this lane may take.

    Args:
        text: the bundle.
        keys: the public keys that the lane trusts.
        lane: its PosID.
        newest: the highest version that the lane has run with, 0 for none.

    Raises:
        BundleRefused: it is cut or changed, nobody whom the lane trusts signed it, it is another lane's or not newer,
            or it sets what only the lane's own file sets.
    """
    bundle = read(text)
    _check_signature(_object(text), keys)
    _check_lane(bundle, lane)
    _check_version(bundle, newest)
    if named := local_in(bundle.settings):
        raise BundleRefused(f"only the lane's own settings file sets {', '.join(sorted(named))}")
    return bundle


def _check_lane(bundle: Bundle, lane: str) -> None:
    if bundle.lane != lane:
        raise BundleRefused(f"the bundle is for the lane {bundle.lane}; this is {lane}")


def _check_version(bundle: Bundle, newest: int) -> None:
    """An old bundle, sent again or by a server whose database is an older copy, is not taken for a new one."""
    if bundle.version <= newest:
        raise BundleRefused(
            f"version {bundle.version} is not newer than version {newest}, which this lane has run with: to go back to "
            "former settings, sign them as a new version (sco-fleet settings restore)"
        )


def _check_signature(envelope: Mapping[str, Any], keys: Iterable[str]) -> None:
    named = envelope.get("key")
    key = next((key for key in keys if key_id(key) == named), None)
    if key is None:
        raise BundleRefused(f"the bundle is signed with the key {named}, which fleet.settings_key does not have")
    try:
        from nacl.exceptions import CryptoError
        from nacl.signing import VerifyKey
    except ImportError:
        raise BundleRefused(_MISSING) from None
    try:
        signature = base64.b64decode(str(envelope.get("signature")), validate=True)
        VerifyKey(base64.b64decode(key.removeprefix(KEY_PREFIX))).verify(signed_bytes(envelope["payload"]), signature)
    except (CryptoError, ValueError):
        raise BundleRefused("the bundle's signature does not match: it was changed after it was signed") from None


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise BundleRefused("the bundle is cut short, or not a bundle")
    return data


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
