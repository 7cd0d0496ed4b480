"""A simulated PayMaster with the customer's phone, for demos, benches and CI. An extra: `sco-paymaster[simulator]`.

::

    with PayMasterSimulator(script="pays after=2") as paymaster:
        client = PayMaster(paymaster.base_url, Token(paymaster.token), paymaster.merchant_id)
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from sco_sim.paymaster.bank import Bank, BankPayment, BankSticker
from sco_sim.paymaster.phone import NothingToPay, Phone, Seen
from sco_sim.paymaster.script import BadScript, Script
from sco_sim.paymaster.server import PayMasterSimulator
from sco_sim.paymaster.tls import TlsFront

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
    "TlsFront",
    "serve",
]

_say = partial(print, flush=True)


def serve(*, host: str, port: int, script: str, say: Callable[[str], None] = _say) -> None:
    """Run until Ctrl-C or SIGTERM, and print where the API and the phone are, and what a lane's settings need.

    Raises:
        BadScript: the script has an unknown word. OSError: the port is taken.
    """
    with PayMasterSimulator(host=host, port=port, phone_port=port + 1 if port else 0, script=script) as paymaster:
        sticker = paymaster.bank.add_sticker(description="plate")
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            say(
                f"PayMaster (simulated) on {paymaster.base_url}; the customer's phone on {paymaster.phone_url}\n"
                f"script: {script}\n\n"
                f"export SCO_PAYMASTER_TOKEN={paymaster.token}\n\n"
                f'[paymaster]\nbase_url = "{paymaster.base_url}"\nmerchant_id = "{paymaster.merchant_id}"\n\n'
                f'[display]   # for mode 2, static plate\nsticker_id = "{sticker.id}"\n'
                f'plate_link = "{sticker.payload}"\n\n'
                "`sco-pay settings example --simulated` prints a whole file. Ctrl-C stops the simulator."
            )
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("stopped")
        finally:
            signal.signal(signal.SIGTERM, before)
