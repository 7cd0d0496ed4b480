"""Builds the wheel and the source archive, installs the wheel alone in a new environment, and tries it: `make dist-check`.

What an editable checkout hides: a file that is not in the wheel, an import that only the developers' packages satisfy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

IN_THE_WHEEL = (
    "sco_drivers/py.typed",
    "sco_payment/py.typed",
    "sco_service/py.typed",
    "sco_service/openapi.yaml",
    "sco_sim/py.typed",
    "sco_hwtest/py.typed",
    "sco_drivers/screen/fonts/Roboto-Regular.ttf",
    "sco_drivers/screen/fonts/Roboto-Bold.ttf",
    "sco_drivers/screen/fonts/LICENSE.txt",
    "sco_sim/printer/charset.png",
    "sco_payment/example.toml",
    "sco_payment/example_simulated.toml",
    "sco_sim/paymaster/phone.html",
    "sco_hwtest/udev/60-sco.rules",
    "sco_hwtest/udev/sco-nfc.conf",
    "sco_hwtest/udev/sco-lane.service",
)
IN_THE_ARCHIVE = (
    "tests/payment/test_lane.py",
    "udev/60-sco.rules",
    "till/openapi.yaml",
    "service/sco_service/__init__.py",
    "docs/index.md",
    "benchmarks/report.py",
    "examples/integrator/README.md",
    "examples/acquirer/README.md",
    "sim/sco_sim/__init__.py",
    "Makefile",
    "README.md",
    "LICENSE",
)
FORBIDDEN = ("tests/", "benchmarks/", "docs/", "starlette", "uvicorn")

# Without the extras: what a lane has.
LANE = """
import sys
from sco_drivers import open_nfc, open_printer, open_screen, open_touch
from sco_drivers.printer import PrintOutcome, Ticket
from sco_drivers.screen import Scene
with open_printer("sim://") as printer:
    assert printer.print_ticket(Ticket("1", "https://qr.nspk.ru/x")).outcome is PrintOutcome.PRINTED
with open_screen("sim://?size=800x600") as screen:
    screen.show(Scene("wait", "Пожалуйста, подождите"))
with open_nfc("sim://") as nfc:
    nfc.write_uri("https://qr.nspk.ru/x")
try:
    open_touch("evdev:///dev/null")
except OSError as error:
    assert "not an input device" in str(error)
import sco_payment
assert sco_payment.open_lane
import sco_service
assert sco_service.Service
from sco_service.resources import contract
assert contract().startswith(b"openapi: ")
assert not {"starlette", "uvicorn", "zxingcpp", "pytest", "numpy"} & set(sys.modules)
"""


def run(command: Sequence[str | Path], *, status: int = 0, says: str = "", cwd: Path | None = None) -> None:
    """Run it; its status and words must be as they should."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    shown = " ".join(Path(str(word)).name if n == 0 else str(word) for n, word in enumerate(command))[:100]
    if done.returncode != status or says not in done.stdout or "Traceback" in done.stdout:
        print(done.stdout)
        raise SystemExit(f"FAILED: {shown}: status {done.returncode}, wanted {status} and {says!r}")
    print(f"ok   {shown}")


def integrator(work: Path) -> Path:
    """A copy of the integrator's project, which has nothing but the wheel."""
    return Path(shutil.copytree(ROOT / "examples/integrator", work / "integrator"))


def main() -> None:
    """Build, look inside, install, try."""
    with tempfile.TemporaryDirectory(prefix="sco-dist-") as folder:
        work = Path(folder)
        run([sys.executable, "-m", "build", "--outdir", work / "dist", ROOT])
        (wheel,) = (work / "dist").glob("*.whl")
        (archive,) = (work / "dist").glob("*.tar.gz")
        names = set(zipfile.ZipFile(wheel).namelist())
        missing = [name for name in IN_THE_WHEEL if name not in names]
        missing += [
            name for name in IN_THE_ARCHIVE if not any(n.endswith(f"/{name}") for n in tarfile.open(archive).getnames())
        ]
        stray = [name for name in names if name.startswith(FORBIDDEN)]
        if missing or stray:
            raise SystemExit(f"FAILED: missing {missing}, not wanted {stray}")
        print(f"ok   {wheel.name}, {archive.name}: what must be inside is, nothing else")
        venv.create(work / "env", with_pip=True)
        env = work / "env" / "bin"
        pip = [env / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, wheel])
        run([env / "sco-pay", "--version"], says="sco-pay, version")
        run([env / "sco-hwtest", "--version"], says="sco-hwtest, version")
        run([env / "python", "-c", LANE], cwd=work)
        run([env / "sco-pay", "demo"], status=2, says="sco-paymaster[simulator]", cwd=work)
        run([env / "sco-pay", "simulate"], status=2, says="sco-paymaster[simulator]", cwd=work)
        run([env / "sco-hwtest", "nfc", "read", "pcsc://"], status=1, says="sco-paymaster[pcsc]", cwd=work)
        run([env / "sco-hwtest", "udev", "print"], says="GROUP", cwd=work)
        run([env / "sco-hwtest", "discover"], says="ready for user", cwd=work)
        run([env / "sco-hwtest", "run", "--nfc", "sim://", "--report", "r.html"], says="checks passed.", cwd=work)
        screen = [env / "sco-hwtest", "run", "--screen", "sim://", "--only", "code-is-readable"]
        run(screen, status=3, says="sco-paymaster[simulator]", cwd=work)
        run([env / "sco-pay", "settings", "example"], says="[journal]", cwd=work)
        run([*pip, f"{wheel}[simulator]", "pytest"])
        run([env / "sco-pay", "demo", "--speed", "50", "--out", work / "out"], says="paid: order 42", cwd=work)
        run([env / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"], says=" passed", cwd=integrator(work))


if __name__ == "__main__":
    main()
