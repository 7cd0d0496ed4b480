"""Programs of another processor, run by QEMU: Debian's package qemu-user-static and the kernel's binfmt_misc.

mmdebstrap asks `arch-test`, of the package of that name, whether it works."""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.fresh.run import CannotBeDone

PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's names of architectures, and the kernel's."""
_BINFMT = Path("/proc/sys/fs/binfmt_misc")


def is_native(architecture: str) -> bool:
    """Whether this machine's processor runs it by itself."""
    return PROCESSORS[architecture] == platform.machine()


@contextlib.contextmanager
def emulated(architecture: str) -> Iterator[None]:
    """Let the kernel run programs of `architecture`, also in root file systems, until the end.

    Raises:
        CannotBeDone: QEMU is missing, or the kernel refuses.
    """
    processor = PROCESSORS[architecture]
    entry = _BINFMT / f"qemu-{processor}"
    if is_native(architecture) or entry.exists():
        yield
        return
    rule = Path(f"/usr/lib/binfmt.d/qemu-{processor}.conf")
    if not rule.exists() or shutil.which("arch-test") is None:
        raise CannotBeDone("QEMU is missing: apt-get install qemu-user-static arch-test")
    try:
        if not (_BINFMT / "register").exists():
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT], check=True)
        (_BINFMT / "register").write_text(rule.read_text().strip())
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBeDone(f"binfmt_misc: {error}") from None
    try:
        yield
    finally:
        entry.write_text("-1")
