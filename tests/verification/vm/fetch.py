"""What the virtual bench needs from Debian, in a cache: QEMU and mkfs for the host; kernel and systemd for the guest.

Nothing is installed and no rights are needed: packages are downloaded by apt and unpacked next to the system. Only a
machine whose package lists are empty needs `apt-get update` first, which is done when we are root.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HOST = ("qemu-system-x86", "e2fsprogs")
GUEST = ("linux-image-amd64", "udev", "systemd", "kmod", "busybox-static")
_UNUSED = ("firmware-", "initramfs-tools", "linux-base", "klibc-utils", "systemd-", "libpam-", "libnss-", "cpio")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")


class Unavailable(Exception):
    """The bench is not available on this machine; the message names what is missing."""


@dataclass(frozen=True, slots=True)
class Kit:
    """The unpacked packages.

    Attributes:
        host: root of QEMU and its libraries.
        guest: root of what is copied into the guest.
        release: of the kernel, as `uname -r` prints it.
    """

    host: Path
    guest: Path
    release: str

    @property
    def kernel(self) -> Path:
        """The kernel's image."""
        return self.guest / f"boot/vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        """The kernel's modules, with their dependencies worked out."""
        return self.guest / f"lib/modules/{self.release}"

    @property
    def busybox(self) -> Path:
        """One static binary for the guest's first steps."""
        return self.guest / "bin/busybox"

    def words(self) -> dict[str, str]:
        """Its places and its release, quoted, by the names that the guests' shell scripts have for them."""
        places = {"busybox": self.busybox, "guest": self.guest, "modules": self.modules}
        return {name: shlex.quote(str(place)) for name, place in places.items()} | {"release": self.release}

    def qemu(self) -> list[str]:
        """The command that starts QEMU; its firmware and modules are next to it."""
        binary = self.host / "usr/bin/qemu-system-x86_64"
        return [
            str(binary) if binary.exists() else "qemu-system-x86_64",
            "-L",
            str(self.host / "usr/share/qemu"),
            "-L",
            str(self.host / "usr/share/seabios"),
            "-L",
            "/usr/share/seabios",
        ]

    def mkfs(self) -> list[str]:
        """The command that makes an ext4 file system; a disk or a file to make it in is still to be named."""
        return [str(self.host / "sbin/mke2fs"), "-q", "-t", "ext4", "-E", "lazy_itable_init=1"]

    def environment(self) -> dict[str, str]:
        """The environment of the programs under `host`."""
        folders = [self.host / folder for folder in _LIBRARIES]
        return {
            **os.environ,
            "LD_LIBRARY_PATH": ":".join(map(str, folders)),
            "QEMU_MODULE_DIR": str(folders[0] / "qemu"),
            "MKE2FS_CONFIG": str(self.host / "etc/mke2fs.conf"),
        }


def cache_folder() -> Path:
    """Where packages are kept between runs: `SCO_VM_CACHE`, else the user's cache."""
    given = os.environ.get("SCO_VM_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sco-vm"


def fetch() -> Kit:
    """The kit, downloaded unless it is in the cache.

    Raises:
        Unavailable: no apt, no package, no network, another kind of processor.
    """
    cache = cache_folder()
    packages = " ".join((*HOST, *GUEST))
    complete = cache / "complete"
    if not complete.exists() or complete.read_text() != packages:
        if os.uname().machine != "x86_64":
            raise Unavailable(f"the guest is x86-64, this machine is {os.uname().machine}")
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise Unavailable("the packages come from Debian's archive, and there is no apt-get here")
        try:
            _unpack_all(cache)
        except Unavailable:
            if os.geteuid():
                raise
            _run(["apt-get", "-qq", "update"])  # no lists yet, or older ones than the archive's
            _unpack_all(cache)
        release = _release(cache / "guest")
        # kmod is one binary that looks at how it was called; its links are absolute, so they lead out of the cache.
        _run(["depmod", "-b", str(cache / "guest"), release], binary=cache / "guest/bin/kmod")
        complete.write_text(packages)
    return Kit(cache / "host", cache / "guest", _release(cache / "guest"))


def _unpack_all(cache: Path) -> None:
    shutil.rmtree(cache, ignore_errors=True)
    for folder, names in (("host", HOST), ("guest", GUEST)):
        _unpack(names, cache / folder, cache / "packages")
    shutil.rmtree(cache / "packages")


def _release(guest: Path) -> str:
    return next((guest / "lib/modules").iterdir()).name


def _missing(names: tuple[str, ...]) -> list[str]:
    """`names` and what they need that this machine does not have; the names themselves always."""
    asked = subprocess.run(
        ["apt-get", "-s", "--no-install-recommends", "install", *names], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise Unavailable(f"apt-get knows no {' or '.join(names)}: {asked.stderr.strip() or asked.stdout.strip()}")
    found = re.findall(r"^Inst (\S+)", asked.stdout, re.MULTILINE)
    return [name for name in dict.fromkeys([*found, *names]) if not name.startswith(_UNUSED)]


def _unpack(names: tuple[str, ...], root: Path, packages: Path) -> None:
    root.mkdir(parents=True)
    packages.mkdir(parents=True, exist_ok=True)
    wanted = _missing(names)
    for package in packages.glob("*.deb"):
        package.unlink()
    _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *wanted], cwd=packages)
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)])


def _run(command: list[str], cwd: Path | None = None, binary: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, executable=binary, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"`{' '.join(command[:6])}` failed: {done.stderr.strip() or done.stdout.strip()}")
