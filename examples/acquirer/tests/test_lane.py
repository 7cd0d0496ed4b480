"""A whole lane that takes its payments through Neva."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from neva_acquirer.simulator import API_KEY, NevaSimulator
from neva_acquirer.simulator import Order as NevaOrder

from sco_payment import CaseReason, Order, Outcome, SettingsError, load_settings, open_lane
from sco_sim.testing import http_faults

SETTINGS = """
[lane]
pos_id = "KSO-7"
shop = "Shop"
acquirer = "{acquirer}"

[acquirer_options]
base_url = "{base_url}"
{more}

[timing]
poll_interval_s = 0.2
confirm_timeout_s = 3.0

[journal]
path = "journal.db"
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pip install` leaves it: the entry point, and the key."""
    metadata = tmp_path / "site" / "neva_acquirer-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: neva-acquirer\nVersion: 1.0\n", "utf-8")
    entry = "[sco_payment.acquirers]\nneva = neva_acquirer.adapter:open_acquirer\n"
    (metadata / "entry_points.txt").write_text(entry, "utf-8")
    monkeypatch.syspath_prepend(str(metadata.parent))
    monkeypatch.setenv("NEVA_API_KEY", API_KEY)


def settings_file(folder: Path, base_url: str, *, acquirer: str = "neva", more: str = 'terminal = "T-17"') -> Path:
    path = folder / "lane.toml"
    path.write_text(SETTINGS.format(acquirer=acquirer, base_url=base_url, more=more), "utf-8")
    return path


def test_a_customer_pays(tmp_path: Path) -> None:
    with NevaSimulator() as bank:
        bank.on_create = lambda order: threading.Timer(0.5, bank.pay, (order.number,)).start()
        with open_lane(load_settings(settings_file(tmp_path, bank.base_url))) as lane:
            result = lane.pay(Order("42", 25_300))
            assert (result.outcome, result.case, result.payment_id) == (Outcome.PAID, None, "700001")
            assert bank.voids == 0


def test_a_payment_that_neva_refunds_on_cancel_is_a_case(tmp_path: Path) -> None:
    """The customer pays while the attendant cancels: no goods, the money is on its way back, an operator sees it."""
    with NevaSimulator() as bank, open_lane(load_settings(settings_file(tmp_path, bank.base_url))) as lane:

        def paid_and_cancelled(order: NevaOrder) -> None:
            order.state = "DONE"
            lane.cancel()

        bank.on_create = paid_and_cancelled
        result = lane.pay(Order("42", 25_300))
        assert result.outcome is Outcome.UNKNOWN
        [case] = lane.journal.cases()
        assert case.number == result.case
        assert case.reason == CaseReason.REFUNDED.value
        assert [order.state for order in bank.orders.values()] == ["RETURNED"]
        assert bank.voids == 1


def test_a_void_without_an_answer_that_refunds_later_is_a_case_and_no_goods(tmp_path: Path) -> None:
    """The customer pays while the attendant's void is on its way; Neva gets it when the lane has given it up."""
    with NevaSimulator() as bank, http_faults.HttpFaults(bank.base_url, "/v1/orders/{}".format) as wire:
        settings = load_settings(settings_file(tmp_path, wire.base_url, more='terminal = "T-17"\ntimeout_s = 1.0'))
        with open_lane(settings) as lane:

            def paid_and_cancelled(order: NevaOrder) -> None:
                wire.fault("held")  # the void
                order.state = "DONE"
                lane.cancel()

            bank.on_create = paid_and_cancelled
            result = lane.pay(Order("42", 25_300))
            assert result.outcome is Outcome.UNKNOWN
            [case] = lane.journal.cases()
            assert (case.reason, case.phase) == (CaseReason.CANCEL_PAY_RACE.value, "refundable")
        wire.release()
        assert [order.state for order in bank.orders.values()] == ["RETURNED"]
        with open_lane(settings) as lane:  # which asks at once
            lane.recover()
            [case] = lane.journal.cases()
            assert case.phase == "unsettled"
            story = [record.body for record in lane.journal.timeline(case.attempt)]
            assert any("has refunded the customer" in str(body) for body in story), story


def test_the_settings_are_checked_by_the_adapter_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEVA_API_KEY")
    with pytest.raises(SettingsError) as caught:
        load_settings(settings_file(tmp_path, "ftp://neva", more="colour = 1"))
    assert caught.value.problems == [
        "unknown setting acquirer_options.colour; expected one of base_url, terminal, api_key_file, timeout_s",
        "acquirer_options.terminal is missing: the lane's terminal at Neva, in quotes",
        "acquirer_options.base_url must be an https address",
        "there is no API key: set NEVA_API_KEY, or acquirer_options.api_key_file",
    ]


def test_an_acquirer_that_is_not_installed_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"unknown acquirer 'volga'; expected one of neva, paymaster"):
        load_settings(settings_file(tmp_path, "https://neva.example", acquirer="volga"))
