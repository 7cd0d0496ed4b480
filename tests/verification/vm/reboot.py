"""A lane's machine loses power in payments and starts by itself: installed by the guide, on a disk that persists.

One story; each check goes on where the one before ended. The bank, the customer, the tag and its reader are here on the
host: they do not lose power with the machine (the reader does).
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fetch import Kit
from lane_machine import LaneMachine, Till, opt_sco, wait_for

from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.paymaster import PayMasterSimulator

DEVICE = "reboot"
UNIT = "sco-lane.service"
_READER_PORT, _TWIN_PORT = 2, 1
_BOOT_S = 150.0
_DISPLAY = """[display]
mode = 2
plate = "dynamic"
[devices]
nfc = "pn532:///dev/sco/reader"
screen = "drm:///dev/sco/screen-drm"
"""
_ENVIRONMENT = {"RES_OPTIONS=timeout:1 attempts:2", "MALLOC_ARENA_MAX=1", "XDG_RUNTIME_DIR=/run/sco"}


class Story:
    """The machine, what is plugged into it, and the bank.

    Args:
        kit: the unpacked packages.
        python: the interpreter of the bench's own program in the machine.
        out: folder for its console and for pictures.
        run_folder: a short path for its disk and its sockets.
        bank, reader, twin: which go on while the machine is dark.
    """

    def __init__(
        self,
        kit: Kit,
        python: Path,
        out: Path,
        run_folder: Path,
        bank: PayMasterSimulator,
        reader: VirtualReader,
        twin: VirtualReader,
    ) -> None:
        self.bank, self.reader, self.twin = bank, reader, twin
        self._out = out
        self._commands = python.parent
        port = urlsplit(bank.base_url).port
        assert port is not None
        usb = {_READER_PORT: reader.path}
        self.machine = LaneMachine(kit, python=python, bank_port=port, usb=usb, out=out, run_folder=run_folder)
        self.till = Till(bank, self.machine.till)

    def hwtest(self, *words: str) -> str:
        """`sco-hwtest` on the machine; returns its output."""
        return self.machine.run(str(self._commands / "sco-hwtest"), *words)

    def pay(self, *words: str) -> str:
        """`sco-pay` on the machine, with its lane; returns its output."""
        return self.machine.run(str(self._commands / "sco-pay"), *words, "--settings", str(opt_sco.SETTINGS))

    def dark(self) -> None:
        """The machine loses power at once, and the reader with it."""
        self.machine.lose_power()
        self.reader.unplug()

    def light(self) -> None:
        """Power is back. What is done from here to `ready` is the machine's own doing."""
        self.reader.replug()
        self.machine.power_on()

    def ready(self) -> None:
        """The lane has become ready by itself, at the first try."""
        self.machine.wait_up()
        self.machine.wait_for(UNIT, "active", _BOOT_S)
        assert self.machine.show(UNIT, "NRestarts") == "0", "it did not start at once"

    def codes(self, picture: str) -> list[str]:
        """On the display, by a photograph."""
        return self.machine.qemu.look(self._out / f"reboot-{picture}.png")

    def is_shown(self, link: str, picture: str) -> None:
        """The link is on the tag and on the screen."""
        assert self.reader.tag.uri() == link, f"the tag carries {self.reader.tag.uri()}"
        wait_for(lambda: self.codes(picture) == [link], "the code is on the screen")

    def ends(self, number: str, how: str, picture: str) -> None:
        """The order reaches this state; no link is left on the tag, and what is on the screen does not move: neither a
        code that counts down nor a request to wait."""
        self.till.wait_for(number, how)
        wait_for(lambda: not self.reader.tag.uri(), "the tag is cleared", 90, every_s=0.2)
        wait_for(lambda: not self.codes(picture) and self.rests(picture), "the customer sees the end")

    def rests(self, picture: str) -> bool:
        """Whether the display is as it was a second ago."""
        before = (self._out / f"reboot-{picture}.png").read_bytes()
        time.sleep(1)
        self.codes(picture)
        return before == (self._out / f"reboot-{picture}.png").read_bytes()

    def books(self, *cases: str) -> None:
        """The journal is whole; the cases are these, as order and reason."""
        assert "all in order" in self.pay("journal", "verify")
        printed = self.pay("cases")
        lines = [" ".join(line.split()) for line in printed.splitlines() if line.startswith("case ")]
        assert len(lines) == len(cases), f"not the cases {cases}: {printed}"
        assert all(case in line for case, line in zip(cases, lines, strict=True)), f"not the cases {cases}: {printed}"

    # --- checks -------------------------------------------------------------------------------------------------------

    def installs(self) -> None:
        """By the guide's commands; what the unit sets in its environment reaches the lane."""
        machine, units = self.machine, Path("/etc/systemd/system")
        machine.power_on()
        machine.wait_up()
        machine.run("useradd", "--system", "--user-group", "--home-dir", str(opt_sco.STATE), "sco")
        machine.write(units / UNIT, self.hwtest("udev", "print", "--unit"))
        machine.write(units / f"{UNIT}.d/override.conf", f"{opt_sco.DROP_IN}\n")  # `systemctl edit` writes this
        machine.run("install", "-d", "-m", "0750", "-o", "root", "-g", "sco", str(opt_sco.SETTINGS.parent))
        machine.run("install", "-m", "0600", "-o", "sco", "-g", "sco", "/dev/null", str(opt_sco.TOKEN))
        machine.write(opt_sco.TOKEN, self.bank.token)
        machine.write(opt_sco.SETTINGS, opt_sco.settings(self.bank, _DISPLAY))
        machine.run("sync")  # an editor's business; what `sco-hwtest` writes must not need it
        self.hwtest("udev", "install", "--create-group", "--user", "sco")
        self.hwtest("udev", "name", "reader", "/dev/ttyUSB0")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "enable", "--now", UNIT)
        self.machine.wait_for(UNIT, "active", _BOOT_S)
        lane = machine.read(f"/proc/{machine.show(UNIT, 'MainPID')}/environ").split("\0")
        assert set(lane) >= _ENVIRONMENT, f"the lane's environment is {lane}"

    def paid_in_the_dark(self) -> None:
        """Power goes while the link is shown, and the customer pays: a case, no second payment, no cancellation, no
        code left. The devices are found though the kernel numbers them differently; the next customer pays."""
        payment = self.till.begin("P-1")
        self.is_shown(payment.link, "1-shown")
        self.machine.plug_in(_TWIN_PORT, self.twin.path)
        wait_for(lambda: "ttyUSB1" in self.machine.run("ls", "/dev"), "the second adapter", every_s=0.5)
        self.dark()
        self.bank.phone.pay(payment.link)
        assert payment.status == "Settled"
        self.light()
        self.ready()
        self.ends("P-1", "paid_late", "2-recovered")
        self.books("order P-1 253,00 ₽ paid_after_restart")
        assert (self.bank.bank.creates, self.bank.bank.cancels) == (1, 0)
        assert self.machine.run("readlink", "/dev/sco/reader").strip() == "../ttyUSB1", "the kernel kept its numbers"
        after = self.till.begin("P-2")
        self.is_shown(after.link, "3-next")
        self.bank.phone.pay(after.link)
        self.ends("P-2", "ended paid", "4-paid")

    def cut_again_in_recovery(self) -> None:
        """Nobody pays; power goes, comes back, and goes again as the bank takes the cancellation: there is no second
        one. The reader is plugged in only after the lane is ready: the link on the tag, which kept it, goes then."""
        payment = self.till.begin("P-3")
        self.is_shown(payment.link, "5-shown")
        self.dark()
        del self.machine.usb[_READER_PORT]
        self.light()
        wait_for(lambda: payment.cancel_requests, "the lane cancels what it finds open", _BOOT_S, every_s=0.002)
        self.dark()
        self.light()
        self.ready()
        wait_for(lambda: payment.final, "the payment is over at the bank")
        assert self.machine.run("ls", "/dev").split().count("ttyUSB0") == 1
        self.machine.run("test", "!", "-e", "/dev/sco/reader")  # another adapter does not get its name
        assert self.reader.tag.uri() == payment.link
        self.machine.plug_in(_READER_PORT, self.reader.path)
        self.ends("P-3", "closed", "6-recovered")
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1), payment
        assert self.bank.bank.creates == 3
        self.books("order P-1 253,00 ₽ paid_after_restart")

    def goes_down_in_order(self) -> None:
        """Switched off in a payment: the bank hears of it while there is a network, and no link is left."""
        payment = self.till.begin("P-4")
        self.is_shown(payment.link, "7-shown")
        self.machine.switch_off()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1), payment
        assert not self.reader.tag.uri(), "a link was left on the tag"
        assert self.machine.said(f"{UNIT}: Deactivated successfully"), "the lane was killed"


CHECKS = (Story.installs, Story.paid_in_the_dark, Story.cut_again_in_recovery, Story.goes_down_in_order)


def names() -> dict[str, Callable[[Story], None]]:
    """The checks by name."""
    return {check.__name__.replace("_", "-"): check for check in CHECKS}


def run_all(kit: Kit, python: Path, out: Path, run_folder: Path, report: Callable[[dict[str, Any]], None]) -> None:
    """All checks, each reported when it ends. After a failure the rest cannot run."""
    before = ""
    with PayMasterSimulator(script="leaves") as bank, VirtualReader() as reader, VirtualReader() as twin:
        story = Story(kit, python, out, run_folder, bank, reader, twin)
        try:
            for name, check in names().items():
                start = time.monotonic()
                outcome, detail = "passed", ""
                if before:
                    outcome, detail = "skipped", f"{before} failed"
                else:
                    try:
                        check(story)
                    except Exception as error:
                        outcome, detail, before = "failed", f"{type(error).__name__}: {error}", name
                        traceback.print_exc()
                took = round(time.monotonic() - start, 2)
                report({"device": DEVICE, "check": name, "outcome": outcome, "seconds": took, "detail": detail})
        finally:
            story.machine.lose_power()
