"""How an acquirer's adapter is found, checked and opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sco_payment import acquirer
from sco_payment.paymaster.adapter import PayMasterAcquirer
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import Settings
from sco_payment.settings_reader import SettingsError, settings_from_mapping

GOOD = {
    "lane": {"pos_id": "K", "shop": "S"},
    "paymaster": {"merchant_id": "m"},
    "journal": {"path": "journal.db"},
}
TOKEN = {"SCO_PAYMASTER_TOKEN": "t"}


def settings_of(name: str, **options: Any) -> Settings:
    lane = {**GOOD["lane"], "acquirer": name}
    return settings_from_mapping({"lane": lane, "journal": GOOD["journal"], "acquirer_options": options}, {})


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an installed distribution with a module of this text and an entry point in it."""

    def install(name: str, text: str) -> None:
        module = f"adapter_of_{name}"
        (tmp_path / f"{module}.py").write_text(text, "utf-8")
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
        entry = f"[sco_payment.acquirers]\n{name} = {module}:open_acquirer\n"
        (metadata / "entry_points.txt").write_text(entry, "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_paymaster_is_built_in_and_the_default() -> None:
    settings = settings_from_mapping(GOOD, TOKEN)
    assert settings.lane.acquirer == "paymaster"
    opened = acquirer.open_acquirer(settings, ThreadRuntime(), Token("t"))
    assert isinstance(opened, PayMasterAcquirer)
    assert opened.name == "paymaster"
    opened.close()
    with pytest.raises(ValueError, match="PayMaster's token must be a Token, not str"):
        acquirer.open_acquirer(settings, ThreadRuntime(), "t")


def test_an_unknown_acquirer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"lane\.acquirer: unknown acquirer 'volga'; expected one of .*paymaster"):
        settings_of("volga")


def test_one_that_is_installed_is_found_by_its_entry_point(installs: Any) -> None:
    installs(
        "onega",
        "from sco_payment.acquirer import checked_by\n"
        "def check(settings, environment, credential):\n"
        "    return [f'acquirer_options.{name} is wrong' for name in settings.acquirer_options]\n"
        "@checked_by(check)\n"
        "def open_acquirer(setup):\n"
        "    return setup.settings.lane.acquirer, setup.token, setup.clock.now()\n",
    )
    assert "onega" in acquirer.known()
    runtime: ThreadRuntime[None] = ThreadRuntime()
    opened: Any = acquirer.open_acquirer(settings_of("onega"), runtime, "key")
    name, token, now = opened
    assert (name, token) == ("onega", "key")
    assert abs(now - runtime.now()) < 60_000
    with pytest.raises(SettingsError) as caught:
        settings_of("onega", one=1, two={"three": 3})
    assert caught.value.problems == ["acquirer_options.one is wrong", "acquirer_options.two is wrong"]


def test_paymasters_own_settings_are_needed_for_paymaster_only(installs: Any) -> None:
    """Another acquirer has another merchant and another token."""
    installs("svir", "def open_acquirer(setup):\n    raise KeyError('no such thing')\n")
    settings = settings_of("svir")
    assert settings.paymaster.merchant_id == ""
    with pytest.raises(acquirer.AcquirerUnavailable, match="svir cannot be opened: KeyError"):
        acquirer.open_acquirer(settings, ThreadRuntime())


def test_one_that_cannot_be_loaded_or_checked_says_so(installs: Any) -> None:
    installs("ladoga", "import no_such_library\n")
    with pytest.raises(SettingsError, match=r"lane\.acquirer: .*ladoga .*cannot be loaded: .*no_such_library"):
        settings_of("ladoga")


def test_a_check_that_fails_is_a_problem_and_no_traceback(installs: Any) -> None:
    installs(
        "seliger",
        "from sco_payment.acquirer import checked_by\n"
        "@checked_by(lambda settings, environment, credential: 1 / 0)\n"
        "def open_acquirer(setup):\n"
        "    return None\n",
    )
    with pytest.raises(SettingsError, match="the settings of seliger cannot be checked: ZeroDivisionError"):
        settings_of("seliger")


def test_the_token_is_asked_for_unless_the_caller_has_it() -> None:
    settings = settings_from_mapping(GOOD, TOKEN)
    assert any("SCO_PAYMASTER_TOKEN" in one for one in acquirer.check_settings(settings, {}))
    assert acquirer.check_settings(settings, {}, credential=False) == []
