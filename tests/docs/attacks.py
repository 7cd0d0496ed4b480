"""What was tried against a lane and must keep failing: the source of `docs/guide/security.md`.

A test that carries out an attack is marked `@pytest.mark.attack("A4")`. Where a command shows it, `command` is a target
of the Makefile. `docs/evidence.py` (`make diagrams`) makes the page, `test_security_page.py` holds them to each other.
"""

from __future__ import annotations

from typing import NamedTuple


class Attack(NamedTuple):
    """One row.

    Attributes:
        id: A and a number; a number is never used again.
        section: the heading under which it is listed.
        attack: what happens, or what somebody does.
        answer: what the lane does.
        command: the target of the Makefile that shows it, where no test of the suite can.
    """

    id: str
    section: str
    attack: str
    answer: str
    command: str = ""


JOURNAL, TEXTS, LINKS, NUMBERS, OUTPUTS, SECRETS, SERVICE, INSTALLED = (
    "The journal",
    "Untrusted text",
    "Payment links",
    "Amounts and settings",
    "Outputs",
    "Secrets",
    "The service",
    "What is installed",
)
ATTACKS = (
    Attack(
        "A1",
        JOURNAL,
        "The journal's file is deleted or emptied, or its disk is not mounted while its folder is there.",
        "It refuses to start: paid orders and open cases are not forgotten. `sco-pay journal new` begins one on "
        "purpose.",
    ),
    Attack(
        "A2",
        JOURNAL,
        "An older copy, or another journal, is put in its place.",
        "The last row is remembered outside the file, in one or two places. A journal that lacks it is refused.",
    ),
    Attack(
        "A3",
        JOURNAL,
        "A page of an index is put back to an older state; pages are overwritten; tables, indexes or triggers are "
        "dropped or added.",
        "Each start, and `journal verify`, have SQLite check the file, and compare its schema. No order is paid twice.",
    ),
    Attack(
        "A4",
        JOURNAL,
        "Rows are changed, deleted, reordered or cut off by somebody who can write the file.",
        "The rows are chained by hashes: `verify` names the row. An anchor kept elsewhere reveals a file that was "
        "rewritten as a whole.",
    ),
    Attack(
        "A5",
        JOURNAL,
        "The file is damaged at any page.",
        "`journal salvage` takes over what can be read; open payments are asked about at the bank first; what is lost "
        "becomes a case.",
    ),
    Attack(
        "A6",
        JOURNAL,
        "The disk fails a read or write, or is full.",
        "Reported as a disk error, not as damage. A step that is not on disk is not performed; a step that is on disk "
        "is not lost.",
    ),
    Attack(
        "A7",
        JOURNAL,
        "The same file is opened through a link, another folder or a hard link.",
        "One file has one lock, whatever it is called; a file with two names is refused.",
    ),
    Attack(
        "A8",
        JOURNAL,
        "The lock, a decision, an anchor or a token file is a link, a pipe, a folder or 2 GB large.",
        "Nothing is followed, waited for or read without a limit; no other file is truncated.",
    ),
    Attack(
        "A9",
        JOURNAL,
        "A command was once run as root.",
        "The error names the file and the `chown` that helps.",
    ),
    Attack(
        "A32",
        JOURNAL,
        "The journal grows for years on a small disk.",
        "Its size and the times at that size are measured; closed years move into an archive that still verifies.",
        command="bench",
    ),
    Attack(
        "A10",
        TEXTS,
        "A tag, a device's name, the bank's remark or an operator's reason contains escape sequences, line breaks or "
        "bidirectional control characters.",
        "Terminal, log, JSON, reports and the attendant's page show them escaped: nothing clears a screen, forges a "
        "log line or reverses text.",
    ),
    Attack(
        "A11",
        TEXTS,
        "The bank's id, status, code or currency is unprintable, or millions of characters long.",
        "Checked on receipt: printable and at most 100 characters; otherwise the response is rejected.",
    ),
    Attack(
        "A12",
        TEXTS,
        "A response is compressed so that kilobytes become gigabytes, never ends, or has endless pages.",
        "Compressed responses are rejected; size, nesting and pages are limited.",
    ),
    Attack(
        "A13",
        TEXTS,
        "A payment's id is `.` or `..`, and so leads to another address of the bank.",
        "It is rejected as an id: the response is refused, and no request is sent.",
    ),
    Attack(
        "A14",
        TEXTS,
        "An operator opens a case whose texts contain HTML.",
        "The page inserts text only; HTML in it is not interpreted.",
    ),
    Attack(
        "A15",
        LINKS,
        "The bank, or someone in between, sends a link to another host: `qr.nspk.ru.evil.com`, `qr.nspk.ru.`, "
        "punycode, private addresses, `user@host`.",
        "Only nspk.ru with its subdomains, the acquirer's own hosts and `display.link_hosts` are shown. The payment is "
        "cancelled.",
    ),
    Attack(
        "A16",
        NUMBERS,
        "A sum has more digits than a float or a decimal context holds, or fractions of a kopeck.",
        "It is refused, never rounded.",
    ),
    Attack(
        "A17",
        NUMBERS,
        "A settings file has numbers of thousands of digits, arrays thousands deep, megabytes of text, NUL or control "
        "characters.",
        "An error names the setting; no traceback, no hang.",
    ),
    Attack(
        "A18",
        NUMBERS,
        "`journal.path` is `/dev/null`, a folder or not a file name.",
        "`settings check` and the lane refuse it.",
    ),
    Attack(
        "A19",
        OUTPUTS,
        "Stderr or the log cannot be written: a full disk, a closed terminal, a closed pipe.",
        "The payment goes on; the exit status is the outcome. An outcome that was not printed does not count as taken.",
    ),
    Attack(
        "A20",
        OUTPUTS,
        "A till relies on the last line of `--json`, and the command ends in an unusual way.",
        "It is there however the command ends: wrong usage, wrong settings, an unforeseen error.",
    ),
    Attack(
        "A21",
        OUTPUTS,
        "The first step cannot be put on disk, or an unforeseen error occurs.",
        "The result is `unknown` only if something was begun; otherwise the error says that nothing was sent.",
    ),
    Attack(
        "A22",
        OUTPUTS,
        "Somebody uploads an EPS, or a small picture of very many pixels, to the simulated phone's page.",
        "PNG and JPEG only, limited in bytes and pixels; no other program is started.",
    ),
    Attack(
        "A23",
        SECRETS,
        "An answer or an error page echoes the request with its token.",
        "The token is cut out before anything becomes an exception, a log line or a report.",
    ),
    Attack(
        "A24",
        SECRETS,
        "`SSLKEYLOGFILE` is set in the environment; a command that holds the token dumps core.",
        "No keys are logged; such a process is not dumpable.",
    ),
    Attack(
        "A25",
        SERVICE,
        "A page of another site, or another program of the machine, sends requests to the lane's service.",
        "Each client has a token with a role; foreign origins and host names are refused.",
    ),
    Attack(
        "A26",
        SERVICE,
        "Somebody tries PINs, holds many connections open, or sends requests that no client sends.",
        "After wrong PINs a name must wait; connections, sizes and times are limited, and a payment still begins.",
    ),
    Attack(
        "A27",
        INSTALLED,
        "A lane is installed with the lowest versions of packages that are declared, or with the newest.",
        "Both are tested on each Python from 3.11 to 3.14.",
        command="versions-check",
    ),
    Attack(
        "A28",
        INSTALLED,
        "A package index delivers something other than what was tested.",
        "The lock has the hashes of all packages; notices and bill of materials (CycloneDX) list each with its "
        "licence.",
    ),
    Attack(
        "A29",
        INSTALLED,
        "Nobody can say whether a published wheel was made from the published source.",
        "Wheel and source archive are identical byte for byte when built under another umask, folder, time zone and "
        "locale; the release is built by a workflow that attests it.",
        command="release",
    ),
    Attack(
        "A30",
        INSTALLED,
        "A bundle is damaged on its way; the lane has no Internet, an old glibc, or no suitable Python.",
        "Each file is checked against its hash before anything is changed; interpreter, packages and glibc are in the "
        "bundle; a release that does not start is rolled back.",
        command="release",
    ),
    Attack(
        "A31",
        INSTALLED,
        "A tag is put on a version that the changelog does not know.",
        "Version, tag, changelog, lock and documentation must agree, or nothing is built.",
    ),
)
