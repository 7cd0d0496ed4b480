"""The arguments of a call, as a trace shows them."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from sco_drivers.display import DisplayedCode
from sco_drivers.printer import Document, Ticket
from sco_drivers.record.tag import TagVeil
from sco_drivers.record.values import plain
from sco_drivers.record.veil import Veil

log = logging.getLogger(__name__)

_OURS = ("none", "password", "forever")
"""Words of `NfcpyReader.provision`, not a caller's."""


class Likeness:
    """What is shown in place of arguments.

    Args:
        kind: of the device.
        veil, tag: what replaces what is secret.
        wall: when the recording began, s since the epoch; times are shown from there.
    """

    def __init__(self, kind: str, veil: Veil, tag: TagVeil, wall: float) -> None:
        self._kind = kind
        self._veil = veil
        self._tag = tag
        self._wall = wall

    def of(self, value: Any) -> Any:
        """In place of an argument."""
        if isinstance(value, Ticket | Document):
            return self._veil.document(value)
        if isinstance(value, DisplayedCode):
            return DisplayedCode(
                self._veil.text(value.link, "link", "code on the display"),
                self._veil.text(value.amount, "words", "display"),
                self._veil.text(value.text, "words", "display"),
            )
        if isinstance(value, str) and value not in _OURS:
            if self._kind == "nfc":
                return self._tag.link(value)
            return self._veil.text(value, "words", f"a call of the {self._kind}")
        if self._kind == "nfc" and isinstance(value, bytes):
            return self._tag.uid(value)
        return value

    def entry(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call of `name`; None where no trace can hold them: a replay does not make that call."""
        try:
            shown: dict[str, Any] = {"args": [plain(self._dated(one)) for one in args]}
            if named:
                shown["named"] = {key: plain(self._dated(one)) for key, one in named.items()}
        except Exception:
            log.debug("the arguments of %s cannot be recorded", name, exc_info=True)
            return {"args": None}
        return shown

    def _dated(self, value: Any) -> Any:
        shown = self.of(value)
        if not isinstance(shown, Ticket | Document) or shown.valid_until is None:
            return shown
        until = round(shown.valid_until - self._wall, 3)
        if isinstance(shown, Ticket):
            return dataclasses.replace(shown, valid_until=until)
        return shown._replace(valid_until=until)
