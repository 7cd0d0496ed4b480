"""Settings that no person writes, but a broken tool or a stranger might."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sco_payment.settings_reader import SettingsError, load_settings, settings_from_mapping
from tests.payment.lane_kit import bare_settings_file, run
from tests.payment.test_settings import GOOD, TOKEN


@pytest.mark.parametrize(
    "text",
    [
        "[timing]\npoll_interval_s = " + "9" * 5_000,
        "[timing]\npoll_interval_s = 0x" + "f" * 9_000,
        "[lane]\nshop = " + "[" * 20_000,
        "a." * 20_000 + "b = 1",
        "[lane]\nshop = '''" + "x" * 5_000_000 + "'''",
        "\x00",
        '[lane]\nshop = "\x1b"',
    ],
)
@pytest.mark.attack("A17")
def test_a_file_that_no_person_wrote_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lane.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert len(str(caught.value)) < 5_000


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("lane", "shop"),
        ("lane", "pos_id"),
        ("paymaster", "merchant_id"),
        ("journal", "path"),
        ("display", "sticker_id"),
    ],
)
@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x7f", "\x85", "\u2028"])
@pytest.mark.attack("A17")
def test_no_text_has_control_characters(section: str, name: str, char: str) -> None:
    changed: dict[str, Any] = {**GOOD, section: {**GOOD.get(section, {}), name: f"a{char}b"}}
    with pytest.raises(SettingsError, match=rf"{section}\.{name}"):
        settings_from_mapping(changed, TOKEN)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full"])
@pytest.mark.attack("A18")
def test_the_check_refuses_a_journal_that_is_no_file(tmp_path: Path, path: str) -> None:
    file = bare_settings_file(tmp_path, path)
    done = run("settings", "check", file, SCO_PAYMASTER_TOKEN="t")
    assert done.returncode != 0
    assert path in done.stdout + done.stderr
