"""A lane's machine: a guest with a disk, systemd as its first process, a network and USB; it can lose power.

Its root is the host's files below what it has written to its disk, so that it keeps what was installed. The disk's own
file system (ext4) is mounted at /var/lib/sco, for the journal. What is on the USB, the bank behind the network and the
customer are the host's processes: they continue while the machine has no power.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from boot import EARLY, GuestFailed, Qemu, initramfs
from fetch import Kit

sys.path.insert(1, str(Path(__file__).with_name("guest")))

import opt_sco
from kernel import wait_for
from manager import NOT_HERE
from till import Till

__all__ = ["LaneMachine", "Till", "opt_sco", "wait_for"]

BANK = "bench-bank"
_GUEST = Path(__file__).with_name("guest")
_DISK_BYTES = 1 << 30
_SILENCE_S, _WHOLE_S = 150.0, 1800.0
_NOT_NEEDED = (
    *(unit for unit in NOT_HERE if "udev" not in unit),
    "systemd-logind.service",  # it wants D-Bus
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "getty.target",
    *(f"{mount}.mount" for mount in ("sys-kernel-tracing", "sys-kernel-debug", "sys-fs-fuse-connections")),
    *(f"{mount}.mount" for mount in ("dev-hugepages", "dev-mqueue", "sys-kernel-config")),
)
_NO_DRIVERS = (
    *("floppy", "ata_piix", "ata_generic", "psmouse", "pcspkr", "i2c_piix4", "mac_hid", "button", "serio_raw"),
    *("kvm", "kvm_amd", "kvm_intel", "powernow_k8", "acpi_cpufreq", "intel_rapl_msr", "intel_rapl_common"),
    *("aesni_intel", "ghash_clmulni_intel", "crc32_pclmul", "crc32c_intel", "crct10dif_pclmul", "sha512_ssse3"),
)
"""Of other hardware that QEMU has; each takes a second or so to load."""
_REST = """b={busybox}
if ! [ -e /etc/bench ]; then
  for d in bin sbin lib/udev lib/modprobe.d lib/x86_64-linux-gnu usr/lib; do
    [ -d {guest}/$d ] || continue
    $b mkdir -p /$d
    $b cp -af {guest}/$d/. /$d/
  done
  $b rm -rf /etc/systemd /etc/fstab /etc/machine-id /.dockerenv
  $b cp -dRf {seed}/. /
  $b mkdir -p /lib/systemd /lib/modules/{release}
  $b touch /etc/bench
fi
$b mount --bind {guest}/lib/systemd /lib/systemd
$b mount --bind {modules} /lib/modules/{release}
exec /lib/systemd/systemd
"""
_AGENT = """[Unit]
Description=The bench's agent in this machine
[Service]
ExecStart={python} {program}
[Install]
WantedBy=multi-user.target
"""
_SOCKET = """[Unit]
Description=The bank, which is on the host: plain http is allowed to this machine only
[Socket]
ListenStream=127.0.0.1:{port}
"""
_PROXY = """[Unit]
Description=The way to the bank, which starts and stops when a name server on this machine would
Requires={bank}.socket
Wants=nss-lookup.target
After={bank}.socket
Before=nss-lookup.target
[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd 10.0.2.2:{port}
"""


class LaneMachine:
    """The machine; dark until `power_on`.

    Args:
        kit: the unpacked packages.
        python: the interpreter of the bench's own program in it.
        bank_port: where the bank listens on the host; the machine finds it at the same port of its own.
        usb: lines of the host that are USB serial adapters to it, by port.
        out: folder for its console.
        run_folder: a short path for its disk and its sockets.

    Attributes:
        usb: what is plugged in when its power comes.
    """

    def __init__(
        self, kit: Kit, *, python: Path, bank_port: int, usb: dict[int, Path], out: Path, run_folder: Path
    ) -> None:
        self._kit, self._run_folder, self.usb = kit, run_folder, usb
        self._console = out / "reboot-console.log"
        self._disk = run_folder / "disk"
        self._image = run_folder / "initramfs.cpio"
        self._qemu: Qemu | None = None
        self._seed(run_folder / "seed", python, bank_port)
        rest = run_folder / "rest.sh"
        rest.write_text(_REST.format(**kit.words(), seed=shlex.quote(str(run_folder / "seed"))))
        modules = (*EARLY, "virtio_blk", "crc32c_generic", "ext4")
        more = "$b mkdir -p /rw/sco /root/var/lib/sco\n$b mount --bind /rw/sco /root/var/lib/sco"
        self._image.write_bytes(initramfs(kit, rest, modules=modules, rw="-t ext4 /dev/vda", more=more))
        with self._disk.open("wb") as file:
            file.truncate(_DISK_BYTES)
        subprocess.run([*kit.mkfs(), str(self._disk)], env=kit.environment(), check=True, capture_output=True)

    def _seed(self, root: Path, python: Path, bank_port: int) -> None:
        """What is on its disk before its first start: Debian's, without what a lane does not need, and the bench's."""
        units = root / "etc/systemd/system"
        for folder in ("sockets", "multi-user", "network-online"):
            (units / f"{folder}.target.wants").mkdir(parents=True)
        generators = root / "etc/systemd/system-generators"
        generators.mkdir()
        for name in _NOT_NEEDED:
            (units / name).symlink_to("/dev/null")
        for generator in (self._kit.guest / "lib/systemd/system-generators").iterdir():
            if generator.name != "systemd-fstab-generator":
                (generators / generator.name).symlink_to("/dev/null")
        library = Path("/lib/systemd/system")
        (units / "default.target").symlink_to(library / "multi-user.target")
        (units / "multi-user.target.wants/systemd-networkd.service").symlink_to(library / "systemd-networkd.service")
        online = "systemd-networkd-wait-online.service"
        (units / "network-online.target.wants" / online).symlink_to(library / online)
        (units / "bench-agent.service").write_text(_AGENT.format(python=python, program=_GUEST / "agent.py"))
        (units / "multi-user.target.wants/bench-agent.service").symlink_to("../bench-agent.service")
        (units / f"{BANK}.socket").write_text(_SOCKET.format(port=bank_port))
        (units / f"sockets.target.wants/{BANK}.socket").symlink_to(f"../{BANK}.socket")
        (units / f"{BANK}.service").write_text(_PROXY.format(bank=BANK, port=bank_port))
        (units / f"multi-user.target.wants/{BANK}.service").symlink_to(f"../{BANK}.service")
        network = root / "etc/systemd/network"
        network.mkdir()
        (network / "lan.network").write_text("[Match]\nType=ether\n[Network]\nDHCP=ipv4\n")
        tmpfiles = root / "etc/tmpfiles.d"  # they would clear the host's folders for a while, which takes long
        tmpfiles.mkdir()
        for name in ("tmp.conf", "home.conf", "x11.conf"):
            (tmpfiles / name).symlink_to("/dev/null")
        drivers = root / "etc/modprobe.d"
        drivers.mkdir()
        (drivers / "bench.conf").write_text("install cfg80211 /bin/false\n")  # networkd asks for wireless networks
        (root / "etc/machine-id").write_text("5c0" + "0" * 28 + "1\n")
        (root / "etc/hostname").write_text("lane\n")
        opt_sco.lay_out(root)
        mounts = (f"{what} {where} none bind 0 0\n" for what, where in opt_sco.mounts().items())
        (root / "etc/fstab").write_text("".join(mounts))

    # --- power --------------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """It starts by itself from here on."""
        self._mark = len(self._console.read_text(errors="replace")) if self._console.exists() else 0
        devices = [
            *("-drive", f"file={self._disk},format=raw,if=none,id=disk", "-device", "virtio-blk-pci,drive=disk"),
            *("-netdev", "user,id=lan", "-device", "virtio-net-pci,netdev=lan,romfile="),
            *("-device", "qemu-xhci,id=usb"),
        ]
        for port, path in self.usb.items():
            devices += ["-chardev", f"serial,id=line{port},path={path.resolve()}"]
            devices += ["-device", f"usb-serial,bus=usb.0,port={port},chardev=line{port}"]
        without = f"modprobe.blacklist={','.join(_NO_DRIVERS)}"
        self._qemu = Qemu(
            self._kit,
            image=self._image,
            devices=devices,
            append=f"systemd.show_status=no systemd.journald.forward_to_console=1 {without}",
            console=self._console,
            run_folder=self._run_folder,
        )
        self._said = self._qemu.messages(silence_s=_SILENCE_S, whole_s=_WHOLE_S)

    def lose_power(self) -> None:
        """At once: what was not written to the disk is lost."""
        if self._qemu is not None:
            self._qemu.stop(0)
            self._qemu = None

    def switch_off(self) -> None:
        """As an administrator does it. AssertionError unless it ends by itself."""
        self.qemu.answer(run=["systemctl", "poweroff"])
        for _ in self._said:
            pass
        self.lose_power()

    def said(self, words: str) -> bool:
        """Whether its console has printed `words` since power-on."""
        return words in self._console.read_text(errors="replace")[self._mark :]

    def plug_in(self, port: int, path: Path) -> None:
        """One more USB serial adapter, while it runs; it stays."""
        self.usb[port] = path
        backend = {"type": "serial", "data": {"device": str(path.resolve())}}
        self.qemu.monitor("chardev-add", id=f"line{port}", backend=backend)
        self.qemu.monitor("device_add", driver="usb-serial", bus="usb.0", port=str(port), chardev=f"line{port}")

    @property
    def qemu(self) -> Qemu:
        """What it runs in."""
        assert self._qemu is not None, "the machine is dark"
        return self._qemu

    # --- inside -------------------------------------------------------------------------------------------------------

    def wait_up(self) -> float:
        """Wait until the bench's agent answers; returns the seconds since the kernel started."""
        for message in self._said:
            if "up" in message:
                return float(message["up"])
        raise GuestFailed("the machine went down in its start")

    def _call(self, **asked: Any) -> dict[str, Any]:
        self.qemu.answer(**asked)
        answer = next(self._said, None)
        if answer is None:
            raise GuestFailed("the machine went down")
        assert "refused" not in answer, answer["refused"]
        return answer

    def run(self, *words: str, status: int | None = 0) -> str:
        """Run a command; returns its output. AssertionError unless it ends with `status`."""
        answer = self._call(run=words)
        said = f"{answer['said']}{answer['complained']}"
        assert status is None or answer["status"] == status, f"`{shlex.join(words)}`: {answer['status']} {said}"
        return said

    def write(self, path: Path, text: str, mode: int = 0o644) -> None:
        """A file."""
        self._call(write=str(path), text=text, mode=mode)

    def read(self, path: Path | str) -> str:
        """A file."""
        text: str = self._call(read=str(path))["text"]
        return text

    def till(self, what: dict[str, Any]) -> Any:
        """Ask the lane's program."""
        return self._call(till=what)["till"]

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def wait_for(self, unit: str, state: str, seconds: float) -> None:
        """AssertionError unless the unit reaches this state."""
        end = time.monotonic() + seconds
        while (now := self.show(unit, "ActiveState")) != state:
            assert time.monotonic() < end, f"{unit} is {now} after {seconds:.0f} s, not {state}"
            time.sleep(0.5)
