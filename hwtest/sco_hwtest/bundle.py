"""One file to send: the report without what says whose devices they are, the traces, and a list of what was replaced.

The traces were written without it. Of a report only what is known to say nothing is kept: names, verdicts and figures;
texts lose addresses, links, octets, serial numbers, and whatever else the report itself names as one.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sco_drivers.errors import DeviceError
from sco_drivers.record.address import NOT_SHOWN, shown_url
from sco_drivers.urls import DeviceUrl
from sco_hwtest.recording import REPORT, TRACE_SUFFIX
from sco_hwtest.results import KINDS, Kind
from sco_sim.replay.trace import read_trace

_LEFT_OUT = "(left out)"
_NOT_SENT = {"pictures": "pictures", "dumps": "memory dumps", "host": "name of the machine", "user": "name of a user"}
"""Keys whose values are not sent at all."""
_SECRET_KEY = re.compile(
    r"serial|uid|host|user|address|token|secret|password|key|link|\buri\b|order|shop", re.IGNORECASE
)
_ABOUT = {
    *(
        "maker",
        "model",
        "firmware",
        "product",
        "profile",
        "size",
        "size of the display",
        "capacity",
        "ready",
        "findings",
    ),
    *("evidence of printing", "characters that its code page lacks", "reports printed tickets", "answers", "writable"),
    *("online", "cover open", "paper out", "paper near end", "cutter error", "unrecoverable error", "locked"),
    *(
        "tag",
        "room for a message",
        "protection",
        "recoverable error",
        "drawer open",
        "clears its buffer",
        "protected",
        "state",
        "colour",
        "refresh",
        "driver",
    ),
}
"""What a device says of itself that is sent; anything else is not."""
_PATTERNS = (
    ("link or URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)\]]*", re.IGNORECASE)),
    ("address", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}\b", re.IGNORECASE)),
    ("octets", re.compile(r"\b(?:[0-9a-f]{2}[ :.-]?){4,}\b|\b[0-9a-f]{8,}\b", re.IGNORECASE)),
    ("path", re.compile(r"(?<![\w/])/(?:[\w.:@+-]+/)+[\w.:@+-]+")),
)
_SHORTEST = 4
"""Shorter values than this are not looked for in other texts."""
_CONSTANT = {"name", "what", "verdict", "unit", "kind"}
"""Keys whose texts are this program's own."""


class CannotBundle(Exception):
    """The folder has nothing that can be sent; the message says what is missing or wrong."""


@dataclass(slots=True)
class Bundle:
    """What would be sent.

    Attributes:
        files: name in the archive, and content.
        replaced: which file, what was replaced or left out, and where.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    replaced: list[tuple[str, str, str]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the archive. Raises OSError; FileExistsError if there is one."""
        with path.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def bundle(folder: Path) -> Bundle:
    """What would be sent of a folder of `sco-hwtest record`.

    Raises:
        CannotBundle: there is no report or no trace, or one is damaged.
    """
    found = Bundle()
    try:
        document = json.loads((folder / REPORT).read_bytes())
        traces = sorted(one for one in folder.iterdir() if one.name.endswith(TRACE_SUFFIX))
    except OSError as error:
        hint = "sco-hwtest record --out FOLDER makes one"
        raise CannotBundle(f"{error.filename or folder}: {error.strerror}; {hint}") from error
    except ValueError as error:
        raise CannotBundle(f"{folder / REPORT} is not a report: {error}") from error
    if not isinstance(document, dict) or "devices" not in document:
        raise CannotBundle(f"{folder / REPORT} is not a report of a run")
    if not traces:
        raise CannotBundle(f"{folder} has no trace (*{TRACE_SUFFIX})")
    found.files[REPORT] = _json(_Scrubber(document, found).scrubbed())
    for path in traces:
        if not path.stat().st_size:
            continue
        try:
            recordings = read_trace(path)
            found.files[path.name] = path.read_bytes()
        except (DeviceError, OSError) as error:
            raise CannotBundle(str(error)) from error
        for recording in recordings:
            for kind, where, line in recording.redactions:
                found.replaced.append((path.name, kind, f"{where} (line {line})"))
    rows = [{"file": name, "replaced": kind, "where": where} for name, kind, where in found.replaced]
    found.files["redactions.json"] = _json({"format": 1, "redactions": rows})
    return found


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace") + b"\n"


class _Scrubber:
    """A report without what says whose devices they are."""

    def __init__(self, document: dict[str, Any], found: Bundle) -> None:
        self._document = document
        self._found = found
        secrets = {text for text in _secrets(document) if len(text) >= _SHORTEST}
        self._secrets = sorted(secrets, key=len, reverse=True)

    def scrubbed(self) -> Any:
        return self._value(self._document, "")

    def _note(self, kind: str, where: str) -> None:
        row = (REPORT, kind, where)
        if row not in self._found.replaced:
            self._found.replaced.append(row)

    def _value(self, value: Any, where: str) -> Any:
        if isinstance(value, dict):
            return {key: self._member(key, one, f"{where}.{key}".strip("."), value) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(one, f"{where}[]") for one in value]
        return self._text(value, where) if isinstance(value, str) else value

    def _member(self, key: str, value: Any, where: str, around: dict[str, Any]) -> Any:
        if key in _NOT_SENT or (isinstance(value, str) and value and _SECRET_KEY.search(key)):
            if value:
                self._note(_NOT_SENT.get(key, key), where)
            return _LEFT_OUT if isinstance(value, str) else type(value)() if value is not None else None
        if key == "url" and isinstance(value, str) and around.get("kind") in KINDS:
            self._note("address", where)
            return _address(around["kind"], value)
        if where.endswith(".about") and isinstance(value, dict):
            return {name: self._about(name, one, f"{where}.{name}") for name, one in value.items()}
        return value if key in _CONSTANT else self._value(value, where)

    def _about(self, name: str, value: Any, where: str) -> Any:
        if name in _ABOUT:
            return self._value(value, where)
        self._note(name, where)
        return _LEFT_OUT

    def _text(self, text: str, where: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, _LEFT_OUT)
                self._note("a value that the report names elsewhere", where)
        for kind, pattern in _PATTERNS:
            text, count = pattern.subn(f"[{kind}]", text)
            if count:
                self._note(kind, where)
        return text


def _secrets(value: Any, where: str = "") -> Iterator[str]:
    """Texts that the report itself names as a serial number and the like."""
    if isinstance(value, dict):
        for key, one in value.items():
            about = where == "about" and key not in _ABOUT
            named = key in _NOT_SENT or _SECRET_KEY.search(key)
            if isinstance(one, str) and (named or (about and any(map(str.isdigit, one)))):
                yield from {one, one.replace(" ", ""), one.lower(), one.upper()}
            elif key == "url" and isinstance(one, str):
                yield from _places(one)
            yield from _secrets(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _secrets(one, where)


def _places(text: str) -> Iterator[str]:
    """What names the device in its URL."""
    url, _ = DeviceUrl.read(text)
    if url is not None:
        yield from (url.text, url.host, url.path.strip("/"))
        yield from (one for name, one in url.params.items() if name in NOT_SHOWN or one.startswith("/"))


def _address(kind: str, text: str) -> str:
    url, _ = DeviceUrl.read(text)
    if url is None:
        return _LEFT_OUT
    if kind == "screen":
        return f"{url.scheme}://"
    try:
        return shown_url(cast(Kind, kind), url)
    except KeyError:
        return f"{url.scheme}://"


def listing(found: Bundle) -> Sequence[str]:
    """The bundle in lines, for a person to look at before it is sent."""
    lines = [f"{name}: {len(content)} bytes" for name, content in found.files.items()]
    lines += ["replaced or left out:"]
    counts = Counter((name, kind, where.partition(" (line")[0]) for name, kind, where in found.replaced)
    for (name, kind, where), count in counts.items():
        lines.append(f"  {name}: {kind}, in {where}" + (f", in {count} recordings" if count > 1 else ""))
    return lines
