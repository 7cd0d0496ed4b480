"""What a printer model can do: python-escpos's capability data, plus what that data lacks.

The capability file is read as plain JSON; python-escpos's own loader (YAML and a pickle in /tmp) is not imported. We
add the process id, ASB, buffer clearing, dpi where it is missing, and the limits of the printer's own QR codes.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import escpos

Presenting = Literal["none", "custom"]


class Profile(NamedTuple):
    """One model.

    Attributes:
        name: its name in python-escpos's data.
        dpi: dots per inch of the head.
        width_dots: printable width.
        columns: characters of font A on a line.
        columns_b: characters of font B on a line; 0 if it has none.
        code_pages: Python codec name -> number for `ESC t`.
        native_qr: it draws QR codes itself (`GS ( k`); None when only the printer knows.
        largest_version: the largest version of such a code.
        barcodes: which `GS k` it knows: "a" (ends with NUL), "b" (states its length, has CODE93 and CODE128 too) or
            "none"; None when only the printer knows.
        pdf417: it draws PDF417 codes itself (`GS ( k`); None when only the printer knows.
        drawer_pulse: it opens a cash drawer (`ESC p`).
        raster, raster_doubling: it knows `GS v 0`, and its double width and height.
        raster_rows: rows of a picture that one command may have; some boards lose what follows 287.
        cut: "partial", "full", "feed" (it has no cutter: only the feed to tear it off) or "none".
        utf8: it knows `FS ( C`.
        process_id: it answers `GS ( H`; None when only the printer knows.
        clear_buffers: it executes `DLE DC4 8`; None when only the printer knows.
        asb: it knows `GS a`.
        identity: it knows `GS I`; a model that does not prints a letter for it.
        presenter: whose commands a kiosk printer's presenter takes.
    """

    name: str
    dpi: int
    width_dots: int
    columns: int
    columns_b: int
    code_pages: dict[str, int]
    native_qr: bool | None
    largest_version: int
    barcodes: Literal["none", "a", "b"] | None
    pdf417: bool | None
    drawer_pulse: bool
    raster: bool
    raster_doubling: bool
    raster_rows: int
    cut: Literal["partial", "full", "feed", "none"]
    utf8: bool
    process_id: bool | None
    clear_buffers: bool | None
    asb: bool
    identity: bool
    presenter: Presenting

    @property
    def guessed(self) -> bool:
        """Whether this is the profile of an unknown printer: some boards print the letters of unknown commands."""
        return self.native_qr is None


_COMMON: dict[str, Any] = {
    "dpi": 203,
    "largest_version": 40,
    "raster_doubling": True,
    "raster_rows": 128,
    "utf8": False,
    "process_id": None,
    "clear_buffers": None,
    "asb": True,
    "identity": True,
    "presenter": "none",
}
_EPSON: dict[str, Any] = {"process_id": True, "clear_buffers": True}
_CHEAP: dict[str, Any] = {"process_id": False, "clear_buffers": False, "asb": False, "identity": False}
_NO_CODES: dict[str, Any] = {"native_qr": False}

OVERLAY: dict[str, dict[str, Any]] = {
    "TM-T88V": {**_EPSON, "dpi": 180},
    "TM-T20II": _EPSON,
    "TM-T20II-42col": _EPSON,
    "TM-P80": _EPSON,
    "TM-L90": {"dpi": 203},
    # Epson's reference has QR codes of that time for TM-T90 and TM-L90 only; that data gives them to all of Epson's. A
    # printer that skips the commands would print a ticket without a code and report it as printed.
    "TM-T88II": _NO_CODES,
    "TM-T88III": _NO_CODES,
    "TM-T88IV": _NO_CODES,
    "TM-T88IV-SA": _NO_CODES,
    # Every unknown printer: a board without QR codes of its own would print a ticket without a code.
    "default": {
        "width_dots": 576,
        "columns": 48,
        "columns_b": 64,
        "native_qr": None,
        "barcodes": None,
        "pdf417": None,
    },
    # Cheap 58 mm boards: they answer DLE EOT and little else.
    "POS-5890": _CHEAP,
    "NT-5890K": _CHEAP,
    "ZJ-5870": _CHEAP,
}
"""What we know beyond python-escpos, by model; it takes precedence over that data."""

OWN: dict[str, dict[str, Any]] = {
    # Kiosk printers of CUSTOM (VKP80 and similar): presenter, DLE EOT 20; not in python-escpos's data.
    "CUSTOM-VKP80": {
        "like": "default",
        "presenter": "custom",
        "cut": "full",
        "process_id": False,
        "clear_buffers": False,
    }
}
"""Our own models, each based on one of python-escpos's."""


def _capabilities() -> dict[str, Any]:
    """All models of python-escpos; not kept in memory, since a lane needs only one."""
    # Without importlib.resources, which would add a fifth to the driver's import time.
    with open(os.path.join(os.path.dirname(escpos.__file__), "capabilities.json"), "rb") as file:  # noqa: PTH118, PTH120, PTH123
        profiles: dict[str, Any] = json.load(file)["profiles"]
    return profiles


def names() -> list[str]:
    """The names of all profiles, sorted."""
    return sorted({*_capabilities(), *OWN})


@lru_cache(maxsize=16)
def profile(name: str = "default", paper_mm: int | None = None, dpi: int | None = None) -> Profile:
    """The profile `name`, for paper of `paper_mm` (80 or 58; the model's own when None) and `dpi` dots per inch.

    Raises:
        KeyError: no such profile.
    """
    own = dict(OWN.get(name, {}))
    base = own.pop("like", name)
    data = _capabilities()[base]
    known = {**_COMMON, **_from_escpos(data), **OVERLAY.get(base, {}), **own}
    if dpi is not None:
        known["dpi"] = dpi
    if paper_mm is not None:
        # 72 mm and 48 mm of print: 576 and 384 dots at 203 dpi, a whole number of bytes at others.
        at_203 = {80: 576, 58: 384}[paper_mm]
        known["width_dots"] = at_203 if known["dpi"] == 203 else round(at_203 * known["dpi"] / 203 / 8) * 8
        known["columns"] = known["width_dots"] // 12
        known["columns_b"] = known["width_dots"] // 9 if known["columns_b"] else 0
    return Profile(name=name, **known)


def _from_escpos(data: dict[str, Any]) -> dict[str, Any]:
    """What a python-escpos profile states; its "Unknown" values are left out."""
    features, media = data["features"], data["media"]
    pages = {name.lower(): int(number) for number, name in reversed(data["codePages"].items())}
    known: dict[str, Any] = {
        "code_pages": {codec: pages[codec] for codec in ("cp866", "cp1251") if codec in pages},
        "native_qr": features["qrCode"],
        "barcodes": "b" if features["barcodeB"] else "a" if features["barcodeA"] else "none",
        "pdf417": features["pdf417Code"],
        "drawer_pulse": features["pulseStandard"],
        "raster": features["bitImageRaster"],
        "cut": "partial" if features["paperPartCut"] else "full" if features["paperFullCut"] else "feed",
        "width_dots": 384,
    }
    pixels, dpi = media["width"].get("pixels"), media.get("dpi")
    if isinstance(pixels, int):
        known["width_dots"] = pixels
    if isinstance(dpi, int):
        known["dpi"] = dpi
    known["columns"] = known["width_dots"] // 12
    columns = data["fonts"]["0"]["columns"]
    if columns * 12 <= known["width_dots"] and columns >= 24:
        known["columns"] = columns
    narrow = data["fonts"].get("1", {}).get("columns", 0)
    fits = known["columns"] <= narrow <= known["width_dots"] // 9
    known["columns_b"] = narrow if fits else known["width_dots"] // 9 if narrow else 0
    return known
