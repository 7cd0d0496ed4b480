"""`sco-hwtest printer`: see a ticket before it is printed, ask a printer how it is, print a test ticket."""

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
_link = click.option("--link", default=_SAMPLE, help="What the code says.")
_side = click.option(
    "--qr-mm", type=float, default=40.0, show_default=True, help="Side of the code, quiet zone included."
)


@click.group("printer")
def printer_group() -> None:
    """The receipt printer."""


@printer_group.command(short_help="Save the test ticket as a picture.")
@click.argument("png", type=click.Path(dir_okay=False, writable=True))
@click.option("--paper-mm", type=click.Choice(["58", "80"]), default="80", show_default=True)
@click.option(
    "--profile", default="default", show_default=True, help="A model of python-escpos's data, or one of ours."
)
@click.option("--codec", type=click.Choice(["cp866", "cp1251", "utf-8"]), help="Code page; the profile's if not given.")
@click.option("--qr", type=click.Choice(["native", "raster-doubled", "raster"]), help="How the code is printed.")
@_link
@_side
def preview(png: str, paper_mm: str, profile: str, codec: str | None, qr: str | None, link: str, qr_mm: float) -> None:
    """Print the test ticket on a virtual printer and save the paper to PNG."""
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


@printer_group.command()
@_url
def status(url: str) -> None:
    """Ask the printer at URL how it is. Exit status 0 only when it says that it can print."""
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
    """Check the printer at URL without using paper: state, identity, what it can tell, what to do about it.

    Exit status 0 only when it can print.
    """
    try:
        with open_printer(url) as printer:
            found = printer.health()
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    said = {
        "ready": found.ready.value,
        **{field.name: getattr(found.identity, field.name) for field in fields(found.identity)},
        "answers within": f"{found.answers_ms:.1f} ms" if found.answers_ms is not None else "it is silent",
        "reports printed": found.reports_printed.value,
        "clears its buffer": found.clears.value,
    }
    if found.presenter is not None:
        said |= {"ticket in output": found.presenter.ticket_in_output.value, "jammed": found.presenter.jammed.value}
    for name, value in said.items():
        click.echo(f"{name:22} {value or '-'}")
    for finding in found.findings:
        click.echo(f"- {finding}")
    sys.exit(0 if found.ready.value == "yes" else 1)


@printer_group.command("print")
@_url
@_link
@_side
def print_ticket(url: str, link: str, qr_mm: float) -> None:
    """Print the test ticket on the printer at URL. Exit status 0 only when it is known to have come out."""
    try:
        with open_printer(url) as printer:
            result = printer.print_ticket(_sample(link, qr_mm))
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{result.outcome.value}: {result.evidence}" + (f"; {result.error}" if result.error else ""))
    if result.may_come_later:
        click.echo("it may still print the ticket later: switch it off and on")
    if result.replaced:
        click.echo(f"the code page lacks {result.replaced!r}")
    sys.exit(0 if result.outcome is PrintOutcome.PRINTED else 1)


@printer_group.command(short_help="Be a receipt printer.")
@click.argument("where", default="tcp://127.0.0.1:9100")
@click.option("--gadget", metavar="DEVICE", help="Be a USB gadget's reader (/dev/g_printer0) instead of WHERE.")
@click.option("--udc", metavar="FILE", help="The gadget's UDC file in configfs: 'unplug' then takes it from the host.")
@click.option("--control", metavar="SOCKET", type=click.Path(dir_okay=False), help="Knobs on a Unix socket.")
@click.option("--roll", metavar="PNG", type=click.Path(dir_okay=False), help="Picture of the roll, anew at each cut.")
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="A picture of each ticket.")
@click.option("--paper-mm", type=click.Choice(["58", "80"]), default="80", show_default=True)
@click.option("--dpi", type=click.Choice(["180", "203"]), default="203", show_default=True)
@click.option("--roll-mm", type=click.FloatRange(min=0), help="Paper on the roll; without end if not given.")
@click.option("--head-mm-s", type=click.FloatRange(min=0), default=0.0, help="Speed of the head; 0 takes no time.")
@click.option("--buffer", "buffer_bytes", type=click.IntRange(16), default=4096, show_default=True, metavar="BYTES")
@click.option(
    "--quirk",
    type=click.Choice(["xoff-offline", "double-byte", "reads-ahead"]),
    multiple=True,
    help="XOFF while it is offline; Chinese until told otherwise; answers GS r before it has printed.",
)
@click.option("--presenter", is_flag=True, help="A kiosk model: the cut ticket waits in the output.")
@click.option(
    "--without",
    type=click.Choice(["process-id", "clear-buffer", "asb", "status", "native-qr", "utf8"]),
    multiple=True,
    help="A model that lacks this; may be given several times.",
)
@click.option("--keep", default=100, show_default=True, type=click.IntRange(1), help="Tickets that the roll keeps.")
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
    """Be a receipt printer at WHERE: tcp://HOST:PORT (port 0: any), or pty:///LINK, a serial line under that name.

    Says the URL that opens it on the first line, and runs until it is interrupted or told to quit. What people, power
    and cables do to it is told by `sco-hwtest printer control`.
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


@printer_group.command(short_help="Turn a knob of a simulated printer.")
@click.argument("socket", type=click.Path())
@click.argument("command", nargs=-1)
def control(socket: str, command: tuple[str, ...]) -> None:
    """Turn a knob of the simulated printer whose control SOCKET this is, or ask it: help lists the commands.

    Prints the answer as JSON. Exit status 0 only when it did it.
    """
    try:
        answer = send(socket, " ".join(command) or "help")
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{socket}: {error}") from error
    click.echo(json.dumps(answer, ensure_ascii=False, indent=1).encode())
    sys.exit(0 if answer["ok"] else 1)
