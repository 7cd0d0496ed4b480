"""Reads the settings of a lane from one TOML file and the environment, and reports every problem at once.

`SCO_<SECTION>_<NAME>` in the environment overrides a value of the file, e.g. `SCO_DISPLAY_MODE=1`. The token is not in
the settings file: it comes from `SCO_PAYMASTER_TOKEN`, or from the file that `paymaster.token_file` names. Relative
paths in the settings file start at its own folder.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import SplitResult, urlsplit

from sco_drivers import DeviceError, check_url
from sco_payment import link as links
from sco_payment.acquirer import check_settings
from sco_payment.acquirer import is_known as is_known_acquirer
from sco_payment.attempt import Mode
from sco_payment.customer.texts import is_utf8
from sco_payment.customer.theme import read_theme
from sco_payment.settings import TOKEN_VARIABLE, FleetSettings, PayMasterSettings, ServiceSettings, Settings

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f]*:[0-9a-f:.]+")
_KEY = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")
_LONGEST_PLATE_S = 1200.0
"""For which SBP keeps an amount on a cash link."""
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


def fleet_folder(path: str | Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> Path | None:
    """Where the settings from the fleet are kept, next to the journal; None for a lane that takes none."""
    fleet, journal = table.get("fleet"), table.get("journal")
    keys = environment.get("SCO_FLEET_SETTINGS_KEY") or (isinstance(fleet, dict) and fleet.get("settings_key"))
    named = environment.get("SCO_JOURNAL_PATH") or (isinstance(journal, dict) and journal.get("path"))
    if not keys or not isinstance(named, str) or not named:
        return None
    at = Path(named) if "SCO_JOURNAL_PATH" in environment else Path(path).parent / named
    return at.with_name(f"{at.name}.settings")


def _in_force(path: str | Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
    folder = fleet_folder(path, table, environment)
    if folder is None:
        return {}
    store = importlib.import_module("sco_payment.fleet.settings_store")  # by name: most lanes have no fleet
    try:
        bundle = store.Store(folder).in_force()
    except ValueError as error:
        raise SettingsError(str(path), [f"settings from the fleet: {error}"]) from None
    return bundle.settings if bundle is not None else {}


def _read(path: Path) -> bytes:
    """The settings file, which may be a pipe of a shell, but has an end. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(_LONGEST_FILE + 1)
    if len(data) > _LONGEST_FILE:
        raise OSError(errno.EFBIG, f"longer than {_LONGEST_FILE} bytes, which no settings file is")
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
    _check_combinations(settings, problems)
    if on_lane:
        _check_lane(settings, problems)
    elif not settings.lane.theme:
        problems += read_theme(replace(settings.lane, logo=""))[1]
    if on_lane or is_known_acquirer(settings.lane.acquirer):  # an office need not have a shop's adapter
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
        if key not in entries and variable != TOKEN_VARIABLE:
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
        return f"{twice[0]} is there twice" if twice else None
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


def _check_service(service: ServiceSettings, problems: list[str]) -> None:
    url = _split(f"//{service.listen}")
    if url is None or not url.hostname or url.port is None or url.netloc != service.listen:
        problems.append(f"service.listen = {service.listen!r}: must be address:port, e.g. 127.0.0.1:8723")
    elif not service.tls_certificate and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        problems.append(
            f"service.listen = {service.listen!r}: plain HTTP is allowed only on this machine; give tls_certificate "
            "and tls_key, or listen on 127.0.0.1"
        )
    if bool(service.tls_certificate) != bool(service.tls_key):
        problems.append("service.tls_certificate and service.tls_key go together")


def _check_file(where: str, path: str, problems: list[str]) -> None:
    """Check that a file that is named can be read."""
    if not path:
        return
    try:
        Path(path).open("rb").close()
    except OSError as error:
        problems.append(f"{where}: {path}: {error.strerror}")
    except ValueError:
        problems.append(f"{where} = {path!r}: no file has such a name")


def _check_combinations(settings: Settings, problems: list[str]) -> None:
    """Check what depends on several settings, and what a type and limits cannot express."""
    display, paymaster, timing = settings.display, settings.paymaster, settings.timing
    url = _check_address("paymaster.base_url", paymaster.base_url, "https://paymaster.ru", problems)
    _check_proxy(paymaster, plain=url is not None and url.scheme == "http", problems=problems)
    for host in display.link_hosts:
        if not links.is_host(host):
            problems.append(f"display.link_hosts: {host!r} is not the name of a public host, e.g. qr.bank.example")
    if display.mode == Mode.PLATE.value:
        _check_plate(settings, problems)
    _check_service(settings.service, problems)
    if timing.invoice_life_s < timing.create_window_s + timing.poll_interval_s:
        problems.append("timing.invoice_life_s must be at least create_window_s + poll_interval_s")
    if timing.poll_timeout_s <= timing.poll_interval_s:
        problems.append(
            "timing.poll_timeout_s must be longer than poll_interval_s: there is no answer between two polls"
        )


def _check_lane(settings: Settings, problems: list[str]) -> None:
    """Check what is known on the lane only: what its own file sets, its files and its devices."""
    display, devices, paymaster = settings.display, settings.devices, settings.paymaster
    for where, value in (
        ("lane.pos_id", settings.lane.pos_id),
        ("lane.shop", settings.lane.shop),
        *((("paymaster.merchant_id", paymaster.merchant_id),) if settings.lane.acquirer == "paymaster" else ()),
        ("journal.path", settings.journal.path),
    ):
        if not value and not any(problem.startswith(f"{where} = ") for problem in problems):
            problems.append(f"{where} is missing")
    if display.mode == Mode.PRINT.value and not devices.printer:
        problems.append("display.mode = 0 prints the code, but devices.printer is missing")
    if display.mode == Mode.SCREEN.value and not display.qr_on_screen and not devices.display:
        problems.append(
            "display.qr_on_screen = false shows the code on the customer display, but devices.display is missing"
        )
    if display.mode == Mode.PLATE.value and display.plate == "dynamic" and not devices.nfc:
        problems.append('display.plate = "dynamic" writes each link to the tag, but devices.nfc is missing')
    for where, file in (
        ("paymaster.ca_file", paymaster.ca_file),
        ("ticket.logo", settings.ticket.logo),
        ("service.tls_certificate", settings.service.tls_certificate),
        ("service.tls_key", settings.service.tls_key),
    ):
        _check_file(where, file, problems)
    problems += read_theme(settings.lane)[1]
    if devices.nfc_uid:
        try:
            good = len(bytes.fromhex(devices.nfc_uid)) in (4, 7, 10)
        except ValueError:
            good = False
        if not good:
            problems.append(f"devices.nfc_uid = {devices.nfc_uid!r}: must be 4, 7 or 10 bytes in hex")
    _check_fleet(settings.fleet, problems)
    for where, device in (
        ("printer", devices.printer),
        ("nfc", devices.nfc),
        ("screen", devices.screen),
        *(("touch", url) for url in devices.touch),
        ("display", devices.display),
    ):
        if device:
            _check_device(where, device, problems)


def _check_address(where: str, address: str, example: str, problems: list[str]) -> SplitResult | None:
    """The parts of a server's address; None if it has none."""
    url = _split(address)
    if url is None or url.scheme not in ("https", "http") or not _HOST.fullmatch(url.hostname or ""):
        problems.append(f"{where} = {address!r}: must be an https address, e.g. {example}")
    elif "@" in url.netloc or url.query or url.fragment:
        problems.append(f"{where}: must be scheme, host and port only, without user, query and fragment")
    elif url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        problems.append(f"{where}: plain http is allowed only to this machine; write https")
    return url


def _check_fleet(fleet: FleetSettings, problems: list[str]) -> None:
    """Check what is written; files that cannot be read stop no lane: its fleet's thread reports them."""
    if not fleet.url:
        if fleet.token_file or fleet.ca_file or fleet.settings_key:
            problems.append(
                "fleet.token_file, ca_file and settings_key are for the fleet's server, but fleet.url is missing"
            )
        return
    _check_address("fleet.url", fleet.url, "https://fleet.example.ru", problems)
    if not fleet.token_file:
        problems.append("fleet.token_file is missing: the file with the token that `sco-fleet lane add` printed")
    for key in fleet.settings_key:
        if not _KEY.fullmatch(key):
            problems.append(f"fleet.settings_key: {_shown(key)} is no key as `sco-fleet settings keygen` prints it")


def _check_proxy(paymaster: PayMasterSettings, *, plain: bool, problems: list[str]) -> None:
    if not paymaster.proxy:
        if paymaster.proxy_login_file:
            problems.append("paymaster.proxy_login_file is for a proxy, but paymaster.proxy is missing")
        return
    url = _split(paymaster.proxy)
    if "@" in paymaster.proxy:  # the value is not shown
        problems.append(
            "paymaster.proxy: must be without user and password: write user:password into a file of mode 0600, "
            "and its name into paymaster.proxy_login_file"
        )
    elif (
        url is None
        or url.scheme != "http"
        or not _HOST.fullmatch(url.hostname or "")
        or not url.port
        or url.path.strip("/")
        or url.query
        or url.fragment
    ):
        problems.append(f"paymaster.proxy = {paymaster.proxy!r}: must be http://host:port, e.g. http://10.0.0.1:3128")
    elif plain:
        problems.append("paymaster.proxy: base_url is plain http to this machine, which needs no proxy; remove it")


def _split(text: str) -> SplitResult | None:
    """The parts of an address; None if it is not one."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


def _check_plate(settings: Settings, problems: list[str]) -> None:
    display = settings.display
    if display.plate == "dynamic":
        return
    if settings.timing.invoice_life_s > _LONGEST_PLATE_S:
        problems.append(
            f"timing.invoice_life_s = {settings.timing.invoice_life_s:g}: a static plate stays armed for at most "
            f"{_LONGEST_PLATE_S:g} s; write less"
        )
    if not display.sticker_id:
        problems.append('display.plate = "static" activates a cash link, but display.sticker_id is missing')
    if not display.plate_link:
        problems.append('display.plate = "static" needs the link on the plate, but display.plate_link is missing')
        return
    judgement = links.judge(display.plate_link)
    if judgement.verdict is links.Verdict.REFUSED:
        problems.append(f"display.plate_link: {judgement.reason}")
    elif judgement.link is not None and judgement.link.static is False:
        problems.append(
            "display.plate_link is a dynamic link (D in its QRC id), valid for one payment; a plate needs a static link"
        )
    elif judgement.link is not None and judgement.link.sum_kopecks is not None:
        problems.append("display.plate_link asks for an amount of its own (sum); a plate needs a link without one")


def _check_device(where: str, url: str, problems: list[str]) -> None:
    """Check the URL with every parameter, without opening the device."""
    try:
        problems += [f"devices.{where}: {error}" for error in check_url(where, url)]  # type: ignore[arg-type]
    except DeviceError as error:  # the driver cannot be loaded
        problems.append(f"devices.{where}: {error}")
