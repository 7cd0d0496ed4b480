"""`sco-hwtest discover`: find the devices that are plugged in; print them as text or JSON."""

from __future__ import annotations

import click

from sco_drivers.plain import json_line, lines
from sco_hwtest.discovery import Account, Discovery, Found, discover
from sco_hwtest.discovery.sysfs import Machine

_WORDS = {
    "printer": "Printer",
    "nfc": "NFC reader",
    "serial": "Serial line",
    "screen": "Screen",
    "touch": "Touch panel",
    "keyboard": "Input",
}


@click.command("discover")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.option("--user", metavar="NAME", help="Check access for this account, e.g. the lane's, instead of yours.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False),
    default="/",
    help="Read a copy of a machine's sys, dev, proc, etc and run.",
)
def discover_command(as_json: bool, user: str | None, root: str) -> None:
    """Find the devices that are plugged in: the URL of each, problems, and what to do about them.

    Opens no device and disturbs no payment.
    """
    try:
        account = None if user is None else Account.named(user, Machine(root))
    except KeyError:
        raise click.BadParameter(f"unknown account {user!r}; see /etc/passwd", param_hint="--user") from None
    found = discover(root, account)
    if as_json:
        click.echo(json_line(found.as_json(), indent=2).encode())
    else:
        click.echo(lines(as_text(found)))


def as_text(discovery: Discovery) -> str:
    """The discovery as text for a terminal."""
    parts = [_device(one) for one in discovery.found]
    missing = [
        (words, todo)
        for kinds, words, todo in (
            ({"printer"}, "USB printer", "check cable and power; a network printer is tcp://ADDRESS:9100"),
            ({"nfc"}, "USB NFC reader", "check the cable; a PN532 on a serial port is listed as Serial line"),
            ({"serial"}, "serial line", "check the adapter's cable"),
            ({"screen"}, "screen", "check the cable; lsmod must show the graphics card's driver"),
            ({"touch"}, "touch panel", "check its USB cable, which is not the display's cable"),
        )
        if not kinds & {one.kind for one in discovery.found}
    ]
    if missing:
        parts.append("\n".join(f"No {words} found: {todo}." for words, todo in missing))
    if discovery.problems:
        parts.append("\n".join(_problem("", one.found, one.to_do) for one in discovery.problems))
    parts += [f"note: {note}" for note in discovery.notes]
    usable, total = len(discovery.usable), len(discovery.found)
    parts.append(
        f"{total} found, {usable} ready for user {discovery.account}."
        + (" Next: sco-hwtest run --help" if usable else "")
    )
    return "\n\n".join(parts)


def _device(one: Found) -> str:
    rows = [f"{_WORDS[one.kind]}: {one.what}", f"  at     {one.where}"]
    for number, address in enumerate(one.urls):
        rows.append(
            f"  {'URL' if number == 0 else 'or':6} {address.url}" + (f"   ({address.note})" if address.note else "")
        )
    rows += [f"  file   {file}" for file in one.files]
    if one.rule:
        rows.append(f"  rule   {one.rule}")
    rows += [f"  note   {note}" for note in one.notes]
    rows += [_problem("  ", problem.found, problem.to_do) for problem in one.problems]
    if one.urls and not one.problems:
        rows.append("  ready")
    return "\n".join(rows)


def _problem(indent: str, found: str, to_do: str) -> str:
    return f"{indent}! {found}\n{indent}  do: {to_do}"
