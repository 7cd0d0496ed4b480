"""Figures and pictures of one open device, and questions to the operator about it.

Each function takes an open device and fills in its report. A tag's content is restored. Times are wall times of the
public call, in ms unless the unit says otherwise; `measurements` names what is measured.
"""

from __future__ import annotations

import itertools
import queue
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sco_drivers import DisplayedCode, open_printer
from sco_drivers.printer import Line, Style, Ticket
from sco_hwtest import questions
from sco_hwtest.contracts.display import link_of
from sco_hwtest.contracts.screen import SUM, look, scenes
from sco_hwtest.measurements import figure
from sco_hwtest.pictures import contact_sheet, png_of
from sco_hwtest.questions import Answer, Operator, Question
from sco_hwtest.results import CheckResult, DeviceReport, Kind, Picture, Verdict
from sco_payment.customer.texts import RUSSIAN
from sco_sim.display.face import Face
from sco_sim.printer import SimulatedPrinter

if TYPE_CHECKING:
    from PIL.Image import Image

    from sco_drivers.display import QrDisplay
    from sco_drivers.nfc import TagContents, TagReader
    from sco_drivers.printer import Printer
    from sco_drivers.screen import Screen

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length, which cannot be paid."""

_STATUS_ROUNDS = 20
_READ_ROUNDS = 10
_WRITE_ROUNDS = 3
"""Each wears the tag."""
_SCENE_ROUNDS = 5
_SPIN_S = 1.5
_PAPER_PX = 520

Measure = Callable[[Any, DeviceReport, Operator], None]


def times_ms(call: Callable[[], object], rounds: int) -> list[float]:
    """How long `call` took each time, in ms."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1000)
    return took


def ask(report: DeviceReport, operator: Operator, question: Question, *pictures: Picture) -> None:
    """Ask a question about what the pictures show, and add its answer as a check."""
    start = time.perf_counter()
    answer = operator(replace(question, pictures=pictures))
    verdict = {Answer.YES: Verdict.PASSED, Answer.NO: Verdict.FAILED, Answer.NONE: Verdict.NOT_ANSWERED}[answer]
    found, to_do = "", ""
    if answer is Answer.NO:
        found, to_do = "the operator answered no", question.if_no
    elif answer is Answer.NONE:
        found = "no answer"
    report.checks.append(
        CheckResult(question.name, question.text, verdict, time.perf_counter() - start, found, to_do, asked=True)
    )


# --- printer --------------------------------------------------------------------------------------------------------


def _ticket() -> Ticket:
    return Ticket(
        f"hwtest-{time.time_ns()}",
        LINK,
        above=(
            Line("ПРОВЕРКА ПЕЧАТИ", Style.BOLD),
            Line("Оплата по QR-коду/NFC СБП"),
            Line("2,53 руб.", Style.LARGE),
        ),
        below=(Line("Этот чек не для оплаты", Style.BOLD), Line("АБВГДЕЁЖЗИЙ абвгдеёжзий № 0123456789")),
    )


def printer(device: Printer, report: DeviceReport, operator: Operator) -> None:
    """Status latency, print time, bytes sent, the paper, three questions. Prints one ticket."""
    _health(device, report)
    report.figures.append(figure("printer", "status", times_ms(device.status, _STATUS_ROUNDS)))
    sent = _Counted(device)
    ticket = _ticket()
    start = time.perf_counter()
    result = device.print_ticket(ticket)
    took = time.perf_counter() - start
    verdict = Verdict.PASSED if result.outcome.value == "printed" else Verdict.FAILED
    report.checks.append(
        CheckResult(
            "prints-a-payment-ticket",
            "A payment ticket is printed, and the printer reports that it was.",
            verdict,
            took,
            "" if verdict is Verdict.PASSED else f"{result.outcome.value}: {result.error or result.evidence}",
            getattr(result.error, "hint", ""),
        )
    )
    if verdict is Verdict.PASSED:
        report.about["evidence of printing"] = result.evidence
        report.figures.append(figure("printer", "ticket", [took]))
    if sent.total:
        report.figures.append(figure("printer", "ticket-bytes", [sent.total], "status questions included"))
    if result.replaced:
        report.about["characters that its code page lacks"] = result.replaced
    _paper(device, report, ticket, printed=verdict is Verdict.PASSED)
    if verdict is Verdict.PASSED:
        for question in (questions.PAPER, questions.LETTERS, questions.CUT):
            ask(report, operator, question, *report.pictures[-1:])


def _health(device: Printer, report: DeviceReport) -> None:
    """Its state, as it reports it."""
    health = device.health()
    for entry in fields(health.status):
        report.about[entry.name.replace("_", " ")] = getattr(health.status, entry.name).value
    report.about["ready"] = health.ready.value
    report.about["reports printed tickets"] = health.reports_printed.value
    if health.findings:
        report.about["findings"] = "; ".join(health.findings)


class _Counted:
    """Counts the bytes sent from now on, if the device is simulated or has a hook for them."""

    def __init__(self, device: Any) -> None:
        self._simulator = getattr(device, "simulator", None)
        self._before = 0 if self._simulator is None else self._simulator.bytes_received
        self._tapped = 0
        if self._simulator is None and getattr(device, "on_wire", self) is None:
            device.on_wire = self._tap

    def _tap(self, direction: str, data: bytes) -> None:
        if direction == "->":
            self._tapped += len(data)

    @property
    def total(self) -> int:
        return self._tapped if self._simulator is None else int(self._simulator.bytes_received - self._before)


def _paper(device: Any, report: DeviceReport, ticket: Ticket, *, printed: bool) -> None:
    """The simulator's paper; for a real printer, a picture of what the ticket should look like."""
    simulator = getattr(device, "simulator", None)
    if simulator is not None:
        _read_the_paper(report, ticket, simulator.image())
        report.pictures.append(Picture("The paper", png_of(simulator.image()), width=_PAPER_PX))
    elif printed:
        with open_printer(f"sim://?paper_mm={_paper_mm(device)}") as virtual:
            if isinstance(virtual, SimulatedPrinter):
                virtual.print_ticket(ticket)
                picture = png_of(virtual.simulator.image())
                report.pictures.append(Picture("What the ticket should look like", picture, ours=True, width=_PAPER_PX))


def _read_the_paper(report: DeviceReport, ticket: Ticket, paper: Image) -> None:
    """Decode the code on a simulated printer's paper."""
    import zxingcpp

    found = [str(code.text) for code in zxingcpp.read_barcodes(paper) if code.valid]
    good = found == [ticket.qr]
    report.checks.append(
        CheckResult(
            "decoder-reads-the-paper",
            "A decoder reads the right link from the paper.",
            Verdict.PASSED if good else Verdict.FAILED,
            found="" if good else f"it reads {found or 'nothing'}",
        )
    )


def _paper_mm(device: Any) -> int:
    profile = getattr(device, "profile", None)
    return 58 if getattr(profile, "width_dots", 576) < 500 else 80


# --- NFC ------------------------------------------------------------------------------------------------------------


def nfc(device: TagReader, report: DeviceReport, operator: Operator) -> None:
    """Read, verify and write times; the tag's memory; whether a phone reads it. Restores the tag's content."""
    contents = device.read()
    report.about |= {
        "tag": contents.product,
        "UID": contents.uid.hex(" "),
        "room for a message": f"{contents.capacity} bytes",
        "protection": "permanently locked" if contents.locked else "password" if contents.protected else "open",
        "carries": contents.uri or ("nothing" if not contents.ndef else "data that is not a link"),
    }
    report.figures.append(figure("nfc", "read", times_ms(device.read, _READ_ROUNDS)))
    carried = contents.uri
    if contents.writable and (carried or not contents.ndef):
        _write_times(device, report, contents)
    elif carried:
        report.figures.append(figure("nfc", "verify", times_ms(lambda: device.verify(carried), _READ_ROUNDS)))
    report.dumps["Tag memory: the message"] = dump(device.read().ndef)
    _tag_picture(device, report)
    if carried:
        ask(report, operator, questions.phone_reads(carried))


def _write_times(device: TagReader, report: DeviceReport, before: TagContents) -> None:
    changed = LINK.replace("I2V6", "I2V7").replace("D959", "65D4")
    took: list[float] = []
    try:
        device.write_uri(LINK, uid=before.uid)
        same = times_ms(lambda: device.write_uri(LINK, uid=before.uid), _WRITE_ROUNDS)
        verify = times_ms(lambda: device.verify(LINK, uid=before.uid), _READ_ROUNDS)
        for link in (changed, LINK, changed)[:_WRITE_ROUNDS]:
            took += times_ms(lambda link=link: device.write_uri(link, uid=before.uid), 1)  # type: ignore[misc]
        report.dumps["Tag memory: with the test link"] = dump(device.read().ndef)
        _tag_picture(device, report)
    finally:
        if before.uri:
            device.write_uri(before.uri, uid=before.uid)
        else:
            device.clear(uid=before.uid)
    report.figures += [
        figure("nfc", "verify", verify),
        figure("nfc", "write", took),
        figure("nfc", "rewrite", same, "no page is written"),
    ]


def dump(data: bytes) -> str:
    """Sixteen bytes a row: offset, hexadecimal, characters."""
    rows = [
        f"{at:03x}  {data[at : at + 16].hex(' '):47}  "
        + "".join(chr(octet) if 32 <= octet < 127 else "." for octet in data[at : at + 16])
        for at in range(0, len(data), 16)
    ]
    return "\n".join(rows) or "empty"


def _tag_picture(device: Any, report: DeviceReport) -> None:
    """A picture of a simulated tag's memory, once."""
    simulator = getattr(device, "simulator", None)
    if simulator is None or any(picture.caption == _TAG for picture in report.pictures):
        return
    with tempfile.TemporaryDirectory(prefix="sco-hwtest-") as folder:
        path = Path(folder) / "tag.png"
        simulator.tag.render_png(str(path))
        report.pictures.append(Picture(_TAG, path.read_bytes()))


_TAG = "The simulated tag's memory"


# --- screen ---------------------------------------------------------------------------------------------------------


def screen(device: Screen, report: DeviceReport, operator: Operator) -> None:
    """Time of each scene, size of a code's module, frame rate of the spinner, pictures, two questions."""
    wide, high = device.size
    report.about["size"] = f"{wide}x{high} px"
    took: dict[str, list[float]] = {}
    shots: dict[str, Image] = {}
    modules: list[float] = []
    for scene in scenes():
        took[scene.name] = times_ms(lambda scene=scene: device.show(scene), _SCENE_ROUNDS)  # type: ignore[misc]
        shots[scene.name] = look(device)
        module = getattr(device, "module_mm", None) if scene.qr else None
        modules += [module] if module is not None else []
    if modules:
        report.figures.append(figure("screen", "module", [min(modules)], "the smallest"))
    else:
        report.about["size of the display"] = (
            "not known: add mm=WIDTHxHEIGHT to the URL to have the code's size checked"
        )
    medians = {name: statistics.median(times) for name, times in took.items()}
    slowest = max(medians, key=lambda name: medians[name])
    report.figures += [
        figure("screen", "payment-scene", took["qr"]),
        figure("screen", "slowest-scene", took[slowest], slowest),
        figure("screen", "scenes", [*medians.values()]),
    ]
    _spin(device, report)
    _scene_pictures(report, shots)
    device.show(next(scene for scene in scenes() if scene.name == "qr"))
    for question in (questions.SCREEN_CODE, questions.COLOURS):
        ask(report, operator, question, Picture("The screen", png_of(shots["qr"])))


def _spin(device: Any, report: DeviceReport) -> None:
    """Frame rate of the spinner, counted by a simulated screen."""
    simulator = getattr(device, "simulator", None)
    if simulator is None:
        return
    device.show(next(scene for scene in scenes() if scene.name == "wait"))
    before, start = simulator.frames, time.perf_counter()
    time.sleep(_SPIN_S)
    rate = (simulator.frames - before) / (time.perf_counter() - start)
    report.figures.append(figure("screen", "spinner", [rate]))


def _scene_pictures(report: DeviceReport, shots: dict[str, Image]) -> None:
    report.pictures.append(Picture("The screen with the code", png_of(shots["qr"])))
    report.pictures.append(Picture("The dialog", png_of(shots["dialog"])))
    report.pictures.append(
        Picture("All scenes, read from the device's memory", png_of(contact_sheet([*shots.values()])))
    )


# --- touch ----------------------------------------------------------------------------------------------------------


def touch(device: Any, report: DeviceReport, operator: Operator) -> None:
    """How long a simulated tap takes to arrive, and its position error."""
    finger = getattr(device, "simulator", None)
    if finger is None:
        return
    taps: queue.Queue[tuple[float, Any]] = queue.Queue()
    device.start(finger.size, lambda tap: taps.put((time.perf_counter(), tap)), lambda error: None)
    took, off = [], 0
    wide, high = finger.size
    for n in range(_READ_ROUNDS):
        x, y = (n * 97 + 31) % wide, (n * 61 + 17) % high
        start = time.perf_counter()
        finger.tap(x, y)
        try:
            arrived, tap = taps.get(timeout=5.0)
        except queue.Empty:
            raise AssertionError("a tap did not arrive in 5 s") from None
        took.append((arrived - start) * 1000)
        off = max(off, abs(tap.x - x), abs(tap.y - y))
        time.sleep(0.1)  # longer than a bounce
    report.figures += [
        figure("touch", "tap", took),
        figure("touch", "position-error", [off]),
    ]


# --- customer display ------------------------------------------------------------------------------------------------


def display(device: QrDisplay, report: DeviceReport, operator: Operator) -> None:
    """How long a code takes to be sent, a picture of a simulated display, four questions."""
    codes = itertools.count(256)  # the longest that a phone still reads on a small display
    took = times_ms(lambda: device.show_code(DisplayedCode(link_of(next(codes)))), _SCENE_ROUNDS)
    report.figures.append(figure("display", "code", took, "sent, not shown"))
    device.show_code(DisplayedCode(LINK, SUM, RUSSIAN.pay))
    simulator = getattr(device, "simulator", None)
    if simulator is not None and simulator.wait(lambda face: face.link == LINK):
        report.pictures.append(Picture("The simulated display with the code", png_of(simulator.image())))
    ask(report, operator, questions.DISPLAY_CODE, _face(Face(LINK, SUM, RUSSIAN.pay)))
    device.show_result(paid=True, text=RUSSIAN.paid)
    ask(report, operator, questions.DISPLAY_PAID, _face(Face(below=RUSSIAN.paid, paid=True)))
    device.show_result(paid=False, text=RUSSIAN.unpaid)
    ask(report, operator, questions.DISPLAY_FAILED, _face(Face(below=RUSSIAN.unpaid, paid=False)))
    device.show_code(DisplayedCode(LINK, SUM, RUSSIAN.pay))
    device.clear()
    ask(report, operator, questions.DISPLAY_CLEAR, _face(Face()))


def _face(face: Face) -> Picture:
    """What a customer display should show; its own make may set the texts in another way."""
    return Picture("What the display should show", png_of(face.image()), ours=True)


MEASURES: dict[Kind, Measure] = {
    "printer": printer,
    "nfc": nfc,
    "screen": screen,
    "touch": touch,
    "display": display,
}
