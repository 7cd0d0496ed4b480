"""Encode and decode the one NDEF message that we write: a single well-known URI record.

Follows NFC Forum NDEF 1.0 and RTD URI 1.0. Everything else is refused: several records, chunks, ids, other types.
Phones open only the first record; comparing octets is unambiguous.
"""

from __future__ import annotations

import re

# RTD URI 1.0, table 3. Index is the abbreviation's code; code 0 is "no prefix".
_PREFIXES = (
    "",
    "http://www.",
    "https://www.",
    "http://",
    "https://",
    "tel:",
    "mailto:",
    "ftp://anonymous:anonymous@",
    "ftp://ftp.",
    "ftps://",
    "sftp://",
    "smb://",
    "nfs://",
    "ftp://",
    "dav://",
    "news:",
    "telnet://",
    "imap:",
    "rtsp://",
    "urn:",
    "pop:",
    "sip:",
    "sips:",
    "tftp:",
    "btspp://",
    "btl2cap://",
    "btgoep://",
    "tcpobex://",
    "irdaobex://",
    "file://",
    "urn:epc:id:",
    "urn:epc:tag:",
    "urn:epc:pat:",
    "urn:epc:raw:",
    "urn:epc:",
    "urn:nfc:",
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # RFC 3986, 3.1
_FIRST_AND_LAST = 0xC0  # MB and ME
_SHORT = 0x10
_WELL_KNOWN = 0x01
_URI_TYPE = b"U"


def uri_message(uri: str) -> bytes:
    """The NDEF message with one well-known URI record of `uri`.

    Raises:
        ValueError: `uri` has no scheme, or contains spaces or characters that no link has: phones would not open it.
    """
    if not _SCHEME.match(uri) or not uri.isprintable() or " " in uri:
        raise ValueError(f"{uri!r} is not a link: it has no scheme (https:), or has spaces or control characters")
    code = max(
        (code for code, prefix in enumerate(_PREFIXES) if uri.startswith(prefix)),
        key=lambda code: len(_PREFIXES[code]),
    )
    payload = bytes([code]) + uri[len(_PREFIXES[code]) :].encode()
    if len(payload) < 256:
        return bytes([_FIRST_AND_LAST | _SHORT | _WELL_KNOWN, len(_URI_TYPE), len(payload)]) + _URI_TYPE + payload
    return (
        bytes([_FIRST_AND_LAST | _WELL_KNOWN, len(_URI_TYPE)]) + len(payload).to_bytes(4, "big") + _URI_TYPE + payload
    )


def uri_of(message: bytes) -> str | None:
    """The URI, when `message` is exactly one well-known URI record; None otherwise."""
    if len(message) < 5 or message[0] & ~_SHORT != _FIRST_AND_LAST | _WELL_KNOWN or message[1] != len(_URI_TYPE):
        return None
    if message[0] & _SHORT:
        length, body = message[2], message[3:]
    else:
        length, body = int.from_bytes(message[2:6], "big"), message[6:]
    if length == 0 or len(body) != 1 + length or body[:1] != _URI_TYPE or body[1] >= len(_PREFIXES):
        return None
    try:
        return _PREFIXES[body[1]] + body[2:].decode()
    except UnicodeDecodeError:
        return None
