"""Plays a whole trace: makes each call that was recorded, and compares what is sent and how the call ends."""

from __future__ import annotations

import queue
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sco_drivers.errors import DeviceError
from sco_drivers.printer import Document, Ticket
from sco_drivers.record.values import from_plain, outcome
from sco_sim.replay.opening import open_recording
from sco_sim.replay.player import Player
from sco_sim.replay.trace import BadTrace, Entry, Recording, read_trace

_PANEL_S = 60.0
"""A panel's events are read in this time on any machine."""


_NO_CALLS = {"close", "escpos", "url", "profile"}
"""Members of devices that no trace has as a call."""
_OPTIONAL = {"identity"}
"""Calls that a device may have beyond its protocol."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one recording.

    Attributes:
        recording: which.
        calls: how many calls were made again.
        octets, frames: how many were compared.
        difference: the first one; empty where the trace still fits.
        note: what else is to be known: it was cut off, or a call cannot be made again.
    """

    recording: Recording
    calls: int
    octets: int
    frames: int
    difference: str = ""
    note: str = ""


def play(path: str | Path, *, real_pace: bool = False) -> list[Played]:
    """Play each recording of the trace at `path`, with the drivers that are installed.

    Raises:
        BadTrace: see `read_trace`.
    """
    return [_play(recording, real_pace) for recording in read_trace(path)]


def _play(recording: Recording, real_pace: bool) -> Played:
    calls = [one for one in recording.entries if "call" in one.says]
    ends = {one.says["n"]: one for one in recording.entries if "n" in one.says and "ends" in one.says}
    closed = next((one.says["end"] for one in recording.entries if "end" in one.says), "closed")
    try:
        device = open_recording(recording, real_pace=real_pace)
    except BadTrace as error:
        return Played(recording, 0, 0, 0, error.message)
    except DeviceError as error:
        same = type(error).__name__ == closed
        return Played(recording, 0, 0, 0, "" if same else f"opening: expected {closed}, got {error.message}")
    player: Player = device.replay
    if closed != "closed":
        device.close()
        return Played(recording, 0, player.sent, player.frames, f"opening: expected {closed}, got no error")
    made, difference, note = 0, "", "" if recording.whole else "the trace was cut off"
    taps: queue.SimpleQueue[Any] = queue.SimpleQueue()
    try:
        for call in calls:
            if call.says.get("args") is None:
                note = f"line {call.line}: {call.says['call']} cannot be made again, its arguments are in no trace"
                break
            end = ends.get(call.says["n"])
            difference = _made(device, call, end, taps)
            if difference:
                break
            made += 1
        if not difference and recording.kind == "touch" and made:
            difference = _taps_differ(recording, taps)
    finally:
        device.close()
    if not difference and not note:
        player.finish()
    if not difference and player.difference is not None and not player.cut_off and not note.startswith("line"):
        difference = player.difference.message
    return Played(recording, made, player.sent, player.frames, difference, note)


def _made(device: Any, call: Entry, end: Entry | None, taps: queue.SimpleQueue[Any]) -> str:
    """Make the call; how it differs from then, empty for not at all."""
    name, player = call.says["call"], device.replay
    target, *more = name.split(".")
    known = target in vars(type(device)) or target in _OPTIONAL
    if target in _NO_CALLS or not known or bool(more) != (target == "presenter"):
        return f"line {call.line}: {name} is not a call of such a device"
    try:
        arguments = [_dated(from_plain(one), player) for one in call.says["args"]]
        named = {key: _dated(from_plain(one), player) for key, one in call.says.get("named", {}).items()}
    except ValueError as error:
        return f"line {call.line}: {error}"
    if name == "start":
        if len(arguments) != 1 or not _is_size(arguments[0]):
            return f"line {call.line}: start has no size of a screen"
        arguments += [lambda tap: taps.put((tap.x, tap.y)), lambda error: taps.put(None)]
    try:
        method = getattr(device, target)
        for one in more:
            method = getattr(method, one)
        result = outcome(method(*arguments, **named))
    except Exception as error:
        result = outcome(error)
    if player.difference is not None:
        return "" if player.cut_off else player.difference.message
    if end is not None and result != end.says["ends"]:
        return f"line {end.line}: expected {name} to end with {end.says['ends']}, got {result}"
    return ""


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(one, int) and 0 < one < 1 << 16 for one in value)
    )


def _dated(value: Any, player: Player) -> Any:
    """An argument with its times on the clock of this replay."""
    if isinstance(value, Ticket | Document) and value.valid_until is not None:
        until = player.time() - player.now_s + value.valid_until
        return replace(value, valid_until=until) if isinstance(value, Ticket) else value._replace(valid_until=until)
    return value


def _taps_differ(recording: Recording, taps: queue.SimpleQueue[Any]) -> str:
    then = [(one.line, tuple(one.says["tap"])) for one in recording.entries if "tap" in one.says]
    number = 0
    while True:
        try:
            tap = taps.get(timeout=_PANEL_S)
        except queue.Empty:
            return f"the panel's events were not read within {_PANEL_S:.0f} s"
        expected = then[number] if number < len(then) else None
        if tap is None:
            return (
                "" if expected is None else f"line {expected[0]}: expected tap {number + 1} at {expected[1]}, got none"
            )
        if expected is None:
            return f"expected {len(then)} taps, got another one at {tap}"
        if tap != expected[1]:
            return f"line {expected[0]}: expected tap {number + 1} at {expected[1]}, got {tap}"
        number += 1
