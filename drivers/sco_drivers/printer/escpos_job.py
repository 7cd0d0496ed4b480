"""A printer of python-escpos (its `Dummy`) that collects one document of ours: see `Printer.escpos`.

python-escpos makes the commands, for our profile; text is encoded by us, for the code page that the lane's printer has.
Loaded on first use: python-escpos takes 0.15 s to load, leaves a folder in /tmp and sets up logging, which is undone.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from typing import Any

from sco_drivers.errors import DeviceTimeout
from sco_drivers.printer import Barcode, PrinterStatus, PrintResult, Raw, SensorState, Symbology, barcodes, commands
from sco_drivers.printer.layout import Encoder
from sco_drivers.printer.profile import Profile

_root = logging.getLogger()
_keep_out = logging.NullHandler()
_root.addHandler(_keep_out)  # with a handler there, logging.basicConfig() of python-escpos does nothing
try:
    from escpos import capabilities
    from escpos.constants import RT_STATUS_ONLINE, RT_STATUS_PAPER
    from escpos.escpos import HW_BARCODE_NAMES
    from escpos.printer import Dummy
finally:
    _root.removeHandler(_keep_out)
if "ESCPOS_CAPABILITIES_PICKLE_DIR" not in capabilities.environ:
    shutil.rmtree(capabilities.pickle_dir, ignore_errors=True)

_CONTROL = re.compile("([\n\r\t])")
_DRAWN = {
    "".join(filter(str.isalnum, kind.name)): kind
    for kind in Symbology
    if kind not in (Symbology.CODE93, Symbology.PDF417)
} | {"NW7": Symbology.CODABAR, "UPC": Symbology.UPC_A, **dict.fromkeys(("EAN", "JAN", "ISBN13"), Symbology.EAN13)}
"""Bar codes that we draw for a printer that has none, by their names in python-escpos without hyphens."""


class _Profile(capabilities.Profile):  # type: ignore[misc]  # python-escpos publishes no types
    """Our profile, as python-escpos reads it."""

    def __init__(self, ours: Profile) -> None:
        features = dict.fromkeys(("bitImageColumn", "graphics", "highDensity", "pulseBel", "starCommands"), False) | {
            "barcodeA": ours.barcodes in ("a", "b"),
            "barcodeB": ours.barcodes == "b",
            "bitImageRaster": ours.raster,
            "paperFullCut": True,  # replaced where there is no cutter
            "paperPartCut": ours.cut == "partial",
            "pdf417Code": bool(ours.pdf417),
            "pulseStandard": ours.drawer_pulse,
            "qrCode": bool(ours.native_qr),
        }
        super().__init__(features=features)
        width = {"mm": round(ours.width_dots * 25.4 / ours.dpi, 1), "pixels": ours.width_dots}
        self.profile_data = {
            "name": ours.name,
            "features": features,
            "codePages": {str(number): codec.upper() for codec, number in ours.code_pages.items()} or {"0": "CP437"},
            "fonts": {
                "0": {"name": "Font A", "columns": ours.columns},
                "1": {"name": "Font B", "columns": ours.columns_b or ours.columns},
            },
            "media": {"dpi": ours.dpi, "width": width},
        }


class EscposJob(Dummy):  # type: ignore[misc]  # python-escpos publishes no types
    """A printer of python-escpos whose output becomes one document.

    Args:
        profile: of the printer.
        codec: the code page to print with.
        status: asks the printer for its state.
        codes_in_images: see `Printer.escpos`.

    Attributes:
        result: whether the document was printed; None until the `with` block has ended.
    """

    def __init__(
        self, profile: Profile, codec: str, status: Callable[[], PrinterStatus], *, codes_in_images: bool
    ) -> None:
        super().__init__(profile=_Profile(profile))
        self._ours = profile
        self.result: PrintResult | None = None
        self._encoder = Encoder(codec)
        self._status = status
        self._codes_in_images = codes_in_images
        self._code_at: int | None = None
        self._other_code_page = False
        number = profile.code_pages.get(codec)
        self._code_page = b"" if number is None else commands.code_page(number)

    @property
    def document(self) -> Raw:
        """What was collected."""
        return Raw(self.output, self._code_at, self._codes_in_images)

    @property
    def replaced(self) -> list[str]:
        """Characters that the code page lacks."""
        return self._encoder.missing

    def text(self, txt: object) -> None:
        """Print text; what the printer's code page lacks is replaced and reported in the result."""
        if self._other_code_page:
            self._raw(self._code_page)
            self._other_code_page = False
        for part in _CONTROL.split(str(txt)):
            if _CONTROL.fullmatch(part):
                self._raw(part.encode("ascii"))
            elif part:
                self._raw(self._encoder.octets(self._encoder.normal(part)))

    def charcode(self, code: str = "AUTO") -> None:
        """Does nothing: text is encoded for the code page that the printer's profile or its URL names."""

    def _raw(self, msg: bytes) -> None:
        self._other_code_page |= b"\x1bt" in msg
        super()._raw(msg)

    def _note_code(self) -> None:
        if self._code_at is None:
            self._code_at = len(self.output)

    def qr(self, *args: Any, **named: Any) -> None:
        """See python-escpos; it is a code also where it is sent as a picture."""
        self._note_code()
        super().qr(*args, **named)

    def barcode(
        self,
        code: str,
        bc: str,
        height: int = 64,
        width: int = 3,
        pos: str = "BELOW",
        font: str = "A",
        align_ct: bool = True,
        **named: Any,
    ) -> None:
        """See python-escpos. Where the printer draws no bar codes, we do: python-escpos draws "{B" of CODE128 too, and
        cuts off bars.

        Raises:
            DocumentRefused: a bar code that we draw cannot be drawn. What python-escpos raises.
        """
        self._note_code()
        name = "".join(filter(str.isalnum, bc.upper()))
        own, kind, forced = HW_BARCODE_NAMES.get(name), _DRAWN.get(name), named.pop("force_software", False)
        if own is not None and not forced and self._ours.barcodes in ("a", "b"):
            self._hw_barcode(code, own, height, width, pos, font, align_ct, **named)  # its caller writes to stdout
            return
        if kind is None:
            super().barcode(code, bc, height, width, pos, font, align_ct, force_software=forced or own is None, **named)
            return
        mm = 25.4 / self._ours.dpi
        data = re.sub(r"^\{[ABC]", "", code) if kind is Symbology.CODE128 else code
        plan = barcodes.plan(Barcode(data, kind, height * mm, width * mm), self._ours._replace(barcodes="none"))
        if align_ct:
            self.set(align="center")
        if pos.upper() in ("ABOVE", "BOTH"):
            self.textln(plan.data)
        self._raw(commands.raster([plan.bars] * plan.height_dots, doubled=False))
        if pos.upper() not in ("ABOVE", "OFF"):  # anything else is below, as in python-escpos
            self.textln(plan.data)

    def clear(self) -> None:
        """Drop what was collected."""
        super().clear()
        self._code_at = None
        self._encoder.missing.clear()

    def query_status(self, mode: bytes) -> bytes:
        """The printer's answer to `DLE EOT 1` or 4, from its state now; `is_online` and `paper_status` rely on it.

        Raises:
            DeviceError: the printer cannot be asked, or does not answer: silence does not mean that all is well.
        """
        status = self._status()
        if mode == RT_STATUS_ONLINE:
            known, byte = status.online, 0x12 | 0x08 * (status.online is SensorState.NO)
        elif mode == RT_STATUS_PAPER:
            out, near = status.paper_out is SensorState.YES, status.paper_near_end is SensorState.YES
            known, byte = status.paper_out, 0x12 | 0x60 * out | 0x0C * (near or out)
        else:
            raise ValueError(f"{mode!r} asks for no state that is known; RT_STATUS_ONLINE and RT_STATUS_PAPER are")
        if known is SensorState.UNKNOWN:
            raise DeviceTimeout("it does not answer", hint="check that it is on, and the cable")
        return bytes((byte,))
