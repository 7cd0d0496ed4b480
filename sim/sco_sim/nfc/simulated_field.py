"""The field of a simulated reader of any kind: its tags, and faults at any of its commands.

Time on the air is computed from datasheet figures, so that benchmarks do not depend on the machine.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from enum import StrEnum

from sco_sim.nfc.ntag import VirtualTag


class Fault(StrEnum):
    """What may go wrong at one reader command. See `SimulatedField.inject`."""

    DEAF = "deaf"  # no acknowledgement, no answer: the command was lost
    SILENT = "silent"  # the command is acknowledged and executed, its answer is lost
    CORRUPT = "corrupt"  # the answer's checksum is wrong
    SHORT = "short"  # the answer stops in the middle
    ERROR_FRAME = "error_frame"  # the chip reports an unknown command
    AIR_NOISE = "air_noise"  # the tag's answer is damaged on the air
    TAG_LEAVES = "tag_leaves"  # every tag is removed
    TAG_MUTE = "tag_mute"  # every tag stops answering
    UNPLUG = "unplug"  # the line is unplugged


class SimulatedField:
    """A reader's field with tags in it; the base class of simulated readers.

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.

    Attributes:
        tags: the tags in the field; may be changed.
        commands: how often each reader command arrived, by its code.
        field_on: whether the field is on: phones cannot read the tag while it is.
        switched_on: how often it was switched on.
        shortest_off_s: the shortest time for which it was off in between, in seconds.
        unknown: how many commands the reader did not know.
    """

    def __init__(self, *tags: VirtualTag, uri: str = "") -> None:
        self.tags = list(tags) if tags else [VirtualTag(uri=uri)]
        self.commands: Counter[int] = Counter()
        self.field_on = False
        self.switched_on = 0
        self.shortest_off_s = math.inf
        self.unknown = 0
        self._air_us = 0.0
        self._faults: dict[int, tuple[Fault, bool]] = {}
        self._command_count = 0
        self._removed: list[VirtualTag] = []
        self._off_since = -math.inf

    # -- test controls -----------------------------------------------------------------------------------------------

    @property
    def tag(self) -> VirtualTag:
        """The first tag in the field.

        Raises:
            IndexError: the field is empty.
        """
        return self.tags[0]

    @property
    def command_count(self) -> int:
        """How many commands have arrived."""
        return self._command_count

    @property
    def air_us(self) -> float:
        """Time so far on the air, in microseconds."""
        return self._air_us + sum(tag.air_us for tag in self.tags + self._removed)

    def inject(self, fault: Fault, *, at_command: int = 0, lasting: bool = False) -> None:
        """Let `fault` happen at a future command.

        Args:
            at_command: 0 is the next one.
            lasting: at every command from there on, until `heal`.
        """
        self._faults[self._command_count + at_command] = (fault, lasting)

    def remove_tags(self) -> None:
        """Take every tag away, until `heal`."""
        self._removed += self.tags
        self.tags.clear()

    def heal(self) -> None:
        """End every fault: removed tags come back and answer."""
        self._faults.clear()
        self.tags += self._removed
        self._removed.clear()
        for tag in self.tags:
            tag.mute = False

    # -- for the reader ----------------------------------------------------------------------------------------------

    def _next_fault(self, code: int) -> Fault | None:
        """Count the command `code` and return its fault, if any. Faults of the tags have taken effect then."""
        self.commands[code] += 1
        fault = self._due()
        self._command_count += 1
        if fault is Fault.TAG_LEAVES:
            self.remove_tags()
        if fault is Fault.TAG_MUTE:
            for tag in self.tags:
                tag.mute = True
        return fault

    def _due(self) -> Fault | None:
        for at, (fault, lasting) in self._faults.items():
            if at == self._command_count or (lasting and at < self._command_count):
                return fault
        return None

    def _power_field(self, on: bool) -> None:
        if on and not self.field_on:
            self.switched_on += 1
            self.shortest_off_s = min(self.shortest_off_s, time.monotonic() - self._off_since)
        elif self.field_on and not on:
            self._off_since = time.monotonic()
        self.field_on = on
        if not on:
            for tag in self.tags + self._removed:
                tag.field_off()
