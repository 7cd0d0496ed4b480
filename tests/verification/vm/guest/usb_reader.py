"""An NFC reader on the USB: the simulated one's two bulk endpoints, made real by FunctionFS.

The host's kernel enumerates it, udev names it, libusb talks to it.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

from kernel import Gadget, run, settle

from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.rcs380 import VirtualRcs380
from tests.simulators.usb_bus import Identity, NotTaken

_DESCRIPTORS_V2, _STRINGS, _FULL, _HIGH = 3, 2, 1, 2


def _descriptors(identity: Identity, packet: int) -> bytes:
    """One interface with two bulk endpoints of `packet` bytes; the controller gives them addresses of its own."""
    interface = struct.pack("<9B", 9, 4, 0, 0, 2, *identity.interface_class, 0)
    out = struct.pack("<BBBBHB", 7, 5, 0x01, 2, packet, identity.interval)
    back = struct.pack("<BBBBHB", 7, 5, 0x82, 2, packet, identity.interval)
    return interface + out + back


class UsbReader:
    """The reader around `chip`, which has the tags and the faults; plugged in by `plug`. It answers `late_s` late."""

    def __init__(self, name: str, port: int, chip: VirtualAcr122 | VirtualPn533 | VirtualRcs380) -> None:
        self.chip = chip
        self.late_s = 0.0
        identity = chip.identity
        self.gadget = Gadget(name, port, (identity.vendor_id, identity.product_id), name, f"ffs.{name}")
        mounted = Path(f"/dev/ffs-{name}")
        mounted.mkdir()
        run("mount", "-t", "functionfs", name, str(mounted))
        self._ep0 = os.open(mounted / "ep0", os.O_RDWR)
        full, high = _descriptors(identity, 64), _descriptors(identity, 512)
        body = struct.pack("<II", 3, 3) + full + high
        os.write(self._ep0, struct.pack("<III", _DESCRIPTORS_V2, 12 + len(body), _FULL | _HIGH) + body)
        os.write(self._ep0, struct.pack("<IIII", _STRINGS, 16, 0, 0))
        self._out = os.open(mounted / "ep1", os.O_RDWR)
        self._in = os.open(mounted / "ep2", os.O_RDWR)
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    @property
    def url(self) -> str:
        """By which the driver opens it."""
        return self.chip.identity.url

    def plug(self) -> None:
        """Plug it in; udev knows it when this returns."""
        self.chip.replug()
        self.gadget.plug()
        settle()

    def unplug(self) -> None:
        """Pull it out: it loses power."""
        self.gadget.unplug()
        self.chip.unplug()

    def _serve(self) -> None:
        while True:
            try:
                message = os.read(self._out, 512)
                if not message:
                    continue
                if self.late_s:
                    time.sleep(self.late_s)
                with suppress(NotTaken):  # FunctionFS has taken it already
                    self.chip.bulk_out(message)
                while (answer := self.chip.bulk_in()) is not None:
                    os.write(self._in, answer)
            except OSError as error:
                if error.errno not in (errno.ESHUTDOWN, errno.EINTR, errno.EAGAIN):
                    raise
                time.sleep(0.02)
