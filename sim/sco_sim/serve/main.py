"""`sco-sim`: mock devices for benches and CI."""

from __future__ import annotations

import logging

import click

from sco_drivers.plain import log_to_stderr
from sco_payment.cli.lazy import LazyCommand, LazyGroup
from sco_payment.cli.streams import speak_any_encoding

_COMMANDS = {
    "serve": LazyCommand("sco_sim.serve.cli", "serve", "Run mock devices, driven over HTTP.", "simulator"),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sco-paymaster")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv logs more.")
def main(verbose: int) -> None:
    """Mock devices and a mock PayMaster for test benches and CI."""
    speak_any_encoding()
    log_to_stderr((logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)])


if __name__ == "__main__":
    main()
