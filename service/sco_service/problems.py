"""Every refusal of the service: its stable code, its status, whether to try again, and its words in two languages.

`catalogue` gives the table to the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sco_drivers.plain import json_line
from sco_service.messages import Response


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Attributes:
        status: HTTP status.
        retry: whether the same request may succeed later as it is.
        title: what it is, in English.
        russian: what it is and what to do, in Russian.
        nothing_done: whether it is certain that this request did nothing.
    """

    status: int
    retry: bool
    title: str
    russian: str
    nothing_done: bool = True


KINDS: dict[str, Kind] = {
    # payments
    "id_conflict": Kind(
        409, False, "This id belongs to a payment with another body", "Этот id уже занят платежом с другими данными"
    ),
    "lane_busy": Kind(409, True, "Another payment is under way", "Идёт другой платёж: повторите после его завершения"),
    "order_paid": Kind(
        409, False, "The order has already been paid, at least in part", "Заказ уже оплачен полностью или частично"
    ),
    "order_open": Kind(
        409,
        True,
        "The order may still be paid by an earlier attempt",
        "Заказ ещё может быть оплачен прежней попыткой: дождитесь её завершения или решения по обращению",
    ),
    "order_refused": Kind(
        422,
        False,
        "The lane cannot take such a payment",
        "Касса не может принять такой платёж: проверьте заказ и суммы",
    ),
    "no_such_payment": Kind(404, False, "No payment has this id", "Платежа с таким id нет"),
    "payment_archived": Kind(410, False, "The payment is in an archive", "Платёж перенесён в архив журнала"),
    "not_begun_yet": Kind(
        409,
        True,
        "The payment waits to begin: it may begin, or be refused",
        "Оплата ещё не началась: касса готовится к ней. Повторите запрос",
    ),
    "no_outcome_yet": Kind(409, True, "The payment has no outcome yet", "У платежа ещё нет результата"),
    "not_acceptable": Kind(
        409,
        False,
        "Only a paid outcome can be refused",
        "Отказаться можно только от результата «оплачено»",
    ),
    "not_offered": Kind(409, False, "The screen does not show this button now", "Этой кнопки сейчас нет на экране"),
    "journal_unavailable": Kind(
        503,
        True,
        "The journal cannot be used; what was asked for may have been done",
        "Журнал кассы недоступен: проверьте диск. Повторите запрос: он мог быть выполнен",
        nothing_done=False,
    ),
    "lane_stopping": Kind(503, True, "The lane is stopping", "Касса останавливается"),
    # events, screen, cases, paper
    "events_archived": Kind(
        410,
        False,
        "The journal does not hold these events any more",
        "Этих событий в журнале нет: он перенесён в архив или начат заново",
    ),
    "no_code": Kind(404, True, "There is no code on the screen now", "Сейчас на экране нет QR-кода"),
    "no_such_case": Kind(404, False, "There is no such case", "Обращения с таким номером нет"),
    "case_closed": Kind(409, False, "The case is already closed", "Обращение уже закрыто"),
    "payment_changed": Kind(
        409,
        False,
        "The payment has changed since the case was read",
        "Пока вы решали, состояние платежа изменилось. Посмотрите обращение ещё раз",
    ),
    "wrong_pin": Kind(403, False, "Name and PIN do not match", "Неверное имя или PIN"),
    "pin_throttled": Kind(
        429, True, "Too many wrong PINs: wait", "Слишком много неверных PIN: подождите и попробуйте снова"
    ),
    "printer_unavailable": Kind(
        503, True, "The document was not printed: check the printer", "Не напечатано: проверьте принтер"
    ),
    "printed_before": Kind(
        409, False, "A document with this id was printed, or may have been", "Документ с этим id уже печатался"
    ),
    "document_refused": Kind(
        422, False, "The printer cannot print this document", "Принтер не может напечатать этот документ"
    ),
    "not_printable": Kind(409, False, "There is no ticket to print again now", "Сейчас нечего печатать повторно"),
    # requests
    "bad_request": Kind(400, False, "Not a valid HTTP request", "Это не запрос HTTP"),
    "bad_json": Kind(400, False, "The body is not a JSON object", "Тело запроса — не объект JSON"),
    "unknown_field": Kind(400, False, "An unknown field or parameter", "Неизвестное поле или параметр"),
    "bad_field": Kind(400, False, "A field or parameter has a wrong value", "Недопустимое значение поля или параметра"),
    "body_too_large": Kind(413, False, "The body is too large", "Слишком большое тело запроса"),
    "head_too_large": Kind(431, False, "The request's headers are too large", "Слишком большой заголовок запроса"),
    "unsupported_media": Kind(
        415, False, "The body must be application/json", "Тело запроса должно быть application/json"
    ),
    "unauthorized": Kind(401, False, "Missing or invalid token", "Токен не передан или недействителен"),
    "forbidden": Kind(403, False, "This client's role does not allow this", "Роль этого клиента не даёт такого права"),
    "host_refused": Kind(403, False, "The Host header names another host", "Заголовок Host называет другой узел"),
    "origin_refused": Kind(403, False, "Another site's page sent this", "Запрос отправлен страницей другого сайта"),
    "no_such_path": Kind(404, False, "No such resource", "Такого ресурса нет"),
    "method_not_allowed": Kind(
        405, False, "The resource does not support this method", "Ресурс не поддерживает этот метод"
    ),
    "timeout": Kind(408, True, "The request came too slowly", "Запрос передавался слишком медленно"),
    "too_many_connections": Kind(503, True, "Too many connections", "Слишком много соединений"),
    "internal": Kind(
        500,
        True,
        "Internal error: see the service's log; what was asked for may have been done",
        "Ошибка службы: см. её журнал. Повторите запрос: он мог быть выполнен",
        nothing_done=False,
    ),
}


class Problem(Exception):
    """A request is refused.

    Args:
        code: of `KINDS`.
        detail: what was found and what to do, in English; the kind's title without it.
        field: the field or parameter that is meant.
        headers: of the answer.
        more: further members of the answer.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        field: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        **more: Any,
    ) -> None:
        self.code = code
        self.kind = KINDS[code]
        self.detail = detail or self.kind.title
        self.field = field
        self.headers = headers
        self.more = more
        super().__init__(f"{code}: {self.detail}")

    def response(self) -> Response:
        """As the client gets it (RFC 9457)."""
        russian = self.kind.russian + (f" ({self.field})" if self.field else "")
        data: dict[str, Any] = {
            "type": f"urn:sco-paymaster:problem:{self.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "detail_ru": russian,
            "code": self.code,
            "retry": self.kind.retry,
            "nothing_done": self.kind.nothing_done,
            **({"field": self.field} if self.field else {}),
            **self.more,
        }
        headers = (*SAFE_HEADERS, *self.headers)
        if self.kind.retry and not any(name == "Retry-After" for name, _ in self.headers):
            headers += (("Retry-After", "1"),)
        return Response(self.kind.status, to_json(data), "application/problem+json", headers)


SAFE_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
"""Of every answer with data: no cache may keep it, no browser may take it for something else."""


def problem(code: str) -> Response:
    """The answer of a kind, with no more to say."""
    return Problem(code).response()


def to_json(data: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8, without spaces."""
    return json_line(data, compact=True).encode()


def catalogue() -> Iterator[tuple[str, Kind]]:
    """Each code and its kind, in the order of the documentation."""
    yield from KINDS.items()
