"""The fault controls of a virtual printer on a Unix socket, for scripts, other processes and other languages.

One command a line, its words apart by blanks; one JSON object a line back: `{"ok": true, ...}`, or `{"ok": false,
"error": "..."}`. Commands are the methods of `VirtualPrinter` with hyphens: `after 200 run-out-of-paper`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sco_sim.printer.device import VirtualPrinter

FAULTS = {
    "open-cover": VirtualPrinter.open_cover,
    "close-cover": VirtualPrinter.close_cover,
    "run-out-of-paper": VirtualPrinter.run_out_of_paper,
    "jam-cutter": VirtualPrinter.jam_cutter,
    "free-cutter": VirtualPrinter.free_cutter,
    "break-head": VirtualPrinter.break_head,
    "repair-head": VirtualPrinter.repair_head,
    "unplug": VirtualPrinter.unplug,
    "plug-in": VirtualPrinter.plug_in,
    "power-off": VirtualPrinter.power_off,
    "power-on": VirtualPrinter.power_on,
    "ticket-taken": VirtualPrinter.ticket_taken,
    "retract-by-itself": VirtualPrinter.retract_by_itself,
}
SWITCHES = {
    "stall": VirtualPrinter.stall,
    "mute": VirtualPrinter.mute,
    "vanish": VirtualPrinter.vanish,
    "jam-output": VirtualPrinter.jam_output,
    "hold-ticket": VirtualPrinter.hold_ticket,
}
USAGE = (
    *FAULTS,
    *(f"{name} [on|off]" for name in SWITCHES),
    "load-paper [MM]",
    "answer-late [SECONDS]",
    "garbage HEX",
    "after BYTES COMMAND...",
    "wait-idle [SECONDS]",
    "wait-cuts N [SECONDS]",
    "state",
    "text",
    "png PATH",
    "quit",
    "help",
)
_MAX_LINE = 4096


class UnknownCommand(ValueError):
    """The line is not a command, or its arguments do not fit it."""


def change(printer: VirtualPrinter, words: list[str]) -> Callable[[], None]:
    """The change that `words` ask for, as a function.

    Raises:
        UnknownCommand: see there.
    """
    match words:
        case [name] if name in FAULTS:
            return lambda: FAULTS[name](printer)
        case [name] if name in SWITCHES:
            return lambda: SWITCHES[name](printer, True)
        case [name, ("on" | "off") as word] if name in SWITCHES:
            return lambda: SWITCHES[name](printer, word == "on")
        case ["load-paper"]:
            return printer.load_paper
        case ["load-paper", mm]:
            length = _number(mm)
            return lambda: printer.load_paper(length)
        case ["answer-late"]:
            return lambda: printer.answer_late(0.0)
        case ["answer-late", seconds]:
            late = _number(seconds)
            return lambda: printer.answer_late(late)
        case ["garbage", digits]:
            try:
                data = bytes.fromhex(digits)
            except ValueError:
                raise UnknownCommand(f"{digits!r} is not hexadecimal") from None
            return lambda: printer.send_garbage(data)
        case ["after", count, *rest] if rest:
            fault = change(printer, rest)
            number = int(_number(count))
            return lambda: printer.after(number, fault)
    raise UnknownCommand(f"{' '.join(words)!r} is not a command; known: {', '.join(USAGE)}")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UnknownCommand(f"{text!r} is not a number of zero or more")
    return value


class ControlSocket:
    """Serves the fault controls of `printer` at `path`. Use as a context manager, inside the printer's.

    Args:
        printer: a started printer.
        path: where the socket is made; an old one there is replaced, anything else is not.
    """

    def __init__(self, printer: VirtualPrinter, path: str | Path) -> None:
        self._printer = printer
        self.path = Path(path)
        self.quit_wanted = threading.Event()
        self._stopping = False
        if self.path.is_socket():
            self.path.unlink()
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(self.path))
        except OSError:
            self._listener.close()
            raise
        self.path.chmod(0o600)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._accept, name="printer-control", daemon=True)

    def answer(self, line: str) -> dict[str, Any]:
        """Execute the command in `line`; returns the answer."""
        printer, words = self._printer, line.split()
        try:
            match words:
                case ["help"]:
                    return {"ok": True, "commands": list(USAGE)}
                case ["state"]:
                    return {"ok": True, "url": printer.url, **printer.state()}
                case ["text"]:
                    return {"ok": True, "text": printer.text}
                case ["png", path]:
                    printer.save_png(path)
                    return {"ok": True}
                case ["wait-idle", *seconds] if len(seconds) < 2:
                    return {"ok": printer.wait_idle(*map(_number, seconds))}
                case ["wait-cuts", count, *seconds] if len(seconds) < 2:
                    cuts = int(_number(count))
                    return {"ok": printer.wait_for(lambda one: one.cuts >= cuts, *map(_number, seconds))}
                case ["quit"]:
                    self.quit_wanted.set()
                    return {"ok": True}
                case _:
                    change(printer, words)()
                    return {"ok": True}
        except (UnknownCommand, OSError) as error:
            return {"ok": False, "error": str(error)}

    def _accept(self) -> None:
        while not self._stopping:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), name="printer-control-peer", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError), peer.makefile("rw", encoding="utf-8", errors="replace") as file:
            while line := file.readline(_MAX_LINE):
                if line.strip():
                    file.write(json.dumps(self.answer(line), ensure_ascii=False) + "\n")
                    file.flush()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)
        self.path.unlink(missing_ok=True)


def send(path: str | Path, command: str, timeout_s: float = 30.0) -> dict[str, Any]:
    """Give one command to the printer at `path`, and return its answer.

    Raises:
        OSError: no printer listens there, or it does not answer within `timeout_s`.
    """
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(timeout_s)
        peer.connect(str(path))
        peer.sendall(command.strip().encode() + b"\n")
        with peer.makefile("r", encoding="utf-8") as file:
            line = file.readline()
    if not line:
        raise ConnectionError(f"{path}: the connection was closed without an answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
