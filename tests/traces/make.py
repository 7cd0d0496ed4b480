"""Makes the traces in this folder again: `python -m tests.traces.make [NAME ...]`.

Each comes from a simulator at the wire, under the driver that ships; those of `pcsc` also through pcscd and
vsmartcard's virtual reader. Run it when a trace no longer fits because a driver does on purpose something else, look at
the change with `sco-hwtest replay`, and commit both together.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sco_drivers import DisplayedCode, open_display, open_nfc, open_printer, open_touch
from sco_drivers.errors import DeviceError
from sco_drivers.printer import Barcode, Columns, Document, Line, QrCode, Symbology, Text, Ticket, memory
from sco_hwtest.recording import recorded_url
from sco_sim.display import VirtualDisplay
from sco_sim.nfc import Fault, VirtualReader, VirtualTag
from sco_sim.printer import VirtualPrinter
from sco_sim.touch import VirtualTouch
from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.pcsc import DirectReader, OmnikeyReader, PcscReader, TransparentReader
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.usb_printer import VirtualUsb

HERE = Path(__file__).parent
SHOP = "ООО Ромашка на Тверской"
ORDER = "ORDER-20261129-77"
LINK = "https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001&sum=10000&cur=RUB&crc=F3D0"
OLD = "https://qr.nspk.ru/BD20001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
SERIAL = "J4AK091823"
UID = bytes.fromhex("04c7b2a3948576")
KEY = b"\x9a\x13\xc8\x77the key of the shop\xe1\x05"
SECRETS = (SHOP, ORDER, LINK, OLD, SERIAL, UID, KEY)
"""What the simulated shop would keep to itself: in none of the traces, in no encoding."""

Trace = Callable[[Path], None]
TRACES: dict[str, Trace] = {}


def trace(make: Trace) -> Trace:
    """Its name is that of the trace."""
    TRACES[make.__name__.replace("_", "-")] = make
    return make


def ticket(number: int = 1, **more: Any) -> Ticket:
    above = (Line(SHOP), Line(f"Заказ {ORDER}"))
    return Ticket(f"{ORDER}-{number}", LINK, above, (Line("Покажите код кассиру"),), qr_mm=35, **more)


@contextlib.contextmanager
def printer(path: Path, parameters: str = "", **how: Any) -> Any:
    memory.forget()
    with VirtualPrinter(**{"serial": SERIAL, "head_mm_s": 400, **how}) as simulator:
        join = "&" if "?" in simulator.url else "?"
        url = simulator.url + (f"{join}{parameters}" if parameters else "")
        with open_printer(recorded_url(url, path)) as device:
            yield device, simulator


@trace
def printer_tcp(path: Path) -> None:
    with printer(path) as (device, _):
        device.status()
        device.print_ticket(ticket(valid_until=time.time() + 60))
        device.health()
        with device.escpos(f"{ORDER}-e") as p:
            p.set(bold=True)
            p.text(f"{SHOP}\n")
            p.qr(LINK, native=True)
            p.cut()


@trace
def printer_serial_document(path: Path) -> None:
    with printer(path, "profile=TM-T20II", wire="pty") as (device, _):
        code = Barcode("4600000000015", Symbology.EAN13)
        lines = (Text(SHOP, bold=True), Columns(("Молоко", "89,90")), code, QrCode(LINK, 30.0))
        device.print_document(Document(ORDER, lines))
        device.print_document(Document(f"{ORDER}-2", (Text("x" * 100),)))


@trace
def printer_usb(path: Path) -> None:
    with printer(path, "profile=TM-T20II", wire=VirtualUsb) as (device, _):
        device.print_ticket(ticket())
        device.status()


@trace
def printer_raster(path: Path) -> None:
    with printer(path, "qr=raster&paper_mm=58", paper_mm=58, process_id=False, native_qr=False) as (device, _):
        device.print_ticket(ticket())


@trace
def printer_paper_out(path: Path) -> None:
    with printer(path) as (device, simulator):
        device.print_ticket(ticket())
        simulator.load_paper(5)
        device.print_ticket(ticket(2))
        device.status()
        simulator.load_paper()
        with contextlib.suppress(DeviceError):  # it may be out
            device.print_ticket(ticket(2))


@trace
def printer_cover_open(path: Path) -> None:
    with printer(path) as (device, simulator):
        simulator.open_cover()
        device.print_ticket(ticket())
        simulator.close_cover()
        device.print_ticket(ticket())


@trace
def printer_unplugged(path: Path) -> None:
    with printer(path, "status_s=0.2", wire="pty") as (device, simulator):
        device.status()
        simulator.after(200, simulator.unplug)
        device.print_ticket(ticket())
        with contextlib.suppress(DeviceError):
            device.status()


@trace
def printer_silent(path: Path) -> None:
    with printer(path, "status_s=0.1&done_s=1") as (device, simulator):
        simulator.mute()
        device.print_ticket(ticket())
        simulator.mute(False)
        device.status()


@trace
def printer_cheap_board(path: Path) -> None:
    traits = {"process_id": False, "asb": False, "identity": False, "echoes_unknown": True, "clear_buffer": False}
    with printer(path, "status_s=0.1&done_s=2", **traits) as (device, _):
        device.print_ticket(ticket())
        device.health()


@contextlib.contextmanager
def reader(url: str, path: Path) -> Any:
    with open_nfc(recorded_url(url, path)) as nfc:
        yield nfc


def carry_links(nfc: Any) -> None:
    """What a lane does with its tag."""
    nfc.read()
    nfc.write_uri(LINK, uid=UID)
    nfc.verify(LINK, uid=UID)
    with contextlib.suppress(DeviceError):
        nfc.verify(OLD)
    nfc.clear()


@trace
def nfc_pn532(path: Path) -> None:
    with VirtualReader(VirtualTag("ntag213", UID, OLD)) as bench, reader(bench.url, path) as nfc:
        carry_links(nfc)


@trace
def nfc_pn532_long_link(path: Path) -> None:
    with VirtualReader(VirtualTag("ntag215", UID, OLD)) as bench, reader(bench.url, path) as nfc:
        nfc.write_uri(LINK + "&x=" + "0123456789" * 20)
        nfc.write_uri(LINK)


@trace
def nfc_pn532_password(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key")
        key.write_bytes(KEY)
        key.chmod(0o600)
        with VirtualReader(VirtualTag("ntag213", UID)) as bench:
            with open_nfc(f"{bench.url}?key={key}") as nfc:
                nfc.provision(OLD, protection="password")  # type: ignore[attr-defined]
            with reader(f"{bench.url}?key={key}", path) as nfc:
                nfc.write_uri(LINK)


@trace
def nfc_pn532_faults(path: Path) -> None:
    with VirtualReader(VirtualTag("ntag213", UID, OLD)) as bench, reader(bench.url, path) as nfc:
        for fault in (Fault.AIR_NOISE, Fault.SILENT, Fault.CORRUPT, Fault.TAG_LEAVES):
            bench.inject(fault, at_command=3)
            with contextlib.suppress(DeviceError):
                nfc.write_uri(LINK)
            bench.heal()
        bench.tags.append(VirtualTag(uid=bytes.fromhex("04ffeeddccbbaa")))
        with contextlib.suppress(DeviceError):
            nfc.read()
        bench.unplug()
        with contextlib.suppress(DeviceError):
            nfc.read()


@trace
def nfc_pn533_usb(path: Path) -> None:
    with VirtualPn533(VirtualTag("ntag213", UID, OLD)).on_the_bus() as url, reader(url, path) as nfc:
        carry_links(nfc)


@trace
def nfc_acr122_usb(path: Path) -> None:
    with VirtualAcr122(VirtualTag("ntag213", UID, OLD)).on_the_bus() as url, reader(url, path) as nfc:
        carry_links(nfc)


def through_pcscd(make: type[PcscReader], path: Path) -> None:
    with make(VirtualTag("ntag213", UID, OLD)).behind_pcscd() as url, reader(url, path) as nfc:
        carry_links(nfc)


@trace
def nfc_pcsc_plain(path: Path) -> None:
    through_pcscd(PcscReader, path)


@trace
def nfc_pcsc_transparent(path: Path) -> None:
    through_pcscd(TransparentReader, path)


@trace
def nfc_pcsc_omnikey(path: Path) -> None:
    through_pcscd(OmnikeyReader, path)


@trace
def nfc_pcsc_direct(path: Path) -> None:
    through_pcscd(DirectReader, path)


@trace
def nfc_pcsc_escapes(path: Path) -> None:
    with DirectReader(VirtualTag("ntag213", UID, OLD)).with_escapes() as url, reader(url, path) as nfc:
        carry_links(nfc)


def show_codes(display: Any) -> None:
    display.check()
    display.show_code(DisplayedCode(LINK, "253,00", f"Заказ {ORDER}"))
    display.show_result(paid=True, text=f"Оплачено, {SHOP}")
    display.clear()


@trace
def display_mertech(path: Path) -> None:
    with VirtualDisplay() as simulator, open_display(recorded_url(simulator.url, path)) as display:
        show_codes(display)


@trace
def display_qrscreen(path: Path) -> None:
    with VirtualDisplay("qrscreen") as simulator, open_display(recorded_url(simulator.url, path)) as display:
        show_codes(display)


@trace
def display_unplugged(path: Path) -> None:
    with VirtualDisplay() as simulator, open_display(recorded_url(simulator.url, path)) as display:
        display.show_code(DisplayedCode(LINK))
        simulator.unplug()
        for call in (display.clear, display.check):
            with contextlib.suppress(DeviceError):
                call()


@trace
def display_takes_no_data(path: Path) -> None:
    with VirtualDisplay() as simulator, open_display(recorded_url(simulator.url, path)) as display:
        simulator.refuse_data()
        with contextlib.suppress(DeviceError):
            display.show_code(DisplayedCode(LINK + "x" * 1000))


def tap_here(path: Path, simulator: VirtualTouch, places: list[tuple[int, int]]) -> None:
    taps: queue.Queue[object] = queue.Queue()
    with open_touch(recorded_url(simulator.url, path)) as touch:
        touch.start((1024, 768), taps.put, taps.put)
        for x, y in places:
            simulator.tap(x, y)
            taps.get(timeout=20)
            time.sleep(0.1)  # longer than what counts as bouncing


@trace
def touch_single(path: Path) -> None:
    with VirtualTouch() as simulator:
        tap_here(path, simulator, [(100, 50), (900, 700), (512, 384)])


@trace
def touch_multi(path: Path) -> None:
    with VirtualTouch(multi=True) as simulator:
        tap_here(path, simulator, [(1, 1), (1000, 740)])


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(TRACES))
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; expected some of {', '.join(TRACES)}")
    for name in names or TRACES:
        path = HERE / f"{name}.trace"
        path.unlink(missing_ok=True)
        TRACES[name](path)
        print(f"{name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
