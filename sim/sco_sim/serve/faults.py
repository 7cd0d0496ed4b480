"""The faults of mock devices, by name: each happens at the wire, as with the real device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec

from sco_sim.nfc.ntag import TEARS, VirtualTag
from sco_sim.nfc.simulated_field import Fault as ReaderFault
from sco_sim.paymaster import script
from sco_sim.testing.devices import FOREIGN_UID

if TYPE_CHECKING:
    from sco_sim.display import VirtualDisplay
    from sco_sim.nfc.pn532 import VirtualReader
    from sco_sim.paymaster import PayMasterSimulator
    from sco_sim.printer import VirtualPrinter
    from sco_sim.screen import VirtualScreen
    from sco_sim.touch import VirtualTouch

OPTIONS = {
    "after_octets": "begins when the printer has received so many more octets",
    "after_mm": "mm of paper that still come out",
    "late_s": "seconds by which each answer is late",
    "after_commands": "begins at the reader's command after so many others",
    "after_writes": "complete page writes before it",
    "on": "calls of PayMaster that it hits: create, get, cancel, list, separated by commas; all of them by default",
    "first": "how many calls it hits; all of them by default",
    "wait_s": "seconds",
    "ahead_s": "seconds by which PayMaster's clock is ahead of the lane's; negative where it is behind",
}
"""Option -> meaning."""


class FaultOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Details of a fault, see `OPTIONS`. None: the fault's own default."""

    after_octets: Annotated[int, msgspec.Meta(ge=0)] | None = None
    after_mm: Annotated[float, msgspec.Meta(ge=0)] | None = None
    late_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    after_commands: Annotated[int, msgspec.Meta(ge=0)] | None = None
    after_writes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    on: str | None = None
    first: Annotated[int, msgspec.Meta(ge=0)] | None = None
    wait_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    ahead_s: float | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not None."""
        return {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}


class Devices(Protocol):
    """What faults happen to."""

    paymaster: PayMasterSimulator
    printer: VirtualPrinter
    reader: VirtualReader
    screen: VirtualScreen
    touch: VirtualTouch
    display: VirtualDisplay

    def after_octets(self, options: FaultOptions, change: Callable[[], None]) -> None:
        """Do something to the printer now, or when it has received so many more octets."""

    def script_paymaster(self) -> None:
        """Let PayMaster do what its faults that are on say."""


Begin = Callable[[Devices, FaultOptions], None]
End = Callable[[Devices], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        name: `DEVICE.WHAT`.
        meaning: what happens.
        begin, end: bring it about, and undo it; `end` is None for what happens once.
        options: names from `OPTIONS` that it takes.
        ends_others: `end` ends the device's other faults too, which must begin again then.
        word: of PayMaster's script; None for other devices.
    """

    name: str
    meaning: str
    begin: Begin
    end: End | None = None
    options: tuple[str, ...] = ()
    ends_others: bool = False
    word: str | None = None

    @property
    def device(self) -> str:
        """Whose fault it is."""
        return self.name.partition(".")[0]

    def scripted(self, options: FaultOptions) -> str:
        """The words of PayMaster's script."""
        names = (("on", options.on), ("first", options.first), ("wait", options.wait_s), ("ahead", options.ahead_s))
        return " ".join([str(self.word), *(f"{name}={value}" for name, value in names if value is not None)])


def _printer(
    name: str, meaning: str, begin: Callable[[VirtualPrinter], object], end: Callable[[VirtualPrinter], object]
) -> Fault:
    return Fault(
        f"printer.{name}",
        meaning,
        lambda bench, options: bench.after_octets(options, lambda: _ignore(begin(bench.printer))),
        lambda bench: _ignore(end(bench.printer)),
        ("after_octets",),
    )


def _ignore(_: object) -> None:
    """Callers want no result."""


def _run_out(bench: Devices, options: FaultOptions) -> None:
    bench.after_octets(options, lambda: bench.printer.load_paper(options.after_mm or 0.0))


def _reader(name: str, meaning: str, begin: Begin, *options: str) -> Fault:
    return Fault(f"nfc.{name}", meaning, begin, _heal_reader, options, ends_others=True)


def _heal_reader(bench: Devices) -> None:
    bench.reader.tags[:] = [tag for tag in bench.reader.tags if tag.uid != FOREIGN_UID]
    bench.reader.heal()


def _lay_foreign_tag(bench: Devices, _: FaultOptions) -> None:
    bench.reader.tags.append(VirtualTag(uid=FOREIGN_UID))


def _inject(fault: ReaderFault, bench: Devices, options: FaultOptions) -> None:
    bench.reader.inject(fault, at_command=options.after_commands or 0, lasting=True)


def _answers(name: str, fault: ReaderFault, meaning: str) -> Fault:
    return _reader(name, meaning, partial(_inject, fault), "after_commands")


def _remove_tag(bench: Devices, options: FaultOptions) -> None:
    if options.after_commands is None:
        bench.reader.remove_tags()
    else:
        bench.reader.inject(ReaderFault.TAG_LEAVES, at_command=options.after_commands)


def _mute_tag(bench: Devices, options: FaultOptions) -> None:
    for tag in bench.reader.tags:
        tag.mute = True


def _tag(bench: Devices) -> VirtualTag:
    if not bench.reader.tags:
        raise ValueError("the tag was taken away")
    return bench.reader.tag


def _tear(bench: Devices, options: FaultOptions) -> None:
    _tag(bench).tear(options.after_writes or 0, TEARS["not wholly erased"])


def _heal_display(bench: Devices) -> None:
    bench.display.plug()
    bench.display.heal()


def _refuse_data(bench: Devices) -> None:
    if not bench.display.plugged:
        raise ValueError("the display is unplugged")
    bench.display.refuse_data()


def _display(name: str, meaning: str, begin: Callable[[Devices], None]) -> Fault:
    return Fault(f"display.{name}", meaning, lambda bench, _: begin(bench), _heal_display, ends_others=True)


def _paymaster(word: str, meaning: str, *options: str) -> Fault:
    return Fault(
        f"paymaster.{word}",
        meaning,
        lambda bench, _: bench.script_paymaster(),
        lambda bench: bench.script_paymaster(),
        options,
        word=word,
    )


CATALOGUE: tuple[Fault, ...] = (
    _printer("cover-open", "the cover is open", lambda p: p.open_cover(), lambda p: p.close_cover()),
    Fault(
        "printer.paper-out",
        "the paper ends, at once or after some millimetres; its end is a new roll",
        _run_out,
        lambda bench: bench.printer.load_paper(),
        ("after_octets", "after_mm"),
    ),
    _printer("cutter-jam", "the next cut fails", lambda p: p.jam_cutter(), lambda p: p.free_cutter()),
    _printer("head-broken", "an error that no command clears", lambda p: p.break_head(), lambda p: p.repair_head()),
    _printer(
        "unplugged",
        "the data cable is pulled; what was received is printed",
        lambda p: p.unplug(),
        lambda p: p.plug_in(),
    ),
    _printer(
        "power-off",
        "no power: what was received and not printed is lost",
        lambda p: p.power_off(),
        lambda p: p.power_on(),
    ),
    _printer("stalled", "it takes no octets; the connection stays", lambda p: p.stall(), lambda p: p.stall(False)),
    _printer("mute", "it prints and answers nothing", lambda p: p.mute(), lambda p: p.mute(False)),
    _printer(
        "output-jam", "a ticket is jammed in the presenter", lambda p: p.jam_output(), lambda p: p.jam_output(False)
    ),
    _printer(
        "ticket-held",
        "the customer holds the ticket in the output",
        lambda p: p.hold_ticket(),
        lambda p: p.hold_ticket(False),
    ),
    Fault(
        "printer.late",
        "each answer is late, by 3 s if nothing else is said",
        lambda bench, options: bench.printer.answer_late(3.0 if options.late_s is None else options.late_s),
        lambda bench: bench.printer.answer_late(0.0),
        ("late_s",),
    ),
    Fault(
        "printer.garbage",
        "octets that mean nothing arrive from it, as from a bad cable",
        lambda bench, options: bench.printer.send_garbage(b"\xff\x5a\x00\xa5"),
    ),
    _reader("unplugged", "the reader's line is pulled", lambda bench, _: bench.reader.unplug()),
    _reader("tag-gone", "somebody takes the tag away", _remove_tag, "after_commands"),
    _reader("tag-mute", "the tag answers nothing", _mute_tag),
    _reader("foreign-tag", "another tag is stuck over ours", _lay_foreign_tag),
    _reader(
        "late",
        "each answer of the reader is late, by 1 s if nothing else is said",
        lambda bench, options: bench.reader.slow(1.0 if options.late_s is None else options.late_s),
        "late_s",
    ),
    _answers("deaf", ReaderFault.DEAF, "commands get lost: no acknowledgement, no answer"),
    _answers("silent", ReaderFault.SILENT, "commands are executed, their answers get lost"),
    _answers("corrupt", ReaderFault.CORRUPT, "the checksum of answers is wrong"),
    _answers("short", ReaderFault.SHORT, "answers stop in the middle"),
    _answers("error-frame", ReaderFault.ERROR_FRAME, "the chip refuses commands as unknown"),
    _answers("air-noise", ReaderFault.AIR_NOISE, "the tag's answers are damaged on the air"),
    Fault("nfc.tag-locked", "the tag is read-only from now on", lambda bench, _: _tag(bench).lock()),
    Fault("nfc.tag-torn", "the tag loses power in the middle of a write", _tear, options=("after_writes",)),
    Fault(
        "screen.unplugged",
        "the screen is unplugged",
        lambda bench, _: bench.screen.unplug(),
        lambda bench: bench.screen.plug(),
    ),
    Fault(
        "touch.unplugged",
        "the touch panel is unplugged",
        lambda bench, _: bench.touch.unplug(),
        lambda bench: bench.touch.plug(),
    ),
    Fault("touch.overflow", "the kernel's buffer of events overflows", lambda bench, _: bench.touch.drop()),
    _display("unplugged", "the customer display's cable is pulled; it goes dark", lambda bench: bench.display.unplug()),
    _display(
        "unplugged-powered",
        "the customer display's line is pulled; it keeps its picture",
        lambda bench: bench.display.unplug(powered=True),
    ),
    _display("frozen", "it takes every command and shows none", lambda bench: bench.display.freeze()),
    _display("refuses-data", "it takes no octet", _refuse_data),
    Fault(
        "paymaster.offline",
        "the lane's network fails; phones stay online",
        lambda bench, _: bench.paymaster.go_offline(),
        lambda bench: bench.paymaster.go_online(),
    ),
    *(
        _paymaster(word, meaning, "on", "first", *(("wait_s",) if "`wait`" in meaning else ()))
        for word, meaning in script.FAULTS.items()
    ),
    *(_paymaster(word, meaning) for word, meaning in script.BEHAVIOURS.items()),
    _paymaster(script.CLOCK, "its own clock, by which it dates its answers, creates and expires, is wrong", "ahead_s"),
    *(_paymaster(word, script.CUSTOMERS[word]) for word in ("pays-at-cancel", "pays-after-cancel", "pays-late")),
)
"""Every fault, device by device."""

BY_NAME = {fault.name: fault for fault in CATALOGUE}
