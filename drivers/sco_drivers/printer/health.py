"""The check of health: questions only, no paper. What is wrong is said in sentences a technician can act on."""

from __future__ import annotations

import time
from collections.abc import Callable

from sco_drivers.errors import DeviceError, PrinterError
from sco_drivers.printer import PrinterHealth, PrinterIdentity, PrinterStatus, SensorState
from sco_drivers.printer.profile import Profile
from sco_drivers.printer.session import EscPosSession

_ROUNDS = 3
_SLOW_MS = 250.0


def examine(
    talk: EscPosSession,
    profile: Profile,
    mark: bytes,
    fault_of: Callable[[PrinterStatus, str], PrinterError | None],
    url: str,
) -> PrinterHealth:
    """Ask everything that can be asked without printing.

    Args:
        talk: the conversation with the printer.
        profile: what the model is taken to be.
        mark: a name for the process id that is tried.
        fault_of: a status as an error, if it is one.
        url: for the words.
    """
    try:
        return _examine(talk, profile, mark, fault_of, url)
    except DeviceError as error:
        nothing, unknown = PrinterStatus(), SensorState.UNKNOWN
        return PrinterHealth(SensorState.NO, nothing, PrinterIdentity(), None, None, unknown, unknown, (str(error),))


def _examine(
    talk: EscPosSession,
    profile: Profile,
    mark: bytes,
    fault_of: Callable[[PrinterStatus, str], PrinterError | None],
    url: str,
) -> PrinterHealth:
    status = talk.status()
    times: list[float] = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        if talk.real_time(1) is None:
            break
        times.append((time.perf_counter() - start) * 1000)
    answers_ms = sorted(times)[len(times) // 2] if times else None
    ready = status.ready
    can_answer = ready is not SensorState.NO and answers_ms is not None
    identity = talk.identity() if can_answer else PrinterIdentity()
    presenter = talk.presenter() if profile.presenter != "none" else None

    tells = _known(profile.process_id)
    if profile.process_id is not False and can_answer:
        tells = SensorState.YES if talk.tells_printed(mark) else SensorState.NO
    clears = _known(profile.clear_buffers)
    if profile.clear_buffers is not False and answers_ms is not None:
        clears = SensorState.YES if talk.clear() else SensorState.NO

    findings: list[str] = []
    fault = fault_of(status, url)
    if fault is not None:
        findings.append(f"{fault.message}: {fault.hint}")
    if answers_ms is None:
        findings.append("it answers no status question: check the cable back, the baud rate, and that it is on")
    elif answers_ms > _SLOW_MS:
        findings.append(f"a status takes {answers_ms:.0f} ms: raise status_s, or look at the line")
    if status.paper_near_end is SensorState.YES and status.paper_out is not SensorState.YES:
        findings.append("the paper is near its end: have a new roll at hand")
    if presenter is not None and presenter.jammed is SensorState.YES:
        findings.append("a ticket is stuck in the presenter: take it out")
    if tells is SensorState.NO and can_answer:
        wrong = ", which the profile promises: choose another profile" if profile.process_id else ""
        findings.append(f'it does not tell when a ticket has come out (GS ( H){wrong}; "printed" rests on its status')
    if clears is SensorState.NO and answers_ms is not None:
        findings.append("it cannot be told to clear its buffers: after a fault in mid-ticket, switch it off and on")
    if not profile.code_pages and not profile.utf8:
        findings.append(f"the profile {profile.name} has no Russian letters: choose another profile, or codec=utf-8")
    return PrinterHealth(ready, status, identity, presenter, answers_ms, tells, clears, tuple(findings))


def _known(claimed: bool | None) -> SensorState:
    """What the profile says, where nothing was tried: a promise is no knowledge, a lack is."""
    return SensorState.NO if claimed is False else SensorState.UNKNOWN
