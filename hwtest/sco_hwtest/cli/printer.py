"""`sco-hwtest printer`: check a receipt printer, print or preview a test ticket, simulate a printer."""

from __future__ import annotations

import codecs
import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO, NoReturn

import click

from sco_drivers import open_printer
from sco_drivers.errors import DeviceError
from sco_drivers.printer import (
    Bitmap,
    Document,
    Font,
    Item,
    Line,
    PrintOutcome,
    PrintResult,
    Raw,
    Style,
    Text,
    Ticket,
)
from sco_drivers.printer.description import load
from sco_hwtest.cli.options import device_argument
from sco_hwtest.printer_probe import Choice, refuse_description
from sco_hwtest.printer_probe import probe as find_out
from sco_hwtest.printer_profiles import PATH, explain, find, table
from sco_sim.printer import SimulatedPrinter, VirtualPrinter
from sco_sim.printer.control import ControlSocket, send

_MAX_LISTED = 20
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
    _report(result)


def _report(result: PrintResult) -> NoReturn:
    """Print what came out, and end."""
    click.echo(f"{result.outcome.value}: {result.evidence}" + (f"; {result.error}" if result.error else ""))
    if result.may_come_later:
        click.echo("the printer may still have it and print it later: switch it off and on")
    if result.replaced:
        click.echo(f"the code page lacks {result.replaced!r}")
    sys.exit(0 if result.outcome is PrintOutcome.PRINTED else 1)


@printer_group.command("print-file", short_help="Print a file, or what is piped in.")
@_url
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--raw", is_flag=True, help="FILE is ESC/POS commands.")
@click.option("--font", type=click.Choice(["a", "b"]), default="a", show_default=True, help="Font of a text.")
@click.option("--width-mm", type=click.FloatRange(1), help="Width of a picture; default: one dot a pixel.")
@click.option("--cut/--no-cut", default=True, help="Cut at the end; --raw cuts only where FILE does.")
@click.option("--id", "document_id", help="Id of the document; default: one that is never reused.")
def print_file(
    url: str,
    file: BinaryIO,
    raw: bool,
    font: str,
    width_mm: float | None,
    cut: bool,
    document_id: str | None,
) -> None:
    """Print FILE (-: standard input) on the printer URL: a text in UTF-8, a picture, or with --raw ESC/POS commands.

    Exit status 0 only if it is known to be printed.
    """
    try:
        data = file.read()
    except OSError as error:
        raise click.ClickException(f"the file cannot be read: {error.strerror}") from error
    name = getattr(file, "name", "standard input")
    item: Item = Raw(data) if raw else _item(data, name, Font(font), width_mm)
    document = Document(document_id or f"file-{time.time_ns()}", [item], cut=cut)
    try:
        with open_printer(url) as printer:
            result = printer.print_document(document)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    _report(result)


def _item(data: bytes, name: str, font: Font, width_mm: float | None) -> Item:
    """A picture where it begins as one, else a text."""
    if data.startswith(_PICTURES):
        return Bitmap(data, width_mm)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"{name}: byte {error.start} is not UTF-8 text"
        raise click.ClickException(f"{why}; use --raw for ESC/POS commands, or convert the text") from None
    if any(command in text for command in "\x1b\x1d"):
        raise click.ClickException(f"{name} contains ESC/POS commands; use --raw")
    return Text(text.rstrip("\n"), font=font)


_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8")


def _code_pages(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[int, str] | None:
    pages: dict[int, str] = {}
    for text in texts:
        number, _, codec = text.partition("=")
        try:
            pages[int(number)] = codecs.lookup(codec).name
        except (ValueError, LookupError):
            raise click.BadParameter(f"{text!r} is not NUMBER=CODEC, e.g. 7=cp866") from None
    return pages or None


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
    type=click.Choice(["process-id", "clear-buffer", "asb", "status", "identity", "native-qr", "utf8", "cutter"]),
    multiple=True,
    help="A model without this feature; can be repeated.",
)
@click.option(
    "--code-page",
    "code_pages",
    metavar="NUMBER=CODEC",
    multiple=True,
    callback=_code_pages,
    help="A code page that ESC t selects, e.g. 7=cp866; can be repeated. Default: the usual ones.",
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
    code_pages: dict[int, str] | None,
    keep: int,
) -> None:
    """Simulate a receipt printer at WHERE: tcp://HOST:PORT (port 0: any), or pty:///LINK, a serial line of that name.

    The first line of output is the printer's URL. It runs until Ctrl-C or the command `quit`. `sco-hwtest printer
    control` causes faults: paper out, cover open, cable unplugged, power lost.
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
                    code_pages=code_pages,
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


@printer_group.command(short_help="List the profiles of printers, or explain one.")
@click.argument("name", required=False)
def profiles(name: str | None) -> None:
    """List the profiles of printers, or explain the profile NAME: a name of the list, or a file such as
    /etc/sco/printer.toml.

    What is printed for NAME is such a file: change what differs, save it, and add profile=FILE to the printer's URL.
    """
    if name is None:
        rows = table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        click.echo(
            "\ndots: printable width. cp866, cp1251: number of that code page. ask: found out from the printer.\n"
            "`sco-hwtest printer profiles NAME` explains one. For a printer that is not here, use `default`, or find\n"
            "out what it can do: `sco-hwtest printer probe URL`."
        )
        return
    try:
        found, settings = find(name)
    except LookupError as error:
        raise click.ClickException(str(error.args[0])) from error
    click.echo(
        explain(settings, f"{found.name}: change what differs, and add profile=FILE to the printer's URL."), nl=False
    )


@printer_group.command(short_help="Find out what an unknown printer can do.")
@_url
@click.option(
    "--output", "-o", default=PATH, show_default=True, type=click.Path(dir_okay=False), help="File that is written."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def probe(url: str, output: str, force: bool) -> None:
    """Find out what the printer URL can do, and write the file that describes it.

    `sco-hwtest discover` prints the URL. The printer is asked first, then it prints a strip of about 20 cm, and you
    answer questions about the strip: with one of the answers shown, or with Enter for "I do not know". The URL then
    gets profile=FILE.
    """
    target = Path(output).absolute()
    try:
        refuse_description(url)
        _check_target(target, force=force)
        found = find_out(url, _at_terminal, lambda line: click.echo(f"- {line}"))
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    except (click.Abort, EOFError):
        raise click.ClickException(f"the questions were not answered to the end; {target} was not written") from None
    day = time.strftime("%Y-%m-%d")
    heading = f"{found.printer or 'A printer'} at {url}, as `sco-hwtest printer probe` found it on {day}."
    text = explain(found.settings, heading)
    try:
        target.write_text(text, "utf-8")
        load(str(target))
    except OSError as error:
        click.echo(text)
        raise click.ClickException(f"{target} cannot be written: {error.strerror}; its text is above") from error
    click.echo(f"\n{target}:\n\n{text}")
    if found.open:
        click.echo(f"Not answered, so the values of the profile `default` hold: {', '.join(found.open)}.")
    click.echo(f"Now try it:\n  sco-hwtest printer print '{url}{'&' if '?' in url else '?'}profile={target}'")


def _check_target(target: Path, *, force: bool) -> None:
    """Refuse a file that could not be written afterwards."""
    folder = target.parent
    hint = "or name another file with --output"
    if not folder.is_dir():
        raise click.ClickException(f"{target}: there is no folder {folder}; create it (sudo mkdir {folder}), {hint}")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise click.ClickException(f"{target}: this user may not write it; start with sudo, {hint}")
    if target.exists() and not force:
        raise click.ClickException(f"{target} exists; --force replaces it, {hint}")


def _at_terminal(choice: Choice) -> str | None:
    click.echo(f"\n? {choice.text}")
    named = {key: meaning for key, meaning in choice.answers.items() if meaning}
    if len(named) <= _MAX_LISTED:
        for key, meaning in named.items():
            click.echo(f"    {key}: {meaning}")
    while True:
        text = (
            str(click.prompt("  answer, or Enter if you do not know", default="", show_default=False)).strip().lower()
        )
        if not text:
            return None
        if text in choice.answers:
            return text
        keys = list(choice.answers)
        known = ", ".join(keys) if len(keys) <= _MAX_LISTED else f"{keys[0]} to {keys[-2]}, or {keys[-1]}"
        click.echo(f"  {text!r} is not one of the answers: {known}")


@printer_group.command(short_help="Cause faults in a simulated printer.")
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
