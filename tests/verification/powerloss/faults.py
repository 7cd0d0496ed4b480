"""The seeded faults of the journal and of its disk, each of which the power cuts must reveal."""

from __future__ import annotations

from typing import Any

from tests.verification.powerloss.disk import Platter
from tests.verification.powerloss.recorder import STATEMENTS
from tests.verification.seeded import Patch, SeededFault

LOST = "were acknowledged"


def _instead(statement: str, other: str) -> Patch:
    """The journal runs `other` instead of its `statement`."""
    return Patch(STATEMENTS, statement, lambda original: other)


def _ignores_syncs(original: Any) -> Any:
    return lambda self, op: None


FAULTS = (
    SeededFault(
        "synchronous off",
        frozenset({LOST, "it does not open"}),
        (_instead("PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF"),),
    ),
    SeededFault(
        "synchronous normal", frozenset({LOST}), (_instead("PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL"),)
    ),
    SeededFault("a disk that ignores syncs", frozenset({"image"}), (Patch(Platter, "_sync", _ignores_syncs),)),
    SeededFault(
        "half a transaction is on disk",
        frozenset({"image"}),
        (_instead("BEGIN IMMEDIATE", "SELECT 1"), _instead("COMMIT", "SELECT 1")),
    ),
)
