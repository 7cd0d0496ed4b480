"""Device URLs: each part, each parameter, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_drivers.errors import BadDeviceUrl
from sco_drivers.urls import DeviceUrl


def test_parts() -> None:
    url = DeviceUrl.parse("spy+tcp://10.0.0.5:9100/x%20y?timeout=2.5&level=M")
    assert (url.text, url.scheme, url.host, url.port, url.path, url.spied) == (
        "tcp://10.0.0.5:9100/x%20y?timeout=2.5&level=M",
        "tcp",
        "10.0.0.5",
        9100,
        "/x y",
        True,
    )
    assert url.number("timeout", 1.0) == 2.5
    assert url.choice("level", "L", ("L", "M")) == "M"


@pytest.mark.parametrize("ids", ["04b8:0202", "054c:06c1", "04b8:0e15", "072F:FFFF"])
def test_usb_names_vendor_and_product_in_hexadecimal(ids: str) -> None:
    url = DeviceUrl.parse(f"usb://{ids}/SERIAL7")
    assert (url.host, url.port, url.path) == (ids, None, "/SERIAL7")


def test_absent_parameters_have_their_defaults() -> None:
    url = DeviceUrl.parse("sim://")
    assert url.integer("baud", 115200) == 115200
    assert url.number("timeout", 1.5) == 1.5
    assert url.choice("level", "L", ("L", "M")) == "L"
    url.only()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fb",
        "/dev/fb0",
        "fb:/dev/fb0",
        "tcp://a:b",
        "tcp://a:99999",
        "sim://?a=1&a=2",
        "tcp://[x",
        "tcp://a:0",
        "tcp://me@a",
        "tcp://a#b",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(BadDeviceUrl) as found:
        DeviceUrl.parse(text)
    assert isinstance(found.value, ValueError)


@pytest.mark.parametrize("value", ["x", "1.5", "", "-1", "101", "1e3"])
def test_whole_numbers_within_their_range(value: str) -> None:
    with pytest.raises(BadDeviceUrl):
        DeviceUrl.parse(f"sim://?n={value}").integer("n", 5, min=0, max=100)


@pytest.mark.parametrize("value", ["x", "", "-1", "nan", "inf"])
def test_numbers_are_finite(value: str) -> None:
    with pytest.raises(BadDeviceUrl):
        DeviceUrl.parse(f"sim://?n={value}").number("n", 5)


def test_unknown_parameters_and_words() -> None:
    url = DeviceUrl.parse("sim://?colour=red&size=1x1")
    with pytest.raises(BadDeviceUrl, match="colour") as found:
        url.only("size")
    assert "size" in found.value.hint
    with pytest.raises(BadDeviceUrl, match="green, blue"):
        url.choice("colour", "green", ("green", "blue"))


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    with contextlib.suppress(BadDeviceUrl):
        assert DeviceUrl.parse(text).scheme
