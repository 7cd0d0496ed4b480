"""udev's rules on real devices: names, groups, twins, names by hand, the kernel's own NFC drivers."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import devices
from kernel import load, run, wait_for
from report import Report
from usb_reader import UsbReader

from sco_drivers import open_nfc
from sco_hwtest import udev_rules, udev_system

SCO = Path("/dev/sco")


def cli(*words: str) -> tuple[int, str]:
    """`sco-hwtest udev ...` in this process."""
    from click.testing import CliRunner

    from sco_hwtest.cli.main import main

    done = CliRunner().invoke(main, ["udev", *words])
    return done.exit_code, done.output


def expect(answer: tuple[int, str], code: int, words: str = "") -> None:
    """AssertionError unless a command ended so and said so."""
    assert answer[0] == code, f"exit status {answer[0]}: {answer[1]}"
    assert words in answer[1], f"{words!r} is not in {answer[1]!r}"


def as_user(groups: list[int], *words: str) -> tuple[int, str]:
    """The same as a user of these groups, in a process of its own."""
    import importlib.readers  # noqa: F401 - what a user may not read on this machine is read before
    import json

    import sco_hwtest.cli.udev  # noqa: F401

    user = pwd.getpwnam("nobody")
    back, out = os.pipe()
    if os.fork() == 0:
        os.setgroups(groups)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.write(out, json.dumps(cli(*words)).encode())
        os._exit(0)
    os.close(out)
    with os.fdopen(back, "rb") as file:
        code, output = json.loads(file.read())
    os.wait()
    return code, output


def name(plain: str) -> Path | None:
    """What /dev/sco/... leads to now."""
    path = SCO / plain
    return path.resolve() if path.exists() else None


def lost_names() -> list[Path]:
    """The names under /dev/sco whose device has gone: udev takes them away a moment after it."""
    return [path for path in SCO.rglob("*") if path.is_symlink() and not path.exists()]


def installs() -> None:
    """Without the group it is refused, with it the rules are in place; `check` reports both."""
    expect(cli("check"), 1, "60-sco.rules is missing")
    expect(cli("install"), 1, "--create-group")
    expect(cli("install", "--create-group"), 0, "screen")
    code, said = cli("install")
    assert code == 0, said
    assert "wrote" not in said, said


def refuses_a_user() -> None:
    """A user who is not root gets a message about it."""
    Path("/etc/udev/rules.d/60-sco.rules").unlink()
    expect(as_user([], "install"), 1, "run it as root")
    udev_rules.Tree().install()


def access(node: Path, expected: str = "sco") -> None:
    """The node belongs to that group only."""
    state = node.stat()
    group = grp.getgrgid(state.st_gid).gr_name
    assert (group, state.st_mode & 0o777) == (expected, 0o660), f"{node} is {group} {state.st_mode & 0o777:o}"


def run_all(
    report: Report,
    printer: devices.UsbPrinter,
    twin: devices.UsbPrinter,
    line: devices.SerialGadget,
    reader: UsbReader,
    stick: UsbReader,
    pad: UsbReader,
) -> None:
    """All of them, in an order that leaves the rules installed and the printer named by hand."""

    def check(function: Callable[[], object]) -> None:
        report.check("udev", function.__name__.replace("_", "-"), function)

    def names_each_kind() -> None:
        """Each kind of device has its plain name, one by port, and its access."""
        reader.plug()
        for kind, node, group in (
            ("printer", printer.lp, "sco"),
            ("printer-usb", None, "sco"),
            ("nfc", None, "sco"),
            ("serial", None, "dialout"),
            ("screen", None, "video"),
            ("screen-drm", Path("/dev/dri/card0"), "video"),
        ):
            wait_for(lambda kind=kind: name(kind), f"/dev/sco/{kind}")
            found = name(kind)
            assert found is not None
            assert node is None or found == node, f"/dev/sco/{kind} is {found}, not {node}"
            access(found, group)
            assert list((SCO / "by-port").glob(f"{kind}-*")), f"{kind} has no name by port"

    def names_a_touch_panel() -> None:
        """A touch panel is named when it comes and not when it has gone."""
        from tests.simulators.uinput import UinputTouch

        with UinputTouch() as panel:
            wait_for(lambda: name("touch"), "/dev/sco/touch")
            assert name("touch") == panel.node
            access(panel.node)
        wait_for(lambda: name("touch") is None, "/dev/sco/touch goes")

    def a_serial_line_is_the_lanes_while_it_is_named() -> None:
        """The till's lines keep their group; one that is named changes it. Without the name, it has its own again when
        it is plugged in."""
        expect(cli("name", "reader", str(line.node)), 0)
        assert name("reader") == line.node
        access(line.node)
        expect(cli("name", "reader", "--forget"), 0, "plugged in again")
        assert name("reader") is None
        line.gadget.unplug()
        line.gadget.plug()
        wait_for(lambda: name("serial"), "/dev/sco/serial")
        access(line.node, "dialout")

    def twins_do_not_swap() -> None:
        """Of two equal printers the first has the plain name; it never goes to the second."""
        first = printer.lp
        twin.gadget.plug()
        wait_for(lambda: twin.lp is not None and len(list((SCO / "by-port").glob("printer-[!u]*"))) == 2, "two by port")
        assert name("printer") == first
        printer.gadget.unplug()
        wait_for(lambda: name("printer") is None, "the name goes with the first")
        run("udevadm", "trigger", "--settle")
        assert name("printer") is None, "the second printer took the first one's name"
        printer.gadget.plug()
        wait_for(lambda: name("printer"), "the first gets its name back")
        assert name("printer") == printer.lp

    def a_name_given_by_hand_stays_with_the_port() -> None:
        """`udev name` gives a name to a port; it goes when the device goes, and no other device gets it."""
        assert twin.lp is not None
        expect(cli("name", "printer", str(twin.lp)), 0)
        assert name("printer") == twin.lp
        twin.gadget.unplug()
        wait_for(lambda: name("printer") is None, "the name goes")
        run("udevadm", "trigger", "--settle")
        assert name("printer") is None, "the name went to another printer"
        twin.gadget.plug()
        wait_for(lambda: name("printer"), "the name comes back")
        assert name("printer") == twin.lp
        expect(cli("name", "printer", "--forget"), 0)
        assert name("printer") == printer.lp, f"after forgetting, /dev/sco/printer is {name('printer')}"
        twin.gadget.unplug()
        wait_for(lambda: not lost_names(), "the names of the second printer go")

    def check_sees_what_a_user_may() -> None:
        """A member of the groups may open the devices; another user is refused, with what to do."""
        sco, *others = (grp.getgrnam(group).gr_gid for group in ("sco", *udev_rules.SYSTEM_GROUPS))
        expect(as_user([sco, *others], "check"), 0)
        expect(as_user([sco], "check"), 1, "the group dialout may")
        stranger = as_user([], "check")
        expect(stranger, 1, "usermod --append --groups sco")
        expect(stranger, 1, "may not open")

    def the_kernels_reader_driver_lets_go() -> None:
        """The kernel takes no reader by itself; a driver that is loaded attaches to them, and lets go at once."""
        for one in (stick, pad):
            one.plug()
            assert not udev_system.loaded(udev_rules.KERNEL_NFC), "the kernel loaded its own driver"
            one.unplug()
        load("pn533_usb", "port100")
        stick.plug()
        pad.plug()
        log = run("dmesg")
        for words in (
            "PN532 firmware ver 1.6 now attached",
            "PN533 firmware ver 2.7 now attached",
            "Port-100 Series attached (firmware v1.11)",
        ):
            assert words in log, f"the kernel's driver never said {words!r}"
        for driver in ("pn533_usb", "port100"):
            bound = [path.name for path in Path(f"/sys/bus/usb/drivers/{driver}").glob("*:*")]
            assert not bound, f"the kernel's {driver} holds {bound}"
        expect(cli("check"), 1, "the kernel's NFC driver is loaded")
        expect(cli("install"), 0)
        assert not udev_system.loaded(udev_rules.KERNEL_NFC), "the kernel's driver is still loaded"
        for one in (stick, pad):
            with open_nfc(one.url) as nfc:
                assert nfc.read().uid == one.chip.tag.uid
            one.unplug()

    check(installs)
    check(names_each_kind)
    check(names_a_touch_panel)
    check(a_serial_line_is_the_lanes_while_it_is_named)
    check(twins_do_not_swap)
    check(a_name_given_by_hand_stays_with_the_port)
    check(check_sees_what_a_user_may)
    check(refuses_a_user)
    check(the_kernels_reader_driver_lets_go)
