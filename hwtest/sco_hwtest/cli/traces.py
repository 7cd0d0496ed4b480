"""`sco-hwtest record`, `replay` and `report`: traces of devices, and one file to send."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import click

from sco_drivers.errors import DeviceError
from sco_hwtest.bundle import CannotBundle, bundle, listing
from sco_hwtest.cli.exit_status import ExitStatus, with_exit_statuses
from sco_hwtest.cli.options import device_options, devices_of, ends_on_signals, known_checks, log_to, refuse_own_console
from sco_hwtest.cli.run import exit_status, operator_for
from sco_hwtest.progress import progress_for
from sco_hwtest.recording import CannotRecord, record
from sco_sim.replay.run import play
from sco_sim.replay.trace import BadTrace, read_trace


@click.command("record")
@device_options
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder.")
@click.option("--no-questions", "--yes", "no_questions", is_flag=True, help="Ask no questions.")
@click.option("--unanswered-ok", is_flag=True, help="Exit status 0 even if questions were not answered.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check; can be repeated.")
@click.option("--faults", is_flag=True, help="Check faults too; see `sco-hwtest run --help`.")
@with_exit_statuses("record")
def record_command(
    out: Path, no_questions: bool, unanswered_ok: bool, only: tuple[str, ...], faults: bool, **urls: tuple[str, ...]
) -> None:
    """Run the checks and write what passes on each device's wire into a folder, with the report.

    Links, ids, serial numbers and printed words are replaced before anything is written. A screen is checked, but has
    no wire to record. `sco-hwtest report --send-ready FOLDER` then makes one file to send.
    """
    devices = devices_of(urls)
    known_checks(devices, only, faults=faults)
    refuse_own_console(devices)
    log_to(None)
    progress = progress_for(sys.stdout)
    stop = threading.Event()
    try:
        with ends_on_signals(stop):
            report, traces = record(
                devices,
                out,
                operator=operator_for(no_questions, progress, stop, sys.stdout),
                progress=progress,
                only=only,
                faults=faults,
                stop=stop,
            )
    except CannotRecord as error:
        raise click.ClickException(str(error)) from error
    progress.pause()
    click.echo(f"\n{report.summary}")
    cut_off = [path for path in traces if not _whole(path)]
    sys.exit(ExitStatus.FAILED if cut_off else exit_status(report, unanswered_ok))


def _whole(path: Path) -> bool:
    try:
        recordings = read_trace(path)
    except BadTrace as error:
        click.echo(str(error), err=True)
        return False
    lines = sum(1 + len(one.entries) for one in recordings)
    click.echo(f"{path}: {len(recordings)} recordings, {lines} lines")
    for one in recordings:
        if not one.whole:
            click.echo(f"{path}: recording {one.number} was cut off; is the disk full?", err=True)
    return all(one.whole for one in recordings)


@click.command("replay")
@click.argument("traces", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--pace",
    type=click.Choice(["fast", "real"]),
    default="fast",
    show_default=True,
    help="As fast as possible, or at the recorded pace.",
)
@with_exit_statuses("replay")
def replay_command(traces: tuple[Path, ...], pace: str) -> None:
    """Run the installed drivers on traces: each call is made again, and what is sent is compared."""
    differ = open_ends = False
    for path in traces:
        try:
            played = play(path, real_pace=pace == "real")
        except DeviceError as error:
            click.echo(str(error), err=True)
            differ = True
            continue
        for one in played:
            what = f"{path}: {one.recording.kind} {one.recording.number} of {len(played)}"
            compared = f"{one.frames} frames" if one.frames else f"{one.octets} octets"
            click.echo(
                f"{what}: {one.difference or f'{one.calls} calls, {compared} as then'}", err=bool(one.difference)
            )
            if one.note:
                click.echo(f"{what}: {one.note}", err=True)
            differ, open_ends = differ or bool(one.difference), open_ends or bool(one.note)
    sys.exit(ExitStatus.FAILED if differ else ExitStatus.INCOMPLETE if open_ends else ExitStatus.OK)


@click.command("report")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--send-ready", is_flag=True, help="Make one file to send.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file; FOLDER.zip by default.")
@click.option("--show", is_flag=True, help="Print the whole content of every file in it instead.")
def report_command(folder: Path, send_ready: bool, out: Path | None, show: bool) -> None:
    """Look at what a folder of `sco-hwtest record` would send, and make one file of it.

    Without an option it lists the files and what was replaced in them. Nothing is sent.
    """
    try:
        found = bundle(folder)
    except CannotBundle as error:
        raise click.ClickException(str(error)) from error
    if show:
        for name, content in found.files.items():
            click.echo(f"--- {name}")
            click.echo(content.decode("utf-8", "replace"), nl=False)
        return
    for line in listing(found):
        click.echo(line)
    if not send_ready:
        return
    path = out or folder.absolute().with_name(f"{folder.absolute().name}.zip")
    try:
        found.write(path)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    click.echo(f"written: {path}")
