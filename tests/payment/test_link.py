from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_payment.link import MAX_LENGTH, Verdict, crc_of, judge

PUBLISHED = (
    ("https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001&sum=10000&cur=RUB&crc=F3D0", 10000),
    ("https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959", 253),
)
DYNAMIC, SUM = PUBLISHED[1]


@pytest.mark.parametrize(("text", "kopecks"), PUBLISHED)
def test_published_links_are_verified(text: str, kopecks: int) -> None:
    assert judge(text, kopecks=kopecks).verdict is Verdict.VERIFIED
    assert judge(text.replace(text[-4:], text[-4:].lower()), kopecks=kopecks).verdict is Verdict.VERIFIED


@given(st.integers(0, len(DYNAMIC) - 1), st.sampled_from(string.ascii_letters + string.digits))
def test_any_changed_character_before_the_crc_is_never_verified(place: int, char: str) -> None:
    changed = DYNAMIC[:place] + char + DYNAMIC[place + 1 :]
    if changed.lower() != DYNAMIC.lower():
        assert judge(changed, kopecks=SUM).verdict is not Verdict.VERIFIED


def with_crc(text: str) -> str:
    return f"{text}&crc={crc_of(text)}"


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
        (DYNAMIC.replace("AD10001246", "AX10001246"), "QRC id"),
        ("", "empty"),
        ("https://qr.nspk.ru/" + "A" * MAX_LENGTH, "at most"),
        (DYNAMIC + "\n", "characters"),
    ],
)
def test_what_contradicts_is_refused(text: str, words: str) -> None:
    judgement = judge(text, kopecks=SUM)
    assert judgement.verdict is Verdict.REFUSED
    assert words in judgement.reason


@pytest.mark.parametrize("text", ["https://pay.example/i/123", BODY, with_crc(BODY.replace("&sum=253&cur=RUB", ""))])
def test_what_cannot_be_checked_is_presentable(text: str) -> None:
    assert judge(text, kopecks=SUM).verdict is Verdict.UNVERIFIABLE


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    judge(text, kopecks=SUM)
    judge("https://qr.nspk.ru/" + text, kopecks=SUM)
