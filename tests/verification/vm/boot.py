"""A guest that runs on this machine's own files: an initramfs made here, QEMU, and the two lines to it.

The guest mounts this machine's root read-only by 9p and mounts a tmpfs over it (`lane_machine.py`: a disk), so that the
Python environment, the packages and the sources are those of the host, and nothing the guest does stays there. One line
of JSON messages joins guest and host (a serial port), another is QEMU's monitor (QMP), by which the host takes pictures
of the guest's display.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fetch import Kit

EARLY = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""Modules that the guest needs before it sees this machine's files."""
CONSOLE = "console.log"
_WHEN_STUCK = "watchdog_thresh=60 softlockup_panic=1 softlockup_all_cpu_backtrace=1"
"""A processor that is stuck for two minutes, however busy this machine is, ends the guest and prints where it hung."""

_INIT = """#!/bin/busybox sh
# The guest's first process: mount the host's files, an overlay for what it writes, and continue there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
for m in {modules}; do $b insmod /modules/$m || $b echo "cannot load $m"; done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose host /host || $b poweroff -f
$b mount {rw} /rw || $b poweroff -f
$b mkdir -p /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /root || $b poweroff -f
{more}
for d in proc sys dev; do $b mount --move /$d /root/$d; done
exec $b switch_root /root {busybox} sh {rest}
"""

_REST = """b={busybox}
$b mount -t tmpfs tmpfs /run
$b mkdir -p /dev/pts /dev/shm /mnt /tmp
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs tmpfs /dev/shm
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 out /mnt
for d in bin sbin lib/udev lib/modprobe.d lib/x86_64-linux-gnu usr/lib; do
  [ -d {guest}/$d ] || continue
  $b mkdir -p /$d
  $b cp -af {guest}/$d/. /$d/
done
$b mkdir -p /lib/modules/{release}
$b mount --bind {modules} /lib/modules/{release}
$b ip link set lo up
export SCO_VM_KIT={guest} HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd {repo}
{python} {program}
$b sync
$b poweroff -f
"""


_SHARE = "security_model=none,multidevs=remap"


class GuestFailed(Exception):
    """The guest did not start, fell silent, or ended too early."""


def early_modules(kit: Kit, names: tuple[str, ...]) -> list[str]:
    """Files of the modules for the initramfs, each after those that it needs."""
    needs: dict[str, list[str]] = {}
    for line in (kit.modules / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[name] = others.split()
    by_name = {Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    ordered: list[str] = []

    def add(path: str) -> None:
        for other in needs[path]:
            add(other)
        if path not in ordered:
            ordered.append(path)

    for name in names:
        add(by_name[name.replace("-", "_")])
    return ordered


def initramfs(kit: Kit, rest: Path, *, modules: tuple[str, ...], rw: str, more: str = "") -> bytes:
    """A cpio archive (newc) with busybox, `modules` and an init that ends in the script `rest` of the host.

    Args:
        rw: what is mounted for all that the guest writes, as words for mount.
        more: lines of shell before the guest goes over to its own root, which is /root then.
    """
    paths = early_modules(kit, modules)
    init = _INIT.format(
        modules=" ".join(Path(path).name for path in paths),
        busybox=shlex.quote(str(kit.busybox)),
        rest=shlex.quote(str(rest)),
        rw=rw,
        more=more,
    )
    files: list[tuple[str, int, bytes]] = [
        (folder, 0o040755, b"") for folder in ("bin", "dev", "proc", "sys", "host", "rw", "root", "modules")
    ]
    files.append(("bin/busybox", 0o100755, kit.busybox.read_bytes()))
    files += [(f"modules/{Path(path).name}", 0o100644, (kit.modules / path).read_bytes()) for path in paths]
    files.append(("init", 0o100755, init.encode()))
    archive = bytearray()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


class Qemu:
    """QEMU, running, and the two lines to it.

    Args:
        kit: the unpacked packages.
        image: the initramfs.
        devices: QEMU's arguments for what this guest has in addition to processor, display and the host's files.
        append: further words for the kernel.
        console: where its console is appended.
        run_folder: a short path for sockets.
    """

    def __init__(
        self, kit: Kit, *, image: Path, devices: list[str], append: str = "", console: Path, run_folder: Path
    ) -> None:
        self._console_path = console
        self._console = console.open("ab")
        self._line_path, self._qmp_path = run_folder / "line", run_folder / "qmp"
        command = [
            *kit.qemu(),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "2048"),
            *("-nodefaults", "-display", "none", "-vga", "none", "-device", "bochs-display,xres=800,yres=600"),
            *("-kernel", str(kit.kernel), "-initrd", str(image)),
            *("-append", f"console=ttyS0 edd=off loglevel=4 mitigations=off {append}"),
            *("-virtfs", f"local,path=/,mount_tag=host,readonly=on,{_SHARE}"),
            *("-serial", "stdio", "-serial", f"unix:{self._line_path},server=on,wait=off"),
            *("-qmp", f"unix:{self._qmp_path},server=on,wait=off"),
            *devices,
        ]
        self._process = subprocess.Popen(
            command, env=kit.environment(), stdin=subprocess.DEVNULL, stdout=self._console, stderr=subprocess.STDOUT
        )
        try:
            self._line = self._connect(self._line_path)
            self._qmp = self._connect(self._qmp_path).makefile("rwb")
            self._qmp.readline()  # the greeting
            self.monitor("qmp_capabilities")
        except BaseException:
            self.stop()
            raise

    def _connect(self, path: Path) -> socket.socket:
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(path))
            except OSError:
                line.close()
                time.sleep(0.05)
            else:
                return line
        raise GuestFailed(f"QEMU did not start: {self._console_path.read_text(errors='replace')[-600:]}")

    def monitor(self, command: str, **arguments: Any) -> Any:
        """Ask QEMU; returns its answer. Raises GuestFailed when it refuses."""
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self._qmp.flush()
        while True:
            line = self._qmp.readline()
            if not line:
                raise GuestFailed("QEMU has ended")
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise GuestFailed(f"{command}: {answer['error'].get('desc')}")

    def messages(self, *, silence_s: float, whole_s: float) -> Iterator[dict[str, Any]]:
        """The guest's messages, until it closes the line or ends.

        Raises:
            GuestFailed: nothing for `silence_s`, or not done in `whole_s`.
        """
        end = time.monotonic() + whole_s
        pending = b""
        while True:
            wait = min(silence_s, end - time.monotonic())
            if wait <= 0:
                raise GuestFailed(f"not done after {whole_s:.0f} s")
            self._line.settimeout(wait)
            try:
                data = self._line.recv(65536)
            except TimeoutError:
                raise GuestFailed(f"silent for {wait:.0f} s; see {self._console_path}") from None
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    yield json.loads(line)

    def answer(self, **message: Any) -> None:
        """Say something to the guest."""
        self._line.sendall(json.dumps(message).encode() + b"\n")

    def look(self, picture: Path) -> list[str]:
        """Take a picture of the guest's display and read the codes on it: what a phone in front of the screen sees."""
        import zxingcpp
        from PIL import Image

        raw = picture.with_suffix(".ppm")
        self.monitor("screendump", filename=str(raw))
        with Image.open(raw) as image:
            image.save(picture)
            found = [str(code.text) for code in zxingcpp.read_barcodes(image.convert("RGB"))]
        raw.unlink()
        return found

    def type(self, keys: str) -> None:
        """Press a key of the guest's keyboard, by QEMU's name ("a", "ret"), or some together ("alt-f2")."""
        held = [{"type": "qcode", "data": key} for key in keys.split("-")]
        self.monitor("send-key", keys=held, **{"hold-time": 20})

    def stop(self, wait_s: float = 5) -> None:
        """Wait a moment for the end, then end it."""
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._console.close()


class Guest(Qemu):
    """The bench: a guest without a disk that runs one program and powers off.

    Args:
        kit: the unpacked packages.
        repo: the sources; seen by the guest at the same path.
        python: interpreter, at the same path too.
        program: what the interpreter runs.
        out: folder for logs and for what the guest leaves; the guest sees it at /mnt.
        run_folder: a short path for sockets.
    """

    def __init__(self, kit: Kit, *, repo: Path, python: Path, program: list[str], out: Path, run_folder: Path) -> None:
        rest = run_folder / "rest.sh"
        rest.write_text(
            _REST.format(
                **kit.words(),
                repo=shlex.quote(str(repo)),
                python=shlex.quote(str(python)),
                program=shlex.join(program),
            )
        )
        image = run_folder / "initramfs.cpio"
        image.write_bytes(initramfs(kit, rest, modules=EARLY, rw="-t tmpfs tmpfs"))
        devices = ["-no-reboot", "-virtfs", f"local,path={out},mount_tag=out,{_SHARE}"]
        console = out / CONSOLE
        append = f"panic=1 {_WHEN_STUCK}"
        super().__init__(kit, image=image, devices=devices, append=append, console=console, run_folder=run_folder)


def interpreter(repo: Path) -> Path:
    """The repository's own Python environment; the guest cannot make one."""
    found = repo / ".venv/bin/python"
    if not os.access(found, os.X_OK):
        raise GuestFailed(f"{found} is missing: make setup")
    return found
