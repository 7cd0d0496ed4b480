"""`sco-fleet settings`, as an administrator uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from sco_fleet import lanes
from sco_fleet.cli.main import main
from sco_fleet.settings import offers, rollouts
from sco_fleet.settings.signing import KeyRefused, load_key, make_key
from sco_payment.fleet.bundle import read
from sco_payment.settings import LOCAL

pg = pytest.mark.program("pg_createcluster")
Run = Callable[..., Result]


@pytest.fixture
def run(database: str) -> Run:
    """Runs a command below `sco-fleet settings`; `status` is the expected exit status."""
    with psycopg.connect(database, autocommit=True) as db:
        for lane, shop in (("KSO-1", "Shop 7"), ("KSO-2", "Shop 7"), ("KSO-3", "Shop 8")):
            lanes.add(db, lane, shop)

    def run_it(*words: object, status: int = 0, **named: Any) -> Result:
        result = CliRunner().invoke(
            main, ["settings", *map(str, words)], env={"FLEET_DATABASE": database, "SUDO_USER": "ivanova"}, **named
        )
        assert result.exit_code == status, result.output
        return result

    return run_it


def put(run: Run, layer: str, toml: str, *words: object, status: int = 0) -> Result:
    return run("put", layer, "-", "--comment", "a change", *words, input=toml, status=status)


def key_file(folder: Path) -> Path:
    make_key(folder / "key")
    return folder / "key"


# --- the key ------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    result = CliRunner().invoke(main, ["settings", "keygen", str(file)])
    assert result.exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert result.stdout == f'settings_key = "{load_key(file).public}"\n'
    again = CliRunner().invoke(main, ["settings", "keygen", str(file)])
    assert again.exit_code == 1
    assert "already exists: a key is never overwritten" in again.output


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    file.chmod(0o640)
    with pytest.raises(KeyRefused, match="others may read it"):
        load_key(file)


@pytest.mark.parametrize(
    "text", ["", "A" * 44, "sco-fleet settings key, secret: keep it off the server where you can\nAAAA\n"]
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(KeyRefused, match="is not a key of"):
        load_key(tmp_path / "key")
    with pytest.raises(KeyRefused, match="No such file"):
        load_key(tmp_path / "none")


# --- layers -------------------------------------------------------------------------------------------------------


@pg
def test_layers_are_written_shown_and_compared(run: Run) -> None:
    assert put(run, "chain", "[display]\nmode = 1\n").stdout == "chain version 1\n"
    put(run, "chain", '[display]\nmode = 2\nplate = "dynamic"\n')
    put(run, "shop:Shop 7", '[lane]\nshop = "Shop 7"\n')
    assert run("get", "chain", "--version", 1).stdout == "[display]\nmode = 1\n"
    assert run("get", "chain").stdout == '[display]\nmode = 2\nplate = "dynamic"\n'
    assert run("diff", "chain").stdout.splitlines() == [
        "--- chain version 1",
        "+++ chain version 2",
        "@@ -1,2 +1,3 @@",
        " [display]",
        "-mode = 1",
        "+mode = 2",
        '+plate = "dynamic"',
    ]
    assert [line.split("\t")[:2] + line.split("\t")[3:] for line in run("log").stdout.splitlines()] == [
        ["shop:Shop 7", "1", "ivanova", "a change"],
        ["chain", "2", "ivanova", "a change"],
        ["chain", "1", "ivanova", "a change"],
    ]
    assert run("show", "KSO-1").stdout.splitlines() == [
        "display.mode = 2           # chain version 2",
        'display.plate = "dynamic"  # chain version 2',
        'lane.shop = "Shop 7"       # shop:Shop 7 version 1',
    ]
    assert run("diff", "KSO-3").stdout.splitlines() == [
        "display.mode: not set -> 2",
        'display.plate: not set -> "dynamic"',
    ]
    assert run("restore", "chain", 1, "--comment", "back").stdout == "chain version 3\n"
    assert run("check").stdout == "lanes with valid settings: 3\n"
    assert run("check", "KSO-1").stdout == "lanes with valid settings: 1\n"


@pg
def test_what_is_wrong_is_said_in_full(run: Run) -> None:
    wrong = put(run, "chain", '[display]\nmode = 7\n[paymaster]\ntoken = "x"\n[devices]\nnfc = ""\n', status=1)
    for text in ("display.mode = 7: must be from 0 to 2", "paymaster.token: is the name", "devices.nfc is local to"):
        assert text in wrong.output
    assert "shop:NAME" in put(run, "shops", "", status=2).output
    assert "no lane KSO-9" in run("show", "KSO-9", status=1).output
    assert "chain has no settings" in run("get", "chain", status=1).output
    put(run, "chain", "")
    assert "does not differ from version 1" in put(run, "chain", "", status=1).output
    assert "now at version 1 by" in put(run, "chain", "# x", "--after", 0, status=1).output
    assert "it runs with its own file" in run("show", "KSO-1").stderr
    put(run, "lane:KSO-2", "[timing]\npoll_timeout_s = 2")
    assert "(lane KSO-2)" in run("check", status=1).output


@pg
def test_a_layer_that_is_no_text_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chain.toml").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in run("put", "chain", tmp_path / "chain.toml", "--comment", "x", status=1).output


# --- roll-outs ----------------------------------------------------------------------------------------------------


@pg
def test_a_roll_out_from_the_beginning_to_the_end(run: Run, tmp_path: Path, database: str) -> None:
    key = key_file(tmp_path)
    put(run, "chain", "[display]\nmode = 1\n")
    start = ("roll-out", "start", "--key", key, "--comment", "the first", "--first-lane", "KSO-1", "--soak", 0)
    assert run(*start, "--dry-run").stdout.splitlines() == [
        "roll-out 1: lanes to change: 3 (unchanged: 0)",
        "  stage 1, one lane: 1 (KSO-1, shop Shop 7)",
        "  stage 2, one shop: 1",
        "  stage 3, all: 1",
    ]
    assert "there has been no roll-out yet" in run("roll-out", "status", status=1).output
    run(*start)
    assert "roll-out 1 is running" in run(*start, status=1).output
    with psycopg.connect(database, autocommit=True) as db:

        def answer(lane: str, what: Any, reason: str = "") -> None:
            text = offers.pull(db, lane)
            assert text is not None
            offers.report(db, lane, 1, read(text).hash, what, reason)
            rollouts.look(db)

        answer("KSO-1", "applied")
        answer("KSO-2", "refused", "no\nscreen")
        text = run("roll-out", "status").stdout
        assert "roll-out 1: stopped, stage 2 (one shop), by ivanova" in text
        assert "1 applied, 1 refused, 0 pulled, 1 have not asked" in text
        assert "the server: stopped: 1 refused: KSO-2: no" in text
        assert "KSO-2\tShop 7\trefused\tnever seen: no" in text
        assert "KSO-3" not in text  # it is not its turn
        assert "KSO-3\tShop 8\twaiting" in run("roll-out", "status", 1, "--all").stdout
        run("roll-out", "continue", 1, "--reason", "known")
        assert run("roll-out", "retry", 1, "KSO-2").stdout == "lanes to which it is offered once more: 1\n"
        run("roll-out", "pause", 1)
        assert "not running" in run("roll-out", "pause", 1, status=1).output
        run("roll-out", "continue", 1)
        answer("KSO-2", "applied")
        answer("KSO-3", "applied")
    assert "\tivanova\tdone\t3 applied, 0 refused, 0 open\tthe first" in run("roll-out", "list").stdout
    assert "no lane's settings would change" in run(*start[:6], status=1).output
    put(run, "chain", '[display]\nmode = 2\nplate = "dynamic"\n')
    assert run("go-back", 1, "--comment", "x").stdout == "chain version 3\n"
    assert "no layer has changed since roll-out 1" in run("go-back", 1, "--comment", "x").stderr
    assert "there is no roll-out 5" in run("go-back", 5, "--comment", "x", status=1).output


@pg
def test_a_roll_out_is_aborted(run: Run, tmp_path: Path) -> None:
    put(run, "chain", "[display]\nmode = 1\n")
    run("roll-out", "start", "--key", key_file(tmp_path), "--comment", "x")
    run("roll-out", "abort", 1, "--reason", "a mistake")
    assert "ivanova: aborted: a mistake" in run("roll-out", "status").stdout
    assert "others may read" not in run("roll-out", "status").output


@pg
def test_without_a_key_nothing_is_begun(run: Run, tmp_path: Path) -> None:
    put(run, "chain", "[display]\nmode = 1\n")
    assert "keygen" in run("roll-out", "start", "--comment", "x", status=2).output
    result = run("roll-out", "start", "--key", tmp_path / "none", "--comment", "x", status=1)
    assert "No such file" in result.output
    assert "there has been no roll-out yet" in run("roll-out", "status", status=1).output


def test_the_guide_names_every_setting_that_is_local_to_a_lane() -> None:
    guide = (Path(__file__).parents[3] / "docs/guide/fleet-settings.md").read_text("utf-8")
    assert [name for name in LOCAL if f"`{name}`" not in guide] == []
