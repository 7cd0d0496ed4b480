"""One seed: a shop with one lane, its till, its customers, and all that may go wrong there."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import urllib3.util.connection

from sco_drivers.printer.memory import Memory
from sco_drivers.registry import BACKENDS
from sco_drivers.screen import Scene
from sco_drivers.tap import Tap
from sco_payment import attempt as m
from sco_payment.assemble import open_lane
from sco_payment.attempt import Message
from sco_payment.customer import ui
from sco_payment.events import LaneEvent
from sco_payment.journal import JournalError, codec, resolutions
from sco_payment.lane import Lane
from sco_payment.money import format_amount
from sco_payment.order import Order, PaymentRefused, Result
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.paymaster import NothingToPay, PayMasterSimulator, Phone
from sco_sim.paymaster.bank import BankPayment
from tests.verification.clock import US, Clock, Killed, PatchedThreading, PatchedTime, SimulatedRuntime, Task
from tests.verification.simulate import devices
from tests.verification.simulate.audit import Audit
from tests.verification.simulate.bank import HarshBank
from tests.verification.simulate.devices import PrinterOnDesk, ReaderOnDesk, ScreenOnDesk
from tests.verification.simulate.disk import Disk
from tests.verification.simulate.faults import POWER, Faults, Focus
from tests.verification.simulate.truth import PAYABLE, Truth, Violation
from tests.verification.simulate.wire import Network, Request

TIME = PatchedTime()
THREADING = PatchedThreading()
_SIMULATED = (
    "sco_drivers.printer.escpos",
    "sco_drivers.nfc.uart",
    "sco_payment.lane",
    "sco_payment.loop",
    "sco_payment.customer.display",
    "nfc.clf.pn532",
)
_PRODUCTION = ("sco_payment.", "sco_drivers.", "nfc.clf")
_REAL = ("sco_payment.runtime", "sco_payment.journal", "sco_sim.paymaster", "sco_drivers.sim")
"""Modules that keep the real time and threads: they are not simulated, or never wait."""
MAX_EVENTS = 400_000
"""A run that has not ended by then never will."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a seed. `broken` is the violation, or None."""

    seed: int
    trace_hash: str
    trace: list[str]
    faults: Mapping[str, int]
    events: int
    broken: str | None
    invariant: int | None
    mode: int = 0
    sales: int = 0


class Process:
    """One process of the lane's software."""

    def __init__(self, run: Run) -> None:
        self.alive = True
        self.tasks: list[Task] = []
        self.lane: Lane | None = None
        self.db: sqlite3.Connection | None = None
        self.printer_memory = Memory()
        self.runtime: SimulatedRuntime[Message] = SimulatedRuntime(run.clock, run.wall, self.tasks.append)


class Run:
    """One seed, and all that it simulates."""

    def __init__(self, seed: int, folder: Path, focus: Focus) -> None:
        self.seed = seed
        self._folder = f"{folder}/"
        self.random = Random(seed)
        self.trace: list[str] = []
        self.clock = Clock(Random(self.random.random()))
        self.faults = Faults(Random(self.random.random()), focus)
        self._mode = focus.mode
        random = self.random
        self.skew = 0.0
        if self.faults.strikes("clock skew") or (self.faults.has("clock at boot") and random.random() < 0.7):
            self.skew = random.choice((-1, 1)) * random.choice((5.0, 20.0, 120.0, 900.0, 3600.0, 7200.0, 86400.0))
        self.paymaster = PayMasterSimulator(clock=lambda: self.clock.s)
        self.bank = HarshBank(self.clock, self.faults, self.note)
        self.bank.namesake = self._namesake
        self.paymaster.bank, self.paymaster.phone = self.bank, Phone(self.bank)
        self.network = Network(self.clock, self.faults, self.paymaster, self.note)
        self.disk = Disk(folder, self.clock, self.faults, self.note)
        self.disk.kill = self.kill
        self.printer = PrinterOnDesk(self.clock, self.faults, self.note)
        self.screen = ScreenOnDesk(self.clock)
        self.tap: Callable[[int], None] = lambda nth: None
        self.plate_link: str | None = None
        self.reader: ReaderOnDesk | None = None
        self.settings = self._settings()
        self.truth = Truth(self)
        self.network.sent = self._leaves
        self.network.over = self.truth.over
        self.network.turned_away = self.truth.turned_away
        self.network.alive = lambda: self.process.alive
        self.bank.life_ends = self.truth.life_ends
        self.process = Process(self)
        self.serving: Order | None = None
        self._legs = Random(f"{seed} legs")
        self.orders = [self._new_order(n) for n in range(random.choice((1, 1, 2, 3)))]
        self._all_orders = {order.number: order for order in self.orders}
        self._tries: dict[str, int] = {}
        self._keys = 0
        self._closing = False
        self._customers_until = 1 << 62
        self._has_watcher = random.random() < 0.15
        self._done = False
        self.violation: Violation | None = None
        self.events = 0

    def note(self, text: str) -> None:
        """Add a line to the trace, without the name of the folder, which differs each time."""
        self.trace.append(f"{(self.clock.us - 1_700_000_000 * US) / US:10.3f}  {text}".replace(self._folder, ""))

    def wall(self) -> float:
        """The lane's wall clock."""
        return self.clock.s + self.skew

    # --- set-up ---

    def _settings(self) -> Any:
        random = self.random
        modes = ((0, "static"), (1, "static"), (2, "static"), (2, "dynamic"))
        mode, plate = random.choice([one for one in modes if self._mode in (None, one[0])])
        document: dict[str, dict[str, Any]] = {
            "lane": {"pos_id": "KSO-7", "shop": "Магазин у дома", "profile": "4:3"},
            "paymaster": {"base_url": "http://127.0.0.1:8480", "merchant_id": self.paymaster.merchant_id},
            "display": {"mode": mode, "plate": plate, "qr_with_plate": random.random() < 0.7},
            "devices": {"screen": "simulate://screen", "touch": "simulate://touch"},
            "timing": {
                "invoice_life_s": random.choice((60.0, 120.0, 300.0)),
                "poll_timeout_s": random.choice((10.0, 30.0, 90.0)),
                "grace_s": random.choice((60.0, 300.0)),
                "overdue_days": random.choice((0.0, 0.005, 7.0)),
            },
            "dialog": {"again": random.random() < 0.3, "poll_while_shown": random.random() < 0.8},
            "journal": {"path": str(self.disk.path)},
        }
        shown, tag_uri = document["display"], ""
        if mode == 0:
            document["devices"]["printer"] = "simulate://printer"
        if mode == 2 and plate == "static":
            sticker = self.bank.add_sticker(description="plate")
            shown |= {"sticker_id": sticker.id, "plate_link": sticker.payload}
            tag_uri = self.plate_link = sticker.payload
        if mode == 2 and (plate == "dynamic" or random.random() < 0.6):
            self.reader = ReaderOnDesk(VirtualTag(uri=tag_uri), self.faults, self.note)
            document["devices"] |= {"nfc": "simulate://nfc", "nfc_uid": self.reader.the_tag.uid.hex()}
        self.note(
            f"settings: mode {mode} {plate}, {document['timing']}, {document['dialog']}, clock off by {self.skew:g} s"
        )
        self.note(f"faults: {', '.join(f'{kind} {rate:g}' for kind, rate in sorted(self.faults.rates.items()))}")
        return settings_from_mapping(document, {TOKEN_VARIABLE: self.paymaster.token})

    def _new_order(self, n: int) -> Order:
        kopecks = self.random.randrange(100, 1_000_000)
        mixed = self.settings.mode is m.Mode.SCREEN and self.random.random() < 0.3
        return self._with_leg(Order(f"A-{n + 1}", kopecks, self.random.randrange(1, kopecks) if mixed else 0))

    def _with_leg(self, order: Order) -> Order:
        """Perhaps SBP is to pay only a part of what the order lacks."""
        partly = self.settings.mode is m.Mode.SCREEN and order.lacking_kopecks > 1 and self._legs.random() < 0.4
        return replace(order, leg_kopecks=self._legs.randrange(1, order.lacking_kopecks) if partly else None)

    def order_of(self, number: str) -> Order:
        """The order with the leg that is to be paid next."""
        return self._all_orders[number]

    # --- the lane's process ---

    def start(self) -> None:
        """Start the lane's software on the journal as it is on the disk."""
        self.process = Process(self)
        if not self._done:
            self.note(f"till: starts, its clock is {self.wall() - self.clock.s:+.0f} s off")
            self.process.tasks.append(self.clock.spawn("till", partial(self._till, self.process)))

    def _open(self, process: Process) -> Lane:
        settings = replace(self.settings, journal=replace(self.settings.journal, path=str(self.disk.path)))
        lane = open_lane(settings, observer=self._observed, runtime=process.runtime, token=Token(self.paymaster.token))
        lane._new_key = self._new_key
        process.db = lane.journal._db
        lane.journal._db = self.disk.wrap(process.db, lambda: process.alive)
        process.lane = lane
        return lane

    def _new_key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def _observed(self, event: LaneEvent) -> None:
        data = event.as_json()
        try:
            self.truth.observed(event)
        except Violation as violation:  # the lane goes on without an observer that fails
            self.violation = violation
        hidden = ("event", "seq", "time_ms", "expires_at_ms")
        self.note(
            f"lane: {data['event']} " + " ".join(f"{key}={value}" for key, value in data.items() if key not in hidden)
        )

    def kill(self, why: str) -> None:
        """Kill the process; the next one starts after a while."""
        process = self.process
        if not process.alive:
            return
        self.note(f"POWER: the process is killed {why}")
        self.disk.power_cut()
        process.alive = process.runtime.alive = False
        self.tap = lambda nth: None
        self.serving = None
        for task in process.tasks:
            self.clock.at(self.clock.us, task.kill)
        off_s = self.faults.random.choice((0.5, 5.0, 60.0, 400.0))
        if self.faults.strikes("long outage"):
            off_s = self.faults.random.choice((1800.0, 7200.0))
        self._set_clock(off_s)
        self.clock.after(off_s, self.start)
        if process.lane is not None:
            self.clock.after(0.01, partial(_let_go, process.lane))

    def _set_clock(self, off_s: float) -> None:
        """What becomes of the wall clock before a process that was killed starts again."""
        if not self.faults.strikes("clock at boot"):
            return
        random = self.faults.random
        hour = random.choice((-1, 1)) * random.choice((60.0, 700.0, 3600.0, 5400.0))
        self.skew = random.choice((0.0, 0.0, self.skew + hour, self.skew - off_s))  # right, wrong, stood still

    # --- the till ---

    def _till(self, process: Process) -> None:
        lane = None
        while lane is None:
            try:
                lane = self._open(process)
            except JournalError as error:
                self.note(f"till: {error}")
                self.clock.sleep(5.0)
        if self.random.random() < 0.3:
            try:
                lane.recover()
            except JournalError as error:
                self.note(f"till: recover: {error}")
        if self._has_watcher:
            lane.start()  # the lane's own thread, parallel to the till
        while not self._done:
            self._idle(lane, self.random.choice((0.5, 3.0, 20.0)))
            if self.orders and not self._closing:
                self._serve(lane, self.orders.pop(0))

    def _idle(self, lane: Lane, seconds: float) -> None:
        end = self.clock.us + round(seconds * US)
        while self.clock.us < end and not self._done:
            lane.run_pending()
            self.clock.sleep(2.0)

    def _serve(self, lane: Lane, order: Order) -> None:
        self.note(
            f"till: takes {order.due_kopecks} of {order.kopecks} for {order.number}; paid by other means: "
            f"{order.tendered_elsewhere}, by SBP: {order.tendered_by_sbp}"
        )
        self.serving = order
        self._tries[order.number] = self._tries.get(order.number, 0) + 1
        began = self.clock.us
        self.clock.spawn("customer", partial(self._customer, order))
        again = 0.6
        try:
            result = lane.pay(order, deliver=partial(self._deliver, order))
        except PaymentRefused as error:
            self.note(f"till: refused: {error}")
        except JournalError as error:
            self.note(f"till: {error}")
        except _TillFails:
            self.note("till: its own software failed")
        except Killed:
            self._comes_again(order, 0.7)
            raise
        else:
            self.note(f"till: gets {result.outcome}, case {result.case}")
            again = 0.0 if result.outcome is m.Outcome.PAID else 0.6
            if result.outcome is m.Outcome.UNKNOWN:
                again = 0.3
        finally:
            self.serving = None
        took = (self.clock.us - began) / US
        if took > self.settings.timing.invoice_life_s + 400.0:
            raise Violation(5, f"the customer of {order.number} waited {took:.0f} s for an outcome")
        lane.linger()
        self._comes_again(order, again)

    def _comes_again(self, order: Order, chance: float) -> None:
        """Perhaps the customer tries once more: the same order, perhaps after another customer."""
        if order.number not in self.truth.goods and self._tries[order.number] < 4 and self.random.random() < chance:
            self.orders.insert(self.random.randrange(len(self.orders) + 1), order)

    def _deliver(self, order: Order, result: Result) -> None:
        self.truth.delivered(result)
        before = self.faults.strikes("till fails", 0.3)
        if before and self.faults.random.random() < 0.5:
            raise _TillFails
        if result.outcome is m.Outcome.PAID and order.due_kopecks < order.lacking_kopecks:
            self._count_leg(order, result)
        elif result.outcome is m.Outcome.PAID:
            self.note(f"till: the goods of {order.number} are released")
            self.truth.goods_released(order, result.key)
        if before:
            raise _TillFails

    def _count_leg(self, order: Order, result: Result) -> None:
        """The next leg follows, perhaps after one by card; and perhaps the till asks for this one again."""
        self.note(f"till: a leg of {order.number} is paid")
        self.truth.leg_counted(order, result.key)
        after = replace(order, tendered_by_sbp=order.tendered_by_sbp + result.kopecks, leg_kopecks=None)
        card = self._legs.randrange(after.lacking_kopecks) if self._legs.random() < 0.3 else 0
        after = self._with_leg(replace(after, tendered_elsewhere=after.tendered_elsewhere + card))
        self._all_orders[order.number] = after
        again = [order] if self._legs.random() < 0.5 else []
        self.orders[:0] = [*again, after]

    # --- customers ---

    def _customer(self, order: Order) -> None:
        random = self.random
        wish = random.choice(("pays", "pays", "pays", "late", "cancels", "nothing"))
        think = random.expovariate(1 / 12.0) if wish != "late" else random.uniform(20.0, 300.0)
        on_dialog = random.choice((0, 0, 1, None))
        came, printed, paid = self.clock.s, len(self.printer.codes), False
        held: str | None = None  # the link that the phone shows on
        while self.serving is order:
            self.clock.sleep(random.uniform(0.3, 2.5))
            scene = self.screen.scene
            if self.serving is not order:
                break
            waited = self.clock.s - came
            if scene is not None and scene.name == "dialog" and on_dialog is not None and waited > think:
                self.note(f"customer: chooses {scene.buttons[on_dialog].label}")
                self.tap(on_dialog)
                if random.random() < 0.5:
                    self.tap(random.choice((0, 1)))
            elif wish == "cancels" and waited > think and scene is not None and scene.buttons:
                held = self._scans(self._link(scene, printed))
                paid = held is not None and random.random() < 0.4 and self._pays(held, order)  # in the same moment
                self.note("customer: cancels")
                self.tap(0)
                wish = random.choice(("nothing", "pays"))  # and pays nevertheless
            elif wish in ("pays", "late") and waited > think and not paid:
                held = self._link(scene, printed) or held
                paid = held is not None and self._pays(held, order)
        held = held or next(iter(self.printer.codes[: printed - 1 : -1]), None)
        if held and not paid and wish != "nothing" and random.random() < 0.5:
            self.clock.sleep(random.uniform(0.0, random.choice((200.0, 200.0, 2000.0))))
            if self.clock.us < self._customers_until:
                self._pays(held, None)

    def _link(self, scene: Scene | None, printed: int) -> str | None:
        """The link that the customer's phone can read now, where the lane asks for it."""
        if scene is None or scene.name not in PAYABLE:
            tickets = self.printer.codes[printed:]
            hasty = self.plate_link if self.random.random() < 0.1 else None
            return tickets[-1] if tickets else hasty
        tag = None if self.reader is None or self.reader.field_on else self.reader.the_tag.uri()
        choices = [scene.qr, tag if self.reader is not None and self.reader.tags else None, self.plate_link]
        tickets = self.printer.codes[printed:]
        found = [link for link in (*choices, *tickets[-1:]) if link]
        return self.random.choice(found) if found else None

    def _scans(self, link: str | None) -> str | None:
        """The customer's phone shows the payment behind a link, and goes on doing so; the link if there is one."""
        if link is None:
            return None
        try:
            self.bank.scanned.add(self.paymaster.phone.scan(link).payment_id)
        except NothingToPay:
            return None
        return link

    def _pays(self, link: str, order: Order | None) -> bool:
        try:
            seen = self.paymaster.phone.scan(link)
        except NothingToPay as error:
            self.note(f"customer: {error}")
            return False
        payment = self.bank.payments[seen.payment_id]
        self.bank.scanned.add(payment.id)
        scene = self.screen.scene
        due = 0 if order is None else order.due_kopecks
        asked_to_pay = scene is not None and scene.amount == format_amount(due) and self.process.alive
        if (
            order is not None
            and scene is not None
            and scene.name in PAYABLE
            and asked_to_pay
            and self.serving is order
            and not payment.final
        ):
            self.truth.scanned(payment, order)
        done = self.bank.customer_pays(seen.payment_id)
        self.note(f"customer: pays {seen.kopecks} of {seen.payment_id}: {'done' if done else 'too late'}")
        return done

    def shown(self, scene: Scene, order: Order | None) -> None:
        """The lane shows a scene on the screen."""
        code = " with a code" if scene.qr else ""
        self.note(f"screen: {scene.name}{code} {scene.headline} {' '.join(scene.lines)} {scene.amount}".rstrip())
        self.truth.shown(scene, order)
        self.screen.put(scene)

    # --- what happens around the lane ---

    def _leaves(self, request: Request) -> None:
        try:
            self.truth.leaves(request)
        except Violation as violation:  # the lane would take this for a failed request
            self.violation = violation
            raise
        if self.faults.strikes("killed at wire", 0.1):
            self.kill("as a request leaves")

    def _namesake(self, payment: BankPayment) -> None:
        """Another lane of the merchant sells under the same order number, at about the same time."""
        if not self.faults.strikes("namesake", 0.5):
            return
        random = self.faults.random

        def sell() -> None:
            other = self._foreign(payment.invoice["orderNo"], random.choice((payment.kopecks, 7_700)))
            if random.random() < 0.6:
                self.bank.plan(self.clock.s + random.uniform(1.0, 60.0), lambda: self.bank.customer_pays(other.id))

        self.clock.after(random.uniform(0.0, 30.0), sell)

    def _foreign(self, order_no: str, kopecks: int) -> BankPayment:
        data = {
            "merchantId": self.paymaster.merchant_id,
            "invoice": {
                "orderNo": order_no,
                "description": "another lane",
                "params": {"posId": "KSO-8", "attempt": f"other-{len(self.bank.payments)}", "ours": False},
                "expires": _iso(self.clock.s + 300),
            },
            "amount": {"value": kopecks / 100, "currency": "RUB"},
            "paymentData": {"paymentMethod": "SBP"},
        }
        return self.bank.create(data, None, b"")

    def _plan_troubles(self) -> None:
        """Plan the faults that happen at a moment and not at a call."""
        random, faults = self.faults.random, self.faults
        if faults.strikes("crowd"):
            for n in range(random.choice((49, 50, 51, 130))):
                self._foreign(f"C-{n}", 100 + n)
        for kind in POWER:
            for _ in range(3):
                if kind in ("killed", "clock jump", "offline") and faults.has(kind):
                    self.clock.after(random.uniform(0.0, 400.0), partial(self._trouble, kind))
        if self.plate_link is not None:
            for _ in range(random.choice((0, 0, 3))):
                self.clock.after(random.uniform(0.0, 400.0), partial(self._passer_by, self.plate_link))
        for _ in range(random.choice((0, 0, 1))):
            self.clock.after(random.uniform(0.0, 200.0), self._attendant)
        for _ in range(random.choice((0, 3))):
            self.clock.after(random.uniform(0.0, 1500.0), self._administrator)

    def _trouble(self, kind: str) -> None:
        random = self.faults.random
        if not self.faults.strikes(kind):
            return
        if kind == "killed":
            self.kill("at some moment")
        elif kind == "clock jump":
            jump = random.choice((-1, 1)) * random.choice((2.0, 60.0, 700.0, 3600.0, 90_000.0))
            self.skew += jump
            self.note(f"clock: the lane's wall clock is set by {jump:+g} s")
        else:
            self.network.offline = True
            lasts = random.choice((5.0, 40.0, 200.0))
            self.note(f"net: the lane is offline for {lasts:g} s")
            self.clock.after(lasts, self._online)

    def _online(self) -> None:
        self.network.offline = False

    def _passer_by(self, link: str) -> None:
        self.note("a passer-by scans the plate")
        self._pays(link, None)

    def _attendant(self) -> None:
        if self.process.lane is not None and self.process.alive:
            self.note("attendant: cancels")
            self.process.lane.cancel()

    def _administrator(self) -> None:
        """Close cases while the lane runs: where no money can come any more, and, too early, where the lane still
        watches."""
        self.clock.after(200.0, self._administrator)
        if not self.process.alive or self.process.lane is None:
            return
        with closing(sqlite3.connect(self.disk.path)) as db:  # what is on disk, not what the lane is about to write
            found = db.execute(
                "SELECT c.number, c.attempt, a.version, a.state FROM cases c JOIN attempts a USING (attempt) "
                "WHERE c.closed_at_ms IS NULL"
            ).fetchall()
        for number, key, version, text in found:
            phase = codec.decode_state(version, codec.from_json(text)).phase
            early = phase in (m.Phase.WATCHING, m.Phase.REFUNDABLE)
            if number not in self.truth.decided and (early or self.truth.closed(key)):
                self.note(f"administrator: closes case {number}" + (" too early" if early else ""))
                what = "returned by hand" if phase is m.Phase.REFUNDABLE else "no money came"
                decision = resolutions.Resolution(number, "Иванова", what, self.clock.us // 1000, phase.value)
                resolutions.submit(self.disk.path, decision)
                self.truth.decided[number] = phase

    # --- the run ---

    def play(self) -> None:
        """Faults for a while, then none for an invoice's life and grace; then the audit."""
        self._plan_troubles()
        self.start()
        timing = self.settings.timing
        limit = self.clock.us + 2400 * US
        while (self.orders or self.serving is not None) and self.clock.us < limit:
            self._run(self.clock.us + 30 * US)
        self._closing = True
        self._run(self.clock.us + self.random.choice((30, 30, 30, 900)) * US)
        self.note("-- no more faults from here on")
        self.faults.fair = True
        self._online()
        self.printer.repair()
        self.screen.plugged = True
        if self.reader is not None:
            self.reader.repair()
        while not self.process.alive:
            self._run(self.clock.us + 30 * US)
        limit = self.clock.us + round((2 * timing.invoice_life_s + timing.grace_s + 700) * US)
        while self.clock.us < limit and not self._at_rest():
            self._run(self.clock.us + 30 * US)
        self._customers_until = self.clock.us
        while self.bank.undone or self.network.flying:
            self._run(self.clock.us + 30 * US)
        self._run(self._has_asked())
        self._done = True
        self._run(self.clock.us + 30 * US)
        self._finish()

    def _has_asked(self) -> int:
        """When the lane has asked once more about each payment that it still watches."""
        process = self.process
        if process.lane is None:
            return self.clock.us
        watched = [state.next_at_ms for state in process.lane._loop.attempts.values() if state.phase in m.BACKGROUND]
        wait_ms = max([0, *(at - process.runtime.now() for at in watched)])
        return self.clock.us + wait_ms * 1000 + 30 * US

    def _at_rest(self) -> bool:
        """Whether every attempt is settled and the tag is cleared."""
        db = self.process.db
        if not self.process.alive or db is None or self._tag_carries():
            return False
        under_way = self.bank.undone or self.network.flying
        return not under_way and not db.execute("SELECT 1 FROM attempts WHERE open").fetchone()

    def _tag_carries(self) -> str | None:
        if self.reader is None or self.settings.display.plate != "dynamic":
            return None
        return self.reader.the_tag.uri() or None

    def _finish(self) -> None:
        process = self.process
        if not process.alive or process.lane is None:
            raise Violation(5, "the lane's process never came back")
        resolutions.apply_pending(process.lane.journal)  # decisions since the till last looked
        Audit(self, self.truth, process.lane.journal)()
        if self._tag_carries():
            raise Violation(7, f"the tag still carries {self._tag_carries()}")

    def _run(self, until_us: int) -> None:
        self.clock.run(until_us, self._after_each)

    def _after_each(self) -> None:
        self.events += 1
        if self.events > MAX_EVENTS:
            raise Violation(5, "the run never ends")
        if self.violation is not None:
            raise self.violation
        if self.clock.failures:
            name, error = self.clock.failures[0]
            raise (
                error if isinstance(error, Violation) else Violation(0, f"{name}: {type(error).__name__}: {error}")
            ) from error
        self.truth.check()

    def end(self) -> None:
        """Release everything."""
        process = self.process
        process.alive = process.runtime.alive = False
        for task in process.tasks:
            task.kill()
        if process.lane is not None:
            _let_go(process.lane)
        if self.reader is not None:
            self.reader.close()


class _TillFails(RuntimeError):
    """The failure of the integrator's own software."""


def _let_go(lane: Lane) -> None:
    """Do what the operating system does when a process has died."""
    lane.journal._db.close()
    lane.journal._release()


def _iso(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Os:
    """In place of the module `os`: its randomness is the seed's."""

    def __init__(self, random: Random, real: Any) -> None:
        self._random = random
        self._real = real

    def urandom(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _uses_of_the_system() -> Iterator[tuple[Any, str, Any]]:
    """Each production module that uses the system's clock, threads or randomness, and by which name."""
    import os
    import threading
    import time

    for module_name in _SIMULATED:
        importlib.import_module(module_name)
    for module_name, module in sorted(sys.modules.items()):
        if module_name.startswith(_PRODUCTION) and not module_name.startswith(_REAL):
            for name, real in (("time", time), ("threading", threading), ("os", os)):
                if getattr(module, name, None) is real:
                    yield module, name, real


@contextmanager
def _in_place_of_the_system(seed: int, folder: Path, focus: Focus) -> Iterator[Run]:
    """A run whose clock, sockets and serial lines replace those of the operating system."""
    with ExitStack() as stack:
        for kind in ("printer", "nfc", "screen", "touch"):
            known = BACKENDS[kind]  # type: ignore[index]
            stack.enter_context(
                mock.patch.dict(known, {"simulate": ("tests.verification.simulate.devices", f"open_{kind}")})
            )
        run = Run(seed, folder, focus)
        TIME.clock, TIME.wall = run.clock, run.wall
        THREADING.clock, THREADING.spawned = run.clock, lambda task: run.process.tasks.append(task)
        for owner, name, real in _uses_of_the_system():
            fake = {"time": TIME, "threading": THREADING}.get(name) or _Os(run.random, real)
            stack.enter_context(mock.patch.object(owner, name, fake))
        stack.enter_context(mock.patch.object(Tap, "clock", TIME))  # of each driver's wire
        stack.enter_context(mock.patch.object(ui, "LOOK_S", 5.0))  # it only looks at the display
        stack.enter_context(mock.patch.object(urllib3.util.connection, "create_connection", run.network.connect))
        serial = importlib.import_module("sco_drivers.nfc.uart").serial
        stack.enter_context(mock.patch.object(serial, "Serial", devices.ReaderPort))
        devices.CURRENT.append(run)
        logging.disable(logging.NOTSET if os.environ.get("SIMULATE_LOG") else logging.CRITICAL)
        try:
            yield run
        finally:
            logging.disable(logging.NOTSET)
            devices.CURRENT.pop()


def run_seed(seed: int, focus: Focus = Focus()) -> Report:  # noqa: B008 - it never changes
    """Play one seed from its beginning to its audit."""
    shm = Path("/dev/shm")  # in memory where possible: the files are thrown away
    folder = Path(tempfile.mkdtemp(prefix="sco-simulate-", dir=shm if shm.is_dir() else None))
    broken: Violation | None = None
    try:
        with _in_place_of_the_system(seed, folder, focus) as run:
            try:
                run.play()
            except Violation as violation:
                broken = violation
                run.note(f"INVARIANT {violation.number} IS BROKEN: {violation}")
            finally:
                run.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    digest = hashlib.sha256("\n".join(run.trace).encode()).hexdigest()
    return Report(
        seed,
        digest,
        run.trace,
        dict(sorted(run.faults.count.items())),
        run.events,
        None if broken is None else str(broken),
        None if broken is None else broken.number,
        run.settings.display.mode,
        len(run.truth.goods),
    )
