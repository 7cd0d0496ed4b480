from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
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


def test_a_mistyped_variable_is_told() -> None:
    with pytest.raises(SettingsError) as caught:
        from_mapping(GOOD, TOKEN | {"SCO_DISPLAY_MOD": "0", "SCO_PAYMASTER_STATES": "x", "SCO_SIMULATOR_PORT": "0"})
    table, mistyped = caught.value.problems
    assert mistyped.startswith("SCO_DISPLAY_MOD is no setting; there are mode, plate")
    assert table.startswith("SCO_PAYMASTER_STATES: a table stands in the file only")


def test_the_token_is_looked_at_where_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    paymaster = GOOD["paymaster"] | {"token_file": str(file)}
    with pytest.raises(SettingsError, match=r"paymaster\.token_file: .*token: No such file"):
        from_mapping(GOOD | {"paymaster": paymaster}, TOKEN)  # the file wins over the environment
    file.write_text("secret")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match=r"paymaster\.token_file: .*others may read it"):
        from_mapping(GOOD | {"paymaster": paymaster})
    file.chmod(0o600)
    assert from_mapping(GOOD | {"paymaster": paymaster}).paymaster.token_file == str(file)
    with pytest.raises(SettingsError, match=r"SCO_PAYMASTER_TOKEN: the token must be one word"):
        from_mapping(GOOD, {"SCO_PAYMASTER_TOKEN": "two words"})
    file.unlink()
    assert from_mapping(GOOD | {"paymaster": paymaster}, token=False) == from_mapping(
        GOOD | {"paymaster": paymaster}, {"SCO_PAYMASTER_TOKEN": "two words"}, token=False
    )
    assert from_mapping(GOOD, token=False).paymaster.token_file == ""


def test_an_environment_that_is_no_text_is_refused() -> None:
    """What neither PayMaster nor the journal could be told: each payment would end in a case."""
    with pytest.raises(SettingsError, match=r"SCO_LANE_SHOP = .*must be UTF-8 text"):
        from_mapping(GOOD, TOKEN | {"SCO_LANE_SHOP": os.fsdecode(b"\xcc\xe0\xe3")})


def test_a_silence_that_is_shorter_than_the_pace_of_questions_is_refused() -> None:
    timing = {"poll_interval_s": 15.0, "poll_timeout_s": 15.0}
    with pytest.raises(SettingsError, match="poll_timeout_s must be longer than poll_interval_s"):
        from_mapping(GOOD | {"timing": timing}, TOKEN)
    assert from_mapping(GOOD | {"timing": timing | {"poll_timeout_s": 15.1}}, TOKEN)


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


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine fails no test
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
    text = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text("utf-8")
    for section, name, default, meaning in reference():
        assert f"| `{section}.{name}` | `{default}` | {meaning} |" in text


def test_a_wrong_value_is_not_missing_as_well() -> None:
    with pytest.raises(SettingsError) as caught:
        from_mapping({"paymaster": {"merchant_id": 5}}, {})
    assert [text for text in caught.value.problems if "merchant_id" in text] == [
        "paymaster.merchant_id = 5: must be a text in quotes"
    ]


def test_relative_paths_begin_at_the_file_not_at_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`recover` in another folder would begin a second journal, and say that nothing is open."""
    (tmp_path / "lane.toml").write_text(
        '[lane]\npos_id = "K"\nshop = "S"\n[paymaster]\nmerchant_id = "m"\ntoken_file = "token"\n'
        '[journal]\npath = "journal.db"\n',
        "utf-8",
    )
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("t", "utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load("../lane.toml", {}).journal.path == "../journal.db"
    assert load(tmp_path / "lane.toml", {"SCO_JOURNAL_PATH": "here.db"}).journal.path == "here.db"


@pytest.mark.parametrize(
    "address",
    ["https:// paymaster.ru", "https://", "paymaster.ru", "https://a..b", "https://пэймастер.рф", "https://x:99999",
     "https://user:word@paymaster.ru", "https://paymaster.ru?x=1", "https://paymaster.ru#x"],
)  # fmt: skip
def test_an_address_that_no_request_can_be_sent_to_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="base_url"):
        from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "base_url": address}}, TOKEN)


@pytest.mark.parametrize(
    "address", ["https://PayMaster.ru", "https://10.0.0.7:8443/", "https://[fd00::7]", "http://[::1]"]
)
def test_addresses_that_are_good(address: str) -> None:
    from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "base_url": address}}, TOKEN)


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    lines = (
        "[lane]",
        'pos_id = "K"',
        'shop = "Магазин"',
        "[paymaster]",
        'merchant_id = "m"',
        "[journal]",
        'path = "j"',
    )
    text = "\r\n".join(lines)
    file = tmp_path / "lane.toml"
    file.write_bytes(text.encode("utf-8-sig"))
    assert load(file, TOKEN).lane.shop == "Магазин"
    file.write_bytes(text.encode("cp1251"))
    with pytest.raises(SettingsError, match=r"not UTF-8 text \(line 3\)"):
        load(file, TOKEN)
