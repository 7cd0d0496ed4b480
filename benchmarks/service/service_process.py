"""A lane's service in a process of its own, to be measured from outside.

    python -m benchmarks.service.service_process FILE h11|starlette

It opens every device that the settings name, writes its port next to the settings file, prints `ready` on stdout, and
then waits. `starlette` is the peer: the same service with starlette and uvicorn instead of its own server.
"""

from __future__ import annotations

import importlib
import sys
import threading
from dataclasses import replace
from pathlib import Path

from sco_payment.settings import ServiceSettings
from sco_payment.settings_reader import load_settings
from sco_service.service import Service


def main() -> None:
    """Waits until it is killed."""
    file = Path(sys.argv[1])
    token = file.with_name("till.token")
    token.touch(0o600)
    token.write_text("till-token")
    clients = {"till": {"role": "till", "token_file": str(token)}}
    settings = replace(load_settings(file), service=ServiceSettings(listen="127.0.0.1:0", clients=clients))
    if sys.argv[2] == "starlette":
        with importlib.import_module("benchmarks.service.starlette_server").by_starlette():
            service = Service(settings)
    else:
        service = Service(settings)
    service.start()
    presenter = service.lane._loop.customer._presenter
    for held in (presenter._printer, presenter._nfc):
        if held is not None:
            held.get()
    file.with_name("port").write_text(str(service.port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
