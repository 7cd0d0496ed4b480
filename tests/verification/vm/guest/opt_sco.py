"""/opt/sco in the guest, as docs/guide/install.md has it, without a download: the bench's interpreter and packages,
mounted where a sandbox without /root and /home sees them; the lane program's drop-in for the unit, and its settings.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from kernel import run

from sco_sim.paymaster import PayMasterSimulator

PYTHON = Path("/opt/sco/bin/python")
SETTINGS = Path("/etc/sco/lane.toml")
TOKEN = SETTINGS.with_name("paymaster.token")
STATE = Path("/var/lib/sco")
WATCHDOG_S = 9

_ENVIRONMENT = "LD_LIBRARY_PATH=/opt/python/lib"
"""The interpreter looks for its own library where it was built, which is out of sight; the system's is another one."""

DROP_IN = f"""[Service]
ExecStart=
ExecStart={PYTHON} /opt/sco/lane_program.py --settings {SETTINGS}
Environment={_ENVIRONMENT}
WatchdogSec={WATCHDOG_S}"""
"""The text for `systemctl edit`."""

_REPO = Path(__file__).resolve().parents[4]
_BASE, _LIBRARIES, _SOURCES = Path("/opt/python"), Path("/opt/sco-libraries"), Path("/opt/sco-sources")
_PACKAGES = ("drivers", "payment", "sim", "hwtest")


def settings(bank: PayMasterSimulator, display: str) -> str:
    """Of a lane whose display mode and devices are `display`."""
    return f"""[lane]
pos_id = "KSO-1"
shop = "Магазин у дома"
[paymaster]
base_url = "{bank.base_url}"
merchant_id = "{bank.merchant_id}"
token_file = "{TOKEN}"
{display}
[journal]
path = "{STATE}/journal.db"
"""


def mounts() -> dict[Path, Path]:
    """What is mounted, and where."""
    return {
        Path(sys.base_prefix).resolve(): _BASE,
        Path(sysconfig.get_path("purelib")): _LIBRARIES,
        **{_REPO / package: _SOURCES / package for package in _PACKAGES},
    }


def lay_out(root: Path = Path("/")) -> None:
    """Write the virtual environment into a file system whose root is `root`, with folders for the mounts."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sco = root / "opt/sco"
    packages = sco / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    lines = [str(_LIBRARIES), *(str(_SOURCES / package) for package in _PACKAGES)]
    (packages / "sco.pth").write_text("\n".join(lines) + "\n")
    (sco / "pyvenv.cfg").write_text(f"home = {_BASE}/bin\ninclude-system-site-packages = false\n")
    (sco / "bin").mkdir()
    (sco / "bin/python").symlink_to(_BASE / "bin" / version)
    shutil.copy(Path(__file__).with_name("lane_program.py"), sco / "lane_program.py")
    for where in mounts().values():
        (root / where.relative_to("/")).mkdir(parents=True)


def make() -> None:
    """Lay it out and mount it here; at the first call."""
    if PYTHON.exists():
        return
    lay_out()
    for what, where in mounts().items():
        run("mount", "--bind", str(what), str(where))
