"""Reads limits files, and reports every error of a file at once. `limits.toml` in this package describes their form."""

from __future__ import annotations

import functools
import math
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from sco_hwtest.limits import Limit, Limits
from sco_hwtest.measurements import GROUPS, MEASUREMENTS

FORMAT = 1
_BOUNDS = ("fail_below", "marginal_below", "marginal_above", "fail_above")
"""In the order that their values must have."""
_NAMES = ("unit", *_BOUNDS, "advice")
_LONGEST_FILE = 1 << 20


class LimitsError(ValueError):
    """A limits file cannot be used.

    Attributes:
        source: the file.
        problems: one sentence each: where, what was found, what is expected.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))
        self.source = source
        self.problems = problems


@functools.cache
def default_limits() -> Limits:
    """The limits that this package brings."""
    return limits_from_text(default_text(), "limits.toml")


def default_text() -> str:
    """The file of `default_limits`, which explains the form of a limits file."""
    return files("sco_hwtest").joinpath("limits.toml").read_text("utf-8")


def load_limits(path: str | Path) -> Limits:
    """The limits of a file, over the default ones.

    Raises:
        LimitsError: it cannot be read or used; has every problem.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
        if len(data) > _LONGEST_FILE:
            raise LimitsError(str(path), [f"longer than {_LONGEST_FILE} bytes: not a limits file"])
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise LimitsError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise LimitsError(str(path), ["not UTF-8 text"]) from None
    return limits_from_text(text, str(path)).over(default_limits())


def limits_from_text(text: str, source: str) -> Limits:
    """The limits in `text`, without the default ones; `source` is for messages.

    Raises:
        LimitsError: the text cannot be used; has every problem.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise LimitsError(source, [f"not TOML: {error}"]) from None
    reader = _Reader()
    reader.document(document)
    if reader.problems:
        raise LimitsError(source, reader.problems)
    return Limits((tuple(reader.limits),))


class _Reader:
    """Collects limits and problems."""

    def __init__(self) -> None:
        self.limits: list[Limit] = []
        self.problems: list[str] = []

    def document(self, document: dict[str, Any]) -> None:
        """Read the whole file."""
        if (found := document.get("format")) != FORMAT or isinstance(found, bool):
            self.problems.append(f"format is {_shown(found)}; expected format = {FORMAT}")
        for group, tables in document.items():
            if group == "format":
                continue
            if group not in GROUPS:
                self.problems.append(f"unknown device [{group}]; expected one of {', '.join(GROUPS)}")
            elif not isinstance(tables, dict):
                self.problems.append(f"{group} is {_shown(tables)}; expected tables [{group}.MEASUREMENT]")
            else:
                for name, table in tables.items():
                    self._measurement(group, name, table)

    def _measurement(self, group: str, name: str, table: object) -> None:
        where = f"[{group}.{name}]"
        if (group, name) not in MEASUREMENTS:
            known = ", ".join(name for of, name in MEASUREMENTS if of == group)
            self.problems.append(f"{where}: unknown measurement {name}; expected one of {known}")
            return
        if not isinstance(table, dict):
            self.problems.append(f"{where} is {_shown(table)}; expected a table")
            return
        models = table.get("model", {})
        if set(table) - {"model"} or not models:
            self._limit(group, name, "", {key: value for key, value in table.items() if key != "model"}, where)
        if not isinstance(models, dict):
            self.problems.append(f'{where}: model is {_shown(models)}; expected tables [{group}.{name}.model."NAME"]')
            return
        for model, of_model in models.items():
            its = f'[{group}.{name}.model."{model}"]'
            if not model.strip():
                self.problems.append(f"{its}: the name of a model is empty; leave .model out for all models")
            elif not isinstance(of_model, dict):
                self.problems.append(f"{its} is {_shown(of_model)}; expected a table")
            else:
                self._limit(group, name, model, of_model, its)

    def _limit(self, group: str, name: str, model: str, table: dict[str, Any], where: str) -> None:
        before = len(self.problems)
        for unknown in [key for key in table if key not in _NAMES]:
            self.problems.append(f"{where}: unknown name {unknown}; expected one of {', '.join((*_NAMES, 'model'))}")
        unit = MEASUREMENTS[group, name].unit
        if table.get("unit") != unit:
            self.problems.append(f'{where}: unit is {_shown(table.get("unit"))}; expected "{unit}"')
        advice = table.get("advice", "")
        if not isinstance(advice, str):
            self.problems.append(f"{where}: advice is {_shown(advice)}; expected a text")
        bounds = {key: table[key] for key in _BOUNDS if key in table}
        for key, value in bounds.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                self.problems.append(f"{where}: {key} is {_shown(value)}; expected a number of {unit}")
        if not bounds:
            self.problems.append(f"{where}: no limit; expected at least one of {', '.join(_BOUNDS)}")
        if len(self.problems) > before:
            return
        for (low, lower), (high, higher) in zip(bounds.items(), list(bounds.items())[1:], strict=False):
            if lower > higher:
                self.problems.append(f"{where}: {low} is {lower:g} and {high} is {higher:g}; expected {low} <= {high}")
        self.limits.append(Limit(group, name, **bounds, model=model, advice=advice))


def _shown(value: object) -> str:
    """A value as the file writes it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}..."'
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "an array"
    return str(value)
