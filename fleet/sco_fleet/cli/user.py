"""`sco-fleet user`: the users of the office's page. Passwords are asked for, or read from standard input: an
argument could be seen by every process of the machine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click
from psycopg import Connection

from sco_drivers.plain import one_line
from sco_fleet.cli.database import connected, database_option
from sco_fleet.cli.office import command_line_user
from sco_fleet.office import access
from sco_fleet.query import rows


@click.group()
def user() -> None:
    """Users of the office's page: viewers look, deciders decide cases, administrators see the audit too."""


@contextlib.contextmanager
def _users(url: str) -> Iterator[Connection[Any]]:
    try:
        with connected(url) as db:
            yield db
    except access.UserError as error:
        raise click.ClickException(str(error)) from None


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@user.command()
@database_option
@click.argument("name")
@click.option("--role", type=click.Choice(access.ROLES), required=True)
@click.option("--full-name", default="", help="The name that lanes journal with a decision.")
def add(url: str, name: str, role: str, full_name: str) -> None:
    """Add a user. The password is asked for, or read from standard input."""
    with _users(url) as db:
        access.add_user(db, name, role, _password(), full_name=full_name, by=command_line_user())


@user.command()
@database_option
@click.argument("name")
def password(url: str, name: str) -> None:
    """Give a user another password; open sessions end at once."""
    with _users(url) as db:
        access.set_password(db, name, access.new_password(_password()), by=command_line_user())


@user.command()
@database_option
@click.argument("name")
def disable(url: str, name: str) -> None:
    """Stop a user from logging in; open sessions end at once."""
    with _users(url) as db:
        access.disable(db, name, by=command_line_user())


@user.command()
@database_option
@click.argument("name")
def enable(url: str, name: str) -> None:
    """Let a disabled user log in again."""
    with _users(url) as db:
        access.disable(db, name, by=command_line_user(), yes=False)


@user.command("list")
@database_option
def list_users(url: str) -> None:
    """Print all users: name, role, full name, whether disabled."""
    with _users(url) as db:
        for one in rows(db, "SELECT name, role, full_name, disabled FROM office_users ORDER BY name"):
            state = "disabled" if one["disabled"] else "enabled"
            click.echo(one_line(f"{one['name']}  {one['role']}  {state}  {one['full_name']}".rstrip()))
