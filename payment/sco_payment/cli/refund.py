"""`sco-pay refund`: print where refunds are made."""

from __future__ import annotations

import click

from sco_payment.cli.ends import fail
from sco_payment.customer.texts import NO_REFUNDS


@click.command()
@click.argument("order_no", required=False, default="")
def refund(order_no: str) -> None:
    """A self-checkout makes no refunds. Prints where to make them; exit status 2."""
    fail(NO_REFUNDS)
