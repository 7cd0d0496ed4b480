"""What callers give to devices and get back, as JSON, for the calls in a trace."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

_TYPES = ("sco_drivers.printer", "sco_drivers.display")
"""The modules whose public types an argument may have."""
_NOTHING = object()


def plain(value: object) -> Any:
    """An argument as JSON.

    Raises:
        TypeError: it is none that a device takes.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return {"hex": bytes(value).hex()}
    if isinstance(value, Enum):
        return {"is": type(value).__name__, "value": value.value}
    if _is_record(value):
        return {"is": type(value).__name__, **{name: plain(getattr(value, name)) for name in _names(value)}}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    raise TypeError(f"a {type(value).__name__} is not a plain argument")


def from_plain(value: Any) -> Any:
    """An argument from JSON.

    Raises:
        ValueError: it is none that `plain` makes.
    """
    if isinstance(value, list):
        return tuple(from_plain(one) for one in value)
    if not isinstance(value, dict):
        return value
    try:
        if "hex" in value:
            return bytes.fromhex(value["hex"])
        kind = _type(value["is"])
        if issubclass(kind, Enum):
            return kind(value["value"])
        return kind(**{name: from_plain(one) for name, one in value.items() if name != "is"})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not an argument: {str(value)[:80]} ({error})") from error


def outcome(value: object) -> Any:
    """What can be compared of a result: numbers, choices and kinds of errors; no words and no octets."""
    found = _outcome(value)
    return None if found is _NOTHING else found


def _outcome(value: object) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseException):
        return {"error": type(value).__name__}
    if _is_record(value):
        seen = {name: _outcome(getattr(value, name)) for name in _names(value)}
        return {"is": type(value).__name__} | {name: one for name, one in seen.items() if one is not _NOTHING}
    return _NOTHING


def _is_record(value: object) -> bool:
    return (is_dataclass(value) and not isinstance(value, type)) or hasattr(value, "_fields")


def _names(value: Any) -> Iterable[str]:
    return value._fields if hasattr(value, "_fields") else [field.name for field in fields(value)]


def _type(name: str) -> type:
    for module in _TYPES:
        loaded = importlib.import_module(module)
        found = getattr(loaded, name, None) if name in loaded.__all__ else None
        if isinstance(found, type):
            return found
    raise ValueError(f"there is no {name}")
