"""`make release`: all artefacts of a release in out/release, with their SHA-256 sums.

    python packaging/release.py [--tag vX.Y.Z] [--quick]

Version, tag and changelog must agree. Wheel and source archive are built with the time of the last commit. `--quick` is
for every change: the bundle and package of x86-64 only, tried on Debian 12 only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out/release"


def disagreements(version: str, tag: str, changelog: str) -> list[str]:
    """What does not agree; `tag` is empty before there is one."""
    found = []
    if tag and tag != f"v{version}":
        found.append(f"tag {tag} is not v{version}, the version in pyproject.toml")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", changelog, re.MULTILINE)
    released = [(name, day) for name, day in headings if name != "Unreleased"]
    if tag and (not released or released[0][0] != version or not released[0][1]):
        found.append(f"CHANGELOG.md does not begin with '## [{version}] - YYYY-MM-DD'")
    if not tag and released and released[0][0] != version:
        found.append(f"CHANGELOG.md ends its last release with {released[0][0]}, pyproject.toml says {version}")
    return found


def main() -> None:
    """Check, build, add up."""
    parser = argparse.ArgumentParser(description="Build all artefacts of a release.")
    parser.add_argument("--tag", default="", help="the tag that is released")
    parser.add_argument("--quick", action="store_true", help="one architecture, tried on one system")
    options = parser.parse_args()
    tag: str = options.tag
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    wrong = disagreements(version, tag, (ROOT / "CHANGELOG.md").read_text())
    if wrong:
        raise SystemExit("FAILED: " + "; ".join(wrong))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    asked = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    os.environ.setdefault("SOURCE_DATE_EPOCH", asked.stdout.strip() or "1767225600")
    python = [sys.executable]
    run([*python, "tests/dist/check.py", "--keep", str(OUT)])
    run([*python, "packaging/inventory.py", "sbom", str(OUT / f"sco-paymaster-{version}.cdx.json")])
    (wheel,) = OUT.glob("*.whl")
    run([*python, "packaging/bundle.py", str(wheel), str(OUT), *(["amd64"] if options.quick else [])])
    run([*python, "tests/fresh/packages.py", str(OUT), *(["bookworm"] if options.quick else [])])
    files = sorted(path for path in OUT.iterdir() if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (OUT / "SHA256SUMS").write_text("".join(lines))
    print(f"{OUT.relative_to(ROOT)}: {len(files)} artefacts and SHA256SUMS")


def run(command: list[str]) -> None:
    """Run it from the root; it must succeed."""
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
