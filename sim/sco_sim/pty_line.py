"""A serial line: a symbolic link to a pty, which can be unplugged and plugged in again under the same name."""

from __future__ import annotations

import os
import select
import shutil
import tempfile
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path


class PtyLine:
    """The device's end of a line; not plugged in yet.

    Args:
        name: of the device, for its folder and thread.
        received: called in the line's thread with what arrives.

    Attributes:
        path: where a driver opens it.
        master, slave: descriptors of the device's and of the driver's end; -1 while it is unplugged.
    """

    def __init__(self, name: str, received: Callable[[bytes], None]) -> None:
        self._name = name
        self._received = received
        self._folder = Path(tempfile.mkdtemp(prefix=f"sco-{name}-"))
        self.path = self._folder / "tty"
        self.master = self.slave = -1
        self._thread: threading.Thread | None = None

    @property
    def plugged(self) -> bool:
        """Whether it is plugged in."""
        return self.master >= 0

    def plug(self) -> None:
        """Plug it in, raw and at 115200 baud."""
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        attributes = termios.tcgetattr(self.slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self.slave))
        self._thread = threading.Thread(target=self._run, args=(self.master,), name=self._name, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Unplug it; nothing is received when this returns. May be called twice, and from `received`."""
        self.path.unlink(missing_ok=True)
        master, self.master = self.master, -1
        slave, self.slave = self.slave, -1
        if master >= 0:
            os.close(slave)
            os.close(master)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def close(self) -> None:
        """Unplug it and remove its files. May be called twice."""
        self.unplug()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, master: int) -> None:
        while self.master == master:
            try:
                # With a deadline, since closing the descriptor in another thread does not wake select.
                if not select.select([master], [], [], 0.05)[0]:
                    continue
                data = os.read(master, 4096)
            except (OSError, ValueError):
                return
            if not data or self.master != master:
                return
            self._received(data)
