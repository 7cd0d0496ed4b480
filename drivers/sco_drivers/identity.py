"""What a device reports about itself: the same four words for every kind."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeviceIdentity"]


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who made the device and what it is; None for what it does not report.

    Attributes:
        maker: e.g. "EPSON".
        model: e.g. "TM-T88V".
        serial: its serial number.
        firmware: the version of its firmware, as the device writes it.
    """

    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None

    def or_else(self, other: DeviceIdentity) -> DeviceIdentity:
        """This identity, with what it lacks taken from `other`."""
        return DeviceIdentity(
            self.maker or other.maker,
            self.model or other.model,
            self.serial or other.serial,
            self.firmware or other.firmware,
        )

    @property
    def known(self) -> dict[str, str]:
        """What is known, by name; empty if nothing is."""
        words = {"maker": self.maker, "model": self.model, "serial": self.serial, "firmware": self.firmware}
        return {name: word for name, word in words.items() if word}
