"""A program on a real pseudo-terminal: what its user sees, the keys they press, and what the terminal is set to."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from typing import Self

import numpy as np
import zxingcpp

_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")
_DRAWN = re.compile("[█▀▄│╭╮╰╯─]")
_WAIT_S = 30.0


def _without_size() -> dict[str, str]:
    """The environment, without the size of the terminal that the tests run on."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


class Terminal:
    """A terminal of `columns` x `rows` that understands what rich writes, with a program of its own session on it."""

    def __init__(self, command: list[str], *, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self.columns, self.rows = columns, rows
        self._lines = [""]
        self._row = self._column = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""
        self._master, line = pty.openpty()
        fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.name = os.ttyname(line)
        self._line = line  # open, so that the settings can be read when the program has ended
        self.process = subprocess.Popen(
            # the first terminal that a session opens is the one that controls it
            ["sh", "-c", 'exec "$0" "$@" <"$TTY" >"$TTY" 2>&1', *command],
            env={
                **_without_size(),
                "TERM": "xterm-256color",
                "TTY": self.name,
                "PYTHONIOENCODING": "utf-8",
                **environment,
            },
            start_new_session=True,
        )

    @classmethod
    def sco_pay(cls, *arguments: str, columns: int = 80, rows: int = 24, **environment: str) -> Self:
        """`sco-pay` on it."""
        command = [sys.executable, "-m", "sco_payment.cli.main", *arguments]
        return cls(command, columns=columns, rows=rows, **environment)

    @property
    def echoes(self) -> bool:
        """Whether keys are shown, in whole lines."""
        flags = termios.tcgetattr(self._line)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    def press(self, keys: str) -> None:
        """Type `keys` at once."""
        os.write(self._master, keys.encode())

    @property
    def screen(self) -> list[str]:
        """The lines in the window, each as long as what is on it."""
        self._read(0.0)
        return [line.rstrip() for line in self._lines[-self.rows :]]

    @property
    def text(self) -> str:
        """The words in the window with single spaces, whatever is wrapped where, next to a code or in a border."""
        return " ".join(_DRAWN.sub(" ", " ".join(self.screen)).split())

    def wait_for(self, words: str) -> str:
        """Wait until `words` are in the window; returns its text."""
        return self.wait_until(lambda: words in self.text)

    def wait_until(self, condition: Callable[[], bool]) -> str:
        """Wait until it is so; returns the window's text."""
        end = time.monotonic() + _WAIT_S
        while not condition():
            assert time.monotonic() < end, "\n".join(self.screen)
            self._read(0.05)
        return self.text

    def ends(self) -> int:
        """Wait for the program's end; returns its exit status."""
        end = time.monotonic() + _WAIT_S
        while self.process.poll() is None:
            assert time.monotonic() < end, "\n".join(self.screen)
            self._read(0.05)
        self._read(0.0)
        return self.process.returncode

    def code(self) -> str | None:
        """What a phone reads from the window: it must be whole, with its quiet zone."""
        dots = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1)}
        rows = []
        for line in self.screen:
            pairs = [dots.get(char, (0, 0)) for char in line.ljust(self.columns)]
            rows += [[pair[half] for pair in pairs] for half in (0, 1)]
        picture = np.kron(np.array(rows, np.uint8) * 255, np.ones((6, 6), np.uint8))
        codes = zxingcpp.read_barcodes(np.pad(picture, 24))
        return codes[0].text if len(codes) == 1 else None

    def close(self) -> None:
        """End the program and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- the terminal ---------------------------------------------------------------------------------------------

    def _read(self, wait_s: float) -> None:
        while select.select([self._master], [], [], wait_s)[0]:
            self._rest += self._decoder.decode(os.read(self._master, 65536))
            whole = self._rest.rfind("\x1b")  # the last sequence may have come in part
            if whole < 0 or _SEQUENCE.match(self._rest, whole):
                whole = len(self._rest)
            text, self._rest = self._rest[:whole], self._rest[whole:]
            self._write(text)
            wait_s = 0.0

    def _write(self, text: str) -> None:
        place = 0
        while place < len(text):
            if found := _SEQUENCE.match(text, place):
                self._obey(found[1], found[2])
                place = found.end()
                continue
            char = text[place]
            place += 1
            match char:
                case "\r":
                    self._column = 0
                case "\n":
                    self._down()
                case "\x07":
                    pass
                case _:
                    if self._column == self.columns:
                        self._column = 0
                        self._down()
                    line = self._lines[self._row].ljust(self._column)
                    self._lines[self._row] = line[: self._column] + char + line[self._column + 1 :]
                    self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append("")

    def _obey(self, parameters: str, letter: str) -> None:
        match letter:
            case "A":
                highest = max(0, len(self._lines) - self.rows)  # what has left the window cannot be reached
                self._row = max(highest, self._row - int(parameters or 1))
            case "K" if parameters == "2":
                self._lines[self._row] = ""
            case "h" | "l" | "m":
                pass
            case _:
                raise AssertionError(f"CSI {parameters}{letter} is not known here")
