"""A PN532 on a pseudo-terminal, with tags in its field: byte-level frames, two speeds that must agree, and faults.

The line is a symbolic link to a pty, so that it can be unplugged and plugged in again under the same name. The chip
hears noise when the line's speed is not its own. Time on the air and on the wire is added up on a clock of its own,
from datasheet figures, so that benchmarks do not depend on the machine.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import tempfile
import termios
import threading
import time
import tty
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sco_drivers.errors import BadDeviceUrl
from sco_drivers.sim.ntag import ACK as TAG_ACK
from sco_drivers.sim.ntag import BIT_US, PRODUCTS, TURNAROUND_US, State, VirtualTag, frame_us
from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from sco_drivers.nfc.reader import NfcpyReader

_START = b"\x00\x00\xff"
_ACK = b"\x00\x00\xff\x00\xff\x00"
_ERROR = b"\x00\x00\xff\x01\xff\x7f\x81\x00"
_SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_TERMIOS_SPEED = {getattr(termios, f"B{baud}"): baud for baud in _SPEEDS}
_TIMEOUT, _CRC = 0x01, 0x02
_RX_MODE, _FIFO_DATA = 0x6303, 0x6339
_GUARD_US = 5000.0  # ISO/IEC 14443-3: a field stands 5 ms before the first request


class Fault(StrEnum):
    """What may go wrong at one reader command. See `VirtualReader.inject`."""

    DEAF = "deaf"  # no acknowledgement, no answer: the command was lost
    SILENT = "silent"  # the command is acknowledged and done, its answer is lost
    CORRUPT = "corrupt"  # the answer's checksum is wrong
    SHORT = "short"  # the answer stops in the middle
    ERROR_FRAME = "error_frame"  # the chip says that it does not understand
    AIR_NOISE = "air_noise"  # the tag's answer is damaged on the air
    TAG_LEAVES = "tag_leaves"  # every tag is taken away
    TAG_MUTE = "tag_mute"  # every tag falls silent
    UNPLUG = "unplug"  # the line is pulled out


def crc_a(data: bytes) -> bytes:
    """ISO/IEC 14443-3 CRC_A, bit by bit."""
    crc = 0x6363
    for octet in data:
        for bit in range(8):
            mixed = (crc ^ octet >> bit) & 1
            crc = crc >> 1 ^ (0x8408 if mixed else 0)
    return crc.to_bytes(2, "little")


class VirtualReader:
    """A PN532 with tags before it, as a context manager.

        with VirtualReader(uri="https://qr.nspk.ru/...") as reader, open_nfc(reader.url) as nfc:
            nfc.read()

    Args:
        tags: what lies in the field; one NTAG213 with `uri` when not given.
        uri: the link on that one tag.
        highest_baud: the fastest speed that the chip takes.

    Attributes:
        tags: what lies in the field; append and remove as you like.
        commands: how often each reader command arrived, by its code.
        field_on: whether the field is on: phones cannot read the tag while it is.
        serial_us: time on the wire so far, in microseconds.
        baud: the chip's speed.
    """

    def __init__(self, *tags: VirtualTag, uri: str = "") -> None:
        self.tags = list(tags) if tags else [VirtualTag(uri=uri)]
        self.commands: Counter[int] = Counter()
        self.field_on = False
        self.serial_us = 0.0
        self.baud = 115200
        self._air_us = 0.0
        self._next_baud: int | None = None
        self._registers: dict[int, int] = {}
        self._current: VirtualTag | None = None
        self._faults: dict[int, tuple[Fault, bool]] = {}
        self._heard = 0
        self._delay = 0.0
        self._removed: list[VirtualTag] = []
        self._last = b""
        self._folder = Path(tempfile.mkdtemp(prefix="sco-pn532-"))
        self.path = self._folder / "tty"
        self._master = self._slave = -1
        self._thread: threading.Thread | None = None
        self._plug()

    # -- for the person at the bench ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The URL of the driver for real readers, pointed at this one."""
        return f"pn532://{self.path}"

    @property
    def tag(self) -> VirtualTag:
        """The first tag in the field.

        Raises:
            IndexError: the field is empty.
        """
        return self.tags[0]

    @property
    def heard(self) -> int:
        """How many reader commands have arrived."""
        return self._heard

    @property
    def modelled_us(self) -> float:
        """Time so far on the air and on the wire together, in microseconds. The host's own time is not in it."""
        return self.serial_us + self.air_us

    @property
    def air_us(self) -> float:
        """Time so far on the air, in microseconds."""
        return self._air_us + sum(tag.air_us for tag in self.tags + self._removed)

    def inject(self, fault: Fault, *, at_command: int = 0, lasting: bool = False) -> None:
        """Let `fault` happen at a reader command to come.

        Args:
            at_command: 0 is the next one.
            lasting: at every command from there on, until `heal`.
        """
        self._faults[self._heard + at_command] = (fault, lasting)

    def heal(self) -> None:
        """End every fault: tags that were taken away come back and answer, the line is plugged in."""
        self._faults.clear()
        self._delay = 0.0
        for tag in self._removed:
            self.tags.append(tag)
        self._removed.clear()
        for tag in self.tags:
            tag.mute = False
        if self._master < 0:
            self._plug()

    def slow(self, seconds: float) -> None:
        """Delay each of the chip's answers by `seconds` of real time."""
        self._delay = seconds

    def unplug(self) -> None:
        """Pull the line out. The chip loses power."""
        self._unplug()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def replug(self) -> None:
        """Plug the line in again, under the same name."""
        if self._master < 0:
            self._plug()

    def close(self) -> None:
        """Take everything down. May be called twice."""
        self.unplug()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the line ----------------------------------------------------------------------------------------------------

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        self.baud, self._next_baud = 115200, None
        self._power_field(False)
        self._thread = threading.Thread(target=self._run, args=(self._master,), name="pn532", daemon=True)
        self._thread.start()

    def _unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        master, self._master = self._master, -1
        slave, self._slave = self._slave, -1
        if master >= 0:
            os.close(slave)
            os.close(master)
            self._power_field(False)

    def _run(self, master: int) -> None:
        buffer = bytearray()
        while self._master == master:
            try:
                # A deadline, since a descriptor that another thread closes wakes nobody.
                if not select.select([master], [], [], 0.05)[0]:
                    continue
                data = os.read(master, 4096)
            except (OSError, ValueError):
                return
            if not data or self._master != master:
                return
            if not self._same_speed():
                buffer.clear()
                continue
            self.serial_us += len(data) * 10e6 / self.baud
            buffer += data
            self._frames(buffer)

    def _same_speed(self) -> bool:
        try:
            line = _TERMIOS_SPEED.get(termios.tcgetattr(self._slave)[4])
        except (OSError, termios.error):
            return False
        if self._next_baud is not None:
            # The chip changes speed on the host's acknowledgement, and the host changes right behind it.
            self.baud, self._next_baud = self._next_baud, None
            return True
        return line == self.baud

    def _frames(self, buffer: bytearray) -> None:
        while True:
            at = buffer.find(_START)
            if at < 0:
                del buffer[:-2]
                return
            del buffer[:at]
            if len(buffer) < 6:
                return
            if buffer.startswith(_ACK):  # the host cancels, or acknowledges a change of speed
                del buffer[:6]
                continue
            head, length = 5, buffer[3]
            if buffer[3:5] == b"\xff\xff":
                if len(buffer) < 8:
                    return
                head, length = 8, buffer[5] << 8 | buffer[6]
            whole = head + length + 2
            if len(buffer) < whole:
                return
            body = bytes(buffer[head : head + length])
            good = sum(buffer[head : head + length + 1]) & 0xFF == 0 and body[:1] == b"\xd4" and len(body) > 1
            del buffer[:whole]
            if good:
                self._command(body[1], body[2:])

    def _send(self, data: bytes) -> None:
        self.serial_us += len(data) * 10e6 / self.baud
        with contextlib.suppress(OSError):
            os.write(self._master, data)

    def _command(self, code: int, data: bytes) -> None:
        self.commands[code] += 1
        fault = self._due()
        self._heard += 1
        if fault is Fault.DEAF:
            return
        if fault is Fault.UNPLUG:
            self._unplug()
            return
        if fault is Fault.TAG_LEAVES:
            self._removed += self.tags
            self.tags.clear()
            self._current = None
        if fault is Fault.TAG_MUTE:
            for tag in self.tags:
                tag.mute = True
        self._send(_ACK)
        answer = self._perform(code, data, noise=fault is Fault.AIR_NOISE)
        if self._delay:
            time.sleep(self._delay)
        if fault is Fault.SILENT:
            return
        if answer is None or fault is Fault.ERROR_FRAME:
            self._send(_ERROR)
            return
        frame = self._framed(bytes([0xD5, code + 1]) + answer)
        if fault is Fault.CORRUPT:
            frame = frame[:-3] + bytes([frame[-3] ^ 0x10]) + frame[-2:]
        elif fault is Fault.SHORT:
            frame = frame[: len(frame) // 2]
        self._send(frame)

    def _due(self) -> Fault | None:
        for at, (fault, lasting) in self._faults.items():
            if at == self._heard or (lasting and at < self._heard):
                return fault
        return None

    @staticmethod
    def _framed(body: bytes) -> bytes:
        if len(body) < 256:
            head = bytes([len(body), -len(body) & 0xFF])
        else:
            size = len(body).to_bytes(2, "big")
            head = b"\xff\xff" + size + bytes([-sum(size) & 0xFF])
        return _START + head + body + bytes([-sum(body) & 0xFF, 0])

    # -- the chip ----------------------------------------------------------------------------------------------------

    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        """The answer's data; None for the error frame."""
        match code:
            case 0x00 if data[:1] == b"\x00":
                return data
            case 0x02:
                return bytes.fromhex("32010607")
            case 0x06:
                return bytes(self._registers.get(data[i] << 8 | data[i + 1], 0) for i in range(0, len(data), 2))
            case 0x08:
                for i in range(0, len(data), 3):
                    self._registers[data[i] << 8 | data[i + 1]] = data[i + 2]
                return b""
            case 0x10 if data and data[0] < len(_SPEEDS):
                self._next_baud = _SPEEDS[data[0]]
                return b""
            case 0x12 | 0x14:
                return b""
            case 0x16:
                self._power_field(False)
                return b"\x00"
            case 0x32:
                if data[:1] == b"\x01":
                    self._power_field(bool(data[1] & 1))
                return b""
            case 0x42:
                return self._communicate(data, noise=noise)
            case 0x44:
                if self._current is not None:
                    self._current.exchange(b"\x50\x00")
                    self._current = None
                return b"\x00"
            case 0x4A if len(data) >= 2:
                return self._list(data[1], data[2:], noise=noise)
        return None

    def _power_field(self, on: bool) -> None:
        if on and not self.field_on:
            self._air_us += _GUARD_US
        self.field_on = on
        if not on:
            self._current = None
            for tag in self.tags + self._removed:
                tag.field_off()

    def _list(self, kind: int, wanted: bytes, *, noise: bool) -> bytes:
        self._power_field(True)
        # Two requests, as nfcpy configures it; no answer within the frame delay time of about 5 ms.
        self._registers[_FIFO_DATA] = 0x26
        if kind != 0:
            return b"\x00"
        if self._current is not None and self._current.state is State.ACTIVE:
            self._current.state = State.IDLE
        uid = wanted.replace(b"\x88", b"", 1) if len(wanted) == 8 else wanted
        waiting = [tag for tag in self.tags if tag.answers and tag.state is State.IDLE]
        chosen = min((tag for tag in waiting if not uid or tag.uid == uid), key=lambda tag: tag.uid, default=None)
        if chosen is None or noise:
            self._air_us += 2 * 5000.0
            return b"\x00"
        # REQA and ATQA, then for both cascade levels: anticollision, answer, select, SAK.
        self._air_us += 9 * BIT_US + frame_us(2) + 2 * (frame_us(2) + frame_us(5) + frame_us(9) + frame_us(3))
        self._air_us += 10 * TURNAROUND_US
        chosen.state = State.ACTIVE
        self._current = chosen
        self._registers[_RX_MODE] = 0x80
        self._registers[_FIFO_DATA] = 0
        return bytes([1, 1, 0x00, 0x44, 0x00, len(chosen.uid)]) + chosen.uid

    def _communicate(self, data: bytes, *, noise: bool) -> bytes:
        answer = self._current.exchange(data) if self._current is not None else None
        if answer is None:
            self._air_us += 25600.0
            return bytes([_TIMEOUT])
        checked = bool(self._registers.get(_RX_MODE, 0) & 0x80)
        if len(answer) == 1 and (answer == TAG_ACK or answer[0] < 0x0A):
            if checked:
                return bytes([_CRC])
            return b"\x00" + (b"\x1f\x2e" if noise else answer)
        if checked:
            return bytes([_CRC]) if noise else b"\x00" + answer
        framed = bytearray(answer + crc_a(answer))
        if noise:
            framed[0] ^= 0x04
        return b"\x00" + bytes(framed)


def open_sim(url: DeviceUrl) -> NfcpyReader:
    """A simulated reader behind the real driver: `sim://?tag=ntag213&uid=04a1b2c3d4e5f6&uri=https%3A%2F%2F...`.

    The simulator is the reader's attribute `simulator` and lives until the reader is closed.

    Raises:
        BadDeviceUrl: an unknown tag or a UID that is not 7 bytes.
    """
    from sco_drivers.nfc import reader as driver

    url.only("tag", "uid", "uri", "baud", *driver.COMMON)
    product = url.choice("tag", "ntag213", PRODUCTS)
    try:
        tag = VirtualTag(product, bytes.fromhex(url.params.get("uid", "04a1b2c3d4e5f6")), url.params.get("uri", ""))
    except ValueError as error:
        raise BadDeviceUrl(str(error), url=url.text) from None
    simulator = VirtualReader(tag)
    try:
        radio = driver.serial_radio(url, str(simulator.path), url.integer("baud", 921600))
        opened = driver.build(url, radio, simulator=simulator)
    except BaseException:
        simulator.close()
        raise
    return opened
