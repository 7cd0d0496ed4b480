"""The health check: questions only, no paper. Findings are sentences that a technician can act on."""

from __future__ import annotations

from collections.abc import Callable

from sco_drivers.errors import DeviceError, PrinterError
from sco_drivers.printer import PrinterHealth, PrinterIdentity, PrinterStatus, SensorState
from sco_drivers.printer.memory import Memory
from sco_drivers.printer.profile import Profile
from sco_drivers.printer.session import EscPosSession

_ROUNDS = 3
_SLOW_MS = 250.0


def examine(
    session: EscPosSession,
    profile: Profile,
    memory: Memory,
    mark: bytes,
    fault_of: Callable[[PrinterStatus, str], PrinterError | None],
    url: str,
) -> PrinterHealth:
    """Ask everything that can be asked without printing.

    Args:
        session: with the printer.
        profile: the assumed model.
        memory: what is remembered about the device.
        mark: the process id to try.
        fault_of: the error for a status, if it is one.
        url: for messages.
    """
    try:
        return _examine(session, profile, memory, mark, fault_of, url)
    except DeviceError as error:
        unknown = SensorState.UNKNOWN
        return PrinterHealth(
            SensorState.NO, PrinterStatus(), PrinterIdentity(), None, None, unknown, unknown, (str(error),)
        )


def _examine(
    session: EscPosSession,
    profile: Profile,
    memory: Memory,
    mark: bytes,
    fault_of: Callable[[PrinterStatus, str], PrinterError | None],
    url: str,
) -> PrinterHealth:
    status = session.status()
    times: list[float] = []
    for _ in range(_ROUNDS):
        start = session.clock.monotonic()
        if session.real_time(1) is None:
            break
        times.append((session.clock.monotonic() - start) * 1000)
    answers_ms = sorted(times)[len(times) // 2] if times else None
    ready = status.ready
    can_answer = ready is not SensorState.NO and answers_ms is not None and (memory.proven or not profile.guessed)
    identity = session.identity() if can_answer else PrinterIdentity()
    presenter = session.presenter() if profile.presenter != "none" else None

    reports = _known(profile.process_id)
    if profile.process_id is not False and can_answer:
        reports = SensorState.YES if session.reports_printed(mark) else SensorState.NO
    clears = _known(profile.clear_buffers)
    if profile.clear_buffers is not False and answers_ms is not None:
        clears = SensorState.YES if session.clear() else SensorState.NO

    if profile.native_qr is None and ready is SensorState.YES and memory.proven:
        session.draws_qr()
    if ready is not SensorState.NO and answers_ms is not None:
        session.empty_line()

    findings: list[str] = []
    fault = fault_of(status, url)
    if fault is not None:
        findings.append(f"{fault.message}: {fault.hint}")
    if answers_ms is None:
        findings.append("it answers no status question: check that it is on, the cable, and the baud rate")
    elif answers_ms > _SLOW_MS:
        findings.append(f"a status takes {answers_ms:.0f} ms: raise status_s, or check the line")
    if status.paper_near_end is SensorState.YES and status.paper_out is not SensorState.YES:
        findings.append("the paper is near its end: have a new roll ready")
    if presenter is not None and presenter.jammed is SensorState.YES:
        findings.append("a ticket is jammed in the presenter: take it out")
    if reports is SensorState.NO and can_answer:
        wrong = ", which the profile promises: choose another profile" if profile.process_id else ""
        findings.append(f'it does not report the end of a ticket (GS ( H){wrong}; "printed" relies on its status')
    if clears is SensorState.NO and answers_ms is not None:
        findings.append("it does not clear its buffers on command: after a fault within a ticket, switch it off and on")
    if profile.native_qr is None and not memory.draws_qr:
        findings.append(
            f"the profile {profile.name} does not state whether the printer draws QR codes, so they are printed as "
            "pictures: choose the printer's own profile, or add qr=native if a test print with it has a code"
        )
    if not profile.code_pages and not profile.utf8:
        findings.append(f"the profile {profile.name} has no Russian letters: choose another profile or codec=utf-8")
    return PrinterHealth(ready, status, identity, presenter, answers_ms, reports, clears, tuple(findings))


def _known(claimed: bool | None) -> SensorState:
    """What the profile states, where it was not tried: only that a model lacks it is taken as known."""
    return SensorState.NO if claimed is False else SensorState.UNKNOWN
