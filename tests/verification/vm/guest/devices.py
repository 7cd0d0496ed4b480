"""The devices of the bench, as a lane would have them. Each is made once and plugged where a check wants it."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel import Gadget, load, settle, wait_for

from sco_sim.printer import VirtualPrinter

EPSON = (0x04B8, 0x0202)
PRINTER_PORT, TWIN_PORT, SERIAL_PORT, READER_PORT, PN533_PORT, RCS380_PORT = range(6)


def make() -> None:
    """Load what the devices need."""
    load("libcomposite", "usb_f_printer", "usb_f_acm", "usb_f_fs", "usblp", "cdc-acm", "uinput", "evdev", "bochs")
    load(f"vfb vfb_enable=1 videomemorysize={4 << 20}", "dummy_hcd num=6")


class UsbPrinter:
    """A printer on the USB. Its inside is `VirtualPrinter` on the gadget's device file."""

    def __init__(self, name: str, port: int, serial: str) -> None:
        number = len(list(Path("/dev").glob("g_printer*")))
        self.gadget = Gadget(name, port, EPSON, serial, f"printer.{name}")
        function = self.gadget.folder / f"functions/printer.{name}"
        (function / "pnp_string").write_text("MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;")
        (function / "q_len").write_text("10")
        self.gadget.plug()
        self.inside = Path(f"/dev/g_printer{number}")
        wait_for(self.inside.exists, f"{self.inside} is there")
        self.serial = serial

    @property
    def usb_url(self) -> str:
        """For the driver that takes the device from the kernel."""
        return f"usb://{self.gadget.ids}/{self.serial}"

    @property
    def lp(self) -> Path | None:
        """usblp's node for it."""
        for node in Path("/sys/class/usbmisc").glob("lp*"):
            if f"/dummy_hcd.{self.gadget.port}/" in str(node.resolve()):
                return Path("/dev/usb") / node.name
        return None

    @contextmanager
    def on(self, **traits: object) -> Iterator[VirtualPrinter]:
        """Switch it on: someone is inside who prints."""
        self.gadget.plug()
        wait_for(lambda: self.lp is not None, "usblp has it")
        settle()
        with VirtualPrinter(wire=str(self.inside), udc=str(self.gadget.udc), **traits) as paper:  # type: ignore[arg-type]
            yield paper
        self.gadget.plug()


class SerialGadget:
    """A serial line on the USB: what is written to /dev/ttyACMn comes out of /dev/ttyGSn, and back."""

    def __init__(self, name: str, port: int) -> None:
        number = len(list(Path("/dev").glob("ttyGS*")))
        self.gadget = Gadget(name, port, (0x0525, 0xA4A7), f"L{port}", f"acm.{name}")
        self.gadget.plug()
        self.inside = Path(f"/dev/ttyGS{number}")
        wait_for(self.inside.exists, f"{self.inside} is there")

    @property
    def node(self) -> Path:
        """The host side's node."""
        wait_for(lambda: list(self._nodes()), "cdc_acm has it")
        settle()
        return next(self._nodes())

    def _nodes(self) -> Iterator[Path]:
        for node in Path("/sys/class/tty").glob("ttyACM*"):
            if f"/dummy_hcd.{self.gadget.port}/" in str(node.resolve()):
                yield Path("/dev") / node.name


def raw(path: Path | str) -> int:
    """Open a terminal that changes no byte and never blocks."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    return fd


def drain(line: SerialGadget) -> None:
    """Throw away what an earlier device on the line has sent: a host's terminal would echo it to the next one."""
    ends = [raw(line.node), raw(line.inside)]
    time.sleep(0.5)
    for fd in ends:
        termios.tcflush(fd, termios.TCIOFLUSH)
        os.close(fd)


@contextmanager
def joined(one: Path | str, other: Path | str) -> Iterator[None]:
    """Two terminals, each byte of one written to the other; a line that hangs up for a while is waited for."""
    paths = [one, other]
    ends = [raw(one), raw(other)]
    over = threading.Event()

    def pump() -> None:
        while not over.is_set():
            poll = select.poll()
            for fd in ends:
                poll.register(fd, select.POLLIN)
            for source, events in poll.poll(50):
                at = ends.index(source)
                if events & (
                    select.POLLHUP | select.POLLERR
                ):  # a terminal that was hung up stays so until it is reopened
                    over.wait(0.02)
                    with contextlib.suppress(OSError):
                        fresh = raw(paths[at])
                        os.close(source)
                        ends[at] = fresh
                    break
                sink = ends[1 - at]
                with contextlib.suppress(OSError):
                    data = os.read(source, 512)
                    while data and not over.is_set():
                        try:
                            data = data[os.write(sink, data) :]
                        except BlockingIOError:
                            over.wait(0.002)

    thread = threading.Thread(target=pump, name=f"{one} = {other}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for fd in ends:
            os.close(fd)
