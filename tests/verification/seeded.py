"""Seeded faults: mistakes that payment software has made somewhere, put into the code that ships, one at a time.

They prove that an engine can fail: each must be caught, and by an invariant that the fault may break. All engines share
this mechanism. A fault replaces attributes of modules and classes, or items of a table, for as long as its block runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_MISSING = object()
Make = Callable[[Any], Any]
"""Makes the faulty piece from the original, which is None where a table has no such item."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement: `owner` is a module, a class, or a table (a mapping); `name` its attribute or key."""

    owner: Any
    name: Any
    make: Make


@dataclass(frozen=True, slots=True)
class SeededFault:
    """A mistake.

    Attributes:
        name: what the faulty code does, as one clause.
        breaks: the invariants that it may break first: their numbers, or words of the engine's report.
        patches: what is replaced.
        where: where the engine looks for it: a scenario's name, a `Focus`, or None for any.
    """

    name: str
    breaks: frozenset[int | str]
    patches: tuple[Patch, ...]
    where: Any = None


@contextmanager
def seeded(fault: SeededFault) -> Iterator[None]:
    """The code that ships, with `fault` in it."""
    undo: list[tuple[Any, Any, Any]] = []
    try:
        for patch in fault.patches:
            new = patch.make(_get(patch.owner, patch.name))
            for owner in _owners(patch):
                undo.append((owner, patch.name, _get(owner, patch.name, _MISSING)))
                _set(owner, patch.name, new)
        yield
    finally:
        for owner, name, original in reversed(undo):
            _set(owner, name, original)


def current(fault: SeededFault) -> list[Any]:
    """What the fault's places hold now: the same before and after its block."""
    return [_get(owner, patch.name, _MISSING) for patch in fault.patches for owner in _owners(patch)]


def _owners(patch: Patch) -> list[Any]:
    """The owner, and for a module's function the package and the modules of it that have imported the same object."""
    owners = [patch.owner]
    if isinstance(patch.owner, ModuleType):
        original = _get(patch.owner, patch.name)
        package = patch.owner.__name__.rpartition(".")[0] or patch.owner.__name__
        for name, module in list(sys.modules.items()):
            below = name == package or name.startswith(f"{package}.")
            if below and module is not patch.owner and vars(module).get(patch.name) is original:
                owners.append(module)
    return owners


def _get(owner: Any, name: Any, default: Any = None) -> Any:
    if isinstance(owner, MutableMapping):
        return owner.get(name, default)
    return getattr(owner, name)


def _set(owner: Any, name: Any, value: Any) -> None:
    if not isinstance(owner, MutableMapping):
        setattr(owner, name, value)
    elif value is _MISSING or value is None:
        owner.pop(name, None)
    else:
        owner[name] = value
