"""The options of `sco-hwtest run` for the page at the bench."""

from __future__ import annotations

import threading
from typing import TextIO
from urllib.parse import urlsplit

import click

from sco_hwtest.cli.options import Command
from sco_hwtest.progress import ProgressWithPause
from sco_hwtest.results import Kind
from sco_hwtest.station.session import Session


def _address(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    try:
        found = urlsplit(f"//{text}")
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    if not host or port is None or found.netloc != text or "@" in text:
        raise click.BadParameter(f"{text}: write address:port, such as 192.168.1.20:8500; port 0 for any")
    return host, port


def station_options(command: Command) -> Command:
    """--web and --listen."""
    command = click.option(
        "--listen",
        metavar="ADDRESS:PORT",
        callback=_address,
        help="Address of the page of --web; default: a free port that only this machine reaches.",
    )(command)
    return click.option("--web", is_flag=True, help="Show the run on a page for a tablet, which can answer too.")(
        command
    )


def open_session(
    listen: tuple[str, int] | None,
    devices: list[tuple[Kind, str]],
    progress: ProgressWithPause,
    stop: threading.Event,
    stream: TextIO,
) -> Session:
    """The page of a run, its address printed. Raises click.ClickException where nobody can listen."""
    host, port = listen or ("127.0.0.1", 0)
    try:
        session = Session(devices, host, port, progress, stop, stream)
    except OSError as error:
        raise click.ClickException(f"--listen {host}:{port}: {error.strerror or error}") from error
    session.announce()
    return session
