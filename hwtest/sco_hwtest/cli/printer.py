"""`sco-hwtest printer`: check a receipt printer, print or preview a test ticket, simulate a printer."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import fields

import click

from sco_drivers import open_printer
from sco_drivers.errors import DeviceError
from sco_drivers.printer import Line, PrintOutcome, Style, Ticket
from sco_hwtest.cli.options import device_argument
from sco_sim.printer import SimulatedPrinter, VirtualPrinter
from sco_sim.printer.control import ControlSocket, send

_SAMPLE = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


def _sample(link: str, qr_mm: float) -> Ticket:
    return Ticket(
        f"test-{time.time_ns()}",
        link,
        above=(Line("ПРОВЕРКА ПЕЧАТИ", Style.BOLD), Line("Оплата по QR-коду/NFC СБП"), Line("2,53 руб.", Style.LARGE)),
        below=(Line("Этот чек не для оплаты", Style.BOLD), Line("АБВГДЕЁЖЗИЙ абвгдеёжзий № 0123456789")),
        qr_mm=qr_mm,
    )


_url = device_argument("printer")
_link = click.option("--link", default=_SAMPLE, help="Link in the code.")
_side = click.option(
    "--qr-mm", type=float, default=40.0, show_default=True, help="Side of the code in mm, quiet zone included."
)


@click.group("printer")
def printer_group() -> None:
    """The receipt printer."""


@printer_group.command(short_help="Save the test ticket as a picture.")
@click.argument("png", type=click.Path(dir_okay=False, writable=True))
@click.option("--paper-mm", type=click.Choice(["58", "80"]), default="80", show_default=True, help="Paper width.")
@click.option(
    "--profile", default="default", show_default=True, help="Printer model, of python-escpos or of sco-paymaster."
)
@click.option("--codec", type=click.Choice(["cp866", "cp1251", "utf-8"]), help="Code page; default: the profile's.")
@click.option("--qr", type=click.Choice(["native", "raster-doubled", "raster"]), help="How the code is printed.")
@_link
@_side
def preview(png: str, paper_mm: str, profile: str, codec: str | None, qr: str | None, link: str, qr_mm: float) -> None:
    """Print the test ticket on a simulated printer and save a picture of the paper as PNG."""
    ways = "".join(f"&{name}={value}" for name, value in (("codec", codec), ("qr", qr)) if value)
    try:
        with open_printer(f"sim://?paper_mm={paper_mm}&profile={profile}{ways}") as printer:
            result = printer.print_ticket(_sample(link, qr_mm))
            if isinstance(printer, SimulatedPrinter):
                printer.simulator.save_png(png)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{png} cannot be written: {error.strerror}") from error
    click.echo(f"{png}: {result.outcome.value} ({result.evidence})")


@printer_group.command(short_help="Print a printer's status.")
@_url
def status(url: str) -> None:
    """Print the status of the printer URL. Exit status 0 only if it reports that it is ready."""
    try:
        with open_printer(url) as printer:
            found = printer.status()
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    for field in fields(found):
        click.echo(f"{field.name.replace('_', ' '):22} {getattr(found, field.name).value}")
    click.echo(f"{'ready':22} {found.ready.value}")
    sys.exit(0 if found.ready.value == "yes" else 1)


@printer_group.command(short_help="Check a printer without using paper.")
@_url
def health(url: str) -> None:
    """Check the printer URL without using paper: state, identity, abilities, and what to do about problems.

    Exit status 0 only if it can print.
    """
    try:
        with open_printer(url) as printer:
            found = printer.health()
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    rows = {
        "ready": found.ready.value,
        **{field.name: getattr(found.identity, field.name) for field in fields(found.identity)},
        "answers within": f"{found.answers_ms:.1f} ms" if found.answers_ms is not None else "no answer",
        "reports printed tickets": found.reports_printed.value,
        "clears its buffer": found.clears.value,
    }
    if found.presenter is not None:
        rows |= {"ticket in output": found.presenter.ticket_in_output.value, "jammed": found.presenter.jammed.value}
    for name, value in rows.items():
        click.echo(f"{name:22} {value or '-'}")
    for finding in found.findings:
        click.echo(f"- {finding}")
    sys.exit(0 if found.ready.value == "yes" else 1)


@printer_group.command("print", short_help="Print a test ticket.")
@_url
@_link
@_side
def print_ticket(url: str, link: str, qr_mm: float) -> None:
    """Print the test ticket on the printer URL. Exit status 0 only if it is known to be printed."""
    try:
        with open_printer(url) as printer:
            result = printer.print_ticket(_sample(link, qr_mm))
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{result.outcome.value}: {result.evidence}" + (f"; {result.error}" if result.error else ""))
    if result.may_come_later:
        click.echo("the printer may still have the ticket and print it later: switch it off and on")
    if result.replaced:
        click.echo(f"the code page lacks {result.replaced!r}")
    sys.exit(0 if result.outcome is PrintOutcome.PRINTED else 1)


@printer_group.command(short_help="Simulate a receipt printer.")
@click.argument("where", default="tcp://127.0.0.1:9100")
@click.option("--gadget", metavar="DEVICE", help="Use a USB gadget (/dev/g_printer0) instead of WHERE.")
@click.option("--udc", metavar="FILE", help="UDC file of the gadget in configfs; then `control` can unplug it.")
@click.option("--control", metavar="SOCKET", type=click.Path(dir_okay=False), help="Unix socket for fault controls.")
@click.option(
    "--roll", metavar="PNG", type=click.Path(dir_okay=False), help="Picture of the roll, updated at each cut."
)
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Folder for a picture of each ticket.")
@click.option("--paper-mm", type=click.Choice(["58", "80"]), default="80", show_default=True, help="Paper width.")
@click.option("--dpi", type=click.Choice(["180", "203"]), default="203", show_default=True, help="Resolution.")
@click.option("--roll-mm", type=click.FloatRange(min=0), help="Length of paper on the roll; default: endless.")
@click.option("--head-mm-s", type=click.FloatRange(min=0), default=0.0, help="Print speed; 0: printing takes no time.")
@click.option(
    "--buffer",
    "buffer_bytes",
    type=click.IntRange(16),
    default=4096,
    show_default=True,
    metavar="BYTES",
    help="Size of the buffer.",
)
@click.option(
    "--quirk",
    type=click.Choice(["xoff-offline", "double-byte", "reads-ahead"]),
    multiple=True,
    help="Sends XOFF while offline; starts in Chinese mode; answers GS r before it has printed. Can be repeated.",
)
@click.option("--presenter", is_flag=True, help="A kiosk printer: the cut ticket waits in the output.")
@click.option(
    "--without",
    type=click.Choice(["process-id", "clear-buffer", "asb", "status", "native-qr", "utf8"]),
    multiple=True,
    help="A model without this feature; can be repeated.",
)
@click.option("--keep", default=100, show_default=True, type=click.IntRange(1), help="Number of tickets to keep.")
def simulate(
    where: str,
    gadget: str | None,
    udc: str | None,
    control: str | None,
    roll: str | None,
    out: str | None,
    paper_mm: str,
    dpi: str,
    roll_mm: float | None,
    head_mm_s: float,
    buffer_bytes: int,
    quirk: tuple[str, ...],
    presenter: bool,
    without: tuple[str, ...],
    keep: int,
) -> None:
    """Simulate a receipt printer at WHERE: tcp://HOST:PORT (port 0: any), or pty:///LINK, a serial line of that name.

    The first line of output is the printer's URL. It runs until Ctrl-C or the command `quit`. `sco-hwtest printer
    control` makes faults: paper out, cover open, cable unplugged, power lost.
    """
    quit_wanted = threading.Event()
    lacks = {word.replace("-", "_"): False for word in without}
    has = {word.replace("-", "_"): True for word in quirk}
    with ExitStack() as stack:
        try:
            printer = stack.enter_context(
                VirtualPrinter(
                    paper_mm=int(paper_mm),
                    dpi=int(dpi),
                    roll_mm=roll_mm,
                    wire=gadget or where,
                    udc=udc,
                    out=out,
                    picture=roll,
                    keep_tickets=keep,
                    head_mm_s=head_mm_s,
                    buffer_bytes=buffer_bytes,
                    presenter=presenter,
                    **lacks,
                    **has,
                )
            )
            if control:
                quit_wanted = stack.enter_context(ControlSocket(printer, control)).quit_wanted
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{gadget or where}: {error}") from error
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: quit_wanted.set())
        click.echo(printer.url)
        quit_wanted.wait()
    if roll:
        printer.save_png(roll)


@printer_group.command(short_help="Make faults in a simulated printer.")
@click.argument("socket", type=click.Path())
@click.argument("command", nargs=-1)
def control(socket: str, command: tuple[str, ...]) -> None:
    """Send COMMAND to the control SOCKET of a simulated printer; `help` lists the commands.

    Prints the answer as JSON. Exit status 0 only if the command succeeded.
    """
    try:
        answer = send(socket, " ".join(command) or "help")
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{socket}: {error}") from error
    click.echo(json.dumps(answer, ensure_ascii=False, indent=1).encode())
    sys.exit(0 if answer["ok"] else 1)
