"""Text -> matrix, read back by a decoder that is not the encoder's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import segno
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sco_drivers import qr


def picture(matrix: qr.QrMatrix, module: int = 4) -> Image.Image:
    full = matrix.full_size
    image = Image.new("L", (full, full), 255)
    cells = bytes(0 if cell else 255 for row in matrix.rows for cell in row)
    image.paste(Image.frombytes("L", (matrix.size, matrix.size), cells), (qr.QUIET_ZONE, qr.QUIET_ZONE))
    return image.resize((full * module, full * module), Image.Resampling.NEAREST)


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
def test_reads_back_at_the_level_asked_for(level: qr.ErrorLevel) -> None:
    text = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
    found = zxingcpp.read_barcodes(picture(qr.encode(text, level)), zxingcpp.BarcodeFormat.QRCode)
    assert [(one.text, one.ec_level) for one in found] == [(text, level)]


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=150))
@settings(max_examples=50)
def test_any_link_reads_back(text: str) -> None:
    found = zxingcpp.read_barcodes(picture(qr.encode(text)), zxingcpp.BarcodeFormat.QRCode)
    assert [one.text for one in found] == [text]


def test_full_size_counts_the_quiet_zone() -> None:
    matrix = qr.encode("x")
    assert matrix.size == 21
    assert matrix.full_size == 29
    assert all(len(row) == 21 and set(row) <= {0, 1} for row in matrix.rows)


@pytest.mark.parametrize(("level", "most"), qr.MAX_BYTES.items())
def test_too_long_and_empty_are_refused(level: qr.ErrorLevel, most: int) -> None:
    assert qr.encode("a" * most, level).size == 177
    with pytest.raises(ValueError, match=str(most)):
        qr.encode("a" * (most + 1), level)
    with pytest.raises(ValueError, match="no text"):
        qr.encode("", level)


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
@pytest.mark.parametrize("version", range(1, 41))
def test_every_version_is_as_small_as_the_level_allows_and_reads_back(version: int, level: qr.ErrorLevel) -> None:
    bits = segno.consts.SYMBOL_CAPACITY[version][segno.consts.ERROR_MAPPING[level]]
    room = (bits - 4 - (8 if version < 10 else 16)) // 8  # without the mode and the count of characters
    text = "".join(chr(0x21 + (5 * at + version) % 94) for at in range(room))
    matrix = qr.encode(text, level)
    assert (matrix.size, matrix.error_level) == (17 + 4 * version, level)
    assert [one.text for one in zxingcpp.read_barcodes(picture(matrix), zxingcpp.BarcodeFormat.QRCode)] == [text]


def test_a_higher_level_is_taken_where_the_symbol_does_not_grow() -> None:
    assert (qr.encode("https://a.ru", "M", boost=True).error_level, qr.encode("https://a.ru", "M").size) == ("M", 21)
    text = "https://a.ru/bcd"
    boosted = qr.encode(text, "M", boost=True)
    assert boosted.error_level == "Q"
    assert boosted.size == qr.encode(text, "M").size < qr.encode(text, "H").size
    assert [
        (one.text, one.ec_level) for one in zxingcpp.read_barcodes(picture(boosted), zxingcpp.BarcodeFormat.QRCode)
    ] == [(text, "Q")]


@pytest.mark.parametrize("text", ["0123456789", "HTTPS://QR.NSPK.RU/A", "Оплата", "é"])
def test_other_texts_than_links_read_back(text: str) -> None:
    assert [one.text for one in zxingcpp.read_barcodes(picture(qr.encode(text)), zxingcpp.BarcodeFormat.QRCode)] == [
        text
    ]


def test_a_link_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    qr.encode.cache_clear()
    made = []
    make = segno.make_qr
    monkeypatch.setattr(segno, "make_qr", lambda text, **how: made.append(text) or make(text, **how))
    assert qr.encode("https://qr.nspk.ru/A") is qr.encode("https://qr.nspk.ru/A")
    assert made == ["https://qr.nspk.ru/A"]


def test_the_encoder_is_loaded_by_preload() -> None:
    program = (
        "import sys; from sco_drivers import qr; before = 'segno' in sys.modules; qr.preload();"
        "print(before, 'segno' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False True"
