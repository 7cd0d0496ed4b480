"""`sco-hwtest nfc`: look at a lane's tag, write it, clear it, provision it, verify it, from a reader's URL."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from sco_drivers import DeviceError, open_nfc
from sco_drivers.nfc import TagContents, TagReader
from sco_drivers.nfc.guard import GuardEvent, TagGuard
from sco_drivers.nfc.reader import NfcpyReader, Protection
from sco_hwtest.cli.options import device_argument
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader


def _run(url: str, call: Callable[[TagReader], TagContents]) -> TagContents:
    """Do it, and show what the tag then carries."""
    try:
        with open_nfc(url) as reader:
            contents = call(reader)
    except (DeviceError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if contents.locked:
        writing = "locked for ever"
    elif contents.protected:
        writing = "asks for a password" + (", and a key is given" if contents.writable else "")
    else:
        writing = "open to everybody with a phone"
    if contents.damaged:
        link = "none: a write was cut short; write or clear it"
    elif contents.ndef and contents.uri is None:
        link = f"none, but foreign octets: {contents.ndef.hex()}"
    else:
        link = contents.uri or "none"
    for name, value in (
        ("tag", contents.product),
        ("uid", contents.uid.hex()),
        ("holds", f"{contents.capacity} bytes"),
        ("writing", writing),
        ("link", link),
    ):
        click.echo(f"{name:8} {value}")
    return contents


def _uid(_context: click.Context, _parameter: click.Parameter, text: str | None) -> bytes | None:
    try:
        uid = None if text is None else bytes.fromhex(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not hexadecimal") from None
    if uid is not None and len(uid) not in (4, 7, 10):
        raise click.BadParameter(f"{text!r} is not 4, 7 or 10 bytes")
    return uid


_READER = device_argument("nfc", "reader")
_UID = click.option("--uid", callback=_uid, help="Refuse every other tag than this serial number, in hex.")


@click.group("nfc")
def nfc_group() -> None:
    """The tag and its reader. READER is a device URL, e.g. pn532:///dev/sco/serial or usb://072f:2200"""


@nfc_group.command("read")
@_READER
def read(reader: str) -> None:
    """Show the tag and what it carries."""
    _run(reader, lambda nfc: nfc.read())


@nfc_group.command("write")
@_READER
@click.argument("uri")
@_UID
def write(reader: str, uri: str, uid: bytes | None) -> None:
    """Put the link URI on the tag and read it back."""
    _run(reader, lambda nfc: nfc.write_uri(uri, uid=uid))


@nfc_group.command("clear")
@_READER
@_UID
def clear(reader: str, uid: bytes | None) -> None:
    """Leave the tag without a link."""
    _run(reader, lambda nfc: nfc.clear(uid=uid))


@nfc_group.command("verify")
@_READER
@click.argument("uri")
@_UID
def verify(reader: str, uri: str, uid: bytes | None) -> None:
    """Check that the tag carries URI, octet for octet."""
    _run(reader, lambda nfc: nfc.verify(uri, uid=uid))


@nfc_group.command("provision", short_help="Make the tag a lane's own, and protect it.")
@_READER
@click.argument("uri", default="")
@click.option(
    "--protection",
    type=click.Choice(["none", "password", "forever"]),
    required=True,
    help="password: each tag its own, from the reader's key=FILE. forever: lock bits, for a link that never changes.",
)
@click.option("--yes", is_flag=True, help="Do not ask before lock bits are burnt.")
@_UID
def provision(reader: str, uri: str, protection: str, yes: bool, uid: bytes | None) -> None:
    """Make the tag a lane's own: put URI on it (none for a dynamic tag), protect it, and say how to enrol it."""
    kind: Protection = "password" if protection == "password" else "forever" if protection == "forever" else "none"
    if kind == "forever" and not uri:
        raise click.UsageError("a tag that is locked for ever needs the link that it carries: give URI")
    if kind == "forever" and not yes:
        click.confirm(f"The tag will carry {uri} for ever. There is no way back. Go on?", abort=True)

    def call(nfc: TagReader) -> TagContents:
        owner: NfcpyReader | None = nfc if hasattr(nfc, "provision") else None  # type: ignore[assignment]
        if owner is None:
            raise click.UsageError(f"{nfc.url}: this reader's driver cannot provision")
        return owner.provision(uri, protection=kind, uid=uid)

    contents = _run(reader, call)
    click.echo(f'\nenrol it in the lane\'s settings, section [devices]:\nnfc_uid = "{contents.uid.hex()}"')


@nfc_group.command("watch", short_help="Look at the tag again and again.")
@_READER
@click.argument("uri", required=False)
@click.option("--interval", "interval_s", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True)
@click.option("--count", type=click.IntRange(min=1), help="End after so many looks; else at Ctrl-C.")
@_UID
def watch(reader: str, uri: str | None, interval_s: float, count: int | None, uid: bytes | None) -> None:
    """Look at the tag again and again, as a lane does while idle, and tell each change. Without URI: it carries none.

    Exit status 1 when the last look found something wrong.
    """

    def tell(event: GuardEvent) -> None:
        use = ", out of use until a person has looked at it" if event.needs_attendant else ", out of use"
        click.echo(f"{time.strftime('%H:%M:%S')} {event.error or 'well again'}{use if event.disabled else ''}")

    guard = TagGuard(uid, tell)
    problem: DeviceError | None = None
    looks = 0
    try:
        with open_nfc(reader) as nfc:
            while True:
                problem = guard.check(nfc, uri)
                looks += 1
                if looks == 1 and problem is None:
                    click.echo(f"{time.strftime('%H:%M:%S')} well")
                if count is not None and looks >= count:
                    break
                time.sleep(interval_s)
    except KeyboardInterrupt:
        pass
    except (DeviceError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"looked {looks} times")
    if problem is not None:
        raise SystemExit(1)


@nfc_group.command("simulate")
@click.option("--line", type=click.Path(), help="Name the serial line so; else a name of its own.")
@click.option("--tag", type=click.Choice(["ntag213", "ntag215", "ntag216"]), default="ntag213", show_default=True)
@click.option("--uri", default="", help="The link on the tag.")
@click.option("--png", type=click.Path(dir_okay=False, writable=True), help="Draw the tag there at the end.")
@click.option("--seconds", type=click.FloatRange(0, 86400), help="End by itself; else when it is interrupted.")
def simulate(line: str | None, tag: str, uri: str, png: str | None, seconds: float | None) -> None:
    """Be a PN532 with a tag before it, on a serial line. Prints the READER that opens it on the first line."""
    ended = threading.Event()
    with ExitStack() as stack:
        try:
            simulated = VirtualTag(tag, uri=uri)
            bench = stack.enter_context(VirtualReader(simulated))
            if line:
                name = Path(line).absolute()
                name.symlink_to(bench.path)
                stack.callback(name.unlink, missing_ok=True)
        except (OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        click.echo(f"pn532://{name}" if line else bench.url)
        ended.wait(seconds)
    click.echo(f"pages written: {sum(simulated.page_writes.values())}; a phone opens: {simulated.uri() or 'nothing'}")
    if png:
        simulated.render_png(png)
