"""The customer's till around the plugin's jar, the lane's service and PayMaster: three processes and real sockets.

The test till is Java (`till/set10/testtill`); a test is its customer and its cashier. Both it and the service may be
killed at any moment. The bank is the oracle.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from sco_payment.customer.texts import RUSSIAN
from sco_sim.local import free_port
from sco_sim.paymaster import BankPayment
from sco_sim.testing.bank import BenchPayMaster
from sco_sim.testing.http_faults import HttpFaults, _read, _Request, _reset, _response

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "sco.paymaster.payment"
WAIT_S = 30.0
PAY_FIRST = "17-3-204-58-1"
"""The till's id of the first payment of the receipt that a bench sells unless told otherwise."""
Message = dict[str, str]


@cache
def built() -> Path:
    """The folder with the jar and the test till, built when it is older than its sources."""
    out = ROOT / "out" / "set10"
    out.parent.mkdir(exist_ok=True)
    with (out.parent / "set10.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in (ROOT / "till").rglob("*") if path.is_file())
        jars = list(out.glob("*.jar"))
        if not jars or jars[0].stat().st_mtime < newest:
            subprocess.run(["sh", ROOT / "till/set10/build.sh"], check=True, stdout=subprocess.PIPE)
    return out


def _is(found: str | None, value: str) -> bool:
    """Whether a field is that, or a text that begins with that line: the lane may add further lines."""
    return found is not None and (found == value or found.startswith(f"{value}\n"))


class TillEnded(AssertionError):
    """The till's process is gone, and a message of it was expected."""


class Till:
    """A test till in a process of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        out = built()
        folder.mkdir(exist_ok=True)
        api = os.environ.get("SET10_API_JAR")
        classes = [str(out / "till"), str(out / "api")]
        if api:
            classes = [str(out / "real/till"), api, os.environ.get("SLF4J_JAR", "/usr/share/java/slf4j-api.jar")]
        [jar] = out.glob("*.jar")
        command = ["java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
        command += ["-Dfile.encoding=UTF-8", "-cp", ":".join(classes), "sco.testtill.TestTill", str(jar), str(folder)]
        self.messages: list[Message] = []
        self.wait_s = WAIT_S
        self._seen = 0
        self._more = threading.Condition()
        self._process = subprocess.Popen(
            [*command, *(f"{key}={value}" for key, value in settings.items())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.expect("ready")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.rstrip("\n")
            message = dict(parse_qsl(text, keep_blank_values=True)) if text.startswith("name=") else {"name": text}
            with self._more:
                self.messages.append(message)
                self._more.notify_all()
        with self._more:
            self.messages.append({"name": "ended"})
            self._more.notify_all()

    def send(self, name: str, **fields: object) -> None:
        """One line of the script."""
        assert self._process.stdin is not None
        self._process.stdin.write(
            urlencode({"name": name, **{key: str(value) for key, value in fields.items()}}) + "\n"
        )
        self._process.stdin.flush()

    def expect(self, *names: str, **fields: str) -> Message:
        """The next message of that name with those fields; what comes before it is passed over."""
        until = time.monotonic() + self.wait_s
        with self._more:
            while True:
                for at in range(self._seen, len(self.messages)):
                    found = self.messages[at]
                    if found["name"] in names and all(_is(found.get(key), value) for key, value in fields.items()):
                        self._seen = at + 1
                        return found
                    if found["name"] == "ended" and "ended" not in names:
                        raise TillEnded(f"the till ended, expected {names} {fields}:\n{self.report()}")
                left = until - time.monotonic()
                assert left > 0, f"expected {names} {fields} within {self.wait_s} s:\n{self.report()}"
                self._more.wait(left)

    def ask(self, name: str, **fields: object) -> Message:
        """Send, and wait for the answer of that name."""
        self.send(name, **fields)
        answer = {"card": "card", "fiscalize": "fiscalized", "repeat": "repeated", "repeat_in_ui": "repeated"}.get(
            name, name
        )
        return self.expect(answer)

    def form(self, kind: str, **fields: str) -> Message:
        """The next form of that kind."""
        return self.expect("form", kind=kind, **fields)

    def press(self, button: str) -> None:
        """1, 2, cancel, close or confirm, on the form that is shown."""
        self.send("press", button=button)

    def over(self, what: str | None = None) -> Message:
        """The end of the plugin's turn."""
        return self.expect("turn_over") if what is None else self.expect("turn_over", what=what)

    def sent_away(self) -> Message:
        """The next error form is confirmed, and the turn ends without a payment; `shown` are the words of the form."""
        text = self.form("error")["text"]
        self.press("confirm")
        return {**self.over("not_completed"), "shown": text}

    def shown(self) -> list[str]:
        """Kinds of the forms that were shown, repetitions left out."""
        kinds = [one["kind"] for one in self.messages if one["name"] == "form"]
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]

    def said(self, level: str = "") -> str:
        """The till's log, or what is in it at that level."""
        logged = [one for one in self.messages if one["name"] == "log"]
        return "\n".join(one["text"] for one in logged if level in ("", one["level"]))

    def report(self) -> str:
        return "\n".join(str({key: value for key, value in one.items() if key != "at_us"}) for one in self.messages)

    def idle(self) -> Message:
        """The till's state once no thread of the plugin is left."""
        until = time.monotonic() + WAIT_S
        while True:
            state = self.ask("state")
            if not state.get("threads"):
                return state
            assert time.monotonic() < until, f"threads are left: {state['threads']}\n{self.report()}"
            time.sleep(0.1)

    def check(self) -> None:
        """What must never happen on a till has not."""
        wrong = ("ui_blocked", "violation", "script_error")
        found = [one for one in self.messages if one["name"] in wrong or "Exception" in one["name"]]
        assert not found, f"{found}\n{self.report()}"

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        self._reader.join()


class LaneService:
    """`sco-pay serve` in a process of its own, always on the same port."""

    def __init__(self, folder: Path, bank: BenchPayMaster, **sections: dict[str, Any]) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.token_file = folder / "till.token"
        if not self.token_file.exists():
            self.token_file.write_text("test-till-token-0123456789abcdef0123456789\n")
            self.token_file.chmod(0o600)
        self._settings = folder / "lane.toml"
        self._defaults: dict[str, dict[str, Any]] = {
            "lane": {"pos_id": "KSO-3", "shop": "Магазин у дома", "profile": "4:3"},
            "paymaster": {**bank.settings(), "connect_timeout_s": 1.0, "read_timeout_s": 1.0},
            "devices": {"printer": "sim://", "nfc": "sim://", "screen": "sim://"},
            "journal": {"path": str(folder / "journal.db")},
            "service": {"listen": f"127.0.0.1:{self.port}"},
            "service.clients.till": {"role": "till", "token_file": str(self.token_file)},
            "timing": {
                "poll_interval_s": 0.3,
                "poll_timeout_s": 2.0,
                "confirm_timeout_s": 2.0,
                "watch_interval_s": 1.0,
                "create_retry_s": 0.3,
            },
        }
        self.write(**sections)
        self._environment = {**os.environ, "SCO_PAYMASTER_TOKEN": bank.token}
        self._log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, **sections: dict[str, Any]) -> None:
        """The settings, for the next start; a section replaces the one that the bench has by itself."""
        lines = []
        for name, values in (self._defaults | sections).items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        self._settings.write_text("\n".join(lines) + "\n")

    def start(self) -> Self:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sco_payment.cli.main", "serve", "--settings", str(self._settings)],
                env=self._environment,
                stderr=log,
            )
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return self
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(90)
            self._process = None

    def freeze(self, frozen: bool) -> None:
        """SIGSTOP, SIGCONT: it accepts connections and never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else '"' + str(value).replace('"', '\\"') + '"'


class Steps(HttpFaults):
    """The wire between till and service. Each request is a named step, such as `PUT payments/ID#1`."""

    FORBIDDEN = b'{"status": 403, "code": "forbidden", "detail": "not now", "retry": false}'
    NO_JOURNAL = b'{"status": 503, "code": "journal_unavailable", "detail": "disk full", "retry": true}'

    def __init__(self, server: str) -> None:
        self.seen: list[str] = []
        self.plan: dict[str, str | Callable[[], None]] = {}
        """By step: `lost`, `unanswered`, `doubled`, `late`, `forbidden`, `no journal` (the service acts on the request,
        and says that its journal fails); by step with ` before` or ` after`: a call."""
        self._counts: Counter[str] = Counter()
        self._restarts: list[threading.Timer] = []
        super().__init__(server)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(WAIT_S)
            request = _read(client)
            if request is None:
                return
            host = f"Host: {self._server[0]}:{self._server[1]}".encode("ascii")
            request = _Request(re.sub(rb"(?im)^host:.*?(?=\r|$)", host, request.head), request.body)
            step = self._step(request)
            self._call(f"{step} before")
            fault = self.plan.get(step)
            if fault == "lost":
                _reset(client)
                return
            if fault == "forbidden":
                client.sendall(_response("403 Forbidden", self.FORBIDDEN, kind="application/problem+json"))
                return
            if fault == "late":
                # The client has given up, and the request comes all the same.
                threading.Timer(6.0, self._later, (request,)).start()
                self._closed.wait(5.5)
                return
            answer = self._ask(request)
            if fault == "doubled":
                answer = self._ask(request)
            self._call(f"{step} after")
            if fault == "unanswered":
                _reset(client)
                return
            if fault == "no journal":
                answer = _response("503 Service Unavailable", self.NO_JOURNAL, kind="application/problem+json")
            client.sendall(answer)

    def restart_service_in_s(self, delay_s: float, service: LaneService) -> None:
        """A service manager brings a killed service back."""
        self._restarts.append(threading.Timer(delay_s, service.start))
        self._restarts[-1].start()

    def close(self) -> None:
        super().close()
        for restart in self._restarts:
            restart.join()

    def _later(self, request: _Request) -> None:
        with contextlib.suppress(OSError):
            self._ask(request)

    def _step(self, request: _Request) -> str:
        method = request.head.split(b" ", 1)[0].decode("ascii")
        path = request.target.split("?")[0].removeprefix("/v1/")
        name = f"{method} {re.sub(r'^payments/[^/]+', 'payments/ID', path)}"
        with self._mutex:
            self._counts[name] += 1
            step = f"{name}#{self._counts[name]}"
            self.seen.append(step)
        return step

    def _call(self, moment: str) -> None:
        what = self.plan.pop(moment, None)
        if callable(what):
            what()


class Bench:
    """A till, a lane and a bank."""

    def __init__(self, folder: Path, script: str = "leaves", started: bool = True, **sections: dict[str, Any]) -> None:
        self.folder = folder
        self.bank = BenchPayMaster(script=script)
        self.bank.start()
        self.service = LaneService(folder / "lane", self.bank, **sections)
        if started:
            self.service.start()
        self.wire = Steps(self.service.base_url)
        self.tills: list[Till] = []
        self.settings: dict[str, str] = {}

    def till(self, **settings: str) -> Till:
        """Start the till, again if there was one; it has what it had stored."""
        self.settings |= settings
        options = {
            "paymaster.service": self.wire.base_url,
            "paymaster.token_file": str(self.service.token_file),
            "paymaster.state_file": str(self.folder / "till" / "payments"),
        }
        self.tills.append(Till(self.folder / "till", **(options | self.settings)))
        return self.tills[-1]

    def sell(self, till: Till, number: int = 58, total: str = "125.50", **fields: str) -> None:
        """A receipt with goods in it, and the customer chooses the payment type."""
        till.ask("receipt", number=number, total=total)
        till.send("pay", **fields)

    def pay(self, link: str) -> None:
        """The customer's bank app pays what is on the screen."""
        self.bank.phone.pay(link)

    def settled(self) -> list[BankPayment]:
        """What the bank has the money of."""
        return [payment for payment in self.bank.payments if payment.status == "Settled"]

    def stored(self) -> dict[str, str]:
        """What the till has stored of ours and not annulled: the acquirer's id -> roubles."""
        text = (self.folder / "till" / "receipt").read_text()
        lines = [line.replace("\\:", ":") for line in text.splitlines() if "=" in line]
        fields = dict(line.split("=", 1) for line in lines)
        found = {}
        for at in range(len(fields)):
            is_ours = fields.get(f"payment{at}.plugin") == PLUGIN and fields.get(f"payment{at}.annulled") != "true"
            if is_ours and fields.get(f"payment{at}.sum") != "0.00":  # what a turn without a payment has left
                found[fields[f"payment{at}.data.paymaster.payment_id"]] = fields[f"payment{at}.sum"]
        return found

    def check_money(self) -> None:
        """Goods only for money, money never without goods or a case, one cancellation at most.

        Of the receipts the till keeps the last one; a payment of one before must be taken.
        """
        if self.tills and self.tills[-1].alive:
            self.tills[-1].idle()
        stored = self.stored()
        cases = {case["payment_id"] for case in self.cases()}
        for payment in self.bank.payments:
            assert payment.cancel_requests <= 1, f"payment {payment.id} was cancelled {payment.cancel_requests} times"
        settled = {payment.id: payment for payment in self.settled()}
        for payment_id, roubles in stored.items():
            assert payment_id in settled, f"goods were given for {payment_id}, which is not paid"
            assert settled[payment_id].kopecks == round(float(roubles) * 100)
        for payment_id in settled.keys() - stored.keys() - cases:
            order = settled[payment_id].invoice["orderNo"]
            known = [
                one for one in self.get(f"/v1/payments?order={order}")["payments"] if one["payment_id"] == payment_id
            ]
            assert known[0]["taken"], f"payment {payment_id} is paid: no receipt has it, and there is no case"

    def get(self, path: str) -> Any:
        """What the service says, past the wire's faults."""
        return self._ask("GET", path, None)

    def post(self, path: str, **body: object) -> Any:
        """What another program of the till tells the service."""
        return self._ask("POST", path, body)

    def put(self, path: str, **body: object) -> Any:
        """The same, with PUT."""
        return self._ask("PUT", path, body)

    def _ask(self, method: str, path: str, body: dict[str, object] | None) -> Any:
        token = self.service.token_file.read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.service.base_url + path, data, headers, method=method)
        until = time.monotonic() + WAIT_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                    return json.load(answer)
            except urllib.error.URLError:  # it is being started again
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def cases(self) -> list[dict[str, Any]]:
        """All open cases."""
        found: list[dict[str, Any]] = self.get("/v1/cases")["cases"]
        return found

    def wait_for_cases(self) -> list[dict[str, Any]]:
        """All open cases, as soon as there is one: the plugin sees to a payment of before in the background."""
        until = time.monotonic() + 60
        while not (found := self.cases()) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def close(self) -> None:
        for till in self.tills:
            till.kill()
        self.wire.close()
        self.service.kill()
        self.bank.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        for till in self.tills:
            till.check()


def wait_for(holds: Callable[[], bool]) -> None:
    """Until it does."""
    until = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def settle(bench: Bench, till: Till) -> None:
    """The till goes on living: whatever it owes the lane is settled."""
    till.ask("available")
    until = time.monotonic() + 20
    state = bench.folder / "till" / "payments"
    while state.read_text() and time.monotonic() < until:
        time.sleep(0.3)
        till.ask("available")
    assert not state.read_text(), state.read_text() + till.report()


def needs_java() -> bool:
    """Whether a JDK is missing here."""
    return shutil.which("javac") is None


TEXTS = RUSSIAN
