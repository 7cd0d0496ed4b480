"""The machine that figures were measured on: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PEERS = ("numpy", "zxing-cpp")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to compare.

    Attributes:
        cpu: the processor's own name.
        cores: logical ones that this process may use.
        memory_mib: of the whole machine.
        kernel, python: their releases.
        packages: distribution -> version, of all that the project asks for and of the peers.
    """

    cpu: str
    cores: int
    memory_mib: int
    kernel: str
    python: str
    packages: dict[str, str]


def describe() -> Machine:
    """This machine."""
    return Machine(
        cpu=_after("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mib=int((_after("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) // 1024,
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_packages(),
    )


def _after(path: str, key: str) -> str:
    """The text after `key` and a colon in one of the kernel's files."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _packages() -> dict[str, str]:
    wanted = {requirement.split(";")[0] for requirement in metadata.requires("sco-paymaster") or ()}
    names = {"".join(c if c.isalnum() or c in "-_." else " " for c in text).split()[0] for text in wanted}
    found = {}
    for name in sorted(names | set(_PEERS)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
