"""All words that people read on a lane, in exact Russian and in English; and how to write them to a terminal that lacks
some of the letters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """All words that a customer may read, on the screen, on the ticket and in the bank's app."""

    payment_type: str
    wait: str
    pay: str
    scan_ticket: str
    scan_plate: str
    use_qr: str
    open_bank_app: str
    checking: str
    dialog: str
    paid_already: str
    retry: str
    cancel: str
    paid: str
    unpaid: str
    no_money_taken: str
    choose_again: str
    attendant: str
    case: str
    out_of_service: str
    time_left: str
    pay_until: str
    order: str
    to_pay: str
    currency: str  # where a printer has no rouble sign
    repeat: str
    lane: str
    not_a_receipt: str
    description: str
    no_refunds: str


RUSSIAN = Texts(
    payment_type="Оплата по QR-коду/NFC СБП",
    wait="Пожалуйста, подождите",
    pay="Для оплаты используйте NFC или отсканируйте QR-код",
    scan_ticket="Отсканируйте QR-код на чеке",
    scan_plate="Отсканируйте QR-код с наклейки или считайте NFC-метку",
    use_qr="NFC-метка недоступна, используйте QR-код",
    open_bank_app="Откройте приложение банка",
    checking="Проверяем оплату",
    dialog="Оплата не завершена, нет связи с процессингом",
    paid_already="Если вы уже оплатили, нажмите «Повторить»",
    retry="Повторить",
    cancel="Отменить",
    paid="Оплата прошла успешно",
    unpaid="Оплата не выполнена",
    no_money_taken="Деньги не списаны",
    choose_again="Выберите способ оплаты заново",
    attendant="Позовите сотрудника магазина",
    case="Обращение № {number}",
    out_of_service="Касса временно не работает",
    time_left="Осталось",
    pay_until="Оплатите до {time}",
    order="Заказ № {number}",
    to_pay="К оплате",
    currency="руб.",
    repeat="ПОВТОР",
    lane="Касса {pos_id}",
    not_a_receipt="не является кассовым чеком",
    description="{shop}, заказ {number}, {amount}",
    no_refunds=(
        "На кассах самообслуживания нет функциональности возврата чека. Для осуществления возврата средств "
        "воспользуйтесь кассами pos/touch."
    ),
)

ENGLISH = Texts(
    payment_type="Pay by QR code / NFC (SBP)",
    wait="Please wait",
    pay="Use NFC or scan the QR code to pay",
    scan_ticket="Scan the QR code on the receipt",
    scan_plate="Scan the QR code on the sticker or tap the NFC tag",
    use_qr="The NFC tag is not available, use the QR code",
    open_bank_app="Open your bank's app",
    checking="Checking the payment",
    dialog="The payment is not finished: no connection to the processing centre",
    paid_already="If you have already paid, press “Try again”",
    retry="Try again",
    cancel="Cancel",
    paid="Paid",
    unpaid="Not paid",
    no_money_taken="No money was taken",
    choose_again="Choose again how to pay",
    attendant="Please call an attendant",
    case="Case No. {number}",
    out_of_service="This checkout is out of service",
    time_left="Time left",
    pay_until="Pay before {time}",
    order="Order No. {number}",
    to_pay="To pay",
    currency="RUB",
    repeat="COPY",
    lane="Checkout {pos_id}",
    not_a_receipt="this is not a fiscal receipt",
    description="{shop}, order {number}, {amount}",
    no_refunds="A self-checkout makes no refunds: use a pos/touch till.",
)

LANGUAGES = {"ru": RUSSIAN, "en": ENGLISH}
NO_REFUNDS = f"{RUSSIAN.no_refunds} ({ENGLISH.no_refunds})"


def is_utf8(text: str) -> bool:
    """Whether `text` can be stored: what a terminal or the environment gave in other bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
