"""The commands `sco-pay demo` and `sco-pay simulate`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sco_payment.cli.ends import JsonCommand, fail, json_option
from sco_payment.cli.exit_status import PAYMENT_HELP
from sco_payment.cli.output import AMOUNT, TENDERED, added_up
from sco_payment.order import PaymentRefused
from sco_sim.demo import Demo
from sco_sim.desk import Desk, Refused
from sco_sim.paymaster import BadScript, serve


@click.command(cls=JsonCommand, epilog=PAYMENT_HELP)
@click.option(
    "--mode",
    type=click.IntRange(0, 2),
    default=1,
    show_default=True,
    help="0: receipt tape, 1: screen, 2: plate or tag.",
)
@click.option(
    "--plate",
    type=click.Choice(["static", "dynamic"]),
    default="static",
    show_default=True,
    help="Kind of plate, for display mode 2 only.",
)
@click.option(
    "--customer",
    type=click.Choice(["pays", "declines", "leaves", "pays-offline", "pays-late"]),
    default="pays",
    show_default=True,
    help="What the simulated customer does.",
)
@click.option(
    "--dialog",
    type=click.Choice(["retry", "cancel"]),
    default="retry",
    show_default=True,
    help="How the customer answers the dialog Повторить / Отменить.",
)
@click.option("--amount", type=AMOUNT, default="253.00", show_default=True, help="The order's total in roubles.")
@click.option(
    "--tendered-elsewhere",
    type=TENDERED,
    multiple=True,
    callback=added_up,
    help="Part of it that is already paid (display mode 1). Can be repeated; the parts add up.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 200),
    default=10.0,
    show_default=True,
    help="How many times faster than on a lane time passes.",
)
@click.option(
    "--skip-waiting",
    is_flag=True,
    help="Pass even faster through the time in which the lane and the customer only wait.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for pictures and journal.",
)
@click.option("--web", is_flag=True, help="Be the customer and the till yourself, on a web page; Ctrl-C ends it.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port of that page on this machine; 0: any free port.",
)
@json_option
@click.pass_context
def demo(context: click.Context, /, web: bool, port: int, **options: Any) -> None:
    """Take one payment with a simulated PayMaster, simulated devices and a simulated customer."""
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if web and (idle := given - {"web", "port", "mode", "out"}):
        fail(f"--web: you are the customer; leave out {', '.join(sorted(map(_option, idle)))}")
    if "port" in given and not web:
        fail("--port is the port of the page: add --web")
    try:
        status = _show_desk(options["out"], options["mode"], port) if web else Demo(**options).run()
    except PaymentRefused as refused:
        fail(str(refused))
    except OSError as error:
        fail(f"the demo cannot run: {error.strerror}: {error.filename or options['out']}")
    sys.exit(status)


def _option(name: str) -> str:
    return "--json" if name == "as_json" else f"--{name.replace('_', '-')}"


def _show_desk(out: Path, mode: int, port: int) -> int:
    """Show the page until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lane's process must not be left behind
    try:
        with Desk(out, mode=mode, port=port) as desk:
            click.echo(f"open {desk.url} in a browser; Ctrl-C ends the demo")
            threading.Event().wait()
    except Refused as refused:
        fail(str(refused))
    except KeyboardInterrupt:
        return 0
    return 0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8480,
    show_default=True,
    envvar="SCO_SIMULATOR_PORT",
    help="Port of the API; the phone's web page is on the next one. 0: any two free ports.",
)
@click.option(
    "--script",
    default="leaves",
    show_default=True,
    help="What the customer does with each payment; with `leaves`, pay on the phone's web page.",
)
def simulate(host: str, port: int, script: str) -> None:
    """Run a simulated PayMaster, with the customer's phone as a web page. Ctrl-C stops it."""
    try:
        serve(host=host, port=port, script=script)
    except BadScript as error:
        fail(str(error))
    except OSError as error:
        ports = f"ports {port} and {port + 1}"
        fail(f"cannot listen on {host}, {ports}: {error.strerror}; choose others with --host and --port")
