"""What the commands about settings share: who does it and why, and errors as messages."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from psycopg import Connection

from sco_fleet.cli.database import connected
from sco_fleet.settings.check import SettingsRefused
from sco_fleet.settings.layers import LayerError
from sco_fleet.settings.rollouts import RolloutError
from sco_fleet.settings.signing import KeyRefused

F = TypeVar("F", bound=Callable[..., Any])


def signed_by(function: F) -> F:
    """Options of every change: who makes it, and why."""
    return by_option(click.option("--comment", required=True, help="Why; recorded with the change.")(function))


def _user() -> str:
    return os.environ.get("SUDO_USER") or getpass.getuser()


@contextlib.contextmanager
def opened(url: str) -> Iterator[Connection[Any]]:
    """The database, with errors of settings as messages."""
    with connected(url) as db:
        try:
            yield db
        except (LayerError, RolloutError, SettingsRefused, KeyRefused) as error:
            raise click.ClickException(str(error)) from None


by_option = click.option("--by", default=_user, show_default="the user of this shell", help="Name to record.")
