"""A customer display on a pseudo-terminal, with faults.

The line is a symbolic link to a pty, so that it can be unplugged and plugged in again under the same name. A display
that is powered by its own cable keeps what it shows meanwhile.
"""

from __future__ import annotations

import os
import select
import shutil
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sco_sim.display.face import Face
from sco_sim.display.languages import LANGUAGES

if TYPE_CHECKING:
    from PIL.Image import Image

_LOOK_S = 0.01
_READ = 4096


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
        self._folder = Path(tempfile.mkdtemp(prefix="sco-display-"))
        self.path = self._folder / "tty"
        self._master = self._slave = -1
        self._thread: threading.Thread | None = None
        self._plug()

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
        """What came and was no command."""
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
        self._unplug()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if not powered:
            self._face = Face()

    def plug(self) -> None:
        """The cable is plugged in again, under the same name."""
        if self._master < 0:
            self._plug()

    def freeze(self) -> None:
        """Fault: it takes every command and shows none, until `heal`."""
        self._frozen = True

    def refuse_data(self) -> None:
        """Fault: it takes no byte, until `heal`."""
        termios.tcflow(self._slave, termios.TCOOFF)

    def heal(self) -> None:
        """End the faults."""
        self._frozen = False
        if self._slave >= 0:
            termios.tcflow(self._slave, termios.TCOON)

    def close(self) -> None:
        """Stop the simulator and remove its files. May be called twice."""
        self.unplug()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- the line -----------------------------------------------------------------------------------------------------

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        self._language = LANGUAGES[self.protocol]()
        self._thread = threading.Thread(target=self._run, args=(self._master,), name="display", daemon=True)
        self._thread.start()

    def _unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        master, self._master = self._master, -1
        slave, self._slave = self._slave, -1
        if master >= 0:
            os.close(slave)
            os.close(master)

    def _run(self, master: int) -> None:
        while self._master == master:
            try:
                # With a deadline, since closing the descriptor in another thread does not wake select.
                if not select.select([master], [], [], 0.05)[0]:
                    continue
                data = os.read(master, _READ)
            except (OSError, ValueError):
                return
            for face in self._language.feed(data, self._face):
                if not self._frozen:
                    self._show(face)

    def _show(self, face: Face) -> None:
        self._face = face
        self.history.append(face)
        if self._out is not None:
            self._out.mkdir(parents=True, exist_ok=True)
            self.save_png(self._out / f"display-{len(self.history):04}.png")
