"""A Sony RC-S380: an NFC Port-100 on USB, one frame per bulk transfer."""

from __future__ import annotations

from sco_sim.nfc.ntag import VirtualTag
from tests.simulators.port100_chip import CollisionReport, Port100Chip
from tests.simulators.port100_frame import ACK, FROM_HOST, body_of
from tests.simulators.usb_bus import Identity
from tests.simulators.usb_reader import FramedUsbReader

__all__ = ["RCS380_P", "RCS380_S", "CollisionReport", "VirtualRcs380"]

RCS380_S = Identity(0x054C, 0x06C1, "SONY", "RC-S380/S", endpoint_out=0x02, endpoint_in=0x81)
RCS380_P = Identity(0x054C, 0x06C3, "SONY", "RC-S380/P", endpoint_out=0x02, endpoint_in=0x81)


class VirtualRcs380(FramedUsbReader, Port100Chip):
    """An RC-S380 with tags in its field.

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.
        identity: `RCS380_S` or `RCS380_P`, the two that are sold.
        on_collision: how it reports tags that answer at once.

    The attributes are those of `FramedUsbReader` and `SimulatedField`.
    """

    def __init__(
        self,
        *tags: VirtualTag,
        uri: str = "",
        identity: Identity = RCS380_S,
        on_collision: CollisionReport = CollisionReport.COLLISION,
    ) -> None:
        FramedUsbReader.__init__(self, identity)
        Port100Chip.__init__(self, *tags, uri=uri, on_collision=on_collision)

    def _lose_power(self) -> None:
        self._reset()

    def bulk_out(self, message: bytes) -> None:
        """A frame from the host; acknowledgement and answer wait for `bulk_in`."""
        body = body_of(message)
        if message == ACK:
            self._abort()
        elif body is not None and body[0] == FROM_HOST and len(body) > 1:
            self._command(body[1], body[2:])
        else:
            self.unknown += 1
