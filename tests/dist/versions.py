"""`make versions-check`: the lowest declared and the newest dependencies, on each Python from 3.11 to 3.14.

Each combination gets an environment of its own and a bounded part of the tests: what meets each dependency, not the
whole suite. A Python is found on PATH, by pyenv, or brought by uv; one that cannot be had is named, and is an
error only with `--all`. Set the lowest version in pyproject.toml only to one that passes here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
TEST_TOOLS = ("pytest", "pytest-timeout", "hypothesis", "trustme")
LONGEST_S = 600.0

SMOKE = (
    "tests/hwtest/test_cli.py",  # click
    "tests/payment/paymaster/test_client.py",  # urllib3, msgspec
    "tests/drivers/test_qr.py",  # segno
    "tests/drivers/printer/test_escpos_job.py",  # python-escpos, python-barcode, pillow
    "tests/drivers/nfc/test_reader.py",  # nfcpy
    "tests/drivers/nfc/test_usb.py",  # pyusb, libusb1
    "tests/drivers/display",  # pyserial
    "tests/service/test_resources.py",  # h11
    "tests/fleet/test_ingest.py",  # psycopg, starlette; these two need PostgreSQL
    "tests/fleet/office/test_pages.py",  # jinja2
    "tests/fleet/settings/test_bundle.py",  # pynacl
)
COMMANDS = (
    ("sco-pay", "--help"),
    ("sco-pay", "settings", "example"),
    ("sco-hwtest", "run", "--nfc", "sim://"),
    ("sco-hwtest", "discover"),
    ("sco-pay", "demo", "--speed", "50", "--out", "{work}/demo"),  # rich, pillow, starlette, uvicorn, zxing-cpp
)


def main() -> int:
    """Try each Python with each choice of versions."""
    parser = argparse.ArgumentParser(description="The lowest and the newest dependencies on each Python.")
    parser.add_argument("pythons", nargs="*", help=f"default: {' '.join(PYTHONS)}")
    parser.add_argument("--only", choices=RESOLUTIONS, help="only these versions")
    parser.add_argument("--all", action="store_true", help="a Python that cannot be had is an error")
    options = parser.parse_args()
    results: dict[str, str] = {}
    for python in options.pythons or PYTHONS:
        interpreter = find(python)
        for name in [options.only] if options.only else RESOLUTIONS:
            results[f"{python} {name}"] = attempt(interpreter, name) if interpreter else "could not be had"
    for key, result in results.items():
        print(f"{key}: {result}")
    lacking = "could not be had"
    failed = [result for result in results.values() if result != "passed" and (options.all or result != lacking)]
    return 1 if failed or set(results.values()) == {lacking} else 0


def find(python: str) -> str | None:
    """An interpreter of this version: on PATH, of pyenv, or one that uv brings."""
    places = [shutil.which(f"python{python}"), *Path.home().glob(f".pyenv/versions/{python}.*/bin/python")]
    for place in filter(None, places):
        asked = subprocess.run(
            [place, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() == python:
            return str(place)
    subprocess.run([*_uv(), "python", "install", "--quiet", python], check=False, timeout=300)
    found = subprocess.run([*_uv(), "python", "find", "--quiet", python], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def attempt(python: str, name: str) -> str:
    """`passed`, or what failed."""
    with tempfile.TemporaryDirectory(prefix="sco-versions-") as folder:
        work = Path(folder)
        env = work / "env"
        environment = os.environ | {
            "VIRTUAL_ENV": str(env),
            "PATH": f"{env / 'bin'}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment.pop("PYTHONPATH", None)
        target = ["--python", str(env / "bin/python")]
        install = [*_uv(), "pip", "install", "--quiet", *target, "--resolution"]
        steps: list[tuple[str, Sequence[str]]] = [
            ("environment", [*_uv(), "venv", "--quiet", "--python", python, str(env)]),
            ("install", [*install, RESOLUTIONS[name], f"{ROOT}[simulator,fleet]"]),
        ]
        for what, command in steps:
            if not _run(command, environment, work):
                return f"FAILED: {what}"
        pinned = work / "pinned.txt"
        frozen = subprocess.run([*_uv(), "pip", "freeze", *target], capture_output=True, text=True, check=True)
        pinned.write_text("\n".join(line for line in frozen.stdout.splitlines() if not line.startswith("sco-")))
        print(f"\n--- {python}, {name}: {' '.join(frozen.stdout.split())}", flush=True)
        tests = [str(ROOT / path) for path in SMOKE]
        steps = [
            ("test tools", [*install, "highest", "--constraint", str(pinned), *TEST_TOOLS]),
            *((" ".join(words[:2]), [word.format(work=work) for word in words]) for words in COMMANDS),
            ("tests", ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *tests]),
        ]
        for what, command in steps:
            if not _run(command, environment, ROOT if what == "tests" else work):
                return f"FAILED: {what}"
    return "passed"


def _uv() -> list[str]:
    return [sys.executable, "-m", "uv"]


def _run(command: Sequence[str], environment: dict[str, str], cwd: Path) -> bool:
    path = shutil.which(command[0], path=environment["PATH"]) or command[0]
    try:
        done = subprocess.run(
            [path, *command[1:]],
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        print(f"FAILED: {' '.join(command)[:200]}: not finished after {LONGEST_S:.0f} s")
        return False
    if done.returncode:
        print(f"{done.stdout[-6000:]}\nFAILED: {' '.join(command)[:200]}: status {done.returncode}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
