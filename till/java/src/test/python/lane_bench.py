"""A lane's service in a process of its own and its simulated bank, driven by lines on the standard input.

Each line is a command: `start`, `kill` (at once, as a power failure), `stop`, `freeze`, `thaw`, `use SCRIPT` (what
customer, bank and network do from now on), `offline`, `online`, `books`. Each is answered by one line of JSON. The end
of the input ends everything. With the argument `tls` the service has a certificate for 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trustme

from sco_payment.settings import TOKEN_VARIABLE
from sco_sim.local import free_port
from sco_sim.testing.bank import BenchPayMaster


class Bench:
    """The service on `port`; `folder` has its settings, journal and log."""

    def __init__(self, folder: Path, bank: BenchPayMaster, tls: bool) -> None:
        self.bank = bank
        self.folder = folder
        self.port = free_port()
        self.service: subprocess.Popen[bytes] | None = None
        own_tls = ""
        if tls:
            authority = trustme.CA()
            certificate, key = folder / "lane.crt", folder / "lane.key"
            key.touch(mode=0o600)
            issued = authority.issue_cert("127.0.0.1")
            issued.private_key_pem.write_to_path(key)
            issued.cert_chain_pems[0].write_to_path(certificate)
            authority.cert_pem.write_to_path(folder / "ca.crt")
            own_tls = f'tls_certificate = "{certificate}"\ntls_key = "{key}"'
        token = folder / "till.token"
        token.touch(mode=0o600)
        token.write_text("till-secret\n")
        (folder / "lane.toml").write_text(
            f"""
            [lane]
            pos_id = "KSO-1"
            shop = "Магазин у дома"
            profile = "4:3"
            [paymaster]
            base_url = "{bank.base_url}"
            merchant_id = "{bank.merchant_id}"
            connect_timeout_s = 1
            read_timeout_s = 2
            [display]
            mode = 1
            [devices]
            printer = "sim://"
            [journal]
            path = "journal.db"
            [timing]
            poll_interval_s = 0.2
            poll_timeout_s = 1.5
            create_window_s = 1.0
            create_retry_s = 0.2
            confirm_timeout_s = 1.5
            watch_interval_s = 1.0
            [service]
            listen = "127.0.0.1:{self.port}"
            {own_tls}
            [service.clients.till]
            role = "till"
            token_file = "{token}"
            """
        )

    def start(self) -> None:
        """Returns when it answers."""
        command = [sys.executable, "-m", "sco_payment.cli.main", "serve", "--settings", str(self.folder / "lane.toml")]
        with (self.folder / "service.log").open("ab") as log:
            self.service = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, TOKEN_VARIABLE: self.bank.token},
            )
        while True:
            status = self.service.poll()
            if status is not None:
                raise SystemExit(f"the service ended with status {status}: {(self.folder / 'service.log').read_text()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
            except OSError:
                time.sleep(0.02)
            else:
                return

    def end(self, number: int) -> None:
        """Send a signal and wait for the end."""
        if self.service is not None:
            self.service.send_signal(number)
            self.service.wait()
            self.service = None

    def books(self) -> dict[str, int]:
        """What the bank has."""
        return {
            "payments": len(self.bank.payments),
            "paid_kopecks": self.bank.paid_kopecks,
            "cancels": self.bank.bank.cancels,
        }

    def do(self, command: str, argument: str) -> dict[str, int]:
        """One command."""
        match command:
            case "start":
                self.start()
            case "kill":
                self.end(signal.SIGKILL)
            case "stop":
                self.end(signal.SIGTERM)
            case "freeze" | "thaw":
                assert self.service is not None
                self.service.send_signal(signal.SIGSTOP if command == "freeze" else signal.SIGCONT)
            case "use":
                self.bank.use(argument)
            case "offline":
                self.bank.goes_offline()
            case "online":
                self.bank.comes_online()
            case "books":
                return self.books()
            case _:
                raise SystemExit(f"unknown command {command}")
        return {}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        bank = BenchPayMaster().start()
        bench = Bench(Path(name), bank, "tls" in sys.argv[1:])
        try:
            sys.stdout.write(json.dumps({"port": bench.port, "folder": name}) + "\n")
            sys.stdout.flush()
            for line in sys.stdin:
                command, _, argument = line.strip().partition(" ")
                sys.stdout.write(json.dumps(bench.do(command, argument)) + "\n")
                sys.stdout.flush()
        finally:
            bench.end(signal.SIGKILL)
            bank.close()


if __name__ == "__main__":
    main()
