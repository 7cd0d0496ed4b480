"""The requirement, point by point, in our own words: the source of `docs/conformance.md`.

Words that the lane or the till shows stand in «» and are exact. A test that shows a point carries
`@pytest.mark.requirement("R4")`; `docs/evidence.py` (`make diagrams`) makes the page, `test_conformance.py` holds them
to each other.
"""

from __future__ import annotations

from typing import NamedTuple


class Requirement(NamedTuple):
    """One point.

    Attributes:
        id: R and a number; a number is never used again.
        section: the heading under which it is listed.
        text: what is required.
        reading: how we read it where it leaves something open, or where we do something else, and why.
        elsewhere: who meets it, where this software has no part in it; such a point has no tests.
    """

    id: str
    section: str
    text: str
    reading: str = ""
    elsewhere: str = ""


BEGIN, MODES, OFFLINE, LIMITS, SETUP = (
    "Beginning a payment",
    "Ways to show the code",
    "When the network fails",
    "Limits",
    "Setting up",
)
REQUIREMENTS = (
    Requirement(
        "R1",
        BEGIN,
        "On a self-checkout lane a customer can pay through SBP with PayMaster: by a plate with a QR code "
        "and an NFC tag, by a QR code on the lane's screen, or by one on the receipt tape.",
    ),
    Requirement(
        "R2",
        BEGIN,
        "The customer scans goods or picks them from a list, presses «Начать оплату», and the till offers "
        "the payment types.",
        elsewhere="the till. This software begins when the till asks it for a payment.",
    ),
    Requirement(
        "R3",
        BEGIN,
        "The payment type is called «Оплата по QR-коду/NFC СБП».",
        reading="The screen of payment types is the till's; the ticket of mode 0 carries the name.",
    ),
    Requirement(
        "R4",
        BEGIN,
        "The customer does not edit the amount: what the order still lacks is charged.",
        reading="The till states the amount of the leg; without that, it is all that the order still lacks. The "
        "lane asks the customer for no amount.",
    ),
    Requirement(
        "R5",
        BEGIN,
        "Until the code is there, the screen shows «Пожалуйста, подождите» and a spinner.",
        reading="Required of mode 0 only. It is shown in every mode, and again while a payment is being ended.",
    ),
    Requirement(
        "R6",
        BEGIN,
        "The lane requests the payment at PayMaster, receives its QR code, and presents it as the settings say.",
        reading="The code is checked before anybody sees it: host, checksum, amount, currency, and on a plate that it "
        "is the plate's own. One that contradicts the payment, or leads to a host that nobody has named, is cancelled "
        "unseen; one whose form is not known is presented, and noted as not verified.",
    ),
    Requirement(
        "R7",
        MODES,
        "Mode 0: the QR code is printed on the receipt tape; the customer scans it and pays.",
        reading="It is a ticket of its own; the fiscal receipt is the till's. Below «Пожалуйста, "
        "подождите» the screen adds «Отсканируйте QR-код на чеке».",
    ),
    Requirement(
        "R8",
        MODES,
        "Mode 1: the screen shows the QR code and «Для оплаты используйте NFC или отсканируйте QR-код».",
    ),
    Requirement(
        "R9",
        MODES,
        "Mode 2: the customer scans the QR code of a sticker that never changes, or reads the NFC tag on "
        "the lane's case.",
        reading="The example has the code and the hint of mode 1 on the screen, the table of modes has a message "
        "about sticker and tag. By default the screen shows the code and that hint; with "
        "`display.qr_with_plate = false` it adds «Отсканируйте QR-код с наклейки или считайте NFC-метку» in"
        " place of the code.",
    ),
    Requirement(
        "R10",
        MODES,
        "Mixed payment: the customer pays a part by «Несколькими банковскими картами», enters that amount "
        "on the screen's keyboard, and pays the rest through SBP. Only in mode 1, and only on SetSCO 4:3.",
        reading="The cards and the keyboard are the till's. The amount that is entered may be the cards', and SBP"
        " pays the rest, or that of the leg that follows, and the rest follows by any means: both are "
        "supported, the till states which by the amount of the leg. In another mode or on another screen "
        "(`lane.profile`) such a payment is refused before anything is sent.",
    ),
    Requirement(
        "R11",
        OFFLINE,
        "The lane requests the payment's status every 3 seconds.",
        reading="By default (`timing.poll_interval_s`), from request to request, also where an answer is late. A bank "
        "that answers *too many requests* or *not available*, and says for how long, is asked again after that time.",
    ),
    Requirement(
        "R12",
        OFFLINE,
        "The states 5 and 6 are final; no other state ends a payment.",
        reading="PayMaster's public interface has words, not numbers. One table maps them (5: `Settled`; 6: "
        "`Cancelled`, `Rejected`), `paymaster.states` adds to it, and an unknown word is never final. *Refunded*, "
        "which none of the numbers means, ends the payment in a case. State 6 ends it for the customer; the lane goes "
        "on asking for a while, and money that comes all the same is a case.",
    ),
    Requirement(
        "R13",
        OFFLINE,
        "Without a final state, because the network fails, the lane keeps requesting until a timeout.",
        reading="The timeout, 90 s by default (`timing.poll_timeout_s`), counts from the bank's last answer: a bank"
        " that answers *not yet* is not a lost connection, and is polled to the invoice's end without a "
        "dialog.",
    ),
    Requirement(
        "R14",
        OFFLINE,
        "Then a dialog says «Оплата не завершена, нет связи с процессингом», with the buttons «Повторить» "
        "and «Отменить».",
        reading="While it is shown, the lane keeps requesting (`dialog.poll_while_shown`), and an answer ends it. A"
        " dialog that nobody answers cancels nothing before the invoice's end. It is shown once in a payment unless "
        "`dialog.again` is set.",
    ),
    Requirement(
        "R15",
        OFFLINE,
        "«Повторить»: the lane keeps requesting for as long as the invoice lives.",
    ),
    Requirement(
        "R16",
        OFFLINE,
        "«Отменить»: the lane sends the cancellation once.",
        reading="Never a second time after one that may have arrived. One that certainly did not (no connection, "
        "*too many requests*, a refused token) does not count: it is sent when the bank answers again. The lane sends "
        "this one cancellation unasked, too, where no customer can have seen the code, and where the bank leaves a "
        "payment open past its end or after a restart.",
    ),
    Requirement(
        "R17",
        OFFLINE,
        "Where the cancellation succeeds, the lane returns to the choice of payment types.",
        reading="The screen is the till's: it gets the outcome *unpaid*, and offers the payment types. *Deviation:* "
        "accepted is not closed. The outcome comes with the final state, or after `timing.confirm_timeout_s` without "
        "it. In that case the customer can pay in any other way at once, but not the same order by SBP: the lane "
        "refuses that until the bank has closed the payment, which could still be paid. Where the bank says *paid*, "
        "the outcome is *unknown* with a case, and no goods: the cancellation may still refund the money.",
    ),
    Requirement(
        "R18",
        OFFLINE,
        "Where the cancellation does not succeed, an administrator must decide, with the payment system.",
        reading="The lane asks for the payment's state. One that was refused because the payment is paid releases the "
        "goods. Otherwise the lane opens a case with all that was asked and answered, sends the customer to an "
        "attendant, and takes no other SBP payment of the order until the bank has closed this one unpaid or, when "
        "its time and `timing.grace_s` are over, an operator has closed the case. So it does wherever money may have "
        "moved unseen.",
    ),
    Requirement(
        "R19",
        LIMITS,
        "A self-checkout lane makes no refunds: they are made at pos/touch tills.",
    ),
    Requirement(
        "R20",
        SETUP,
        "Whether a link is static or made for each payment is set in PayMaster's account for the PosID; the"
        " lane only requests the code.",
        reading="With a static plate the lane must know which plate is its own: `display.sticker_id` and "
        "`display.plate_link`. Another plate's link is never taken for it.",
    ),
    Requirement(
        "R21",
        SETUP,
        "A parameter selects how the code is shown: 0 printed, 1 on the screen, 2 by sticker or tag.",
        reading="`display.mode`; any other value is refused with a message.",
    ),
    Requirement(
        "R22",
        SETUP,
        "Each lane is set up by hand, on the lane itself.",
        reading="The requirement names the till's database; here it is a file of the lane, which `sco-pay settings "
        "check` examines. A lane may also get a part of its settings from the chain's own server, if its file says so.",
    ),
    Requirement(
        "R23",
        SETUP,
        "The payment type is switched on in the template of self-checkout tills on the server, and the till"
        " is restarted.",
        elsewhere="the server's administrator.",
    ),
    Requirement(
        "R24",
        SETUP,
        "PayMaster is set up as an external processing service.",
        elsewhere="the till's and PayMaster's own instructions; what this software needs of it is in "
        "[installing](guide/install.md).",
    ),
)
OF_THE_TILL = {"Начать оплату", "Несколькими банковскими картами"}
"""Words in «» that the till shows."""
