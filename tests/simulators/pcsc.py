"""Readers behind a real pcscd, whose virtual reader (vsmartcard's vpcd) carries APDUs to us over TCP.

What is real: pyscard, libpcsclite, pcscd, its socket, its reader's driver. What is simulated: the reader's firmware,
which answers pseudo-APDUs, with tags in its field. Each pcscd runs in a mount namespace of its own, so that it owns
another /run and disturbs neither the machine's nor another test's.

Written from vpcd's description of its protocol (a length of two bytes, then an APDU or one byte of control), PC/SC part
3 with its supplements, ACS's manuals of the ACR122U and ACR1252U, and, for HID's generic session, what public software
sends. vpcd carries no escape commands and cannot be unplugged: for these, pcscd gets a driver of ours, which gcc
compiles from `pcsc_escape.c`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from sco_sim.nfc.iso14443 import answers, superposed
from sco_sim.nfc.ntag import ACK, State, VirtualTag
from sco_sim.nfc.pn532_chip import Chip
from sco_sim.nfc.simulated_field import Fault, SimulatedField

STORAGE_CARD = bytes.fromhex("3b8f8001804f0ca0000003060300030000000068")
CLASSIC = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
BANK_CARD = bytes.fromhex("3b8080010101")
_OFF, _ON, _RESET, _ATR = b"\x00", b"\x01", b"\x02", b"\x04"
_OK, _FAILED, _UNKNOWN = b"\x90\x00", b"\x63\x00", b"\x6d\x00"
_LIBRARY = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_SOCKET_NAME = "PCSCLITE_CSOCK_NAME"
_POLL_S = 0.4  # how often pcscd looks whether there is a card
_UNTIL_S = 20.0


def until(done: Callable[[], bool], what: str) -> None:
    """Wait until `done()`."""
    end = time.monotonic() + _UNTIL_S
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _free_ports(count: int) -> int:
    """The first of `count` free ports in a row."""
    for _ in range(50):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError, OverflowError):
            port = 0
            for number in range(count):
                one = held.enter_context(socket.socket())
                one.bind(("127.0.0.1", port + number if port else 0))
                port = port or int(one.getsockname()[1])
            return port
    raise AssertionError(f"no {count} free ports in a row")


class Pcscd:
    """A pcscd with a virtual reader, as a context manager: within it, this process's libpcsclite talks to it.

    Args:
        name: of the reader; empty for none.
        device: the socket of a reader of our own driver; None for vpcd.

    Attributes:
        slots: the readers that PC/SC lists: one, or the two slots of vpcd's. Where a card is put into each, as a port.
    """

    def __init__(self, name: str = "Virtual PCD", *, device: Path | None = None) -> None:
        # libpcsclite looks up the name of the socket once: every pcscd of this process has the same.
        self._folder = Path(tempfile.gettempdir(), f"sco-pcscd-{os.getpid()}")
        self._run, self._readers = self._folder / "run", self._folder / "readers"
        shutil.rmtree(self._folder, ignore_errors=True)
        for folder in (self._run, self._readers):
            folder.mkdir(parents=True)
        self.slots: dict[str, int] = {}
        if device is not None:
            (self._readers / "ours").write_text(
                f'FRIENDLYNAME "{name}"\nDEVICENAME {device}\nLIBPATH {_our_driver()}\nCHANNELID 1\n'
            )
        elif name:
            port = _free_ports(2)
            self.slots = {f"{name} 00 00": port, f"{name} 00 01": port + 1}
            (self._readers / "vpcd").write_text(
                f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port:#x}\nLIBPATH {_LIBRARY}\nCHANNELID {port:#x}\n'
            )
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = self._run / "pcscd/pcscd.comm"

    def __enter__(self) -> Self:
        os.environ[_SOCKET_NAME] = str(self._socket)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it."""
        usage = subprocess.run(["pcscd", "--help"], capture_output=True, text=True, check=False).stdout
        polkit = ["--disable-polkit"] if "--disable-polkit" in usage else []
        self._process = subprocess.Popen(
            ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c",
             'mount --bind "$0" /run && exec "$@"', str(self._run),
             "pcscd", "--foreground", "--config", str(self._readers), *polkit],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        process = self._process
        until(lambda: self._socket.exists() or process.poll() is not None, "pcscd did not start")
        if os.geteuid() != 0 and not self._socket.exists():
            pytest.skip("this user may not have a mount namespace for pcscd: run the test as root")
        assert self._socket.exists(), "pcscd stopped at once"
        until(lambda: _accepts(self._socket), "pcscd takes no clients")  # its socket is there a little earlier
        for port in self.slots.values():
            until(lambda port=port: _listens(port), f"vpcd does not listen on {port}")

    def stop(self) -> None:
        """Stop it, as `systemctl stop` does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_UNTIL_S)
            self._process = None
            self._socket.unlink(missing_ok=True)

    def forget_reader(self) -> None:
        """From its next start on it has no reader."""
        (self._readers / "vpcd").unlink()
        self.slots.clear()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _listens(port: int) -> bool:
    """Whether something listens on `port`; looked up, since a connection would be a card."""
    wanted = f":{port:04X} "
    return any(wanted in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines())


@functools.cache
def _our_driver() -> Path:
    """pcscd's driver that carries escape commands, compiled."""
    if not Path("/usr/include/PCSC/ifdhandler.h").exists():
        pytest.skip("needs pcsc-lite's headers: apt-get install libpcsclite-dev")
    library = Path(tempfile.mkdtemp(prefix="sco-pcsc-driver-"), "libescape.so")
    atexit.register(shutil.rmtree, library.parent)
    source = Path(__file__).with_name("pcsc_escape.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-I/usr/include/PCSC", "-o", library, source], check=True)
    return library


class PcscReader(SimulatedField):
    """A reader with nothing but the pseudo-APDUs that PC/SC requires, as a card at vpcd's socket.

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.

    Attributes (and those of `SimulatedField`):
        atr: what it makes of a tag.
        pages: how many pages it believes a tag to have.
        leave_after_writes: when so many pages were written, the tag leaves before the answer; None for never.

    Commands are counted by INS. Its faults are TAG_MUTE, SILENT (done, and answered with an error), ERROR_FRAME (not
    done) and SHORT.
    """

    def __init__(self, *tags: VirtualTag, uri: str = "") -> None:
        self._on = False
        self._server: threading.Thread | None = None
        super().__init__(*tags, uri=uri)
        self._removed_at_s = 0.0
        self.leave_after_writes: int | None = None
        self.atr = STORAGE_CARD
        self.pages = 256
        self._link: socket.socket | None = None
        self._slot, self._port = "", 0
        self._active: VirtualTag | None = None

    @property
    def field_on(self) -> bool:
        """Whether the field is on. vpcd waits for no answer when it switches it off: give that a moment."""
        if threading.current_thread() is not self._server:
            for _ in range(2000):
                if not self._on:
                    break
                time.sleep(0.005)
        return self._on

    @field_on.setter
    def field_on(self, on: bool) -> None:
        self._on = on

    @contextlib.contextmanager
    def behind_pcscd(self) -> Iterator[str]:
        """As the only reader of a pcscd; gives its URL."""
        with Pcscd() as self.pcscd:
            self.connect(*next(iter(self.pcscd.slots.items())))
            try:
                yield "pcsc://"
            finally:
                self.remove()

    @contextlib.contextmanager
    def with_escapes(self) -> Iterator[str]:
        """As the only reader of a pcscd, by our own driver; gives its URL. A change of `tags` takes effect at once."""
        with tempfile.TemporaryDirectory(prefix="sco-pcsc-") as folder, socket.socket(socket.AF_UNIX) as listener:
            device = Path(folder, "reader")
            listener.bind(str(device))
            listener.listen()
            self._server = threading.Thread(target=self._serve_driver, args=(listener,), daemon=True)
            self._server.start()
            with Pcscd("ACS Reader", device=device) as self.pcscd:
                yield "pcsc://"

    def _serve_driver(self, listener: socket.socket) -> None:
        self._link, _ = listener.accept()
        link = self._link
        with contextlib.suppress(OSError):
            while head := _received(link, 3):
                answer = self._asked(head[:1], _received(link, struct.unpack(">H", head[1:])[0]))
                link.sendall(b"\xff\xff" if answer is None else struct.pack(">H", len(answer)) + answer)

    def _asked(self, what: bytes, data: bytes) -> bytes | None:
        """The answer to our driver; None for a failure."""
        match what:
            case b"P":
                self._control(_OFF if data == b"\x01" else _ON)
                return self.atr
            case b"T":
                return self._commanded(data)
            case b"E":
                return self._escaped(data)
            case _:
                return b"" if self.tags else None

    def _escaped(self, command: bytes) -> bytes | None:
        """The answer to an escape command; None where the reader's driver does not permit it."""
        return None

    def connect(self, slot: str, port: int) -> None:
        """Become the reader that PC/SC lists as `slot`."""
        self._slot, self._port = slot, port
        if self.tags:
            self.insert()

    def insert(self) -> None:
        """Put the tags into the field; returns once pcscd has noticed."""
        assert self._noticed(present=False), "pcscd did not notice that the card is gone"
        # A removal that ends before pcscd looks again is never noticed, and then no insertion either.
        for pause_s in (2 * _POLL_S, 5 * _POLL_S, 25 * _POLL_S):
            time.sleep(max(0.0, self._removed_at_s + pause_s - time.monotonic()))
            self._link = socket.create_connection(("127.0.0.1", self._port))
            self._server = threading.Thread(target=self._serve, args=(self._link,), name="pcsc-reader", daemon=True)
            self._server.start()
            if self._noticed(present=True):
                return
            self.remove()
        raise AssertionError("pcscd did not notice that the card is there")

    def _noticed(self, *, present: bool) -> bool:
        """Wait until pcscd knows whether there is a card; False if it does not learn it."""
        scard = importlib.import_module("smartcard.scard")
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        flag = scard.SCARD_STATE_PRESENT if present else scard.SCARD_STATE_EMPTY
        end = time.monotonic() + _UNTIL_S / 2
        try:
            while time.monotonic() < end:
                code, (state, *_) = scard.SCardGetStatusChange(context, 0, [(self._slot, scard.SCARD_STATE_UNAWARE)])
                if code == 0 and state[1] & flag:
                    return True
                time.sleep(0.02)
            return False
        finally:
            scard.SCardReleaseContext(context)

    def remove(self) -> None:
        """Take them away; by our own driver, unplug the reader."""
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
            self._removed_at_s = time.monotonic()
        self._power_field(False)

    def heal(self) -> None:
        """End every fault; removed tags come back."""
        super().heal()
        if self._link is None and self.tags:
            self.insert()

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while head := _received(link, 2):
                body = _received(link, struct.unpack(">H", head)[0])
                answer = self._control(body) if len(body) == 1 else self._commanded(body)
                if answer is None:
                    self.remove()
                    return
                if answer:
                    link.sendall(struct.pack(">H", len(answer)) + answer)

    def _control(self, code: bytes) -> bytes:
        if code == _ATR:
            return self.atr
        self._power_field(False)
        if code in (_ON, _RESET):
            self._power_field(True)
            self._activate()
        return b""

    def _activate(self) -> None:
        idle = [tag for tag in self.tags if tag.answers and tag.state is State.IDLE]
        self._active = min(idle, key=lambda tag: tag.uid, default=None)
        if self._active is not None:
            self._active.state = State.ACTIVE

    def _commanded(self, apdu: bytes) -> bytes | None:
        """The answer; None if the tags leave before it."""
        fault = self._next_fault(apdu[1])
        if fault is Fault.ERROR_FRAME:
            return b"\x6f\x00"
        answer = self._apdu(apdu)
        if answer is None:
            self.unknown += 1
            answer = _UNKNOWN
        if self.leave_after_writes is not None and self.tag.page_writes.total() >= self.leave_after_writes:
            self.leave_after_writes = None
            return None
        if fault is Fault.SHORT:
            return answer[:1]
        return _FAILED if fault is Fault.SILENT else answer

    def _apdu(self, apdu: bytes) -> bytes | None:
        """The answer; None for an unknown command."""
        match apdu[:3]:
            case b"\xff\xca\x00" if len(apdu) == 5:
                return self._active.uid + _OK if self._active is not None else _FAILED
            case b"\xff\xb0\x00" if len(apdu) == 5 and apdu[4] == 16:
                if apdu[3] + 4 > self.pages:
                    return b"\x6a\x82"
                answer = self._exchange(b"\x30" + apdu[3:4])
                return answer + _OK if answer is not None and len(answer) == 16 else _FAILED
            case b"\xff\xd6\x00" if len(apdu) == 9 and apdu[4] == 4:
                answer = self._exchange(b"\xa2" + apdu[3:4] + apdu[5:])
                return _OK if answer == ACK else _FAILED
        return None

    def _exchange(self, command: bytes) -> bytes | None:
        return None if self._active is None or self._active not in self.tags else self._active.exchange(command)


class TransparentReader(PcscReader):
    """With the transparent exchange of PC/SC 2.02, as in an ACR1252U."""

    _session = False

    def _apdu(self, apdu: bytes) -> bytes | None:
        if apdu[:3] != b"\xff\xc2\x00":
            return super()._apdu(apdu)
        assert apdu[4] == len(apdu) - 6, "Lc"
        assert apdu[-1] == 0, "Le"
        if apdu[3] == 0:
            self._session = apdu[5] == 0x81
            return b"\xc0\x03\x00\x90\x00" + _OK
        if apdu[3] != 1 or not self._session:
            return b"\xc0\x03\x01\x69\x85" + _FAILED
        objects = self._objects(apdu[5:-1])
        plain = objects.get(0x90, b"\0\0")[1] & 0x03 == 0x03
        bits = objects.get(0x91, b"\x08")[0]
        sent = answers(self.tags, objects[0x95], bits=bits, has_crc=None if plain else True)
        if not sent:
            return b"\xc0\x03\x01\x64\x01" + _OK
        octets = superposed(sent)
        octets = octets[: len(octets) - 2] if sent[0].has_crc else octets
        size = bytes([len(octets)]) if len(octets) < 128 else bytes([0x81, len(octets)])
        status = b"\x92\x01" + bytes([sent[0].bits % 8]) + b"\x96\x02\x00\x00"
        return b"\xc0\x03\x00\x90\x00" + status + b"\x97" + size + octets + _OK

    def _control(self, code: bytes) -> bytes:
        self._session = self._session and code == _ATR
        return super()._control(code)

    @staticmethod
    def _objects(data: bytes) -> dict[int, bytes]:
        found = {}
        while data:
            head = 2 if data[0] == 0x5F else 1
            found[data[0]] = data[head + 1 : head + 1 + data[head]]
            data = data[head + 1 + data[head] :]
        return found


class OmnikeyReader(PcscReader):
    """With the generic session of HID's OMNIKEY 5x21."""

    _session = False

    def _apdu(self, apdu: bytes) -> bytes | None:
        match apdu[:4]:
            case b"\xff\xa0\x00\x07":
                self._session = apdu[5:] == b"\x01\x00\x01"
                return _OK
            case b"\xff\xa0\x00\x05" if self._session and apdu[5:11] == bytes.fromhex("0100f3000064"):
                answer = self._exchange(apdu[11:-1])
                return b"\x64\x00" if answer is None else b"\0\0" + answer + _OK
        return super()._apdu(apdu)


class DirectReader(Chip, PcscReader):
    """An ACR122U: its PN532 takes commands by direct transmit. `polls`: whether it looks for tags by itself."""

    polls = True

    def _escaped(self, command: bytes) -> bytes | None:
        return self._commanded(command)

    def _apdu(self, apdu: bytes) -> bytes | None:
        if apdu[:5] == b"\xff\x00\x48\x00\x00":
            return b"ACR122U214"
        if apdu[:3] == b"\xff\x00\x51":
            self.polls = bool(apdu[3] & 0x80)
            return b"\x90" + apdu[3:4]
        if apdu[:4] != b"\xff\x00\x00\x00":
            return super()._apdu(apdu)
        assert apdu[4] == len(apdu) - 5
        assert apdu[5] == 0xD4
        self.commands[apdu[6]] += 1
        answer = self._perform(apdu[6], apdu[7:], noise=False)
        return _FAILED if answer is None else bytes([0xD5, apdu[6] + 1]) + answer + _OK


def _received(link: socket.socket, size: int) -> bytes:
    """`size` bytes, or fewer at the end. vpcd sends the length alone, and the rest after our acknowledgement."""
    data = b""
    while len(data) < size and (more := link.recv(size - len(data))):
        if link.family == socket.AF_INET:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data += more
    return data
