"""One lane as a service: its payments, screen and journal behind one address. `Service` puts the parts together."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sco_payment.assemble import open_lane
from sco_payment.attempt import Message
from sco_payment.customer.ui import LaneUI
from sco_payment.events import Observer, null_observer
from sco_payment.journal import Journal, JournalError
from sco_payment.package import version
from sco_payment.runtime import Runtime, ThreadRuntime
from sco_payment.settings import ServiceSettings, Settings
from sco_service.http import Limits, Server
from sco_service.pages import Pages
from sco_service.payments import Payments
from sco_service.problems import problem
from sco_service.records import Records
from sco_service.resources import Resources
from sco_service.routing import Router
from sco_service.screen import ScreenHub
from sco_service.security import Clients, Doorkeeper, Pins

if TYPE_CHECKING:
    import ssl

    from sco_payment.fleet.agent import Agent
    from sco_payment.fleet.settings import SettingsFromFleet

log = logging.getLogger(__name__)

STALLED_S = 30.0
"""Overdue for so long, the lane or the service counts as hanging."""
_STOP_S = 60.0  # for the acquirer's answer to a cancellation; all of `close` is shorter than systemd's TimeoutStopSec


class ServiceError(ValueError):
    """The service cannot be started with these settings."""


class Service:
    """A lane that listens.

    Args:
        settings: validated settings.
        ui: the lane's screen, instead of the one on `devices.screen`.
        also_show_on: further screens.
        observer: receives the lane's events.
        runtime: time and threads.
        token: the acquirer's credential.
        pages: for browsers.
        limits: what clients can make it hold.
        new_settings: takes settings from the fleet.
        restart: called once, when new settings wait and there is no customer: no payment may begin any more.

    Raises:
        ServiceError: the address, a token, a PIN or a certificate cannot be used. JournalError, ValueError: as of
            `open_lane`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ui: LaneUI | None = None,
        also_show_on: tuple[LaneUI, ...] = (),
        observer: Observer = null_observer,
        runtime: Runtime[Message] | None = None,
        token: object | None = None,
        pages: Pages | None = None,
        limits: Limits | None = None,
        new_settings: SettingsFromFleet | None = None,
        restart: Callable[[], None] = lambda: None,
    ) -> None:
        own = settings.service
        self.settings = settings
        runtime = ThreadRuntime() if runtime is None else runtime
        self._started_at_ms = runtime.now()
        self._agent: Agent | None = None
        self._new_settings, self._restart = new_settings, restart
        self._server: Server | None = None
        if not own.clients:
            raise ServiceError(
                "service.clients is empty, so that nobody could use the service: write [service.clients.till] with "
                'role = "till" and token_file = "till.token"'
            )
        files = {name: (client["role"], client["token_file"]) for name, client in own.clients.items()}
        try:
            clients, pins = Clients(files), Pins(own.operators_file)
        except ValueError as error:
            raise ServiceError(f"service: {error}") from None
        tls = _tls(own)
        with ExitStack() as opened:
            self._listening = opened.enter_context(contextlib.closing(_bound(own.listen)))
            self.screen = ScreenHub(
                settings.lane.language, settings.lane.result_s, self.changed, self._till_id, self._leave_screen
            )
            self.lane = open_lane(
                settings,
                ui=ui,
                also_show_on=(self.screen, *also_show_on),
                observer=observer,
                runtime=runtime,
                token=token,
            )
            opened.callback(self.lane.close)
            self.lane.journal.announce(self.url)
            self.records = Records(Journal(settings.journal.path, read_only=True), runtime.wall)
            opened.callback(self.records.close)
            self.payments = Payments(self.lane, self.records, self.changed, self._tick)
            resources = Resources(
                self.lane,
                records=self.records,
                payments=self.payments,
                screen=self.screen,
                pins=pins,
                health=self,
                pages=Pages() if pages is None else pages,
            )
            host, port = _address(own.listen)[0], self.port
            doorkeeper = Doorkeeper((host, *own.host_names.split()), port)
            router = Router(resources.routes(), clients, doorkeeper, screen_without_token=own.screen_without_token)
            self._server = Server(self._listening, router, problem, tls=tls, limits=limits)
            if settings.fleet.url:  # a lane without a fleet loads nothing for one
                self._agent = importlib.import_module("sco_payment.fleet.agent").Agent(
                    settings, self.health, new_settings
                )
            self.lane.journal.on_commit = self._committed
            opened.pop_all()

    # --- life -------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        """By which this machine reaches it."""
        host = _address(self.settings.service.listen)[0]
        scheme = "https" if self.settings.service.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def start(self) -> None:
        """Watch open attempts and devices, take payments, and answer."""
        assert self._server is not None
        self.lane.run_pending()  # what a crash left is a case before any till can read it as paid and in order
        self.lane.start()
        self.payments.start()
        self._listening.listen(128)
        self._server.start()
        if self._agent is not None:
            self._agent.start()
        log.info("the lane listens on %s", self.url)

    def is_alive(self) -> bool:
        """For a watchdog: whether the lane's loop, the payments' thread and the server turn."""
        assert self._server is not None
        self._server.wake()
        return (
            self.lane.stalled_for_s() < STALLED_S
            and self._server.stalled_for_s() < STALLED_S
            and (self.payments.is_alive() or self.payments.stopping)
        )

    def close(self) -> None:
        """Cancel the payment under way and wait for its outcome; answer meanwhile. Then close everything."""
        with ExitStack() as closing:  # the last one named is the first one closed
            closing.callback(self.records.close)
            closing.callback(self.lane.close)
            if self._server is not None:
                closing.callback(self._server.close)
            if self._agent is not None:
                closing.callback(self._agent.close)
            self.payments.stop(_STOP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _committed(self) -> None:
        self.changed()
        if self._agent is not None:
            self._agent.wake()

    def changed(self) -> None:
        """Something happened that a waiting client may wait for."""
        if self._server is not None:
            self._server.wake()

    def _till_id(self, attempt: str) -> str | None:
        try:
            return self.records.till_id(attempt)
        except JournalError:
            return None

    def _leave_screen(self, attempt: str) -> None:
        self.lane.show_idle(attempt)

    def _tick(self) -> None:
        self.screen.idle_if_due(self._case_is_open)
        new = self._new_settings
        if new is not None and new.is_waiting and self.screen.is_idle and self.payments.stop_if_idle():
            self._new_settings = None
            self._restart()

    def _case_is_open(self, number: int) -> bool:
        try:
            return self.records.journal.case(number).closed_at_ms is None
        except JournalError:
            return True

    # --- health -----------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Why the lane can take no payment now."""
        found = []
        if self.payments.stopping:
            found.append("the lane is stopping")
        elif not self.payments.is_alive():
            found.append("no payments are taken: see the service's log")
        if self.lane.stalled_for_s() >= STALLED_S:
            found.append(f"the lane's loop is overdue by {self.lane.stalled_for_s():.0f} s")
        if not self.lane.health().recording:
            found.append("the journal could not be written: check the disk")
        try:
            self.records.journal.head()
        except JournalError as error:
            found.append(str(error))
        return found

    def health(self) -> dict[str, Any]:
        """The lane, as the contract has it."""
        lane, health = self.settings.lane, self.lane.health()
        seq, _, digest = self.records.journal.head().partition(":")
        return {
            "version": version(),
            "lane_id": lane.pos_id,
            "profile": lane.profile,
            "mode": self.settings.mode.value,
            "language": lane.language,
            "attendant_language": self.settings.service.attendant_language,
            "settings_hash": settings_hash(self.settings),
            "started_at_ms": self.records.wall_ms(self._started_at_ms),
            "now_ms": time.time_ns() // 1_000_000,
            "clock_ahead_s": None if health.clock_ahead_s is None else round(health.clock_ahead_s, 3),
            "last_acquirer_contact_ms": self._last_contact_ms(),
            "devices": [asdict(device) for device in health.devices],
            "tag": None
            if health.tag is None
            else {
                "disabled": health.tag.disabled,
                "needs_attendant": health.tag.needs_attendant,
                "problem": None if health.tag.reason is None else str(health.tag.reason),
            },
            "open_cases": len(self.records.journal.cases()),
            "payment": self.payments.under_way,
            "journal": {
                "path": str(Path(self.settings.journal.path).absolute()),
                "last_seq": int(seq or 0),
                "last_hash": digest,
            },
        }

    def _last_contact_ms(self) -> int | None:
        at_ms = self.lane.health().last_contact_ms
        return None if at_ms is None else self.records.wall_ms(at_ms)

    def metrics(self) -> str:
        """Prometheus's text format (0.0.4)."""
        assert self._server is not None
        health = self.lane.health()
        seq = self.records.journal.head().partition(":")[0]
        lines: list[str] = []

        def gauge(name: str, help_text: str, values: Sequence[tuple[str, float]], kind: str = "gauge") -> None:
            lines.extend([f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"])
            lines.extend(f"{name}{labels} {value:g}" for labels, value in values)

        counts = dict(self._server.counts)
        statuses = [(f'{{status="{name}"}}', value) for name, value in sorted(counts.items()) if name.isdecimal()]
        gauge("sco_up", "Whether the lane can take payments.", [("", not self.problems())])
        gauge("sco_payment_under_way", "Whether a payment is under way.", [("", self.payments.under_way is not None)])
        gauge("sco_open_cases", "Cases that an attendant must decide.", [("", len(self.records.journal.cases()))])
        gauge("sco_journal_rows", "Number of the journal's last row.", [("", int(seq or 0))], "counter")
        gauge("sco_lane_stalled_seconds", "For how long the lane's loop is overdue.", [("", self.lane.stalled_for_s())])
        if (contact_ms := self._last_contact_ms()) is not None:
            text = "The acquirer's last answer."
            gauge("sco_acquirer_contact_timestamp_seconds", text, [("", contact_ms / 1000)])
        if health.clock_ahead_s is not None:
            text = "By how much the acquirer's clock is ahead."
            gauge("sco_acquirer_clock_ahead_seconds", text, [("", health.clock_ahead_s)])
        if self._agent is not None:
            gauge("sco_fleet_rows", "The last row that the fleet has.", [("", self._agent.acknowledged_row)], "counter")
            contact_s = (self._agent.contact_ms or 0) / 1000
            gauge("sco_fleet_contact_timestamp_seconds", "The fleet's last answer.", [("", contact_s)])
            text = "Whether the fleet has rows that the journal lacks."
            gauge("sco_fleet_ahead", text, [("", bool(self._agent.behind))])
        devices = [(f'{{kind="{one.kind}",state="{one.state}"}}', 1) for one in health.devices]
        gauge("sco_device", "State of each device.", devices)
        gauge("sco_http_connections", "Connections of clients.", [("", self._server.connected)])
        gauge("sco_http_waiting", "Clients that wait for an event.", [("", self._server.waiting)])
        gauge("sco_http_responses_total", "Answers by status.", statuses, "counter")
        gauge("sco_http_accepted_total", "Connections accepted.", [("", counts.get("connections", 0))], "counter")
        return "\n".join(lines) + "\n"


def settings_hash(settings: Settings) -> str:
    """A short name for exactly these settings; no secret is in them."""
    text = json.dumps(asdict(settings), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _bound(listen: str) -> socket.socket:
    """A socket that is bound and does not listen yet: nobody can connect before the lane is ready."""
    host, port = _address(listen)
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise ServiceError(
            f"service.listen = {listen}: {error.strerror}: two lanes on one machine need two ports"
        ) from None
    return found


def _tls(own: ServiceSettings) -> ssl.SSLContext | None:
    if not own.tls_certificate:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if Path(own.tls_key).stat().st_mode & 0o077:
            raise ServiceError(f"service.tls_key: others may read {own.tls_key}: chmod 600 {own.tls_key}")
        context.load_cert_chain(own.tls_certificate, own.tls_key)
    except (OSError, ssl.SSLError) as error:
        files = f"{own.tls_certificate}, {own.tls_key}"
        raise ServiceError(f"service.tls_certificate, service.tls_key: {files}: {error}") from None
    return context
