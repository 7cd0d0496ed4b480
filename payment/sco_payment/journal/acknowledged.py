"""The last row that the fleet has of a journal: a file next to it, and one more witness of what was written.

It is an anchor as those of `lock` are, of one journal: it has the journal's id in it. Who ships the journal writes it,
after the fleet's answer and without a sync, and a lane that starts reads it. There is none where nothing is shipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from sco_payment.journal import location
from sco_payment.journal.codec import GENESIS
from sco_payment.journal.lock import ACKNOWLEDGED, checksum

_LONGEST = 512


class Head(NamedTuple):
    """Number and hash of the last row that the fleet has of the journal whose id is `epoch`."""

    epoch: str
    seq: int
    hash: str


NOTHING = Head("", 0, GENESIS)


def place(journal: Path) -> Path:
    """The file next to `journal`."""
    return journal.with_name(journal.name + ACKNOWLEDGED)


def read(journal: Path) -> Head:
    """What was written last; `NOTHING` where there is none, or a power cut left it unreadable."""
    try:
        text = location.read_short(place(journal), _LONGEST).decode("ascii", "replace")
    except OSError:
        return NOTHING
    epoch, _, rest = text.strip().partition(" ")
    anchor, _, check = rest.partition(" ")
    seq, _, digest = anchor.partition(":")
    if check != checksum(f"{epoch} {anchor}") or not seq.isdigit():
        return NOTHING
    return Head(epoch, int(seq), digest)


def write(journal: Path, head: Head) -> None:
    """Remember it. Raises OSError."""
    line = f"{head.epoch} {head.seq}:{head.hash}"
    data = f"{line} {checksum(line)}".ljust(256).encode() + b"\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(place(journal), flags, 0o600)
    try:
        os.pwrite(file, data, 0)
    finally:
        os.close(file)
