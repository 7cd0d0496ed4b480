"""A lane in a process of its own, to be measured from outside: `python -m benchmarks.core.lane_process FILE idle|pay`.

It opens every device that the settings name, whatever the display mode, prints `ready` on stdout, and then waits: for a
customer to come (idle), or for one to pay (pay).
"""

from __future__ import annotations

import sys
import threading
import time


def main() -> None:
    """Waits until it is killed."""
    from sco_payment.assemble import open_lane
    from sco_payment.order import Order
    from sco_payment.settings_reader import load_settings

    lane = open_lane(load_settings(sys.argv[1]))
    presenter = lane._loop.customer._presenter
    for held in (presenter._printer, presenter._nfc):
        if held is not None:
            held.get()
    if sys.argv[2] == "pay":
        order = Order(f"A-{time.time_ns()}", 25_300)
        threading.Thread(target=lane.pay, args=(order,), daemon=True).start()
        while not lane._loop.attempts or next(iter(lane._loop.attempts.values())).phase.value != "waiting":
            time.sleep(0.05)
    else:
        lane.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
