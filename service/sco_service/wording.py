"""The service's own words in two languages: what a case is about, and what the attendant should do."""

from __future__ import annotations

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
        "ru": "Отмена принята или осталась без ответа, а банк сообщает об оплате.",
        "en": "The acquirer accepted the cancellation, or never answered it, and reports the payment as paid.",
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
_MAY_BE_REFUNDED: Both = {
    "ru": "Отмена ещё может вернуть деньги: касса ждёт этого до конца срока оплаты и ещё десять минут. Не отдавайте "
    "товар раньше. Потом найдите платёж в кабинете банка: если деньги не возвращены, отдайте товар с чеком или верните "
    "их на кассе pos/touch.",
    "en": "The cancellation may still refund the customer: the lane watches for that until the invoice's end and ten "
    "minutes more. Give no goods before. Then find the payment in the acquirer's account page: if the money was not "
    "refunded, give the goods with a receipt or refund at a pos/touch till.",
}
_REFUNDED: Both = {
    "ru": "Товар по этому платежу не отдавайте. Если его уже отдали, получите оплату снова.",
    "en": "Do not give goods for this payment. If they were given already, have it paid again.",
}
ADVICE: dict[str, Both] = {
    reason: {"amount_mismatch": _AMOUNT, "cancel_pay_race": _MAY_BE_REFUNDED, "refunded": _REFUNDED}.get(
        reason,
        _PAID if reason in ("late_money", "paid_after_restart", "goods_uncertain", "paid_unshown") else _CHECK,
    )
    for reason in WHAT_HAPPENED
}
"""A case's reason -> what the attendant should do."""
