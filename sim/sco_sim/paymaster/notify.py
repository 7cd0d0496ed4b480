"""Notifications to `callbackUrl`: the payment object by POST, with the byte-order mark that PayMaster's sample has."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import urllib3

from sco_sim.paymaster.bank import BankPayment

log = logging.getLogger(__name__)

_BOM = b"\xef\xbb\xbf"
_TRIES = 3
_TIMEOUT_S = 2.0


class Notifier:
    """Posts in a thread of its own, a few times at most; a merchant that does not answer delays nothing."""

    def __init__(self, encode: Callable[[BankPayment], bytes]) -> None:
        self._encode = encode
        self._waiting: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.sent = 0

    def notify(self, payment: BankPayment) -> None:
        """Post the payment as it is now, where its merchant asked for that."""
        if payment.callback_url is None:
            return
        self._waiting.put((payment.callback_url, _BOM + self._encode(payment)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="paymaster-simulator-notify", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S) as pool:
            while (item := self._waiting.get()) is not None:
                url, body = item
                for _ in range(_TRIES):
                    try:
                        answer = pool.request("POST", url, body=body, headers={"Content-Type": "application/json"})
                    except urllib3.exceptions.HTTPError as error:
                        log.info("notification to %s: %s", url, error)
                        continue
                    if answer.status < 300:
                        self.sent += 1
                        break

    def close(self) -> None:
        """Stop after what is under way."""
        self._waiting.put(None)
