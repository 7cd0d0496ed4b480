"""`make dist-check`: builds wheel and archive twice, installs the wheel alone in a new environment, and tries it.

The two builds have another umask, folder, time zone and locale each, and must be equal to the byte.

What an editable checkout hides: a file that is not in the wheel, an import that only the developers' packages satisfy.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Mapping, Sequence
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
    "sco_hwtest/station/pages/station.html",
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
    "examples/bench/workflow.yml",
    "examples/acquirer/README.md",
    "sim/sco_sim/__init__.py",
    "Makefile",
    "README.md",
    "LICENSE",
    "packaging/lane.txt",
)
LICENCES = ("LICENSE", "THIRD-PARTY-NOTICES.txt")
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


def build_twice(work: Path) -> None:
    """Wheel and source archive in `dist`, equal to those of another build."""
    kept = shutil.ignore_patterns(".git", ".venv", "out", "dist", "build", "__pycache__", "*.egg-info", ".*_cache")
    for name, mask, zone, locale in (("dist", 0o022, "UTC", "C"), ("again/and/deeper", 0o077, "Asia/Tokyo", "C.UTF-8")):
        source = work / f"{name}-source"
        before = os.umask(mask)
        try:
            shutil.copytree(ROOT, source, ignore=kept)
            for path in source.rglob("*"):
                path.chmod((0o777 if path.is_dir() or path.stat().st_mode & 0o100 else 0o666) & ~mask)
            surroundings = os.environ | {"SOURCE_DATE_EPOCH": source_date(), "TZ": zone, "LC_ALL": locale}
            build = [sys.executable, "-m", "build", "--outdir", work / name, source]
            run(build, environment=surroundings, cwd=work)
        finally:
            os.umask(before)
    first, second = (
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (work / name).iterdir()}
        for name in ("dist", "again/and/deeper")
    )
    if first != second:
        raise SystemExit(f"FAILED: two builds differ: {first} and {second}")
    for name, digest in sorted(first.items()):
        print(f"ok   the same in both builds: {digest[:16]} {name}")


def source_date() -> str:
    """The time of the last commit, which all packed files get; outside a repository a fixed day."""
    asked = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"], stdout=subprocess.PIPE, text=True, check=False
    )
    return os.environ.get("SOURCE_DATE_EPOCH") or asked.stdout.strip() or "1767225600"


def run(
    command: Sequence[str | Path],
    *,
    status: int = 0,
    says: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run it; its status and words must be as they should."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    shown = " ".join(Path(str(word)).name if n == 0 else str(word) for n, word in enumerate(command))[:100]
    if done.returncode != status or says not in done.stdout or "Traceback" in done.stdout:
        print(done.stdout)
        raise SystemExit(f"FAILED: {shown}: status {done.returncode}, wanted {status} and {says!r}")
    print(f"ok   {shown}")


def integrator(work: Path) -> Path:
    """A copy of the integrator's project, which has nothing but the wheel."""
    return Path(shutil.copytree(ROOT / "examples/integrator", work / "integrator"))


def ci_project(work: Path, wheel: Path) -> None:
    """A project that has nothing but the examples for CI and the wheel: run what their workflow runs, line by line."""
    project = Path(shutil.copytree(ROOT / "examples/bench", work / "ci"))
    (project / "wheels").mkdir()
    shutil.copy(wheel, project / "wheels")
    venv.create(work / "ci-env", with_pip=True)
    workflow = (project / "workflow.yml").read_text("utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SCO_"))}
    own = dict(re.findall(r"^      ([A-Z]+): (\S+)$", workflow, re.MULTILINE))
    environment = {**inherited, **own, "PATH": f"{work}/ci-env/bin:{os.environ['PATH']}"}
    commands = re.findall(r"^      - run: (.+)$", workflow, re.MULTILINE)
    for program, says in (("pip", ""), ("bash", "passed"), ("python", " passed"), ("javac", ""), ("java", "OK (")):
        (command,) = (line for line in commands if line.split()[0] == program)
        if program.startswith("java") and not (shutil.which("javac") and Path(own["JUNIT"].split(":")[0]).exists()):
            print(f"SKIPPED, there is no JDK or no JUnit 4: {command}")
            continue
        run(["bash", "-euc", command], says=says, cwd=project, environment=environment)


def main() -> None:
    """Build, look inside, install, try."""
    with tempfile.TemporaryDirectory(prefix="sco-dist-") as folder:
        work = Path(folder)
        build_twice(work)
        (wheel,) = (work / "dist").glob("*.whl")
        (archive,) = (work / "dist").glob("*.tar.gz")
        names = set(zipfile.ZipFile(wheel).namelist())
        missing = [name for name in IN_THE_WHEEL if name not in names]
        with tarfile.open(archive) as opened:
            packed = opened.getnames()
        missing += [name for name in IN_THE_ARCHIVE if not any(path.endswith(f"/{name}") for path in packed)]
        missing += [
            name for name in LICENCES if not any(path.endswith(f".dist-info/licenses/{name}") for path in names)
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
        ci_project(work, wheel)
        if sys.argv[1:2] == ["--keep"]:
            for path in (wheel, archive):
                shutil.copy(path, sys.argv[2])


if __name__ == "__main__":
    main()
