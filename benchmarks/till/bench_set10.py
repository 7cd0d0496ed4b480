"""The Set Retail 10 plugin on its test till: from doPayment to the code on the screen, next to the service alone.

The service alone: the same requests from this process, until its screen has the link. Both take their payments at the
same simulated PayMaster, which answers at once.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.installed import compile_packages
from benchmarks.report import Row, finish, options
from tests.set10.kit import Bench, built


def service_alone_ms(bench: Bench, number: int) -> float:
    """From PUT to the link on the service's screen."""
    token = bench.service.token_file.read_text().strip()
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    start = time.perf_counter()
    body = json.dumps({"order": f"alone-{number}", "total_kopecks": 1_000}).encode()
    url = f"{bench.service.base_url}/v1/payments/alone-{number}"
    urllib.request.urlopen(urllib.request.Request(url, body, head, method="PUT")).close()
    version = 0
    while True:
        screen = bench.get(f"/v1/screen?after={version}&wait_s=2")
        version = screen["version"]
        if screen["payment"] == f"alone-{number}" and screen["link"]:
            taken = (time.perf_counter() - start) * 1000
            break
    bench.pay(screen["link"])
    while bench.get(f"/v1/payments/alone-{number}")["outcome"] is None:
        time.sleep(0.05)
    urllib.request.urlopen(urllib.request.Request(f"{url}/taken", b"{}", head, method="POST")).close()
    return taken


def main() -> None:
    given = options(__doc__ or "")
    rounds = 5 if given.quick else 40
    compile_packages()
    [jar] = built().glob("*.jar")
    plugin_ms, call_ms, alone_ms = [], [], []
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        till = bench.till(**{"paymaster.service": bench.service.base_url})
        heap = []
        for number in range(1, rounds + 1):
            bench.sell(till, number, "10.00")
            start = till.expect("pay")
            shown = till.form("qr")
            bench.pay(shown["link"])
            till.over("completed")
            heap.append(int(till.idle()["heap_bytes"]))
            call = next(one for one in reversed(till.messages) if one["name"] == "paying")
            plugin_ms.append((int(shown["at_us"]) - int(start["at_us"])) / 1000)
            call_ms.append(int(call["took_us"]) / 1000)
            alone_ms.append(service_alone_ms(bench, number))
    ours, alone = statistics.median(plugin_ms), statistics.median(alone_ms)
    grown = (heap[-1] - heap[len(heap) // 2]) / 1024
    rows = [
        Row(
            "till",
            "doPayment to the QR form",
            "ms",
            ours,
            limit=alone,
            limit_name="the service alone",
            goal="at most 50 ms more than the service alone",
            met=ours - alone <= 50,
        ),
        Row(
            "till",
            "doPayment in the UI thread",
            "ms",
            statistics.median(call_ms),
            goal="at most 10 ms",
            met=statistics.median(call_ms) <= 10,
        ),
        Row("till", "first doPayment in the UI thread", "ms", call_ms[0]),
        Row("till", "the plugin's jar, client included", "bytes", jar.stat().st_size),
        Row("till", "heap of till and plugin after a payment", "MiB", heap[-1] / 1024**2),
        Row(
            "till",
            f"heap grown over the last {len(heap) - len(heap) // 2} payments",
            "KiB",
            grown,
            goal="at most 100 KiB",
            met=grown <= 100,
        ),
        Row("till", "threads of the plugin left after a payment", "", 0, goal="none", met=True),
    ]
    finish(rows, given.json)


if __name__ == "__main__":
    main()
