"""The udev commands on a file tree; what the rules do to real devices is tests/vm's business."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sco_hwtest import udev_rules, udev_system
from sco_hwtest.cli import udev as udev_command
from sco_hwtest.cli.main import main
from sco_hwtest.udev_rules import BLACKLIST, KINDS, RULES, UNIT, Tree, UdevProblem
from sco_hwtest.udev_system import Link, links, naming_line
from sco_service import service


def _udev(*words: str) -> Result:
    return CliRunner().invoke(main, ["udev", *words])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\nsco:x:999:\n")
    return tmp_path


def test_rules_are_installed_into_an_image(image: Path) -> None:
    before = _udev("check", "--root", str(image))
    assert (before.exit_code, "60-sco.rules is missing" in before.output) == (1, True)
    done = _udev("install", "--root", str(image))
    assert done.exit_code == 0, done.output
    for file in (RULES, BLACKLIST):
        path = image / file.folder / file.name
        assert path.read_text() == file.text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    after = _udev("check", "--root", str(image))
    assert (after.exit_code, "no problems found" in after.output) == (0, True), after.output
    again = _udev("install", "--root", str(image))
    assert "wrote" not in again.output, "what is in place is not written again"


def test_files_are_synced_before_success_is_reported(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        whole = path.is_dir() or path.read_text() == RULES.text()
        steps.append(f"{path.relative_to(image)} {'whole' if whole else 'in part'}")
        sync(number)

    def put(self: Path, target: Path) -> Path:
        steps.append(f"-> {target.relative_to(image)}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", put)
    Tree(image).write(f"{RULES.folder}/{RULES.name}", RULES.text())
    written = f"{RULES.folder}/.{RULES.name}.new whole"
    assert steps[-3:] == [written, f"-> {RULES.folder}/{RULES.name}", f"{RULES.folder} whole"]
    assert {"etc whole", "etc/udev whole"} <= set(steps[:-3]), "the folders that were made are lost with the power"


def test_changed_rules_are_reported(image: Path) -> None:
    _udev("install", "--root", str(image))
    path = image / RULES.folder / RULES.name
    path.write_text(path.read_text().replace("0660", "0666"))
    done = _udev("check", "--root", str(image))
    assert done.exit_code == 1
    assert "differs from this version's" in done.output
    _udev("install", "--root", str(image))
    assert path.read_text() == RULES.text()


def test_the_rules_of_a_debian_package_are_found(image: Path) -> None:
    for file in (RULES, BLACKLIST):
        Tree(image).write(f"usr/lib/{file.folder.removeprefix('etc/')}/{file.name}", file.text())
    (image / "lib").symlink_to("usr/lib")
    done = _udev("check", "--root", str(image))
    assert done.exit_code == 0, done.output
    assert f"installed in {image}/usr/lib/udev/rules.d" in done.output
    assert "wrote" not in _udev("install", "--root", str(image)).output
    removed = _udev("install", "--remove", "--root", str(image))
    assert f"note: {image}/usr/lib/udev/rules.d/60-sco.rules stays in force" in removed.output


@pytest.mark.parametrize("edited", [False, True])
def test_a_file_that_overrides_the_packages_is_reported(image: Path, edited: bool) -> None:
    for folder in ("etc", "usr/lib"):
        Tree(image).write(f"{folder}/udev/rules.d/{RULES.name}", RULES.text())
    Tree(image).write(f"usr/lib/modprobe.d/{BLACKLIST.name}", BLACKLIST.text())
    ours = image / "etc/udev/rules.d" / RULES.name
    ours.write_text(ours.read_text() + ("# edited\n" if edited else ""))
    done = _udev("check", "--root", str(image))
    assert done.exit_code == 1
    [said] = [line for line in done.output.splitlines() if line.startswith("! ")]
    assert said.startswith(f"! {ours} overrides {image}/usr/lib/udev/rules.d/60-sco.rules")
    assert f"sudo rm {ours}" in said
    assert ("differs" in said) is edited


def test_a_user_joins_the_groups_of_lines_and_screens_too(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(udev_rules, "run", lambda command, _what: calls.append(command) or "")
    with (image / "etc/group").open("a") as file:
        file.write("dialout:x:20:\n")  # and no video
    done = _udev("install", "--user", "till", "--root", str(image))
    assert done.exit_code == 0, done.output
    assert calls == [["usermod", "--prefix", str(image), "--append", "--groups", "sco,dialout", "till"]]
    assert "till is in the groups sco,dialout" in done.output


def test_without_the_group_nothing_is_installed(tmp_path: Path) -> None:
    done = _udev("install", "--root", str(tmp_path))
    assert done.exit_code == 1
    assert "--create-group" in done.output
    assert not (tmp_path / RULES.folder / RULES.name).exists()


def test_removing_leaves_nothing(image: Path) -> None:
    _udev("install", "--root", str(image))
    assert _udev("install", "--remove", "--root", str(image)).exit_code == 0
    assert not (image / RULES.folder / RULES.name).exists()
    assert not (image / BLACKLIST.folder / BLACKLIST.name).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the virtual bench does this as a user")
def test_missing_permission_is_reported(image: Path) -> None:
    (image / "etc").chmod(0o555)
    done = _udev("install", "--root", str(image))
    assert (done.exit_code, "run it as root" in done.output) == (1, True)


def test_an_unwritable_folder_is_reported_in_one_line(image: Path) -> None:
    (image / "etc/udev").write_text("a file where a folder should be")
    done = _udev("install", "--root", str(image))
    assert (done.exit_code, "cannot be" in done.output) == (1, True), done.output
    assert "Traceback" not in done.output


def test_a_machine_without_udev_gets_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = _udev("install", "--create-group")
    assert (done.exit_code, "udevadm is not on this machine" in done.output) == (1, True)


@pytest.mark.parametrize("name", ["", "Printer", "by-port", "../etc/passwd", "a b", 'x"', "1st"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(UdevProblem, match="invalid name"):
        naming_line(name, "/dev/null")
    done = _udev("name", "--", name, "/dev/null")  # whether udev is there or not
    assert (done.exit_code, "invalid name" in done.output) == (1, True)


def test_a_missing_device_cannot_be_named() -> None:
    done = _udev("name", "printer", "/dev/usb/lp99", "--root", "/tmp")
    assert (done.exit_code, "/dev/usb/lp99 does not exist" in done.output) == (1, True)


def test_given_names_are_kept_and_replace_the_plain_name(image: Path) -> None:
    tree = Tree(image)
    tree.set_name("printer", 'SUBSYSTEM=="usbmisc", ENV{ID_PATH}=="a", ENV{SCO_NAME}="printer"')
    tree.set_name("left", 'SUBSYSTEM=="usbmisc", ENV{ID_PATH}=="b", ENV{SCO_NAME}="left"')
    text = (image / udev_rules.NAMES).read_text()
    assert 'ENV{SCO_TAKEN}=":printer:"' in text
    assert sorted(tree.names()) == ["left", "printer"]
    assert _udev("name", "printer", "--forget", "--root", str(image)).exit_code == 0
    assert sorted(tree.names()) == ["left"]
    assert "SCO_TAKEN" not in (image / udev_rules.NAMES).read_text()
    lost = _udev("name", "printer", "--forget", "--root", str(image))
    assert (lost.exit_code, "names in" in lost.output) == (1, True)


def test_links_are_read(tmp_path: Path) -> None:
    folder, claims, node = tmp_path / "sco", tmp_path / "links", tmp_path / "lp0"
    (folder / "by-port").mkdir(parents=True)
    node.touch(0o600)
    (folder / "printer").symlink_to(node)
    (folder / "by-port/printer-pci-usb-0:1").symlink_to(node)
    (folder / "nfc").symlink_to(tmp_path / "gone")
    wanted = claims / "sco\\x2fprinter"
    wanted.mkdir(parents=True)
    for entry in (".lock", "c180:0", "c180:1"):
        (wanted / entry).touch()
    found = {link.name: link for link in links(folder, claims)}
    assert next(iter(found)) == "nfc", "plain names come first"
    assert (found["printer"].node, found["printer"].claims, found["printer"].openable) == (node, 2, True)
    assert found["by-port/printer-pci-usb-0:1"].claims == 1
    assert found["nfc"].node is None


def test_names_are_checked_after_udev_has_settled(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.touch()
    threading.Timer(0.2, queue.unlink).start()
    udev_system.settle(queue)
    assert not queue.exists()
    queue.touch()
    begun = time.monotonic()
    udev_system.settle(queue, seconds=0.1)
    assert queue.exists(), "a udev that never rests is not waited for"
    assert time.monotonic() - begun < 5


def test_given_names_work_for_every_kind() -> None:
    """udev cannot compare two variables, so the rules spell out each kind."""
    text = RULES.text()
    assert set(re.findall(r'ENV\{SCO_KIND\}="([a-z-]+)"', text)) == set(KINDS)
    assert set(re.findall(r'ENV\{SCO_TAKEN\}=="\*:([a-z-]+):\*", ENV\{SCO_KIND\}=="\1"', text)) == set(KINDS)
    modes = set(re.findall(r'MODE="(\d+)"', text))
    assert modes == {"0660"}, "nothing is open to everybody"


def test_every_goto_has_its_label() -> None:
    text = RULES.text()
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))


def test_the_rules_know_all_readers_of_nfcpy() -> None:
    from nfc.clf import device

    text = RULES.text()
    for vendor, product in device.usb_device_map:
        lines = [line for line in text.splitlines() if f'ATTR{{idVendor}}=="{vendor:04x}"' in line]
        assert any(f"{product:04x}" in line and 'SCO_KIND}="nfc"' in line for line in lines), (
            f"{vendor:04x}:{product:04x}"
        )


def test_the_wheel_contains_the_rules(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    root = Path(__file__).parents[2]
    wheel = next(WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        for file in (RULES, BLACKLIST, UNIT):
            assert archive.read(f"sco_hwtest/udev/{file.name}").decode() == file.text()


@pytest.mark.program("systemd-analyze")
def test_systemd_accepts_the_unit_and_its_sandbox(tmp_path: Path) -> None:
    unit = tmp_path / "sco-lane.service"
    unit.write_text(_udev("print", "--unit").output.replace("/opt/sco/bin/sco-pay", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "sco-lane" in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-300:]


def test_the_unit_allows_the_devices_of_the_rules() -> None:
    text = _udev("print", "--unit").output
    for devices in ("usb_device", "usb", "ttyUSB", "ttyACM", "fb", "drm", "input"):
        assert f"DeviceAllow=char-{devices} r" in text, devices


def test_the_unit_may_use_serial_ports_and_screens() -> None:
    """Our rules leave them to Debian's groups: the till's own program may be in one."""
    text = _udev("print", "--unit").output
    for devices in ("ttyS", "ttyAMA", "ttymxc"):
        assert f"DeviceAllow=char-{devices} rw\n" in text
    [groups] = re.findall(r"^SupplementaryGroups=(.*)$", text, re.MULTILINE)
    assert {*udev_rules.SYSTEM_GROUPS} <= {*groups.split()}


def test_the_unit_waits_longer_than_the_service_needs_to_stop() -> None:
    """75 s for the bank, and the ends of payments, server, watcher and devices after it: a kill would make a case."""
    [limit] = re.findall(r"^TimeoutStopSec=(\d+)$", _udev("print", "--unit").output, re.MULTILINE)
    assert int(limit) > service._STOP_S + 20


@pytest.mark.parametrize(
    ("name", "by_port", "group", "openable", "problem"),
    [
        ("serial", "serial-usb-0:1", "dialout", True, ""),
        ("serial", "serial-usb-0:1", "dialout", False, "this user may not open {node}: the group dialout may"),
        ("screen", "screen-pci", "video", True, ""),
        ("left", "screen-drm-pci", "video", True, ""),
        ("reader", "serial-usb-0:1", "sco", True, ""),
        ("reader", "serial-usb-0:1", "dialout", True, "belongs to the group dialout, not sco"),
        ("printer", "printer-usb-0:1", "lp", True, "belongs to the group lp, not sco"),
        ("touch", "touch-usb-0:1", "input", True, "belongs to the group input, not sco"),
    ],
)
def test_check_knows_whose_group_a_device_keeps(
    name: str, by_port: str, group: str, openable: bool, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = tmp_path / "node"
    found = [Link(each, node, 0o660, group, openable, 1) for each in (name, f"by-port/{by_port}")]
    monkeypatch.setattr(udev_system, "links", lambda: found)
    monkeypatch.setattr(Tree, "names", lambda _tree: {each: "" for each in ("reader", "left") if each == name})
    problems = udev_command._devices()
    assert [problem.format(node=node) in said for said in problems] == [True] * (len(problems) if problem else 0)
    assert bool(problems) is bool(problem), problems


@pytest.fixture
def udevadm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A udevadm that answers what is written into this file."""
    answer, command = tmp_path / "answer", tmp_path / "bin/udevadm"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\ncat "{answer}"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    return answer


def test_a_built_in_serial_port_needs_no_name(image: Path, udevadm: Path) -> None:
    port = image / "ttyS0"
    port.touch()
    udevadm.write_text(f"DEVPATH=/devices/pnp0/00:05/tty/ttyS0\nDEVNAME={port}\nSUBSYSTEM=tty\n")
    done = _udev("name", "printer", str(port), "--root", str(image))
    assert done.exit_code == 1
    for words in ("is built in", f"serial://{port}", "group is", "usermod -aG"):
        assert words in done.output
    assert not Tree(image).names()
    udevadm.write_text("DEVPATH=/devices/virtual/tty/tty1\nSUBSYSTEM=tty\n")
    assert "has no port" in _udev("name", "printer", str(port), "--root", str(image)).output


def test_the_unit_loads_the_drivers_of_its_devices() -> None:
    """systemd looks a kind of device up when the service starts, and allows none whose driver comes later."""
    text = _udev("print", "--unit").output
    for order in ("Wants", "After"):
        named = " ".join(re.findall(rf"^{order}=(.*)$", text, re.MULTILINE)).split()
        for module in ("cdc_acm", "usbserial", "drm"):
            assert f"modprobe@{module}.service" in named, f"{order}: {module}"
