"""What nfcpy remarks on its way: it calls each missing answer an error, and what is one is the caller's to say."""

from __future__ import annotations

import logging


class Demoted(logging.LoggerAdapter[logging.Logger]):
    """A logger of which nothing is louder than debugging."""

    def log(self, level: int, msg: object, *args: object, **kwargs: object) -> None:
        super().log(min(level, logging.DEBUG), msg, *args, **kwargs)  # type: ignore[arg-type]
