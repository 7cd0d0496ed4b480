from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_payment.settings import SettingsError, from_mapping, load, reference

TOKEN = {"SCO_PAYMASTER_TOKEN": "t"}
GOOD = {
    "lane": {"pos_id": "K", "shop": "S"},
    "paymaster": {"merchant_id": "m"},
    "journal": {"path": "/var/lib/sco/journal.db"},
}


def test_a_lean_file_is_enough() -> None:
    settings = from_mapping(GOOD, TOKEN)
    assert (settings.display.mode, settings.timing.poll_interval_s, settings.timing.poll_timeout_s) == (1, 3.0, 90.0)
    assert settings.timing.invoice_life_s == 300.0


def test_every_error_is_told_at_once() -> None:
    bad = {
        "lane": {"profile": "21:9", "colour": "red"},
        "paymaster": {"base_url": "http://bank.example", "read_timeout_s": "soon"},
        "display": {"mode": 2, "plate_link": "https://qr.nspk.ru/x"},
        "devices": {"printer": "teleport://x", "nfc_uid": "zz"},
        "timing": {"poll_interval_s": 0},
        "cloud": {},
    }
    with pytest.raises(SettingsError) as caught:
        from_mapping(bad, {})
    told = "\n".join(caught.value.problems)
    for word in (
        "lane.profile", "lane.colour", "lane.pos_id", "lane.shop", "base_url", "read_timeout_s", "merchant_id", "token",
        "plate_link", "sticker_id", "teleport", "nfc_uid", "poll_interval_s", "[cloud]", "journal.path",
    ):  # fmt: skip
        assert word in told, word


def test_the_environment_wins_and_is_checked() -> None:
    assert from_mapping(GOOD, TOKEN | {"SCO_TIMING_POLL_INTERVAL_S": "15"}).timing.poll_interval_s == 15.0
    with pytest.raises(SettingsError, match="SCO_DISPLAY_MODE"):
        from_mapping(GOOD, TOKEN | {"SCO_DISPLAY_MODE": "screen"})


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe", "UTF-8"), (b"[lane", "TOML"), (None, "no such file")])
def test_files_that_are_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "lane.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        load(path, TOKEN)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({section for section, *_ in reference()})


@given(st.dictionaries(st.sampled_from(NAMES), ANY, max_size=3))
def test_no_content_gives_anything_but_settings_or_our_error(data: dict[str, object]) -> None:
    try:
        from_mapping(data, TOKEN)
    except SettingsError as error:
        told = error.problems
    else:
        return
    assert told


@given(st.sampled_from([(section, name) for section, name, *_ in reference()]), ANY)
def test_no_value_does_either(place: tuple[str, str], value: object) -> None:
    section, name = place
    try:
        from_mapping({**GOOD, section: {**GOOD.get(section, {}), name: value}}, TOKEN)
    except SettingsError as error:
        told = error.problems
    else:
        return
    assert told


def test_the_docs_carry_the_reference() -> None:
    text = (Path(__file__).parents[2] / "docs" / "payment.md").read_text("utf-8")
    for section, name, default, meaning in reference():
        assert f"| `{section}.{name}` | `{default}` | {meaning} |" in text
