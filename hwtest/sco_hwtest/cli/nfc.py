"""`sco-hwtest nfc`: read, write, clear, verify and provision a lane's tag."""

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
from sco_payment.link import Verdict, judge
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader


def _run(url: str, call: Callable[[TagReader], TagContents]) -> TagContents:
    """Call `call` with the open reader, and print the tag's content after it."""
    try:
        with open_nfc(url) as reader:
            contents = call(reader)
    except (DeviceError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if contents.locked:
        writing = "permanently locked"
    elif contents.protected:
        writing = "protected by a password" + (", which the URL's key opens" if contents.writable else "")
    else:
        writing = "unprotected: any phone can write it"
    if contents.damaged:
        link = "none: a write was interrupted; write or clear the tag"
    elif contents.ndef and contents.uri is None:
        link = f"none, but other data: {contents.ndef.hex()}"
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
_UID = click.option("--uid", callback=_uid, help="Accept only the tag with this UID, in hex.")


@click.group("nfc")
def nfc_group() -> None:
    """The NFC reader and its tag. READER is a device URL, e.g. pn532:///dev/sco/reader or usb://072f:2200."""


@nfc_group.command("read")
@_READER
def read(reader: str) -> None:
    """Print the tag's type, UID and content."""
    _run(reader, lambda nfc: nfc.read())


@nfc_group.command("write")
@_READER
@click.argument("uri")
@_UID
def write(reader: str, uri: str, uid: bytes | None) -> None:
    """Write the link URI to the tag and read it back."""
    _run(reader, lambda nfc: nfc.write_uri(uri, uid=uid))


@nfc_group.command("clear")
@_READER
@_UID
def clear(reader: str, uid: bytes | None) -> None:
    """Remove the link from the tag."""
    _run(reader, lambda nfc: nfc.clear(uid=uid))


@nfc_group.command("format", short_help="Make a blank tag an empty NDEF tag.")
@_READER
@_UID
def format_(reader: str, uid: bytes | None) -> None:
    """Make a blank NTAG213, 215 or 216 an empty NDEF tag. A tag that already is one is not changed."""

    def call(nfc: TagReader) -> TagContents:
        if not hasattr(nfc, "format"):
            raise click.UsageError(f"{nfc.url}: this reader's driver cannot format")
        contents: TagContents = nfc.format(uid=uid)
        return contents

    _run(reader, call)


@nfc_group.command("verify")
@_READER
@click.argument("uri")
@_UID
def verify(reader: str, uri: str, uid: bytes | None) -> None:
    """Check that the tag has exactly the link URI."""
    _run(reader, lambda nfc: nfc.verify(uri, uid=uid))


@nfc_group.command("provision", short_help="Prepare a tag for a lane, and protect it.")
@_READER
@click.argument("uri", default="")
@click.option(
    "--protection",
    type=click.Choice(["none", "password", "forever"]),
    required=True,
    help="password: one for each tag, derived from key=FILE in the reader's URL. forever: for a static link.",
)
@click.option("--yes", is_flag=True, help="Do not ask before locking permanently.")
@click.option("--force", is_flag=True, help="Lock the tag with a link that cannot be checked.")
@_UID
def provision(reader: str, uri: str, protection: str, yes: bool, force: bool, uid: bytes | None) -> None:
    """Prepare a tag for a lane: write URI (none for a dynamic tag), protect it, and print its setting."""
    kind: Protection = "password" if protection == "password" else "forever" if protection == "forever" else "none"
    if kind == "forever" and not uri:
        raise click.UsageError("a tag that is locked permanently needs its link: give URI")
    _check_link(uri, permanent=kind == "forever", force=force)
    if kind == "forever" and not yes:
        click.confirm(f"The tag will be locked with {uri}. This cannot be undone. Continue?", abort=True)

    def call(nfc: TagReader) -> TagContents:
        owner: NfcpyReader | None = nfc if hasattr(nfc, "provision") else None  # type: ignore[assignment]
        if owner is None:
            raise click.UsageError(f"{nfc.url}: this driver cannot provision tags")
        return owner.provision(uri, protection=kind, uid=uid)

    contents = _run(reader, call)
    click.echo(f'\nPut this into the lane\'s settings, section [devices]:\nnfc_uid = "{contents.uid.hex()}"')


def _check_link(uri: str, *, permanent: bool, force: bool) -> None:
    """Judge the link before anything is written: a lock is permanent.

    Raises:
        ClickException: it contradicts itself, or it cannot be checked and would be permanent without `--force`.
    """
    if not uri:
        return
    judgement = judge(uri)
    if judgement.verdict is Verdict.REFUSED:
        raise click.ClickException(f"{uri} is not put on a tag: {judgement.reason}")
    if judgement.verdict is Verdict.UNVERIFIABLE:
        if permanent and not force:
            raise click.ClickException(f"{judgement.reason}; --force locks the tag with it all the same")
        click.echo(f"warning: {judgement.reason}", err=True)


@nfc_group.command("watch", short_help="Check the tag repeatedly.")
@_READER
@click.argument("uri", required=False)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.1, 3600),
    default=5.0,
    show_default=True,
    help="Seconds between checks.",
)
@click.option("--count", type=click.IntRange(min=1), help="Number of checks; without it, until Ctrl-C.")
@_UID
def watch(reader: str, uri: str | None, interval_s: float, count: int | None, uid: bytes | None) -> None:
    """Check the tag repeatedly, as an idle lane does, and print each change. Without URI it must have no link.

    Exit status 1 if the last check found a problem.
    """

    def report(event: GuardEvent) -> None:
        use = ", out of use until the operator has checked it" if event.needs_attendant else ", out of use"
        click.echo(f"{time.strftime('%H:%M:%S')} {event.error or 'ok again'}{use if event.disabled else ''}")

    guard = TagGuard(uid, report)
    problem: DeviceError | None = None
    checks = 0
    try:
        with open_nfc(reader) as nfc:
            while True:
                problem = guard.check(nfc, uri)
                checks += 1
                if checks == 1 and problem is None:
                    click.echo(f"{time.strftime('%H:%M:%S')} ok")
                if count is not None and checks >= count:
                    break
                time.sleep(interval_s)
    except KeyboardInterrupt:
        pass
    except (DeviceError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"checked {checks} times")
    if problem is not None:
        raise SystemExit(1)


@nfc_group.command("simulate")
@click.option("--line", type=click.Path(), help="Name of the serial line; without it, a new name.")
@click.option(
    "--tag",
    type=click.Choice(["ntag213", "ntag215", "ntag216"]),
    default="ntag213",
    show_default=True,
    help="Model of the tag.",
)
@click.option("--uri", default="", help="Link on the tag.")
@click.option("--png", type=click.Path(dir_okay=False, writable=True), help="Save a picture of the tag at the end.")
@click.option("--seconds", type=click.FloatRange(0, 86400), help="Stop after this time; without it, on Ctrl-C.")
def simulate(line: str | None, tag: str, uri: str, png: str | None, seconds: float | None) -> None:
    """Simulate a PN532 reader with a tag on a serial line. The first line is the URL to use as READER."""
    ended = threading.Event()
    with ExitStack() as stack:
        try:
            simulated = VirtualTag(tag, uri=uri)
            bench = stack.enter_context(VirtualReader(simulated))
        except (OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error
        if line:
            name = Path(line).absolute()
            try:
                name.symlink_to(bench.path)
            except OSError as error:
                raise click.ClickException(f"--line {line} cannot be made: {error.strerror}") from error
            stack.callback(name.unlink, missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        click.echo(f"pn532://{name}" if line else bench.url)
        ended.wait(seconds)
    click.echo(f"pages written: {sum(simulated.page_writes.values())}; a phone opens: {simulated.uri() or 'nothing'}")
    if png:
        simulated.render_png(png)
