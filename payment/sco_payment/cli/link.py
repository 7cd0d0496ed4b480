"""`sco-pay link`: verify an SBP payment link."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from sco_payment import link as links
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import AMOUNT
from sco_payment.money import format_amount

_STATUS = {links.Verdict.VERIFIED: ExitStatus.OK, links.Verdict.REFUSED: ExitStatus.PROBLEM}
_UNVERIFIABLE = 3


@click.group()
def link() -> None:
    """SBP payment links."""


@link.command()
@click.argument("url")
@click.option("--amount", type=AMOUNT, help="Amount in roubles that the link must ask for.")
def check(url: str, amount: int | None) -> None:
    """Verify the payment link URL: its form, its checksum, its amount; and print what was compared.

    Exit status: 0 verified; 1 refused; 3 the link can be shown, but not verified.
    """
    judgement = links.judge(url.strip(), kopecks=amount)
    click.echo(f"{judgement.verdict.value}: {judgement.reason}")
    for name, text in _compared(judgement.link, amount):
        click.echo(f"  {name + ':':10}{text}")
    sys.exit(_STATUS.get(judgement.verdict, _UNVERIFIABLE))


def _compared(link: links.SbpLink | None, amount: int | None) -> Iterator[tuple[str, str]]:
    """Each part of the link, with what it was compared to."""
    wanted = "" if amount is None else format_amount(amount)
    if link is None:
        yield "host", "shown on a lane only if it is one of the acquirer's or in display.link_hosts"
        if amount is not None:
            yield "amount", f"not compared with {wanted}: nothing can be read from this link"
        return
    kind = {True: "static, for a plate", False: "dynamic, for one payment", None: "of an unknown form"}
    yield "form", f"{kind[link.static]}; QRC id {link.qrc_id}, bank {link.bank or 'not named'}"
    yield "crc", "none" if link.crc is None else f"{link.crc}, which the rest of the link gives too"
    found = None if link.sum_kopecks is None else format_amount(link.sum_kopecks)
    if amount is None:
        yield "amount", f"{found or 'none'}; not compared: --amount gives what it must be"
    elif found is None:
        yield "amount", f"none to compare with {wanted}"
    else:
        yield "amount", found + (", as asked" if link.sum_kopecks == amount else f", and not {wanted}")
    yield "currency", "none" if link.currency is None else f"{link.currency}, compared with RUB"
