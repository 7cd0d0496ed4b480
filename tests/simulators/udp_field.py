"""Tags in a field that is a UDP socket, for nfcpy's `udp` transport: a second path to the same tags.

One datagram is one frame, `106A` and its octets in hexadecimal, without CRC; `RFOFF` says that the field went off. The
reader is nfcpy's own driver. There is no chip in between: the simulated tags answer the requests of ISO/IEC 14443-3
themselves, which exercises the driver's path for readers other than the PN53x family. Of several tags only the one with
the lowest UID is received.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from sco_sim.nfc.iso14443 import REQUEST, WAKE_UP, answers
from sco_sim.nfc.ntag import VirtualTag

_TECHNOLOGY = b"106A"


class VirtualField:
    """Tags in the field of a reader on UDP, as a context manager.

        with VirtualField(VirtualTag(uri="https://...")) as field, open_nfc(field.url) as nfc:
            nfc.read()

    Args:
        tags: the tags in the field.

    Attributes:
        tags: may be changed.
        field_on: whether the reader's field is on.
        noise: how many of the next answers arrive damaged.
    """

    def __init__(self, *tags: VirtualTag) -> None:
        self.tags = list(tags)
        self.field_on = False
        self.noise = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._address = self._socket.getsockname()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="udp-field", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL of this field for nfcpy's UDP reader."""
        return f"udp://127.0.0.1:{self._address[1]}"

    @property
    def tag(self) -> VirtualTag:
        """The first tag in the field.

        Raises:
            IndexError: the field is empty.
        """
        return self.tags[0]

    def close(self) -> None:
        """Stop the simulator. May be called twice."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(OSError):
                self._socket.sendto(b"", self._address)  # wakes the thread
            self._thread.join(5)
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                datagram, sender = self._socket.recvfrom(1024)
            except OSError:
                return
            if datagram.startswith(b"RFOFF"):
                self.field_on = False
                for tag in self.tags:
                    tag.field_off()
                continue
            technology, _, octets = datagram.partition(b" ")
            if technology != _TECHNOLOGY:
                continue
            self.field_on = True
            answer = self._answer(bytes.fromhex(octets.decode("ascii", "replace")))
            if answer is None:
                continue
            if self.noise:
                self.noise -= 1
                answer = b""  # nfcpy calls a frame without octets damaged
            with contextlib.suppress(OSError):
                self._socket.sendto(_TECHNOLOGY + b" " + answer.hex().encode(), sender)

    def _answer(self, frame: bytes) -> bytes | None:
        bits = 7 if frame in (REQUEST, WAKE_UP) else 8
        return next((answer.data for answer in answers(self.tags, frame, bits=bits)), None)
