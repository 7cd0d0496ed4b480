"""The printer: bytes of a QR code and of a receipt on the wire, "print" to "printed" against the head's limit, what the
driver costs.

    python -m benchmarks.printer.bench_printer

The peer is python-escpos 3 with the same link. "limit" is the head of the simulated printer at its speed, the bytes of
the code alone, or bare Python. Times are medians of runs that take turns; imports are CPU time, which a busy machine
does not stretch, of modules that have their bytecode, as pip leaves them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any

from benchmarks.installed import compile_packages
from benchmarks.report import Row, finish, options
from sco_drivers import open_printer, qr
from sco_drivers.printer import Alignment, Bitmap, Columns, Document, Line, PrintOutcome, Raw, Style, Text, Ticket
from sco_drivers.printer.layout import CodeWay, build
from sco_drivers.printer.profile import profile
from sco_sim.printer import VirtualPrinter
from tests.simulators.usb_printer import VirtualUsb

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
BAUDS = (9600, 19200, 115200)


def ticket(name: str = "bench") -> Ticket:
    """The ticket of a payment, as a lane prints it."""
    return Ticket(
        name,
        LINK,
        above=(
            Line("Магазин у дома", Style.BOLD),
            Line("Оплата по QR-коду/NFC СБП"),
            Line("К оплате"),
            Line("253,00 руб.", Style.LARGE),
        ),
        below=(Line("Оплатите до 12:34", Style.BOLD), Line("Заказ № 42")),
    )


def our_code(way: CodeWay) -> tuple[int, int]:
    """Bytes of the code as we print it, and its module in dots."""
    with_code = build(ticket(), profile("TM-T88V", dpi=203), codec="cp866", way=way)
    prepare = 0
    if way == "native":  # the end of the head prepares the code
        prepare = len(with_code.head) - with_code.head.index(b"\x1d(k")
    return prepare + len(with_code.code), with_code.plan.module_dots


def their_code(module: int, **how: object) -> int:
    """Bytes of the code as python-escpos prints it."""
    from escpos.printer import Dummy

    printer = Dummy(profile="TM-T88V")
    printer.qr(LINK, size=module, **how)
    return len(printer.output)


def code_bytes() -> list[Row]:
    rows = []
    theirs = {
        "native": ("native=True", {"native": True}),
        "raster-doubled": ("bitImageRaster, its default", {}),
        "raster": ("bitImageColumn", {"impl": "bitImageColumn"}),
    }
    ours: dict[CodeWay, int] = {}
    for way in ("native", "raster-doubled", "raster"):
        ours[way], module = our_code(way)
        name, how = theirs[way]
        rows.append(
            Row(
                "printer",
                f"QR on the wire, {way}, module of {module} dots",
                "bytes",
                ours[way],
                their_code(module, **how),
                name,
                len(LINK),
                "the link itself",
            )
        )
    graphics = their_code(our_code("raster")[1], impl="graphics")
    rows.append(Row("printer", "the same, raster", "bytes", ours["raster"], graphics, "graphics"))
    default = their_code(our_code("native")[1])
    rows += [
        Row(
            "printer",
            f"QR on a serial line at {baud}, native; 8N1",
            "ms",
            ours["native"] * 10_000 / baud,
            default * 10_000 / baud,
            "its default raster",
            len(LINK) * 10_000 / baud,
            "the link itself",
        )
        for baud in BAUDS
    ]
    rows += [
        Row(
            "printer",
            f"QR on a serial line at {baud}, doubled raster; 8N1",
            "ms",
            ours["raster-doubled"] * 10_000 / baud,
            default * 10_000 / baud,
            "its default raster",
        )
        for baud in BAUDS
    ]
    return rows


def printed(rounds: int) -> list[Row]:
    """ "print" to "printed", against the time that the simulated head needs for the paper."""
    rows = []
    for wire, speed in (("tcp", 250.0), ("tcp", 100.0), ("pty", 250.0), ("usb", 250.0)):
        with (
            VirtualPrinter(wire=VirtualUsb if wire == "usb" else wire, head_mm_s=speed) as paper,
            open_printer(f"{paper.url}{'&' if '?' in paper.url else '?'}profile=TM-T88V&dpi=203") as printer,
        ):
            took, limit = [], []
            for n in range(rounds):
                mark = len(paper._machine.roll)
                start = time.perf_counter()
                result = printer.print_ticket(ticket(f"{wire}-{speed}-{n}"))
                took.append((time.perf_counter() - start) * 1000)
                assert result.outcome is PrintOutcome.PRINTED, result
                dots = sum(one.height for one in paper._machine.roll[mark:])
                limit.append(paper.paper.mm(dots) / speed * 1000)
            ours, head = statistics.median(took), statistics.median(limit)
            rows.append(
                Row(
                    "printer",
                    f'"print" to "printed", {wire}, head {speed:.0f} mm/s',
                    "ms",
                    ours,
                    limit=head,
                    limit_name="head",
                    goal="at most 1.1 x limit",
                    met=ours <= 1.1 * head,
                )
            )
    return rows


GOODS = tuple((f"Товар {n} с названием", "2 x 45,00", "90,00") for n in range(1, 29))


@cache
def logo() -> bytes:
    """A picture of 320 x 80 pixels, as a file."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (320, 80), 255)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((4, 4, 76, 76), fill=0)
    for n in range(8):
        draw.rectangle((90 + 28 * n, 10, 110 + 28 * n, 70), fill=30 * n)
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def receipt(name: str = "bench") -> Document:
    """A receipt of 40 lines with a logo."""
    items = [
        Bitmap(logo()),
        Text("ООО «Ромашка»", bold=True, width=2, height=2, alignment=Alignment.CENTRE),
        *[Text(line, alignment=Alignment.CENTRE) for line in ("ИНН 7701234567", "Москва", "Кассовый чек", "Приход")],
        *[Columns(row) for row in GOODS],
        Columns(["ИТОГО", "2 520,00"], bold=True, height=2),
        *[Columns([text, "0,00"]) for text in ("Наличными", "Безналичными", "НДС 20%", "НДС 10%", "Сдача")],
        Text("Спасибо за покупку!", alignment=Alignment.CENTRE),
    ]
    return Document(name, items)


def receipt_for_escpos(printer: Any) -> None:
    """The same for python-escpos, which has no columns: the till pads them."""
    from PIL import Image

    columns = 42
    printer.image(Image.open(BytesIO(logo())), center=True)
    printer.set(align="center", bold=True, double_width=True, double_height=True)
    printer.text("ООО «Ромашка»\n")
    printer.set_with_default(align="center")
    for line in ("ИНН 7701234567", "Москва", "Кассовый чек", "Приход"):
        printer.textln(line)
    printer.set_with_default()
    for name, amount, total in GOODS:
        right = f"{amount} {total}"
        printer.textln(f"{name[: columns - len(right) - 1]:<{columns - len(right)}}{right}")
    printer.set(bold=True, double_height=True)
    printer.textln(f"{'ИТОГО':<{columns - 8}}2 520,00")
    printer.set_with_default()
    for text in ("Наличными", "Безналичными", "НДС 20%", "НДС 10%", "Сдача"):
        printer.textln(f"{text:<{columns - 4}}0,00")
    printer.set(align="center")
    printer.textln("Спасибо за покупку!")
    printer.cut()


def their_receipt() -> bytes:
    from escpos.printer import Dummy

    printer = Dummy(profile="TM-T88V")
    receipt_for_escpos(printer)
    output: bytes = printer.output
    return output


def receipt_bytes(rounds: int) -> list[Row]:
    """A receipt on the wire, and what it costs to make."""
    model = profile("TM-T88V", dpi=203)
    ours, theirs = build(receipt(), model, codec="cp866"), their_receipt()
    through = build(Document("bench", [Raw(theirs)]), model, codec="cp866").size
    peer = "python-escpos"
    return [
        Row(
            "printer",
            f"receipt of {len(ours.lines)} lines with a logo, on the wire",
            "bytes",
            ours.size,
            len(theirs),
            peer,
        ),
        Row("printer", "python-escpos's own through our escpos()", "bytes", through, len(theirs), peer),
        *[
            Row(
                "printer",
                f"receipt on a serial line at {baud}; 8N1",
                "ms",
                ours.size * 10_000 / baud,
                len(theirs) * 10_000 / baud,
                peer,
            )
            for baud in (9600, 115200)
        ],
        Row(
            "printer",
            "CPU to build a receipt",
            "ms",
            cpu_ms(lambda: build(receipt(), model, codec="cp866"), rounds),
            cpu_ms(their_receipt, rounds),
            peer,
        ),
    ]


def receipts_printed(rounds: int) -> list[Row]:
    """A receipt over TCP: ours from "print" to "printed", python-escpos's until the paper has stopped."""
    from escpos.printer import Network

    speed, took, theirs, limit = 250.0, [], [], []
    with VirtualPrinter(head_mm_s=speed) as paper:
        host, port = paper.url.removeprefix("tcp://").split(":")
        for n in range(rounds):
            with open_printer(f"{paper.url}?profile=TM-T88V&dpi=203") as printer:
                mark = len(paper._machine.roll)
                start = time.perf_counter()
                result = printer.print_document(receipt(f"receipt-{n}"))
                took.append((time.perf_counter() - start) * 1000)
                assert result.outcome is PrintOutcome.PRINTED, result
                dots = sum(one.height for one in paper._machine.roll[mark:])
                limit.append(paper.paper.mm(dots) / speed * 1000)
            cuts = paper.cuts
            start = time.perf_counter()
            peer = Network(host, int(port), profile="TM-T88V")
            receipt_for_escpos(peer)
            assert paper.wait_for(lambda one, cuts=cuts: one.cuts > cuts, 60.0)
            theirs.append((time.perf_counter() - start) * 1000)
            peer.close()
    ours, head = statistics.median(took), statistics.median(limit)
    return [
        Row(
            "printer",
            f'receipt, "print" to "printed", tcp, head {speed:.0f} mm/s',
            "ms",
            ours,
            statistics.median(theirs),
            "python-escpos, to the cut seen on the paper",
            head,
            "head",
            "at most 1.1 x limit",
            ours <= 1.1 * head,
        )
    ]


def idle_connections(rounds: int) -> list[Row]:
    """A ticket on a connection that was kept, and on one that was closed while idle and is opened again."""
    idle_s = 0.1
    times: dict[float, list[float]] = {0.0: [], idle_s: []}
    for idle_close_s, took in times.items():
        with (
            VirtualPrinter() as paper,
            open_printer(f"{paper.url}?profile=TM-T88V&dpi=203&idle_close_s={idle_close_s:g}") as printer,
        ):
            for n in range(rounds):
                time.sleep(2 * idle_s)
                start = time.perf_counter()
                result = printer.print_ticket(ticket(f"idle-{idle_close_s}-{n}"))
                took.append((time.perf_counter() - start) * 1000)
                assert result.outcome is PrintOutcome.PRINTED, result
    kept = statistics.median(times[0.0])
    again = statistics.median(times[idle_s])
    name = '"print" to "printed" without a head, connection closed while idle'
    return [Row("printer", name, "ms", again, limit=kept, limit_name="kept connection")]


def cpu_ms(work: Callable[[], object], rounds: int) -> float:
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times)


def building(rounds: int) -> list[Row]:
    """CPU time from a ticket to its bytes."""
    from escpos.printer import Dummy

    model = profile("TM-T88V", dpi=203)

    def ours(way: CodeWay) -> None:
        qr.encode.cache_clear()
        build(ticket(), model, codec="cp866", way=way)

    def theirs(**how: object) -> None:
        printer = Dummy(profile="TM-T88V")
        printer.set(align="center", bold=True)
        for line in (*ticket().above, *ticket().below):
            printer.text(line.text + "\n")
        printer.qr(LINK, size=6, **how)
        printer.cut()

    return [
        Row(
            "printer",
            f"CPU to build a ticket, {way}",
            "ms",
            cpu_ms(lambda way=way: ours(way), rounds),  # type: ignore[misc]
            cpu_ms(lambda how=how: theirs(**how), rounds),  # type: ignore[misc]
            "python-escpos",
        )
        for way, how in (("native", {"native": True}), ("raster-doubled", {}), ("raster", {}))
    ]


_MEASURE = """
import time; start = time.process_time()
{body}
took = (time.process_time() - start) * 1000
import sys
rss = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024
print(took, rss, *(name for name in ("usb", "PIL", "serial", "yaml") if name in sys.modules))
"""
_OURS = """
import sco_drivers.printer.escpos
from sco_drivers.printer.profile import profile
profile("TM-T88V")
"""
_TICKET = (
    _OURS
    + f"""
from sco_drivers.printer import Ticket
from sco_drivers.printer.layout import build
build(Ticket("t", {LINK!r}), profile("TM-T88V"), codec="cp866")
"""
)
_PEER = """
from escpos.printer import Network
from escpos.capabilities import get_profile
get_profile("TM-T88V")
"""


def imports(rounds: int) -> list[Row]:
    """Import of the driver as a lane with a network printer needs it, over bare Python."""
    bodies = {"bare": "pass", "ours": _OURS, "ticket": _TICKET, "peer": _PEER}
    times: dict[str, list[float]] = {name: [] for name in bodies}
    sizes: dict[str, list[float]] = {name: [] for name in bodies}
    for _ in range(rounds + 1):
        for name, body in bodies.items():
            done = subprocess.run(
                [sys.executable, "-c", _MEASURE.format(body=body)],
                capture_output=True,
                text=True,
                check=True,
                cwd=tempfile.gettempdir(),
            )
            took, rss, *heavy = done.stdout.split()
            assert name == "peer" or not heavy, f"{name} imported {heavy}"
            times[name].append(float(took))
            sizes[name].append(float(rss))

    def ms(name: str) -> float:
        return statistics.median(times[name][1:]) - statistics.median(times["bare"][1:])

    def mib(name: str) -> float:
        return statistics.median(sizes[name][1:]) - statistics.median(sizes["bare"][1:])

    peer = "escpos.printer"
    return [
        Row(
            "printer",
            "import and profile, TCP only, over bare Python, CPU",
            "ms",
            ms("ours"),
            ms("peer"),
            peer,
            goal="under 60 ms",
            met=ms("ours") < 60,
        ),
        Row(
            "printer",
            "the same, memory",
            "MiB",
            mib("ours"),
            mib("peer"),
            peer,
            goal="under 25 MiB",
            met=mib("ours") < 25,
        ),
        Row("printer", "import and the first ticket's bytes, CPU", "ms", ms("ticket")),
        Row("printer", "the same, memory", "MiB", mib("ticket"), goal="under 25 MiB", met=mib("ticket") < 25),
    ]


def main() -> None:
    chosen = options(__doc__.splitlines()[0])
    rounds = 3 if chosen.quick else 15
    compile_packages()
    rows = [*code_bytes(), *receipt_bytes(rounds * 2), *printed(rounds), *receipts_printed(max(2, rounds // 3))]
    finish([*rows, *idle_connections(rounds), *building(rounds * 2), *imports(rounds)], chosen.json)


if __name__ == "__main__":
    main()
