"""A record in words, for a case's timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sco_drivers.plain import one_line
from sco_payment.journal.records import Record
from sco_payment.money import format_amount

_Data = Mapping[str, Any]


def describe(record: Record) -> str:
    """What the record says, in one line of plain text."""
    return one_line(_describe(record))


def _describe(record: Record) -> str:
    body = record.body
    match record.kind:
        case "attempt_started":
            plan = body["state"]["plan"]
            return f"attempt started: order {plan['order_no']}, {_amount(plan)}{_other_legs(plan)}" + _effects(body)
        case "attempt_step":
            event = body["event"]
            return f"{_EVENTS[event['name']](event)} -> {body['state']['phase']}" + _effects(body)
        case "note":
            return str(body["text"])
        case "case_opened":
            return f"case {body['case_number']} opened, {body['reason']}: {body['detail']}"
        case "case_note":
            return f"added to the case: {body['detail']}"
        case "case_reopened":
            return f"case {body['case_number']} reopened"
        case "archived":
            return f"rows up to {body['last_row']} were moved to the archive {body['file']}"
        case _:
            return f"case {body['case_number']} closed by {body['operator']}: {body['resolution']}"


def _amount(data: _Data) -> str:
    return format_amount(data["amount_kopecks"], currency=data["currency"])


def _other_legs(plan: _Data) -> str:
    legs = {
        "tendered elsewhere before": plan["tendered_elsewhere_kopecks"],
        "by SBP before": plan.get("tendered_by_sbp_kopecks", 0),
        "left for legs after it": plan.get("remaining_kopecks", 0),
    }
    return "".join(
        f", {format_amount(amount, currency=plan['currency'])} {what}" for what, amount in legs.items() if amount
    )


def _effects(body: _Data) -> str:
    words = [_EFFECTS[effect["name"]](effect) for effect in body["effects"]]
    return f" [{', '.join(words)}]" if words else ""


def _with_detail(text: str, data: _Data) -> str:
    return f"{text}: {data['detail']}" if data["detail"] else text


def _status(event: _Data) -> str:
    text = f"payment {event['payment_id']} is {event['status']} ({event['acquirer_status']}), {_amount(event)}"
    return text if event["proved"] else text + ", not proved to be this attempt's"


_EVENTS: dict[str, Callable[[_Data], str]] = {
    "tick": lambda event: "time is up",
    "payment_created": lambda event: f"payment {event['payment_id']} created ({event['status']}), {_amount(event)}",
    "create_failed": lambda event: _with_detail("no payment created", event),
    "status_received": _status,
    "status_unavailable": lambda event: _with_detail("no status", event),
    "payment_not_listed": lambda event: "the acquirer lists no payment of the order",
    "cancel_answered": lambda event: _with_detail(f"cancellation {event['cancellation']}", event),
    "presented": lambda event: f"link presented: {event['evidence']}",
    "present_failed": lambda event: _with_detail("link not presented", event),
    "retry_chosen": lambda event: "retry chosen",
    "cancel_chosen": lambda event: "cancellation chosen",
    "recovered": lambda event: (
        "outcome not accepted by the lane's software" if event.get("not_accepted") else "the lane started again"
    ),
    "outcome_taken": lambda event: "outcome taken by the lane's software",
}
_EFFECTS: dict[str, Callable[[_Data], str]] = {
    "send_create": lambda effect: "create the payment",
    "send_status_request": lambda effect: "ask for the status",
    "send_list_request": lambda effect: "look for the payment",
    "send_cancel": lambda effect: "cancel the payment",
    "present_link": lambda effect: "present the link",
    "withdraw_link": lambda effect: "withdraw the link",
    "show_view": lambda effect: f"show {effect['view']}",
    "open_case": lambda effect: "open a case",
    "add_case_note": lambda effect: "add to the case",
    "report_outcome": lambda effect: f"report {effect['outcome']}",
}
