"""Layers in the database: each change is another version, with who made it, when and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection

from sco_fleet.settings.check import read_layer
from sco_fleet.settings.merge import KINDS, Layer, Merged, merged


class LayerError(ValueError):
    """There is no such layer or version, or it cannot be changed so."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a layer, as it was written."""

    layer: Layer
    number: int
    toml: str
    made_at: datetime
    made_by: str
    comment: str


class Place(NamedTuple):
    """Which layers a lane has, by the fleet's table of lanes."""

    lane_id: str
    shop: str
    profile: str

    def layers(self) -> list[Layer]:
        """From the bottom up."""
        return [
            Layer("chain"),
            Layer("shop", self.shop),
            *([Layer("profile", self.profile)] if self.profile else []),
            Layer("lane", self.lane_id),
        ]


def put(db: Connection[Any], layer: Layer, toml: str, by: str, comment: str, after: int | None = None) -> int:
    """Write another version of a layer; returns its number.

    Args:
        db: the fleet's database.
        layer: which one.
        toml: its settings.
        by: who wants it.
        comment: why.
        after: the version that was edited, so that nobody's newer one is overwritten unseen. None: whatever is there.

    Raises:
        SettingsRefused: something in it is wrong, secret, local to a lane or another layer's. LayerError: it is the
            same as before, or there is a newer version than `after`.
    """
    read_layer(layer, toml)
    if not by or not comment.strip():
        raise LayerError("say who changes the settings, and why: --by and --comment")
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(hashtextextended('settings_layers', 0))")
        present = newest(db, layer)
        if present is not None and after is not None and present.number != after:
            raise LayerError(
                f"{layer} is now at version {present.number} by {present.made_by}, not {after}: edit that one"
            )
        if present is not None and present.toml == toml:
            raise LayerError(f"{layer} does not differ from version {present.number}")
        number = 1 if present is None else present.number + 1
        db.execute(
            "INSERT INTO settings_layers (kind, name, version, toml, made_by, comment) VALUES (%s, %s, %s, %s, %s, %s)",
            (*layer, number, toml, by, comment.strip()),
        )
    return number


def restore(db: Connection[Any], layer: Layer, number: int, by: str, comment: str) -> int:
    """Make a former version the newest one, as another version; returns its number. Raises as `put`."""
    return put(db, layer, version(db, layer, number).toml, by, comment)


def go_back(db: Connection[Any], numbers: Mapping[str, int], by: str, comment: str) -> list[tuple[Layer, int]]:
    """Make all layers what they were: `numbers` has the version of each, by its name. Returns the versions made."""
    done = []
    with db.transaction():
        for name, number in Snapshot(db).numbers.items():
            layer, before = Layer.parse(name), numbers.get(name)
            toml = version(db, layer, before).toml if before is not None else ""
            if before != number and toml != require(db, layer).toml:
                done.append((layer, put(db, layer, toml, by, comment)))
    return done


def version(db: Connection[Any], layer: Layer, number: int) -> Version:
    """One version of a layer. Raises LayerError."""
    found = versions(db, layer)
    for one in found:
        if one.number == number:
            return one
    raise LayerError(f"{layer} has no version {number}" if found else _nothing(layer))


def newest(db: Connection[Any], layer: Layer) -> Version | None:
    """The layer as it is now; None for one that was never written."""
    return next(iter(versions(db, layer, most=1)), None)


def require(db: Connection[Any], layer: Layer) -> Version:
    """The layer as it is now. Raises LayerError."""
    found = newest(db, layer)
    if found is None:
        raise LayerError(_nothing(layer))
    return found


def versions(db: Connection[Any], layer: Layer | None = None, most: int | None = None) -> list[Version]:
    """The versions of a layer, or of all layers; the newest first."""
    rows = db.execute(
        "SELECT kind, name, version, toml, made_at, made_by, comment FROM settings_layers "
        "WHERE %(all)s OR (kind = %(kind)s AND name = %(name)s) "
        "ORDER BY made_at DESC, version DESC LIMIT %(most)s",
        {
            "all": layer is None,
            "kind": "" if layer is None else layer.kind,
            "name": "" if layer is None else layer.name,
            "most": most,
        },
    ).fetchall()
    return [Version(Layer(kind, name), *rest) for kind, name, *rest in rows]


class Snapshot:
    """All layers as they were at one moment, to merge them for many lanes.

    Attributes:
        numbers: version of each layer, by its name.
    """

    def __init__(self, db: Connection[Any]) -> None:
        rows = db.execute(
            "SELECT DISTINCT ON (kind, name) kind, name, version, toml FROM settings_layers "
            "ORDER BY kind, name, version DESC"
        ).fetchall()
        self._texts = {Layer(kind, name): toml for kind, name, _, toml in rows}
        self._tables: dict[Layer, dict[str, Any]] = {}
        self.numbers = {str(Layer(kind, name)): number for kind, name, number, _ in rows}

    def merged(self, place: Place) -> Merged:
        """A lane's settings. Raises SettingsRefused: a layer that an older release took cannot be used by this one."""
        return merged((layer, self._table(layer)) for layer in place.layers() if layer in self._texts)

    def numbers_of(self, place: Place) -> dict[str, int]:
        """The versions of a lane's layers."""
        return {str(layer): self.numbers[str(layer)] for layer in place.layers() if layer in self._texts}

    def _table(self, layer: Layer) -> dict[str, Any]:
        if layer not in self._tables:
            self._tables[layer] = read_layer(layer, self._texts[layer])
        return self._tables[layer]


def places(
    db: Connection[Any], *, lanes: Iterable[str] = (), shops: Iterable[str] = (), profiles: Iterable[str] = ()
) -> list[Place]:
    """The enabled lanes among those named; all where nothing is named. Raises LayerError for an unknown name."""
    chosen = {"lane_id": list(lanes), "shop": list(shops), "profile": list(profiles)}
    found = [Place(*row) for row in db.execute(_PLACES, chosen).fetchall()]
    for names, what, values in (
        (chosen["lane_id"], "lane", {place.lane_id for place in found}),
        (chosen["shop"], "shop", {place.shop for place in found}),
        (chosen["profile"], "profile", {place.profile for place in found}),
    ):
        if unknown := sorted(set(names) - values):
            raise LayerError(f"no enabled lane is of {what} {', '.join(unknown)}")
    return found


def place(db: Connection[Any], lane_id: str) -> Place:
    """Where a lane is. Raises LayerError."""
    row = db.execute("SELECT lane_id, shop, profile FROM lanes WHERE lane_id = %s", (lane_id,)).fetchone()
    if row is None:
        raise LayerError(f"there is no lane {lane_id}")
    return Place(*row)


_PLACES = """
SELECT lane_id, shop, profile FROM lanes
WHERE NOT disabled AND (
    (cardinality(%(lane_id)s::text[]) + cardinality(%(shop)s::text[]) + cardinality(%(profile)s::text[]) = 0)
    OR lane_id = ANY(%(lane_id)s) OR shop = ANY(%(shop)s) OR profile = ANY(%(profile)s)
)
ORDER BY shop, lane_id
"""


def _nothing(layer: Layer) -> str:
    return f"{layer} has no settings; layers are {', '.join(KINDS)}"
