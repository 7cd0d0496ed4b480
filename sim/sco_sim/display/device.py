"""A customer display on a pseudo-terminal, with faults.

A display that is powered by its own cable keeps what it shows while the line is unplugged.
"""

from __future__ import annotations

import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sco_sim.display.face import Face
from sco_sim.display.languages import LANGUAGES
from sco_sim.pty_line import PtyLine

if TYPE_CHECKING:
    from PIL.Image import Image

_LOOK_S = 0.01


class VirtualDisplay:
    """A display, as a context manager.

        with VirtualDisplay() as display, open_display(display.url) as driver:
            driver.show_code(DisplayedCode("https://qr.nspk.ru/..."))

    Args:
        protocol: "mertech" or "qrscreen", whose commands it takes.
        out: folder for a PNG of each thing that is shown, numbered; none if None.

    Attributes:
        history: everything that was shown, in order.
    """

    def __init__(self, protocol: str = "mertech", *, out: str | Path | None = None) -> None:
        self.protocol = protocol
        self.history: list[Face] = []
        self._language = LANGUAGES[protocol]()
        self._out = None if out is None else Path(out)
        self._face = Face()
        self._frozen = False
        self._line = PtyLine("display", self._receive)
        self.path = self._line.path
        self._line.plug()

    @property
    def url(self) -> str:
        """The URL for the driver of real displays."""
        return f"{self.protocol}://{self.path}"

    @property
    def face(self) -> Face:
        """What is shown now. A command that was just sent may take a moment: see `wait`."""
        return self._face

    @property
    def unknown(self) -> list[bytes]:
        """What came and was not a command."""
        return self._language.unknown

    def image(self, scale: int = 1) -> Image:
        """What is shown now, as an RGB image of 240x320 px times `scale`."""
        return self._face.image(scale)

    def save_png(self, path: str | Path) -> None:
        """Save `image()` as a PNG file."""
        self.image().save(path, format="PNG")

    def wait(self, true: Callable[[Face], bool], timeout_s: float = 10.0) -> bool:
        """Wait until `true` of what is shown; returns whether it came to that in time."""
        end = time.monotonic() + timeout_s
        while not true(self._face):
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_S)
        return True

    # --- faults -------------------------------------------------------------------------------------------------------

    def unplug(self, *, powered: bool = False) -> None:
        """Fault: the cable is pulled. With `powered` by another one, the display keeps what it shows."""
        self._line.unplug()
        if not powered:
            self._face = Face()

    def plug(self) -> None:
        """The cable is plugged in again, under the same name."""
        if not self._line.plugged:
            self._language = LANGUAGES[self.protocol]()
            self._line.plug()

    def freeze(self) -> None:
        """Fault: it takes every command and shows none, until `heal`."""
        self._frozen = True

    def refuse_data(self) -> None:
        """Fault: it takes no byte, until `heal`."""
        termios.tcflow(self._line.slave, termios.TCOOFF)

    def heal(self) -> None:
        """End the faults."""
        self._frozen = False
        if self._line.plugged:
            termios.tcflow(self._line.slave, termios.TCOON)

    @property
    def plugged(self) -> bool:
        """Whether the cable is plugged in."""
        return self._line.plugged

    def reset(self) -> None:
        """End the faults, and show nothing, as after it was switched on."""
        self.plug()
        self.heal()
        self.history.clear()
        self._face = Face()

    def close(self) -> None:
        """Stop the simulator and remove its files. May be called twice."""
        self.unplug()
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- the inside ---------------------------------------------------------------------------------------------------

    def _receive(self, data: bytes) -> None:
        for face in self._language.feed(data, self._face):
            if not self._frozen:
                self._show(face)

    def _show(self, face: Face) -> None:
        self._face = face
        self.history.append(face)
        if self._out is not None:
            self._out.mkdir(parents=True, exist_ok=True)
            self.save_png(self._out / f"display-{len(self.history):04}.png")
