"""Layers over each other: chain, shop, lane profile, lane. Each value remembers which layer it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

KINDS = ("chain", "shop", "profile", "lane")
"""Kinds of layers, from the bottom up: each wins over those before it."""


class Layer(NamedTuple):
    """A layer's name.

    Attributes:
        kind: one of `KINDS`.
        name: of the shop, the profile or the lane; empty for the chain.
    """

    kind: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Layer:
        """`chain`, `shop:NAME`, `profile:NAME` or `lane:POSID`. Raises ValueError."""
        kind, _, name = text.partition(":")
        if kind not in KINDS or (kind == "chain") == bool(name):
            raise ValueError(f"{text!r} is not a layer; write chain, shop:NAME, profile:NAME or lane:POSID")
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


class Value(NamedTuple):
    """One value of a lane's settings and the layer that it came from."""

    value: Any
    layer: Layer


@dataclass(frozen=True, slots=True)
class Merged:
    """A lane's settings.

    Attributes:
        settings: section -> name -> value, as a settings file has them.
        values: each value by its place, e.g. `display.mode` or `paymaster.states.Held`.
    """

    settings: dict[str, Any]
    values: dict[str, Value]


def merged(layers: Iterable[tuple[Layer, Mapping[str, Any]]]) -> Merged:
    """Merge tables by section and name, the later over the earlier ones; lists are replaced as a whole."""
    values: dict[str, Value] = {}
    paths: dict[str, tuple[str, ...]] = {}
    for layer, table in layers:
        for path, value in flat(table):
            where = ".".join(path)
            for other in [other for other in values if _inside(other, where) or _inside(where, other)]:
                del values[other], paths[other]
            values[where], paths[where] = Value(value, layer), path
    settings: dict[str, Any] = {}
    for where, found in values.items():
        table_of = settings
        for name in paths[where][:-1]:
            table_of = table_of.setdefault(name, {})
        table_of[paths[where][-1]] = found.value
    return Merged(settings, values)


def flat(table: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of a table with their places."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, (*at, name))
        else:
            yield (*at, name), value


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is different in `after`, one line a value."""
    old = {".".join(path): value for path, value in flat(before)}
    new = {".".join(path): value for path, value in flat(after)}
    lines = []
    for where in sorted({*old, *new}):
        if where not in new:
            lines.append(f"{where}: {shown(old[where])} -> not set")
        elif where not in old:
            lines.append(f"{where}: not set -> {shown(new[where])}")
        elif old[where] != new[where] or type(old[where]) is not type(new[where]):
            lines.append(f"{where}: {shown(old[where])} -> {shown(new[where])}")
    return lines


def shown(value: Any) -> str:
    """A value about as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _inside(where: str, table: str) -> bool:
    return where.startswith(f"{table}.")
