"""`sco-fleet`: the server of a chain's lanes, and what its administrator does. The database: see `--database`."""

from __future__ import annotations

import logging

import click

from sco_drivers.plain import log_to_stderr
from sco_payment.cli.lazy import LazyCommand, LazyGroup
from sco_payment.cli.streams import speak_any_encoding

_COMMANDS = {
    "demo": LazyCommand(
        "sco_fleet.demo.command", "demo", "Run a whole fleet here: lanes, server, page.", "fleet,simulator"
    ),
    "serve": LazyCommand("sco_fleet.cli.serve", "serve", "Run the server.", "fleet"),
    "migrate": LazyCommand("sco_fleet.cli.migrate", "migrate", "Bring the database up to date.", "fleet"),
    "user": LazyCommand("sco_fleet.cli.user", "user", "Add, list and disable users of the office's page.", "fleet"),
    "reconcile": LazyCommand(
        "sco_fleet.cli.reconcile", "reconcile", "Compare the acquirer's payments of a day with the lanes'.", "fleet"
    ),
    "settings": LazyCommand("sco_fleet.cli.settings", "settings", "Settings of all lanes: layers, roll-outs.", "fleet"),
    "lane": LazyCommand("sco_fleet.cli.lane", "lane", "Add, list and disable lanes; give them tokens.", "fleet"),
    "retention": LazyCommand("sco_fleet.cli.retention", "retention", "Drop what is old and final.", "fleet"),
    "units": LazyCommand("sco_fleet.cli.units", "units", "Write the server's units for systemd."),
    "erase": LazyCommand("sco_fleet.cli.retention", "erase", "Erase what is stored of an order.", "fleet"),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv logs more.")
def main(verbose: int) -> None:
    """The lanes of a chain in one PostgreSQL database: their journals, cases and settings."""
    speak_any_encoding()
    log_to_stderr((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


if __name__ == "__main__":
    main()
