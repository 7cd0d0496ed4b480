"""The guest's kernel and its devices: modules, udev, USB gadgets by configfs, waiting for what udev does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

GADGETS = Path("/sys/kernel/config/usb_gadget")
LONG = 30.0
"""Seconds that anything here may take under emulation on a busy machine."""


class NotHere(Exception):
    """Something that the guest should have is missing; the message names it."""


def run(*command: str, check: bool = True) -> str:
    """Run a program; its output. NotHere when it fails and `check` is set."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode:
        raise NotHere(f"`{' '.join(command)}`: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def load(*modules: str) -> None:
    """Load kernel modules, each with its parameters: "vfb vfb_enable=1"."""
    for module in modules:
        run("modprobe", *module.split())


def start_udev() -> None:
    """Start udev's daemon, and let it see what is there already, as at a machine's start: that gives it its groups."""
    subprocess.run(["systemd-udevd", "--daemon"], executable="/bin/udevadm", check=True, capture_output=True)
    there = (f"--subsystem-match={subsystem}" for subsystem in ("graphics", "drm", "input", "tty"))
    run("udevadm", "trigger", "--settle", "--action=add", *there)


def settle() -> None:
    """Wait until udev has handled all that it knows of."""
    run("udevadm", "settle", "--timeout=30")


def wait_for(what: Callable[[], object], words: str, seconds: float = LONG, *, every_s: float = 0.02) -> None:
    """Wait until `what` is true. AssertionError when it does not become so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {words}"
        time.sleep(every_s)


class Gadget:
    """A USB device whose inside is in this guest, plugged into port `port` of this same guest.

    Args:
        name: of the gadget in configfs.
        port: which controller.
        ids: vendor and product.
        serial: serial number.
        functions: kind and name of each, e.g. "printer.0".
    """

    def __init__(self, name: str, port: int, ids: tuple[int, int], serial: str, *functions: str) -> None:
        self.port = port
        self.functions = functions
        self.ids = f"{ids[0]:04x}:{ids[1]:04x}"
        self.folder = GADGETS / name
        self.folder.mkdir()
        (self.folder / "idVendor").write_text(hex(ids[0]))
        (self.folder / "idProduct").write_text(hex(ids[1]))
        strings = self.folder / "strings/0x409"
        strings.mkdir()
        (strings / "serialnumber").write_text(serial)
        (strings / "manufacturer").write_text("virtual bench")
        (strings / "product").write_text(name)
        (self.folder / "configs/c.1").mkdir()
        for function in functions:
            (self.folder / "functions" / function).mkdir()

    @property
    def udc(self) -> Path:
        """The file by which it is plugged in and out."""
        return self.folder / "UDC"

    def plug(self) -> Self:
        """Plug it in, and wait until the kernel has set it up."""
        for function in self.functions:
            link = self.folder / "configs/c.1" / function
            if not link.exists():
                link.symlink_to(self.folder / "functions" / function)
        if not self.udc.read_text().strip():
            self.udc.write_text(f"dummy_udc.{self.port}\n")
        wait_for(lambda: self.on_bus, f"{self.folder.name} is on the bus")
        return self

    def unplug(self) -> None:
        """Pull it out, and wait until the kernel has seen it."""
        if self.udc.read_text().strip():
            self.udc.write_text("\n")
        wait_for(lambda: not self.on_bus, f"{self.folder.name} has left the bus")

    @property
    def on_bus(self) -> bool:
        """Whether the host side has seen and configured it."""
        for device in Path("/sys/bus/usb/devices").glob("*-1"):
            try:
                if f"/dummy_hcd.{self.port}/" in str(device.resolve()):
                    return bool((device / "bConfigurationValue").read_text().strip())
            except OSError:
                continue
        return False
