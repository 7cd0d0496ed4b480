"""`sco-pay link`: verify an SBP payment link."""

from __future__ import annotations

import sys

import click

from sco_payment import link as links
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import AMOUNT

_STATUS = {links.Verdict.VERIFIED: ExitStatus.OK, links.Verdict.REFUSED: ExitStatus.PROBLEM}
_UNVERIFIABLE = 3


@click.group()
def link() -> None:
    """SBP payment links."""


@link.command()
@click.argument("url")
@click.option("--amount", type=AMOUNT, help="Amount in roubles that the link must ask for.")
def check(url: str, amount: int | None) -> None:
    """Verify the payment link URL: its form, its checksum, its amount.

    Exit status: 0 verified; 1 refused; 3 the link can be shown, but not verified.
    """
    judgement = links.judge(url, kopecks=amount)
    click.echo(f"{judgement.verdict.value}: {judgement.reason}")
    sys.exit(_STATUS.get(judgement.verdict, _UNVERIFIABLE))
