"""`make packages-test`: bundle and Debian package in fresh root file systems without a network; see docs/release.md.

    python tests/fresh/packages.py OUT [bookworm|trixie|bullseye ...] [--architecture arm64]    # as root

OUT has the .deb and the .tar.xz. Debian 11 (bullseye) stands for the older systems: its glibc is 2.31, so that both run
with their own; aarch64 runs in QEMU, too slowly for the deadlines of `sco-hwtest`'s checks.

In each: the package installs, upgrades (over itself, with a higher version), pays the demo, is removed and purged, and
keeps the journal; then the bundle installs, pays the demo, upgrades, goes back, and refuses a damaged copy.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.fresh import run as fresh  # noqa: E402
from tests.fresh.emulation import PROCESSORS, emulated, is_native  # noqa: E402

RELEASES = ("bookworm", "trixie", "bullseye")

PACKAGE = """
set -eux
cd /srv
dpkg --install first.deb
id sco
test -e /usr/lib/systemd/system/sco-lane.service -a -e /usr/lib/udev/rules.d/60-sco.rules
for name in sco-pay sco-hwtest sco-sim; do
    gzip --decompress --stdout "/usr/share/man/man1/$name.1.gz" | grep -F .TH
    bash -c "source /usr/share/bash-completion/completions/$name && complete -p $name"
    test -s "/usr/share/zsh/vendor-completions/_$name" -a -s "/usr/share/fish/vendor_completions.d/$name.fish"
    "$name" --version
done
COMP_WORDS='sco-pay jour' COMP_CWORD=1 _SCO_PAY_COMPLETE=bash_complete sco-pay | grep -x plain,journal
test "$(stat -c %U:%a /var/lib/sco)" = sco:700
id -Gn sco | grep -w dialout | grep -w video
sco-hwtest udev check --root / 2>&1 | grep '60-sco.rules .*installed in /usr/lib/udev/rules.d'
python() { /opt/sco/bin/python3.11 -I -c "$1"; }
python "import ssl; print(open('/proc/self/maps').read())" > /tmp/maps
grep bundled/libssl /tmp/maps
case $(getconf GNU_LIBC_VERSION) in
*2.31) grep lib/glibc/libc.so.6 /tmp/maps ;;
*) if grep lib/glibc /tmp/maps; then exit 1; fi ;;
esac
python "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import ssl, msgspec'], check=True)"
cd /tmp
sco-pay --version
sco-pay demo --speed $SPEED --out /tmp/demo | grep 'paid: order 42'
[ $SPEED != 50 ] || sco-hwtest run --nfc sim:// | grep 'checks passed'
echo kept > /var/lib/sco/journal.db
cd /srv
mkdir -p /etc/udev/rules.d && touch /etc/udev/rules.d/60-sco.rules
dpkg --install second.deb 2>&1 | grep 'udev/rules.d/60-sco.rules is in force'
rm /etc/udev/rules.d/60-sco.rules
dpkg-query -W -f '${Version}\\n' sco-paymaster | grep -Fx "$HIGHER"
sco-pay --version
dpkg --remove sco-paymaster
test ! -e /usr/bin/sco-pay -a ! -L /usr/bin/sco-pay
dpkg --purge sco-paymaster
test -z "$(find /opt /usr -name '*sco-*' -o -name 60-sco.rules -o -name __pycache__ -path '/opt/*')"
test "$(cat /var/lib/sco/journal.db)" = kept
rm -r /var/lib/sco
"""
BUNDLE = """
set -eux
mkdir /srv/b && cd /srv/b
tar --extract --file ../bundle.tar --strip-components 1
./install.sh status | grep -x 'installed: none'
./install.sh
if ./install.sh rollback; then exit 1; fi
cd /tmp
sco-pay demo --speed $SPEED --out /tmp/demo2 | grep 'paid: order 42'
test -x /opt/sco/bin/sco-pay -a -e /etc/systemd/system/sco-lane.service
cp -a /srv/b /srv/c && cd /srv/c
echo '# newer' >> tree/share/CHANGELOG.md
if ./install.sh; then exit 1; fi
(cd tree && find . -type f | sed 's,^./,,' | sort | xargs -d '\\n' sha256sum) > SHA256SUMS
first=$(readlink /opt/sco)
./install.sh
test "$(readlink /opt/sco)" != "$first"
echo 'wrong = ' > /etc/sco/lane.toml
if /srv/b/install.sh; then exit 1; fi
test "$(readlink /opt/sco)" != "$first"
./install.sh rollback
test "$(readlink /opt/sco)" = "$first"
filter=/etc/systemd/system/sco-lane.service.d/no-system-call-filter.conf
printf '#!/bin/sh\necho systemd 241\n' > /usr/local/bin/systemctl && chmod +x /usr/local/bin/systemctl
sh /opt/sco/share/old-systemd.sh && grep -x SystemCallFilter= $filter
sed -i s/241/252/ /usr/local/bin/systemctl
sh /opt/sco/share/old-systemd.sh && test ! -e $filter
sco-pay --version
./install.sh status
"""


def main() -> int:
    """Try both in each release."""
    parser = argparse.ArgumentParser(description="Bundle and Debian package in fresh root file systems.")
    parser.add_argument("out", type=Path, help="folder with the .deb and the .tar.xz")
    parser.add_argument("releases", nargs="*", help=f"default: {' '.join(RELEASES)}")
    parser.add_argument("--architecture", default="amd64", choices=PROCESSORS, help="another than the machine's: QEMU")
    options = parser.parse_args()
    results = {}
    try:
        fresh.check_machine()
        if missing := [name for name in ("ip", "xz", "dpkg-deb") if shutil.which(name) is None]:
            raise fresh.CannotBeDone(f"{', '.join(missing)} missing: apt-get install iproute2 xz-utils dpkg")
        with emulated(options.architecture):
            for release in options.releases or RELEASES:
                for name, status in _tried(options.out.resolve(), release, options.architecture).items():
                    results[f"{release} {options.architecture} {name}"] = status
    except fresh.CannotBeDone as error:
        print(f"SKIPPED bundle and package: {error}")
        return fresh.CANNOT_BE_DONE
    for key, status in results.items():
        print(f"{key}: {'passed' if status == 0 else f'FAILED: status {status}'}")
    return int(any(results.values()))


def _tried(out: Path, release: str, architecture: str) -> dict[str, int]:
    """The exit status of each script in a fresh root file system."""
    (deb,) = out.glob(f"*_{architecture}.deb")
    (bundle,) = out.glob(f"*-{architecture}.tar.xz")
    native = is_native(architecture)
    root = ROOT / "out/packages" / f"{release}-{architecture}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    results = {}
    try:
        archive = fresh.built(release, "" if native else architecture)
        fresh._run(["tar", "-xf", archive, "-C", root, "--exclude=./dev/*", "--numeric-owner"])
        shutil.copy(deb, root / "srv/first.deb")
        subprocess.run(f"xz --decompress --stdout {bundle} > {root}/srv/bundle.tar", shell=True, check=True)
        higher = _higher(deb, root / "srv/second.deb", root / "srv/unpacked")
        for name, script in {"package": PACKAGE, "bundle": BUNDLE}.items():
            (root / "srv/script").write_text(script)
            prepare = "mount -t proc proc proc && mount --rbind /dev dev && ip link set lo up && "
            command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "env", f"HIGHER={higher}"]
            command += [f"SPEED={50 if native else 4}", "sh", "-c", f"{prepare}exec chroot . sh /srv/script"]
            results[name] = subprocess.run(command, cwd=root, check=False).returncode
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return results


def _higher(deb: Path, out: Path, folder: Path) -> str:
    """The same package with a higher version, which is returned."""
    fresh._run(["dpkg-deb", "--raw-extract", deb, folder])
    control = folder / "DEBIAN/control"
    version = next(line.split()[1] for line in control.read_text().splitlines() if line.startswith("Version:")) + "+1"
    control.write_text(re.sub("^Version: .*$", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
    fresh._run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", folder, out], quiet=True)
    shutil.rmtree(folder)
    return version


if __name__ == "__main__":
    raise SystemExit(main())
