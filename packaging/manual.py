"""Man pages and shell completion of the commands, from click's own help: `python packaging/manual.py FOLDER`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

COMMANDS: dict[str, click.Command] = {
    each.name: each.load()
    for each in distribution("sco-paymaster").entry_points.select(group="console_scripts")
    if each.name != "sco-fleet"  # the office's server, which no bundle has
}
SHELLS: dict[str, tuple[type[ShellComplete], str]] = {
    "bash": (BashComplete, "{}"),
    "zsh": (ZshComplete, "_{}"),
    "fish": (FishComplete, "{}.fish"),
}


def pages(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """The page of a command and those of its own commands: file name and text."""
    context = click.Context(command, info_name=name, parent=parent)
    full = context.command_path.replace(" ", "-")
    yield f"{full}.1", "\n".join(_page(command, context, full)) + "\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            if found is not None and not found.hidden:
                yield from pages(found, each, context)


def _page(command: click.Command, context: click.Context, full: str) -> Iterator[str]:
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    yield f'.TH "{full.upper()}" "1" "{day}" "sco-paymaster" "User commands"'
    yield from (".SH NAME", rf"{_plain(full)} \- {_plain(command.get_short_help_str(limit=200))}", ".SH SYNOPSIS")
    yield rf"\fB{_plain(context.command_path)}\fR {_plain(' '.join(command.collect_usage_pieces(context)))}"
    if command.help:
        yield ".SH DESCRIPTION"
        for paragraph in command.help.replace("\b\n", "").split("\n\n"):
            yield from (".PP", _plain(" ".join(paragraph.split())))
    records = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    if records:
        yield ".SH OPTIONS"
        for option, text in records:
            yield from (".TP", rf"\fB{_plain(option)}\fR", _plain(text))
    if command.epilog:
        title, *rows = command.epilog.replace("\b\n", "").strip().splitlines()
        yield from (f".SH {_plain(title.rstrip(':').upper())}", ".nf", *map(_plain, rows), ".fi")
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from (".TP", rf"\fB{_plain(full)}\-{_plain(name)}\fR(1)", _plain(found.get_short_help_str(200)))


def _plain(text: str) -> str:
    """Text that troff shows as it is."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def main(folder: Path) -> None:
    """Write man/*.1 and completion/SHELL/*."""
    (folder / "man").mkdir(parents=True, exist_ok=True)
    for name, command in COMMANDS.items():
        for file, text in pages(command, name):
            (folder / "man" / file).write_text(text)
        for shell, (completion, form) in SHELLS.items():
            variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
            target = folder / "completion" / shell / form.format(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            made = completion(command, {}, name, variable)
            target.write_text(made.source_template % made.source_vars() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
