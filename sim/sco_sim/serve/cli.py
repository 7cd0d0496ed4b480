"""The command `sco-sim serve`."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import click

from sco_sim.serve.bench import MockBench
from sco_sim.serve.http import serving

_PORT = click.IntRange(0, 65534)


def _size(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    wide, x, high = text.partition("x")
    if not (x and wide.isdecimal() and high.isdecimal() and 64 <= int(wide) <= 8192 and 64 <= int(high) <= 8192):
        raise click.BadParameter(f"{text!r} is not a size from 64x64 to 8192x8192")
    return int(wide), int(high)


@click.command()
@click.option(
    "--settings-out", type=click.Path(dir_okay=False, path_type=Path), help="File to write the lane's settings to."
)
@click.option("--mode", type=click.IntRange(0, 2), default=1, show_default=True, help="Display mode of those settings.")
@click.option(
    "--plate",
    type=click.Choice(["static", "dynamic"]),
    default="dynamic",
    show_default=True,
    help="Kind of plate, for display mode 2 only.",
)
@click.option("--screen", "size", default="1024x768", show_default=True, callback=_size, help="Size of the screen, px.")
@click.option("--paper-mm", type=click.Choice(["80", "58"]), default="80", show_default=True, help="Width of the roll.")
@click.option(
    "--display",
    "protocol",
    type=click.Choice(["mertech", "qrscreen"]),
    default="mertech",
    show_default=True,
    help="Make of the customer display.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this API, the printer and PayMaster.")
@click.option("--port", type=_PORT, default=0, help="Port of this API; a free one by default.")
@click.option("--printer-port", type=_PORT, default=0, help="Port of the printer; a free one by default.")
@click.option(
    "--paymaster-port",
    type=_PORT,
    default=0,
    help="Port of PayMaster; the phone's page is on the next one. Free ones by default.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for screen, touch panel, tokens and settings; a temporary one by default.",
)
def serve(host: str, port: int, paper_mm: str, **options: Any) -> None:
    """Run mock devices and a mock PayMaster for a lane, driven over HTTP. Ctrl-C or SIGTERM ends it.

    The first line of the output is JSON with the URLs of everything and the settings file that uses them; the API is
    described at /openapi.yaml.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            MockBench(host=host, paper_mm=int(paper_mm), **options) as bench,
            serving(bench, host=host, port=port) as api,
        ):
            click.echo(json.dumps(api.urls(), ensure_ascii=False))
            threading.Event().wait()
    except KeyboardInterrupt:
        return
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise click.UsageError(f"the mock devices cannot start: {error.strerror or error}{where}") from None
