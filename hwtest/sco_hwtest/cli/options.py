"""Options and arguments that several commands of `sco-hwtest` share."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

import click

from sco_drivers import DeviceError, check_url
from sco_drivers.plain import OneLineFormatter
from sco_drivers.registry import operators_console
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.check import CannotRun
from sco_hwtest.results import KINDS, Kind
from sco_hwtest.suites import Suite, suite_of

Command = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])


def mistakes(kind: Kind, url: str) -> list[str]:
    """Every mistake in `url` as the URL of a `kind` of device, one sentence each.

    Empty if the driver's library is missing: opening the device reports that.
    """
    try:
        return [str(error) for error in check_url(kind, url)]
    except DeviceError:
        return []


def refuse_mistakes(*devices: tuple[Kind, str]) -> None:
    """Check the URLs of a command.

    Raises:
        click.UsageError: a URL is wrong; lists every mistake.
    """
    wrong = [mistake for kind, url in devices for mistake in mistakes(kind, url)]
    if wrong:
        raise click.UsageError("\n".join(wrong))


def device_argument(kind: Kind, name: str = "url") -> Callable[[F], F]:
    """A command's argument that is the URL of a `kind` of device. A wrong URL is refused with every mistake."""

    def validate(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
        refuse_mistakes((kind, url))
        return url

    return click.argument(name, callback=validate)


def device_options(command: Command) -> Command:
    """--printer, --nfc, --screen, --touch, --display; each can be repeated."""
    for kind, example in (
        ("display", "mertech:///dev/ttyACM0"),
        ("touch", "evdev:///dev/sco/touch"),
        ("screen", "drm:///dev/dri/card0"),
        ("nfc", "pn532:///dev/ttyS1"),
        ("printer", "usb://04b8:0202"),
    ):
        command = click.option(
            f"--{kind}",
            f"{kind}_urls",
            multiple=True,
            metavar="URL",
            help=f"e.g. {example}, or sim:// for a simulated one; can be repeated",
        )(command)
    return command


def devices_of(urls: dict[str, tuple[str, ...]]) -> list[tuple[Kind, str]]:
    """Kind and URL of each device given by the options.

    Raises:
        click.UsageError: there is none, a URL is wrong, or it names no device; lists every mistake.
    """
    found = [(kind, url) for kind in KINDS for url in urls[f"{kind}_urls"]]
    if not found:
        raise click.UsageError(
            "name a device by --printer, --nfc, --screen, --touch or --display; sco-hwtest discover prints its URL"
        )
    wrong = [f"--{kind}: {mistake}" for kind, url in found for mistake in _untestable(kind, url)]
    if wrong:
        raise click.UsageError("\n".join(wrong))
    return found


def _untestable(kind: Kind, url: str) -> list[str]:
    """Why the URL names no device that can be tested, one sentence each."""
    parsed, _ = DeviceUrl.read(url)
    if parsed is not None and parsed.scheme == "none":
        return [f"{url}: no device is there, so nothing can be tested"]
    return mistakes(kind, url)


def known_checks(devices: list[tuple[Kind, str]], only: tuple[str, ...], *, faults: bool | None) -> None:
    """Refuse names of checks that none of these devices can be given.

    Args:
        devices: kind and URL of each.
        only: names of checks.
        faults: whether faults are made; None for a command that never makes any.

    Raises:
        click.UsageError: says of each name why.
    """
    suites: dict[Kind, Suite] = {}
    for kind in dict.fromkeys(kind for kind, _ in devices):
        with suppress(CannotRun):
            suites[kind] = suite_of(kind)
    offered = {
        name: None
        for kind, url in devices
        if kind in suites
        for name in suites[kind].names
        if not suites[kind].why_not(name, url, faults=bool(faults))
    }
    wrong: list[str] = []
    for name in only:
        having = [(suites[kind], url) for kind, url in devices if kind in suites and name in suites[kind].names]
        if name in offered:
            continue
        if not having:
            wrong.append(f"unknown check {name}; expected one of {', '.join(offered)}")
        elif not faults and any(not suite.why_not(name, url, faults=True) for suite, url in having):
            wrong.append(f"{name} makes a fault: " + ("add --faults" if faults is not None else "use run --faults"))
        else:
            wrong.append(f"{name}: {having[0][0].why_not(name, having[0][1], faults=True)}")
    if wrong:
        raise click.UsageError("\n".join(wrong))


def refuse_own_console(devices: list[tuple[Kind, str]], ways: str = "run the command over SSH") -> None:
    """Refuse a screen that would take the console on which the operator is to read and type.

    Args:
        devices: kind and URL of each.
        ways: what to do instead.

    Raises:
        click.UsageError: there is one.
    """
    for kind, url in devices:
        if kind == "screen" and (console := operators_console(url)):
            apart = url + ("&" if "?" in url else "?") + "tty=none"
            raise click.UsageError(
                f"--screen {url} would take {console}, where you type: you would see no question, and no key, not even "
                f"Ctrl-C, would work; {ways}, or leave the console alone: {apart}"
            )


def debug_option(command: Command) -> Command:
    """--debug FILE."""
    return click.option(
        "--debug",
        type=click.Path(dir_okay=False),
        help="Write the drivers' log to this file; spy+ URLs add all bytes.",
    )(command)


def log_to(path: str | None) -> None:
    """Send the drivers' log to a file, or to nowhere, but not between the lines of a run.

    Raises:
        click.ClickException: the file cannot be written.
    """
    root = logging.getLogger()
    if path is None:
        if not root.handlers:
            root.addHandler(logging.NullHandler())
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    handler.setFormatter(OneLineFormatter())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)


@contextmanager
def ends_on_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set `stop`; a second one interrupts the current check."""

    def end(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo(
            "\nstopping after the current check; press again to stop now (a tag may then keep the test link)",
            err=True,
        )

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
