#!/bin/sh
# The tree's Python, built for Debian 12. On a system whose glibc is older than Debian 12's, it runs with the one in
# lib/glibc; on others with the system's own, which every library of the system is sure to fit.
bin=$(dirname "$(readlink -f "$0")")
case $(getconf GNU_LIBC_VERSION 2>/dev/null) in
glibc\ 2.3[6-9]* | glibc\ 2.[4-9][0-9]*) exec "$bin/python3.11.elf" "$@" ;;
esac
glibc=$bin/../lib/glibc
exec "$glibc/ld.so" --argv0 "$bin/python3.11" --library-path "$glibc" "$bin/python3.11.elf" "$@"
