"""Find out what an unknown printer can do: by asking it, and by a strip of paper that a person reads.

The result describes the printer in a file that `profile=/etc/sco/printer.toml` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sco_drivers import open_printer
from sco_drivers.errors import BadDeviceUrl, DeviceError, DeviceTimeout
from sco_drivers.printer import PrinterStatus, SensorState, commands
from sco_drivers.printer.description import SETTINGS
from sco_drivers.printer.escpos import EscPosPrinter
from sco_drivers.printer.replies import Asb
from sco_drivers.printer.session import EscPosSession
from sco_drivers.urls import DeviceUrl
from sco_hwtest.printer_profiles import Value

LETTERS = "Щука съела ёжа №"
CODE_PAGES: dict[str, tuple[int, ...]] = {"cp866": (17, 7, 59, 10, 11, 12, 37), "cp1251": (46, 73, 6, 34, 51, 12)}
"""Numbers that boards have for the Russian code pages, the usual ones first."""
WIDTHS = (360, 384, 400, 432, 504, 512, 544, 576, 640, 832)
"""Printable widths of the usual heads in dots."""
DPI = (203, 180, 300)
_SQUARE = 96
_BLOCK = 16
_LINK = "https://qr.nspk.ru/"
_WRITE_S = 20.0
_MARK = b"PRB1"
_LONGEST_PICTURE = max(WIDTHS) // 8 * _BLOCK

_FOUND_OUT = frozenset({"profile", "codec", "qr", *SETTINGS})


@dataclass(frozen=True, slots=True)
class Choice:
    """A question about the strip.

    Attributes:
        name: stable, for scripts.
        text: what to look at, and what to decide.
        answers: what can be answered, each with its meaning.
    """

    name: str
    text: str
    answers: Mapping[str, str]


Person = Callable[[Choice], str | None]
"""Answers a question with one of its answers; None for "I do not know"."""

Report = Callable[[str], None]

YES_NO = {"y": "yes", "n": "no"}


@dataclass(slots=True)
class Findings:
    """What was found.

    Attributes:
        settings: of the file, in its order.
        printer: how the printer names itself; empty when it does not.
        open: the questions that nobody answered, by name; the profile's own values hold for them.
    """

    settings: dict[str, Value] = field(default_factory=lambda: {"like": "default"})
    printer: str = ""
    open: list[str] = field(default_factory=list)


def refuse_description(url: str) -> None:
    """Raises BadDeviceUrl if the URL says already what is to be found out."""
    given = sorted(_FOUND_OUT & set(DeviceUrl.parse(url).params))
    if given:
        hint = f"the URL without {', '.join(given)}"
        raise BadDeviceUrl(f"{given[0]}= is what the probe finds out", url=url, hint=hint)


def probe(url: str, person: Person, report: Report) -> Findings:
    """Ask the printer, print the strip, and ask the person.

    Args:
        url: of the printer, without a description of it.
        person: answers the questions.
        report: is called with each thing that is found, in a sentence.

    Raises:
        DeviceError: the printer cannot be reached, or cannot print now.
    """
    refuse_description(url)
    with open_printer(url) as printer:
        exclusively = getattr(printer, "exclusively", None)
        if exclusively is None:
            raise BadDeviceUrl("this printer's driver has no ESC/POS commands to try", url=url)
        return _Probe(printer, person, report).run()  # type: ignore[arg-type]


class _Probe:
    def __init__(self, printer: EscPosPrinter, person: Person, report: Report) -> None:
        self._printer = printer
        self._person = person
        self._report = report
        self._found = Findings()

    def run(self) -> Findings:
        with self._printer.exclusively() as session:
            status = session.status()
            if status.ready is SensorState.NO:
                raise _not_ready(status, self._printer.url)
            self._ask_printer(session, answers=not session.silent)
        self._report("printing a strip of about 20 cm")
        lines = _letter_lines()
        self._send(_strip(lines), cut_full=False)
        if self._person(Choice("strip", "Has the strip come out, down to the word «END»? Take it.", YES_NO)) == "n":
            raise self._why_not()
        self._read_letters(lines)
        self._read_width()
        self._read_pictures()
        draws = self._ask(
            "native_qr", "Is there a QR code below «QR», and no letters instead of it?", YES_NO, {"y": True, "n": False}
        )
        if draws is False and self._found.settings.get("raster") is False:
            self._report("it prints neither QR codes nor pictures: its tickets cannot have a code")
        self._read_cut()
        if self._found.settings.get("presenter") == "custom":
            self._try_presenter()
        return self._found

    # --- what the printer knows by itself ---

    def _ask_printer(self, session: EscPosSession, *, answers: bool) -> None:
        settings = self._found.settings
        self._report(f"status questions (DLE EOT): {'answered' if answers else 'no answer'}")
        if not answers:
            self._report(
                "it answers nothing: check the cable and, on a serial line, baud=; a ticket's fate is then less certain"
            )
            settings |= {"process_id": False, "clear_buffers": False, "asb": False, "identity": False}
            return
        settings["clear_buffers"] = session.clear()
        if not settings["clear_buffers"]:  # an interrupted picture may wait for its end; NUL is white, and else skipped
            session.send(bytes(_LONGEST_PICTURE), _WRITE_S)
        settings["process_id"] = session.reports_printed(_MARK)
        session.empty_line()
        settings["asb"] = _sends_status(session)
        identity = session.identity()
        session.empty_line()
        self._found.printer = " ".join(part for part in (identity.maker, identity.model) if part)
        settings["identity"] = bool(self._found.printer)
        for name, what in (
            ("process_id", "reports the end of a ticket (GS ( H)"),
            ("clear_buffers", "clears its buffers on command (DLE DC4 8)"),
            ("asb", "sends its status by itself (GS a)"),
        ):
            self._report(f"{what}: {'yes' if settings[name] else 'no answer'}")
        self._report(f"model (GS I): {self._found.printer or 'no answer'}")
        if session.presenter().ticket_in_output is not SensorState.UNKNOWN:
            settings["presenter"] = "custom"
            self._report("presenter (DLE EOT 20): answers")

    # --- what the paper shows ---

    def _send(self, data: bytes, *, cut_full: bool) -> None:
        """Print, cut, and hand over."""
        data += commands.cut(full=cut_full)
        if self._found.settings.get("presenter") == "custom":
            data += commands.PRESENT
        with self._printer.exclusively() as session:
            taken = session.send(data, _WRITE_S)
            ready = session.status().ready
        if taken < len(data) or ready is SensorState.NO:
            raise self._why_not()

    def _why_not(self) -> DeviceError:
        """Why it has not printed."""
        with self._printer.exclusively() as session:
            status = session.status()
        if status.ready is SensorState.NO:
            return _not_ready(status, self._printer.url)
        hint = "check that it is on, the cable, on a serial line baud=; look at its lamps and at the paper"
        return DeviceTimeout("it has not printed the strip", url=self._printer.url, hint=hint)

    def _choose(self, choice: Choice) -> str | None:
        answer = self._person(choice)
        if answer is None:
            self._found.open.append(choice.name)
        return answer

    def _ask(self, name: str, text: str, answers: Mapping[str, str], values: Mapping[str, Value]) -> Value | None:
        """Put what the answer means into the settings; None if there is no answer."""
        answer = self._choose(Choice(name, text, answers))
        if answer is None:
            return None
        self._found.settings[name] = values[answer]
        return values[answer]

    def _read_letters(self, lines: Mapping[str, tuple[str, int]]) -> None:
        wanted = (
            f"Which line below «LETTERS» reads exactly «{LETTERS}»? Write the number before it; of several, the first."
        )
        answer = self._choose(Choice("letters", wanted, {**dict.fromkeys(lines, ""), "0": "none of them"}))
        if (
            answer == "0"
            and self._choose(Choice("all-letters", "Print all 256 numbers, on about 60 cm of paper?", YES_NO)) == "y"
        ):
            self._send(_all_pages(), cut_full=False)
            answer = self._read_all_pages()
        elif answer is not None and answer in lines:
            self._set_code_page(*lines[answer])
        if answer == "0":
            self._report(
                "no Russian letters were found: tickets will have none; ask the maker for the code page's number"
            )

    def _read_all_pages(self) -> str | None:
        numbers = {f"{codec[2:]}-{n}": (codec, n) for codec in CODE_PAGES for n in range(256)}
        text = "Which cell reads exactly «Жёг№»? Write its heading and number, as 866-17; of several, the lowest."
        answer = self._choose(Choice("letters", text, {**dict.fromkeys(numbers, ""), "0": "none of them"}))
        if answer is not None and answer in numbers:
            self._set_code_page(*numbers[answer])
        return answer

    def _set_code_page(self, codec: str, number: int) -> None:
        self._found.settings |= {"codec": codec, "code_page": number}

    def _read_width(self) -> None:
        answers = {str(width): "" for width in WIDTHS}
        text = "Which is the largest number below «WIDTH» whose bar has the same thick block at both ends?"
        answer = self._choose(Choice("width_dots", text, {**answers, "0": "there are no bars"}))
        if answer is None or answer == "0":
            if answer == "0":
                self._ask("paper_mm", "How wide is the paper?", {"80": "mm", "58": "mm"}, {"80": 80, "58": 58})
            return
        width = int(answer)
        self._found.settings["width_dots"] = width
        lengths = {str(n): f"about {width * 25.4 / dpi:.0f} mm" for n, dpi in enumerate(DPI, 1)}
        values = {str(n): dpi for n, dpi in enumerate(DPI, 1)}
        self._ask("dpi", f"How long is that bar ({width})?", lengths, values)

    def _read_pictures(self) -> None:
        answers = {"2": "both, of the same size", "1": "only the first, or of different sizes", "0": "neither"}
        answer = self._choose(Choice("raster", "Is there a black square below «PICTURE 1» and «PICTURE 2»?", answers))
        if answer is not None:
            self._found.settings |= {"raster": answer != "0", "raster_doubling": answer == "2"}

    def _read_cut(self) -> None:
        question = "Is the strip cut off (a small bridge may hold it)?"
        cut = self._choose(Choice("cut", question, YES_NO))
        if cut == "n":
            self._send(commands.INIT + b"CUT\n", cut_full=True)
            cut = self._choose(Choice("cut", "It was told to cut in another way. Is the paper cut off now?", YES_NO))
            if cut is not None:
                self._found.settings["cut"] = "full" if cut == "y" else "feed"
        elif cut == "y":
            self._found.settings["cut"] = "partial"

    def _try_presenter(self) -> None:
        self._send(commands.INIT + b"PRESENTER\n", cut_full=True)
        text = "Is the ticket «PRESENTER» held in the printer's output? Leave it there."
        if self._choose(Choice("presenter", text, YES_NO)) == "n":
            self._found.settings["presenter"] = "none"
            return
        with self._printer.exclusively() as session:
            seen = session.presenter().ticket_in_output
            session.send(commands.RETRACT, session.answer_s)
        self._report(f"its sensor says that a ticket is in the output: {seen.value}; the ticket is retracted")


def _not_ready(status: PrinterStatus, url: str) -> DeviceError:
    yes = SensorState.YES
    what, hint = (
        ("the paper has run out", "put in a roll")
        if status.paper_out is yes
        else ("the cover is open", "close it")
        if status.cover_open is yes
        else ("it is offline or reports a fault", "look at its lamps; switch it off and on")
    )
    return DeviceTimeout(f"it cannot print: {what}", url=url, hint=f"{hint}, and start again")


def _sends_status(session: EscPosSession) -> bool:
    session.send(commands.ASB_ALL, session.answer_s)
    return any(isinstance(reply, Asb) for reply in session.receive(session.answer_s))


def _letter_lines() -> dict[str, tuple[str, int]]:
    """Codec and number of each line, by the label that is printed before it."""
    pairs = [(codec, number) for codec, numbers in CODE_PAGES.items() for number in numbers]
    return {str(n): pair for n, pair in enumerate(pairs, 1)}


def _in_page(codec: str, number: int, label: str, text: str) -> bytes:
    """`INIT` before it, so that a number that the printer does not know leaves no earlier page."""
    letters = text.encode(codec)
    return commands.INIT + commands.SINGLE_BYTE + commands.code_page(number) + label.encode("ascii") + letters


def _strip(lines: Mapping[str, tuple[str, int]]) -> bytes:
    out = commands.INIT + commands.BOLD_ON + b"LETTERS\n" + commands.BOLD_OFF
    for label, (codec, number) in lines.items():
        out += _in_page(codec, number, f"{label:>2} ", LETTERS) + commands.LINE_FEED
    out += commands.INIT + commands.BOLD_ON + b"WIDTH\n" + commands.BOLD_OFF
    for width in WIDTHS:
        out += str(width).encode("ascii") + commands.LINE_FEED + commands.raster(_bar(width), doubled=False)
    half = _SQUARE // 2
    for n, (rows, doubled) in enumerate(
        (([b"\xff" * (_SQUARE // 8)] * _SQUARE, False), ([b"\xff" * (half // 8)] * half, True)), 1
    ):
        out += commands.BOLD_ON + b"PICTURE %d\n" % n + commands.BOLD_OFF + commands.raster(rows, doubled=doubled)
    prepare, draw = commands.native_qr(_LINK, level="M", module_dots=6)
    out += commands.BOLD_ON + b"QR\n" + commands.BOLD_OFF + prepare + draw
    return out + commands.LINE_FEED + b"END\n" + commands.INIT


def _bar(width: int) -> list[bytes]:
    """A thin line of `width` dots with a thick block at each end."""
    block = b"\xff" * (_BLOCK // 8)
    ends = block + bytes(width // 8 - 2 * len(block)) + block
    line = b"\xff" * (width // 8)
    return [ends] * 7 + [line] * 2 + [ends] * 7


def _all_pages() -> bytes:
    out = commands.INIT
    for codec in CODE_PAGES:
        out += commands.INIT + commands.BOLD_ON + f"{codec[2:]}\n".encode("ascii") + commands.BOLD_OFF
        for n in range(256):
            cell = _in_page(codec, n, f"{n:3} ", "Жёг№")
            # INIT within a line would drop it: only the first cell of a line has it.
            out += cell if n % 3 == 0 else cell.removeprefix(commands.INIT)
            out += commands.LINE_FEED if n % 3 == 2 or n == 255 else b"  "
    return out
