"""/opt/sco in the guest, as docs/guide/install.md has it, without a download: the bench's interpreter and packages.

They are mounted where a sandbox without /root and /home sees them.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from kernel import run

ENVIRONMENT = "LD_LIBRARY_PATH=/opt/python/lib"
"""The interpreter looks for its own library where it was built, which is out of sight; the system's is another one."""

_REPO = Path(__file__).resolve().parents[3]
_PYTHON, _LIBRARIES, _SOURCES = Path("/opt/python"), Path("/opt/sco-libraries"), Path("/opt/sco-sources")


def make() -> Path:
    """The virtual environment's interpreter; made at the first call."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = Path("/opt/sco/bin/python")
    if python.exists():
        return python
    _bind(Path(sys.base_prefix).resolve(), _PYTHON)
    _bind(Path(sysconfig.get_path("purelib")), _LIBRARIES)
    for package in ("drivers", "payment", "hwtest"):
        _bind(_REPO / package, _SOURCES / package)
    packages = Path("/opt/sco/lib") / version / "site-packages"
    packages.mkdir(parents=True)
    lines = [str(_LIBRARIES), *(str(_SOURCES / package) for package in ("drivers", "payment", "hwtest"))]
    (packages / "sco.pth").write_text("\n".join(lines) + "\n")
    (Path("/opt/sco") / "pyvenv.cfg").write_text(f"home = {_PYTHON}/bin\ninclude-system-site-packages = false\n")
    python.parent.mkdir()
    python.symlink_to(_PYTHON / "bin" / version)
    return python


def _bind(what: Path, where: Path) -> None:
    where.mkdir(parents=True)
    run("mount", "--bind", str(what), str(where))
