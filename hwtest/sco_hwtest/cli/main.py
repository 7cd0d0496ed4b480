"""`sco-hwtest`: tests of a lane's devices at the bench, a command or a group of commands for each kind of device."""

from __future__ import annotations

import logging

import click

from sco_drivers.plain import log_to_stderr
from sco_payment.cli.lazy import LazyCommand, LazyGroup
from sco_payment.cli.streams import speak_any_encoding

_COMMANDS = {
    "discover": LazyCommand("sco_hwtest.cli.discover", "discover_command", "Find devices, their URLs and problems."),
    "run": LazyCommand("sco_hwtest.cli.run", "run_command", "Test devices and write a report."),
    "burn-in": LazyCommand("sco_hwtest.cli.burn_in", "burn_in_command", "Repeat the checks for hours."),
    "compare": LazyCommand("sco_hwtest.cli.compare", "compare_command", "What became worse from one run to another."),
    "history": LazyCommand("sco_hwtest.cli.history", "history_command", "Trends of each device over many runs."),
    "limits": LazyCommand(
        "sco_hwtest.cli.limits", "limits_command", "The limits of measurements; check a file of them."
    ),
    "record": LazyCommand("sco_hwtest.cli.traces", "record_command", "Test devices and record their wires."),
    "replay": LazyCommand("sco_hwtest.cli.traces", "replay_command", "Run the drivers on recorded traces."),
    "report": LazyCommand("sco_hwtest.cli.traces", "report_command", "Make one file to send of what was recorded."),
    "printer": LazyCommand("sco_hwtest.cli.printer", "printer_group", "The receipt printer."),
    "nfc": LazyCommand("sco_hwtest.cli.nfc", "nfc_group", "The NFC reader and its tag."),
    "screen": LazyCommand("sco_hwtest.cli.screen", "screen_group", "The lane's screen and touch panel."),
    "udev": LazyCommand("sco_hwtest.cli.udev", "udev_group", "Names under /dev/sco and access for the group sco."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv also logs all bytes of devices with a spy+ URL.")
def main(verbose: int) -> None:
    """Test a lane's devices, each named by a URL. Start with `sco-hwtest discover`.

    \b
    Exit status:
      0  done, everything passed, nothing became worse
      1  something failed or became worse
      2  wrong usage, or a file that cannot be used
      3  nothing failed, but something is missing
      4  nothing failed, but a measurement is marginal
    """
    speak_any_encoding()
    if verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
        log_to_stderr(level)


if __name__ == "__main__":
    main()
