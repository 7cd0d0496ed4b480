from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_payment.settings_reader import SettingsError, load_settings, reference, settings_from_mapping

TOKEN = {"SCO_PAYMASTER_TOKEN": "t"}
GOOD = {
    "lane": {"pos_id": "K", "shop": "S"},
    "paymaster": {"merchant_id": "m"},
    "journal": {"path": "/var/lib/sco/journal.db"},
}


@pytest.mark.requirement("R11", "R13", "R22")
def test_three_sections_are_enough() -> None:
    settings = settings_from_mapping(GOOD, TOKEN)
    assert (settings.display.mode, settings.timing.poll_interval_s, settings.timing.poll_timeout_s) == (1, 3.0, 90.0)
    assert settings.timing.invoice_life_s == 300.0


def test_every_error_is_reported_at_once() -> None:
    bad = {
        "lane": {"profile": "21:9", "colour": "red"},
        "paymaster": {"base_url": "http://bank.example", "read_timeout_s": "soon"},
        "display": {"mode": 2, "plate_link": "http://qr.nspk.ru/x"},
        "devices": {"printer": "teleport://x", "nfc_uid": "zz"},
        "timing": {"poll_interval_s": 0},
        "cloud": {},
    }
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping(bad, {})
    problems = "\n".join(caught.value.problems)
    for word in (
        "lane.profile", "lane.colour", "lane.pos_id", "lane.shop", "base_url", "read_timeout_s", "merchant_id", "token",
        "plate_link", "sticker_id", "teleport", "nfc_uid", "poll_interval_s", "[cloud]", "journal.path",
    ):  # fmt: skip
        assert word in problems, word


def test_the_environment_wins_and_is_checked() -> None:
    assert settings_from_mapping(GOOD, TOKEN | {"SCO_TIMING_POLL_INTERVAL_S": "15"}).timing.poll_interval_s == 15.0
    with pytest.raises(SettingsError, match="SCO_DISPLAY_MODE"):
        settings_from_mapping(GOOD, TOKEN | {"SCO_DISPLAY_MODE": "screen"})


PANEL, KEYPAD = "evdev:///dev/sco/touch", "evdev:///dev/input/by-path/platform-buttons-event?keys=1"


@pytest.mark.parametrize(
    ("written", "read"),
    [(PANEL, (PANEL,)), ([PANEL, KEYPAD], (PANEL, KEYPAD)), ("", ()), ([], ())],
)
def test_touch_is_one_url_or_a_list(written: object, read: tuple[str, ...]) -> None:
    assert settings_from_mapping({**GOOD, "devices": {"touch": written}}, TOKEN).devices.touch == read


def test_several_touch_urls_in_the_environment() -> None:
    assert settings_from_mapping(GOOD, TOKEN | {"SCO_DEVICES_TOUCH": f"{PANEL} {KEYPAD}"}).devices.touch == (
        PANEL,
        KEYPAD,
    )


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (5, "must be text in quotes, or a list of them"),
        ([PANEL, 5], "must be text in quotes, or a list of them"),
        ([PANEL, ""], "must be text in quotes, or a list of them"),
        ([PANEL, PANEL], f"{PANEL} is given twice"),
        ([PANEL, "evdev://"], "devices.touch: evdev://: the path is missing"),
    ],
)
def test_wrong_touch_urls_are_reported(written: object, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping({**GOOD, "devices": {"touch": written}}, TOKEN)
    (problem,) = caught.value.problems
    assert words in problem


def test_a_mistyped_variable_is_reported() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping(
            GOOD, TOKEN | {"SCO_DISPLAY_MOD": "0", "SCO_PAYMASTER_STATES": "x", "SCO_SIMULATOR_PORT": "0"}
        )
    table, mistyped = caught.value.problems
    assert mistyped.startswith("SCO_DISPLAY_MOD: unknown setting display.mod; expected one of mode, plate")
    assert table.startswith("SCO_PAYMASTER_STATES: a table can be set only in the file")


def test_the_token_is_checked_where_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    paymaster = GOOD["paymaster"] | {"token_file": str(file)}
    with pytest.raises(SettingsError, match=r"paymaster\.token_file: .*token: No such file"):
        settings_from_mapping(GOOD | {"paymaster": paymaster}, TOKEN)  # the file wins over the environment
    file.write_text("secret")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match=r"paymaster\.token_file: .*others may read it"):
        settings_from_mapping(GOOD | {"paymaster": paymaster})
    file.chmod(0o600)
    assert settings_from_mapping(GOOD | {"paymaster": paymaster}).paymaster.token_file == str(file)
    with pytest.raises(SettingsError, match=r"SCO_PAYMASTER_TOKEN: the token must be one word"):
        settings_from_mapping(GOOD, {"SCO_PAYMASTER_TOKEN": "two words"})
    settings_from_mapping(GOOD, TOKEN | {"SCO_SERVICE_TOKEN": "of a till on the same machine"})
    file.unlink()
    assert settings_from_mapping(GOOD | {"paymaster": paymaster}, token=False) == settings_from_mapping(
        GOOD | {"paymaster": paymaster}, {"SCO_PAYMASTER_TOKEN": "two words"}, token=False
    )
    assert settings_from_mapping(GOOD, token=False).paymaster.token_file == ""


def test_a_variable_that_is_not_utf8_is_refused() -> None:
    """PayMaster and the journal could not store it: each payment would end in a case."""
    with pytest.raises(SettingsError, match=r"SCO_LANE_SHOP = .*must be UTF-8 text"):
        settings_from_mapping(GOOD, TOKEN | {"SCO_LANE_SHOP": os.fsdecode(b"\xcc\xe0\xe3")})


def test_a_poll_timeout_not_longer_than_the_poll_interval_is_refused() -> None:
    timing = {"poll_interval_s": 15.0, "poll_timeout_s": 15.0}
    with pytest.raises(SettingsError, match="poll_timeout_s must be longer than poll_interval_s"):
        settings_from_mapping(GOOD | {"timing": timing}, TOKEN)
    assert settings_from_mapping(GOOD | {"timing": timing | {"poll_timeout_s": 15.1}}, TOKEN)


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe", "UTF-8"), (b"[lane", "TOML"), (None, "no such file")])
def test_a_file_that_cannot_be_read_as_settings(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "lane.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        load_settings(path, TOKEN)


@pytest.mark.parametrize("word", ["Confirmation", "Pending", "Authorized", "confirmation", " Pending "])
@pytest.mark.parametrize(("state", "means"), [(5, "paid"), (6, "closed unpaid")])
@pytest.mark.bank("B9")
def test_an_open_status_cannot_be_made_final(word: str, state: int, means: str) -> None:
    """The goods would be released when the payment is created; or the customer would pay a second time."""
    paymaster = {"merchant_id": "m", "states": {word: state}}
    own = f"status {word.strip().capitalize()} never means {means}; it is not final"
    for token in (True, False):
        with pytest.raises(SettingsError) as caught:
            settings_from_mapping(GOOD | {"paymaster": paymaster}, TOKEN, token=token)
        [problem] = caught.value.problems
        assert problem.startswith(f"paymaster.states.{word} = {state}: ")
        assert own in problem


@pytest.mark.parametrize("word", ["Refunded", "refunded"])
@pytest.mark.parametrize(("state", "means"), [(5, "paid"), (6, "closed unpaid")])
@pytest.mark.bank("B9")
def test_returned_money_is_neither_paid_nor_unpaid(word: str, state: int, means: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "states": {word: state}}}, TOKEN)
    [problem] = caught.value.problems
    assert problem.endswith(f"status Refunded never means {means}; the money was returned: remove the line")


@pytest.mark.bank("B9")
def test_a_final_status_cannot_become_the_other_one() -> None:
    paymaster = {"merchant_id": "m", "states": {"Cancelled": 5, "Rejected": 5, "Settled": 6}}
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping(GOOD | {"paymaster": paymaster, "lane": {"pos_id": "K"}}, TOKEN)
    assert [text.partition(":")[0] for text in caught.value.problems] == [
        "lane.shop is missing",
        "paymaster.states.Cancelled = 5",
        "paymaster.states.Rejected = 5",
        "paymaster.states.Settled = 6",
    ]


@pytest.mark.bank("B9")
def test_new_words_and_harmless_changes_are_accepted() -> None:
    states = {"Paid": 5, "Expired": 6, "Settled": 5, "Cancelled": 4, "Confirmation": 2, "Settling": 4}
    settings = settings_from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "states": states}}, TOKEN)
    assert settings.paymaster.states == states


PLATE = "https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001"


def plate_settings(link: str, **timing: float) -> dict[str, object]:
    display = {"mode": 2, "plate": "static", "sticker_id": "s", "plate_link": link}
    return {**GOOD, "display": display, "timing": timing}


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (f"{PLATE}&sum=10000&cur=RUB", r"plate_link asks for an amount of its own \(sum\)"),
        (PLATE.replace("/AS", "/AD").replace("type=01", "type=02"), "plate_link is a dynamic link"),
    ],
)
def test_a_link_that_no_plate_can_carry_is_refused(link: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings_from_mapping(plate_settings(link), TOKEN)


@pytest.mark.parametrize("link", [PLATE, PLATE.replace("/AS", "/AU"), "https://paymaster.ru/plate/7"])
@pytest.mark.bank("B16")
def test_a_plate_may_carry_a_link_that_cannot_be_checked(link: str) -> None:
    assert settings_from_mapping(plate_settings(link), TOKEN).display.plate_link == link


@pytest.mark.parametrize("name", ["shop", "pos_id"])
@pytest.mark.bank("B16")
def test_names_are_one_short_line(name: str) -> None:
    for text in ("я" * 64, "x"):
        settings = settings_from_mapping(GOOD | {"lane": GOOD["lane"] | {name: text}}, TOKEN)
        assert getattr(settings.lane, name) == text
    for text in ("я" * 65, "я" * 300, "two\nlines"):
        with pytest.raises(SettingsError) as caught:
            settings_from_mapping(GOOD | {"lane": GOOD["lane"] | {name: text}}, TOKEN)
        assert caught.value.problems == [
            f"lane.{name} = {text!r}: must be at most 64 printable characters, found {len(text)}"
        ]


@pytest.mark.bank("B16")
def test_a_static_plate_is_armed_for_twenty_minutes_at_most() -> None:
    settings_from_mapping(plate_settings(PLATE, invoice_life_s=1200), TOKEN)
    with pytest.raises(SettingsError, match=r"invoice_life_s = 86400: a static plate .* at most 1200 s"):
        settings_from_mapping(plate_settings(PLATE, invoice_life_s=86400), TOKEN)
    dynamic = GOOD | {"timing": {"invoice_life_s": 86400}}
    assert settings_from_mapping(dynamic, TOKEN).timing.invoice_life_s == 86400.0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.bank("B16")
def test_a_token_file_saved_by_a_windows_editor_is_named(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_bytes("secret-token".encode(encoding))
    with pytest.raises(SettingsError, match=r"paymaster\.token_file: .*byte-order mark.*save it without") as caught:
        settings_from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "token_file": str(file)}})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("paymaster", "words"),
    [
        ({"proxy": "10.0.0.1:3128"}, "paymaster.proxy = '10.0.0.1:3128': must be http://host:port"),
        ({"proxy": "https://10.0.0.1:3128"}, "must be http://host:port"),
        ({"proxy": "http://10.0.0.1"}, "must be http://host:port"),
        ({"proxy": "http://10.0.0.1:0"}, "must be http://host:port"),
        ({"proxy": "http://10.0.0.1:x"}, "must be http://host:port"),
        ({"proxy": "http://10.0.0.1:3128/pac"}, "must be http://host:port"),
        ({"proxy": "http://lane:secret@10.0.0.1:3128"}, "its name into paymaster.proxy_login_file"),
        ({"proxy": "lane:secret@10.0.0.1:x"}, "its name into paymaster.proxy_login_file"),
        ({"proxy": "http://10.0.0.1:3128", "base_url": "http://127.0.0.1:8480"}, "needs no proxy"),
        ({"proxy": "http://10.0.0.1:3128", "proxy_login_file": "none"}, "proxy_login_file: none: No such file"),
        ({"proxy_login_file": "none"}, "paymaster.proxy is missing"),
    ],
)
@pytest.mark.bank("B11")
def test_a_proxy_that_cannot_be_used_is_refused(paymaster: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping(GOOD | {"paymaster": {"merchant_id": "m", **paymaster}}, TOKEN)
    problem = caught.value.problems[0]
    assert words in problem
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://10.0.0.1:3128", "http://proxy.shop.example:8080/", "http://[fd00::7]:3128"])
def test_a_proxy_is_taken_from_file_and_environment(proxy: str) -> None:
    settings = settings_from_mapping(GOOD, TOKEN | {"SCO_PAYMASTER_PROXY": proxy, "HTTPS_PROXY": "http://other:1"})
    assert settings.paymaster.proxy == proxy
    assert settings_from_mapping(GOOD, TOKEN | {"HTTPS_PROXY": "http://other:1"}).paymaster.proxy == ""


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted({section for section, *_ in reference()})


@given(st.dictionaries(st.sampled_from(NAMES), ANY, max_size=3))
def test_any_content_gives_settings_or_a_settings_error(data: dict[str, object]) -> None:
    try:
        settings_from_mapping(data, TOKEN)
    except SettingsError as error:
        problems = error.problems
    else:
        return
    assert problems


@given(st.sampled_from([(section, name) for section, name, *_ in reference()]), ANY)
def test_any_value_gives_settings_or_a_settings_error(place: tuple[str, str], value: object) -> None:
    section, name = place
    try:
        settings_from_mapping({**GOOD, section: {**GOOD.get(section, {}), name: value}}, TOKEN)
    except SettingsError as error:
        problems = error.problems
    else:
        return
    assert problems


def test_the_docs_contain_the_reference() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text("utf-8")
    for section, name, default, meaning in reference():
        assert f"| `{section}.{name}` | `{default}` | {meaning} |" in text


def test_a_wrong_value_is_not_reported_as_missing_too() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping({"paymaster": {"merchant_id": 5}}, {})
    assert [text for text in caught.value.problems if "merchant_id" in text] == [
        "paymaster.merchant_id = 5: must be text in quotes"
    ]


def test_relative_paths_start_at_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`recover` run in another folder would start a second journal, and report that nothing is open."""
    (tmp_path / "lane.toml").write_text(
        '[lane]\npos_id = "K"\nshop = "S"\n[paymaster]\nmerchant_id = "m"\ntoken_file = "token"\n'
        '[journal]\npath = "journal.db"\n',
        "utf-8",
    )
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("t", "utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_settings("../lane.toml", {}).journal.path == "../journal.db"
    assert load_settings(tmp_path / "lane.toml", {"SCO_JOURNAL_PATH": "here.db"}).journal.path == "here.db"


@pytest.mark.parametrize(
    "address",
    ["https:// paymaster.ru", "https://", "paymaster.ru", "https://a..b", "https://пэймастер.рф", "https://x:99999",
     "https://user:word@paymaster.ru", "https://paymaster.ru?x=1", "https://paymaster.ru#x"],
)  # fmt: skip
def test_an_address_that_no_request_can_be_sent_to_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="base_url"):
        settings_from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "base_url": address}}, TOKEN)


@pytest.mark.parametrize(
    "address", ["https://PayMaster.ru", "https://10.0.0.7:8443/", "https://[fd00::7]", "http://[::1]"]
)
def test_valid_addresses_are_accepted(address: str) -> None:
    settings_from_mapping(GOOD | {"paymaster": {"merchant_id": "m", "base_url": address}}, TOKEN)


def test_a_file_saved_by_a_windows_editor_is_read(tmp_path: Path) -> None:
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
    assert load_settings(file, TOKEN).lane.shop == "Магазин"
    file.write_bytes(text.encode("cp1251"))
    with pytest.raises(SettingsError, match=r"not UTF-8 text \(line 3\)"):
        load_settings(file, TOKEN)
