"""`sco-hwtest nfc`: look at a lane's tag, write it, clear it, provision it, verify it, from a reader's URL."""

from __future__ import annotations

from collections.abc import Callable

import click

from sco_drivers import DeviceError, open_nfc
from sco_drivers.nfc import TagContents, TagReader


def _run(url: str, call: Callable[[TagReader], TagContents]) -> None:
    try:
        with open_nfc(url) as reader:
            contents = call(reader)
    except DeviceError as error:
        raise click.ClickException(str(error)) from error
    state = "locked" if contents.locked else "password" if contents.protected else "open"
    click.echo(f"{contents.product} {contents.uid.hex()}, {contents.capacity} bytes, {state}")
    click.echo(contents.uri or ("no link" if not contents.ndef else f"foreign octets {contents.ndef.hex()}"))


def _uid(_context: click.Context, _parameter: click.Parameter, text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not hexadecimal") from None


_UID = click.option("--uid", callback=_uid, help="the enrolled serial number, in hex")


@click.group("nfc")
def nfc_group() -> None:
    """The tag and its reader. READER is a device URL, e.g. pn532:///dev/ttyS1"""


@nfc_group.command("read")
@click.argument("reader")
def read(reader: str) -> None:
    """Show what the tag carries."""
    _run(reader, lambda nfc: nfc.read())


@nfc_group.command("write")
@click.argument("reader")
@click.argument("uri")
@_UID
def write(reader: str, uri: str, uid: bytes | None) -> None:
    """Put the link URI on the tag."""
    _run(reader, lambda nfc: nfc.write_uri(uri, uid=uid))


@nfc_group.command("clear")
@click.argument("reader")
@_UID
def clear(reader: str, uid: bytes | None) -> None:
    """Leave the tag without a link."""
    _run(reader, lambda nfc: nfc.clear(uid=uid))


@nfc_group.command("verify")
@click.argument("reader")
@click.argument("uri")
@_UID
def verify(reader: str, uri: str, uid: bytes | None) -> None:
    """Check that the tag carries URI, octet for octet."""
    _run(reader, lambda nfc: nfc.verify(uri, uid=uid))


@nfc_group.command("provision")
@click.argument("reader")
@click.argument("uri")
@click.option("--protection", type=click.Choice(["none", "password", "forever"]), required=True)
@_UID
def provision(reader: str, uri: str, protection: str, uid: bytes | None) -> None:
    """Make the tag a lane's own; prints the UID to enrol. "forever" burns lock bits: there is no way back."""
    from sco_drivers.nfc.reader import NfcpyReader, Protection

    kind: Protection = "password" if protection == "password" else "forever" if protection == "forever" else "none"

    def call(nfc: TagReader) -> TagContents:
        if not isinstance(nfc, NfcpyReader):
            raise click.UsageError(f"{nfc.url}: this reader's driver cannot provision")
        return nfc.provision(uri, protection=kind, uid=uid)

    _run(reader, call)
