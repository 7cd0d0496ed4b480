"""The section `fleet`: what is wrong with it is reported with the rest, and nothing of it stops a lane later."""

from __future__ import annotations

from typing import Any

import pytest

from sco_payment.settings import FleetSettings
from sco_payment.settings_reader import SettingsError, settings_from_mapping

LANE: dict[str, Any] = {
    "lane": {"pos_id": "KSO-7", "shop": "Магазин"},
    "paymaster": {"merchant_id": "m"},
    "journal": {"path": "/tmp/j"},
}


def read(**fleet: Any) -> FleetSettings:
    return settings_from_mapping({**LANE, "fleet": fleet}, token=False).fleet


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        ({"url": "fleet.example.ru", "token_file": "t"}, "fleet.url = 'fleet.example.ru': must be an https address"),
        (
            {"url": "http://fleet.example.ru", "token_file": "t"},
            "fleet.url: plain http is allowed only",
        ),
        ({"url": "https://a:b@fleet.example.ru", "token_file": "t"}, "fleet.url: must be scheme, host and port only"),
        ({"url": "https://fleet.example.ru/x?y", "token_file": "t"}, "fleet.url: must be scheme, host and port only"),
        ({"url": "https://fleet.example.ru"}, "fleet.token_file is missing"),
        ({"token_file": "t"}, "but fleet.url is missing"),
        ({"batch_rows": 501}, "fleet.batch_rows = 501: must be from 1 to 500"),
        ({"heartbeat_s": 0.5}, "fleet.heartbeat_s = 0.5: must be from 1 to 3600"),
    ],
)
def test_what_is_wrong_is_named(fleet: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**fleet)
    assert words in str(caught.value)


@pytest.mark.parametrize("url", ["https://fleet.example.ru", "https://10.0.0.1:8443", "http://127.0.0.1:8730"])
def test_a_fleet_is_an_address_and_a_token(url: str) -> None:
    assert read(url=url, token_file="/nowhere/yet").url == url


def test_a_lane_has_no_fleet_by_default() -> None:
    assert settings_from_mapping(LANE, token=False).fleet == FleetSettings()
