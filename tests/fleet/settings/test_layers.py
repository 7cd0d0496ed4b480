"""Layers: what may be in them, how they are merged, and that nothing of them is overwritten."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from sco_fleet import lanes
from sco_fleet.settings import layers
from sco_fleet.settings.check import SettingsRefused, check_lanes, read_layer
from sco_fleet.settings.layers import LayerError, Place, Snapshot
from sco_fleet.settings.merge import Layer, changes, merged
from sco_fleet.settings.secrets import secrets_in
from sco_payment.settings import LOCAL, local_in

CHAIN, SHOP, PROFILE, LANE = Layer("chain"), Layer("shop", "7"), Layer("profile", "tall"), Layer("lane", "lane-1")
SECRET = "Zk3vQ9xP1mT7wB5nR2yL8cH4"


def test_each_layer_wins_over_those_before() -> None:
    found = merged(
        [
            (CHAIN, {"display": {"mode": 1, "link_hosts": ["a.ru", "b.ru"]}, "paymaster": {"states": {"Held": 4}}}),
            (SHOP, {"lane": {"shop": "Shop 7"}, "display": {"mode": 2}}),
            (PROFILE, {"display": {"link_hosts": ["c.ru"]}, "paymaster": {"states": {"Late": 3}}}),
            (LANE, {"display": {"mode": 0}}),
        ]
    )
    assert found.settings == {
        "display": {"mode": 0, "link_hosts": ["c.ru"]},
        "paymaster": {"states": {"Held": 4, "Late": 3}},
        "lane": {"shop": "Shop 7"},
    }
    assert {where: str(value.layer) for where, value in found.values.items()} == {
        "display.mode": "lane:lane-1",
        "display.link_hosts": "profile:tall",
        "paymaster.states.Held": "chain",
        "paymaster.states.Late": "profile:tall",
        "lane.shop": "shop:7",
    }


def test_a_value_over_a_table_replaces_it_and_the_other_way_round() -> None:
    table, value = {"acquirer_options": {"a": {"b": 1, "c": 2}}}, {"acquirer_options": {"a": 3}}
    assert merged([(CHAIN, table), (SHOP, value)]).settings == value
    assert merged([(CHAIN, value), (SHOP, table)]).settings == table


def test_changes_are_named_by_their_setting() -> None:
    before = {"display": {"mode": 1, "qr_mm": 40}, "ticket": {"footer": "Спасибо"}}
    after = {"display": {"mode": 2, "qr_mm": 40}, "lane": {"accent": "#0b57a8"}}
    assert changes(before, after) == [
        "display.mode: 1 -> 2",
        'lane.accent: not set -> "#0b57a8"',
        'ticket.footer: "Спасибо" -> not set',
    ]


@pytest.mark.parametrize("text", ["", "shop", "shop:", "chain:x", "lanes:1", "Chain"])
def test_a_layer_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write chain, shop:NAME"):
        Layer.parse(text)


def refused(toml: str) -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        read_layer(CHAIN, toml)
    return caught.value.problems


def test_all_mistakes_of_a_layer_are_named_at_once() -> None:
    problems = refused('[display]\nmode = 3\ncolour = "red"\n[devices]\nprinter = "tcp://1"\n[colours]\n')
    assert [problem.split(":")[0].split(";")[0] for problem in problems] == [
        "devices.printer is local to a lane",
        "unknown section [colours]",
        "unknown setting display.colour",
        "display.mode = 3",
    ]
    assert refused("mode = = 1")[0].startswith("not TOML")
    assert refused("timing = 3")[0].startswith("timing must be a section")


@pytest.mark.parametrize("name", LOCAL)
def test_what_is_local_to_a_lane_is_in_no_layer(name: str) -> None:
    section, _, setting = name.partition(".")
    named = {"devices": "nfc_uid", "journal": "path", "fleet": "url", "acquirer_options": "terminal"}
    setting = named.get(section, setting)
    assert f"{section}.{setting} is local to a lane" in refused(f'[{section}]\n{setting} = ""')[0]


@pytest.mark.parametrize("where", ["paymaster.test_mode", "lane.acquirer", "acquirer_options.bank.base_url"])
def test_what_decides_about_money_is_local_however_deep(where: str) -> None:
    section, *tables, setting = where.split(".")
    table: dict[str, Any] = {setting: "https://elsewhere.example"}
    for name in reversed(tables):
        table = {name: table}
    assert local_in({section: table}) == [".".join(where.split(".")[:2])]


@pytest.mark.parametrize(
    ("toml", "where", "what"),
    [
        (f'[paymaster]\ntoken = "{SECRET}"', "paymaster.token", "the name of a secret"),
        ('[acquirer_options]\napi_key = "x"', "acquirer_options.api_key", "the name of a secret"),
        ('[acquirer_options.bank]\nPassword = "x"', "acquirer_options.bank.Password", "the name of a secret"),
        ("[acquirer_options]\npin = 1234", "acquirer_options.pin", "the name of a secret"),
        (f'[paymaster]\ntoken_file = "{SECRET}"', "paymaster.token_file", "looks like a token or key"),
        (f'[acquirer_options]\nterminal = "{SECRET}"', "acquirer_options.terminal", "looks like a token or key"),
        (f'[display]\nlink_hosts = ["{SECRET}"]', "display.link_hosts", "looks like a token or key"),
        (f'[acquirer_options]\nid = "{"0f3a9c71" * 5}"', "acquirer_options.id", "looks like a token or key"),
        (
            '[paymaster]\ncallback_url = "http://user:pass@10.0.0.1"',
            "paymaster.callback_url",
            "a password in its address",
        ),
        ('[ticket]\nfooter = "Authorization: Bearer abcdefgh12"', "ticket.footer", "an HTTP credential"),
        ('[ticket]\nheader = "-----BEGIN PRIVATE KEY-----"', "ticket.header", "a key or certificate"),
        ('[ticket]\nheader = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.x"', "ticket.header", "a JSON web token"),
    ],
)
def test_a_secret_is_refused_by_its_field_and_not_shown(toml: str, where: str, what: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        read_layer(CHAIN, toml)
    assert f"{where}: " in str(caught.value)
    assert what in str(caught.value)
    for secret in (SECRET, "pass@", "abcdefgh12", "eyJ"):
        assert secret not in str(caught.value)


def test_what_only_resembles_a_secret_is_taken() -> None:
    table = read_layer(
        LANE,
        """
        [paymaster]
        token_file = "/etc/sco/Zk3vQ9xP1mT7wB5nR2yL8cH4.token"
        merchant_id = "0f3a9c71-22aa-4e5b-9d2f-5b1c8e7a6f10"
        callback_url = "https://shop.example.ru/paymaster"
        [service]
        screen_without_token = false
        [display]
        plate_link = "https://qr.nspk.ru/AS100001ORTF4GAF80KPJ53K186D9A3G?type=01&bank=100000000007&crc=0C8A"
        sticker_id = "AS100001ORTF4GAF80KPJ53K186D9A3G"
        [ticket]
        header = "Самый большой и красивый супермаркет у дома на улице Строителей"
        footer = "a_rather_long_name_of_a_shop_without_any_number_at_all"
        logo = "/var/lib/sco/pictures/a-rather-long-name-of-a-picture-2026-11-29.png"
        """,
    )
    assert secrets_in(table) == []


@pytest.mark.parametrize("layer", [CHAIN, SHOP, PROFILE])
@pytest.mark.parametrize("name", ["sticker_id", "plate_link"])
def test_a_lanes_own_cash_link_is_in_no_layer_of_several_lanes(layer: Layer, name: str) -> None:
    toml = f'[display]\n{name} = "https://qr.nspk.ru/AS100001ORTF4GAF80KPJ53K186D9A3G?type=01"'
    with pytest.raises(SettingsRefused, match=rf"display\.{name} is of one lane: write it into the layer lane:POSID"):
        read_layer(layer, toml)
    read_layer(LANE, toml)


def test_what_depends_on_several_settings_is_checked_for_the_lane() -> None:
    read_layer(CHAIN, "[timing]\npoll_timeout_s = 2")
    with pytest.raises(SettingsRefused, match=r"poll_timeout_s must be longer .*\(2 lanes: lane-1, lane-2\)"):
        check_lanes((lane, {"timing": {"poll_timeout_s": 2}}) for lane in ("lane-1", "lane-2"))


def test_an_office_needs_no_files_and_devices_of_a_lane() -> None:
    check_lanes(
        [
            (
                "lane-1",
                {
                    "display": {"mode": 0},
                    "lane": {"theme": "theme.toml", "logo": "/nowhere.png"},
                    "paymaster": {"token_file": "paymaster.token"},
                },
            )
        ]
    )


def test_a_colour_that_nobody_could_read_is_refused_in_the_office() -> None:
    with pytest.raises(SettingsRefused, match=r"lane\.accent"):
        check_lanes([("lane-1", {"lane": {"accent": "#fffff0"}})])


# --- in the database ----------------------------------------------------------------------------------------------


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as found:
        yield found


def put(db: Any, layer: Layer, toml: str, **named: Any) -> int:
    return layers.put(db, layer, toml, "ivanova", "because", **named)


@pytest.mark.program("pg_createcluster")
def test_each_change_is_a_version_of_somebody(db: Any) -> None:
    assert put(db, CHAIN, "[display]\nmode = 1\n") == 1
    assert put(db, CHAIN, "[display]\nmode = 2\n") == 2
    assert put(db, SHOP, "") == 1
    assert layers.restore(db, CHAIN, 1, "petrov", "it was better") == 3
    found = layers.versions(db, CHAIN)
    assert [(one.number, one.made_by, one.comment) for one in found] == [
        (3, "petrov", "it was better"),
        (2, "ivanova", "because"),
        (1, "ivanova", "because"),
    ]
    assert found[0].toml == "[display]\nmode = 1\n"
    assert len(layers.versions(db)) == 4
    with pytest.raises(LayerError, match="chain has no version 9"):
        layers.version(db, CHAIN, 9)
    with pytest.raises(LayerError, match="lane:lane-1 has no settings"):
        layers.require(db, LANE)


@pytest.mark.program("pg_createcluster")
@pytest.mark.parametrize("statement", ["UPDATE settings_layers SET toml = ''", "DELETE FROM settings_layers"])
def test_the_database_lets_nobody_overwrite_a_version(db: Any, statement: str) -> None:
    put(db, CHAIN, "")
    with pytest.raises(psycopg.Error, match="never changed"):
        db.execute(statement)


@pytest.mark.program("pg_createcluster")
def test_a_change_says_who_and_why_and_changes_something(db: Any) -> None:
    put(db, CHAIN, "")
    with pytest.raises(LayerError, match="does not differ from version 1"):
        put(db, CHAIN, "")
    with pytest.raises(LayerError, match="--by and --comment"):
        layers.put(db, CHAIN, "#", "ivanova", "  ")
    put(db, CHAIN, "# of another", after=1)
    with pytest.raises(LayerError, match="chain is now at version 2 by ivanova, not 1"):
        put(db, CHAIN, "# mine", after=1)


@pytest.mark.program("pg_createcluster")
def test_a_lane_gets_the_layers_of_its_place(db: Any) -> None:
    lanes.add(db, "lane-1", "7", "tall")
    lanes.add(db, "lane-2", "8")
    put(db, CHAIN, "[display]\nmode = 1")
    put(db, SHOP, '[lane]\nshop = "Shop 7"')
    put(db, PROFILE, '[lane]\nprofile = "16:9"')
    snapshot = Snapshot(db)
    first, second = layers.place(db, "lane-1"), layers.place(db, "lane-2")
    assert first == Place("lane-1", "7", "tall")
    assert snapshot.merged(first).settings == {"display": {"mode": 1}, "lane": {"shop": "Shop 7", "profile": "16:9"}}
    assert snapshot.numbers_of(first) == {"chain": 1, "shop:7": 1, "profile:tall": 1}
    assert snapshot.merged(second).settings == {"display": {"mode": 1}}
    with pytest.raises(LayerError, match="there is no lane lane-9"):
        layers.place(db, "lane-9")
    with pytest.raises(LayerError, match="no enabled lane is of shop 9"):
        layers.places(db, shops=["9"])
    assert [place.lane_id for place in layers.places(db)] == ["lane-1", "lane-2"]
    assert [place.lane_id for place in layers.places(db, profiles=["tall"])] == ["lane-1"]
