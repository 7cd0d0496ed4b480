"""Customer displays at the wire: the exact bytes, and what a failure says about whether the code may be visible."""

from __future__ import annotations

import fcntl
import os
import stat
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sco_drivers import DisplayedCode, open_display
from sco_drivers.display import CodeMayShow, CodeRefused, QrDisplay, serial_line
from sco_drivers.display.mertech import Mertech
from sco_drivers.display.qrscreen import QrScreen
from sco_drivers.errors import BadDeviceUrl, DeviceBusy, DeviceGone, DeviceNotFound, DevicePermission, DeviceTimeout
from sco_sim import VirtualDisplay
from sco_sim.display.face import Face
from sco_sim.display.languages import Mertech as MertechDisplay

LINK = "https://qr.nspk.ru/AD1?sum=253"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_line, "SEND_S", 0.2)


@pytest.fixture
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay() as display:
        yield display


@pytest.fixture
def driver(display: VirtualDisplay) -> Iterator[QrDisplay]:
    with open_display(display.url) as driver:
        yield driver


@pytest.mark.parametrize(
    ("length", "counted"), [(1, b"\x00\x01"), (255, b"\x00\xff"), (256, b"\x01\x00"), (2953, b"\x0b\x89")]
)
def test_the_length_of_a_code_takes_two_bytes(length: int, counted: bytes) -> None:
    assert Mertech().code(DisplayedCode("x" * length)) == b"\x02\xf2\x02" + counted + b"x" * length + b"\x02\xf2\x03"


def test_commands_of_a_mertech() -> None:
    assert Mertech().clear() == bytes.fromhex("02 F0 03 43 4C 53 03")
    assert Mertech().result(paid=True, text="Оплачено") == b"\x02\xf0\x03correct\x03"
    assert Mertech().result(paid=False, text="") == b"\x02\xf0\x03mistake\x03"


def test_commands_of_a_qrscreen() -> None:
    code = DisplayedCode(LINK, "253,00 ₽", "Отсканируйте")
    assert QrScreen().code(code).decode() == f"[TXT1]253,00 ₽\r\n[QRL]{LINK}\r\n[TXT2]Отсканируйте\r\n"
    assert QrScreen().result(paid=True, text="Опла\r\n[QRL]x").decode() == "[CQL]\r\n[TXT1]Опла [QRL]x\r\n"
    assert QrScreen().clear() == b"[CQL]\r\n"


def test_a_simulated_display_takes_commands_in_any_pieces() -> None:
    commands = Mertech().clear() + Mertech().code(DisplayedCode("x" * 700)) + Mertech().result(paid=True, text="")
    display, face, shown = MertechDisplay(), Face(), []
    for byte in commands:
        found = display.feed(bytes([byte]), face)
        shown += found
        face = found[-1] if found else face
    assert shown == [Face(), Face("x" * 700), Face(paid=True)]
    assert not display.unknown


def test_the_line_is_raw_at_its_speed_and_this_process_has_it_alone() -> None:
    master, slave = os.openpty()
    try:
        path = os.ttyname(slave)
        with open_display(f"mertech://{path}?baud=57600") as driver:
            mode = termios.tcgetattr(slave)
            assert mode[4:6] == [termios.B57600] * 2
            assert mode[0] == mode[1] == mode[3] == 0
            assert mode[2] & termios.CS8
            assert not mode[2] & (termios.CRTSCTS | termios.PARENB | termios.CSTOPB)
            with pytest.raises(DeviceBusy):
                open_display(f"qrscreen://{path}")
            driver.show_code(DisplayedCode("x₽"))
            assert os.read(master, 100) == b"\x02\xf2\x02\x00\x04x\xe2\x82\xbd\x02\xf2\x03"
    finally:
        os.close(slave)
        os.close(master)


def test_what_a_display_sends_is_not_taken_for_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "sco_drivers.spy")
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        with open_display(f"spy+mertech://{os.ttyname(slave)}") as driver:
            for _ in range(40):
                os.write(master, b"noise" * 100)
                driver.check()
            driver.clear()
            os.set_blocking(master, False)
            assert os.read(master, 100) == Mertech().clear()
    finally:
        os.close(slave)
        os.close(master)
    assert any(" read 500: 6e 6f" in line for line in caplog.messages)
    assert any(" write 7: 02 f0 03" in line for line in caplog.messages)


def test_nothing_there_no_right_and_no_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFound, match="sco-hwtest discover"):
        open_display("mertech:///dev/no-such-line")
    file = tmp_path / "file"
    file.write_bytes(b"kept")
    with pytest.raises(BadDeviceUrl, match="not a serial line"):
        open_display(f"mertech://{file}")
    assert file.read_bytes() == b"kept"
    with pytest.raises(BadDeviceUrl, match="not a serial line"):
        open_display("mertech:///dev/null")
    with pytest.raises(BadDeviceUrl, match="baud='1'"):
        open_display("mertech:///dev/ttyACM0?baud=1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_line_of_another_user() -> None:
    master, slave = os.openpty()
    try:
        os.fchmod(slave, 0)
        assert not stat.S_IMODE(os.fstat(slave).st_mode)
        with pytest.raises(DevicePermission, match="let a group open it"):
            open_display(f"mertech://{os.ttyname(slave)}")
    finally:
        os.close(slave)
        os.close(master)


def test_unplugged_and_plugged_in(display: VirtualDisplay, driver: QrDisplay) -> None:
    driver.show_code(DisplayedCode(LINK))
    display.unplug()
    for call in (driver.check, driver.clear, lambda: driver.show_code(DisplayedCode(LINK))):
        with pytest.raises(DeviceGone, match="unplugged"):
            call()
    with pytest.raises(DeviceNotFound):
        open_display(display.url)
    display.plug()
    with open_display(display.url) as again:
        again.show_code(DisplayedCode(LINK))
        assert display.wait(lambda face: face.link == LINK)


def test_a_display_that_takes_no_byte_has_not_got_the_code(display: VirtualDisplay, driver: QrDisplay) -> None:
    display.refuse_data()
    with pytest.raises(DeviceTimeout, match="takes no data"):
        driver.show_code(DisplayedCode(LINK))
    display.heal()
    driver.clear()
    assert display.wait(lambda face: bool(display.history))
    assert display.history == [Face()]


def test_a_code_that_is_sent_in_part_may_be_shown_and_the_next_command_is_understood(
    display: VirtualDisplay, driver: QrDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, write = [20], os.write

    def write_short(fd: int, data: bytes) -> int:
        """A pseudo-terminal takes a command whole or not at all; the kernel's USB driver takes what it has room for."""
        taken = write(fd, data[: room[0]]) if room[0] else 0
        room[0] -= taken
        if not taken:
            raise BlockingIOError
        return taken

    monkeypatch.setattr(os, "write", write_short)
    with pytest.raises(CodeMayShow, match="may show the code") as found:
        driver.show_code(DisplayedCode(LINK))
    assert isinstance(found.value.__cause__, DeviceTimeout)
    with pytest.raises(DeviceTimeout):
        driver.clear()
    room[0] = 4
    with pytest.raises(DeviceTimeout):
        driver.show_code(DisplayedCode("https://example.org"))  # of which nothing was sent
    room[0] = 1000
    driver.clear()
    assert display.wait(lambda face: len(display.history) == 2)
    assert display.history == [Face(LINK), Face()]
    assert not display.unknown


def test_a_code_that_waits_in_the_kernel_may_be_shown(
    driver: QrDisplay, display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = fcntl.ioctl

    def waiting(fd: int, request: int, argument: Any) -> int:
        if request == termios.TIOCOUTQ:
            argument[0] = 7
            return 0
        return control(fd, request, argument)

    monkeypatch.setattr(fcntl, "ioctl", waiting)
    with pytest.raises(CodeMayShow):
        driver.show_code(DisplayedCode(LINK))
    with pytest.raises(DeviceTimeout):
        driver.clear()


def test_closing_throws_nothing_away_that_was_sent(display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudo-terminal may throw away what it has passed on too, such as the command that removes the code."""
    flushed: list[tuple[int, int]] = []
    monkeypatch.setattr(termios, "tcflush", lambda fd, queue: flushed.append((fd, queue)))
    with open_display(display.url) as driver:
        driver.show_code(DisplayedCode(LINK))
        driver.clear()
    assert display.wait(lambda face: display.history == [Face(LINK), Face()])
    assert not flushed


def test_sent_is_no_proof_of_shown(display: VirtualDisplay, driver: QrDisplay) -> None:
    display.freeze()
    driver.show_code(DisplayedCode(LINK))
    driver.check()
    assert not display.wait(lambda face: bool(face.link), timeout_s=0.2)


@pytest.mark.parametrize("link", ["", "a\nb", "a\x7fb", "x" * 2954, "\udc80"])
def test_a_link_that_no_code_can_say(driver: QrDisplay, link: str) -> None:
    with pytest.raises(CodeRefused, match=r"the link (has|contains|is not)"):
        driver.show_code(DisplayedCode(link))


def test_a_text_that_would_end_its_line(display: VirtualDisplay) -> None:
    with VirtualDisplay("qrscreen") as screen, open_display(screen.url) as driver:
        with pytest.raises(CodeRefused, match="the text contains a control character"):
            driver.show_code(DisplayedCode(LINK, text="pay\r\n[QRL]https://example.org"))
        assert not screen.history


def test_the_picture_of_each_thing_is_written(tmp_path: Path) -> None:
    with open_display(f"sim://?out={tmp_path}/shown") as driver:
        driver.show_code(DisplayedCode(LINK))
        driver.show_result(paid=True)
        driver.clear()
        simulator = driver.simulator  # type: ignore[attr-defined]
        assert simulator.wait(lambda face: len(simulator.history) == 3)
    assert len(list((tmp_path / "shown").glob("display-*.png"))) == 3
