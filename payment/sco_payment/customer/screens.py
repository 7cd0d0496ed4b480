"""What the customer must see for a state of an attempt: which words, which code and which buttons. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sco_payment import attempt as m
from sco_payment.customer.texts import Texts
from sco_payment.customer.ui import CANCEL, RETRY, Button, ScreenState
from sco_payment.money import format_amount


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else than the attempt decides about its screens.

    Attributes:
        expires_at_ms: wall-clock time at which the link expires, ms since the epoch.
        case: number of the attempt's case; None without one.
        checking: the acquirer does not answer: a customer who has paid must not look at a code alone.
        qr_with_plate: mode 2 shows the code on the screen too.
        tag_ok: mode 2: False if the tag cannot be used for this payment.
    """

    expires_at_ms: int
    case: int | None = None
    checking: bool = False
    qr_with_plate: bool = True
    tag_ok: bool | None = None


def screen_of(texts: Texts, state: m.State, view: m.View, around: Surroundings) -> ScreenState:
    """The screen of `view` of the attempt."""
    screen = ScreenState(view, "", buttons=_buttons(texts, state, view), attempt=state.plan.key)
    if view is not m.View.WAIT:
        amount = state.plan.kopecks
        screen = replace(screen, amount_kopecks=amount, amount_text=format_amount(amount))
    if view in (m.View.PAY, m.View.DIALOG):
        screen = replace(screen, expires_at_ms=around.expires_at_ms, expires_text=texts.time_left)
    match view:
        case m.View.PAY:
            screen = replace(screen, hint=texts.open_bank_app, status=texts.checking if around.checking else "")
            return _how_to_pay(texts, state, screen, around)
        case m.View.DIALOG:
            return replace(screen, headline=texts.dialog, lines=(texts.paid_already,), prominent=1)
        case m.View.ATTENDANT:
            case_text = "" if around.case is None else texts.case.format(number=around.case)
            return replace(screen, headline=texts.attendant, case=around.case, case_text=case_text)
        case m.View.PAID:
            return replace(screen, headline=texts.paid)
        case m.View.UNPAID:
            lines = (texts.no_money_taken,) if _closed_by_acquirer(state) else ()
            return replace(screen, headline=texts.unpaid, lines=(*lines, texts.choose_again), prominent=len(lines))
        case m.View.WAIT:
            return replace(screen, headline=texts.wait)


def idle_screen(texts: Texts) -> ScreenState:
    """The screen between two payments."""
    return ScreenState(m.View.WAIT, texts.payment_type, idle=True)


def _buttons(texts: Texts, state: m.State, view: m.View) -> tuple[Button, ...]:
    retry = (Button(RETRY, texts.retry, primary=True),) if view is m.View.DIALOG else ()
    cancel = (Button(CANCEL, texts.cancel),) if m.may_cancel(state) else ()
    return retry + cancel


def _how_to_pay(texts: Texts, state: m.State, screen: ScreenState, around: Surroundings) -> ScreenState:
    """Headline, further lines and the code, by display mode."""
    plan = state.plan
    if plan.mode is m.Mode.PRINT:
        return replace(screen, headline=texts.wait, lines=(texts.scan_ticket,), prominent=1, ticket=True)
    screen = replace(screen, headline=texts.pay)
    if plan.mode is m.Mode.SCREEN:
        return replace(screen, link=state.link)
    link = state.link if around.qr_with_plate else None
    if around.tag_ok is not False:
        return replace(screen, lines=(texts.scan_plate,), prominent=1, link=link, plate=True)
    # The code leads where there is one; a plate has a code of its own, printed next to the tag.
    lines = (texts.use_qr,) if link or plan.plate_link else ()
    return replace(screen, lines=lines, prominent=len(lines), link=link, plate=link is None)


def _closed_by_acquirer(state: m.State) -> bool:
    """Whether the acquirer itself has closed the payment: only then may the screen say that no money was taken."""
    return state.payment_id is not None and state.phase in (m.Phase.CLOSED, m.Phase.UNPAID)
