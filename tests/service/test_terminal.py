"""`sco-pay pay --service` on a terminal: the lane's screen is drawn there, and Ctrl-C cancels at the service."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import threading
import time
from pathlib import Path

from tests.service.service_kit import serving


def test_a_terminal_shows_the_lane_s_screen_and_cancels(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves", speed=1.0) as bench:
        url = f"http://127.0.0.1:{bench.till.port}"
        command = ["pay", "253", "--order", "A-1", "--service", url]
        process, line = pty.fork()
        if process == 0:
            os.environ |= {"TERM": "xterm", "LINES": "60", "COLUMNS": "120", "SCO_SERVICE_TOKEN": "till-token"}
            os.execv(sys.executable, [sys.executable, "-m", "sco_payment.cli.main", *command])
        shown = bytearray()

        def read() -> None:
            with contextlib.suppress(OSError):  # how a pty ends
                while data := os.read(line, 65_536):
                    shown.extend(data)

        reading = threading.Thread(target=read)
        reading.start()
        until = time.monotonic() + 60
        while "█".encode() not in shown and time.monotonic() < until:
            time.sleep(0.1)
        assert "Для оплаты используйте NFC".encode() in shown
        os.write(line, b"\x03")
        _, status = os.waitpid(process, 0)
        reading.join(5)
        os.close(line)
        assert os.waitstatus_to_exitcode(status) == 3, shown[-500:]
        assert b"unpaid: order A-1" in shown
        assert bench.bank.bank.cancels == 1
