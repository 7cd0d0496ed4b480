"""A registry file of the acquirer: CSV with headings, from Excel or from a program.

The columns are found by their headings. A file with a mistake is refused as a whole, with every mistake named: half of
a registry would be worse than none.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import NoReturn
from zoneinfo import ZoneInfo

from sco_fleet.reconcile.days import Day
from sco_fleet.reconcile.rows import BankRow, NoAnswerAbout
from sco_payment.attempt import PaymentStatus
from sco_payment.money import kopecks_from_wire
from sco_payment.paymaster.adapter import NAME, STATES, meaning_of

HEADINGS: dict[str, tuple[str, ...]] = {
    "payment_id": ("payment_id", "payment id", "paymentid", "id", "номер платежа", "id платежа",
                   "идентификатор платежа", "платеж", "платёж"),
    "amount": ("amount", "sum", "amount.value", "сумма", "сумма платежа", "сумма операции"),
    "at": ("created", "date", "created at", "payment date", "time", "дата", "дата платежа", "дата создания",
           "дата операции", "дата и время"),
    "order_no": ("order", "order_no", "orderno", "order no", "invoice.orderno", "заказ", "номер заказа", "номер счета"),
    "status": ("status", "state", "статус", "состояние"),
    "currency": ("currency", "amount.currency", "валюта"),
}  # fmt: skip
"""What a column may be called, without regard to case and to ё."""
_NEEDED = ("payment_id", "amount", "at")
_WORDS = {
    "оплачен": PaymentStatus.PAID, "оплачено": PaymentStatus.PAID, "проведен": PaymentStatus.PAID,
    "проведена": PaymentStatus.PAID, "успешно": PaymentStatus.PAID, "отменен": PaymentStatus.CLOSED,
    "отменено": PaymentStatus.CLOSED, "отклонен": PaymentStatus.CLOSED, "отклонено": PaymentStatus.CLOSED,
    "возврат": PaymentStatus.REFUNDED, "возвращен": PaymentStatus.REFUNDED, "возвращено": PaymentStatus.REFUNDED,
}  # fmt: skip
_TIMES = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y")
_MOST_MISTAKES = 20
_LONGEST = 200
"""Characters of a payment's id or an order number."""
_SIGNS = re.compile(r"[\s\u00a0\u202f₽]|руб\.?|RUB", re.IGNORECASE)


class RegistryError(ValueError):
    """The file cannot be used. `problems`: one sentence each, with the line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RegistryFile:
    """See `rows.Source`. A file without a column of statuses lists what was paid.

    Args:
        name: of the file.
        data: its content; UTF-8, or the Windows code page 1251.
        zone: of times without one.
        states: status word -> order state, over PayMaster's own.

    Raises:
        RegistryError: it cannot be read, with every mistake.
    """

    acquirer = NAME
    can_be_asked = False
    problem = ""

    def __init__(self, name: str, data: bytes, zone: ZoneInfo, *, states: Mapping[str, int] | None = None) -> None:
        self.name = name
        self._zone = zone
        self._states = {**STATES, **(states or {})}
        self._rows = self._read(_text(data))

    def rows(self, day: Day) -> Iterator[BankRow]:
        """All payments of the file."""
        yield from self._rows

    def check_day(self, day: Day) -> None:
        """Raises RegistryError: no payment of the file is of that day."""
        times = [row.at_ms for row in self._rows if row.at_ms is not None]
        if not any(day.start_ms <= at < day.end_ms for at in times):
            first, last = (datetime.fromtimestamp(at / 1000, self._zone).date() for at in (min(times), max(times)))
            raise RegistryError([f"it has no payment of {day.day}: its payments are from {first} to {last}"])

    def ask(self, payment_id: str) -> BankRow:
        """A file cannot be asked."""
        raise NoAnswerAbout("a file cannot be asked")

    def _read(self, text: str) -> list[BankRow]:
        lines = csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=True)
        try:
            columns = _columns(next(lines, []))
            mistakes: list[str] = []
            found = []
            for cells in lines:
                if not any(cell.strip() for cell in cells):
                    continue
                try:
                    found.append(self._row({name: _cell(cells, place) for name, place in columns.items()}))
                except ValueError as error:
                    mistakes.append(f"line {lines.line_num}: {error}")
                    if len(mistakes) == _MOST_MISTAKES:
                        mistakes.append("there may be more mistakes")
                        break
        except csv.Error as error:
            raise RegistryError([f"line {lines.line_num}: not CSV: {error}"]) from None
        if not found and not mistakes:
            mistakes = ["there is no payment in it"]
        if mistakes:
            raise RegistryError(mistakes)
        return found

    def _row(self, cells: Mapping[str, str]) -> BankRow:
        payment_id, order_no = cells["payment_id"], cells.get("order_no") or None
        if not payment_id:
            raise ValueError("there is no payment id")
        if len(payment_id) > _LONGEST or len(order_no or "") > _LONGEST or "\0" in payment_id + (order_no or ""):
            raise ValueError(f"payment id or order number has more than {_LONGEST} characters, or a zero byte")
        word = cells.get("status", "")
        if "status" not in cells:
            status = PaymentStatus.PAID
        else:
            status = _WORDS.get(_folded(word)) or meaning_of(word, self._states)
        return BankRow(
            payment_id, status, word, _kopecks(cells["amount"]), _currency(cells.get("currency", "")), order_no,
            self._at_ms(cells["at"]),
        )  # fmt: skip

    def _at_ms(self, text: str) -> int:
        moment = None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            for form in _TIMES:
                try:
                    moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
                    break
                except ValueError:
                    continue
        if moment is None or not 2000 <= moment.year <= 2200:
            raise ValueError(f"{text[:50]!r} is not a time; expected e.g. 29.11.2026 14:30:00 or 2026-11-29T14:30:00")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        return round(moment.timestamp() * 1000)


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        _refuse("an Excel workbook or UTF-16 text: save it as CSV (UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return data.decode("cp1251")
        except UnicodeDecodeError:
            _refuse("neither UTF-8 nor Windows-1251 text: save it as CSV (UTF-8)")


def _refuse(problem: str) -> NoReturn:
    raise RegistryError([problem])


def _delimiter(text: str) -> str:
    heading = text.partition("\n")[0]
    return max(";\t,", key=heading.count)


def _folded(text: str) -> str:
    return " ".join(text.casefold().replace("ё", "е").split())


def _columns(heading: list[str]) -> dict[str, int]:
    names = [_folded(cell) for cell in heading]
    found = {}
    problems = []
    for column, known in HEADINGS.items():
        places = [place for place, name in enumerate(names) if name in {_folded(one) for one in known}]
        if len(places) > 1:
            problems.append(f"line 1: several columns for {column}: {', '.join(heading[place] for place in places)}")
        elif places:
            found[column] = places[0]
        elif column in _NEEDED:
            problems.append(f"line 1: no column for {column}; expected a heading like {', '.join(known[:4])}")
    if problems:
        raise RegistryError(problems)
    return found


def _cell(cells: list[str], place: int) -> str:
    return cells[place].strip().removeprefix("'") if place < len(cells) else ""


def _kopecks(text: str) -> int:
    plain = _SIGNS.sub("", text)
    if "," in plain and "." not in plain:
        plain = plain.replace(",", ".")
    try:
        kopecks = kopecks_from_wire(Decimal(plain))
    except (InvalidOperation, ValueError):
        raise ValueError(f"{text[:50]!r} is not an amount; expected e.g. 253,00") from None
    if not 0 <= kopecks < 2**53:
        raise ValueError(f"{text[:50]!r} is not an amount of a payment")
    return kopecks


def _currency(text: str) -> str:
    return "RUB" if text.strip().upper() in ("", "RUB", "RUR", "643", "₽", "РУБ", "РУБ.") else text.strip().upper()[:10]
