"""systemd in the guest: process 1 of a process namespace next to the bench, on the guest's one kernel and cgroup tree.

Files, devices, udev and the loopback are the bench's own: what the lane does in its unit is seen from here.
"""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from kernel import run, wait_for

_CGROUPS = Path("/sys/fs/cgroup")
NOT_HERE = (
    "systemd-udevd.service",  # the bench's own runs
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-hwdb-update.service",
    "systemd-sysctl.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-setup.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-clean.timer",
    "keyboard-setup.service",
    "console-setup.service",
)
"""Units of Debian's that have nothing to do with a lane, and would change the bench or only take time."""


class Manager:
    """systemd, started by `start`. Its units are those of Debian's packages and nothing of the host's."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    def start(self) -> None:
        """Start it; returns when it takes orders. AssertionError when it does not come up."""
        ours = Path(os.environ["SCO_VM_KIT"]) / "lib/systemd"
        for folder in ("/lib/systemd", "/etc/systemd"):
            Path(folder).mkdir(exist_ok=True)
        run("mount", "--bind", str(ours), "/lib/systemd")
        run("mount", "-t", "tmpfs", "tmpfs", "/etc/systemd")
        run("mount", "-t", "cgroup2", "cgroup2", str(_CGROUPS))
        units = Path("/etc/systemd/system")
        units.mkdir()
        for unit in NOT_HERE:
            (units / unit).symlink_to("/dev/null")
        generators = Path("/etc/systemd/system-generators")  # they would mount what the host mounts
        generators.mkdir()
        for generator in (ours / "system-generators").iterdir():
            (generators / generator.name).symlink_to("/dev/null")
        (units / "bench.target").write_text("[Unit]\nDescription=Nothing but what is asked for\n")
        Path("/.dockerenv").unlink(missing_ok=True)  # the host's: systemd would think that it is in a container
        self._process = subprocess.Popen(
            [
                *("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"),
                *("env", "-i", f"PATH={os.environ['PATH']}", "TERM=dumb"),
                *("/lib/systemd/systemd", "--system", "--unit=bench.target", "--show-status=no"),
            ],
            stdin=subprocess.DEVNULL,
        )
        wait_for(lambda: Path("/run/systemd/private").exists(), "systemd takes orders", 60)
        up = ("is-active", "bench.target")
        wait_for(lambda: self.ctl(*up, check=False).strip() == "active", "systemd is up", 90, every_s=0.5)

    def ctl(self, *words: str, check: bool = True) -> str:
        """Run `systemctl`; returns its output."""
        return self.run("systemctl", *words, check=check)

    def run(self, *words: str, check: bool = True) -> str:
        """Run a program among systemd's processes; returns its output."""
        return run(*self._inside, *words, check=check)

    @property
    def _inside(self) -> tuple[str, str]:
        """systemd takes orders from processes only that it can see."""
        assert self._process is not None, "systemd was not started"
        return "nsenter", f"--pid=/proc/{self._process.pid}/ns/pid_for_children"

    def show(self, unit: str, name: str) -> str:
        """One property."""
        return self.ctl("show", "--value", f"--property={name}", unit).strip()

    def edit(self, unit: str, text: str) -> None:
        """`systemctl edit`, by an administrator whose editor writes `text`. It wants a terminal."""
        with TemporaryDirectory() as folder:
            editor = Path(folder) / "editor"
            editor.write_text(f'#!/bin/sh\ncat > "$1" <<END\n{text}\nEND\n')
            editor.chmod(0o755)
            here, there = pty.openpty()
            said: list[bytes] = []
            reader = threading.Thread(target=_drain, args=(here, said), daemon=True)
            reader.start()
            done = subprocess.run(
                [*self._inside, "systemctl", "edit", unit],
                stdin=there,
                stdout=there,
                stderr=there,
                env={**os.environ, "SYSTEMD_EDITOR": str(editor)},
                check=False,
                timeout=60,
            )
            os.close(there)
            reader.join()
            os.close(here)
            assert done.returncode == 0, b"".join(said).decode(errors="replace")

    def journal(self, unit: str) -> str:
        """What the unit and systemd about it have said."""
        return run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", check=False)

    def processes(self, unit: str) -> list[int]:
        """The unit's processes, by their numbers here."""
        try:
            text = (_CGROUPS / "system.slice" / unit / "cgroup.procs").read_text()
        except FileNotFoundError:
            return []
        return [int(word) for word in text.split()]


def _drain(fd: int, into: list[bytes]) -> None:
    try:
        while data := os.read(fd, 4096):
            into.append(data)
    except OSError:  # the other end is closed
        return
