"""Names the package in which an unforeseen error was raised: a third party's fault must not be looked for here."""

from __future__ import annotations

import sys
import traceback


def describe(error: BaseException) -> str:
    """`unforeseen: RuntimeError`, with the package and line where a third party's code raised it. The error's own
    message, which may hold a secret, is only in the log."""
    text = f"unforeseen: {type(error).__name__}"
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package.startswith("sco_"):
            return text
        if package not in sys.stdlib_module_names:
            return f"{text} in {module}, line {line}, of the package {package}"
    return text
