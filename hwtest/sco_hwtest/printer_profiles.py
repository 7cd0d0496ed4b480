"""Profiles of printers as a person reads them: a list, one of them explained, and the file that describes a printer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches

from sco_drivers.printer.description import ASK, SETTINGS, BadSetting, load
from sco_drivers.printer.profile import Profile, names, profile

PATH = "/etc/sco/printer.toml"
Value = str | bool | int | float


def explain(settings: Mapping[str, Value], heading: str) -> str:
    """The file with `settings` (of `description.SETTINGS`, and `like` and `codec`), each with its meaning.

    Args:
        settings: in the order of the file.
        heading: its first lines, as comments.
    """
    meanings = {
        "like": "the profile that the rest changes",
        "codec": "code page of the Russian letters",
        **{name: setting.meaning for name, setting in SETTINGS.items()},
    }
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    written = {name: f"{name} = {_toml(value)}" for name, value in settings.items()}
    width = max(map(len, written.values()), default=0)
    lines += [f"{text:{width}}  # {meanings[name]}" for name, text in written.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value:g}"


def settings_of(found: Profile, like: str) -> dict[str, Value]:
    """What the profile states, as the settings of a file that is like `like`."""
    settings: dict[str, Value] = {"like": like}
    if found.code_pages:
        codec, number = next(iter(found.code_pages.items()))
        settings |= {"codec": codec, "code_page": number}
    for name in SETTINGS:
        if name in Profile._fields:
            value = getattr(found, name)
            settings[name] = ASK if value is None else value
    return settings


def table() -> list[tuple[str, ...]]:
    """All profiles, a row each, below a row of headings."""
    rows: list[tuple[str, ...]] = [("profile", "dots", "dpi", "columns", "cp866", "cp1251", "QR", "cut", "process id")]
    for name in names():
        one = profile(name)
        pages = (str(one.code_pages.get(codec, "-")) for codec in ("cp866", "cp1251"))
        size = (str(one.width_dots), str(one.dpi), str(one.columns))
        rows.append((name, *size, *pages, _word(one.native_qr), one.cut, _word(one.process_id)))
    return rows


def _word(value: bool | None) -> str:
    return "ask" if value is None else "yes" if value else "no"


def find(name: str) -> tuple[Profile, dict[str, Value]]:
    """The profile of that name, or that a file describes, and its settings.

    Raises:
        LookupError: there is none, with what to do; or the file is wrong.
    """
    if "/" in name or name.endswith(".toml"):
        try:
            found, codec = load(name)
        except BadSetting as error:
            raise LookupError(f"{name} {error.why}") from None
        settings = settings_of(found, "default")
        return found, settings | ({"codec": codec} if codec is not None else {})
    try:
        return profile(name), settings_of(profile(name), name)
    except KeyError:
        by_small = {one.lower(): one for one in names()}
        near = [by_small[one] for one in get_close_matches(name.lower(), by_small, 3, 0.4)]
        hint = f"did you mean {' or '.join(near)}?" if near else "`sco-hwtest printer profiles` lists them"
        raise LookupError(f"{name!r} is not a profile: {hint}") from None
