"""The tap that records: each wire passes through, and an entry of the trace is written of what passed.

No method raises what is its own trouble, and none delays the device by more than writing a line takes.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sco_drivers.errors import DeviceError
from sco_drivers.printer.memory import STATE
from sco_drivers.record.address import shown_url
from sco_drivers.record.file import FORMAT, TraceFile
from sco_drivers.record.frames import RecordedFrames, shown_frame
from sco_drivers.record.likeness import Likeness
from sco_drivers.record.octets import Disguises, RecordedWire, SerialNumber
from sco_drivers.record.pcsc import RecordedScard, ScardVeil
from sco_drivers.record.tag import TagVeil
from sco_drivers.record.values import plain
from sco_drivers.record.veil import Veil
from sco_drivers.tap import Tap
from sco_drivers.touch.events import EVENT
from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from sco_drivers.touch.reader import Panel

log = logging.getLogger(__name__)
FRAMED = ("sco_drivers.nfc.pn533", "sco_drivers.nfc.acr122", "nfc.clf.pn531")
"""Drivers of USB readers whose frames are understood."""
_WIRE = {">", "<", "withheld", "fails", "open", "close"}
_MOST_EMPTY = 10_000
_TICKETS = 100
"""So many of the last tickets that a driver remembers are in a trace."""
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def harmless(method: F) -> F:
    """A method of a recorder that must not raise: its trouble ends the trace."""

    @functools.wraps(method)
    def guarded(self: Recorder, *arguments: Any, **named: Any) -> Any:
        try:
            return method(self, *arguments, **named)
        except Exception as error:
            self.file.fail(f"{type(error).__name__} in {method.__name__}")
            log.debug("recording failed", exc_info=True)
            return None

    return cast(F, guarded)


class Recorder(Tap):
    """The recording of one opening of a device.

    Attributes:
        kind: of the device.
        file: of the trace.
        veil, tag: what replaces what is secret.
    """

    def __init__(self, kind: str, url: DeviceUrl, file: TraceFile) -> None:
        self.kind = kind
        self.file = file
        self.veil = Veil(self._noted)
        self.tag = TagVeil(self.veil)
        self.calls = 0
        self._began = time.monotonic()
        self._wall = time.time()
        self._seen: set[tuple[str, str]] = set()
        self._empty: list[float] = []
        self._likeness = Likeness(kind, self.veil, self.tag, self._wall)
        self._disguises = Disguises()
        self._serial = SerialNumber(self.veil)
        self._pcsc = ScardVeil(self.tag)
        self.file.write(
            {
                "sco_trace": FORMAT,
                "kind": kind,
                "url": shown_url(kind, url),
                "software": _software(),
                "began": datetime.fromtimestamp(self._wall, UTC).isoformat(timespec="seconds"),
            }
        )

    @classmethod
    def begin(cls, kind: str, url: DeviceUrl) -> Recorder | None:
        """Begin to record to the URL's trace; None, with an error in the log, where that is not possible."""
        try:
            return cls(kind, url, TraceFile(url.trace))
        except Exception as error:
            why = getattr(error, "strerror", None) or str(error)
            log.error("%s is not recorded: the trace %s cannot be written (%s)", url.text, url.trace, why)
            return None

    @harmless
    def put(self, **entry: Any) -> None:
        """Write an entry, with the time since the recording began."""
        if self._empty and not _WIRE.isdisjoint(entry):
            entry["empty"], self._empty = self._empty, []
        self.file.write({"t": self._elapsed()} | entry)

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began, 6)

    @harmless
    def called(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> int:
        """A call begins; its number."""
        self.calls += 1
        number = self.calls
        self.put(call=name, n=number, **self._likeness.entry(name, args, named))
        return number

    def _noted(self, kind: str, where: str) -> None:
        if (kind, where) not in self._seen:
            self._seen.add((kind, where))
            self.put(redacted=kind, where=where)

    @harmless
    def end(self, error: BaseException | None = None) -> None:
        """The device was closed, or could not be opened because of `error`."""
        self.put(end="closed" if error is None else type(error).__name__)
        self.file.close()

    # --- octets ---

    def wire(self, connect: Callable[[], T]) -> Callable[[], T]:
        """See `Tap`."""

        def opened() -> T:
            with_errors = self.watched("open", connect)
            return cast(T, RecordedWire(with_errors(), self))

        return opened

    def watched(self, what: str, call: Callable[..., T]) -> Callable[..., T]:
        """`call`; an error of it is written. Where it opens something, so is that."""

        def watched(*arguments: Any, **named: Any) -> T:
            try:
                result = call(*arguments, **named)
            except DeviceError as error:
                self.put(fails=what, error=type(error).__name__)
                raise
            if what == "open":
                self.put(open=True)
            return result

        return watched

    @harmless
    def sent(self, data: bytes, taken: int) -> None:
        """`taken` octets of `data` were sent."""
        if not taken and not data:
            return
        shown = self._disguises.shown(data[:taken])
        less = {"of": len(data)} if taken < len(data) else {}
        if shown is None:
            self._noted("octets", "what was sent could not be replaced by its like")
            self.put(withheld=taken, **less)
        else:
            self._serial.asked(data[:taken])
            self.put(**{">": shown.hex()}, **less)

    @harmless
    def received(self, data: bytes) -> None:
        """A read gave `data`, or nothing: then its end is written with what happens next."""
        if data:
            self.put(**{"<": self._serial.answered(data).hex()})
        elif len(self._empty) < _MOST_EMPTY:
            self._empty.append(self._elapsed())

    def memory(self, memory: T) -> T:
        """See `Tap`."""
        self._put_memory(memory)
        return memory

    @harmless
    def _put_memory(self, memory: Any) -> None:
        tickets = [[self.veil.text(name, "order number", "ticket id"), out] for name, out in memory.tickets[-_TICKETS:]]
        self.put(memory={name: getattr(memory, name) for name in STATE} | {"tickets": tickets})

    def chosen(self, octets: bytes) -> bytes:
        """See `Tap`."""
        self.put(chosen=octets.hex())
        return octets

    @harmless
    def twin(self, what: Any, build: Callable[[Any], T]) -> T | None:
        """See `Tap`."""
        self._disguises.clear()
        try:
            return build(self.veil.document(what))
        except Exception:
            log.debug("a document has no like", exc_info=True)
            return None

    @harmless
    def disguise(self, real: bytes, shown: bytes | None) -> None:
        """See `Tap`."""
        self._disguises.add(real, shown)

    def disguised(self, octets: Callable[[T], bytes], what: T) -> bytes:
        """See `Tap`."""
        real = octets(what)
        self._add_disguise(real, octets, what)
        return real

    @harmless
    def _add_disguise(self, real: bytes, octets: Callable[[T], bytes], what: T) -> None:
        self._disguises.add(real, octets(self._likeness.of(what)))

    # --- frames, PC/SC ---

    def frames(self, connect: Callable[[], Any]) -> Any:
        """See `Tap`."""
        return RecordedFrames(connect, self)

    def readers(self, look: Callable[[], list[tuple[str, int, int]]]) -> list[tuple[str, int, int]]:
        """See `Tap`."""
        found = look()
        drivers = [driver for driver, *_ in found]
        if set(drivers) - set(FRAMED):
            self.file.fail(f"frames of the driver {', '.join(drivers)} are not known")
        self.put(readers=drivers)
        return found

    @harmless
    def frame(self, direction: str, frame: bytes) -> None:
        """A frame was sent (">") or received ("<")."""
        self.put(**{direction: shown_frame(frame, self.tag).hex()})

    @harmless
    def pcsc_called(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """A function of PC/SC was called."""
        self.put(**self._pcsc.entry(name, arguments, result))

    def present(self, look: Callable[[], bool]) -> Callable[[], bool]:
        """See `Tap`."""

        def looked() -> bool:
            found = look()
            self.put(present=found)
            return found

        return looked

    @harmless
    def message_at(self, place: int, message: bytes) -> None:
        """See `Tap`."""
        self.tag.message_at(place, message)

    def pcsc(self, load: Callable[[], Any]) -> Any:
        """See `Tap`."""
        return RecordedScard(load(), self)

    # --- events ---

    def panel(self, connect: Callable[[], T]) -> T:
        """See `Tap`."""
        opened = connect()
        panel = cast("Panel", opened)
        self.put(open=True, axes=[[panel.x.low, panel.x.high], [panel.y.low, panel.y.high]], asked=bool(panel.state))
        if panel.state is None:
            return opened
        ask = panel.state

        def asked() -> Any:
            state = ask()
            self._put_state(state)
            return state

        return cast(T, panel._replace(state=asked))

    @harmless
    def _put_state(self, state: Any) -> None:
        names = ("x", "y", "pressure", "has_button", "held", "slot", "contacts")
        self.put(state={name: plain(getattr(state, name)) for name in names})

    def events(self, data: bytes) -> bytes:
        """See `Tap`."""
        self._put_events(data)
        return data

    @harmless
    def _put_events(self, data: bytes) -> None:
        whole = data[: len(data) // EVENT.size * EVENT.size]
        events = []
        for seconds, micro, *event in EVENT.iter_unpack(whole):
            at = max(0.0, seconds + micro / 1e6 - self._began)
            events.append([round(at, 6), *event])
        self.put(events=events)


def _software() -> str:
    try:
        return f"sco-paymaster {version('sco-paymaster')}"
    except PackageNotFoundError:
        return "sco-paymaster"
