"""Keeps secrets out of layers and bundles: a setting names the file in which a lane finds its secret."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sco_fleet.settings.merge import flat

_NAMED = re.compile(r"token|secret|passw|pin$|^pins?_|api_?key|private|credential|login|signature", re.IGNORECASE)
_NAMES_A_FILE = re.compile(r"_file$|_path$", re.IGNORECASE)
_NOT_SECRET = frozenset(
    {"service.screen_without_token", "display.sticker_id", "display.plate_link", "paymaster.merchant_id"}
)
"""Settings whose name or value only resembles a secret."""
_SHAPES = (
    (re.compile(r"-----BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)"), "a key or certificate"),
    (re.compile(r"\b(bearer|basic)\s+\S{8,}", re.IGNORECASE), "an HTTP credential"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\."), "a JSON web token"),
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"\b[0-9a-f]{32,}\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
_RANDOM_BITS = 3.4
"""Bits a character from which a long word is not a word: English has 2.5 to 3.3 in words of this length, hex 3.6 on."""


def secrets_in(table: Mapping[str, Any]) -> list[str]:
    """What in a table, section -> name -> value, is or looks like a secret: one sentence each, without the value."""
    problems = []
    for path, value in flat(table):
        where = ".".join(path)
        if where in _NOT_SECRET:
            continue
        reason = _reason(path[-1], value)
        if reason is not None:
            problems.append(
                f"{where}: {reason}; secrets are never in settings of a fleet: put it into a file of mode 0600 on "
                "each lane, and that file's name here"
            )
    return problems


def _reason(name: str, value: Any) -> str | None:
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    names_file = _NAMES_A_FILE.search(name) is not None
    if _NAMED.search(name) and not names_file and value != "":
        return "is the name of a secret"
    for text in texts:
        for pattern, what in _SHAPES:
            if pattern.search(text):
                return f"looks like {what}"
        if _has_password(text):
            return "has a password in its address"
        is_path = names_file and (text.startswith(("/", "../")) or "." in text)
        if not is_path and _is_random(text):
            return "looks like a token or key"
    return None


def _has_password(text: str) -> bool:
    try:
        return urlsplit(text).password is not None
    except ValueError:
        return False


def _is_random(text: str) -> bool:
    if _UUID.fullmatch(text):
        return False
    if _HEX.search(text):
        return True
    for word in _WORD.findall(text):
        parts = max(re.split(r"[/_-]", word), key=len)
        if len(parts) < 20 or not (re.search(r"\d", parts) and re.search(r"[A-Za-z]", parts)):
            continue
        counts = Counter(parts)
        if -sum(n / len(parts) * math.log2(n / len(parts)) for n in counts.values()) > _RANDOM_BITS:
            return True
    return False
