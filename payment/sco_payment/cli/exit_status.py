"""The exit statuses of `sco-pay`, for scripts and service managers. They do not change within a major version."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What an exit status of `sco-pay` means.

    `pay`, `recover` and `demo` return the outcome of the payment. `cases --check` and `journal verify` return
    `PROBLEM` when they find something; `link check` returns `OK` for a verified link, `PROBLEM` for a refused one, and
    3 for one that can be shown but not verified.
    """

    OK = 0
    PROBLEM = 1
    WRONG_USAGE = 2
    UNPAID = 3
    UNKNOWN = 4
    NOT_PRESENTED = 5
    REFUSED = 6
    JOURNAL_BUSY = 7
    UNREACHABLE = 8


PAYMENT_HELP = """\
\b
Exit status:
  0  paid
  2  wrong usage or settings; nothing was sent
  3  not paid: declined, cancelled or expired
  4  unknown, or paid with a case: keep the goods and see `sco-pay cases`
  5  not paid: the link could not be presented
  6  refused, nothing was sent: the order is paid already, or may still be paid
  7  another process, or the lane's service, has the journal; nothing was sent
  8  the lane's service cannot be reached; nothing was sent
"""
"""For the help of `pay` and `demo`."""
