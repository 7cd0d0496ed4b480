#!/bin/sh
# Run by install.sh and by the Debian package. systemd answers a system call that it does not know with EPERM before
# version 250; the glibc of this release then starts no thread. There the unit goes without its filter of system calls.
dropin=/etc/systemd/system/sco-lane.service.d/no-system-call-filter.conf
version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ -n "$version" ] && [ "$version" -lt 250 ]; then
    mkdir -p "$(dirname "$dropin")"
    printf '[Service]\nSystemCallFilter=\n' > "$dropin"
else
    rm -f "$dropin"
fi
