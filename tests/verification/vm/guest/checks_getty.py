"""A screen on the terminal of a getty: Debian's getty@tty1.service with agetty and login, QEMU's keyboard, and what the
host's picture of the display shows. The lane's own unit conflicts with that getty; here it runs, and is restarted.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from checks_screen import LINK, console_mode, framebuffer
from click.testing import CliRunner
from kernel import LONG, wait_for
from manager import Manager
from PIL import Image, ImageChops
from report import Report, Skip

from sco_drivers import open_screen
from sco_drivers.screen import Screen
from sco_drivers.screen.console import K_OFF, KDGKBMODE, VT_ACTIVATE, VT_AUTO, VT_GETSTATE, VT_MODE, VT_SETMODE
from sco_drivers.touch.events import EV_KEY, EVENT
from sco_hwtest.cli.main import main
from sco_hwtest.contracts.screen import scenes

GETTY = "getty@tty1.service"
AGETTY = "/sbin/agetty"
TERMINAL, OTHER_TERMINAL = Path("/dev/tty1"), Path("/dev/tty2")
_QR = replace(next(scene for scene in scenes() if scene.name == "qr"), deadline=None)
"""Without a countdown, nothing changes in it."""
_LANE = """import sys, time
from dataclasses import replace
from sco_drivers import open_screen
from sco_hwtest.cli.main import main
from sco_hwtest.contracts.screen import scenes
screen = open_screen(sys.argv[1])
screen.show(replace(next(scene for scene in scenes() if scene.name == "qr"), deadline=None))
print("shown", flush=True)
time.sleep(600)
"""
TIOCVHANGUP = 0x5437
_GETTY = f"""import fcntl, os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
fcntl.ioctl(os.open("{TERMINAL}", os.O_RDWR), {TIOCVHANGUP})
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv("{AGETTY}", ["agetty", "tty1", "linux"])
"""


class Desk:
    """The terminal with its getty, the keyboard in front of it and the display above."""

    def __init__(self, report: Report, manager: Manager, name: str) -> None:
        self._report = report
        self._manager = manager
        self._name = name
        self._pictures = 0
        described = Path("/proc/bus/input/devices").read_text()
        keyboard = re.search(r'Name="AT[^"]*keyboard".*?\b(event\d+)', described, re.DOTALL)
        assert keyboard, f"no keyboard in {described}"
        self._keyboard = Path("/dev/input") / keyboard[1]

    def start(self) -> None:
        """Start the getty again, as systemd does when it ends: the terminal is hung up, reset and cleared before."""
        self._manager.ctl(
            "reset-failed", GETTY, check=False
        )  # a quick machine starts it more often than its unit allows
        self._manager.ctl("restart", GETTY)
        self.wait_for_prompt()

    def stop(self) -> None:
        """Stop the getty."""
        self._manager.ctl("stop", GETTY)

    def wait_for_prompt(self) -> None:
        """Until the getty asks for a name."""
        wait_for(lambda: self.text().rstrip().endswith("login:"), "the login prompt")

    def text(self) -> str:
        """What the terminal's lines hold, whether the display shows them or not."""
        return Path("/dev/vcs1").read_bytes().decode("ascii", "replace")

    def type(self, *keys: str) -> None:
        """Type on the keyboard ("alt-f2" together), each key when the kernel has had the one before."""
        fd = os.open(self._keyboard, os.O_RDONLY | os.O_NONBLOCK)
        try:
            for key in keys:
                self._report.ask(type=key)
                released = 0
                while released < len(key.split("-")):
                    assert select.select([fd], [], [], LONG)[0], f"the kernel has not had the key {key}"
                    events = EVENT.iter_unpack(os.read(fd, EVENT.size * 64))
                    released += sum(kind == EV_KEY and value == 0 for _, _, kind, _, value in events)
        finally:
            os.close(fd)

    def picture(self) -> tuple[list[str], Image.Image]:
        """The codes on the display and the picture of it, by the host."""
        self._pictures += 1
        name = f"{self._name}-{self._pictures}"
        codes = self._report.ask(look=name)["codes"]
        with Image.open(f"/mnt/{name}.png") as image:
            return codes, image.convert("RGB")

    def shows_code(self) -> Image.Image:
        """Wait until the code is on the display, to which a framebuffer is copied in parts; the picture of it."""
        last: Image.Image | None = None

        def steady() -> bool:
            nonlocal last
            before, (codes, last) = last, self.picture()
            return codes == [LINK] and before == last

        wait_for(steady, "the code is on the display", every_s=0.2)
        assert last is not None
        return last

    def is_usable(self) -> None:
        """The terminal shows text on the display, and its login takes a name."""
        assert console_mode() == 0, "the terminal is still in graphics mode"
        assert keyboard_mode() != K_OFF, "its keyboard is still off"

        def shows_text() -> bool:
            codes, image = self.picture()
            dark = image.convert("L").histogram()[0] / (image.width * image.height)
            return not codes and 0.5 < dark < 1

        wait_for(shows_text, "text is on the display", every_s=0.2)
        self.type("o", "k")
        wait_for(lambda: re.search(r"login: \w*ok\s", self.text()), "what is typed is at the login prompt")
        self.type("ret")
        wait_for(lambda: "Password:" in self.text(), "the login asks for the password")


def keyboard_mode() -> int:
    """K_UNICODE, K_OFF."""
    with TERMINAL.open("rb", buffering=0) as terminal:
        data = bytearray(8)
        fcntl.ioctl(terminal, KDGKBMODE, data)
        return int.from_bytes(data[:4], "little")


def set_automatic() -> None:
    """Any process may take away who decides on a switch to another terminal."""
    with TERMINAL.open("rb", buffering=0) as terminal:
        fcntl.ioctl(terminal, VT_SETMODE, VT_MODE.pack(VT_AUTO, 0, 0, 0, 0))


def active_terminal() -> int:
    """The number of the one that the display belongs to."""
    with Path("/dev/tty0").open("rb", buffering=0) as terminal:
        data = bytearray(6)
        fcntl.ioctl(terminal, VT_GETSTATE, data)
        return int(struct.unpack_from("=H", data)[0])


def run_all(report: Report, manager: Manager) -> None:
    """Each way that a screen takes the display."""
    card = next(iter(sorted(Path("/dev/dri").glob("card*"))))
    urls = {"fb": f"fb://{framebuffer('bochs')}", "drm": f"drm://{card}"}
    checks = (nothing_typed_arrives, restarted, hung_up, stopped, killed_and_released, killed_and_started)
    for kind, url in urls.items():
        for check in checks:
            device, name = f"getty-{kind}", check.__name__.replace("_", "-")

            def one(check=check, url=url, name=f"{device}-{name}") -> None:  # type: ignore[no-untyped-def]
                if not Path(AGETTY).exists():
                    raise Skip("this machine has no agetty")
                if not manager.started:
                    manager.start()
                desk = Desk(report, manager, name)
                desk.start()
                with OTHER_TERMINAL.open("w") as other:  # while it is open a key can switch to it
                    other.write("\033cAnother login:")
                    other.flush()
                    try:
                        check(desk, url)
                    finally:
                        desk.stop()
                        fcntl.ioctl(other, VT_ACTIVATE, 1)

            report.check(device, name, one)


@contextmanager
def showing_code(desk: Desk, url: str) -> Iterator[tuple[Screen, Image.Image]]:
    """An open screen with a code, and its picture."""
    with open_screen(url) as screen:
        screen.show(_QR)
        yield screen, desk.shows_code()


def untouched(desk: Desk, before: Image.Image) -> None:
    """Nothing is drawn over the code, and no key has an effect."""
    desk.type(*"4601234567", "ret", "alt-f2", "ctrl-alt-f2", "alt-right")
    codes, image = desk.picture()
    assert codes == [LINK], codes
    difference = ImageChops.difference(image, before).getbbox()
    assert difference is None, f"the picture has changed at {difference}"
    assert active_terminal() == 1, f"the display was switched to terminal {active_terminal()}"
    assert "4601" not in desk.text(), "the login was typed into"
    desk.type("ctrl-alt-delete")  # last, since the guest is started again if it arrives


def nothing_typed_arrives(desk: Desk, url: str) -> None:
    """Keys reach the login before and after a screen, none in between; what is written does not reach the display."""
    desk.type(*"before")
    wait_for(lambda: "login: before" in desk.text(), "what is typed is at the login prompt")
    with showing_code(desk, url) as (_, picture):
        untouched(desk, picture)
        TERMINAL.write_text("\n\nThe system goes down NOW!\nlogin: before")
        untouched(desk, picture)
    desk.is_usable()
    assert "login: beforeok" in desk.text()


def restarted(desk: Desk, url: str) -> None:
    """A getty that is started again resets the terminal; a screen that is checked, as a lane does, takes it back."""
    with showing_code(desk, url) as (screen, picture):
        desk.start()
        assert console_mode() == 0, "nothing has reset the terminal"
        set_automatic()
        desk.type("alt-f2")
        wait_for(lambda: active_terminal() == 2, "the display is switched to another terminal")
        wait_for(lambda: (screen.check(), active_terminal())[1] == 1, "the display is switched back", every_s=0.5)
        screen.check()
        assert console_mode() == 1, "it was not taken back"
        assert keyboard_mode() == K_OFF, "its keyboard is on"
        desk.shows_code()
        untouched(desk, picture)
        desk.start()
        screen.show(_QR)
        desk.shows_code()
        untouched(desk, picture)
        desk.start()
    desk.is_usable()


def hung_up(desk: Desk, url: str) -> None:
    """A getty of an init system other than systemd hangs the terminal up and does not reset it."""
    desk.stop()
    url += f"?tty={TERMINAL}"  # the kernel does not hang up what is open as tty0
    with showing_code(desk, url) as (screen, picture), bare_getty(desk):
        screen.check()
        untouched(desk, picture)
        screen.close()
        desk.is_usable()
    with lane(url) as process:
        desk.shows_code()
        with bare_getty(desk):
            process.terminate()
            process.wait(30)
            desk.is_usable()


@contextmanager
def bare_getty(desk: Desk) -> Iterator[None]:
    """agetty as an inittab has it, after the hang-up that many gettys begin with."""
    TERMINAL.write_text("\033c")
    with subprocess.Popen([sys.executable, "-c", _GETTY], start_new_session=True) as process:
        try:
            desk.wait_for_prompt()
            yield
        finally:
            process.kill()


@contextmanager
def lane(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that shows a code."""
    with subprocess.Popen([sys.executable, "-c", _LANE, url], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "shown\n"
            yield process
        finally:
            process.kill()


def stopped(desk: Desk, url: str) -> None:
    """A program without handlers that gets SIGTERM."""
    with lane(url) as process:
        picture = desk.shows_code()
        untouched(desk, picture)
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM
    desk.is_usable()


def killed_and_released(desk: Desk, url: str) -> None:
    """kill -9 leaves the terminal dark and deaf; `sco-hwtest screen console` ends that, and so does another getty."""
    with lane(url) as process:
        desk.shows_code()
        process.kill()
        process.wait(30)
        assert (console_mode(), keyboard_mode()) == (1, K_OFF), "who gave the terminal back?"
        done = CliRunner().invoke(main, ["screen", "console"])
        assert done.exit_code == 0, done.output
    desk.is_usable()
    with lane(url) as process:
        desk.shows_code()
        process.kill()
        process.wait(30)
    desk.start()
    desk.is_usable()


def killed_and_started(desk: Desk, url: str) -> None:
    """After kill -9 the next start takes the terminal over, and gives it back at its end."""
    with lane(url) as process:
        desk.shows_code()
        process.kill()
        process.wait(30)
        with showing_code(desk, url) as (_, picture):
            untouched(desk, picture)
    desk.is_usable()
