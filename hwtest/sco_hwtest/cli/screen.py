"""`sco-hwtest screen`: show the scenes, check a screen, calibrate its touch panel, restore a console."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import click
from PIL import Image

from sco_drivers.errors import DeviceError
from sco_drivers.registry import open_screen
from sco_drivers.screen.console import Console
from sco_drivers.screen.layout import MIN_MODULE_MM
from sco_drivers.screen.renderer import DrawnScreen
from sco_hwtest.calibrate import calibrate as calibrate_panel
from sco_hwtest.cli.options import device_argument, refuse_mistakes
from sco_hwtest.contracts.screen import CHECKS, decoded, look, scenes
from sco_hwtest.pictures import contact_sheet
from sco_payment.customer.texts import LANGUAGES


@click.group("screen")
def screen_group() -> None:
    """The lane's screen and touch panel."""


@screen_group.command(short_help="Show every scene of a payment.")
@device_argument("screen")
@click.option("--sheet", type=click.Path(dir_okay=False, writable=True), help="Save all scenes as one PNG.")
@click.option("--seconds", default=0.0, show_default=True, type=click.FloatRange(0, 60), help="Seconds to show each.")
@click.option(
    "--language", default="ru", show_default=True, type=click.Choice(tuple(LANGUAGES)), help="Language of the texts."
)
@click.option("--scene", "only", multiple=True, help="Show only this scene; can be repeated.")
def walk(url: str, sheet: str | None, seconds: float, language: str, only: tuple[str, ...]) -> None:
    """Show every scene of a payment on the screen URL, e.g. fb:///dev/fb0?rotate=90 or sim://?size=1024x768."""
    chosen = [scene for scene in scenes(language=language) if not only or scene.name in only]
    unknown = set(only) - {scene.name for scene in chosen}
    if unknown:
        known = ", ".join(scene.name for scene in scenes())
        raise click.UsageError(f"unknown scene {', '.join(sorted(unknown))}; expected one of {known}")
    if sheet and not Path(sheet).absolute().parent.is_dir():
        raise click.ClickException(f"{sheet} cannot be written: no such folder")
    pictures: list[Image.Image] = []
    try:
        with open_screen(url) as screen:
            for scene in chosen:
                start = time.perf_counter()
                screen.show(scene)
                took = (time.perf_counter() - start) * 1000
                module = getattr(screen, "module_mm", None) if scene.qr else None
                note = f", {module:.2f} mm a module{' (too small)' if module < MIN_MODULE_MM else ''}" if module else ""
                click.echo(f"{scene.name:16} {screen.size[0]}x{screen.size[1]} {took:6.1f} ms{note}")
                if sheet:
                    pictures.append(look(screen))
                time.sleep(seconds)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    if sheet:
        try:
            contact_sheet(pictures).save(sheet, format="PNG", optimize=True)
        except OSError as error:
            raise click.ClickException(f"{sheet} cannot be written: {error.strerror}") from error
        click.echo(f"saved {sheet}")


@screen_group.command(short_help="Run the contract suite of screens.")
@device_argument("screen")
def check(url: str) -> None:
    """Run the contract suite on the screen URL. Exit status 1 if a check fails."""
    try:
        decoded(Image.new("L", (8, 8)))
    except ImportError:
        raise click.ClickException(
            "the suite needs a decoder of QR codes: pip install 'sco-paymaster[simulator]'"
        ) from None
    failed = 0
    for one in CHECKS:
        if reason := one.why_not(url):
            click.echo(f"-    {one.name}: not run: {reason}")
            continue
        try:
            with open_screen(url) as screen:
                one.run(screen)
        except AssertionError as error:
            failed += 1
            click.echo(f"FAIL {one.name}: {error}")
        except DeviceError as error:
            raise click.ClickException(str(error)) from error
        else:
            click.echo(f"ok   {one.name}: {one.what}")
    raise SystemExit(1 if failed else 0)


@screen_group.command(short_help="Calibrate a touch panel by five taps.")
@click.argument("url")
@click.argument("touch_url")
@click.option(
    "--seconds", default=60.0, show_default=True, type=click.FloatRange(1, 600), help="Seconds to wait for a tap."
)
def calibrate(url: str, touch_url: str, seconds: float) -> None:
    """Calibrate the touch panel TOUCH_URL to the screen URL by five taps, and print its URL for the settings."""
    refuse_mistakes(("screen", url), ("touch", touch_url))
    try:
        with open_screen(url) as screen:
            if not hasattr(screen, "mark"):
                raise click.UsageError(f"{url} cannot show crosses to tap")
            found = calibrate_panel(cast(DrawnScreen, screen), touch_url, click.echo, wait_s=seconds)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"the largest error is {found.error:.1%} of the screen. Put this into the settings, under [devices]:")
    click.echo(f'touch = "{found.url}"')


@screen_group.command(short_help="Restore a console that was left dark.")
@click.option("--tty", default="/dev/tty0", show_default=True, help="The console; tty0 is the visible one.")
def console(tty: str) -> None:
    """Restore a console that a killed lane left in graphics mode, e.g. in ExecStopPost= of its unit.

    The console of another program (a desktop, a lane that is running) is left alone.
    """
    try:
        held = Console.take(tty)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    assert held is not None  # because its name was given
    held.release()
    click.echo(f"{tty} is in text mode")
