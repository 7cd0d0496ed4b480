"""`sco-hwtest udev`: stable names and access for a lane's devices: install the rules, check them, print them."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import click

from sco_hwtest import udev_rules as udev
from sco_hwtest.udev_rules import GROUP, NAMES, Tree, UdevProblem


def _tree(_context: click.Context, _parameter: click.Parameter, root: str) -> Tree:
    return Tree(Path(root).resolve())


_root = click.option(
    "--root",
    "tree",
    default="/",
    show_default=True,
    type=click.Path(file_okay=False, exists=True),
    callback=_tree,
    help="Work on the files of an image mounted here.",
)


@click.group("udev")
def udev_group() -> None:
    """Names under /dev/sco and access for the group sco."""


@udev_group.command(short_help="Copy the rules and apply them.")
@click.option("--create-group", is_flag=True, help=f"Create the group {GROUP} if there is none.")
@click.option("--user", help=f"Put this user into the group {GROUP} too.")
@click.option("--remove", is_flag=True, help="Take the rules away instead.")
@_root
def install(tree: Tree, create_group: bool, user: str | None, remove: bool) -> None:
    """Copy the rules, make udev read them, and apply them to what is plugged in."""
    try:
        if tree.live:
            udev.present()
        if remove:
            for path in tree.remove():
                click.echo(f"removed {path}")
        else:
            _install(tree, create_group, user)
        if tree.live:
            for note in udev.reload():
                click.echo(f"note: {note}", err=True)
            names = [link.name for link in udev.links() if not link.name.startswith("by-port/")]
            click.echo(f"named: {', '.join(names) or 'nothing that is plugged in now'}")
    except UdevProblem as problem:
        raise click.ClickException(str(problem)) from problem


def _install(tree: Tree, create_group: bool, user: str | None) -> None:
    if not tree.group_exists():
        if not create_group:
            raise UdevProblem(f"there is no group {GROUP}; add --create-group, or: groupadd --system {GROUP}")
        tree.create_group()
        click.echo(f"created the group {GROUP}")
    for path in tree.install():
        click.echo(f"wrote {path}")
    if user is not None:
        udev.join(user, tree)
        click.echo(f"{user} is in the group {GROUP} from the next login on")


@udev_group.command(short_help="Give one of several devices a name of its own.")
@click.argument("name")
@click.argument("device", required=False)
@click.option("--forget", is_flag=True, help="Take the name away.")
@_root
def name(tree: Tree, name: str, device: str | None, forget: bool) -> None:
    """Give /dev/sco/NAME to whatever is plugged in where DEVICE (/dev/usb/lp1, ...) is now.

    For two devices of a kind, and for a serial adapter that a reader or a printer hangs on.
    """
    if (device is None) is not forget:
        raise click.UsageError("name the device that NAME stands for, or say --forget")
    try:
        if not forget:
            udev.check_name(name)
        if tree.live:
            udev.present()
        if forget and name not in tree.names():
            known = ", ".join(tree.names()) or "none"
            raise UdevProblem(f"no device was given the name {name!r}; names in /{NAMES}: {known}")
        tree.give(name, None if device is None else udev.naming_line(name, device))
        if tree.live:
            udev.reload()
    except UdevProblem as problem:
        raise click.ClickException(str(problem)) from problem
    click.echo(f"forgot {name}" if forget else f"/dev/sco/{name} is what is plugged in at {device}")


@udev_group.command(short_help="What is installed, and what is to be done.")
@_root
def check(tree: Tree) -> None:
    """Say what is installed, which devices the rules name, and whether this user may open them.

    Exit status 1 when something is to be done.
    """
    try:
        problems = _check(tree)
    except UdevProblem as problem:
        raise click.ClickException(str(problem)) from problem
    for found in problems:
        click.echo(f"! {found}")
    if problems:
        raise SystemExit(1)
    click.echo("all is in place")


def _check(tree: Tree) -> list[str]:
    problems = []
    for file in udev.FILES:
        state = tree.state(file)
        click.echo(f"{file.name:16} {state} in /{file.folder}")
        if state == "missing":
            problems.append(f"{file.name} is missing: sudo sco-hwtest udev install")
        elif state == "differs":
            problems.append(
                f"{file.name} is not the one of this version: sudo sco-hwtest udev install, "
                f"or keep changes of your own in a file of another name"
            )
    for known in tree.names():
        click.echo(f"{known:16} was given by hand in /{NAMES}")
    if not tree.group_exists():
        problems.append(f"there is no group {GROUP}: sudo sco-hwtest udev install --create-group")
    elif tree.live:
        problems += _membership()
    if tree.live:
        udev.present()
        udev.rest()
        problems += _devices()
    return problems


def _membership() -> list[str]:
    """Whether this process has the group, and if not, whether it will have it after a login."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrnam(GROUP)
    if os.geteuid() == 0 or group.gr_gid in {*os.getgroups(), os.getegid()}:
        click.echo(f"{user:16} may use what the group {GROUP} may")
        return []
    if user in group.gr_mem:
        return [f"{user} is in the group {GROUP}, but logged in before: log in again"]
    return [f"{user} is not in the group {GROUP}: sudo usermod --append --groups {GROUP} {user}, and log in again"]


def _devices() -> list[str]:
    problems = []
    found = udev.links()
    if not found:
        click.echo("nothing that the rules name is plugged in")
    for link in found:
        if link.node is None:
            problems.append(f"/dev/sco/{link.name} leads nowhere: sudo udevadm trigger")
            continue
        access = f"{link.group} {link.mode:o}"
        click.echo(f"/dev/sco/{link.name} -> {link.node}  {access}{'' if link.openable else '  not for this user'}")
        if link.mode & 0o007:
            problems.append(f"{link.node} is open to everybody ({link.mode:o}): another rule comes after ours")
        elif link.group != GROUP:
            problems.append(
                f"{link.node} belongs to the group {link.group}, not {GROUP}: another rule comes after ours"
            )
        elif not link.openable:
            problems.append(f"this user may not open {link.node}")
        if link.claims > 1:
            problems.append(
                f"{link.claims} devices want the name /dev/sco/{link.name}; it may change hands at the next start: "
                f"sudo sco-hwtest udev name {link.name} {link.node}"
            )
    for kind in udev.KINDS:
        count = sum(1 for link in found if _kind_at_port(link.name) == kind)
        if count > 1 and kind not in Tree().names():
            click.echo(f"{count} devices of the kind {kind}: give names by port, sco-hwtest udev name {kind} DEVICE")
    drivers = udev.loaded(udev.KERNEL_NFC)
    if drivers:
        problems.append(f"the kernel's NFC driver is loaded ({', '.join(drivers)}): sudo sco-hwtest udev install")
    if Path("/run/pcscd/pcscd.comm").exists():
        problems.append(
            "pcscd runs, and takes NFC readers that are smart card readers too: "
            "sudo systemctl disable --now pcscd.socket pcscd"
        )
    return problems


def _kind_at_port(name: str) -> str:
    """The kind in `by-port/KIND-PORT`; the longest that fits, for `printer-usb` is not `printer`."""
    rest = name.removeprefix("by-port/")
    return (
        max((kind for kind in udev.KINDS if rest.startswith(f"{kind}-")), key=len, default="") if rest != name else ""
    )


@udev_group.command("print")
@click.option("--blacklist", "which", flag_value="blacklist", help="The file that keeps the kernel's NFC drivers off.")
@click.option("--unit", "which", flag_value="unit", help="A systemd unit to run a lane in a sandbox.")
def print_rules(which: str | None) -> None:
    """Print the rules as they would be installed."""
    file = {"blacklist": udev.BLACKLIST, "unit": udev.UNIT}.get(which or "", udev.RULES)
    click.echo(file.text(), nl=False)
