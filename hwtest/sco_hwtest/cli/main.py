"""`sco-hwtest`: tests of a lane's devices at the bench, a group of commands a kind of device.

Each group is imported when it is used, so that a missing library of one device stops no other.
"""

from __future__ import annotations

import importlib
import logging
import sys

import click

from sco_payment.customer.texts import speak_any_encoding

_GROUPS = {
    "discover": ("sco_hwtest.cli.discover", "discover_command", "What is plugged in, its URL, and what is missing."),
    "nfc": ("sco_hwtest.cli.nfc", "nfc_group", "The NFC reader and the tag on the lane's body."),
    "printer": ("sco_hwtest.cli.printer", "printer_group", "The receipt printer."),
    "run": ("sco_hwtest.cli.run", "run_command", "Is this device fit for a lane? Checks, figures, a report."),
    "burn-in": ("sco_hwtest.cli.burn_in", "burn_in_command", "The same checks for hours."),
    "screen": ("sco_hwtest.cli.screen", "screen_group", "The lane's screen."),
    "udev": ("sco_hwtest.cli.udev", "udev_group", "Names under /dev/sco and access for the group sco."),
}


class _LazyGroup(click.Group):
    """Imports a device's commands when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_GROUPS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return super().get_command(ctx, cmd_name)
        module, name, words = _GROUPS[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise click.ClickException(f"{cmd_name}: a library is missing: {error}") from error
        command.short_help = words
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; twice for all that passes at a spy+ URL.")
def main(verbose: int) -> None:
    """Bench tests of a lane's devices, named by URL. Begin with `sco-hwtest discover`."""
    speak_any_encoding()
    if verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


if __name__ == "__main__":
    main()
