"""A simulated PayMaster with the customer's phone, for demos, benches and CI. An extra: `sco-paymaster[simulator]`.

::

    with PayMasterSimulator(script="pays after=2") as paymaster:
        client = PayMaster(paymaster.base_url, Token(paymaster.token), paymaster.merchant_id)
"""

from __future__ import annotations

import time

from sco_payment.paymaster.simulator.bank import Bank, BankPayment, BankSticker
from sco_payment.paymaster.simulator.phone import NothingToPay, Phone, Seen
from sco_payment.paymaster.simulator.script import BadScript, Script
from sco_payment.paymaster.simulator.server import PayMasterSimulator

__all__ = [
    "BadScript",
    "Bank",
    "BankPayment",
    "BankSticker",
    "NothingToPay",
    "PayMasterSimulator",
    "Phone",
    "Script",
    "Seen",
    "serve",
]


def serve(*, host: str, port: int, script: str, write: object = print) -> None:
    """Run until Ctrl-C, saying on stdout where the API and the phone are, and what a lane's settings need.

    Raises:
        BadScript: the script has an unknown word. OSError: the port is taken.
    """
    with PayMasterSimulator(host=host, port=port, phone_port=port + 1 if port else 0, script=script) as paymaster:
        sticker = paymaster.bank.add_sticker(description="plate")
        say = write if callable(write) else print
        say(
            f"PayMaster (simulated) on {paymaster.base_url}; the customer's phone on {paymaster.phone_url}\n"
            f"script: {script}\n\n"
            f"export SCO_PAYMASTER_TOKEN={paymaster.token}\n\n"
            f'[paymaster]\nbase_url = "{paymaster.base_url}"\nmerchant_id = "{paymaster.merchant_id}"\n\n'
            f'[display]   # for mode 2, static plate\nsticker_id = "{sticker.id}"\nplate_link = "{sticker.payload}"\n\n'
            "Ctrl-C stops it."
        )
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("stopped")
