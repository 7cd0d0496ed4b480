"""The simulated PN532 with other software than ours: libnfc's tools, Adafruit's library, and the frames they send.

Tools and library are tested where they are installed: Debian's packages libnfc-bin and libnfc-examples, and
adafruit-circuitpython-pn532 from the dependency group `programs`.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import threading
import time
from pathlib import Path

import nfc.clf
import nfc.tag
import pytest
import serial

from sco_drivers import open_nfc
from sco_drivers.nfc import TagLocked, uart
from sco_sim import VirtualReader, VirtualTag
from sco_sim.nfc.iso14443 import crc_a
from sco_sim.nfc.pn53x_frame import ACK, FROM_HOST, cut, information


@pytest.fixture(autouse=True)
def _waits_for_no_clock() -> None:
    """These libraries do: the processes of libnfc have the machine's own clock."""


LINK = "https://qr.nspk.ru/AS10"
OTHER = "https://qr.nspk.ru/AD20"
UID = bytes.fromhex("04a1b2c3d4e5f6")


class Host:
    """A host that sends single commands to the chip."""

    def __init__(self, reader: VirtualReader) -> None:
        self._line = serial.Serial(str(reader.path), 115200, timeout=10)

    def __call__(self, command: str) -> str:
        """The answer to `command`, code and data in hexadecimal, without TFI and code; "error" for the error frame."""
        data = bytes.fromhex(command)
        self._line.write(information(bytes([FROM_HOST]) + data))
        assert self._line.read(len(ACK)) == ACK
        buffer = bytearray(self._line.read(5))
        buffer += self._line.read(buffer[3] + 2)
        body = cut(buffer)
        assert body is not None
        if body == b"\x7f":
            return "error"
        assert body[:2] == bytes([0xD5, data[0] + 1])
        return body[2:].hex()

    def close(self) -> None:
        self._line.close()


@pytest.fixture
def bench():
    with VirtualReader(uri=LINK) as reader:
        yield reader


@pytest.fixture
def host(bench: VirtualReader):
    found = Host(bench)
    yield found
    found.close()


FOUND = "0101004400" + "07" + UID.hex()


def test_data_exchange_with_a_listed_tag(host: Host, bench: VirtualReader) -> None:
    assert host("40 01 30 04") == "27"  # no target yet
    assert host("4a 01 00") == FOUND
    page = bench.tag.memory[16:32].hex()
    assert host("40 01 30 04") == "00" + page
    assert host("40 01 a2 05 01020304") == "00"
    assert bench.tag.pages[5] == bytes.fromhex("01020304")
    assert host("40 01 a0 06 05060708" + 12 * "ff") == "00"  # the compatibility write, which libnfc uses
    assert bench.tag.pages[6] == bytes.fromhex("05060708")
    assert bench.tag.pages[7] != b"\xff" * 4
    assert host("40 02 30 04") == "27"
    assert host("40 01 a2 00 01020304") == "02"  # refused
    assert host("40 01 30 04") == "01"  # a NAK ends the active state
    assert bench.unknown == 0


def test_release_and_list_again(host: Host, bench: VirtualReader) -> None:
    assert host("4a 01 00") == FOUND
    assert host("52 00") == "00"
    assert host("40 01 30 04") == "27"
    assert host("4a 01 00") == "00"  # it sleeps until the field was off
    host("32 01 00")
    assert host("4a 01 00") == FOUND


@pytest.mark.parametrize(
    ("command", "answer"),
    [("60 01 01 10", f"01100c{FOUND[2:]}"), ("60 14 02 20 00 11", f"01000c{FOUND[2:]}"), ("60 01 01 11", "00")],
)
def test_autopoll_finds_the_tag_by_its_kind(command: str, answer: str, host: Host) -> None:
    assert host(command) == answer


@pytest.mark.parametrize(
    ("test", "answer"), [("00 00a1b2", "00a1b2"), ("00 01", "00"), ("00 02", "00"), ("00 07", "00"), ("00 09", "error")]
)
def test_diagnose(test: str, answer: str, host: Host) -> None:
    assert host(test) == answer


def test_requests_of_seven_bits_and_anticollision_by_the_host(host: Host, bench: VirtualReader) -> None:
    def sent(frame: str) -> str:
        octets = bytes.fromhex(frame)
        return host("42" + (octets + crc_a(octets)).hex())

    host("08 6302 00 6303 00")  # no CRC by the chip
    host("08 633d 07")
    assert host("42 52") == "004400"  # WUPA
    host("08 633d 00")
    assert host("42 93 20") == "00" + "8804a1b29f"
    assert sent("93708804a1b29f")[:4] == "0004"
    assert host("42 95 20") == "00" + "c3d4e5f604"
    assert sent("9570c3d4e5f604")[:4] == "0000"
    page = bytes(bench.tag.memory[16:32])
    assert sent("3004") == "00" + (page + crc_a(page)).hex()
    assert sent("5000") == "01"
    host("08 633d 07")
    assert host("42 26") == "01"  # REQA does not wake it
    assert host("42 52") == "004400"
    assert bench.unknown == 0


def libnfc(bench: VirtualReader, *command: str) -> subprocess.Popen[str]:
    environment = os.environ | {"LIBNFC_DEVICE": f"pn532_uart:{bench.path}:115200", "LIBNFC_AUTO_SCAN": "false"}
    return subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.program("nfc-list")
def test_libnfc_diagnoses_the_line_and_lists_the_tag(bench: VirtualReader) -> None:
    output, _ = libnfc(bench, "nfc-list").communicate(timeout=100)
    assert "UID (NFCID1): 04  a1  b2  c3  d4  e5  f6" in output, output
    assert bench.commands[0x00]
    assert bench.unknown == 0


@pytest.mark.program("nfc-mfultralight")
def test_libnfc_reads_and_writes_the_tag(bench: VirtualReader, tmp_path: Path) -> None:
    dump = tmp_path / "tag.mfd"
    read = libnfc(bench, "nfc-mfultralight", "r", str(dump))
    output, _ = read.communicate(timeout=100)
    assert "16 of 16 pages read (0 pages failed)" in output, output
    assert dump.read_bytes()[:64] == bytes(bench.tag.memory[:64])
    assert bench.unknown == 0
    content = bytearray(dump.read_bytes())
    content[16:64] = bytes(VirtualTag(uri=OTHER).memory[16:64])
    dump.write_bytes(content)
    bench.tag.field_off()
    write = libnfc(bench, "nfc-mfultralight", "w", str(dump))
    output, _ = write.communicate("n\n" * 8, timeout=100)  # no to OTP, lock bits and UID
    assert bench.tag.uri() == OTHER, output


@pytest.mark.program("nfc-poll")
def test_libnfc_polls_until_the_tag_is_removed(bench: VirtualReader) -> None:
    poll = libnfc(bench, "nfc-poll")
    end = time.monotonic() + 60
    while not bench.commands[0x60] and time.monotonic() < end:
        time.sleep(0.05)
    threading.Timer(1.0, bench.tags.clear).start()
    output, _ = poll.communicate(timeout=100)
    assert "04  a1  b2  c3  d4  e5  f6" in output, output
    assert poll.returncode == 0
    assert bench.unknown == 0


@pytest.mark.program("nfc-anticol")
def test_libnfc_does_anticollision_itself(bench: VirtualReader) -> None:
    output, _ = libnfc(bench, "nfc-anticol", "-f").communicate(timeout=100)
    assert "UID: 04a1b2c3d4e5f6" in output, output
    assert bench.unknown == 0


@pytest.mark.program("adafruit_pn532")
def test_adafruits_library_reads_and_writes_the_tag(bench: VirtualReader) -> None:
    adafruit = importlib.import_module("adafruit_pn532.uart")
    with serial.Serial(str(bench.path), 115200, timeout=1) as line:
        chip = adafruit.PN532_UART(line, debug=False)
        assert chip.firmware_version == (0x32, 1, 6, 7)
        chip.SAM_configuration()
        assert chip.read_passive_target(timeout=2) == UID
        assert chip.ntag2xx_read_block(4) == bench.tag.pages[4]
        assert chip.ntag2xx_write_block(5, b"\x01\x02\x03\x04")
        assert bench.tag.pages[5] == b"\x01\x02\x03\x04"
    assert bench.unknown == 0


def test_nfcpy_protects_the_tag_in_one_session(bench: VirtualReader) -> None:
    """It writes AUTH0 first, then other pages of the configuration, which are protected from the next session on."""
    frontend = uart.connect(uart.Line(str(bench.path)), 115200)
    try:
        tag = nfc.tag.activate(frontend, frontend.sense(nfc.clf.RemoteTarget("106A")))
        assert tag.protect(b"secret", protect_from=4)
    finally:
        frontend.close()
    with open_nfc(bench.url) as reader, pytest.raises(TagLocked, match="password"):
        reader.write_uri(OTHER)


def test_frozen_configuration_takes_effect_after_a_power_cycle(host: Host, bench: VirtualReader) -> None:
    config = len(bench.tag.pages) - 4
    assert host("4a 01 00") == FOUND
    assert host(f"40 01 a2 {config + 1:02x} 40050000") == "00"  # CFGLCK
    assert host(f"40 01 a2 {config:02x} 04000008") == "00"  # AUTH0
    assert host("40 01 a2 08 01020304") == "00"
    assert host("52 00") == "00"
    host("32 01 00")
    assert host("4a 01 00") == FOUND
    assert host(f"40 01 a2 {config:02x} 040000ff") == "02"
    host("32 01 00")
    assert host("4a 01 00") == FOUND
    assert host("40 01 a2 08 04030201") == "02"
