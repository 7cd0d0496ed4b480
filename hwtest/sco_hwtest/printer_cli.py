"""`sco-hwtest printer`: see a ticket before it is printed, ask a printer how it is, print a test ticket."""

from __future__ import annotations

import sys
import time
from dataclasses import fields

import click

from sco_drivers import open_printer
from sco_drivers.errors import DeviceError
from sco_drivers.printer import Line, PrintOutcome, Style, Ticket

_SAMPLE = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


def _sample(link: str, qr_mm: float) -> Ticket:
    return Ticket(
        f"test-{time.time_ns()}",
        link,
        above=(Line("ПРОВЕРКА ПЕЧАТИ", Style.BOLD), Line("Оплата по QR-коду/NFC СБП"), Line("2,53 руб.", Style.LARGE)),
        below=(Line("Этот чек не для оплаты", Style.BOLD), Line("АБВГДЕЁЖЗИЙ абвгдеёжзий № 0123456789")),
        qr_mm=qr_mm,
    )


_link = click.option("--link", default=_SAMPLE, help="What the code says.")
_side = click.option(
    "--qr-mm", type=float, default=40.0, show_default=True, help="Side of the code, quiet zone included."
)


@click.group("printer")
def printer_group() -> None:
    """The receipt printer."""


@printer_group.command()
@click.argument("png", type=click.Path(dir_okay=False, writable=True))
@click.option("--paper-mm", type=click.Choice(["58", "80"]), default="80", show_default=True)
@click.option(
    "--profile", default="default", show_default=True, help="A model of python-escpos's data, or one of ours."
)
@_link
@_side
def preview(png: str, paper_mm: str, profile: str, link: str, qr_mm: float) -> None:
    """Print the test ticket on a virtual printer and save the paper to PNG."""
    from sco_drivers.sim.printer import SimulatedPrinter

    try:
        with open_printer(f"sim://?paper_mm={paper_mm}&profile={profile}") as printer:
            result = printer.print_ticket(_sample(link, qr_mm))
            if isinstance(printer, SimulatedPrinter):
                printer.simulator.save_png(png)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{png}: {result.outcome.value} ({result.evidence})")


@printer_group.command()
@click.argument("url")
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


@printer_group.command("print")
@click.argument("url")
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
    if result.replaced:
        click.echo(f"the code page lacks {result.replaced!r}")
    sys.exit(0 if result.outcome is PrintOutcome.PRINTED else 1)
