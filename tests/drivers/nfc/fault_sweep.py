# ruff: noqa: PT017  (a fault may or may not surface: the sweep needs both branches)
"""One fault at every reader command of a write or a verification, through any simulated reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceError
from sco_drivers.nfc import TagLocked, TagReader, TagWriteFailed
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.simulated_field import Fault, SimulatedField

Action = Literal["write", "verify"]


def sweep(bench: SimulatedField, url: str, fault: Fault, action: Action, old: str, new: str, *, tries: int = 1) -> int:
    """Let `fault` strike at the first command, the second and so on, until the call ends before it is due.

    Each time: a typed error with the reader's URL, or none; what the tag carries is among what it may carry; the field
    is off; and the reader works again when the fault has gone.

    Args:
        bench: the reader, one tag with `old` before it.
        url: opens it.
        tries: calls within which it must work again; more than one where the simulated chip may miss its time too, as
            on a busy machine.

    Returns:
        How often the call failed.
    """
    url += "?attempts=1"
    act: Callable[[TagReader], object] = (
        (lambda nfc: nfc.write_uri(new)) if action == "write" else lambda nfc: nfc.verify(old)
    )
    at = failed = 0
    with open_nfc(url) as nfc:
        while True:
            bench.tag.memory[16:] = VirtualTag(uri=old).memory[16:]
            usable_again(nfc, tries)
            start = bench.command_count
            bench.inject(fault, at_command=at)
            try:
                act(nfc)
            except DeviceError as error:
                failed += 1
                assert error.url == url
                assert not isinstance(error.__cause__ or error, TagLocked), "damage on the air is not a refusal"
                if isinstance(error, TagWriteFailed):
                    assert ((bench.tags or bench._removed)[0].uri() or "") in error.may_carry
            sent = bench.command_count - start
            # No fault leaves the field on: phones could not read the tag.
            assert not bench.field_on or fault is Fault.DEAF  # it may be the very word that switches it off
            bench.heal()
            usable_again(nfc, tries)
            assert not bench.field_on
            if sent <= at:
                assert at >= 6, "the call has more commands"
                return failed
            at += 1


def usable_again(nfc: TagReader, tries: int = 1) -> None:
    """It reads the tag, within `tries` calls."""
    for last in (*[False] * (tries - 1), True):
        try:
            assert nfc.read().uid
        except DeviceError:
            if last:
                raise
        else:
            return
