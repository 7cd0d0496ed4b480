"""The bundle's install.sh and the Debian package's scripts in a scratch root, with programs that write down their calls.

In real root file systems they run in `make packages-test`, without systemd.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.dist.test_release import ROOT

PROGRAMS = {
    **dict.fromkeys(("groupadd", "useradd", "usermod", "chown", "getent", "sync"), ""),
    "id": "echo 0",
    "runuser": 'shift 3; exec "$@"',
    "install": """
case " $* " in *" -d "*) for last; do :; done; exec mkdir -p "$last" ;; esac
while [ $# -gt 2 ]; do shift; done
mkdir -p "$(dirname "$2")" && cp "$1" "$2"
""",
    "systemctl": """
case "$*" in
--version) echo "systemd 252 (252)" ;;
"is-active --quiet sco-lane") [ -e "$STATE/active" ] ;;
"start sco-lane") [ ! -e "$STATE/broken" ] && touch "$STATE/active" ;;
"stop sco-lane") rm "$STATE/active" ;;
"show --value --property=LoadState sco-lane") echo loaded ;;
"show --property="*" sco-lane") cat "$STATE/${2#--property=}" 2>/dev/null || echo "${2#--property=}=" ;;
"start sco-settings-check")
    while IFS= read -r line; do
        case $line in
        Environment=?*) export "${line#*=}" ;;
        EnvironmentFile=*) set -a && . "${line#*=}" && set +a ;;
        StandardOutput=file:*) said=${line#*:} ;;
        ExecStart=*) command=${line#*=} ;;
        esac
    done < "$RUN/systemd/system/sco-settings-check.service"
    $command > "$said" 2>&1 ;;
esac
""",
}
IN_THE_TREE = {
    "bin/python3.11": "",
    "bin/sco-hwtest": "",
    "bin/sco-pay": '[ -n "$SCO_PAYMASTER_TOKEN" ] || { echo "there is no token" >&2; exit 2; }',
}


class Lane:
    """A machine's files in a folder; systemd runs."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state, self._bin = folder / "root", folder / "state", folder / "bin"
        self._log = folder / "log"
        for made in (self.root / "opt", self.root / "run/systemd/system", self.root / "run/udev", self.state, self._bin):
            made.mkdir(parents=True)
        (self.root / "run/udev/control").touch()
        for name, text in PROGRAMS.items():
            self.program(self._bin / name, text)

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{path.name} $*" >> {self._log}\n{text}\n')
        path.chmod(0o755)

    def script(self, name: str, target: Path) -> Path:
        """A script of packaging/ whose system is in the folder."""
        text = (ROOT / "packaging" / name).read_text("utf-8")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(re.sub(r"(?<![\w$}*])/(opt|etc|run|usr|var)/", rf"{self.root}/\1/", text))
        target.chmod(0o755)
        return target

    def tree(self, target: Path, version: str = "") -> Path:
        """What a bundle or package brings."""
        for name, text in IN_THE_TREE.items():
            self.program(target / name, text)
        for name in ("accounts.sh", "old-systemd.sh"):
            self.script(name, target / "share" / name)
        for name in ("60-sco.rules", "sco-nfc.conf", "sco-lane.service"):
            (target / "share" / name).write_text(f"{name} {version}\n")
        return target

    def bundle(self, version: str) -> Path:
        """An unpacked bundle; returns its install.sh."""
        folder = self.root.parent / f"bundle-{version}"
        self.tree(folder / "tree", version)
        (folder / "VERSION").write_text(f"{version}\n")
        sums = "find . -type f | sed 's,^./,,' | xargs sha256sum > ../SHA256SUMS"
        subprocess.run(["sh", "-c", sums], cwd=folder / "tree", check=True)
        return self.script("install.sh", folder / "install.sh")

    def run(self, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self._bin}:/usr/bin:/bin", "STATE": str(self.state), "RUN": str(self.root / "run")}
        return subprocess.run(
            ["sh", str(script), *words], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def debian(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A script of the package."""
        return self.run(self.script(f"deb/{name}", self.root.parent / name), *words)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    @property
    def installed(self) -> str:
        """The release in force."""
        return (self.root / "opt/sco").resolve(strict=True).name.partition("-")[0]

    @property
    def active(self) -> bool:
        return (self.state / "active").exists()


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    return Lane(tmp_path)


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- bundle -----------------------------------------------------------------------------------------------------------


def test_after_the_first_install_there_is_nothing_to_go_back_to(lane: Lane) -> None:
    install = lane.bundle("1.0")
    assert "installed: none\nbefore:    none" in ok(lane.run(install, "status"))
    ok(lane.run(install))
    assert "before:    none" in ok(lane.run(install, "status"))
    refused = lane.run(install, "rollback")
    assert (refused.returncode, "no release to go back to" in refused.stderr) == (1, True), refused.stderr
    assert lane.installed == "1.0"


def test_a_release_can_be_taken_back_and_forth(lane: Lane) -> None:
    first, second = lane.bundle("1.0"), lane.bundle("2.0")
    ok(lane.run(first))
    ok(lane.run(second))
    assert lane.installed == "2.0"
    for version in ("1.0", "2.0"):
        ok(lane.run(second, "rollback"))
        assert lane.installed == version
        assert (lane.root / "etc/udev/rules.d/60-sco.rules").read_text() == f"60-sco.rules {version}\n"


def test_a_previous_release_elsewhere_is_refused(lane: Lane) -> None:
    install = lane.bundle("1.0")
    ok(lane.run(install))
    (lane.root / "opt/sco-releases/previous").symlink_to(lane.root / "opt/sco")
    refused = lane.run(install, "rollback")
    assert (refused.returncode, "is not a release" in refused.stderr) == (1, True), refused.stderr
    assert lane.installed == "1.0"


def test_a_lane_that_does_not_start_gets_its_release_back(lane: Lane) -> None:
    ok(lane.run(lane.bundle("1.0")))
    (lane.state / "active").touch()
    (lane.state / "broken").touch()
    failed = lane.run(lane.bundle("2.0"))
    assert (failed.returncode, "went back to 1.0" in failed.stderr) == (1, True), failed.stderr
    assert lane.installed == "1.0"


def test_devices_are_named_before_the_lane_starts(lane: Lane) -> None:
    ok(lane.run(lane.bundle("1.0")))
    (lane.state / "active").touch()
    ok(lane.run(lane.bundle("2.0")))
    assert lane.calls.index("systemctl stop sco-lane") < lane.calls.index("systemctl start sco-lane")
    assert "sco-hwtest udev reload" in lane.calls[lane.calls.index("systemctl stop sco-lane") :]
    assert lane.calls[-1] == "systemctl start sco-lane"


@pytest.mark.parametrize("where", ["Environment", "EnvironmentFiles"])
def test_a_token_in_the_units_environment_is_found(lane: Lane, where: str) -> None:
    settings = lane.root / "etc/sco/lane.toml"
    settings.parent.mkdir(parents=True)
    settings.touch()
    install = lane.bundle("1.0")
    refused = lane.run(install)
    assert refused.returncode == 1
    assert "there is no token" in refused.stdout
    assert "nothing was changed" in refused.stderr
    assert not (lane.root / "opt/sco").exists()
    file = lane.root / "etc/sco/environment"
    file.write_text("SCO_PAYMASTER_TOKEN=secret\n")
    said = "SCO_PAYMASTER_TOKEN=secret" if where == "Environment" else f"{file} (ignore_errors=no)"
    (lane.state / where).write_text(f"{where}={said}\n")
    ok(lane.run(install))
    assert lane.installed == "1.0"
    assert not list((lane.root / "run").glob("**/sco-settings-check*")), "the token was left in /run"


# --- Debian package ---------------------------------------------------------------------------------------------------


@pytest.fixture
def packaged(lane: Lane) -> Lane:
    """The package's files are unpacked, and its lane runs."""
    lane.tree(lane.root / "opt/sco")
    (lane.state / "active").touch()
    return lane


def test_an_upgrade_stops_the_lane_and_starts_it_after_its_devices_are_named(packaged: Lane) -> None:
    ok(packaged.debian("prerm", "upgrade", "2.0"))
    assert not packaged.active
    done = packaged.debian("postinst", "configure", "1.0")
    ok(done)
    assert packaged.active
    assert packaged.calls.index("sco-hwtest udev reload") < packaged.calls.index("systemctl start sco-lane")
    assert "in force" not in done.stderr
    ok(packaged.debian("postinst", "configure", "2.0"))
    assert packaged.calls.count("systemctl start sco-lane") == 1, "it was started without having been stopped"


@pytest.mark.parametrize("how", ["upgrade", "remove", "deconfigure"])
def test_what_is_given_up_leaves_the_lane_running(packaged: Lane, how: str) -> None:
    ok(packaged.debian("prerm", how))
    assert not packaged.active
    ok(packaged.debian("postinst", f"abort-{how}"))
    assert packaged.active


def test_a_stopped_lane_stays_stopped(packaged: Lane) -> None:
    (packaged.state / "active").unlink()
    ok(packaged.debian("prerm", "upgrade", "2.0"))
    ok(packaged.debian("postinst", "abort-upgrade", "2.0"))
    ok(packaged.debian("postinst", "configure", "1.0"))
    assert not packaged.active


def test_a_removed_package_starts_nothing_when_it_comes_back(packaged: Lane) -> None:
    ok(packaged.debian("prerm", "remove"))
    ok(packaged.debian("postrm", "remove"))
    ok(packaged.debian("postinst", "configure"))
    assert not packaged.active


@pytest.mark.parametrize("broken", ["the lane", "udev"])
def test_what_fails_is_said_and_leaves_the_package_installed(packaged: Lane, broken: str) -> None:
    ok(packaged.debian("prerm", "upgrade", "2.0"))
    if broken == "the lane":
        (packaged.state / "broken").touch()
    else:
        packaged.program(packaged.root / "opt/sco/bin/sco-hwtest", "exit 1")
    done = packaged.debian("postinst", "configure", "1.0")
    ok(done)
    said = "the lane does not start: journalctl" if broken == "the lane" else "udev has not applied the rules"
    assert said in done.stderr
    assert packaged.active is (broken == "udev")


def test_files_of_an_earlier_installation_are_named(packaged: Lane) -> None:
    old = (
        "etc/systemd/system/sco-lane.service",
        "etc/udev/rules.d/60-sco.rules",
        "etc/modprobe.d/sco-nfc.conf",
        "usr/local/bin/sco-pay",
    )
    for name in old:
        path = packaged.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/nowhere")
    done = packaged.debian("postinst", "configure")
    ok(done)
    for name in old:
        assert f"/{name} is in force, not this package's" in done.stderr
