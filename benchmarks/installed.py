"""Our packages as pip installs them, for what is measured of a process from its start."""

from __future__ import annotations

import compileall
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def compile_packages() -> None:
    """Write the bytecode of our modules next to them, as pip does. A checkout may lack it.

    Without it each start compiles them: the import of our drivers, and of ours only, takes a third longer.
    """
    for package in ("drivers", "payment", "service", "sim", "fleet"):
        compileall.compile_dir(ROOT / package, quiet=1)
