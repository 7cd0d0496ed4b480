"""What a lane's settings make of the acquirer: what is sent to PayMaster, and whose links may be shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment.acquirer import AcquirerSetup
from sco_payment.paymaster.adapter import PayMasterAcquirer, open_acquirer, open_client
from sco_payment.paymaster.errors import NotAuthorised, PaymentNotFound
from sco_payment.paymaster.token import Token, TokenError
from sco_payment.settings import Settings
from sco_payment.settings_reader import SettingsError, settings_from_mapping
from sco_sim.paymaster import Bank, PayMasterSimulator

TOKEN = {"SCO_PAYMASTER_TOKEN": "simulator-token"}


class Clock:
    """The machine's own, which was put forward by an hour."""

    def now(self) -> int:
        return round(time.time() * 1000)

    def wall(self, at_ms: int) -> float:
        return at_ms / 1000

    def clock_was_set_by(self) -> float:
        return 3600.0


@pytest.fixture
def bank() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator() as bank:
        yield bank


def settings(base_url: str = "https://paymaster.ru", **paymaster: Any) -> Settings:
    data = {
        "lane": {"pos_id": "KSO-7", "shop": "Магазин у дома"},
        "paymaster": {"merchant_id": "m", "base_url": base_url} | paymaster,
        "journal": {"path": "journal.db"},
    }
    return settings_from_mapping(data, TOKEN)


def opened(wanted: Settings) -> PayMasterAcquirer:
    return open_acquirer(AcquirerSetup(settings=wanted, clock=Clock(), token=Token("simulator-token")))


def plan() -> m.Plan:
    now = Clock().now()
    return m.Plan("k1", "A-1", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=now, expires_at_ms=now + 300_000)


def test_what_a_create_says_of_the_lane(bank: PayMasterSimulator) -> None:
    acquirer = opened(settings(bank.base_url, callback_url="https://shop.example/paid"))
    created = acquirer.create(plan(), 1)
    assert isinstance(created, m.Created)
    [payment] = bank.bank.payments.values()
    assert payment.invoice["params"] == {"posId": "KSO-7", "attempt": "k1"}
    assert payment.invoice["orderNo"] == "A-1"
    assert payment.invoice["description"] == "Магазин у дома, заказ A-1, 253,00\u00a0₽"
    assert (payment.callback_url, payment.merchant_id, payment.test_mode) == ("https://shop.example/paid", "m", False)
    assert (created.kopecks, created.currency, created.link, created.seq) == (25_300, "RUB", payment.link, 1)
    assert acquirer.clock_ahead_s is not None
    assert abs(acquirer.clock_ahead_s) < 60
    acquirer.close()


def test_nothing_is_said_of_what_the_settings_leave_out(bank: PayMasterSimulator) -> None:
    assert isinstance(opened(settings(bank.base_url, test_mode=True)).create(plan(), 1), m.Created)
    [payment] = bank.bank.payments.values()
    assert (payment.callback_url, payment.test_mode) == (None, True)


@pytest.mark.parametrize(
    ("base_url", "hosts"),
    [
        ("https://paymaster.ru", ("paymaster.ru",)),
        ("https://pay.runpay.example", ("paymaster.ru", "pay.runpay.example")),
        ("http://127.0.0.1:8480", ("paymaster.ru",)),
        ("http://localhost:8480", ("paymaster.ru",)),
    ],
)
def test_whose_links_may_be_shown(base_url: str, hosts: tuple[str, ...]) -> None:
    assert opened(settings(base_url)).link_hosts == hosts


NSPK = Bank(lambda: 0.0).add_sticker().payload


@pytest.mark.parametrize(
    ("plate", "link_hosts", "accepted"),
    [
        (NSPK, [], True),
        ("https://paymaster.ru/plate/1", [], True),
        ("https://plates.example/1", ["plates.example"], True),
        ("https://plates.example/1", ["other.example"], False),
        ("https://plates.example/1", [], False),
    ],
)
def test_whose_links_a_plate_may_carry(plate: str, link_hosts: list[str], accepted: bool) -> None:
    static = {"mode": 2, "plate": "static", "sticker_id": "st-1", "plate_link": plate}
    data = {
        "lane": {"pos_id": "KSO-7", "shop": "S"},
        "paymaster": {"merchant_id": "m"},
        "display": static | ({"link_hosts": link_hosts} if link_hosts else {}),
        "journal": {"path": "journal.db"},
    }
    if accepted:
        assert settings_from_mapping(data, TOKEN).display.plate_link == plate
    else:
        with pytest.raises(SettingsError, match=r"display\.plate_link: .*plates\.example"):
            settings_from_mapping(data, TOKEN)


def test_the_words_of_the_settings_and_those_that_are_built_in(caplog: pytest.LogCaptureFixture) -> None:
    words = {
        "Paid": "paid",
        "Void": "closed",
        "Held": "open",
        "Confirmation": "open",
        "Pending": "open",
        "Authorized": "open",
        "Settled": "paid",
        "Cancelled": "closed",
        "Rejected": "closed",
        "Refunded": "refunded",
        "Dancing": "unknown",
    }
    found = opened(settings(states={"Paid": 5, "Void": 6, "Held": 4}))
    assert found.name == "paymaster"
    assert {word: found.status_of(word).value for word in words} == words
    [record] = caplog.records
    assert (record.levelname, "'Dancing'" in record.message) == ("ERROR", True)


def test_the_token_is_the_settings_file_or_else_the_environments(
    bank: PayMasterSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(bank.token)
    from_file, other = settings(bank.base_url, token_file=str(file)), settings(bank.base_url)
    monkeypatch.setenv("SCO_PAYMASTER_TOKEN", "another-word")
    with pytest.raises(PaymentNotFound):  # and not NotAuthorised
        open_client(from_file).get_payment("1")
    with pytest.raises(NotAuthorised):
        open_client(other).get_payment("1")
    monkeypatch.delenv("SCO_PAYMASTER_TOKEN")
    with pytest.raises(TokenError, match="SCO_PAYMASTER_TOKEN is not set"):
        open_client(other)
