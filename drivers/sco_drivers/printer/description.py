"""Describe a printer that no profile knows, by parameters of its URL or by a file (`profile=/etc/sco/printer.toml`).

The file has the same names as the URL, in TOML, and may name the profile that it changes::

    like = "default"
    codec = "cp866"
    code_page = 7
    paper_mm = 60
    cut = "full"
    native_qr = true
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sco_drivers.printer.profile import Profile, profile

ASK = "ask"


class BadSetting(ValueError):
    """The value of setting `name` is wrong; the message says why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name, self.why = name, why


class Setting(NamedTuple):
    """One thing that can be described: how its text is read, and what it means."""

    read: Callable[[str], Any]
    meaning: str


def _number(low: float, high: float, *, whole: bool = True) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise ValueError("is not a whole number" if whole else "is not a number") from None
        if not low <= value <= high:
            raise ValueError(f"is out of range {low:g}..{high:g}")
        return value

    return read


def _one_of(words: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return words[text]

    return read


def _codec(text: str) -> str:
    try:
        if text != "utf-8" and len("A\u00a0".encode(text, "ignore")) not in (1, 2):
            raise LookupError
        return codecs.lookup(text).name if text != "utf-8" else text
    except LookupError:
        raise ValueError("is not a code page of Python with one byte a character") from None


_YES_NO = {"yes": True, "no": False}
_YES_NO_ASK = {**_YES_NO, ASK: None}

SETTINGS: dict[str, Setting] = {
    "dpi": Setting(_number(100, 600), "dots per inch of the head"),
    "paper_mm": Setting(_number(50, 120, whole=False), "width of the paper: 58, 60, 80, 82.5, 112, ..."),
    "width_mm": Setting(_number(30, 112, whole=False), "width that it prints, where it does not follow from the paper"),
    "width_dots": Setting(_number(200, 2048), "width that it prints, in dots"),
    "columns": Setting(_number(16, 200), "characters of font A on a line"),
    "columns_b": Setting(_number(0, 255), "characters of font B on a line; 0: it has none"),
    "code_page": Setting(_number(0, 255), "number of the code page `codec` for ESC t"),
    "cut": Setting(_one_of({word: word for word in ("partial", "full", "feed", "none")}), "how a ticket ends"),
    "native_qr": Setting(_one_of(_YES_NO_ASK), "it draws QR codes itself (GS ( k)"),
    "largest_version": Setting(_number(1, 40), "largest version of such a code"),
    "barcodes": Setting(
        _one_of({word: word for word in ("none", "a", "b")} | {ASK: None}), "which bar code command it knows (GS k)"
    ),
    "pdf417": Setting(_one_of(_YES_NO_ASK), "it draws PDF417 codes itself (GS ( k)"),
    "drawer_pulse": Setting(_one_of(_YES_NO), "it opens a cash drawer (ESC p)"),
    "raster": Setting(_one_of(_YES_NO), "it prints pictures (GS v 0)"),
    "raster_doubling": Setting(_one_of(_YES_NO), "it doubles the dots of a picture"),
    "raster_rows": Setting(_number(8, 4095), "rows of a picture in one command"),
    "utf8": Setting(_one_of(_YES_NO), "it prints UTF-8 (FS ( C)"),
    "process_id": Setting(_one_of(_YES_NO_ASK), "it reports the end of a ticket (GS ( H)"),
    "clear_buffers": Setting(_one_of(_YES_NO_ASK), "it clears its buffers on command (DLE DC4 8)"),
    "asb": Setting(_one_of(_YES_NO), "it sends its status by itself (GS a)"),
    "identity": Setting(_one_of(_YES_NO), "it reports its model (GS I)"),
    "presenter": Setting(_one_of({word: word for word in ("none", "custom")}), "whose presenter commands it takes"),
}
"""What the parameters of a printer's URL, and its file, may describe; besides `codec`, which chooses the code page."""

_PRINT_MM_AT_203 = {57.5: 384, 58: 384, 80: 576}
"""Dots at 203 dpi on the usual papers; others are printed but for 4 mm on each side."""


def described(base: Profile, texts: Mapping[str, str], codec: str | None = None) -> Profile:
    """`base` changed as the settings `texts` describe.

    Args:
        base: a profile.
        texts: settings of `SETTINGS`, as text.
        codec: the code page to which `code_page` gives a number.

    Raises:
        BadSetting: a value that cannot be understood.
    """
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = SETTINGS[name].read(text)
        except ValueError as error:
            raise BadSetting(name, str(error)) from None
    dpi = values.get("dpi", base.dpi)
    paper_mm, width_mm = values.pop("paper_mm", None), values.pop("width_mm", None)
    if "width_dots" not in values and width_mm is not None:
        values["width_dots"] = int(width_mm * dpi / 25.4) // 8 * 8
    elif "width_dots" not in values and paper_mm is not None:
        at_203 = _PRINT_MM_AT_203.get(paper_mm, int((paper_mm - 8) * 203 / 25.4) // 8 * 8)
        values["width_dots"] = at_203 if dpi == 203 else round(at_203 * dpi / 203 / 8) * 8
    if "width_dots" in values:
        values.setdefault("columns", values["width_dots"] // 12)
        values.setdefault("columns_b", values["width_dots"] // 9 if base.columns_b else 0)
    number = values.pop("code_page", None)
    if number is not None:
        if codec is None:
            raise BadSetting("code_page", "needs codec=, the name of the code page")
        try:
            values["code_pages"] = {_codec(codec): number}
        except ValueError as error:
            raise BadSetting("codec", str(error)) from None
    return base._replace(**values)


def load(path: str) -> tuple[Profile, str | None]:
    """The profile that the file at `path` describes, and its `codec`.

    Raises:
        BadSetting: the file cannot be read, or a value in it cannot be understood; names the setting.
    """
    import tomllib

    try:
        with Path(path).open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise BadSetting("profile", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting("profile", f"is not TOML: {error}") from None
    like, codec = found.pop("like", "default"), found.pop("codec", None)
    unknown = sorted(set(found) - set(SETTINGS))
    if unknown:
        raise BadSetting("profile", f"has the unknown setting {unknown[0]}; known: {', '.join(sorted(SETTINGS))}")
    if not isinstance(like, str) or not isinstance(codec, str | None):
        raise BadSetting("profile", "has a like or codec that is not a text")
    try:
        base = profile(like)
    except KeyError:
        raise BadSetting("profile", f"is like {like!r}, which is not a profile") from None
    words = {True: "yes", False: "no"}
    texts = {name: words[value] if isinstance(value, bool) else str(value) for name, value in found.items()}
    try:
        return described(base._replace(name=path), texts, codec), codec
    except BadSetting as error:
        raise BadSetting("profile", f"has {error.name}={texts.get(error.name, codec)!r}, which {error.why}") from None
