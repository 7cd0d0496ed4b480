#!/bin/sh
# Run by install.sh and by the Debian package: the lane's user, its groups and its folders. Serial lines and screens keep
# the groups dialout and video, which the unit names too: systemd starts no service of a group that does not exist.
set -e
for group in sco dialout video; do getent group "$group" >/dev/null || groupadd --system "$group"; done
getent passwd sco >/dev/null || useradd --system --gid sco --home-dir /var/lib/sco --shell /usr/sbin/nologin sco
usermod --append --groups dialout,video sco
install -d -m 0750 -o root -g sco /etc/sco
install -d -m 0700 -o sco -g sco /var/lib/sco
