"""The service's own words in two languages: a case for the attendant, and a journal's record in Russian."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sco_payment.journal import Record
from sco_payment.money import format_amount

_Data = Mapping[str, Any]
Both = dict[str, str]

WHAT_HAPPENED: dict[str, Both] = {
    "cancel_refused": {
        "ru": "Банк отказал в отмене и не сообщил итог: деньги могли списаться.",
        "en": "The acquirer refused the cancellation and gave no final status: the customer may have paid.",
    },
    "cancel_unanswered": {
        "ru": "Отмена отправлена один раз, ответа нет: деньги могли списаться.",
        "en": "The cancellation was sent once and never answered: the customer may have paid.",
    },
    "expired_unconfirmed": {
        "ru": "Срок оплаты вышел, а банк не сообщил итог: деньги могли списаться.",
        "en": "The time to pay is over and the acquirer gave no final status: the customer may have paid.",
    },
    "create_unknown": {
        "ru": "Касса не знает, создан ли платёж в банке; покупатель ссылки не видел.",
        "en": "It is not known whether the acquirer has a payment; no customer saw its link.",
    },
    "amount_mismatch": {
        "ru": "Банк списал другую сумму.",
        "en": "The acquirer took another amount.",
    },
    "cancel_pay_race": {
        "ru": "Банк принял отмену и всё же сообщает об оплате.",
        "en": "The acquirer accepted the cancellation and reports the payment as paid all the same.",
    },
    "late_money": {
        "ru": "Деньги пришли после того, как покупателю показали другой итог.",
        "en": "Money came after the customer was shown another outcome.",
    },
    "paid_after_restart": {
        "ru": "Платёж оплачен, пока касса не работала; товар мог остаться на кассе.",
        "en": "It was paid while the lane was down; the goods may still be here.",
    },
    "goods_uncertain": {
        "ru": "Платёж оплачен, но кассовая программа этого не подтвердила: товар и чек могли не отдать.",
        "en": "It is paid, and the till has not confirmed that: goods or receipt may not have been given.",
    },
    "paid_unshown": {
        "ru": "Оплачен платёж заказа, ссылку которого эта касса не показывала.",
        "en": "A payment of the order is paid whose link this lane never showed.",
    },
    "refunded": {
        "ru": "Банк взял деньги и вернул их покупателю.",
        "en": "The acquirer took the money and has refunded the customer.",
    },
}
"""A case's reason -> what happened, in plain words."""

_CHECK: Both = {
    "ru": "Найдите платёж в кабинете банка. Если деньги списаны и товар не отдан, отдайте товар с чеком или верните "
    "деньги на кассе pos/touch; если не списаны, закройте обращение.",
    "en": "Find the payment in the acquirer's account page. If the money was taken and the goods were not given, give "
    "them with a receipt or refund at a pos/touch till; if it was not taken, close the case.",
}
_PAID: Both = {
    "ru": "Деньги получены. Узнайте у покупателя и на видео, отдан ли товар и пробит ли чек. Отдайте товар с чеком или "
    "верните деньги на кассе pos/touch.",
    "en": "The money is there. Find out whether goods and receipt were given. Give them, or refund at a pos/touch "
    "till.",
}
_AMOUNT: Both = {
    "ru": "Сравните сумму в кабинете банка с чеком. Доплату или возврат сделайте на кассе pos/touch.",
    "en": "Compare the amount in the acquirer's account page with the receipt; settle the difference at a pos/touch "
    "till.",
}
_REFUNDED: Both = {
    "ru": "Товар по этому платежу не отдавайте. Если его уже отдали, получите оплату снова.",
    "en": "Do not give goods for this payment. If they were given already, have it paid again.",
}
ADVICE: dict[str, Both] = {
    reason: {"amount_mismatch": _AMOUNT, "refunded": _REFUNDED}.get(
        reason,
        _PAID
        if reason in ("late_money", "paid_after_restart", "goods_uncertain", "paid_unshown", "cancel_pay_race")
        else _CHECK,
    )
    for reason in WHAT_HAPPENED
}
"""A case's reason -> what the attendant should do."""


def describe_russian(record: Record) -> str:
    """What the record says, in one line; what a device or bank said is quoted as it came."""
    body = record.body
    match record.kind:
        case "attempt_started":
            plan = body["state"]["plan"]
            return f"начат платёж: заказ {plan['order_no']}, {_amount(plan)}" + _effects(body)
        case "attempt_step":
            event = body["event"]
            return f"{_EVENTS[event['name']](event)} → {PHASES[body['state']['phase']]}" + _effects(body)
        case "note":
            return str(body["text"])
        case "case_opened":
            return f"открыто обращение {body['case_number']}: {WHAT_HAPPENED[body['reason']]['ru']}"
        case "case_note":
            return f"добавлено к обращению: {body['detail']}"
        case "case_reopened":
            return f"обращение {body['case_number']} открыто снова"
        case "archived":
            return f"строки до {body['last_row']} перенесены в архив {body['file']}"
        case _:
            return f"обращение {body['case_number']} закрыто: {body['operator']}: {body['resolution']}"


def _amount(data: _Data) -> str:
    return format_amount(data["amount_kopecks"])


def _effects(body: _Data) -> str:
    words = [_EFFECTS[effect["name"]](effect) for effect in body["effects"]]
    return f" [{', '.join(words)}]" if words else ""


def _with_detail(text: str, data: _Data) -> str:
    return f"{text}: {data['detail']}" if data["detail"] else text


PHASES = {
    "creating": "создаётся",
    "finding": "ищется в банке",
    "presenting": "показывается покупателю",
    "waiting": "ждёт оплаты",
    "asking": "вопрос покупателю",
    "cancelling": "отменяется",
    "confirming": "ждёт итога банка",
    "watching": "проверяется после итога",
    "closed": "закрыт неоплаченным",
    "overdue": "банк не дал итога",
    "paid": "оплачен",
    "unpaid": "не оплачен",
    "paid_late": "деньги пришли поздно",
    "unsettled": "не урегулирован",
}
_STATUSES = {
    "open": "ждёт оплаты",
    "paid": "оплачен",
    "refunded": "возвращён",
    "closed": "закрыт неоплаченным",
    "unknown": "неизвестно",
}
_CANCELLATIONS = {
    "not_requested": "не запрошена",
    "requested": "запрошена",
    "accepted": "принята",
    "refused": "отклонена",
    "unanswered": "без ответа",
}
_OUTCOMES = {"paid": "оплачен", "unpaid": "не оплачен", "unknown": "неизвестно", "not_presented": "не показан"}
_VIEWS = {
    "wait": "подождите",
    "pay": "код для оплаты",
    "dialog": "вопрос Повторить / Отменить",
    "paid": "оплачено",
    "unpaid": "не оплачено",
    "attendant": "позовите сотрудника",
}
_EVENTS: dict[str, Callable[[_Data], str]] = {
    "tick": lambda event: "время вышло",
    "payment_created": lambda event: f"банк создал платёж {event['payment_id']}, {_amount(event)}",
    "create_failed": lambda event: _with_detail("платёж не создан", event),
    "status_received": lambda event: (
        f"банк: {_STATUSES[event['status']]} ({event['acquirer_status']}), {_amount(event)}"
    ),
    "status_unavailable": lambda event: _with_detail("банк не ответил", event),
    "payment_not_listed": lambda event: "у банка нет платежа этого заказа",
    "cancel_answered": lambda event: _with_detail(f"отмена {_CANCELLATIONS[event['cancellation']]}", event),
    "presented": lambda event: f"ссылка показана: {event['evidence']}",
    "present_failed": lambda event: _with_detail("ссылка не показана", event),
    "retry_chosen": lambda event: "выбрано «Повторить»",
    "cancel_chosen": lambda event: "выбрано «Отменить»",
    "recovered": lambda event: "касса продолжила после сбоя",
    "outcome_taken": lambda event: "кассовая программа приняла итог",
}
_EFFECTS: dict[str, Callable[[_Data], str]] = {
    "send_create": lambda effect: "создать платёж",
    "send_status_request": lambda effect: "спросить банк",
    "send_list_request": lambda effect: "искать платёж в банке",
    "send_cancel": lambda effect: "отменить платёж",
    "present_link": lambda effect: "показать ссылку",
    "withdraw_link": lambda effect: "убрать ссылку",
    "show_view": lambda effect: f"экран: {_VIEWS[effect['view']]}",
    "open_case": lambda effect: "открыть обращение",
    "add_case_note": lambda effect: "дополнить обращение",
    "report_outcome": lambda effect: f"итог: {_OUTCOMES[effect['outcome']]}",
}
