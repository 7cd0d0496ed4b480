"""Reads the JSON document of a run back into its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from sco_hwtest.results import FORMAT, Report


class ReportError(ValueError):
    """A file is not the JSON document of a run. The message names it and says what was found."""


def read_report(path: str | Path) -> Report:
    """The report that `write_json` has written to `path`.

    Raises:
        ReportError: it cannot be read, or is something else.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from None
    try:
        document: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict) or "devices" not in document or "format" not in document:
        raise ReportError(f"{path} is not a report of sco-hwtest run; write one with --json")
    if "rounds" in document:
        raise ReportError(f"{path} is the report of a burn-in; expected one of sco-hwtest run")
    if document["format"] != FORMAT:
        raise ReportError(f"{path} has format {document['format']!r}; this version of sco-hwtest reads {FORMAT}")
    try:
        return msgspec.convert(document, Report)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ReportError(f"{path} is not a valid report: {error}") from None
