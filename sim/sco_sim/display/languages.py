"""The command languages of simulated displays: bytes in, what is shown out."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from sco_sim.display.face import Face


class Language(Protocol):
    """One make's commands. `unknown` collects what no command is."""

    unknown: list[bytes]

    def feed(self, data: bytes, face: Face) -> list[Face]:
        """What is shown after each command that `data` completes, the last one last."""
        ...


class Mertech:
    """Mertech QR-PAY: `02 F2 02` and a length in two bytes before a code, `02 F0 03` before anything else."""

    def __init__(self) -> None:
        self.unknown: list[bytes] = []
        self._waiting = b""

    def feed(self, data: bytes, face: Face) -> list[Face]:
        """See `Language`."""
        self._waiting += data
        faces: list[Face] = []
        while self._waiting:
            found = self._command(face)
            if found is None:
                break
            length, after = found
            if after is None:
                self.unknown.append(self._waiting[:length])
            else:
                face = after
                faces.append(face)
            self._waiting = self._waiting[length:]
        return faces

    def _command(self, face: Face) -> tuple[int, Face | None] | None:
        """Length of the first command and what it shows, None for nothing known; None until it is complete."""
        data = self._waiting
        if data.startswith(b"\x02\xf2\x02"):
            if len(data) < 5:
                return None
            end = 5 + int.from_bytes(data[3:5], "big")
            if len(data) < end + 3:
                return None
            if data[end : end + 3] != b"\x02\xf2\x03":
                return end + 3, None
            return end + 3, Face(data[5:end].decode("utf-8", "replace"))
        if data.startswith(b"\x02\xf0\x03"):
            end = data.find(b"\x03", 3)
            if end < 0:
                return None
            words = {b"CLS": Face(), b"correct": Face(paid=True), b"mistake": Face(paid=False)}
            return end + 1, words.get(data[3:end])
        if any(start.startswith(data) for start in (b"\x02\xf2\x02", b"\x02\xf0\x03")):
            return None
        return 1, None


class QrScreen:
    """QR-Screen: lines of UTF-8, each with its command in square brackets, ended by CR LF."""

    def __init__(self) -> None:
        self.unknown: list[bytes] = []
        self._waiting = b""

    def feed(self, data: bytes, face: Face) -> list[Face]:
        """See `Language`."""
        *lines, self._waiting = (self._waiting + data).split(b"\r\n")
        faces: list[Face] = []
        for line in lines:
            text = line.decode("utf-8", "replace")
            if text.startswith("[TXT1]"):
                face = replace(face, above=text[6:])
            elif text.startswith("[TXT2]"):
                face = replace(face, below=text[6:])
            elif text.startswith("[QRL]"):
                face = replace(face, link=text[5:])
            elif text == "[CQL]":
                face = Face()
            else:
                self.unknown.append(line)
                continue
            faces.append(face)
        return faces


LANGUAGES: dict[str, type[Mertech | QrScreen]] = {"mertech": Mertech, "qrscreen": QrScreen}
"""By the scheme of their URLs."""
