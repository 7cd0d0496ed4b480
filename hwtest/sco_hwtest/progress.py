"""Shows the progress of a run: on a terminal with rich, which is imported only then, else in plain lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, Protocol, TextIO

from sco_drivers.plain import one_line
from sco_hwtest.results import KIND_LABELS, CheckResult, Kind, Verdict
from sco_hwtest.runner import Progress
from sco_payment.cli.streams import drawing

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

_WORDS = {
    Verdict.PASSED: "ok",
    Verdict.MARGINAL: "MARGIN",
    Verdict.FAILED: "FAIL",
    Verdict.NOT_ANSWERED: "open",
    Verdict.NOT_RUN: "NOT RUN",
}


class ProgressWithPause(Progress, Protocol):
    """A progress that can free the terminal for a question."""

    def pause(self) -> None:
        """Leave the terminal alone until the next check begins."""
        ...


class PlainLines:
    """Prints one line a check."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._unrun = ""

    def _print(self, text: str) -> None:
        self._stream.write(one_line(text) + "\n")  # what was found may be a stranger's tag
        self._stream.flush()

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """Print a heading."""
        self._unrun = ""
        self._print(f"{KIND_LABELS[kind]} {url}")

    def begins(self, name: str) -> None:
        """Do nothing: the line for the finished check is enough."""

    def ends(self, result: CheckResult) -> None:
        """Print the result, what was found and what to do; a reason that many checks share is printed once."""
        if result.verdict is Verdict.NOT_RUN and result.found == self._unrun:
            return
        self._unrun = result.found if result.verdict is Verdict.NOT_RUN else ""
        took = f" ({result.seconds:.2f} s)" if result.seconds >= 0.005 else ""
        name = "the rest" if self._unrun and not result.to_do else result.name
        self._print(f"  {_WORDS[result.verdict]:7} {name}{took}" + (f": {result.found}" if result.found else ""))
        if result.to_do:
            self._print(f"          do: {result.to_do}")

    def pause(self) -> None:
        """Do nothing."""


class LiveLines:
    """The same in colour, with the current check below."""

    _STYLES: ClassVar = {
        Verdict.PASSED: ("[green]✓[/]", ""),
        Verdict.MARGINAL: ("[yellow]![/]", "yellow"),
        Verdict.FAILED: ("[bold red]✗[/]", "red"),
        Verdict.NOT_ANSWERED: ("[yellow]?[/]", "yellow"),
        Verdict.NOT_RUN: ("[yellow]–[/]", "yellow"),
    }

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._done = self._total = 0
        self._unrun = ""

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """Print a heading."""
        from rich.markup import escape

        self.pause()
        self._done, self._total, self._unrun = 0, checks, ""
        self._console.print(f"\n[bold]{KIND_LABELS[kind]}[/] [cyan]{escape(one_line(url))}[/]", highlight=False)

    def begins(self, name: str) -> None:
        """Show the current check."""
        text = f"{min(self._done + 1, self._total)}/{self._total} {name}"
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def ends(self, result: CheckResult) -> None:
        """Print the result."""
        from rich.markup import escape

        self._done += 1
        if result.verdict is Verdict.NOT_RUN and result.found == self._unrun:
            return
        self._unrun = result.found if result.verdict is Verdict.NOT_RUN else ""
        mark, style = self._STYLES[result.verdict]
        name = "the rest" if self._unrun and not result.to_do else result.name
        text = escape(one_line(f"{name}: {result.found}" if result.found else name))
        took = f" [dim]{result.seconds:.2f} s[/]" if result.seconds >= 0.005 else ""
        self._console.print(f"  {mark} " + (f"[{style}]{text}[/]" if style else text) + took, highlight=False)
        if result.to_do:
            self._console.print(f"    do: {escape(one_line(result.to_do))}", highlight=False)

    def pause(self) -> None:
        """Remove the status line."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def progress_for(stream: TextIO) -> ProgressWithPause:
    """Live lines if `stream` is a terminal, else plain ones."""
    if not stream.isatty():
        return PlainLines(stream)
    from rich.console import Console

    return LiveLines(Console(file=drawing(stream)))
