"""`sco-pay`: payments, recovery and cases of one lane, and the tools to set it up. Exit statuses: see `exit_status`."""

from __future__ import annotations

import logging
from typing import Any

import click

from sco_drivers.plain import log_to_stderr
from sco_payment.cli.ends import usage_as_json
from sco_payment.cli.lazy import LazyCommand, LazyGroup
from sco_payment.cli.streams import speak_any_encoding

_COMMANDS = {
    "pay": LazyCommand("sco_payment.cli.pay", "pay", "Take one payment."),
    "serve": LazyCommand("sco_service.cli", "serve", "Run the lane as a service for a till in any language."),
    "recover": LazyCommand("sco_payment.cli.recover", "recover", "Finish what a stopped lane left open."),
    "cases": LazyCommand("sco_payment.cli.cases", "cases", "List, show and close the cases for the operator."),
    "refund": LazyCommand("sco_payment.cli.refund", "refund", "Print where refunds are made: not here."),
    "settings": LazyCommand("sco_payment.cli.settings", "settings", "Check a settings file, or print an example."),
    "link": LazyCommand("sco_payment.cli.link", "link", "Verify an SBP payment link."),
    "journal": LazyCommand(
        "sco_payment.cli.journal", "journal", "Verify the lane's journal, archive its closed years."
    ),
    "ship": LazyCommand("sco_payment.cli.ship", "ship", "Send the lane's journal to its fleet."),
    "demo": LazyCommand("sco_sim.cli", "demo", "Simulate a whole payment.", "simulator"),
    "simulate": LazyCommand("sco_sim.cli", "simulate", "Run a simulated PayMaster.", "simulator"),
}


class _Commands(LazyGroup):
    """The group; a wrong usage of the group itself has its last line of JSON too, where that is asked for."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """See click."""
        with usage_as_json("--json" in args):
            return super().make_context(info_name, args, parent, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        with usage_as_json("--json" in args):
            return super().resolve_command(ctx, args)


@click.group(cls=_Commands, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv logs every request too.")
def main(verbose: int) -> None:
    """SBP payments through PayMaster on a self-checkout lane.

    Start with `sco-pay demo`, then `sco-pay settings example`.
    """
    speak_any_encoding()
    level = (logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    log_to_stderr(level)


if __name__ == "__main__":
    main()
