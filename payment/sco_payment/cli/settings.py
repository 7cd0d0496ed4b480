"""`sco-pay settings`: check a settings file, list all settings, print an example."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sco_drivers import DeviceError, open_display, open_nfc, open_printer, open_screen, open_touch
from sco_payment.acquirer import open_acquirer
from sco_payment.attempt import Mode
from sco_payment.cli.ends import fail
from sco_payment.cli.output import load_settings_or_exit
from sco_payment.journal import location
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import DeviceSettings, Settings
from sco_payment.settings_reader import SettingsError, fleet_store, load_settings, read_table
from sco_payment.settings_reader import reference as reference_rows

if TYPE_CHECKING:
    from sco_payment.fleet.settings_store import Store

_BASE_URL = re.compile('base_url = ".*"')
_DYNAMIC_PLATE = ('plate = "dynamic"', 'nfc = "pn532:')
"""What the example has as a comment for mode 2. A plate that never changes needs an id that only the shop has."""


@click.group()
def settings() -> None:
    """The lane's settings."""


@settings.command()
@click.argument("settings_file", type=click.Path(dir_okay=False))
@click.option("--devices", is_flag=True, help="Open and close each device too. Not while the lane is running.")
@click.option("--bundle", type=click.File("rb"), help="Check with these settings from the fleet; - is stdin.")
def check(settings_file: str, devices: bool, bundle: BinaryIO | None) -> None:
    """Check SETTINGS_FILE and list every problem. Sends nothing to PayMaster. Exit status 2 if there is a problem.

    What the fleet has given to the lane is part of its settings; a bundle that this lane may not take is a problem.
    """
    from_fleet = None if bundle is None else _verified(settings_file, bundle.read())
    loaded = load_settings_or_exit(settings_file, from_fleet=from_fleet)
    problems = _machine_problems(loaded) + (_device_problems(loaded.devices) if devices else [])
    if problems:
        fail("\n  - ".join([f"{settings_file} is valid, but not on this machine:", *problems]))
    display = loaded.display
    places = ["on the lane's screen"] if display.qr_on_screen else []
    places += ["on the customer display"] if loaded.devices.display else []
    words = ("printed on the receipt tape", " and ".join(places), f"{display.plate} plate or tag")[display.mode]
    click.echo(f"{settings_file} is valid: lane {loaded.lane.pos_id}, display mode {display.mode} ({words})")
    store = _store(settings_file)
    in_force = None if store is None else store.in_force()
    if bundle is None and in_force is not None:
        made_of = ", ".join(f"{layer} {version}" for layer, version in in_force.layers.items())
        click.echo(f"with version {in_force.version} of the fleet's settings: {made_of}")
    warning = location.warning(Path(loaded.journal.path))
    if warning is not None:
        click.echo(f"note: journal.path: {warning}", err=True)


def _verified(settings_file: str, text: bytes) -> Mapping[str, Any]:
    """What a bundle sets, or exit with the reason why this lane may not take it."""
    bundles = importlib.import_module("sco_payment.fleet.bundle")
    try:
        try:
            own = load_settings(settings_file, token=False, from_fleet={})
        except SettingsError as error:  # the lane's own file need not be complete without the fleet's
            if error.settings is None:
                raise
            own = error.settings
        store = _store(settings_file)
        found = bundles.verified(
            text.decode("utf-8", "replace"),
            keys=own.fleet.settings_key,
            lane=own.lane.pos_id,
            newest=0 if store is None else store.newest_version(),
        )
    except ValueError as error:
        fail(str(error))
    settings: Mapping[str, Any] = found.settings
    return settings


def _store(settings_file: str) -> Store | None:
    """What the fleet has given to the lane; None for a lane that takes nothing. Raises SettingsError."""
    return fleet_store(settings_file, read_table(settings_file), os.environ)


def _machine_problems(settings: Settings) -> list[str]:
    """What the settings need and this machine lacks."""
    problems = []
    try:
        open_acquirer(settings, ThreadRuntime()).close()
    except ValueError as error:
        problems.append(str(error))
    return problems + [f"journal.path: {problem}" for problem in location.problems(Path(settings.journal.path))]


def _device_problems(devices: DeviceSettings) -> list[str]:
    """Open and close each device; the errors."""
    problems = []
    for name, opener in (
        ("printer", open_printer),
        ("nfc", open_nfc),
        ("screen", open_screen),
        ("touch", open_touch),
        ("display", open_display),
    ):
        named = getattr(devices, name)
        for url in [named] if isinstance(named, str) else named:
            try:
                if url:
                    opener(url).close()
            except DeviceError as error:
                problems.append(f"devices.{name}: {error}")
    return problems


@settings.command(short_help="Print every setting with its meaning.")
def reference() -> None:
    """Print every setting with its default and meaning, as a Markdown table."""
    click.echo("| setting | default | meaning |\n|---|---|---|")
    for section, name, default, meaning in reference_rows():
        click.echo(f"| `{section}.{name}` | `{default}` | {meaning} |")


@settings.command()
@click.option(
    "--mode",
    type=click.IntRange(0, 2),
    default=1,
    show_default=True,
    help="0: receipt tape, 1: screen, 2: plate or tag.",
)
@click.option("--simulated", is_flag=True, help="For `sco-pay simulate` and simulated devices; works unchanged.")
@click.option("--base-url", help="Address of PayMaster, or of `sco-pay simulate`, which prints it.")
def example(mode: int, simulated: bool, base_url: str | None) -> None:
    """Print a settings file to start from."""
    name = "example_simulated.toml" if simulated else "example.toml"
    text = files("sco_payment").joinpath(name).read_text("utf-8")
    text = text.replace("mode = 1", f"mode = {mode}")
    if base_url is not None:
        text = _BASE_URL.sub(lambda found: f"base_url = {json.dumps(base_url, ensure_ascii=False)}", text)
    if mode == Mode.PLATE.value:
        for line in _DYNAMIC_PLATE:
            text = text.replace(f"# {line}", line)
    click.echo(text if sys.stdout.isatty() else text.encode(), nl=False)  # a settings file is UTF-8
