"""`python -m sco_fleet.demo.worker FILE`: some of the demo's lanes in one process, until stdin ends.

FILE is JSON: `{"server", "count", "lanes": [{"number", "lane_id", "shop", "token", "folder"}, ...]}`; count is of the
whole fleet.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
from pathlib import Path

from sco_fleet.demo.lanes import DemoLane, LaneSpec
from sco_fleet.demo.troubles import Trouble, of_lane
from sco_sim.paymaster import PayMasterSimulator


def main() -> None:
    """Run the lanes; each trouble has a bank of its own, and all lanes without one share another."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.ERROR)
    threading.stack_size(256 * 1024)  # a lane has a dozen threads
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    stop = threading.Event()
    banks: dict[Trouble, PayMasterSimulator] = {}
    with contextlib.ExitStack() as opened:
        threads = []
        for one in plan["lanes"]:
            trouble = of_lane(one["number"], plan["count"])
            if trouble not in banks:
                banks[trouble] = opened.enter_context(PayMasterSimulator(script=trouble.script))
            spec = LaneSpec(one["lane_id"], one["shop"], one["token"], Path(one["folder"]), plan["server"], trouble)
            lane = DemoLane(spec, banks[trouble], stop, one["number"])
            threads.append(threading.Thread(target=lane.run, name=spec.lane_id))
        for thread in threads:
            thread.start()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
