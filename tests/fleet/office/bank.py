"""PayMaster's books of a day, and what lanes have journalled of it, for the tests of the reconciliation."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from sco_fleet.reconcile import Day, PayMasterAccess, PayMasterList, Source, Summary, reconcile
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.token import Token
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.paymaster.bank import BankPayment
from tests.fleet.office.kit import Office

MOSCOW = ZoneInfo("Europe/Moscow")
DAY = Day(date(2025, 11, 28), MOSCOW)


def at_ms(text: str = "12:00:00", day: date = DAY.day, zone: ZoneInfo = MOSCOW) -> int:
    """A time of the day, in ms."""
    return round(datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=zone).timestamp() * 1000)


class Books:
    """Both sides' books."""

    def __init__(self, office: Office, paymaster: PayMasterSimulator, folder: Path) -> None:
        self.office, self.paymaster = office, paymaster
        self.token_file = folder / "token"
        self.token_file.write_text(paymaster.token)
        self.token_file.chmod(0o600)
        self.office.execute("INSERT INTO lanes (lane_id, shop, last_seen_at) VALUES ('lane-1', 'Shop', now())")

    def access(self) -> PayMasterAccess:
        return PayMasterAccess(self.paymaster.base_url, self.paymaster.merchant_id, str(self.token_file))

    def bank(
        self, payment_id: str, *, at: str = "12:00:00", status: str = "Settled", kopecks: int = 25300,
        order: str | None = "A-1", day: date = DAY.day, test_mode: bool = False,
    ) -> None:  # fmt: skip
        """PayMaster has a payment."""
        invoice = {"description": "x"} | ({} if order is None else {"orderNo": order})
        self.paymaster.bank.payments[payment_id] = BankPayment(
            id=payment_id, kopecks=kopecks, invoice=invoice, created=at_ms(at, day) / 1000, expires=None, link="x",
            merchant_id=self.paymaster.merchant_id, test_mode=test_mode, status=status,
        )  # fmt: skip

    def lane(
        self, payment_id: str | None, *, at: str = "12:00:00", phase: str = "paid", kopecks: int = 25300,
        order: str = "A-1", day: date = DAY.day, attempt: str = "", case: int = 0, epoch: str = "e", last_ms: int = 0,
    ) -> None:  # fmt: skip
        """A lane has journalled an attempt."""
        key = attempt or f"k-{payment_id}-{order}"
        with psycopg.connect(self.office.database, autocommit=True) as db:
            db.execute(
                "INSERT INTO attempts (lane_id, epoch, attempt, order_no, payment_id, acquirer, amount_kopecks,"
                " total_kopecks, mode, phase, presented, begun_at_ms, last_seq, last_at_ms)"
                " VALUES ('lane-1', %s, %s, %s, %s, 'paymaster', %s, %s, 1, %s, true, %s, 1, %s)",
                (epoch, key, order, payment_id, kopecks, kopecks, phase, at_ms(at, day), last_ms or at_ms(at, day)),
            )
            if case:
                db.execute(
                    "INSERT INTO cases (lane_id, epoch, number, attempt, opened_at_ms, reason, detail)"
                    " VALUES ('lane-1', %s, %s, %s, 1, 'late_money', '')",
                    (epoch, case, key),
                )

    def list(self) -> PayMasterList:
        """PayMaster's list, asked again without waiting."""
        access = self.access()
        client = PayMaster(access.base_url, Token.from_file(access.token_file), access.merchant_id)
        return PayMasterList(client, states={}, test_mode=False, pause=lambda _: None)

    def compare(self, source: Source | None = None, day: Day = DAY, shops: tuple[str, ...] = ()) -> Summary:
        return reconcile(self.office.database, day, source or self.list(), "test", shops=shops)

    def differences(self) -> list[tuple[str, str | None, str | None, str | None, int | None]]:
        """Of the last reconciliation: kind, payment, order, lane, case."""
        return [
            (one["kind"], one["payment_id"], one["order_no"], one["lane"], one["case_number"])
            for one in self.office.rows(
                "SELECT * FROM differences WHERE reconciliation = (SELECT max(id) FROM reconciliations) ORDER BY number"
            )
        ]
