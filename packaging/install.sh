#!/bin/sh
# Installs or upgrades a lane from this bundle, without a network: ./install.sh
# Goes back to the release before: ./install.sh rollback       Says what is installed: ./install.sh status
set -eu
here=$(dirname "$(readlink -f "$0")")
releases=/opt/sco-releases
settings=/etc/sco/lane.toml

fail() { echo "install.sh: $*" >&2; exit 1; }
has_systemd() { [ -d /run/systemd/system ]; }
active() { has_systemd && systemctl is-active --quiet sco-lane; }
# Of a bundle; nothing before the first one.
current() { [ ! -L /opt/sco ] || readlink -e /opt/sco || true; }
name() { basename "${1:-none}"; }
# One rename: the lane has the old release or the new one, never half of each.
point_to() { ln -sfn "$1" /opt/sco.next && mv -T /opt/sco.next /opt/sco; }
system_files() {
    install -D -m 0644 /opt/sco/share/60-sco.rules /etc/udev/rules.d/60-sco.rules
    install -D -m 0644 /opt/sco/share/sco-nfc.conf /etc/modprobe.d/sco-nfc.conf
    install -D -m 0644 /opt/sco/share/sco-lane.service /etc/systemd/system/sco-lane.service
    mkdir -p /usr/local/bin /usr/local/share/man/man1 /usr/local/share/bash-completion/completions
    for path in /opt/sco/bin/sco-*; do
        name=$(basename "$path")
        ln -sfn "/opt/sco/bin/$name" "/usr/local/bin/$name"
        ln -sfn "/opt/sco/share/completion/bash/$name" "/usr/local/share/bash-completion/completions/$name"
    done
    for page in /opt/sco/share/man/*.1; do ln -sfn "$page" "/usr/local/share/man/man1/$(basename "$page")"; done
    sh /opt/sco/share/old-systemd.sh
    ! has_systemd || systemctl daemon-reload
    [ ! -e /run/udev/control ] || /opt/sco/bin/sco-hwtest udev reload ||
        echo "udev has not applied the rules: sco-hwtest udev reload" >&2
}
accepts_settings() { # as the unit runs it: token and settings may be in its environment
    if ! has_systemd || [ "$(systemctl show --value --property=LoadState sco-lane)" != loaded ]; then
        runuser -u sco -- "$1/bin/sco-pay" settings check "$settings"
        return
    fi
    check=sco-settings-check
    (umask 077 && mkdir -p /run/systemd/system && cat > "/run/systemd/system/$check.service") <<END
[Service]
Type=oneshot
User=sco
StandardOutput=file:/run/$check
StandardError=inherit
ExecStart=$1/bin/sco-pay settings check $settings
$(systemctl show --property=Environment sco-lane | sed 's/%/%%/g')
$(systemctl show --property=EnvironmentFiles sco-lane |
    sed -n 's/^EnvironmentFiles=\(.*\) (ignore_errors=no)$/EnvironmentFile=\1/p; s/^EnvironmentFiles=\(.*\) (ignore_errors=yes)$/EnvironmentFile=-\1/p')
END
    systemctl daemon-reload
    accepted=0
    systemctl start "$check" 2>/dev/null || accepted=1
    cat "/run/$check" || true
    rm -f "/run/$check" "/run/systemd/system/$check.service"
    systemctl daemon-reload
    systemctl reset-failed "$check" 2>/dev/null || true
    return "$accepted"
}
switch() { # to $1; back to what was there if the service does not start
    before=$(current)
    was_active=no
    if active; then was_active=yes; systemctl stop sco-lane; fi
    point_to "$1"
    system_files
    if [ "$was_active" = yes ] && ! systemctl start sco-lane; then
        [ -n "$before" ] || fail "the service does not start: journalctl -u sco-lane"
        point_to "$before"
        system_files
        systemctl start sco-lane || true
        fail "the service does not start with $(basename "$1"): went back to $(basename "$before")"
    fi
    [ -z "$before" ] || [ "$before" = "$1" ] || ln -sfn "$before" "$releases/previous"
}

case "${1:-install}" in
status)
    echo "installed: $(name "$(current)")"
    echo "before:    $(name "$(readlink "$releases/previous" 2>/dev/null)")"
    exit 0 ;;
rollback)
    [ "$(id -u)" = 0 ] || fail "root is needed"
    previous=$(readlink "$releases/previous" 2>/dev/null) || fail "no release to go back to"
    case $previous in "$releases"/*) ;; *) fail "$releases/previous is not a release: $previous" ;; esac
    [ -x "$previous/bin/sco-pay" ] || fail "$previous is not complete"
    switch "$previous"
    echo "went back to $(basename "$previous")"
    exit 0 ;;
install) ;;
*) fail "install.sh [install|rollback|status]" ;;
esac

[ "$(id -u)" = 0 ] || fail "root is needed"
version=$(cat "$here/VERSION")
[ ! -e /opt/sco ] || [ -L /opt/sco ] || fail "/opt/sco is not from a bundle: move it away, or remove the package sco-paymaster"
(cd "$here/tree" && sha256sum --check --quiet --strict ../SHA256SUMS) || fail "the bundle is damaged: copy it again"
"$here/tree/bin/python3.11" -I -c "import ssl, sqlite3, msgspec, PIL._imaging" ||
    fail "this machine cannot run it: $(uname -m); is this the bundle for its processor?"
digest=$(sha256sum "$here/SHA256SUMS" | cut -c1-8)
target=$releases/$version-$digest
if [ ! -d "$target" ]; then
    mkdir -p "$releases"
    rm -rf "$releases/.half"
    cp -a "$here/tree" "$releases/.half"
    chown -R root:root "$releases/.half"
    sync
    mv -T "$releases/.half" "$target"
fi
sh "$target/share/accounts.sh"
if [ -e "$settings" ]; then
    accepts_settings "$target" || fail "$version refuses $settings: nothing was changed"
fi
switch "$target"
echo "installed $(basename "$target"); ./install.sh rollback goes back"
