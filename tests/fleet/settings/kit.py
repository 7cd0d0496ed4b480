"""Signed settings for lane-1, and the lane's folder for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sco_fleet.settings.signing import Key
from sco_payment.fleet.bundle import Bundle, read

KEY, SPARE, STRANGER = Key(bytes(range(32))), Key(bytes(32)), Key(b"\x07" * 32)
LANE = "lane-1"


def bundle(
    version: int, settings: Mapping[str, Any] | None = None, *, lane: str = LANE, key: Key = KEY, at_ms: int = 1_000
) -> str:
    """A signed bundle whose settings tell its version."""
    if settings is None:
        settings = {"timing": {"grace_s": 600 + version}}
    return key.bundle(lane, version, at_ms, {"chain": version}, settings)


def whole(version: int, settings: Mapping[str, Any] | None = None) -> Bundle:
    return read(bundle(version, settings))


def files(folder: Path) -> dict[str, int]:
    """The version of each bundle that is there."""
    return {path.name: read(path.read_text()).version for path in folder.glob("*.json") if path.name != "report.json"}


def changed(text: str, **entries: object) -> str:
    """A bundle whose payload says something else; hash and signature as they were, or as given."""
    envelope = json.loads(text)
    return json.dumps(envelope | entries)
