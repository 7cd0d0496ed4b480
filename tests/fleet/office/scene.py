"""A small chain to look at: lanes whose journals the money logic has written, one payment of each kind."""

from __future__ import annotations

import binascii
import json
import time
from pathlib import Path

from sco_payment import attempt as m
from sco_payment.journal import Journal
from tests.fleet.kit import Fleet, ship
from tests.fleet.office.kit import Office

SHOPS = ("Магазин у дома", "Ленина, 5", "ТЦ «Река»")


def link(kopecks: int) -> str:
    """As NSPK writes it."""
    text = f"https://qr.nspk.ru/AD10001AKV9G3FF8ES7LMPAJQ4HRTPVD?type=02&bank=100000000007&sum={kopecks}&cur=RUB"
    return f"{text}&crc={binascii.crc_hqx(text.encode(), 0xFFFF):04X}"


class Till:
    """A lane's journal, and payments that are made up event by event."""

    def __init__(self, path: Path, lane_id: str, serial: int) -> None:
        self._path, self._lane_id, self._serial = path, lane_id, serial

    def pay(self, order: str, kopecks: int, at_ms: int, end: str) -> None:
        """One payment that ends as `paid`, `unpaid`, `lost` (no answer to the cancellation) or `late`."""
        self._serial += 1
        payment_id = f"{self._serial:08d}"
        plan = m.Plan(
            f"{self._lane_id}-{order}", order, kopecks, "RUB", m.Mode.SCREEN, begun_at_ms=at_ms,
            expires_at_ms=at_ms + 300_000, till_id=f"till-{order}",
        )  # fmt: skip
        with Journal(self._path, lane_id=self._lane_id, acquirer="paymaster") as journal:
            state, effects = m.begin(plan)
            journal.record(None, state, effects, at_ms=at_ms)

            def on(event: m.Event) -> None:
                nonlocal state
                before, (state, effects) = state, m.step(state, event)
                if m.significant(before, state, effects):
                    journal.record(event, state, effects, at_ms=event.at_ms)

            def status(after_ms: int, what: m.PaymentStatus, word: str) -> m.PaymentStatusReceived:
                return m.PaymentStatusReceived(
                    at_ms + after_ms, state.seq, payment_id, what, word, kopecks, "RUB", True, None
                )

            on(m.Created(at_ms + 700, state.seq, payment_id, m.PaymentStatus.OPEN, kopecks, "RUB", link(kopecks)))
            on(m.Presented(at_ms + 900, "on the screen"))
            if end == "paid":
                on(m.Tick(at_ms + 4_000))
                on(status(4_300, m.PaymentStatus.PAID, "Settled/Success"))
                on(m.Delivered(at_ms + 4_500))
            elif end == "unpaid":
                on(m.Tick(at_ms + 4_000))
                on(status(4_300, m.PaymentStatus.CLOSED, "Rejected/CancelledByUser"))
                on(m.Delivered(at_ms + 4_500))
            else:
                for after in range(4_000, 124_000, 30_000):
                    on(m.Tick(at_ms + after))
                    on(m.StatusUnavailable(at_ms + after + 200, state.seq, "no connection to PayMaster in time", 0))
                on(m.CancelWanted(at_ms + 130_000))
                on(m.Tick(at_ms + 130_100))
                on(m.CancelAnswered(at_ms + 140_000, state.seq, m.Cancel.UNANSWERED, "no answer in time"))
                for after in (150_000, 400_000, 1_500_000):
                    on(m.Tick(at_ms + after))
                    on(m.StatusUnavailable(at_ms + after + 200, state.seq, "no connection to PayMaster in time", 0))
                if end == "late":
                    on(m.Tick(at_ms + 1_800_000))
                    on(status(1_800_300, m.PaymentStatus.PAID, "Settled/Success"))


def build(office: Office, folder: Path, lanes: int = 9) -> None:
    """Lanes of three shops; some need attention."""
    now = time.time_ns() // 1_000_000
    fleet = Fleet(office.server, office.database)
    for number in range(1, lanes + 1):
        lane_id = f"KSO-{number:02d}"
        token = fleet.add_lane(lane_id, SHOPS[number % 3])
        path = folder / lane_id / "journal"
        path.parent.mkdir(parents=True)
        till = Till(path, lane_id, number * 1000)
        begun = now - 7_200_000 - number * 61_000
        for order in range(4):
            end = "unpaid" if (order + number) % 4 == 3 else "paid"
            till.pay(str(1000 + 10 * number + order), 25_300 + 1_150 * number * order, begun + order * 400_000, end)
        if number in (2, 5):
            till.pay(f"{1008 + 10 * number}", 129_900, begun + 2_000_000, {2: "lost", 5: "late"}[number])
        ship(fleet.shipper(path, token))
        with Journal(path, read_only=True) as journal:
            seq, _, digest = journal.head().partition(":")
            epoch, cases = journal.id(), len(journal.cases())
        fault = number == 7
        devices = [
            {"kind": "printer", "url": "tcp://10.0.0.5:9100", "state": "fault" if fault else "ok",
             "problem": "бумага кончилась" if fault else None},
            {"kind": "screen", "url": "fb:///dev/fb0", "state": "ok", "problem": None},
        ]  # fmt: skip
        body = {
            "epoch": epoch, "seq": int(seq), "hash": digest, "now_ms": now + (-190_000 if number == 8 else number * 40),
            "version": "0.1.0", "settings_hash": f"{number % 2:064x}"[::-1], "settings_version": 14,
            "health": {"devices": devices, "tag": None, "open_cases": cases}, "answers": [],
        }  # fmt: skip
        fleet.request("POST", "/heartbeat", token, json.loads(json.dumps(body)))
    office.execute("UPDATE lanes SET last_seen_at = now() - interval '40 minutes' WHERE lane_id = 'KSO-04'")
    office.execute(
        "INSERT INTO alarms (lane_id, kind, detail, times, raised_at) VALUES ('KSO-03', 'journal_rolled_back',"
        " 'journal 5f3a91c2 ends at row 41 on the lane, and row 56 is stored: an older copy is in use', 3,"
        " now() - interval '1 hour')"
    )
