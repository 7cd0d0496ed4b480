"""The contract of a customer QR display. Each check takes an open display, and what looks at it.

A real display does not report what it shows, not even that it is there: it is only checked that it takes every command,
and the operator is asked (`measure`). A simulated one is looked at with a decoder: zxing-cpp, from the extra
`simulator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sco_drivers import DisplayedCode, QrDisplay, open_display
from sco_drivers.errors import DeviceClosed
from sco_hwtest.contracts.check import Check, only_simulated
from sco_hwtest.contracts.screen import LINK, SUM, decoded
from sco_payment.customer.texts import RUSSIAN
from sco_sim.display import VirtualDisplay

_SCALE = 5
"""Magnifies the simulated picture, so that the longest code can be decoded."""


@dataclass(frozen=True, slots=True)
class DisplayBench:
    """A display under test.

    Attributes:
        display: open.
        simulator: what is looked at; None for a real display.
    """

    display: QrDisplay
    simulator: VirtualDisplay | None = None

    def shows(self, link: str | None, *, paid: bool | None = None) -> None:
        """Raise AssertionError unless the code with that content (None for no code) and that picture are shown."""
        if self.simulator is None:
            return
        self.simulator.wait(lambda face: (face.link or None, face.paid) == (link, paid))
        found = self.simulator.face
        assert found.paid is paid, f"expected the picture {paid}, found {found.paid}"
        codes = decoded(self.simulator.image(_SCALE))
        assert codes == ([] if link is None else [link]), f"the decoder read {codes}"
        assert not self.simulator.unknown, f"the display did not understand {self.simulator.unknown}"


@contextmanager
def open_bench(url: str) -> Iterator[DisplayBench]:
    """Open the display at `url`."""
    with open_display(url) as display:
        yield DisplayBench(display, getattr(display, "simulator", None))


def link_of(length: int) -> str:
    """A link of that many bytes."""
    return (LINK + "&x=" + "0123456789" * (length // 10))[:length]


def takes_every_command(bench: DisplayBench) -> None:
    """Whatever is connected takes every command in time. This does not show that it is a display, or what it shows."""
    bench.display.show_code(DisplayedCode(LINK, SUM, RUSSIAN.pay))
    bench.display.show_code(DisplayedCode(link_of(1200)))
    bench.display.show_result(paid=True, text=RUSSIAN.paid)
    bench.display.show_result(paid=False, text=RUSSIAN.unpaid)
    bench.display.check()
    bench.display.clear()


def shows_the_code(bench: DisplayBench) -> None:
    """A code is shown, with amount and words; the next one replaces it."""
    bench.display.show_code(DisplayedCode(LINK, SUM, RUSSIAN.pay))
    bench.shows(LINK)
    bench.display.show_code(DisplayedCode(LINK + "&n=2"))
    bench.shows(LINK + "&n=2")


def shows_codes_of_every_length(bench: DisplayBench) -> None:
    """Codes of 1, 255, 256 and 1200 bytes are shown: a length of one byte would end at 255."""
    for length in (1, 255, 256, 1200):
        bench.display.show_code(DisplayedCode(link_of(length)))
        bench.shows(link_of(length))


def code_disappears(bench: DisplayBench) -> None:
    """The code is gone after `clear`, which may be called again."""
    bench.display.show_code(DisplayedCode(LINK, SUM))
    bench.shows(LINK)
    for _ in range(2):
        bench.display.clear()
        bench.shows(None)


def result_replaces_the_code(bench: DisplayBench) -> None:
    """Paid or failed is shown in place of the code, and can be cleared."""
    pictures = bench.simulator is None or bench.simulator.protocol == "mertech"
    for paid, words in ((True, RUSSIAN.paid), (False, RUSSIAN.unpaid)):
        bench.display.show_code(DisplayedCode(LINK, SUM))
        bench.display.show_result(paid=paid, text=words)
        bench.shows(None, paid=paid if pictures else None)
    bench.display.clear()
    bench.shows(None)


def refuses_what_no_code_can_say(bench: DisplayBench) -> None:
    """An empty, too long or broken link is refused before anything is sent."""
    bench.display.show_code(DisplayedCode(LINK))
    for link in ("", "x" * 3000, "https://qr.nspk.ru/\r\n[CQL]", "https://qr.nspk.ru/\udcff"):
        try:
            bench.display.show_code(DisplayedCode(link))
        except ValueError:
            continue
        raise AssertionError(f"the display accepted {link[:40]!r} of {len(link)} characters")
    bench.shows(LINK)


def is_there(bench: DisplayBench) -> None:
    """`check` finds the display and changes nothing."""
    bench.display.show_code(DisplayedCode(LINK))
    for _ in range(3):
        bench.display.check()
    bench.shows(LINK)
    bench.display.clear()


def closes_twice(bench: DisplayBench) -> None:
    """`close` may be called twice; later calls raise DeviceClosed. Leaves the display closed."""
    bench.display.close()
    bench.display.close()
    calls: tuple[Callable[[], None], ...] = (
        lambda: bench.display.show_code(DisplayedCode(LINK)),
        bench.display.clear,
        bench.display.check,
    )
    for call in calls:
        try:
            call()
        except DeviceClosed:
            continue
        raise AssertionError("a closed display accepted a call")


_NOT_SEEN = "a display does not report what it shows; the operator is asked"

CHECKS: tuple[Check[DisplayBench], ...] = (
    Check(takes_every_command),
    *(
        Check(run, only_simulated(_NOT_SEEN))
        for run in (
            shows_the_code,
            shows_codes_of_every_length,
            code_disappears,
            result_replaces_the_code,
            is_there,
        )
    ),
    Check(refuses_what_no_code_can_say),
    Check(closes_twice),
)
"""In this order; the last one leaves the display closed."""
