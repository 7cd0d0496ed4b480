"""Reports a lane's program to systemd: ready, status, alive. One datagram each, no library.

    notifier = Notifier()
    with open_lane(settings) as lane, notifier.watch(lambda: lane.stalled_for_s() < 30):
        notifier.ready("waiting for a customer")

Outside a unit with `Type=notify` (no `NOTIFY_SOCKET`) every call does nothing. Nothing here raises: a lane that takes
money does not stop because a service manager cannot be reached (sd_notify(3), sd_watchdog_enabled(3)).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger(__name__)


class Notifier:
    """The connection to the service manager.

    Args:
        environment: has `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`; the process's own by default.

    Attributes:
        active: whether there is a service manager to notify.
        watchdog_s: seconds after which a silent program is killed; None without a watchdog.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" means the abstract namespace; other kinds (a container's vsock) are not supported.
        self._address = "\0" + address[1:] if address.startswith("@") else address if address.startswith("/") else ""
        self.active = bool(self._address)
        self.watchdog_s = _watchdog_s(environment) if self.active else None

    def notify(self, **variables: str) -> None:
        """Send variables as sd_notify(3) names them, e.g. `STATUS="waiting"`."""
        if not self.active:
            return
        lines = "\n".join(f"{name}={value.replace(chr(10), ' ')}" for name, value in variables.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.settimeout(1.0)
                line.sendto(lines.encode(), self._address)
        except OSError as error:
            log.warning("systemd cannot be notified of %s: %s", ", ".join(variables), error)

    def ready(self, status: str = "") -> None:
        """The lane can take payments now."""
        self.notify(READY="1", **({"STATUS": status} if status else {}))

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self.notify(STATUS=text)

    def stopping(self) -> None:
        """The lane is closing: this may take until the acquirer's last answer."""
        self.notify(STOPPING="1")

    @contextlib.contextmanager
    def watch(self, alive: Callable[[], bool]) -> Iterator[None]:
        """While inside, keep the watchdog satisfied for as long as `alive` returns True.

        Args:
            alive: called three times in each watchdog period, in a thread of its own. When it returns False, raises or
                hangs, the notifications stop and systemd restarts the lane. So it should check whatever can hang, for
                example whether the program's own loop has run recently, and `Lane.stalled_for_s`.
        """
        if self.watchdog_s is None:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(alive, over, self.watchdog_s / 3), name="sco-watchdog")
        thread.daemon = True
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(1.0)

    def _beat(self, alive: Callable[[], bool], over: threading.Event, every_s: float) -> None:
        while not over.is_set():
            try:
                is_alive = alive()
            except Exception as error:
                log.error("the check whether the lane is alive failed: %r", error)
                is_alive = False
            if is_alive:
                self.notify(WATCHDOG="1")
            else:
                log.error("the lane is not alive; systemd is not notified until it is")
            over.wait(every_s)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    try:
        period = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        meant = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return period if period > 0 and meant == os.getpid() else None
