"""What goes wrong on a lane of the demo, and how many lanes of a fleet it goes wrong on."""

from __future__ import annotations

from dataclasses import dataclass

from sco_payment.attempt import Mode


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of lane.

    Attributes:
        name: empty for none.
        script: what the bank, its network and customers of their own will do, see `sco_sim.paymaster.script`.
        mode: the lane's display mode.
        cancels: the share of its customers who give up and cancel.
        roll_mm: of the receipt printer's paper, which nobody replaces; None for no printer.
        at_s: when it begins, after the lane's start, if that is not by customers.
        what: what happens then: `offline`: no network to the bank; `off`: the lane is switched off; `restored`: its
            disk is put back to what it was before; `copied`: a copy of its disk runs as well.
    """

    name: str
    script: str = "leaves"
    mode: Mode = Mode.SCREEN
    cancels: float = 0.05
    roll_mm: float | None = None
    at_s: float = 0.0
    what: str = ""


NONE = Trouble("")
PAPER = Trouble("", mode=Mode.PRINT, roll_mm=1e9)
TROUBLES = (
    Trouble("money that arrives after the cancellation", script="pays-after-cancel", cancels=0.7),
    Trouble("a disk restored from a copy", what="restored"),
    Trouble("two lanes with one id", what="copied"),
    Trouble("cancellations that are not answered", script="cancel-unanswered", cancels=0.5),
    Trouble("no paper soon", mode=Mode.PRINT, roll_mm=400.0),
    Trouble("no network to the bank", at_s=20.0, what="offline"),
    Trouble("switched off", at_s=20.0, what="off"),
    Trouble("a slow bank", script="slow wait=3"),
)


def of_lane(number: int, count: int) -> Trouble:
    """The trouble of the lane `number` of `count`, from 1 on: one lane in six has one, and one in ten prints."""
    last = count - number  # the last lanes have the troubles, one of each first
    if last < max(1, count // 6):
        return TROUBLES[last % len(TROUBLES)]
    return PAPER if number % 10 == 0 else NONE
