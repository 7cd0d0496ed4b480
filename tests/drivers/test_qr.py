"""Text -> matrix, read back by a decoder that is not the encoder's."""

from __future__ import annotations

import pytest
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
    found = zxingcpp.read_barcodes(picture(qr.encode(text, level)))
    assert [(one.text, one.ec_level) for one in found] == [(text, level)]


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=150))
@settings(max_examples=50, deadline=None)
def test_any_link_reads_back(text: str) -> None:
    found = zxingcpp.read_barcodes(picture(qr.encode(text)))
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
    with pytest.raises(ValueError, match="nothing"):
        qr.encode("", level)
