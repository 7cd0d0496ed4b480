"""A payment through the lane's service (`sco-pay serve`): what `sco-pay pay --service` does, as any till would.

Nothing is decided here. A request that is not answered is sent again as it is: the same id is the same payment.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import click

from sco_payment.attempt import EndReason, Outcome, Phase, View
from sco_payment.cli.ends import UNKNOWN, discard_output, fail, when_broken
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import OUTCOME_STATUS, outcome_json, outcome_text
from sco_payment.cli.terminal import JsonLines, Lines, TerminalUI, draws
from sco_payment.customer.ui import Button, ScreenState
from sco_payment.events import (
    CaseOpened,
    LaneEvent,
    LinkAccepted,
    NoteAdded,
    Observer,
    StateChanged,
)
from sco_payment.order import Order, Result
from sco_payment.paymaster.token import Token, TokenError
from sco_payment.settings import SERVICE_TOKEN_VARIABLE
from sco_payment.tls import client_context

_CONNECT_S = 3.0
_READ_S = 70.0  # longer than any wait of the service
_WAIT_S = 25
_PATIENCE_S = 120.0  # without an answer: a service that restarts is back long before
_BETWEEN_TRIES_S = 0.5
_REFUSED = ("id_conflict", "lane_busy", "order_paid", "order_open")
_NOT_LOOKED_AT = ("unauthorized", "forbidden", "timeout", "too_many_connections")
"""Refusals that say nothing of an earlier request with the same id."""
Json = dict[str, Any]


class Refused(Exception):
    """The service refuses a request: its problem."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{problem.get('code')}: {problem.get('detail')}")
        self.code = str(problem.get("code"))
        self.retry = bool(problem.get("retry"))
        self.nothing_done = bool(problem.get("nothing_done"))


class Unreachable(Exception):
    """No answer; `sent` is whether a request may have arrived."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Remote:
    """A client of a lane's service.

    Args:
        url: the service's address.
        token: of a client with the role till.
        ca_file: certificate authorities for https; the system's by default.

    Raises:
        ValueError: the address cannot be used.
    """

    def __init__(self, url: str, token: Token, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url!r} is not a service address; write e.g. http://127.0.0.1:8723")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(f"{url}: plain http is allowed only to this machine; write https")
        self._host, self._port = parts.hostname, parts.port
        self._context = client_context(ca_file) if parts.scheme == "https" else None
        self._token = token
        self.url = url

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """One request.

        Raises:
            Refused: the service answered with a problem. Unreachable: it gave no answer.
        """
        line = self._connection()
        sent = False
        try:
            try:
                line.connect()
                line.timeout = _READ_S
                if line.sock is not None:
                    line.sock.settimeout(_READ_S)
                sent = True
                head = {"Authorization": self._token.header(), "Accept": "application/json"}
                data = None if body is None else json.dumps(body).encode()
                if data is not None:
                    head["Content-Type"] = "application/json"
                line.request(method, path, data, head)
                answer = line.getresponse()
                found = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Unreachable(f"{self.url}: {error or type(error).__name__}", sent=sent) from None
        finally:
            line.close()
        if not isinstance(found, dict):
            raise Unreachable(f"{self.url}: not a lane's service", sent=sent)
        if answer.status >= 300:
            raise Refused(found)
        return found

    def ask_again(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """As `ask`, again and again while there is no answer: for requests that may be repeated, as all of them may."""
        until = time.monotonic() + _PATIENCE_S
        sent = False
        while True:
            try:
                return self.ask(method, path, body)
            except Unreachable as error:
                sent = sent or error.sent
                if time.monotonic() > until or (method == "PUT" and not sent):
                    raise Unreachable(str(error), sent=sent) from None
            except Refused as error:
                sent = sent or not error.nothing_done
                if not error.retry or error.code in _REFUSED or time.monotonic() > until:
                    error.nothing_done &= not (sent and error.code in _NOT_LOOKED_AT)
                    raise
            time.sleep(_BETWEEN_TRIES_S)

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=_CONNECT_S, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_S)


def open_remote(url: str, token_file: str | None, ca_file: str | None) -> Remote:
    """A client, or exit with what is wrong with the arguments."""
    try:
        token = Token.from_file(token_file) if token_file else Token.from_environment(SERVICE_TOKEN_VARIABLE)
    except TokenError as error:
        fail(f"the service's token: {error}; give --token-file, or {SERVICE_TOKEN_VARIABLE} in the environment")
    try:
        return Remote(url, token, ca_file)
    except (ValueError, OSError) as error:
        fail(str(error))


def pay_remotely(remote: Remote, till_id: str, order: Order, *, as_json: bool) -> int:
    """Take a payment through the service, report it as `sco-pay pay` does, and return the exit status."""
    path = f"/v1/payments/{quote(till_id, safe='')}"
    live = draws(sys.stderr) and not as_json
    json_lines = JsonLines(sys.stdout) if as_json else None
    over = threading.Event()
    when_broken(ExitStatus.UNKNOWN, UNKNOWN)
    with _cancel_on_signals(remote, path) as cancel_if_asked:
        begun = _begin(remote, path, order)
        cancel_if_asked()  # before the payment was begun there was nothing to cancel
        terminal = _terminal(remote) if live else None
        with terminal or contextlib.nullcontext():
            if terminal is not None:
                mirror = (remote, terminal, begun["attempt"], over)
                threading.Thread(target=_mirror, args=mirror, name="sco-screen", daemon=True).start()
            try:
                payment = _follow(remote, path, json_lines, terminal or Lines(sys.stderr))
            finally:
                over.set()
        result = _result(payment)
        _print(result, json_lines)
        when_broken(_status(result), "")
        try:
            taken = _result(remote.ask_again("POST", f"{path}/taken", {}))
        except (Refused, Unreachable) as error:
            click.echo(f"sco-pay: the service does not know that the outcome was taken: {error}", err=True)
        else:
            if taken.case != result.case:  # the service has waited too long, or has started again
                result = taken
                _print(result, json_lines)
    return _status(result)


def _status(result: Result) -> int:
    assert result.outcome is not None
    if result.outcome is Outcome.PAID and result.case is not None:
        return ExitStatus.UNKNOWN
    return OUTCOME_STATUS[result.outcome]


def _print(result: Result, json_lines: JsonLines | None) -> None:
    try:
        if json_lines is not None:
            json_lines.write("outcome", outcome_json(result))
        else:
            click.echo(outcome_text(result))
    except OSError as error:
        discard_output(sys.stdout)
        fail(f"the outcome could not be printed ({error.strerror}); see `sco-pay cases`", ExitStatus.UNKNOWN)


def _terminal(remote: Remote) -> TerminalUI:
    try:
        language = remote.ask_again("GET", "/v1/screen")["language"]
    except (Refused, Unreachable):
        language = "ru"
    return TerminalUI(language=language, keyboard=sys.stdin.isatty())


def _begin(remote: Remote, path: str, order: Order) -> Json:
    body = {
        "order": order.number,
        "total_kopecks": order.kopecks,
        "leg_kopecks": order.leg_kopecks,
        "tendered_elsewhere_kopecks": order.tendered_elsewhere,
        "tendered_by_sbp_kopecks": order.tendered_by_sbp,
    }
    try:
        return remote.ask_again("PUT", path, body)
    except Refused as error:
        if not error.nothing_done:
            _lost(error, path)
        late = ExitStatus.UNREACHABLE if error.retry else ExitStatus.WRONG_USAGE
        fail(str(error), ExitStatus.REFUSED if error.code in _REFUSED else late)
    except Unreachable as error:
        if not error.sent:
            fail(f"{error}; nothing was sent", ExitStatus.UNREACHABLE)
        _lost(error, path)


def _lost(error: Exception, path: str) -> NoReturn:
    till_id = path.rpartition("/")[2]
    fail(
        f"{error}\nThe outcome is unknown; ask again with the same --id {till_id}, or see `sco-pay cases`.",
        ExitStatus.UNKNOWN,
    )


def _follow(remote: Remote, path: str, json_lines: JsonLines | None, observe: Observer) -> Json:
    """Report the events until there is an outcome, as JSON or to `observe`; the payment then."""
    after = 0
    try:
        while True:
            page = remote.ask_again("GET", f"{path}/events?after={after}&wait_s={_WAIT_S}")
            after = page["next_after"]
            for event in page["events"]:
                if json_lines is None:
                    if (known := _event(event)) is not None:
                        observe(known)
                elif event["type"] not in ("outcome_reached", "outcome_taken"):
                    own = {name: value for name, value in event.items() if name not in ("type", "at_ms")}
                    json_lines.write(event["type"], {"time_ms": event["at_ms"], **own})
            payment = remote.ask_again("GET", path)
            if payment["outcome"] is not None:
                return payment
    except (Refused, Unreachable) as error:
        _lost(error, path)


def _event(data: Json) -> LaneEvent | None:
    """The lane's own event, for those that a terminal shows."""
    attempt = data["attempt"]
    match data["type"]:
        case "state_changed":
            return StateChanged(
                attempt=attempt,
                order_no=data["order"],
                phase=Phase(data["phase"]),
                payment_id=data["payment_id"],
                expires_at_ms=data["expires_at_ms"],
            )
        case "link_accepted":
            return LinkAccepted(attempt=attempt, link=data["link"], verified=data["verified"])
        case "note_added":
            return NoteAdded(attempt=attempt, text=data["text"])
        case "case_opened":
            return CaseOpened(attempt=attempt, order_no=data["order"], case=data["case"])
        case _:
            return None


def _result(payment: Json) -> Result:
    return Result(
        outcome=Outcome(payment["outcome"]),
        reason=EndReason(payment["reason"]),
        case=payment["case"],
        key=payment["attempt"],
        payment_id=payment["payment_id"],
        order_no=payment["order"],
        kopecks=payment["amount_kopecks"],
        phase=Phase(payment["phase"]),
        presented=payment["presented"],
        detail=payment["detail"],
    )


def _mirror(remote: Remote, terminal: TerminalUI, attempt: str, over: threading.Event) -> None:
    """Show the lane's screen of this payment in the terminal."""

    def choose(chosen: str, button: str) -> bool:
        try:
            remote.ask("POST", f"/v1/payments/{chosen}/choice", {"button": button})
        except (Refused, Unreachable):
            return False
        return True

    terminal.bind(choose)
    version = 0
    while not over.is_set():
        try:
            screen = remote.ask("GET", f"/v1/screen?after={version}&wait_s=5")
        except (Refused, Unreachable):
            over.wait(1.0)
            continue
        version = screen["version"]
        if screen["attempt"] == attempt and not over.is_set():
            terminal.show(_screen_state(screen, screen["language"]))


def _screen_state(screen: Json, language: str) -> ScreenState:
    texts = screen["texts"][language]
    ahead_ms = round(time.time() * 1000) - screen["now_ms"]
    expires_at_ms = screen["expires_at_ms"]
    return ScreenState(
        View(screen["view"]),
        texts["headline"],
        tuple(texts["lines"]),
        amount_kopecks=screen["amount_kopecks"],
        link=screen["link"],
        expires_at_ms=None if expires_at_ms is None else expires_at_ms + ahead_ms,
        case=screen["case"],
        buttons=tuple(Button(one["id"], one["text"][language], one["primary"]) for one in screen["buttons"]),
        attempt=screen["attempt"],
        plate=screen["plate"],
    )


@contextlib.contextmanager
def _cancel_on_signals(remote: Remote, path: str) -> Iterator[Callable[[], None]]:
    """Ctrl-C, SIGTERM and a closed terminal cancel the payment at the service; its outcome is waited for.

    Yields what cancels it again if one of them has come.
    """
    came: list[int] = []

    def cancel() -> None:
        with contextlib.suppress(Refused, Unreachable):
            if came:
                remote.ask_again("POST", f"{path}/cancel", {})

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        threading.Thread(target=cancel, daemon=True).start()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before: dict[int, Callable[..., Any] | int | None] = {
        number: signal.signal(number, interrupt) for number in numbers
    }
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
