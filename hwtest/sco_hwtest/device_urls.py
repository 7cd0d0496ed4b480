"""Device URLs on a command line: all that is wrong in them is said before a device is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from sco_drivers import DeviceError, check_url
from sco_hwtest.results import Kind

F = TypeVar("F", bound=Callable[..., Any])


def mistakes(kind: Kind, url: str) -> list[str]:
    """What is wrong in `url` as the URL of a `kind`, in sentences that name it.

    None where its library is missing: that is said when the device is opened.
    """
    try:
        return [str(error) for error in check_url(kind, url)]
    except DeviceError:
        return []


def refuse_mistakes(*devices: tuple[Kind, str]) -> None:
    """Look at the URLs of a command.

    Raises:
        click.ClickException: some are wrong; names every mistake of each.
    """
    wrong = [mistake for kind, url in devices for mistake in mistakes(kind, url)]
    if wrong:
        raise click.ClickException("\n".join(wrong))


def device_argument(kind: Kind, name: str = "url") -> Callable[[F], F]:
    """The argument of a command that is the URL of a `kind`, refused with all its mistakes."""

    def look(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
        refuse_mistakes((kind, url))
        return url

    return click.argument(name, callback=look)
