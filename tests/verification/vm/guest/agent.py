"""What the host may request of a machine that has started by itself: commands, files, the till. JSON, a line each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import till
from report import Report


def answer(asked: dict[str, Any]) -> Any:
    """Do it; returns the reply."""
    match asked:
        case {"run": list(words)}:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
            return {"status": done.returncode, "said": done.stdout, "complained": done.stderr}
        case {"write": str(path), "text": str(text), "mode": int(mode)}:
            file = Path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode)
            file.write_text(text)
            return {}
        case {"read": str(path)}:
            return {"text": Path(path).read_text()}
        case {"till": dict(what)}:
            return {"till": till.ask(what)}
    return {"refused": f"what is {asked}?"}


def main() -> None:
    """Until the machine goes down."""
    report = Report()
    report.send(up=Path("/proc/uptime").read_text().split()[0])
    while True:
        asked = report.receive()
        try:
            reply = answer(asked)
        except Exception as error:
            reply = {"refused": f"{type(error).__name__}: {error}"}
        report.send(**reply)


main()
