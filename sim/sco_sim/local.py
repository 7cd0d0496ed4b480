"""What a program of simulators needs of this machine: a port, private files, a settings file, a web server."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

_START_S = 10.0
_OWN_PORTS = range(20_000, 32_000)
"""Below those that Linux gives out by itself (`net.ipv4.ip_local_port_range`)."""


def free_port() -> int:
    """A port of this machine that nobody listens on, and that the system gives to nobody who asks for any port."""
    while True:
        port = _OWN_PORTS.start + secrets.randbelow(len(_OWN_PORTS))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def write_private(path: Path, text: str) -> Path:
    """Write a file that only this user may read, in place of the one that is there; returns its path."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
    return path


def settings_text(document: Mapping[str, Mapping[str, object]]) -> str:
    """A lane's settings as a TOML file: section -> name -> value."""
    lines = []
    for section, values in document.items():
        lines += [
            f"[{section}]",
            *(f"{name} = {json.dumps(it, ensure_ascii=False)}" for name, it in values.items()),
            "",
        ]
    return "\n".join(lines)


@contextlib.contextmanager
def web_server(app: Starlette, listener: socket.socket, name: str) -> Iterator[None]:
    """Serve `app` on a listening socket in a thread of that name, until the end of the block."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio leaves it out for such a socket
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name=name, daemon=True)
    thread.start()
    end = time.monotonic() + _START_S
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(5.0)
