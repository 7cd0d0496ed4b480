"""Links that lead a customer somewhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_payment import EndReason, Order, Outcome
from sco_payment.cli.story import story
from sco_payment.link import Verdict, is_host, judge
from sco_payment.settings_reader import SettingsError, settings_from_mapping
from tests.payment.lane_kit import OwnUI, bench
from tests.payment.test_settings import GOOD, TOKEN, plate_settings

OWN = ("paymaster.ru",)


@pytest.mark.parametrize(
    "link",
    [
        "https://qr.nspk.ru.evil.com/AD1",
        "https://evil.com/qr.nspk.ru/AD1",
        "https://evil.com?https://qr.nspk.ru/AD1",
        "https://qr.nspk.ru./AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=1&cur=RUB&crc=0000",
        "https://qr.nspk.ru.",
        "https://xn--qr-nspk-ru-abc.example/AD1",
        "https://xn--n1aj.xn--p1ai/AD1",
        "https://notpaymaster.ru/1",
        "https://paymaster.ru.evil.com/1",
        "https://pay-nspk.ru/AD1",
        "https://pay.example/1",
        "https://127.0.0.1/1",
        "https://10.0.0.5/1",
        "https://192.168.1.1:8080/1",
        "https://2130706433/1",
        "https://0x7f.1/1",
        "https://[::1]/1",
        "https://[fd00::1]/1",
        "https://localhost/1",
        "https://router/1",
        "https://nspk.ru:x@evil.com/1",
        "https://nspk.ru\\@evil.com/1",
        "https://-nspk.ru/1",
        "https://a..nspk.ru/1",
        "https://_.nspk.ru/1",
    ],
)
@pytest.mark.attack("A15")
@pytest.mark.bank("B20")
def test_a_link_to_another_host_is_refused(link: str) -> None:
    assert judge(link, hosts=OWN).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    "link",
    ["https://nspk.ru/1", "https://new.qr.nspk.ru/1", "https://paymaster.ru/1", "https://test.paymaster.ru:8443/1"],
)
@pytest.mark.attack("A15")
def test_links_of_nspk_and_the_acquirer_may_be_shown(link: str) -> None:
    assert judge(link, hosts=OWN).verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    "link", ["https://127.0.0.1/1", "https://[::1]/1", "https://localhost/1", "https://2130706433/1", "https://a.b./1"]
)
@pytest.mark.attack("A15")
def test_an_address_is_never_a_payment_link(link: str) -> None:
    """Not even where the hosts are not limited: no phone reaches it."""
    judgement = judge(link)
    assert judgement.verdict is Verdict.REFUSED
    assert "public host" in judgement.reason


@pytest.mark.attack("A15")
@pytest.mark.bank("B20")
def test_the_lane_shows_no_link_to_another_host(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "leaves + foreign-link", ui=ui) as (lane, _):
        result = lane.pay(Order("42", kopecks=25_300))
        assert (result.outcome, result.reason) == (Outcome.NOT_PRESENTED, EndReason.LINK_REFUSED)
        assert not result.presented
        assert not ui.pay_screens
        assert "add it to display.link_hosts" in result.detail
        told = [text for _, text in story(lane.journal.timeline(result.key), "en")]
        assert f"The bank's link was not shown to the customer ({result.detail})" in told
    again = OwnUI(on_pay=lambda state: lane.cancel())
    with bench(tmp_path, "leaves + foreign-link", ui=again, display={"link_hosts": ["bank.example"]}) as (lane, _):
        lane.pay(Order("43", kopecks=25_300))
    assert again.pay_screens


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "localhost", "evil.example.", "*.example", "https://a.example", "A.ru", ""]
)
@pytest.mark.attack("A15")
def test_a_host_in_the_settings_is_a_name(host: str) -> None:
    assert not is_host(host)
    with pytest.raises(SettingsError, match=r"display\.link_hosts"):
        settings_from_mapping(GOOD | {"display": {"mode": 1, "link_hosts": [host]}}, TOKEN)


@pytest.mark.attack("A15")
def test_a_plate_of_another_host_is_refused_with_the_settings() -> None:
    plate = "https://pay.bank.example/plate/7"
    with pytest.raises(SettingsError, match=r"display\.plate_link: pay\.bank\.example is neither"):
        settings_from_mapping(plate_settings(plate), TOKEN)
    settings = plate_settings(plate)
    settings["display"] = {**settings["display"], "link_hosts": ["bank.example"]}  # type: ignore[dict-item]
    assert settings_from_mapping(settings, TOKEN).display.plate_link == plate
