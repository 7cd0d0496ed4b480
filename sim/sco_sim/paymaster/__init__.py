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
    """Run until Ctrl-C or SIGTERM. Print where the API and the phone are, what a lane's settings need, and each call.

    Raises:
        BadScript: the script has an unknown word. OSError: the port is taken.
    """

    def log_call(text: str) -> None:
        say(f"{time.strftime('%H:%M:%S')}  {text}")

    with PayMasterSimulator(
        host=host, port=port, phone_port=port + 1 if port else 0, script=script, on_call=log_call
    ) as paymaster:
        sticker = paymaster.bank.add_sticker(description="plate")
        here = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 - to find it, not to listen on it
        api, phone = (url.replace(f"//{host}:", f"//{here}:") for url in (paymaster.base_url, paymaster.phone_url))
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            say(
                f"PayMaster (simulated) on {api}; the customer's phone on {phone}\n"
                f"script: {script}\n\n"
                "A whole settings file for it, on simulated devices:\n"
                f"export SCO_PAYMASTER_TOKEN={paymaster.token}\n"
                f"sco-pay settings example --simulated --base-url {api} > lane.toml\n\n"
                "Or in a file of yours:\n"
                f'[paymaster]\nbase_url = "{api}"\nmerchant_id = "{paymaster.merchant_id}"\n\n'
                f'[display]   # for mode 2, static plate\nsticker_id = "{sticker.id}"\n'
                f'plate_link = "{sticker.payload}"\n\n'
                "Each call follows. Ctrl-C stops the simulator."
            )
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("stopped")
        finally:
            signal.signal(signal.SIGTERM, before)
