"""sco-lane.service under a systemd that runs: installed as a user installs it, on the kernel's devices.

The lane is a program of its own in the unit's sandbox. PayMaster's simulator and the customer are out here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import devices
import opt_sco
from checks_screen import console_mode
from checks_udev import cli
from kernel import run, wait_for
from manager import Manager
from opt_sco import SETTINGS, STATE, TOKEN
from report import Report
from till import PLACE, Till
from usb_reader import UsbReader

from sco_payment.attempt import Phase
from sco_payment.journal import Journal
from sco_sim.paymaster import PayMasterSimulator
from tests.simulators.uinput import UinputTouch

UNIT = "sco-lane.service"
INSTALL = Path(__file__).resolve().parents[4] / "packaging/install.sh"
_LONG = 90.0
_TTY_CONFIG = 1 << 26


class LaneUnit(Till):
    """The unit, its till and its bank."""

    def __init__(self, manager: Manager, bank: PayMasterSimulator) -> None:
        super().__init__(bank)
        self.manager = manager

    @contextmanager
    def hang(self) -> Iterator[None]:
        """The program's loop hangs; it ends by a kill only."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(PLACE)
            line.sendall(b'{"hang": true}\n')
            yield

    def start(self) -> None:
        """Start it unless it runs; it has said that it is ready when this returns."""
        self.manager.ctl("start", UNIT)

    @property
    def state(self) -> str:
        """As `systemctl is-active` prints it."""
        return self.manager.show(UNIT, "ActiveState")

    @property
    def main(self) -> int:
        """The program's process, by its number here."""
        number = self.manager.show(UNIT, "MainPID")
        found = [pid for pid in self.manager.processes(UNIT) if status_of(pid)["NSpid"].split()[-1] == number]
        assert len(found) == 1, f"the unit's main processes are {found}"
        return found[0]


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def install(manager: Manager, bank: PayMasterSimulator, display: str) -> LaneUnit:
    """As in docs/guide/install.md, with a lane program and settings of the bench; udev's rules are there already."""
    if not manager.started:
        _add_user()
        opt_sco.make()
        manager.start()
        code, unit = cli("print", "--unit")
        assert code == 0, unit
        (Path("/etc/systemd/system") / UNIT).write_text(unit)
        manager.edit(UNIT, opt_sco.DROP_IN)
        manager.ctl("enable", UNIT)
        SETTINGS.parent.mkdir(mode=0o750)
        shutil.chown(SETTINGS.parent, "root", "sco")
        TOKEN.touch(0o600)
        shutil.chown(TOKEN, "sco", "sco")
        TOKEN.write_text(bank.token)
    SETTINGS.write_text(opt_sco.settings(bank, display))
    return LaneUnit(manager, bank)


def _add_user() -> None:
    """`adduser --system --group sco`, on a machine that has the group already."""
    try:
        pwd.getpwnam("sco")
    except KeyError:
        run("useradd", "--system", "--gid", "sco", "--home-dir", str(STATE), "--create-home", "sco")


def as_sco(path: str, flags: int) -> bool:
    """Whether the lane's user opens it outside the unit: what the unit refuses is then the unit's word."""
    user = pwd.getpwnam("sco")
    if (child := os.fork()) == 0:
        try:
            os.setgroups([user.pw_gid])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.open(path, flags, 0o600)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def open_to_all(*nodes: Path) -> Iterator[None]:
    """Nodes whose mode denies no user, so that only the sandbox can."""
    modes = [node.stat().st_mode for node in nodes]
    for node in nodes:
        node.chmod(0o666)
    try:
        yield
    finally:
        for node, mode in zip(nodes, modes, strict=True):
            node.chmod(mode & 0o7777)


def run_all(
    report: Report, manager: Manager, printer: devices.UsbPrinter, reader: UsbReader, line: devices.SerialGadget
) -> None:
    """One lane in its unit, from the first start to the last stop; then another one with a printer."""
    tag = reader.chip.tag

    def lane() -> LaneUnit:
        reader.plug()
        if not manager.started:
            line.gadget.unplug()
            run("modprobe", "--remove", "cdc_acm")
            assert "ttyACM" not in Path("/proc/devices").read_text()
        display = (
            '[display]\nmode = 2\nplate = "dynamic"\n'
            f'[devices]\nnfc = "{reader.url}"\nscreen = "drm:///dev/sco/screen-drm"\ntouch = "evdev:///dev/sco/touch"'
        )
        unit = install(manager, bank, display)
        unit.start()
        return unit

    def becomes_ready() -> None:
        """READY comes from the program; it is the user sco, with one capability and none to be had."""
        unit = lane()
        assert manager.show(UNIT, "StatusText") == "waits for an order", manager.show(UNIT, "StatusText")
        status = status_of(unit.main)
        user = pwd.getpwnam("sco")
        assert set(status["Uid"].split()) == {str(user.pw_uid)}, status["Uid"]
        for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == _TTY_CONFIG, f"{name} is {status[name]}"
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status
        assert (STATE / "journal.db").stat().st_uid == user.pw_uid
        complaints = [said for said in manager.journal(UNIT).splitlines() if "already exists" in said]
        assert not complaints, complaints

    def an_upgrade_sees_the_units_environment() -> None:
        """The bundle's install.sh checks the settings with what the unit sets: the token may be in its environment."""
        lane()
        file = SETTINGS.with_name("environment")
        file.write_text("SCO_PAYMASTER_TOKEN=of-the-file\n")
        more = Path(f"/etc/systemd/system/{UNIT}.d/environment.conf")
        more.write_text(
            f'[Service]\nEnvironment="SCO_LANE_SHOP=a shop"\nEnvironmentFile={file}\nEnvironmentFile=-/none\n'
        )
        manager.ctl("daemon-reload")
        program = Path("/srv/bin/sco-pay")
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\nid -un\nenv\n[ "$*" = "settings check /etc/sco/lane.toml" ]\n')
        program.chmod(0o755)
        functions, _, _ = INSTALL.read_text().partition('\ncase "${1:-install}"')
        said = manager.run("sh", "-c", f"{functions}\naccepts_settings /srv").splitlines()
        more.unlink()
        manager.ctl("daemon-reload")
        assert {"sco", "SCO_PAYMASTER_TOKEN=of-the-file", "SCO_LANE_SHOP=a shop", "MALLOC_ARENA_MAX=1"} <= {*said}, said

    def only_the_lanes_devices() -> None:
        """What the rules name can be opened, also where its driver was not loaded before the unit was started; another
        node cannot, even where its mode lets everybody in."""
        unit = lane()
        printer.gadget.plug()
        line.gadget.plug()
        for kind in ("printer", "nfc", "serial", "screen", "screen-drm", "touch"):
            wait_for(lambda kind=kind: Path(f"/dev/sco/{kind}").exists(), f"/dev/sco/{kind}")
            answer = unit.ask(open=f"/dev/sco/{kind}", write=kind != "touch")
            assert answer == "opened", f"/dev/sco/{kind}: {answer}"
        others = Path("/dev/uinput"), Path("/dev/g_printer0"), Path("/dev/mem")
        with open_to_all(*others):
            assert as_sco("/dev/uinput", os.O_RDWR), "the user cannot open it outside the unit either"
            for node in others:
                answer = unit.ask(open=str(node), write=True)
                assert answer == "EPERM", f"{node}: {answer}"
        touch = Path("/dev/sco/touch").resolve()
        keyboards = [node for node in Path("/dev/input").glob("event*") if node != touch]
        assert keyboards, "there is no other input device"
        for node in keyboards:
            assert unit.ask(open=str(node), write=False) == "EACCES", f"{node} can be read"
        with open_to_all(touch):
            assert unit.ask(open=str(touch), write=True) == "EPERM", "events can be made up"

    def nothing_else_can_be_written() -> None:
        """Its own state and folders for a while can; the system, homes and other processes are out of reach."""
        unit = lane()
        for folder in ("/etc", "/usr", "/opt", "/home", "/root", "/var/log"):
            place = Path(folder) / "open-to-all"
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777)
            answer = unit.ask(create=f"{place}/file")
            assert answer in ("EROFS", "EACCES", "ENOENT"), f"{place}: {answer}"
        assert as_sco("/etc/open-to-all/other", os.O_WRONLY | os.O_CREAT), "the user cannot outside the unit either"
        for place in ("/var/lib/sco/file", "/run/sco/file", "/tmp/of-the-unit"):
            answer = unit.ask(create=place)
            assert answer == "opened", f"{place}: {answer}"
        assert not Path("/tmp/of-the-unit").exists(), "/tmp is everybody's"
        assert unit.ask(open="/proc/1/status", write=False) == "ENOENT", "other processes are seen"
        assert unit.ask(open=str(SETTINGS), write=False) == "opened"

    def pays() -> None:
        """The link is on the tag and on the screen; the payment is made; the console is the lane's."""
        unit = lane()
        payment = unit.begin("V-1")
        assert tag.uri() == payment.link, f"the tag carries {tag.uri()}"
        wait_for(lambda: report.ask(look="service-mode-2")["codes"] == [payment.link], "the code is on the screen")
        assert console_mode() == 1, "the console is in text mode while we draw"
        unit.bank.phone.pay(tag.uri())
        unit.wait_for("V-1", "ended paid")
        assert payment.cancel_requests == 0
        wait_for(lambda: not tag.uri(), "the tag is cleared")

    def hangs_and_is_recovered() -> None:
        """A program whose loop hangs in a payment is killed and started again; the payment is cancelled, once."""
        unit = lane()
        payment = unit.begin("V-2")
        before = unit.main
        with unit.hang():
            wait_for(lambda: manager.show(UNIT, "NRestarts") == "1", "it is started again", _LONG, every_s=0.5)
        wait_for(lambda: unit.state == "active", "it is ready again", _LONG, every_s=0.5)
        assert unit.main != before
        assert "Watchdog timeout" in manager.journal(UNIT)
        wait_for(lambda: payment.final, "the payment is over at the bank", _LONG)
        assert payment.status == "Cancelled", payment.status
        assert payment.cancel_requests == 1, f"{payment.cancel_requests} cancellations"
        wait_for(lambda: not tag.uri(), "the tag is cleared")

    def hangs_and_is_stopped() -> None:
        """A program that hangs does not heed a stop either, and is killed: the next start cancels the payment, once."""
        unit = lane()
        payment = unit.begin("V-3")
        with unit.hang():
            manager.ctl("stop", UNIT)
        assert console_mode() == 1, "who gave the console back?"
        lane()
        wait_for(lambda: payment.final, "the payment is over at the bank", _LONG)
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1), payment

    def stops_in_a_payment() -> None:
        """`systemctl stop` cancels the payment at the bank and waits for its word; the console, which the lane before
        may have left in graphics mode, is text again."""
        unit = lane()
        payment = unit.begin("V-4")
        assert console_mode() == 1, "the console is in text mode while we draw"
        manager.ctl("stop", UNIT)
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1), payment
        assert manager.show(UNIT, "Result") == "success", manager.show(UNIT, "Result")
        assert not manager.processes(UNIT)
        assert not tag.uri(), "a link was left on the tag"
        assert console_mode() == 0, "the console was not given back"
        with Journal(STATE / "journal.db", read_only=True) as journal:
            assert not journal.verify()
            assert not journal.cases()
            assert {state.phase for state in journal.attempts(open_only=True)} <= {Phase.CLOSED}

    def getty_gives_way() -> None:
        """The login prompt of the terminal ends before the lane takes the display."""
        getty = "getty@tty1.service"
        lane()
        manager.ctl("start", getty)
        wait_for(lambda: manager.show(getty, "ActiveState") == "active", "the getty runs")
        assert manager.show(UNIT, "ActiveState") != "active", "the getty and the lane have one terminal"
        unit = lane()
        assert manager.show(getty, "ActiveState") != "active", "the lane and the getty have one terminal"
        unit.begin("V-5")
        wait_for(lambda: console_mode() == 1, "the lane has the console")
        manager.ctl("stop", UNIT)
        assert console_mode() == 0, "the console was not given back"

    def prints() -> None:
        """Another lane in the same unit: its ticket comes out of the USB printer, and is paid."""
        from sco_sim.demo import decode

        manager.ctl("stop", UNIT, check=False)
        with printer.on() as paper:
            unit = install(manager, bank, '[display]\nmode = 0\n[devices]\nprinter = "lp:///dev/sco/printer"')
            unit.start()
            unit.begin("V-6")
            link = decode(paper.tickets[-1].image())
            assert link, "the code on the paper cannot be read"
            unit.bank.phone.pay(link)
            unit.wait_for("V-6", "ended paid")
            manager.ctl("stop", UNIT)

    checks = (
        becomes_ready,
        an_upgrade_sees_the_units_environment,
        only_the_lanes_devices,
        nothing_else_can_be_written,
        pays,
        hangs_and_is_recovered,
        hangs_and_is_stopped,
        stops_in_a_payment,
        getty_gives_way,
        prints,
    )
    names = [(function.__name__.replace("_", "-"), function) for function in checks]
    if not any(report.wanted("service", name) for name, _ in names):
        return
    with PayMasterSimulator(script="leaves") as bank, UinputTouch((800, 600)):
        for name, function in names:
            if not report.check("service", name, function) and manager.started:
                print(manager.ctl("status", UNIT, check=False), manager.journal(UNIT), sep="\n", flush=True)
        if manager.started:
            manager.ctl("stop", UNIT, check=False)
