"""`make fresh-test`: the README's two commands in the root file system of a fresh Debian; see CONTRIBUTING.md.

Needs root and mmdebstrap. The root file systems are built from the machine's own Debian mirror, if it has one, and
cached for a week. What pip is set up to use on this machine (indexes, proxies, certificate authorities) is used inside
too. All mounts are made in a mount namespace of their own, so none is left behind, however the run ends.

Exit status: 0 all passed, or SCO_FRESH_SKIP=1 skips it all; 1 something failed; 77 it cannot be done here.
"""

from __future__ import annotations

import argparse
import configparser
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
RELEASES = {"bookworm": 0, "trixie": 1000}
"""Debian 12 with Python 3.11, Debian 13 with Python 3.13; and the user who runs the commands: some tests need root, and
some cannot be run by root."""
PACKAGES = ("python3", "python3-venv", "make", "ca-certificates")
COMMANDS = ("make demo", "make test")
HOME = "/srv/integrator"
CHECKOUT = f"{HOME}/sco-paymaster"
CANNOT_BE_DONE = 77
CACHED_FOR_S = 7 * 24 * 3600.0

_LOCAL_AUTHORITIES = "usr/local/share/ca-certificates"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_NOT_COPIED = (".git", ".venv", "out", "build", "dist", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
_PIP_SETTINGS = (
    *("index-url", "extra-index-url", "find-links", "no-index", "constraint", "cert", "client-cert", "trusted-host"),
    *("proxy", "timeout", "default-timeout", "retries"),
)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class CannotBeDone(Exception):
    """What this machine lacks."""


def main() -> int:
    """Build or take from the cache, unpack, run both commands, for each release."""
    parser = argparse.ArgumentParser(description="The README's commands in root file systems of a fresh Debian.")
    parser.add_argument("releases", nargs="*", metavar="RELEASE", help=f"default: {' '.join(RELEASES)}")
    parser.add_argument("--run", action="append", metavar="COMMAND", help="instead of make demo and make test")
    parser.add_argument(
        "--keep", action="store_true", help="leave the root file system in out/fresh, and go on with it"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    commands: Sequence[str] = options.run or COMMANDS
    if options.inside is not None:
        return _inside(options.inside, RELEASES.get(options.releases[0], 0), commands)
    if os.environ.get("SCO_FRESH_SKIP") == "1":
        print("SKIPPED the fresh root file systems: SCO_FRESH_SKIP=1")
        return 0
    results = {}
    try:
        check_machine()
        for release in options.releases or RELEASES:
            results[release] = _try(release, commands, keep=options.keep)
    except CannotBeDone as error:
        print(f"SKIPPED the fresh root file systems: {error}\nSCO_FRESH_SKIP=1 allows a machine to go without them")
        return CANNOT_BE_DONE
    for release, failed in results.items():
        print(f"{release}: " + (f"FAILED: {failed}" if failed else "passed: " + ", ".join(commands)))
    return 1 if any(results.values()) else 0


def check_machine() -> None:
    if os.geteuid():
        raise CannotBeDone("root is needed: sudo make fresh-test")
    for program in ("mmdebstrap", "unshare", "chroot", "tar"):
        if shutil.which(program) is None:
            raise CannotBeDone(f"{program} is missing: apt-get install {program}")


def _try(release: str, commands: Sequence[str], *, keep: bool) -> str:
    """The command that failed in a fresh `release`; "" when all passed."""
    archive = built(release)
    root = ROOT / "out/fresh" / release
    if not keep or not root.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        _run(["tar", "--extract", "--file", archive, "--directory", root, "--exclude=./dev/*", "--numeric-owner"])
    try:
        _lay_in(root, RELEASES.get(release, 0))
        for command in commands:
            start = time.monotonic()
            print(f"\n--- {release}: {command}", flush=True)
            status = _in_namespaces(root, release, command)
            print(f"--- {release}: {command}: status {status} after {time.monotonic() - start:.0f} s", flush=True)
            if status:
                return command
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)
    return ""


# --- the root file system -------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where root file systems are kept between runs: `SCO_FRESH_CACHE`, else the user's cache."""
    given = os.environ.get("SCO_FRESH_CACHE")
    return Path(given or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sco-fresh")


def built(release: str, architecture: str = "") -> Path:
    """The archive of a root file system, at most a week old; one of another architecture is without `PACKAGES`."""
    archive = cache_folder() / f"{release}{architecture and '-'}{architecture}.tar"
    if archive.exists() and time.time() - archive.stat().st_mtime < CACHED_FOR_S:
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    half = archive.with_suffix(".half.tar")
    half.unlink(missing_ok=True)
    command = ["mmdebstrap", "--mode=root", "--variant=minbase"]
    command += [f"--aptopt={line}" for line in apt_options()]
    command += [f"--architectures={architecture}"] if architecture else [f"--include={','.join(PACKAGES)}"]
    mirrors = sources(release)
    try:
        _run([*command, release, half, *(["-"] if mirrors else [])], text="\n".join(mirrors) + "\n")
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"FAILED: no root file system of {release}: mmdebstrap: status {error.returncode}") from None
    half.rename(archive)
    return archive


def sources(release: str) -> list[str]:
    """The machine's own Debian mirrors, for `release`; none on another system: mmdebstrap then takes its default."""
    system = platform.freedesktop_os_release()
    ours = system.get("VERSION_CODENAME", "")
    if system.get("ID") != "debian" or not ours:
        return []
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    asked = subprocess.run(
        ["apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = set()
    for line in asked.stdout.splitlines():
        uri, suite, component = line.split("|")
        if suite in {ours, f"{ours}-updates", f"{ours}-security"} and component == "main":
            found.add(f"deb {uri} {release}{suite.removeprefix(ours)} main")
    return sorted(found)


def apt_options() -> list[str]:
    """The machine's proxies and the like."""
    dump = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=False).stdout
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Check-")
    return [line for line in dump.splitlines() if line.startswith(wanted) and not line.endswith('"";')]


def _lay_in(root: Path, user: int) -> None:
    """A user with a clean checkout, and how this machine reaches the network."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    hosts = root / "etc/hosts"
    if not hosts.exists():  # Debian's installer writes it
        hosts.write_text(f"127.0.0.1\tlocalhost\n127.0.1.1\t{platform.node()}\n::1\tlocalhost\n")
    authorities = Path("/", _LOCAL_AUTHORITIES)
    if any(authorities.glob("**/*.crt")):
        shutil.copytree(authorities, root / _LOCAL_AUTHORITIES, dirs_exist_ok=True)
        _run(["chroot", root, "update-ca-certificates"], quiet=True)
    checkout = root / CHECKOUT.lstrip("/")
    for name in _tracked():
        target = checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    if user:
        _run(
            ["chroot", root, "sh", "-c", f"id integrator || useradd --uid {user} --home-dir {HOME} integrator"],
            quiet=True,
        )
    (root / HOME.lstrip("/") / ".cache/pip").mkdir(parents=True, exist_ok=True)
    _run(["chown", "--recursive", f"{user}:{user}", root / HOME.lstrip("/")])


def _tracked() -> list[Path]:
    """The files under version control as they are now; without git all but what is generated."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
        names = [Path(name) for name in listed if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not path.is_dir()]
        names = [name for name in names if not set(name.parts) & set(_NOT_COPIED)]
    return [name for name in names if os.path.lexists(ROOT / name)]


# --- inside ---------------------------------------------------------------------------------------------------------


def _in_namespaces(root: Path, release: str, command: str) -> int:
    """Run it in `root`, with mounts and processes of its own: both end with it."""
    isolated = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    again = [sys.executable, str(Path(__file__).resolve()), release, "--inside", str(root), "--run", command]
    return subprocess.run([*isolated, *again], check=False).returncode


def _inside(root: Path, user: int, commands: Sequence[str]) -> int:
    """As the first process of the namespaces: mount, run, and reap what the command's children leave."""
    pip = _pip_settings()
    _mount_all(root, user, pip)
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": HOME,
        **{name: os.environ[name] for name in _PROXIES if name in os.environ},
        **{f"PIP_{name.upper().replace('-', '_')}": value for name, value in pip.items()},
    }
    command = [
        "chroot",
        f"--userspec={user}:{user}",
        str(root),
        "/bin/sh",
        "-c",
        f"cd {CHECKOUT} && {' && '.join(commands)}",
    ]
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _mount_all(root: Path, user: int, pip: dict[str, str]) -> None:
    _run(["mount", "-t", "proc", "proc", root / "proc"])
    _run(["mount", "-t", "sysfs", "-o", "ro", "sysfs", root / "sys"])
    dev = root / "dev"
    _run(["mount", "-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", dev])
    for name in _DEVICES:
        (dev / name).touch()
        _run(["mount", "--bind", f"/dev/{name}", dev / name])
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    _run(["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620,gid=5", "devpts", dev / "pts"])
    _run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", dev / "shm"])
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    cache = cache_folder() / f"pip-{user}"
    cache.mkdir(parents=True, exist_ok=True)
    os.chown(cache, user, user)  # pip uses no other's
    _bind(cache, root / f"{HOME.lstrip('/')}/.cache/pip")
    for place in dict.fromkeys(_local_places(pip)):
        _bind(place, root / place.relative_to("/"))


def _bind(place: Path, target: Path) -> None:
    if place.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _run(["mount", "--bind", place, target])


def _pip_settings() -> dict[str, str]:
    """How pip reaches its packages on this machine, by the option's name: its files, then its environment."""
    found: dict[str, str] = {}
    home = Path.home()
    xdg = [Path(folder) for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder]
    files = [*(folder / "pip/pip.conf" for folder in xdg), Path("/etc/pip.conf")]
    files += [home / ".pip/pip.conf", Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"]
    files += [Path(os.environ["PIP_CONFIG_FILE"])] if "PIP_CONFIG_FILE" in os.environ else []
    for file in files:
        parser = configparser.RawConfigParser()
        parser.read(file, encoding="utf-8")
        for section in ("global", "install"):
            found |= dict(parser[section]) if parser.has_section(section) else {}
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return {name: " ".join(value.split()) for name, value in found.items() if name in _PIP_SETTINGS}


def _local_places(pip: dict[str, str]) -> Iterator[Path]:
    """The files and folders of this machine among pip's settings."""
    for name, value in pip.items():
        for word in value.split():
            parts = urlsplit(word)
            place = Path(unquote(parts.path)) if parts.scheme in ("", "file") else None
            if place is None or not place.is_absolute() or not place.exists():
                continue
            # the files of an index lie next to its pages as often as under them
            yield place.parent if name.endswith("index-url") and place.parent != Path("/") else place


def _run(command: Sequence[str | Path], *, text: str | None = None, quiet: bool = False) -> None:
    output = subprocess.DEVNULL if quiet else None
    subprocess.run(list(map(str, command)), input=text, text=True, check=True, stdout=output, stderr=output)


if __name__ == "__main__":
    raise SystemExit(main())
