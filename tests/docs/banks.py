"""What a bank, a clock or a network may do, and what the lane does then: the source of `docs/banks.md`.

A test that shows a row is marked `@pytest.mark.bank("B4")`. `docs/evidence.py` (`make diagrams`) makes the page,
`test_banks.py` holds rows, marks, scripts and engines to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Row(NamedTuple):
    """One row.

    Attributes:
        id: B and a number; a number is never used again.
        section: the heading under which it is listed.
        title: what may happen, in a few words.
        happens: what may happen.
        answer: what the lane does.
        scripts: of the PayMaster simulator: each brings it about.
        no_script: why no script does, where none can.
        met: where an engine meets it: `explore` by scenarios, `simulate` by kinds of faults, `kill` by scenarios.
        faults: the seeded faults that must be caught, by the engine that has them.
    """

    id: str
    section: str
    title: str
    happens: str
    answer: str
    scripts: tuple[str, ...] = ()
    no_script: str = ""
    met: Mapping[str, tuple[str, ...]] = NOTHING
    faults: Mapping[str, tuple[str, ...]] = NOTHING


class Engine(NamedTuple):
    """Where seeded faults are kept: how the page calls it, and the test that fails unless each of them is caught."""

    title: str
    test: str


ENGINES = {
    "explore": Engine("the explorer", "tests/verification/test_explore.py"),
    "simulate": Engine("the simulation", "tests/verification/test_simulate.py"),
    "kill": Engine("kill -9", "tests/verification/test_kill.py"),
    "behaviours": Engine("a test of its own", "tests/verification/test_behaviours.py"),
}

CREATING, FINAL, CANCELLING, CLOCKS, LINKS, ACCESS, TILL = (
    "Creating the payment",
    "Final, or not",
    "Cancelling",
    "Clocks and time",
    "Links and plates",
    "Access and settings",
    "The till",
)
ROWS = (
    Row(
        "B1",
        CREATING,
        "The list does not say whose payment it is",
        "The answer to the create is lost. The bank's list then shows payments without order number and parameters, or "
        "a payment of the order with another amount.",
        "Such a payment may be the lane's own, so it never counts as “not there”. The lane neither cancels it nor "
        "gives goods for it; the customer is sent to the attendant with a case, and no second payment of the order "
        "begins until the bank's list shows more or an operator has decided. A payment is ruled out by its time only "
        "where the lane has not been restarted since it sent the create: then it knows how the two clocks differed.",
        scripts=("leaves + stays-open + cut-after on=create + list-nameless",),
        met={
            "explore": ("unattributed", "unattributed plate"),
            "simulate": ("nameless", "unattributed", "namesake", "crowd", "list lags"),
        },
        faults={
            "explore": (
                "an empty list counts as never created",
                "another till's money counts as this one's",
                "a payment found by number and amount only is cancelled",
                "the link of a payment that agrees in number and amount is shown",
                "the end of the watch takes an answer to an earlier request",
            ),
            "simulate": ("a list without names does not hold the attempt's payment",),
            "behaviours": (
                "a payment of the order with another amount is not there",
                "a payment without a name is looked for by the clocks of now",
            ),
        },
    ),
    Row(
        "B2",
        CREATING,
        "The create is answered with a payment that is settled already",
        "The answer to the create, or to its repetition, says that the payment is settled, although nobody was shown "
        "its link.",
        "No goods: the customer is sent to the attendant with the case `paid_unshown`. On a static plate it counts as "
        "paid, since its code can be scanned at any time.",
        scripts=("leaves + settled-at-once",),
        met={"explore": ("screen", "plate"), "simulate": ("bank settles at once",)},
        faults={
            "explore": ("a payment that nobody could see counts as paid here",),
            "simulate": ("money for a link that nobody was shown is an ordinary payment",),
        },
    ),
    Row(
        "B6",
        CREATING,
        "A create that is sent again is refused",
        "The answer to the create is lost, and the bank refuses to see its key again (409 "
        "`idempotency_key_violation`); or a gateway on the way repeats the request, and the only answer that comes is "
        "a 409 with other words; or the create takes effect when the lane has given up waiting.",
        "A refusal of this kind never means that nothing was created. The lane looks for the payment. One that names "
        "the attempt and is still open is shown to the customer as usual; one that is found when nobody waits for it "
        "any more is cancelled.",
        scripts=(
            "pays after=9 + key-refused + cut-after on=create first=1",
            "pays after=9 + repeated on=create",
            "leaves + late wait=60 on=create",
        ),
        met={"explore": ("screen", "plate"), "simulate": ("bank refuses keys", "repeated", "twice", "late")},
        faults={
            "explore": ("a create without an answer counts as never created", "a link that came later is not judged"),
            "simulate": ("each retry of a create has a new key",),
            "behaviours": (
                "a conflict means that nothing was created",
                "a payment that was found is never presented",
            ),
        },
    ),
    Row(
        "B8",
        CREATING,
        "The link comes later",
        "The answer to the create says `Pending` and has no link.",
        "The lane asks for it until `timing.create_window_s` is over, and for `timing.confirm_timeout_s` at least. The "
        "customer sees «Пожалуйста, подождите» and can cancel. Only a payment whose link has not come by then is "
        "cancelled.",
        scripts=("pays after=9 + link-later",),
        met={"explore": ("screen", "plate"), "simulate": ("bank link late", "bad link")},
        faults={
            "explore": (
                "a payment whose link has not come is cancelled at once",
                "a link that came later is not judged",
            )
        },
    ),
    Row(
        "B3",
        FINAL,
        "The payment stays open after its end",
        "The link has expired, and the bank leaves the payment open: it could still be paid.",
        "The lane sends the one cancellation, if it was not sent before. Where that does not end the payment either, "
        "it is a case, and the lane keeps asking for `timing.overdue_days`, ever more slowly, once an hour at least. "
        "Money that it finds then is noted in the case, and opens a case again that an operator has closed. It does "
        "not stop asking before the cancellation was sent.",
        scripts=("leaves + stays-open", "leaves + stays-open + cancel-refused"),
        met={"explore": ("screen", "plate"), "simulate": ("bank stays open", "bank expires late")},
        faults={
            "explore": (
                "what the acquirer keeps open after its end is not cancelled",
                "the days of asking end with the cancellation unspent",
                "the lane's own timeout counts as declined",
                "the watch ends without a case",
                "money that comes after days counts as unpaid",
            ),
            "simulate": (
                "the lane stops asking with the cancellation unspent",
                "late money does not reopen a closed case",
            ),
        },
    ),
    Row(
        "B5",
        FINAL,
        "A payment that was declined is paid after all",
        "The customer's try is declined and the bank says that the payment is over. The customer tries again with the "
        "same link, and the bank settles it.",
        "The first answer ends the payment for the customer, who may pay in another way at once. The lane goes on "
        "watching the payment for as long as it could be paid, and for `timing.grace_s` more: money is a case, and a "
        "payment that is open again is cancelled.",
        scripts=("declines-then-pays after=2",),
        met={
            "explore": ("declining",),
            "simulate": ("bank declines a try", "bank declines"),
            "kill": ("declined, then paid",),
        },
        faults={
            "explore": (
                "what the acquirer has closed is not watched",
                "money that comes after the acquirer closed the payment is dropped",
            ),
            "simulate": ("a declined payment is not watched",),
        },
    ),
    Row(
        "B7",
        FINAL,
        "The lane comes back before its network does",
        "The lane loses its power during a payment, and starts again when the payment is long over; its network comes "
        "up later still.",
        "Silence ends no payment, however long it lasts. The lane keeps asking, ever more slowly, and only an answer "
        "ends that. Until then there is a case, and no second payment of the order begins.",
        scripts=("pays after=10 + down on=create wait=600", "leaves + stays-open + down on=create wait=1000"),
        met={"explore": ("screen", "plate"), "simulate": ("long outage", "offline")},
        faults={
            "explore": ("silence ends the watch, with a case", "'not found' counts as unpaid"),
            "simulate": ("404 is unpaid", "open attempts are not recovered"),
        },
    ),
    Row(
        "B15",
        CANCELLING,
        "The cancellation certainly never arrived",
        "The connection is refused, the bank answers “too many requests” (429), or it refuses the token (401).",
        "Such a cancellation does not count as the one that may be sent. It is sent again when the bank answers, and "
        "not before the time that the bank has asked for (Retry-After); a wait of up to `timing.poll_timeout_s` alone "
        "opens no case. One that may have arrived is never sent again.",
        scripts=(
            "leaves + 429 wait=12 on=cancel first=1",
            "leaves + 401 on=cancel first=2",
            "leaves + down wait=6 on=create",
        ),
        met={"explore": ("screen",), "simulate": ("429", "refused", "no name")},
        faults={
            "explore": (
                "a cancellation that never left counts as sent",
                "an unanswered cancellation is sent again",
            ),
            "simulate": (
                "a cancellation that never left counts as sent",
                "a cancellation without an answer counts as never sent",
                "a cancellation is sent again",
            ),
            "kill": ("an unanswered cancellation is sent again",),
            "behaviours": ("a cancellation that met a refused token counts as refused",),
        },
    ),
    Row(
        "B18",
        CANCELLING,
        "Banks mean different things by a cancellation",
        "It is refused because the payment is paid, or because the customer is paying it now; it is accepted, and the "
        "customer's money comes all the same; it refunds what was paid, at once or some time later; or it has no "
        "answer and takes effect when the lane has given up waiting.",
        "After any answer, and without one, the lane asks for the payment's status. Refused and paid: goods. Accepted "
        "or unanswered, and paid: no goods, since the cancellation may still refund the money: a case, and the lane "
        "watches the payment for `timing.grace_s` at least. It notes in the case whether the bank has refunded or "
        "kept the money, and opens the case again if an operator has closed it.",
        scripts=(
            "pays-at-cancel",
            "leaves + cancel-in-use",
            "pays-after-cancel",
            "pays-at-cancel + cancel-refunds",
            "leaves + cancel-refunds-later",
            "leaves + late wait=20 on=cancel + cancel-refunds",
        ),
        met={
            "explore": ("refunding", "screen"),
            "simulate": (
                "bank refuses cancel",
                "bank closes late",
                "bank takes after cancel",
                "bank refunds",
            ),
            "kill": ("late cancel",),
        },
        faults={
            "explore": (
                "a cancellation that failed counts as cancelled",
                "the customer's Отменить counts as not paid at once",
                "a refund counts as not paid",
                "a cancellation without an answer is taken for one that did nothing",
                "a refund that shows later is not awaited",
                "the cancellation is sent before it is on disk",
            ),
            "simulate": (
                "a cancellation without an answer refunds nothing",
                "a refund that shows later is not waited for",
                "a failed cancellation counts",
                "a captive portal's page counts as an accepted cancellation",
            ),
        },
    ),
    Row(
        "B4",
        CLOCKS,
        "The lane's clock is wrong, or the bank's",
        "The clocks differ by seconds or by hours; one of them is set while the customer pays, or while the lane is "
        "off.",
        "The lane reads the bank's time from its answers, allows for the time that an answer took, and states the end "
        "of a payment by the bank's clock. A difference of 5 s or more is written to the log and to the payment's "
        "timeline, and shown on the attendant's page. After a restart, an answer is the last word only when the "
        "payment has had its whole life and `timing.grace_s` once more: no clock that was set meanwhile ends it too "
        "early.",
        scripts=("leaves + clock ahead=400", "leaves + clock ahead=-3600"),
        met={
            "explore": ("behind", "ahead", "jumping"),
            "simulate": ("clock skew", "clock jump", "clock at boot"),
        },
        faults={
            "explore": ("the clock is trusted after a restart",),
            "simulate": (
                "a clock that was set while the lane was down ends the watch",
                "a wrong clock is not reported",
            ),
            "behaviours": (
                "the invoice ends by the lane's clock",
                "the time that an answer takes is taken for a wrong clock",
            ),
        },
    ),
    Row(
        "B17",
        CLOCKS,
        "The bank is slow, or asks for time",
        "An answer takes longer than the 3 s from one request to the next; or the bank answers “too many requests” "
        "(429) or “not available” (503) with a time after which it wants to be asked again.",
        "The pace is kept: the next request is sent while one has no answer yet, but never a third beside two. The "
        "customer can cancel at any time. A time that the bank asks for is kept, by the bank's clock where it is a "
        "date.",
        scripts=("pays after=40 + slow wait=5 on=get", "pays after=2 + 503 wait=25 on=get first=1"),
        met={"explore": ("screen",), "simulate": ("slow", "429", "500", "drip")},
        faults={
            "explore": ("a stale answer is accepted",),
            "behaviours": (
                "a slow bank is asked when it has answered",
                "a bank that is not available is not heard",
                "a date to wait for is read by the lane's clock",
            ),
        },
    ),
    Row(
        "B12",
        LINKS,
        "The plate's link comes back in other words",
        "The bank returns the link of a static plate with its checksum in lower case, its parameters in another order, "
        "or with the amount added.",
        "The lane compares the code in the link, not its spelling: it is the plate's. A link with another code is not "
        "shown, and the payment is cancelled.",
        scripts=("leaves + plate-rewritten",),
        faults={
            "explore": ("the link of any plate is accepted",),
            "behaviours": ("a plate's link is compared as text",),
        },
    ),
    Row(
        "B20",
        LINKS,
        "The link leads to another host",
        "A test account of PayMaster returns a page of its own instead of a link of SBP; or the link leads to a host "
        "that is neither NSPK's nor PayMaster's.",
        "PayMaster's page is shown where `paymaster.test_mode` is set, and noted as not verified; on a lane that takes "
        "real money the payment is cancelled unseen. A link to an unknown host is shown nowhere, unless "
        "`display.link_hosts` names the host.",
        scripts=("leaves + test-page", "leaves + foreign-link"),
        faults={"behaviours": ("a link of another host is refused", "a link to any host is shown")},
    ),
    Row(
        "B16",
        LINKS,
        "A link of a new kind, and values that no payment can have",
        "NSPK's link has an id of a kind that is not known. Or the settings have a name of 300 characters, a plate "
        "that is armed for a day, or a token in a file that a Windows editor saved with a byte-order mark.",
        "What cannot be read in a link cannot contradict the payment: it is shown, and noted as not verified. The "
        "settings are refused, and each message names the limit: 64 characters, 1200 s for a static plate, a file "
        "without the mark.",
        scripts=("pays after=2 + unknown-code",),
        faults={
            "behaviours": (
                "a QRC id of an unknown form is refused",
                "a byte-order mark in the token's file is not named",
                "an invoice may outlast its plate's cash link",
            )
        },
    ),
    Row(
        "B9",
        ACCESS,
        "A status word is mapped to paid or closed",
        "Somebody writes into `paymaster.states` that a word which is not final (`Confirmation`, `Pending`, "
        "`Authorized`), or `Refunded`, means paid or closed unpaid.",
        "The settings are refused, with what PayMaster means by the word: the goods would be given when the payment is "
        "created, or the customer would pay twice. A word that nobody knows is logged and is never final.",
        no_script="it is a mistake in the settings, which the bank has no part in.",
        met={"simulate": ("unknown status",)},
        faults={"behaviours": ("any word of the bank may be mapped to paid",)},
    ),
    Row(
        "B10",
        ACCESS,
        "The token is replaced while the lane runs",
        "The old token is refused (401) from some moment on.",
        "The lane reads the token's file again and repeats the request once with the new token: no restart, and a "
        "payment under way goes on. A token that was not replaced is not sent again.",
        scripts=("leaves + token-replaced",),
        faults={"behaviours": ("a replaced token is not read",)},
    ),
    Row(
        "B11",
        ACCESS,
        "The shop reaches the Internet through a proxy",
        "Requests must go through a proxy, which may ask for a login, change its password, or fail.",
        "`paymaster.proxy` names it, and `paymaster.proxy_login_file` the login, which is read again when the proxy "
        "refuses it (407). The bank's certificate is checked through the proxy. What fails before the proxy has "
        "opened the way was never sent to the bank. The environment's proxy variables are not used.",
        no_script="it is the shop's network: the tests run proxies of their own.",
        faults={
            "behaviours": (
                "the proxy of the settings is not used",
                "a replaced login of the proxy is not read",
            )
        },
    ),
    Row(
        "B13",
        TILL,
        "The payment is cancelled before it begins",
        "The customer or the till cancels between the call of `pay` and the moment at which the lane begins.",
        "The cancellation is heard: no code is shown.",
        no_script="nothing has been sent to the bank yet.",
        faults={"behaviours": ("a cancellation before the payment is forgotten",)},
    ),
    Row(
        "B14",
        TILL,
        "The till asks whether the customer has seen a code",
        "A payment ends without a link ever being shown, for example because its create was never answered.",
        "The result says `presented: false`. It says `true` only where a link was shown or may have been shown.",
        scripts=("cut-before on=create",),
        faults={"behaviours": ("what was presented is guessed from the outcome",)},
    ),
    Row(
        "B19",
        TILL,
        "SBP pays a part of the order",
        "The customer pays the order by several means, and the SBP part comes first, last or in between.",
        "Each part states its amount, the order's total and what was paid before; the lane refuses a part that does "
        "not add up with those that it has on disk. Parts are taken only on a 4:3 lane in display mode 1, and an order "
        "never gets more than its total. [The rule](payment.md#mixed-payment).",
        no_script="it is the till that says what is paid, not the bank.",
        faults={"simulate": ("a leg that is paid may be asked for again", "the gate is always open")},
    ),
)


class Explored(NamedTuple):
    """How many states of the model the exploration of a scenario has: before these rows and now.

    Attributes:
        scenario: its name.
        life: of the invoice, in ticks: what `make explore LIFE=n` was run with.
        before, now: how many states; before is 0 where there was no such scenario.
    """

    scenario: str
    life: int
    before: int
    now: int


EXPLORED_BEFORE = "c4cc519"
"""The last commit before these rows."""
EXPLORED = (
    Explored("screen", 1, 240_021, 264_843),
    Explored("plate", 1, 378_387, 652_395),
    Explored("unattributed", 1, 162_861, 250_994),
    Explored("unattributed plate", 1, 246_367, 566_136),
    Explored("refunding", 1, 243_806, 304_571),
    Explored("declining", 1, 0, 416_522),
    Explored("behind", 1, 0, 264_943),
    Explored("ahead", 2, 0, 510_238),
    Explored("jumping", 1, 0, 695_008),
    Explored("silent dialog", 2, 618_744, 491_178),
)
