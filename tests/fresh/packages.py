"""`make packages-test`: bundle and Debian package in fresh root file systems without a network; see docs/release.md.

    python tests/fresh/packages.py OUT [bookworm|trixie|bullseye ...]    # as root; OUT has the .deb and the .tar.xz

In each: the package installs, upgrades (over itself, with a higher version), pays the demo, is removed and purged, and
keeps the journal; then the bundle installs, pays the demo, upgrades, goes back, and refuses a damaged copy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.fresh import run as fresh  # noqa: E402

PACKAGE = """
set -eux
cd /srv
dpkg --install first.deb
id sco
test -e /usr/lib/systemd/system/sco-lane.service -a -e /usr/lib/udev/rules.d/60-sco.rules
test -s /usr/share/man/man1/sco-pay.1.gz -a -s /usr/share/bash-completion/completions/sco-pay
test "$(stat -c %U:%a /var/lib/sco)" = sco:700
python() { /opt/sco/bin/python3.11 -I -c "$1"; }
python "import ssl; print(open('/proc/self/maps').read())" | grep bundled/libssl
python "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import ssl, msgspec'], check=True)"
cd /tmp
sco-pay --version
sco-pay demo --speed 50 --out /tmp/demo | grep 'paid: order 42'
sco-hwtest run --nfc sim:// | grep 'checks passed'
echo kept > /var/lib/sco/journal.db
cd /srv
dpkg --install second.deb
dpkg-query -W -f '${Version}\\n' sco-paymaster | grep 0.1.0+1
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
./install.sh
cd /tmp
sco-pay demo --speed 50 --out /tmp/demo2 | grep 'paid: order 42'
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
sco-pay --version
./install.sh status
"""


def main() -> int:
    """Try both in each release."""
    out = Path(sys.argv[1]).resolve()
    (deb,) = out.glob("*_amd64.deb")
    (bundle,) = out.glob("*-amd64.tar.xz")
    fresh.check_machine()
    results = {}
    for release in sys.argv[2:] or ["bookworm", "trixie"]:
        root = ROOT / "out/packages" / release
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        try:
            fresh._run(["tar", "-xf", fresh.built(release), "-C", root, "--exclude=./dev/*", "--numeric-owner"])
            shutil.copy(deb, root / "srv/first.deb")
            subprocess.run(f"xz --decompress --stdout {bundle} > {root}/srv/bundle.tar", shell=True, check=True)
            _higher(deb, root / "srv/second.deb", root / "srv/unpacked")
            for name, script in {"package": PACKAGE, "bundle": BUNDLE}.items():
                (root / "srv/script").write_text(script)
                prepare = "mount -t proc proc proc && mount --rbind /dev dev && ip link set lo up 2>/dev/null; "
                command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c"]
                done = subprocess.run([*command, f"{prepare} exec chroot . sh /srv/script"], cwd=root, check=False)
                results[f"{release} {name}"] = done.returncode
        finally:
            shutil.rmtree(root, ignore_errors=True)
    for key, status in results.items():
        print(f"{key}: {'passed' if status == 0 else f'FAILED: status {status}'}")
    return int(any(results.values()))


def _higher(deb: Path, out: Path, folder: Path) -> None:
    """The same package with a higher version."""
    fresh._run(["dpkg-deb", "--raw-extract", deb, folder])
    control = folder / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: 0.1.0", "Version: 0.1.0+1"))
    fresh._run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", folder, out], quiet=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    raise SystemExit(main())
