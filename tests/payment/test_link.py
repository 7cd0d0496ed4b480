from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_payment.link import MAX_LENGTH, SbpLink, Verdict, crc_of, is_host, judge, parse, same_code

PUBLISHED = (
    ("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001&sum=10000&cur=RUB&crc=F3D0", 10000),
    ("https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959", 253),
)
DYNAMIC, SUM = PUBLISHED[1]
STATIC = "AS10003P3RH0LJ2A9ROO038L6NT5RU1M"


def with_crc(text: str) -> str:
    return f"{text}&crc={crc_of(text)}"


@pytest.mark.parametrize(("text", "kopecks"), PUBLISHED)
def test_published_links_are_verified(text: str, kopecks: int) -> None:
    assert judge(text, kopecks=kopecks).verdict is Verdict.VERIFIED
    assert judge(text.replace(text[-4:], text[-4:].lower()), kopecks=kopecks).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    ("text", "kopecks", "reason"),
    [
        (DYNAMIC, SUM, "form, crc, amount and currency agree"),
        (DYNAMIC, None, "form, crc and currency agree"),
        (
            with_crc(f"https://qr.nspk.ru/{STATIC}?type=01&bank=000000000001&cur=RUB"),
            SUM,
            "form, crc and currency agree",
        ),
        (with_crc(f"https://qr.nspk.ru/{STATIC}?type=01&bank=000000000001&sum=253"), SUM, "form, crc and amount agree"),
        (with_crc(f"https://qr.nspk.ru/{STATIC}?type=01&bank=000000000001"), SUM, "form and crc agree"),
    ],
)
def test_what_agrees_is_said(text: str, kopecks: int | None, reason: str) -> None:
    assert judge(text, kopecks=kopecks).reason == reason


@pytest.mark.parametrize(("length", "is_name"), [(253, True), (254, False)])
def test_a_hosts_name_has_at_most_253_characters(length: int, is_name: bool) -> None:
    name = ".".join(["a" * 60] * 4) + "." + "b" * 8 + ".ru"
    assert is_host(name.replace("b" * 8, "b" * (length - len(name) + 8))) is is_name


@given(st.integers(0, len(DYNAMIC) - 1), st.sampled_from(string.ascii_letters + string.digits))
def test_any_changed_character_before_the_crc_is_never_verified(place: int, char: str) -> None:
    changed = DYNAMIC[:place] + char + DYNAMIC[place + 1 :]
    if changed.lower() != DYNAMIC.lower():
        assert judge(changed, kopecks=SUM).verdict is not Verdict.VERIFIED


BODY = DYNAMIC.rpartition("&crc=")[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (with_crc(BODY.replace("sum=253", "sum=254")), "254"),
        (with_crc(BODY.replace("cur=RUB", "cur=USD")), "USD"),
        (with_crc(BODY.replace("type=02", "type=01")), "contradicts"),
        (with_crc(BODY + "&sum=253"), "twice"),
        (with_crc(BODY.replace("sum=253", "sum=-253")), "malformed"),
        (DYNAMIC.replace("https", "http"), "https"),
        (DYNAMIC.replace("qr.nspk.ru", "qr.nspk.ru@evil.example"), "user name"),
        (DYNAMIC + "&more=1", "last part"),
        (DYNAMIC.replace("AD10001246", "AX10001246"), "is wrong"),
        (with_crc(BODY.replace("AD10001246", "AX10001246").replace("sum=253", "sum=254")), "254"),
        (with_crc(BODY.replace("AD10001246", "AX10001246").replace("RUB", "USD")), "USD"),
        ("", "empty"),
        ("https://qr.nspk.ru/" + "A" * MAX_LENGTH, "at most"),
        (DYNAMIC + "\n", "characters"),
        (DYNAMIC + "ё", "characters"),
        (DYNAMIC.replace("AD1", "AD 1"), "characters"),
        (with_crc(BODY.replace("bank=100000000001", "bank=1")), "bank='1' is malformed"),
        (BODY + "&crc=D95", "crc='D95' is malformed"),
        (BODY + "&crc=", "crc='' is malformed"),
        (with_crc(BODY).replace("&crc=", "&x=1&crc="), "is wrong"),
        (BODY.replace("&sum", "&crc=D959&sum"), "last part"),
        ("https://[::1", "not a link"),
        ("https://qr.nspk.ru:port/", "not a link"),
        ("http://pay.example/i/1", "not an https link"),
        ("https:///i/1", "not an https link"),
        ("https://user@pay.example/", "user name"),
        ("https://:secret@pay.example/", "user name"),
        (DYNAMIC.replace("qr.nspk.ru/", "qr.nspk.ru:443/"), "not of the form"),
        (DYNAMIC + "#part", "not of the form"),
        (DYNAMIC.replace("qr.nspk.ru", "QR.nspk.ru"), "not of the form"),
        (with_crc(BODY.replace("AD10001246", "AS10001246")), "type=02 contradicts the QRC id, which is static (01)"),
        (with_crc(BODY.replace("type=02", "type=01")), "type=01 contradicts the QRC id, which is dynamic (02)"),
        (DYNAMIC.replace("AD10001246OADML79D5OP9279JLPI2V6", "AD1"), "is wrong"),
        ("https://qr.nspk.ru/?type=02", "no QRC id"),
        (DYNAMIC.replace("qr.nspk.ru", "qr.nspk.ru.example"), "only looks like nspk.ru"),
        (DYNAMIC.replace("qr.nspk.ru", "qr-nspk.ru"), "only looks like nspk.ru"),
        (DYNAMIC.replace("qr.nspk.ru", "qrnspk.ru"), "only looks like nspk.ru"),
    ],
)
def test_a_link_that_contradicts_the_payment_or_itself_is_refused(text: str, words: str) -> None:
    judgement = judge(text, kopecks=SUM)
    assert judgement.verdict is Verdict.REFUSED
    assert words in judgement.reason


def test_the_parts_of_a_link() -> None:
    qrc, crc = "AD10001246OADML79D5OP9279JLPI2V6", "D959"
    assert parse(DYNAMIC) == SbpLink(DYNAMIC, qrc, False, "100000000001", 253, "RUB", crc)
    static = PUBLISHED[0][0]
    assert parse(static) == SbpLink(
        static, "AS10003P3RH0LJ2A9ROO038L6NT5RU1M", True, "000000000001", 10_000, "RUB", "F3D0"
    )
    bare = f"https://qr.nspk.ru/{qrc}"
    assert parse(bare) == SbpLink(bare, qrc, False, None, None, None, None)
    assert parse("https://pay.example/") is None


def test_the_longest_link() -> None:
    longest = "https://pay.example/".ljust(512, "x")
    assert judge(longest).verdict is Verdict.UNVERIFIABLE
    assert judge(longest + "x").verdict is Verdict.REFUSED


def test_a_link_alone_and_in_another_currency() -> None:
    assert judge(DYNAMIC).verdict is Verdict.VERIFIED
    assert judge(DYNAMIC, kopecks=SUM, currency="USD").verdict is Verdict.REFUSED
    static = with_crc("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001")
    found = judge(static, kopecks=SUM)
    assert (found.verdict, found.link) == (Verdict.VERIFIED, parse(static))
    assert judge(with_crc(BODY.replace("&sum=253", "")), kopecks=SUM).verdict is Verdict.UNVERIFIABLE
    for refused in (judge(DYNAMIC, kopecks=254), judge(DYNAMIC, currency="USD"), judge(BODY)):
        assert refused.link is not None


def test_the_crc_is_written_with_all_its_digits() -> None:
    assert crc_of("123456789") == "29B1"  # the check value that catalogues of CRCs give for CCITT-FALSE
    assert crc_of("") == "FFFF"
    assert {len(crc_of(f"https://qr.nspk.ru/{n}")) for n in range(2_000)} == {4}


@pytest.mark.parametrize("text", ["https://pay.example/i/123", BODY, with_crc(BODY.replace("&sum=253&cur=RUB", ""))])
@pytest.mark.bank("B16", "B20")
def test_a_link_that_cannot_be_checked_is_presentable(text: str) -> None:
    assert judge(text, kopecks=SUM).verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    "text",
    [
        with_crc(BODY.replace("AD10001246", "AX10001246")),
        with_crc(BODY.replace("AD10001246", "AX10001246").replace("type=02&bank=100000000001&", "bank=7&")),
        BODY.replace("AD10001246", "AX10001246").replace("sum=253", "sum=2.53"),
        "https://qr.nspk.ru/u/7f2c41?crc=none",
        "https://qr.nspk.ru/AD1",
        "https://pay.nspk.ru/AD1",
        "https://nspk.ru/AD1",
    ],
)
@pytest.mark.bank("B16")
def test_a_form_that_is_not_known_is_presentable(text: str) -> None:
    """A change of the rules must not stop every lane; what can still be checked is checked."""
    judgement = judge(text, kopecks=SUM)
    assert judgement.verdict is Verdict.UNVERIFIABLE
    if judgement.link is not None:
        assert judgement.link.static is None
        assert "unknown form" in judgement.reason


PLATE = with_crc("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (PLATE, True),
        (PLATE[:-4] + PLATE[-4:].lower(), True),
        (PLATE.partition("&crc=")[0], True),
        (with_crc("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?bank=000000000001&type=01"), True),
        (PUBLISHED[0][0], True),
        (PLATE[:-4] + "0000", False),
        (with_crc(PLATE.partition("&crc=")[0].replace("AS1", "AS2")), False),
        ("https://pay.example/AS10003P3RH0LJ2A9ROO038L6NT5RU1M", False),
    ],
)
@pytest.mark.bank("B12")
def test_one_code_written_in_several_ways(other: str, same: bool) -> None:
    assert same_code(PLATE, other) is same_code(other, PLATE) is same


@pytest.mark.bank("B12")
def test_links_of_another_host_are_one_code_only_if_they_are_equal() -> None:
    assert same_code("https://pay.example/1", "https://pay.example/1")
    assert not same_code("https://pay.example/1", "https://pay.example/1?")


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    judge(text, kopecks=SUM)
    judge("https://qr.nspk.ru/" + text, kopecks=SUM)
