"""Whether a cable is in a framebuffer's display, as the card behind it says: the framebuffer itself answers either way.

The kernel keeps what a card last detected in `/sys/dev/char/MAJOR:MINOR/device/drm/cardN/cardN-*/status`; reading it
asks no hardware. A framebuffer without a DRM card has no such files, and nothing is known of its display.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PULLED = b"disconnected"


class Connectors:
    """The connectors of the card behind the device `number` (`st_rdev`).

    Args:
        number: of the device node.
        sys: where the kernel's file tree is.
    """

    def __init__(self, number: int, sys: Path = Path("/sys")) -> None:
        device = sys / "dev" / "char" / f"{os.major(number)}:{os.minor(number)}" / "device"
        self._files: list[int] = []
        for path in sorted(device.glob("drm/card*/card*-*/status")):
            with suppress(OSError):
                self._files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def any_display(self) -> bool:
        """False when the card detects connectors and has no display in any of them; True where that is not known."""
        return not self._files or any(self._may_be_in(file) for file in self._files)

    @staticmethod
    def _may_be_in(file: int) -> bool:
        try:
            return os.pread(file, 32, 0).strip() != _PULLED
        except OSError:  # the card has left
            return False

    def close(self) -> None:
        """Let go of the files. May be called twice."""
        while self._files:
            os.close(self._files.pop())
