"""`sco-fleet serve`: the server. It keeps no state: several run behind any balancer."""

from __future__ import annotations

import ssl
from typing import Any

import click
import uvicorn

from sco_fleet.app import create_app
from sco_fleet.cli.database import database_option
from sco_fleet.cli.office import office_option
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.pool import open_pool
from sco_fleet.protocol import Protocol


@click.command()
@database_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8730, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option(
    "--certificate", type=click.Path(exists=True, dir_okay=False), help="PEM file with certificate and chain."
)
@click.option("--key", type=click.Path(exists=True, dir_okay=False), help="PEM file with the certificate's key.")
@click.option(
    "--connections", default=10, show_default=True, type=click.IntRange(1, 500), help="Connections to the database."
)
@click.option(
    "--clients", default=5000, show_default=True, type=click.IntRange(1), help="Simultaneous connections of lanes."
)
@office_option
@click.option("--behind-proxy", is_flag=True, help="A reverse proxy on this machine terminates TLS: use plain HTTP.")
def serve(
    url: str,
    host: str,
    port: int,
    certificate: str | None,
    key: str | None,
    connections: int,
    clients: int,
    office: OfficeSettings,
    behind_proxy: bool,
) -> None:  # fmt: skip
    """Run the server until SIGTERM or Ctrl-C."""
    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key go together")
    if not certificate and not behind_proxy and host not in ("127.0.0.1", "::1", "localhost"):
        raise click.UsageError(
            f"plain HTTP at {host}: lanes' tokens could be read on the way. Give --certificate and --key, or "
            "--behind-proxy where a reverse proxy terminates TLS"
        )
    options: dict[str, Any] = {}
    if certificate:
        options = {"ssl_certfile": certificate, "ssl_keyfile": key}
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError is one
            raise click.UsageError(f"--certificate {certificate} and --key {key} cannot be used: {error}") from None
    config = uvicorn.Config(
        create_app(open_pool(url, most=connections), office),
        host=host,
        port=port,
        limit_concurrency=clients,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=20,
        h11_max_incomplete_event_size=16 * 1024,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        http=Protocol,
        ws="none",
        loop="asyncio",
        **options,
    )
    listening = config.bind_socket()
    click.echo(f"the fleet's server listens on {host}:{listening.getsockname()[1]}", err=True)
    uvicorn.Server(config).run(sockets=[listening])
