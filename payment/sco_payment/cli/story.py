"""The story of a case in the operator's language: what was asked, what was answered, what the customer saw.

`journal.describe` has every record with the names that the journal uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sco_payment.customer.texts import LANGUAGES, Texts
from sco_payment.journal import Case, Record
from sco_payment.money import format_amount

_Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoryWords:
    """The sentences of one language. Keys are the journal's names.

    Attributes:
        events: event of a step; `tick` is in `phases_by_time`.
        phases_by_time: phase that was entered because time was up.
        notes: an event whose answer is in a note.
        now: phase -> what the lane knows now.
        statuses: status of a payment at the acquirer.
        cancellations: answer to the cancellation.
    """

    case: str
    open: str
    decided: str
    order: str
    payment: str
    no_payment: str
    reason: str
    now: str
    story: str
    closed: str
    seconds: str
    screen: str
    more: str
    attempt_started: str
    case_opened: str
    case_reopened: str
    case_closed: str
    not_proved: str
    events: Mapping[str, str]
    phases_by_time: Mapping[str, str]
    statuses: Mapping[str, str]
    cancellations: Mapping[str, str]
    phases: Mapping[str, str]
    reasons: Mapping[str, str]


STORY_WORDS = {
    "ru": StoryWords(
        case="Обращение № {number} от {date}: {state}",
        open="открыто",
        decided="решил(а) {operator}, касса ещё не записала",
        order="Заказ {order}, {amount}",
        payment="платёж {payment}",
        no_payment="номер платежа не получен",
        reason="Почему: {text} ({name})",
        now="Сейчас: {text} ({name})",
        story="Как это было:",
        closed="закрыл(а) {operator}: {resolution}",
        seconds="с",
        screen="Покупатель видит: «{text}»",
        more="Подробно, с именами из журнала: -v",
        attempt_started="Начата оплата {amount}",
        case_opened="Открыто обращение № {number}",
        case_reopened="Обращение № {number} открыто снова",
        case_closed="Обращение № {number} закрыл(а) {operator}: {resolution}",
        not_proved="; чей это платёж, банк не подтверждает",
        events={
            "payment_created": "Банк создал платёж {payment_id} на {amount}",
            "create_failed": "Банк не создал платёж ({detail})",
            "status_unavailable": "Банк не отвечает",
            "payment_not_listed": "Банк не знает платежей этого заказа",
            "presented": "Покупатель может оплатить",
            "present_failed": "Показать ссылку не удалось ({detail})",
            "link_refused": "Ссылка банка не показана покупателю ({detail})",
            "retry_chosen": "Выбрано «Повторить»",
            "cancel_chosen": "Оплату отменяют",
            "recovered": "Касса запущена снова",
            "outcome_taken": "Кассовая программа приняла итог",
        },
        phases_by_time={
            "finding": "Ответа о платеже нет: касса ищет его у банка",
            "asking": "Банк слишком долго не отвечает: касса спрашивает покупателя",
            "confirming": "Время оплаты вышло: касса ждёт окончательного ответа банка",
            "watching": "Окончательного ответа банка нет: покупатель больше не ждёт, касса спрашивает дальше",
            "overdue": "Окончательного ответа банка всё ещё нет: касса спрашивает дальше, реже",
            "refundable": "Оплачено, но отмена кассы ещё может вернуть деньги: касса спрашивает дальше",
            "unsettled": "Окончательного ответа банка так и нет: касса больше не спрашивает",
        },
        statuses={
            "open": "Банк: ещё не оплачено",
            "paid": "Банк: оплачено, {amount}",
            "refunded": "Банк: деньги были получены и возвращены покупателю, {amount}",
            "closed": "Банк: закрыто без оплаты",
            "unknown": "Банк: непонятное состояние «{acquirer_status}»",
        },
        cancellations={
            "not_requested": "Отмена не дошла до банка",
            "accepted": "Банк принял отмену",
            "refused": "Банк отказал в отмене",
            "unanswered": "Отмена отправлена один раз, ответа нет",
        },
        phases={
            "watching": "касса ждёт окончательного ответа банка",
            "closed": "банк закрыл платёж без оплаты, касса ещё следит за ним",
            "overdue": "окончательный ответ банка не пришёл в срок, касса спрашивает дальше",
            "refundable": "оплачено, но отмена кассы ещё может вернуть деньги",
            "paid": "оплачено",
            "unpaid": "не оплачено",
            "paid_late": "оплачено с опозданием",
            "unsettled": "касса больше не спрашивает; окончательного ответа банка нет, или он себе противоречит",
        },
        reasons={
            "cancel_refused": "банк отказал в отмене и не сказал, чем кончился платёж",
            "cancel_unanswered": "отмена отправлена один раз, ответа нет",
            "expired_unconfirmed": "срок оплаты вышел или отмена не дошла, окончательного ответа банка нет",
            "create_unknown": "платёж мог быть создан, но его номер не получен; покупателю ничего не показали",
            "amount_mismatch": "списана другая сумма",
            "cancel_pay_race": "отмена принята или осталась без ответа, а банк сообщает об оплате",
            "late_money": "деньги пришли, когда покупателю уже показали другой итог",
            "paid_after_restart": "оплачено, пока касса была выключена",
            "goods_uncertain": "оплачено, но касса остановилась раньше, чем итог был принят: товар могли не отдать",
            "paid_unshown": "платёж этого заказа оплачен, но его ссылку касса не показывала: выясните, чей он",
            "refunded": "деньги были списаны и возвращены покупателю; товар не отдан",
        },
    ),
    "en": StoryWords(
        case="Case {number} of {date}: {state}",
        open="open",
        decided="decided by {operator}, not yet recorded by the lane",
        order="Order {order}, {amount}",
        payment="payment {payment}",
        no_payment="the payment's id was never received",
        reason="Why: {text} ({name})",
        now="Now: {text} ({name})",
        story="What happened:",
        closed="closed by {operator}: {resolution}",
        seconds="s",
        screen="The customer sees: “{text}”",
        more="With every name of the journal: -v",
        attempt_started="A payment of {amount} began",
        case_opened="Case {number} was opened",
        case_reopened="Case {number} was opened again",
        case_closed="Case {number} was closed by {operator}: {resolution}",
        not_proved="; the bank does not confirm whose payment it is",
        events={
            "payment_created": "The bank created payment {payment_id} of {amount}",
            "create_failed": "The bank did not create a payment ({detail})",
            "status_unavailable": "The bank does not answer",
            "payment_not_listed": "The bank knows of no payment for this order",
            "presented": "The customer can pay",
            "present_failed": "The link could not be presented ({detail})",
            "link_refused": "The bank's link was not shown to the customer ({detail})",
            "retry_chosen": "“Try again” was chosen",
            "cancel_chosen": "The payment is being cancelled",
            "recovered": "The lane started again",
            "outcome_taken": "The till took the outcome",
        },
        phases_by_time={
            "finding": "No answer about the payment: the lane looks for it at the bank",
            "asking": "The bank has not answered for too long: the lane asks the customer",
            "confirming": "The time to pay is over: the lane waits for the bank's final status",
            "watching": "The bank gave no final status: the customer no longer waits, the lane keeps asking",
            "overdue": "The bank has still given no final status: the lane keeps asking, less often",
            "refundable": "Paid, but the lane's cancellation may still refund it: the lane keeps asking",
            "unsettled": "The bank never gave a final status: the lane has stopped asking",
        },
        statuses={
            "open": "The bank: not paid yet",
            "paid": "The bank: paid, {amount}",
            "refunded": "The bank: the money was taken and given back to the customer, {amount}",
            "closed": "The bank: closed unpaid",
            "unknown": "The bank: an unknown status “{acquirer_status}”",
        },
        cancellations={
            "not_requested": "The cancellation did not reach the bank",
            "accepted": "The bank accepted the cancellation",
            "refused": "The bank refused the cancellation",
            "unanswered": "The cancellation was sent once and never answered",
        },
        phases={
            "watching": "the lane waits for the bank's final status",
            "closed": "the bank closed the payment unpaid, and the lane still watches it",
            "overdue": "no final status came from the bank in time, the lane keeps asking",
            "refundable": "paid, but the lane's cancellation may still refund it",
            "paid": "paid",
            "unpaid": "not paid",
            "paid_late": "paid late",
            "unsettled": "the lane has stopped asking; the bank gave no final status, or contradicts itself",
        },
        reasons={
            "cancel_refused": "the bank refused the cancellation and gave no final status",
            "cancel_unanswered": "the cancellation was sent once and never answered",
            "expired_unconfirmed": "the time to pay is over or the cancellation was not sent, and no final status came",
            "create_unknown": "the bank may hold a payment whose id never came; nothing was shown to the customer",
            "amount_mismatch": "another amount was taken",
            "cancel_pay_race": "the bank accepted or never answered the cancellation, and reports the payment as paid",
            "late_money": "money came after the customer had seen another outcome",
            "paid_after_restart": "paid while the lane was down",
            "goods_uncertain": "paid, but the lane stopped before the outcome was taken: did the goods go out?",
            "paid_unshown": "a payment of this order is paid whose link this lane never showed: find out whose it is",
            "refunded": "the money was taken and given back to the customer; the goods were not released",
        },
    ),
}
_UNANSWERED = re.compile(r"no answer from the acquirer: (?P<detail>.*)")
_NOTES = (
    (
        re.compile(
            r"acquirer: (?P<status>[a-z]+) \((?P<acquirer_status>.*?)\), (?P<amount>[\d,\u00a0]+)(?P<sign>[^\s;]+)"
        ),
        "",
    ),
    (_UNANSWERED, "status_unavailable"),
    (re.compile(r"acquirer: no payment of this order"), "payment_not_listed"),
    (re.compile(r"create: (?P<detail>.*)"), "create_failed"),
    (re.compile(r"presented: (?P<detail>.*)"), "presented"),
    (re.compile(r"not presented: (?P<detail>.*)"), "present_failed"),
    (re.compile(r"the link is not shown: (?P<detail>.*)"), "link_refused"),
    (re.compile(r"cancel: (?P<cancellation>[a-z_]+)"), "cancel_answered"),
)
"""What the lane notes of an answer, and the event that it was: an answer that changed nothing is only in a note."""
_CANCELLATIONS = {"not_asked": "not_requested"}  # a note has the program's word for it, not the journal's


def heading(case: Case, decided_by: str | None, date: str, language: str) -> list[str]:
    """What the case is about, and what is known now."""
    words = STORY_WORDS[language]
    if case.closed_at_ms is not None:
        state = words.closed.format(operator=case.operator, resolution=case.resolution)
    else:
        state = words.open if decided_by is None else words.decided.format(operator=decided_by)
    payment = words.payment.format(payment=case.payment_id) if case.payment_id else words.no_payment
    order = words.order.format(order=case.order_no, amount=format_amount(case.amount_kopecks))
    return [
        words.case.format(number=case.number, date=date, state=state),
        f"{order}, {payment}",
        words.reason.format(text=words.reasons.get(case.reason, case.detail), name=case.reason),
        words.now.format(text=words.phases.get(case.phase, case.phase), name=case.phase),
    ]


def story(timeline: list[Record], language: str) -> Iterator[tuple[Record, str]]:
    """The records that tell an operator something, each with its sentence; what is said twice is left out."""
    words, texts, last = STORY_WORDS[language], LANGUAGES[language], ""
    for record in timeline:
        text = _sentence(record, words)
        seen = _seen(record.body, words, texts)
        if text == last:  # the step repeats its note
            text = ""
        elif text:
            last = text
        parts = [part for part in (text, seen) if part]
        if parts:
            yield record, ". ".join(parts)


def _sentence(record: Record, words: StoryWords) -> str:
    body = record.body
    match record.kind:
        case "attempt_started":
            return words.attempt_started.format(amount=_amount(body["state"]["plan"]))
        case "attempt_step":
            return _step(body["event"], body["state"]["phase"], words)
        case "note":
            return _note(str(body["text"]), words)
        case "case_opened":
            return words.case_opened.format(number=body["case_number"])
        case "case_reopened":
            return words.case_reopened.format(number=body["case_number"])
        case "case_closed":
            return words.case_closed.format(
                number=body["case_number"], operator=body["operator"], resolution=body["resolution"]
            )
        case _:
            return ""  # the step before it says so


def _step(event: _Data, phase: str, words: StoryWords) -> str:
    match event["name"]:
        case "tick":
            return words.phases_by_time.get(phase, "")
        case "status_received":
            text = words.statuses[event["status"]].format(
                amount=_amount(event), acquirer_status=event["acquirer_status"]
            )
            return text if event["proved"] else text + words.not_proved
        case "cancel_answered":
            return words.cancellations.get(event["cancellation"], "")
        case name:
            amount = _amount(event) if "amount_kopecks" in event else ""
            return words.events[name].format(
                amount=amount, payment_id=event.get("payment_id"), detail=event.get("detail")
            )


def _note(text: str, words: StoryWords) -> str:
    """A note in the operator's language; one of a device as it is."""
    for pattern, event in _NOTES:
        found = pattern.match(text)
        if found is None:
            continue
        data = found.groupdict()
        if event == "cancel_answered":
            name = data["cancellation"]
            return words.cancellations.get(_CANCELLATIONS.get(name, name), text)
        if event:
            return words.events[event].format(**data)
        if data["status"] not in words.statuses:
            continue
        amount = data["amount"] + data["sign"].replace("RUB", "₽")
        sentence = words.statuses[data["status"]].format(amount=amount, acquirer_status=data["acquirer_status"])
        return sentence + words.not_proved if "names no attempt" in text else sentence
    return text


def note_in_words(text: str, language: str) -> str:
    """A note in that language, for a line under a payment under way: with the reason why there is no answer."""
    sentence = _note(text, STORY_WORDS[language])
    unanswered = _UNANSWERED.match(text)
    return f"{sentence} ({unanswered['detail']})" if unanswered else sentence


def _seen(body: _Data, words: StoryWords, texts: Texts) -> str:
    """What the customer's screen showed from then on, where it is more than waiting or the way to pay."""
    shown = {
        "dialog": texts.dialog,
        "paid": texts.paid,
        "unpaid": texts.unpaid,
        "attendant": texts.attendant,
    }
    views = [effect["view"] for effect in body.get("effects", ()) if effect["name"] == "show_view"]
    return words.screen.format(text=shown[views[-1]]) if views and views[-1] in shown else ""


def _amount(data: _Data) -> str:
    roubles = format_amount(data["amount_kopecks"])
    return roubles if data["currency"] == "RUB" else roubles.replace("₽", data["currency"])
