"""ESC/POS commands as bytes. python-escpos's where it has them; the others cite Epson's reference."""

from __future__ import annotations

import math

from escpos import constants as _escpos

from sco_drivers.qr import ErrorLevel

INIT: bytes = _escpos.HW_INIT
LINE_FEED: bytes = _escpos.CTL_LF
CENTRE: bytes = _escpos.TXT_STYLE["align"]["center"]
LEFT: bytes = _escpos.TXT_STYLE["align"]["left"]
RIGHT: bytes = _escpos.TXT_STYLE["align"]["right"]
BOLD_ON: bytes = _escpos.TXT_STYLE["bold"][True]
BOLD_OFF: bytes = _escpos.TXT_STYLE["bold"][False]
UNDERLINE_ON: bytes = _escpos.TXT_STYLE["underline"][1]
UNDERLINE_OFF: bytes = _escpos.TXT_STYLE["underline"][0]
FONT_A: bytes = _escpos.TXT_FONT_A
FONT_B: bytes = _escpos.TXT_FONT_B
SIZE_NORMAL: bytes = _escpos.TXT_SIZE + b"\x00"
SIZE_TALL: bytes = _escpos.TXT_SIZE + b"\x01"
SIZE_DOUBLE: bytes = _escpos.TXT_SIZE + b"\x11"
SINGLE_BYTE: bytes = _escpos.FS + b"."  # leaves the Chinese mode, in which many boards start and to which INIT returns
UTF8_ON: bytes = _escpos.FS + b"(C\x02\x00\x302"  # FS ( C fn 48: character encoding UTF-8
CLEAR_BUFFERS: bytes = _escpos.DLE + _escpos.DC4 + bytes((8, 1, 3, 20, 1, 6, 2, 8))
RECOVER_AND_FLUSH: bytes = _escpos.DLE + _escpos.ENQ + b"\x02"
FULL_STATUS: bytes = _escpos.RT_STATUS + bytes((20,))  # CUSTOM
STATUS_IN_ORDER: bytes = _escpos.GS + b"r1"  # answered when everything before it was processed
PRESENT: bytes = _escpos.GS + b"e\x03\x0c"  # CUSTOM: 12 steps, about 9 cm
RETRACT: bytes = _escpos.GS + b"e\x02"  # CUSTOM
EJECT: bytes = _escpos.GS + b"e\x05"  # CUSTOM

ASB_ALL: bytes = _escpos.GS + b"a\x0f"

_LEVELS: dict[ErrorLevel, int] = {
    "L": _escpos.QR_ECLEVEL_L,
    "M": _escpos.QR_ECLEVEL_M,
    "Q": _escpos.QR_ECLEVEL_Q,
    "H": _escpos.QR_ECLEVEL_H,
}

# python-escpos publishes no types.
_RT_STATUS: bytes = _escpos.RT_STATUS
_CODE_PAGE: bytes = _escpos.CODEPAGE_CHANGE
_GS: bytes = _escpos.GS
_DLE: bytes = _escpos.DLE
_ESC: bytes = _escpos.ESC
_TXT_SIZE: bytes = _escpos.TXT_SIZE
_MIN_LINE_MM = 3.75  # 30 dots at 203 dpi; Epson's 1/6 inch is 4.23
_RASTER_DOUBLE: bytes = _escpos.S_RASTER_Q
_RASTER: bytes = _escpos.S_RASTER_N


def status(n: int) -> bytes:
    """`DLE EOT n`: ask for real-time status 1 to 4."""
    return _RT_STATUS + bytes((n,))


def code_page(number: int) -> bytes:
    """`ESC t n`."""
    return _CODE_PAGE + bytes((number,))


def feed_mm(mm: float) -> bytes:
    """Blank lines that take `mm` or a little more, in the line spacing that `INIT` sets.

    `ESC J` would be exact, and feeds whole dots on some printers, half ones on others (Epson, "GS P": y is 360 at 180
    dots an inch), any other after a `GS P` that not every model knows.
    """
    return LINE_FEED * math.ceil(mm / _MIN_LINE_MM)


def process_id(name: bytes) -> bytes:
    """`GS ( H` fn 48: answered by `37 22 name 00` when everything before it is printed. `name`: 4 bytes 0x20..0x7E."""
    assert len(name) == 4
    return _GS + b"(H\x06\x0000" + name


def identity(n: int) -> bytes:
    """`GS I n`: 66 maker, 67 model, 68 serial number, 65 firmware."""
    return _GS + b"I" + bytes((n,))


def size(width: int, height: int) -> bytes:
    """`GS ! n`: 1 to 8 times the font's width and height."""
    return _TXT_SIZE + bytes((width - 1 << 4 | height - 1,))


def open_drawer(drawer: int, pulse_ms: int) -> bytes:
    """`ESC p m t1 t2`: a pulse on the pin of drawer 1 or 2, in steps of 2 ms, and as long a pause."""
    steps = min(255, max(1, pulse_ms // 2))
    return _ESC + b"p" + bytes((drawer - 1, steps, steps))


def barcode(number: int, data: bytes, *, height_dots: int, module_dots: int, text: int) -> bytes:
    """`GS h`, `GS w`, `GS H`, `GS f` and `GS k`. It prints with its last byte.

    Args:
        number: of the symbology; from 65 on the command states its length, below it ends with NUL.
        data: what is in the code.
        height_dots: 1 to 255.
        module_dots: 2 to 6.
        text: 0 for none, 1 above, 2 below.
    """
    settings = _GS + b"h" + bytes((height_dots,)) + _GS + b"w" + bytes((module_dots,)) + _GS + b"H" + bytes((text,))
    body = bytes((len(data),)) + data if number >= 65 else data + b"\x00"
    return settings + _GS + b"f\x00" + _GS + b"k" + bytes((number,)) + body


def pdf417(data: bytes, *, module_dots: int) -> tuple[bytes, bytes]:
    """`GS ( k` fn 65 to 80 of symbol 48, which prepare it with columns and rows of the printer's choice, and fn 81."""
    prepare = b"".join(
        _symbol(48, fn, parameters)
        for fn, parameters in (
            (65, b"\x00"),
            (66, b"\x00"),
            (67, bytes((module_dots,))),
            (68, b"\x03"),
            (69, b"\x31\x01"),
            (80, b"0" + data),
        )
    )
    return prepare, _symbol(48, 81, b"0")


def cut(*, full: bool) -> bytes:
    """`GS V 65/66 0`: feed to the blade, then cut."""
    return _GS + (b"VA\x00" if full else b"VB\x00")


def _symbol(kind: int, fn: int, parameters: bytes) -> bytes:
    body = bytes((kind, fn)) + parameters
    return _GS + b"(k" + len(body).to_bytes(2, "little") + body


def _qr(fn: int, parameters: bytes) -> bytes:
    return _symbol(49, fn, parameters)


def native_qr(text: str, *, level: ErrorLevel, module_dots: int) -> tuple[bytes, bytes]:
    """`GS ( k` fn 65, 67, 69, 80, which prepare the symbol, and fn 81, which prints it."""
    prepare = (
        _qr(65, bytes((48 + _escpos.QR_MODEL_2, 0)))
        + _qr(67, bytes((module_dots,)))
        + _qr(69, bytes((48 + _LEVELS[level],)))
        + _qr(80, b"0" + text.encode("utf-8"))
    )
    return prepare, _qr(81, b"0")


QR_SIZE: bytes = _qr(80, b"0x") + _qr(82, b"0")
"""Store a symbol and ask for its size (`GS ( k` fn 82): answered by printers with QR codes of their own, and prints
nothing. Boards that do not know it may keep the letters of the commands in their line buffer until `INIT`."""


def raster(rows: list[bytes], *, doubled: bool) -> bytes:
    """`GS v 0`: `rows` of packed bits, printed with each dot doubled both ways if `doubled`."""
    start = _RASTER_DOUBLE if doubled else _RASTER
    size = len(rows[0]).to_bytes(2, "little") + len(rows).to_bytes(2, "little")
    return start + size + b"".join(rows)


def bands(rows: list[bytes], most: int, *, doubled: bool = False) -> bytes:
    """`rows` in as many `GS v 0` as it takes with at most `most` rows each."""
    return b"".join(raster(rows[at : at + most], doubled=doubled) for at in range(0, len(rows), most))


def without_real_time(picture: bytes) -> bytes:
    """`picture` with one more black dot wherever a printer would find a real-time command in it."""
    while looks_real_time(picture):
        for code in (b"\x04", b"\x05", b"\x14"):
            picture = picture.replace(_DLE + code, b"\x11" + code)
    return picture


def is_real_time(command: bytes) -> bool:
    """Whether the printer executes `command` on arrival, even when it is offline or its buffer is full."""
    return command.startswith(_DLE)


def looks_real_time(data: bytes) -> bool:
    """Whether a printer would find a real-time command anywhere in `data`."""
    at = data.find(_DLE)
    while 0 <= at < len(data) - 1:
        if data[at + 1] in (0x04, 0x05, 0x14):
            return True
        at = data.find(_DLE, at + 1)
    return False
