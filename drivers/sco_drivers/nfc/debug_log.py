"""A logger for nfcpy that logs at level DEBUG only.

nfcpy logs each missing answer as an error; whether it is one is for the caller to decide.
"""

from __future__ import annotations

import logging


class DebugLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose messages have level DEBUG at most."""

    def log(self, level: int, msg: object, *args: object, **kwargs: object) -> None:
        super().log(min(level, logging.DEBUG), msg, *args, **kwargs)  # type: ignore[arg-type]
