"""What a lane installs: the lock with hashes, the notices of others, and the bill of materials.

    python packaging/inventory.py lock            # packaging/lane.txt and THIRD-PARTY-NOTICES.txt, from pyproject.toml
    python packaging/inventory.py sbom OUT.json   # CycloneDX 1.5, from the lock

Needs uv (`pip install --group dist`). Both are the same at each run, unless the registry has something newer.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "packaging/lane.txt"
NOTICES = ROOT / "THIRD-PARTY-NOTICES.txt"
FONTS = ROOT / "drivers/sco_drivers/screen/fonts"
LIBUSB = (
    "libusb-package carries a build of libusb 1.0 (https://libusb.info, LGPL-2.1-or-later, not changed). It is a "
    "shared library of its own: replace it, or install the system's libusb-1.0-0, which is preferred."
)
SPDX = {
    "EUPL": "EUPL-1.1",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
}
"""Words of packages that name their licence without an SPDX expression."""
_LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e|copying|notice|authors)[^/]*$", re.IGNORECASE)


@dataclass(frozen=True)
class Locked:
    """One package of the lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def locked() -> Iterator[Locked]:
    """The lock's packages."""
    for entry in LOCK.read_text().replace("\\\n", " ").splitlines():
        match = re.match(r"([\w.-]+)==(\S+)\s*(?:;\s*(.*?))?\s*(--hash.*)$", entry)
        if match:
            name, version, marker, hashes = match.groups()
            yield Locked(name, version, marker or "", tuple(sorted(re.findall(r"sha256:([0-9a-f]{64})", hashes))))


def uv(*words: str) -> None:
    """Run uv; its messages are shown only when it fails."""
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *words], cwd=ROOT, check=True)


def write_lock() -> None:
    """Resolve the newest of what pyproject.toml allows, for Linux and every Python of ours."""
    uv(
        *("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"),
        *("--no-header", "--upgrade", "--extra", "simulator", "--extra", "fleet-lane"),
        *("pyproject.toml", "--output-file", str(LOCK)),
    )


def write_notices() -> None:
    """The licences of all that a lane installs, in full."""
    with tempfile.TemporaryDirectory() as folder:
        uv("pip", "install", "--no-deps", "--require-hashes", "--target", folder, "-r", str(LOCK))
        NOTICES.write_text("\n".join(notices(folder)) + "\n")


def notices(folder: str) -> Iterator[str]:
    """The text, from the packages installed in `folder`."""
    yield "Software of others that comes with sco-paymaster or is installed with it. Made by `make lock`."
    found = sorted(importlib.metadata.distributions(path=[folder]), key=lambda each: each.name.lower())
    for package in found:
        yield f"\n{'=' * 100}\n{package.name} {package.version}: {licence(package)}"
        yield from ([LIBUSB] if package.name == "libusb-package" else [])
        own = f"{package.name.replace('-', '_').lower()}-"
        for file in sorted(package.files or [], key=str):
            path = str(file)
            if path.lower().replace(".", "_").startswith(own.replace(".", "_")) and _LICENCE_FILE.search(path):
                yield f"\n--- {file.name}\n"
                yield "\n".join(line.rstrip() for line in file.read_text(encoding="utf-8").splitlines())
    yield f"\n{'=' * 100}\nRoboto (fonts in sco_drivers/screen/fonts): Apache-2.0\n"
    yield (FONTS / "README.md").read_text().rstrip()
    yield f"\n--- LICENSE.txt\n\n{(FONTS / 'LICENSE.txt').read_text().rstrip()}"


def licence(package: importlib.metadata.Distribution) -> str:
    """The licence as an SPDX expression where it can be told."""
    said = (_field(package, "License-Expression") or _field(package, "License")).strip()
    if not said or said == "UNKNOWN" or len(said) > 60:
        named = [
            line.split(" :: ")[-1] for line in package.metadata.get_all("Classifier") or [] if "License ::" in line
        ]
        said = named[0] if named else "see the text"
    return SPDX.get(said, said)


def _field(package: importlib.metadata.Distribution, name: str) -> str:
    return str(package.metadata[name] or "") if name in package.metadata else ""


def licences() -> dict[str, str]:
    """Name to licence, as the notices have it."""
    lines = re.findall(r"^={100}\n(\S+) \S+: (.+)$", NOTICES.read_text(), re.MULTILINE)
    return {normal(name): said for name, said in lines}


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def sbom() -> dict[str, object]:
    """The bill of materials, CycloneDX 1.5."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = licences()
    when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    purl = f"pkg:pypi/{project['name']}@{project['version']}"
    parts = sorted(locked(), key=lambda each: each.name)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, purl + LOCK.read_text())}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", when),
            "component": {
                "type": "application",
                "bom-ref": purl,
                "purl": purl,
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"expression": project["license"]}],
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{normal(part.name)}@{part.version}",
                "purl": f"pkg:pypi/{normal(part.name)}@{part.version}",
                "name": part.name,
                "version": part.version,
                "licenses": [{"license": {"name": known[normal(part.name)]}}] if normal(part.name) in known else [],
                "properties": [{"name": "sco:sha256", "value": value} for value in part.hashes]
                + ([{"name": "sco:marker", "value": part.marker}] if part.marker else []),
            }
            for part in parts
        ],
        "dependencies": [
            {"ref": purl, "dependsOn": [f"pkg:pypi/{normal(each.name)}@{each.version}" for each in parts]}
        ],
    }


def main(words: Sequence[str]) -> None:
    """Lock, or write the bill of materials."""
    if list(words) == ["lock"]:
        write_lock()
        write_notices()
    elif len(words) == 2 and words[0] == "sbom":
        Path(words[1]).write_text(json.dumps(sbom(), indent=1) + "\n")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
