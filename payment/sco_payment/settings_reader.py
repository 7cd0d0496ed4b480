"""Reads the settings of a lane from one TOML file and the environment, and reports every problem at once.

`SCO_<SECTION>_<NAME>` in the environment overrides a value of the file, e.g. `SCO_DISPLAY_MODE=1`. The token is not in
the settings file: it comes from `SCO_PAYMASTER_TOKEN`, or from the file that `paymaster.token_file` names. Relative
paths in the settings file start at its own folder. What a fleet has given to the lane lies over the file, and under the
environment.
"""

from __future__ import annotations

import errno
import importlib
import os
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from sco_payment.acquirer import check_settings
from sco_payment.customer.texts import is_utf8
from sco_payment.customer.theme import read_theme
from sco_payment.settings import SERVICE_TOKEN_VARIABLE, TOKEN_VARIABLE, Settings
from sco_payment.settings_checks import check_combinations, check_lane

if TYPE_CHECKING:
    from sco_payment.fleet.settings_store import Store

_LONGEST_FILE = 1 << 20
"""Bytes. The longest settings that a lane needs have some thousands."""
_LONGEST_SHOWN = 320
_TEXTS = tuple[str, ...]
"""Type of a setting that is one text or a list of them."""
_CLIENTS = dict[str, dict[str, str]]
"""Type of the table of the service's clients."""
_ROLES = ("till", "attendant", "monitor")
_IN_ENVIRONMENT = (str, int, float, bool, _TEXTS)
"""Types of settings that an environment variable can hold."""


class SettingsError(ValueError):
    """The settings cannot be used.

    Attributes:
        source: the file, or what else the settings came from.
        problems: one sentence a problem: the setting, what was found and what to write.
        settings: what could be read all the same, with defaults for the rest; None if nothing could.
    """

    def __init__(self, source: str, problems: list[str], settings: Settings | None = None) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source = source
        self.problems = problems
        self.settings = settings


def load_settings(
    path: str | Path,
    environment: Mapping[str, str] | None = None,
    *,
    token: bool = True,
    from_fleet: Mapping[str, Any] | None = None,
) -> Settings:
    """Read and validate the settings file at `path`, and what the fleet has given to the lane.

    Args:
        path: the TOML file. Relative paths in it start at its folder, in the environment at the working directory.
        environment: used instead of the process's environment.
        token: whether PayMaster's token is required. Pass False to make no requests, or to pass the token elsewhere.
        from_fleet: what the fleet sets, section -> name -> value, instead of what is in force.

    Raises:
        SettingsError: the settings cannot be used; lists every problem of the file and the environment.
    """
    source = str(path)
    environment = os.environ if environment is None else environment
    table = read_table(path)
    if from_fleet is None:
        from_fleet = _in_force(path, table, environment)
    if from_fleet:
        merge(table, from_fleet)
    _resolve_paths(Path(path).parent, table)
    return settings_from_mapping(table, environment, source=source, token=token)


def read_table(path: str | Path) -> dict[str, Any]:
    """The settings file as it is: section -> name -> value. Raises SettingsError."""
    source = str(path)
    try:
        data = _read(Path(path))
        text = data.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except FileNotFoundError:
        raise SettingsError(source, ["no such file"]) from None
    except OSError as error:
        raise SettingsError(source, [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(source, [f"not UTF-8 text (line {line}): save the file as UTF-8"]) from None
    return parse_table(text, source)


def parse_table(text: str, source: str) -> dict[str, Any]:
    """The sections of a TOML text that came from `source`. Raises SettingsError."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib's own, a number of 5,000 digits, a thousand brackets
        raise SettingsError(source, [f"not TOML: {error}"]) from None


def merge(table: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put `over` over `table`: tables are merged by name, any other value is replaced."""
    for name, value in over.items():
        below = table.get(name)
        if isinstance(value, Mapping):
            inner = dict(below) if isinstance(below, Mapping) else {}
            merge(inner, value)
            table[name] = inner
        else:
            table[name] = value


def fleet_store(path: str | Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> Store | None:
    """The lane's settings from the fleet, next to its journal; None for a lane that takes none."""
    fleet, journal, lane = (table.get(name) for name in ("fleet", "journal", "lane"))
    keys = environment.get("SCO_FLEET_SETTINGS_KEY") or (isinstance(fleet, dict) and fleet.get("settings_key"))
    named = environment.get("SCO_JOURNAL_PATH") or (isinstance(journal, dict) and journal.get("path"))
    if not keys or not isinstance(named, str) or not named:
        return None
    at = Path(named) if "SCO_JOURNAL_PATH" in environment else Path(path).parent / named
    pos_id = environment.get("SCO_LANE_POS_ID", lane.get("pos_id") if isinstance(lane, dict) else "")
    kind = importlib.import_module("sco_payment.fleet.settings_store").Store  # by name: most lanes have no fleet
    store: Store = kind(at.with_name(f"{at.name}.settings"), pos_id if isinstance(pos_id, str) else "")
    return store


def _in_force(path: str | Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
    store = fleet_store(path, table, environment)
    if store is None:
        return {}
    try:
        bundle = store.in_force()
    except ValueError as error:
        raise SettingsError(str(path), [f"settings from the fleet: {error}"]) from None
    return bundle.settings if bundle is not None else {}


def _read(path: Path) -> bytes:
    """The settings file, which may be a pipe of a shell, but has an end. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(_LONGEST_FILE + 1)
    if len(data) > _LONGEST_FILE:
        raise OSError(errno.EFBIG, f"longer than {_LONGEST_FILE} bytes: not a settings file")
    return data


def _resolve_paths(folder: Path, data: dict[str, Any]) -> None:
    """Let relative paths start at the settings file: a command run elsewhere must not start a second journal."""
    for section, name in (
        ("journal", "path"),
        ("journal", "anchor"),
        ("paymaster", "token_file"),
        ("paymaster", "ca_file"),
        ("paymaster", "proxy_login_file"),
        ("ticket", "logo"),
        ("service", "tls_certificate"),
        ("service", "tls_key"),
        ("service", "operators_file"),
        ("fleet", "token_file"),
        ("fleet", "ca_file"),
        ("lane", "logo"),
        ("lane", "theme"),
    ):
        _resolve(folder, data.get(section), name)
    service = data.get("service")
    clients = service.get("clients") if isinstance(service, dict) else None
    for client in clients.values() if isinstance(clients, dict) else ():
        _resolve(folder, client, "token_file")


def _resolve(folder: Path, table: object, name: str) -> None:
    if isinstance(table, dict) and isinstance(table.get(name), str) and table[name]:
        table[name] = str(folder / table[name])


def settings_from_mapping(
    data: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    *,
    source: str = "settings",
    token: bool = True,
    on_lane: bool = True,
) -> Settings:
    """Validate settings given as nested mappings, section -> name -> value.

    Args:
        data: as `tomllib` reads it from a file.
        environment: variables that override it; none by default.
        source: what the settings came from, for messages.
        token: see `load_settings`.
        on_lane: whether this is the lane's machine. False, in an office: files and devices are the lane's and are not
            looked for, and what only the lane's own file sets may be missing.

    Raises:
        SettingsError: the settings cannot be used; lists every problem.
    """
    settings, problems = read_sections(data, environment or {})
    check_combinations(settings, problems)
    if on_lane:
        check_lane(settings, problems)
    elif not settings.lane.theme:
        problems += read_theme(replace(settings.lane, logo=""))[1]
    problems += check_settings(settings, environment or {}, credential=token and on_lane)
    if problems:
        raise SettingsError(source, problems, settings)
    return settings


def read_sections(data: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings with defaults for what is missing or wrong, and what is wrong with each setting by itself."""
    problems: list[str] = []
    sections: dict[str, Any] = {}
    known = {section.name: _section_type(section) for section in fields(Settings)}
    for name in sorted(set(data) - set(known)):
        problems.append(f"unknown section [{name}]; expected one of {', '.join(known)}")
    for name, kind in known.items():
        table = data.get(name, {})
        if not isinstance(table, Mapping):
            problems.append(f"{name} must be a section: write [{name}]")
            table = {}
        if kind is dict:
            sections[name] = dict(table)
            continue
        sections[name] = _read_section(name, kind, table, environment, problems)
    return Settings(**sections), problems


def reference() -> list[tuple[str, str, str, str]]:
    """Rows of the settings reference: section, name, default, meaning."""
    rows = []
    for section in fields(Settings):
        if _section_type(section) is dict:
            rows.append((section.name, "*", "", "settings of another acquirer, as its adapter documents them"))
            continue
        example = _section_type(section)()
        for entry in fields(example):
            rows.append((section.name, entry.name, _toml(getattr(example, entry.name)), _meaning(entry)))
    return rows


def _meaning(entry: Field[Any]) -> str:
    low, high, choices = entry.metadata["min"], entry.metadata["max"], entry.metadata["choices"]
    bounds = ", ".join(choices) or (f"{low:g} to {high:g}" if low is not None else "")
    bounds = bounds or (f"at most {high} characters" if high is not None else "")
    return str(entry.metadata["doc"]) + (f" ({bounds})" if bounds else "")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return str(list(value))
    return "{}" if value == {} else str(value)


def _section_type(section: Field[Any]) -> Any:
    return section.default_factory


def _read_section(
    name: str, kind: Any, table: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]
) -> Any:
    hints = get_type_hints(kind)
    entries = {entry.name: entry for entry in fields(kind)}
    for unknown in sorted(set(table) - set(entries)):
        problems.append(f"unknown setting {name}.{unknown}; expected one of {', '.join(entries)}")
    prefix = f"SCO_{name}_".upper()
    for variable in sorted(variable for variable in environment if variable.startswith(prefix)):
        key = variable.removeprefix(prefix).lower()
        if key not in entries and variable not in (TOKEN_VARIABLE, SERVICE_TOKEN_VARIABLE):
            problems.append(f"{variable}: unknown setting {name}.{key}; expected one of {', '.join(entries)}")
        elif key in entries and hints[key] not in _IN_ENVIRONMENT:
            problems.append(f"{variable}: a table can be set only in the file, as [{name}.{key}]")
    values: dict[str, Any] = {}
    for key, entry in entries.items():
        variable = f"SCO_{name}_{key}".upper()
        where = f"{name}.{key}"
        if variable in environment and hints[key] in _IN_ENVIRONMENT:
            where = variable
            raw: Any = _from_environment(environment[variable], hints[key])
        elif key in table:
            raw = table[key]
        else:
            continue
        problem = _problem_of(raw, hints[key], entry)
        if problem:
            problems.append(f"{where} = {_shown(raw)}: {problem}")
        elif hints[key] == _TEXTS:
            values[key] = ((raw,) if raw else ()) if isinstance(raw, str) else tuple(raw)
        else:
            values[key] = float(raw) if hints[key] is float else raw
    return kind(**values)


def _shown(raw: Any) -> str:
    """What was found, for a message: a number of thousands of digits cannot even be written down."""
    try:
        text = repr(raw)
    except ValueError:
        return "a number"
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def _from_environment(text: str, kind: Any) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text.split() if kind == _TEXTS else text


def _problem_of(raw: Any, kind: Any, entry: Field[Any]) -> str | None:
    if kind is bool:
        return None if isinstance(raw, bool) else "must be true or false"
    if kind in (int, float):
        if isinstance(raw, bool) or not isinstance(raw, int if kind is int else (int, float)):
            return "must be a whole number" if kind is int else "must be a number"
        low, high = entry.metadata["min"], entry.metadata["max"]
        if low is not None and not low <= raw <= high:
            return f"must be from {low:g} to {high:g}"
        return None
    if kind is str:
        if not isinstance(raw, str):
            return "must be text in quotes"
        if not is_utf8(raw):  # from the environment; PayMaster and the journal could not store it
            return "must be UTF-8 text"
        if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") and char != "\n" for char in raw):
            return "must be without control characters"
        longest = entry.metadata["max"]
        if longest is not None and (len(raw) > longest or not raw.isprintable()):
            return f"must be at most {longest} printable characters, found {len(raw)}"
        choices = entry.metadata["choices"]
        return None if not choices or raw in choices else f"must be one of {', '.join(choices)}"
    if kind == _TEXTS:
        urls = [raw] if isinstance(raw, str) else raw
        if not isinstance(urls, list) or not all(
            isinstance(url, str) and is_utf8(url) and (url or not raw) for url in urls
        ):
            return "must be text in quotes, or a list of them"
        twice = sorted({url for url in urls if urls.count(url) > 1})
        return f"{twice[0]} is given twice" if twice else None
    if kind == _CLIENTS:
        return _problem_of_clients(raw)
    if not isinstance(raw, Mapping) or not all(isinstance(value, int) and 1 <= value <= 6 for value in raw.values()):
        return "must be a table of status words, each with an order state from 1 to 6"
    return None


def _problem_of_clients(raw: Any) -> str | None:
    if not isinstance(raw, Mapping):
        return "must be tables: write [service.clients.NAME]"
    for name, client in raw.items():
        if not isinstance(client, Mapping) or set(client) != {"role", "token_file"}:
            return f"{name} must have role and token_file, and nothing else"
        if client["role"] not in _ROLES:
            return f"{name}: role must be one of {', '.join(_ROLES)}"
        if not isinstance(client["token_file"], str) or not client["token_file"]:
            return f"{name}: token_file must name a file"
    return None
