"""Questions that only the operator at the bench can answer, and who answers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from sco_hwtest.results import Picture


class Answer(Enum):
    """The operator's answer. NONE: not asked, or not known."""

    YES = "yes"
    NO = "no"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer is yes if all is well.

    Attributes:
        name: stable, for scripts.
        text: what to look at, and what to decide.
        if_no: what to do when the answer is no.
        pictures: what is seen, or should be, where the question is asked on a page.
    """

    name: str
    text: str
    if_no: str = ""
    pictures: tuple[Picture, ...] = ()


Operator = Callable[[Question], Answer]


def unattended(question: Question) -> Answer:
    """The operator of a run without one: leaves each question unanswered, so that none counts as passed."""
    return Answer.NONE


KEYS = "    y: yes, n: no, s: skip (counts as not answered)"


def typed(text: str) -> Answer | None:
    """The answer of a line that was typed; None for what is none."""
    return {"y": Answer.YES, "n": Answer.NO, "s": Answer.NONE}.get(text.strip().lower()[:1])


PAPER = Question(
    "code-on-paper",
    "Take the ticket. Is its code whole, dark, square and readable by a phone, with a white border?",
    "clean the head; check the paper's side and width; set profile= and paper_mm= in the URL",
)
CUT = Question(
    "ticket-is-cut",
    "Is the ticket cut off below its last line, with no text lost?",
    "check the cutter; set the profile= of the model",
)
LETTERS = Question(
    "letters-on-paper",
    "Are all Russian letters on the ticket right (АБВГДЕЁЖЗИЙ абвгдеёжзий №)?",
    "set codec= in the URL, or the profile= of the model",
)
SCREEN_CODE = Question(
    "code-on-screen",
    "Look at the screen. Is the picture upright and not mirrored, and does a phone read its code from 30 cm?",
    "set rotate= in the URL; clean the screen; lower the brightness where it glares",
)
COLOURS = Question(
    "colours",
    "Is the picture sharp and whole to all four edges, with clean colours (no stripes, no tint)?",
    "check the cable and the mode; send us the report, which names the pixel format",
)
DISPLAY_CODE = Question(
    "code-on-display",
    "Look at the customer display. Does a phone read its code from 30 cm?",
    "check the URL's make and baud=; power-cycle the display",
)
DISPLAY_PAID = Question(
    "paid-on-display",
    "Is the code gone, and does the customer display show that the payment succeeded?",
    "check the URL's make; send us the report",
)
DISPLAY_FAILED = Question(
    "failed-on-display",
    "Does the customer display show that the payment failed?",
    "check the URL's make; send us the report",
)
DISPLAY_CLEAR = Question(
    "display-is-clear",
    "Is the customer display free of any code and picture of a payment?",
    "do not use it on a lane: a code that stays can be paid by the next customer; send us the report",
)


def phone_reads(link: str) -> Question:
    """Whether a phone reads the tag, which carries `link`."""
    place = urlsplit(link).hostname or link
    return Question(
        "phone-reads-tag",
        f"Hold a phone (screen on, NFC on) to the tag. Does it offer to open a link of {place}?",
        "move the tag away from metal; check that its UID is the one in this report",
    )
