"""The count of a tag's writes: over restarts, of several tags, whatever the file holds, and who is reported when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sco_drivers import open_nfc
from sco_drivers.nfc.endurance import RATED_WRITES, SAVE_EVERY, WARN_AT, WARN_EVERY, EnduranceExceeded, WriteEndurance
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

A, B = bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("04ffeeddccbbaa")
LINK = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"


def test_a_call_returns_the_writes_of_its_most_frequently_written_page() -> None:
    with VirtualReader(VirtualTag()) as bench, open_nfc(bench.url) as nfc:
        assert nfc.read().write_count == 0
        for call, most in (
            (lambda: nfc.write_uri(LINK), 1),  # it was empty
            (lambda: nfc.write_uri(LINK), 0),  # and is identical
            (lambda: nfc.write_uri(LINK.replace("JL2", "JL3")), 2),
            (nfc.clear, 1),
            (nfc.clear, 0),
        ):
            bench.tag.page_writes.clear()
            assert call().write_count == most
            assert max(bench.tag.page_writes.values(), default=0) == most


@pytest.mark.parametrize("cut", range(4))
def test_a_second_attempt_adds_to_the_count_of_the_first(cut: int) -> None:
    with VirtualReader(VirtualTag(uri=LINK)) as bench, open_nfc(bench.url) as nfc:
        bench.tag.tear(cut, lambda old, new: new)  # it was written, and the answer never came
        worn = nfc.write_uri(LINK.replace("JL2", "JL3")).write_count
        assert worn == max(bench.tag.page_writes.values())


def test_writes_are_counted_by_tag_and_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "tags"
    wear = WriteEndurance(path, pytest.fail)
    for _ in range(SAVE_EVERY):
        wear.add(A, 2)
    wear.add(B, 1)
    assert (wear.of(A), wear.of(B)) == (2 * SAVE_EVERY, 1)
    assert WriteEndurance(path, pytest.fail).of(A) >= 2 * SAVE_EVERY - SAVE_EVERY, (
        "more than a power cut may cost is lost"
    )
    wear.save()
    again = WriteEndurance(path, pytest.fail)
    assert (again.of(A), again.of(B)) == (2 * SAVE_EVERY, 1)
    assert [one.name for one in tmp_path.iterdir()] == ["tags"]


def test_the_warning_comes_early_and_is_repeated() -> None:
    reported: list[EnduranceExceeded] = []
    wear = WriteEndurance("/nowhere/tags", reported.append)
    for _ in range(RATED_WRITES // 2):
        wear.add(A, 2)
    assert reported[0] == EnduranceExceeded(A, WARN_AT, RATED_WRITES)
    assert [one.writes for one in reported] == list(range(WARN_AT, RATED_WRITES + 1, WARN_EVERY))


def test_a_worn_tag_is_reported_at_the_first_write_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tags"
    path.write_text(json.dumps({A.hex(): RATED_WRITES + 5}))
    reported: list[EnduranceExceeded] = []
    wear = WriteEndurance(path, reported.append)
    wear.add(A, 1)
    wear.add(A, 0)
    wear.add(B, 1)
    assert reported == [EnduranceExceeded(A, RATED_WRITES + 6, RATED_WRITES)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"04": "x"}', '{"04": null}', "7", '{"04": 1e999}', "[" * 100_000])
def test_an_invalid_file_is_renamed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tags"
    path.write_text(text)
    wear = WriteEndurance(path, pytest.fail)
    wear.add(A, 3)
    wear.save()
    assert WriteEndurance(path, pytest.fail).of(A) == 3
    assert (tmp_path / "tags.unreadable").read_text() == text


def test_a_failing_disk_does_not_raise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tags.part").mkdir()
    wear = WriteEndurance(tmp_path / "tags", pytest.fail)
    for _ in range(SAVE_EVERY):
        wear.add(A, 1)
    assert wear.of(A) == SAVE_EVERY
    assert "cannot be saved" in caplog.text
