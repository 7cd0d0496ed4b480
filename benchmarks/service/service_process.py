"""A lane's service in a process of its own, to be measured from outside.

    python -m benchmarks.service.service_process FILE h11|starlette

It opens every device that the settings name, writes its port next to the settings file, prints `ready` on stdout, and
then waits. `starlette` is the peer: the same lane, with starlette and uvicorn in front of it instead.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """Waits until it is killed."""
    file = Path(sys.argv[1])
    if sys.argv[2] == "starlette":
        lane, port = _peer(file)
    else:
        lane, port = _service(file)
    presenter = lane._loop.customer._presenter
    for held in (presenter._printer, presenter._nfc):
        if held is not None:
            held.get()
    file.with_name("port").write_text(str(port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


def _service(file: Path) -> tuple[Any, int]:
    from sco_payment.settings import ServiceSettings
    from sco_payment.settings_reader import load_settings
    from sco_service import Service

    token = file.with_name("till.token")
    token.touch(0o600)
    token.write_text("till-token")
    clients = {"till": {"role": "till", "token_file": str(token)}}
    settings = replace(load_settings(file), service=ServiceSettings(listen="127.0.0.1:0", clients=clients))
    service = Service(settings)
    service.start()
    return service.lane, service.port


def _peer(file: Path) -> tuple[Any, int]:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from sco_payment.assemble import open_lane
    from sco_payment.settings_reader import load_settings

    lane = open_lane(load_settings(file))
    lane.start()

    async def healthy(request: Request) -> JSONResponse:
        return JSONResponse({"ok": True, "problems": []})

    app = Starlette(routes=[Route("/healthz", healthy)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", http="h11", ws="none", lifespan="off"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return lane, server.servers[0].sockets[0].getsockname()[1]


if __name__ == "__main__":
    main()
