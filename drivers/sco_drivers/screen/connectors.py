"""Whether a display is connected to a framebuffer's card: the framebuffer itself works either way.

The kernel exposes what a card last detected in `/sys/dev/char/MAJOR:MINOR/device/drm/cardN/cardN-*/status`; reading it
probes no hardware. A framebuffer without a DRM card has no such files, and the state of its display is unknown.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_DISCONNECTED = b"disconnected"


class Connectors:
    """The connectors of the card of the device `number` (`st_rdev`).

    Args:
        number: of the device node.
        sys: where sysfs is mounted.
    """

    def __init__(self, number: int, sys: Path = Path("/sys")) -> None:
        device = sys / "dev" / "char" / f"{os.major(number)}:{os.minor(number)}" / "device"
        self._files: list[int] = []
        for path in sorted(device.glob("drm/card*/card*-*/status")):
            with suppress(OSError):
                self._files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def any_display(self) -> bool:
        """False if the card reports every connector as disconnected; True if any may have a display, or if unknown."""
        return not self._files or any(self._may_be_connected(file) for file in self._files)

    @staticmethod
    def _may_be_connected(file: int) -> bool:
        try:
            return os.pread(file, 32, 0).strip() != _DISCONNECTED
        except OSError:  # the card was unplugged
            return False

    def close(self) -> None:
        """Close the files. May be called twice."""
        while self._files:
            os.close(self._files.pop())
