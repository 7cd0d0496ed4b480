"""What an office can check of settings: everything but the lane's own machine, files and devices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sco_fleet.settings.merge import Layer, flat
from sco_fleet.settings.secrets import secrets_in
from sco_payment.settings import local_in
from sco_payment.settings_reader import SettingsError, parse_table, read_sections, settings_from_mapping

ONE_LANES = ("display.sticker_id", "display.plate_link")
"""The cash link on a lane's plate: no two lanes have the same."""


class SettingsRefused(ValueError):
    """Settings that no lane may get.

    Attributes:
        problems: one sentence a problem, with the setting.
    """

    def __init__(self, what: str, problems: list[str]) -> None:
        super().__init__("\n  - ".join([f"{what} cannot be used:", *problems]))
        self.problems = problems


def read_layer(layer: Layer, text: str) -> dict[str, Any]:
    """The table of a layer's TOML, alone: unknown settings, wrong values, secrets, what is local to a lane, and in a
    layer of several lanes what only one can have.

    What depends on several settings is checked for each lane, when its layers are merged.

    Raises:
        SettingsRefused: with all problems.
    """
    what = str(layer)
    try:
        table = parse_table(text, what)
    except SettingsError as error:
        raise SettingsRefused(what, error.problems) from None
    problems = _with_refused(table, read_sections(table, {})[1])
    if layer.kind != "lane":
        problems += [f"{name} is of one lane: write it into the layer lane:POSID" for name in _one_lanes(table)]
    if problems:
        raise SettingsRefused(what, problems)
    return table


def check_lanes(settings: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check lanes' merged settings as the lanes will, without what only their machines know; the same ones once.

    Args:
        settings: PosID and settings of each lane.

    Raises:
        SettingsRefused: each problem, and the lanes that have it.
    """
    known: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    for lane_id, table in settings:
        content = content_hash(table)
        if content not in known:
            known[content] = _problems(table)
        for problem in known[content]:
            problems.setdefault(problem, []).append(lane_id)
    if problems:
        raise SettingsRefused("the settings", [f"{one} ({lanes_named(lanes)})" for one, lanes in problems.items()])


def content_hash(settings: Mapping[str, Any]) -> str:
    """The same for the same settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def lanes_named(names: Sequence[str]) -> str:
    """Some lanes for a message: how many, and the first ones."""
    shown = ", ".join(names[:5])
    return f"lane {shown}" if len(names) == 1 else f"{len(names)} lanes: {shown}{', ...' if len(names) > 5 else ''}"


def _one_lanes(table: Mapping[str, Any]) -> list[str]:
    return [where for path, _ in flat(table) if (where := ".".join(path)) in ONE_LANES]


def _problems(table: Mapping[str, Any]) -> list[str]:
    try:
        settings_from_mapping(table, on_lane=False, token=False)
        problems = []
    except SettingsError as error:
        problems = error.problems
    return _with_refused(table, problems)


def _with_refused(table: Mapping[str, Any], problems: list[str]) -> list[str]:
    """The problems, after those of what may not be in settings from the fleet; a secret is not shown by another one."""
    secrets = secrets_in(table)
    shown = [problem for problem in problems if not any(_is_of(problem, secret) for secret in secrets)]
    return [
        *(f"{name} is local to a lane: write it into the lane's own settings file" for name in local_in(table)),
        *secrets,
        *shown,
    ]


def _is_of(problem: str, secret: str) -> bool:
    return problem.startswith(f"{secret.partition(':')[0]} = ")
