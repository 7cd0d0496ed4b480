"""Write docs/set10-acceptance.md: run the scenarios, and say of each what till, bank and lane did.

python -m tests.set10.report
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.set10.conftest import REPORT

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "set10-acceptance.md"
SCENARIOS = [ROOT / "tests" / "set10" / f"test_{name}.py" for name in ("scenarios", "tills", "restarts")]
_FORMS = {"spinner": "spinner", "message": "message", "qr": "QR form", "dialog": "dialog", "error": "error form"}
_HEAD = """\
# Set Retail 10: acceptance

The plugin's jar on a test till (`till/set10/testtill`), the lane's service and the simulated PayMaster: three
processes and real sockets. The test till plays the host: forms, callbacks, stored receipts, printing, restarts. It
fails a test in which the plugin waits, reads or writes in the till's UI thread, shows a form outside it, or calls back
twice. After each scenario: goods only for money that the bank has, money never without goods or a case, at most one
cancellation of a payment, no thread of the plugin left.

```sh norun: minutes
make java-test                        # all of it
python -m tests.set10.report          # writes this page from a run
```

Without CSI's API jar everything is compiled against signatures of our own (`till/set10/api-signatures`). With
`SET10_API_JAR=/path/set10pos-api-1.20.0.jar` each of them is compared with the real one, and the scenarios run on it;
the plugin's jar is the same. A real till of Set Retail 10 has not been tried: see [what needs one](#csis-list).

## Scenarios

Forms in their order, repetitions left out; ⟳ is a restart of the till.

| | what happens | the till shows | the till stores | the bank has | case |
|---|---|---|---|---|---|
"""
_TAIL = """
## Faults

`make till-verify` brings each of {faults} faults to each of {steps} requests of a payment and to the customer's
cancellation: lost, answered to nobody, doubled, late (after the till has given up), and `kill -9` of till or service
before and after the request took effect; then `kill -9` and exceptions in the till's callback. After it the customer
tries again, or pays by card. In every run the receipt is printed in the end, and the rules above hold.

## CSI's list

CSI accepts payment plugins by 23 points. The words are ours.

| point | |
|---|---|
| 1 manifest, 2 `metainf.xml`, 3 names in Russian | complete; CSI's own validator has not been run |
| 4 built by a script | `till/set10/build.sh` |
| 5 to 11 installing, options on the server and their way to the till, names | need server and till |
| 12 success | the scenarios of the modes; fiscal printer and OFD need a till |
| 13 voiding a receipt that was paid in part | refused: refunds are made on pos/touch tills |
| 14, 15, 16 refunds: whole, partial, without a receipt | refused with the requirement's words |
| 17 no network | error shown, nothing accepted |
| 18 an answer slower than the time-out | the service's and PayMaster's |
| 19 fields stored | on the test till; the till's own database needs a till |
| 20, 21 fields visible on the server, exported to the ERP | declared in `metainf.xml`; need a server |
| 22 the reason for “not available” is logged | shown |
| 23 scenarios are described | this page and [the guide](ru/set-retail-10.md) |
"""


def rows() -> list[dict[str, Any]]:
    """What the scenarios show, from a run of them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows"
        environment = {**os.environ, REPORT: str(out)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", *map(str, SCENARIOS)]
        subprocess.run(command, check=True, env=environment, cwd=ROOT)
        found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    source = "".join(path.read_text("utf-8") for path in SCENARIOS)
    return sorted(found, key=lambda row: (source.index(f"def {row['test'].split('[')[0]}("), row["test"]))


def _shown(till: list[dict[str, str]]) -> str:
    kinds = ["⟳" if one["name"] == "ready" else _FORMS[one["kind"]] for one in till if one["name"] != "turn_over"]
    return " → ".join(kind for kind, _ in groupby(kinds[1:])) or "no form"


def _stored(row: dict[str, Any]) -> str:
    ends = []
    for one in row["till"]:
        if one["name"] != "turn_over":
            continue
        case = f", case {one['paymaster.case']}" if "paymaster.case" in one else ""
        ends.append({"completed": f"{one.get('sum')} paid", "annulled": "voided"}.get(one["what"], f"nothing{case}"))
    return "; ".join(ends or [f"{roubles} paid" for roubles in row["stored"]]) or "nothing"


def _row(row: dict[str, Any]) -> str:
    bank = "; ".join(
        f"{kopecks / 100:.2f} {status}" + (", 1 cancellation" if cancels else "")
        for kopecks, status, cancels in row["bank"]
    )
    cases = "; ".join(f"{number} {reason}" for number, reason in row["cases"])
    what = row["what"] + (f" ({row['variant']})" if row["variant"] else "")
    cells = [row["point"], what, _shown(row["till"]), _stored(row), bank or "nothing", cases or "none"]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def main() -> None:
    """Write the page."""
    from tests.set10 import test_faults

    lines = [_row(row) for row in rows()]
    tail = _TAIL.format(faults=len(test_faults.FAULTS), steps=len(test_faults.STEPS))
    PAGE.write_text(_HEAD + "\n".join(lines) + "\n" + tail, "utf-8")


if __name__ == "__main__":
    main()
