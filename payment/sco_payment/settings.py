"""Settings of a lane: one TOML file, overridden by the environment, validated as a whole with every error at once.

`SCO_<SECTION>_<NAME>` in the environment overrides a value of the file, e.g. `SCO_DISPLAY_MODE=1`. The token never
stands in the file: it comes from `SCO_PAYMASTER_TOKEN` or from the file that `paymaster.token_file` names. Relative
paths in the file begin at its own folder.
"""

# ruff: noqa: RUF009 - `_setting` is `dataclasses.field` with the reference's words beside the default

from __future__ import annotations

import os
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import SplitResult, urlsplit

from sco_payment import link as links
from sco_payment.attempt import Mode, Timing
from sco_payment.customer.texts import is_utf8

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f]*:[0-9a-f:.]+")
TOKEN_VARIABLE = "SCO_PAYMASTER_TOKEN"  # noqa: S105 - the variable's name, not a token
_IN_ENVIRONMENT = (str, int, float, bool)
"""Types of settings that a variable can give."""


class SettingsError(ValueError):
    """The settings cannot be used. `problems` names every field, what was found and what to write."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source = source
        self.problems = problems


def _setting(
    default: Any, doc: str, *, least: float | None = None, most: float | None = None, among: tuple[str, ...] = ()
) -> Any:
    extra = {"doc": doc, "least": least, "most": most, "among": among}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=extra)
    return field(default=default, metadata=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """Who and where the lane is."""

    pos_id: str = _setting("", "PosID: the lane's id at PayMaster")
    shop: str = _setting("", "the shop's name, as the customer reads it on the ticket")
    profile: str = _setting("4:3", "the lane's shape; mixed payment exists only on 4:3", among=("4:3", "16:9"))
    language: str = _setting("ru", "the language on the lane", among=("ru", "en"))
    result_s: float = _setting(5.0, "how long paid / not paid stays on the screen", least=0, most=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayMasterSettings:
    """How PayMaster is reached."""

    base_url: str = _setting("https://paymaster.ru", "the service; plain http is refused except to this machine")
    merchant_id: str = _setting("", "merchant id from PayMaster's account page")
    token_file: str = _setting("", f"file with the token, mode 0600; empty: the token comes from {TOKEN_VARIABLE}")
    ca_file: str = _setting("", "PEM file of certificate authorities; empty: the system's own")
    test_mode: bool = _setting(False, "ask for test payments")
    connect_timeout_s: float = _setting(3.0, "how long a connection may take", least=0.1, most=30)
    read_timeout_s: float = _setting(7.0, "how long an answer may take", least=0.1, most=60)
    callback_url: str = _setting("", "where PayMaster sends notifications; the lane itself needs none")
    states: dict[str, int] = _setting({}, "PayMaster's status words -> order states 1-6, over the built-in table")


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplaySettings:
    """How the link is presented."""

    mode: int = _setting(
        1, "0: printed on the receipt tape; 1: on the lane's screen; 2: plate or NFC tag", least=0, most=2
    )
    plate: str = _setting(
        "static",
        "mode 2. static: the lane arms the cash link on plate and tag; dynamic: each link is written to the tag",
        among=("static", "dynamic"),
    )
    sticker_id: str = _setting("", "mode 2 static: the sticker to arm")
    plate_link: str = _setting("", "mode 2 static: the link that the plate and the tag carry")
    qr_with_plate: bool = _setting(True, "mode 2: show the QR on the screen too")
    qr_mm: float = _setting(40.0, "mode 0: side of the printed code, quiet zone included", least=20, most=72)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """Device URLs; empty for a device that the lane does not have."""

    printer: str = _setting("", "receipt printer, e.g. tcp://10.0.0.5:9100")
    nfc: str = _setting("", "reader behind the tag, e.g. pn532:///dev/ttyS1?baud=921600")
    nfc_uid: str = _setting("", "the tag's UID in hex, as enrolled; empty: not checked")
    screen: str = _setting("", "screen, e.g. fb:///dev/fb0; empty or none:// when the lane's own software draws")
    touch: str = _setting("", "touch panel, e.g. evdev:///dev/sco/touch")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSettings:
    """The schedule of an attempt."""

    poll_interval_s: float = _setting(3.0, "between two questions about the payment", least=0.1, most=60)
    poll_timeout_s: float = _setting(90.0, "silence of the bank after which the customer is asked", least=1, most=3600)
    invoice_life_s: float = _setting(300.0, "how long the link can be paid", least=60, most=86400)
    create_window_s: float = _setting(20.0, "how long a payment is asked for before giving up", least=1, most=120)
    create_retry_s: float = _setting(2.0, "between two tries to create", least=0.1, most=30)
    present_timeout_s: float = _setting(
        40.0, "after which a presentation that did not report counts as seen", least=1, most=120
    )
    confirm_timeout_s: float = _setting(
        15.0, "how long the bank's last word is awaited before a case", least=1, most=120
    )
    watch_interval_s: float = _setting(30.0, "between two questions in the background", least=1, most=600)
    tag_check_s: float = _setting(30.0, "between two looks at the NFC tag while no payment runs", least=1, most=3600)
    grace_s: float = _setting(600.0, "how long after the invoice's end late money is watched for", least=0, most=86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogSettings:
    """The dialog Повторить / Отменить. Unanswered it never cancels by itself."""

    again: bool = _setting(False, "after Повторить, ask again after each further poll timeout")
    poll_while_shown: bool = _setting(
        True, "go on asking the bank while the dialog stands; a word from it ends the dialog"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the journal lies."""

    path: str = _setting(
        "", "SQLite file on a disk that survives power loss; its folder must exist; relative: beside this file"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one lane."""

    lane: LaneSettings = field(default_factory=LaneSettings)
    paymaster: PayMasterSettings = field(default_factory=PayMasterSettings)
    display: DisplaySettings = field(default_factory=DisplaySettings)
    devices: DeviceSettings = field(default_factory=DeviceSettings)
    timing: TimingSettings = field(default_factory=TimingSettings)
    dialog: DialogSettings = field(default_factory=DialogSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)

    @property
    def mode(self) -> Mode:
        """The display mode."""
        return Mode(self.display.mode)

    @property
    def machine_timing(self) -> Timing:
        """The schedule as the machine counts it, in ms."""
        t = self.timing
        return Timing(
            poll_ms=round(t.poll_interval_s * 1000),
            poll_timeout_ms=round(t.poll_timeout_s * 1000),
            create_window_ms=round(t.create_window_s * 1000),
            create_retry_ms=round(t.create_retry_s * 1000),
            present_ms=round(t.present_timeout_s * 1000),
            confirm_ms=round(t.confirm_timeout_s * 1000),
            watch_ms=round(t.watch_interval_s * 1000),
            grace_ms=round(t.grace_s * 1000),
            dialog_again=self.dialog.again,
            poll_in_dialog=self.dialog.poll_while_shown,
        )


def load(path: str | Path, environment: Mapping[str, str] | None = None, *, token: bool = True) -> Settings:
    """Read and validate the settings file at `path`.

    Args:
        path: of the TOML file. Relative paths in it begin at its folder, those in the environment where the process is.
        environment: in place of the process's own.
        token: whether PayMaster's token must be there and readable. False for what asks nothing of PayMaster, and where
            the token comes from elsewhere.

    Raises:
        SettingsError: with every problem of the file and the environment at once.
    """
    source = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")  # an editor of Windows begins with a mark
    except FileNotFoundError:
        raise SettingsError(source, ["there is no such file"]) from None
    except OSError as error:
        raise SettingsError(source, [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(source, [f"is not UTF-8 text (line {line}): save it as UTF-8"]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(source, [f"is not TOML: {error}"]) from None
    _beside(Path(path).parent, data)
    return from_mapping(data, os.environ if environment is None else environment, source=source, token=token)


def _beside(folder: Path, data: dict[str, Any]) -> None:
    """Files that the settings name without a folder lie beside them: a command that is run elsewhere must not begin a
    second journal."""
    for section, name in (("journal", "path"), ("paymaster", "token_file"), ("paymaster", "ca_file")):
        table = data.get(section)
        if isinstance(table, dict) and isinstance(table.get(name), str) and table[name]:
            table[name] = str(folder / table[name])


def from_mapping(
    data: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    *,
    source: str = "settings",
    token: bool = True,
) -> Settings:
    """Validate settings that stand in nested mappings, as TOML gives them; `token` as for `load`.

    Raises:
        SettingsError: with every problem at once.
    """
    problems: list[str] = []
    sections: dict[str, Any] = {}
    known = {section.name: _section_type(section) for section in fields(Settings)}
    for name in sorted(set(data) - set(known)):
        problems.append(f"[{name}] is no section; there are {', '.join(known)}")
    for name, kind in known.items():
        table = data.get(name, {})
        if not isinstance(table, Mapping):
            problems.append(f"{name} must be a section: write [{name}]")
            table = {}
        sections[name] = _read_section(name, kind, table, environment or {}, problems)
    settings = Settings(**sections)
    _check_together(settings, problems)
    if token:
        _check_token(settings, environment or {}, problems)
    if problems:
        raise SettingsError(source, problems)
    return settings


def reference() -> list[tuple[str, str, str, str]]:
    """Rows of the settings reference: section, name, default, what it means."""
    rows = []
    for section in fields(Settings):
        example = _section_type(section)()
        for entry in fields(example):
            rows.append((section.name, entry.name, _toml(getattr(example, entry.name)), _meaning(entry)))
    return rows


def _meaning(entry: Field[Any]) -> str:
    least, most, among = entry.metadata["least"], entry.metadata["most"], entry.metadata["among"]
    bounds = f" ({', '.join(among)})" if among else f" ({least:g} to {most:g})" if least is not None else ""
    return str(entry.metadata["doc"]) + bounds


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "{}" if value == {} else str(value)


def _section_type(section: Field[Any]) -> Any:
    return section.default_factory


def _read_section(
    name: str, kind: Any, table: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]
) -> Any:
    hints = get_type_hints(kind)
    entries = {entry.name: entry for entry in fields(kind)}
    for unknown in sorted(set(table) - set(entries)):
        problems.append(f"{name}.{unknown} is no setting; there are {', '.join(entries)}")
    prefix = f"SCO_{name}_".upper()
    for variable in sorted(variable for variable in environment if variable.startswith(prefix)):
        key = variable.removeprefix(prefix).lower()
        if key not in entries and variable != TOKEN_VARIABLE:
            problems.append(f"{variable} is no setting; there are {', '.join(entries)}")
        elif key in entries and hints[key] not in _IN_ENVIRONMENT:
            problems.append(f"{variable}: a table stands in the file only, as [{name}.{key}]")
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
            problems.append(f"{where} = {raw!r}: {problem}")
        else:
            values[key] = float(raw) if hints[key] is float else raw
    return kind(**values)


def _from_environment(text: str, kind: type) -> Any:
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text


def _problem_of(raw: Any, kind: Any, entry: Field[Any]) -> str | None:
    if get_origin(kind) in (Union, types.UnionType):  # pragma: no cover - no setting is optional today
        kind = get_args(kind)[0]
    if kind is bool:
        return None if isinstance(raw, bool) else "must be true or false"
    if kind in (int, float):
        if isinstance(raw, bool) or not isinstance(raw, int if kind is int else (int, float)):
            return "must be a whole number" if kind is int else "must be a number"
        least, most = entry.metadata["least"], entry.metadata["most"]
        if least is not None and not least <= raw <= most:
            return f"must be from {least:g} to {most:g}"
        return None
    if kind is str:
        if not isinstance(raw, str):
            return "must be a text in quotes"
        if not is_utf8(raw):  # of the environment: PayMaster and the journal could not be told it
            return "must be UTF-8 text"
        among = entry.metadata["among"]
        return None if not among or raw in among else f"must be one of {', '.join(among)}"
    if not isinstance(raw, Mapping) or not all(isinstance(value, int) and 1 <= value <= 6 for value in raw.values()):
        return "must be a table of status words with order states from 1 to 6"
    return None


def _check_together(settings: Settings, problems: list[str]) -> None:
    """What no single field can tell."""
    display, devices, paymaster, timing = settings.display, settings.devices, settings.paymaster, settings.timing
    for where, value in (
        ("lane.pos_id", settings.lane.pos_id),
        ("lane.shop", settings.lane.shop),
        ("paymaster.merchant_id", paymaster.merchant_id),
        ("journal.path", settings.journal.path),
    ):
        if not value and not any(problem.startswith(f"{where} = ") for problem in problems):
            problems.append(f"{where} is missing")
    url = _split(paymaster.base_url)
    if url is None or url.scheme not in ("https", "http") or not _HOST.fullmatch(url.hostname or ""):
        problems.append(
            f"paymaster.base_url = {paymaster.base_url!r}: must be an https address, e.g. https://paymaster.ru"
        )
    elif "@" in url.netloc or url.query or url.fragment:
        problems.append("paymaster.base_url: there is no user, question or fragment in it: only scheme, host and port")
    elif url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        problems.append("paymaster.base_url: plain http is allowed only to this machine; write https")
    if paymaster.ca_file:
        try:
            Path(paymaster.ca_file).open("rb").close()
        except OSError as error:
            problems.append(f"paymaster.ca_file: {paymaster.ca_file}: {error.strerror}")
    if display.mode == Mode.PRINT.value and not devices.printer:
        problems.append("display.mode = 0 prints the code: devices.printer is missing")
    if display.mode == Mode.PLATE.value:
        _check_plate(settings, problems)
    if devices.nfc_uid:
        try:
            good = len(bytes.fromhex(devices.nfc_uid)) in (4, 7, 10)
        except ValueError:
            good = False
        if not good:
            problems.append(f"devices.nfc_uid = {devices.nfc_uid!r}: must be 4, 7 or 10 bytes in hex")
    if timing.invoice_life_s < timing.create_window_s + timing.poll_interval_s:
        problems.append("timing.invoice_life_s must be longer than create_window_s and one poll together")
    if timing.poll_timeout_s <= timing.poll_interval_s:
        problems.append(
            "timing.poll_timeout_s must be longer than poll_interval_s: the bank is silent between two polls"
        )
    for where, device in (
        ("printer", devices.printer),
        ("nfc", devices.nfc),
        ("screen", devices.screen),
        ("touch", devices.touch),
    ):
        if device:
            _check_device(where, device, problems)


def _check_token(settings: Settings, environment: Mapping[str, str], problems: list[str]) -> None:
    from sco_payment.paymaster.token import Token, TokenError

    file, text = settings.paymaster.token_file, environment.get(TOKEN_VARIABLE)
    try:
        if file:
            Token.from_file(file)
        elif text:
            Token(text)
        else:
            problems.append(f"there is no token: set {TOKEN_VARIABLE}, or paymaster.token_file to a file of mode 0600")
    except TokenError as error:
        problems.append(f"{'paymaster.token_file' if file else TOKEN_VARIABLE}: {error}")


def _split(text: str) -> SplitResult | None:
    """The parts of an address; None for what is none."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return None
    return parts


def _check_plate(settings: Settings, problems: list[str]) -> None:
    display = settings.display
    if display.plate == "dynamic":
        if not settings.devices.nfc:
            problems.append('display.plate = "dynamic" writes each link to the tag: devices.nfc is missing')
        return
    if not display.sticker_id:
        problems.append('display.plate = "static" arms a sticker: display.sticker_id is missing')
    if not display.plate_link:
        problems.append('display.plate = "static": display.plate_link is missing: the link that the plate carries')
        return
    judgement = links.judge(display.plate_link)
    if judgement.verdict is links.Verdict.REFUSED:
        problems.append(f"display.plate_link: {judgement.reason}")
    elif judgement.link is not None and not judgement.link.static:
        problems.append("display.plate_link is a dynamic link (its QRC id has D): a plate carries a static one")


def _check_device(where: str, url: str, problems: list[str]) -> None:
    """The URL itself, with every parameter: opening devices is not the settings' business."""
    from sco_drivers import DeviceError, check_url

    try:
        problems += [f"devices.{where}: {error}" for error in check_url(where, url)]  # type: ignore[arg-type]
    except DeviceError as error:  # the driver cannot be loaded
        problems.append(f"devices.{where}: {error}")
