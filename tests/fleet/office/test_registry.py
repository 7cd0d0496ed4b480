"""Registry files as people have them; a file with a mistake is refused whole, and every mistake is named."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from sco_fleet.reconcile import BankRow, Day, RegistryError, RegistryFile
from sco_payment.attempt import PaymentStatus
from tests.fleet.office.bank import DAY, MOSCOW, at_ms


def read(text: str | bytes, zone: ZoneInfo = MOSCOW) -> list[BankRow]:
    data = text.encode() if isinstance(text, str) else text
    return list(RegistryFile("r.csv", data, zone).rows(DAY))


@pytest.mark.parametrize(
    "text",
    [
        "id;created;amount\np1;2025-11-28T09:00:00Z;253.00\n",
        "\ufeffid,created,amount\r\np1,2025-11-28T12:00:00+03:00,253.0000\r\n",
        "ID платежа\tДата создания\tСумма\np1\t28.11.2025 12:00\t253,00\n\n",
        'Номер платежа;Дата операции;Сумма операции\n"p1";"28.11.2025 12:00:00";"253,00 руб."\n',
        "Платёж;Дата;Сумма;Валюта\np1;2025-11-28 12:00:00;253;RUB",
        "PaymentId;Date;Amount\n'p1;2025-11-28 12:00:00;253,00",
    ],
)
def test_registries_of_many_programs_are_read(text: str) -> None:
    assert read(text) == [BankRow("p1", PaymentStatus.PAID, "", 25300, "RUB", None, at_ms("12:00:00"))]


def test_windows_1251_is_read() -> None:
    assert read("Номер платежа;Дата;Сумма\np1;28.11.2025;1 253,50\n".encode("cp1251"))[0].kopecks == 125350


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Settled", PaymentStatus.PAID), ("Оплачен", PaymentStatus.PAID), ("оплачено", PaymentStatus.PAID),
        ("Rejected", PaymentStatus.CLOSED), ("Возвращён", PaymentStatus.REFUNDED), ("Pending", PaymentStatus.OPEN),
        ("Ждёт", PaymentStatus.UNKNOWN), ("", PaymentStatus.UNKNOWN),
    ],
)  # fmt: skip
def test_a_status_is_what_its_word_says(word: str, status: PaymentStatus) -> None:
    (row,) = read(f"id;date;sum;статус\np1;2025-11-28;1;{word}\n")
    assert row.status is status


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["no column for payment_id", "no column for amount", "no column for at"]),
        ("id;date\n", ["no column for amount"]),
        ("id;date;sum;amount\n", ["several columns for amount: sum, amount"]),
        ("id;date;sum\n", ["there is no payment in it"]),
        ("id;date;sum\n;2025-11-28;1\np;yesterday;1\np;2025-11-28;1,234\np;2025-11-28;-5\np\n",
         ["line 2: there is no payment id", "line 3: 'yesterday' is not a time", "line 4: '1,234' is not an amount",
          "line 5: '-5' is not an amount", "line 6: '' is not an amount"]),
        ("id;date;sum\n" + "p;x;1\n" * 50, ["line 21:", "there may be more mistakes"]),
        ("id;date;sum\np\x00;2025-11-28;1\n", ["zero byte"]),
        (f"id;date;sum\n{'p' * 201};2025-11-28;1\n", ["more than 200 characters"]),
        ("id;date;sum\np;2025-11-28;1e999999\n", ["is not an amount"]),
        ("id;date;sum\np;2025-11-28;NaN\n", ["is not an amount"]),
        ('id;date;sum\n"p;2025-11-28;1\n', ["not CSV"]),
        (b"\xff\xfei\x00d\x00", ["save it as CSV (UTF-8)"]),
        (b"PK\x03\x04...", ["Excel workbook"]),
    ],
)  # fmt: skip
def test_every_mistake_is_named(text: str | bytes, problems: list[str]) -> None:
    with pytest.raises(RegistryError) as caught:
        read(text)
    for problem in problems:
        assert any(problem in one for one in caught.value.problems), caught.value.problems
    assert len(caught.value.problems) <= 21


def test_a_file_of_another_day_is_refused() -> None:
    file = RegistryFile("r.csv", b"id;date;sum\np;2025-11-27;1\nq;2025-11-29;1\n", MOSCOW)
    with pytest.raises(RegistryError, match="no payment of 2025-11-28: its payments are from 2025-11-27 to 2025-11-29"):
        file.check_day(DAY)
    file.check_day(Day(DAY.day.replace(day=27), MOSCOW))
