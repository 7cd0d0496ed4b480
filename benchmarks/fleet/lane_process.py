"""A lane's service in a process of its own, with or without a fleet: `python -m benchmarks.fleet.lane_process FILE`.

It writes its port next to the settings file, prints `ready`, and waits until its stdin ends; then it prints a line of
JSON: for each row of its journal how many ms after it was written the fleet's receipt was in the lane's hand.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from sco_payment.journal import Journal
from sco_payment.settings_reader import load_settings
from sco_service import Service


def main() -> None:
    """As the module's docstring describes."""
    file = Path(sys.argv[1])
    settings = load_settings(file)
    receipts: list[tuple[int, float]] = []
    with Service(settings) as service:
        if service._agent is not None:
            _watch(service, receipts)
        file.with_name("port").write_text(str(service.port))
        print("ready", flush=True)
        sys.stdin.read()
        end = time.monotonic() + 60
        while service._agent is not None and _behind(service) and time.monotonic() < end:
            time.sleep(0.05)
    with Journal(settings.journal.path, read_only=True) as journal:
        rows = [(record.seq, record.at_ms) for record in journal.records(limit=1_000_000)]
    lags, at = [], 0
    for seq, at_ms in rows:
        while at < len(receipts) and receipts[at][0] < seq:
            at += 1
        if at < len(receipts):
            lags.append(receipts[at][1] - at_ms)
    print(json.dumps(lags))


def _watch(service: Service, receipts: list[tuple[int, float]]) -> None:
    """Note when each receipt comes. The agent makes its shipper when it is first needed: here."""
    agent = service._agent
    assert agent is not None
    _, shipper = agent._open()
    note = shipper.note

    def noted(head: object) -> None:
        receipts.append((head.seq, time.time() * 1000))  # type: ignore[attr-defined]
        note(head)  # type: ignore[arg-type]

    shipper.note = noted  # type: ignore[method-assign,assignment]


def _behind(service: Service) -> bool:
    assert service._agent is not None
    last = int(service.lane.journal.head().partition(":")[0] or 0)
    return service._agent.acknowledged_row < last


if __name__ == "__main__":
    main()
