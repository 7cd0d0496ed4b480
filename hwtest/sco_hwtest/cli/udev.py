"""`sco-hwtest udev`: install, check and print the udev rules of a lane's devices."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import click

from sco_hwtest import udev_rules as udev
from sco_hwtest import udev_system
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
    help="Work on a system image mounted here.",
)


@click.group("udev")
def udev_group() -> None:
    """Stable names under /dev/sco for a lane's devices, and access for the group sco."""


@udev_group.command(short_help="Install the rules and apply them.")
@click.option("--create-group", is_flag=True, help=f"Create the group {GROUP} if it does not exist.")
@click.option("--user", help=f"Add this user to the groups too: {GROUP}, dialout, video.")
@click.option("--remove", is_flag=True, help="Remove the rules instead.")
@_root
def install(tree: Tree, create_group: bool, user: str | None, remove: bool) -> None:
    """Install the rules, make udev read them, and apply them to the devices that are plugged in."""
    try:
        if tree.live:
            udev_system.present()
        if remove:
            for path in tree.remove():
                click.echo(f"removed {path}")
            for path in (path for file in udev.FILES for path in tree.paths(file)):
                click.echo(f"note: {path} stays in force: it goes with its package", err=True)
        else:
            _install(tree, create_group, user)
        if tree.live:
            _apply()
    except UdevProblem as problem:
        raise click.ClickException(str(problem)) from problem


def _apply() -> None:
    for note in udev_system.reload():
        click.echo(f"note: {note}", err=True)
    names = [link.name for link in udev_system.links() if not link.name.startswith("by-port/")]
    click.echo(f"named: {', '.join(names) or 'no device that is plugged in now'}")


@udev_group.command("reload", short_help="Apply the installed rules again.")
def reload_rules() -> None:
    """Make udev read the installed rules again, and apply them to the devices that are plugged in."""
    try:
        udev_system.present()
        _apply()
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
        click.echo(f"{user} is in the groups {udev.join(user, tree)} after the next login")


@udev_group.command(short_help="Give the device at a port a name.")
@click.argument("name")
@click.argument("device", required=False)
@click.option("--forget", is_flag=True, help="Remove the name.")
@_root
def name(tree: Tree, name: str, device: str | None, forget: bool) -> None:
    """Give /dev/sco/NAME to the device at the port where DEVICE (/dev/usb/lp1, ...) is plugged in now.

    For two devices of a kind, and for the serial adapter of a reader or a printer.
    """
    if (device is None) is not forget:
        raise click.UsageError("give the device that NAME is for, or --forget")
    try:
        if not forget:
            udev.check_name(name)
        if tree.live:
            udev_system.present()
        if forget and name not in tree.names():
            known = ", ".join(tree.names()) or "none"
            raise UdevProblem(f"unknown name {name!r}; names in /{NAMES}: {known}")
        tree.set_name(name, None if device is None else udev_system.naming_line(name, device))
        if tree.live:
            udev_system.reload()
    except UdevProblem as problem:
        raise click.ClickException(str(problem)) from problem
    click.echo(
        f"removed {name}; a serial line keeps the group {GROUP} until it is plugged in again"
        if forget
        else f"/dev/sco/{name} is the device at the port of {device}"
    )


@udev_group.command(short_help="Check the rules and the devices.")
@_root
def check(tree: Tree) -> None:
    """Check which rules are installed, which devices they name, and whether this user may open them.

    Exit status 1 if there is a problem.
    """
    try:
        problems = _check(tree)
    except UdevProblem as problem:
        raise click.ClickException(str(problem)) from problem
    for found in problems:
        click.echo(f"! {found}")
    if problems:
        raise SystemExit(1)
    click.echo("no problems found")


def _check(tree: Tree) -> list[str]:
    problems = []
    for file in udev.FILES:
        state, paths = tree.state(file), tree.paths(file)
        click.echo(f"{file.name:16} {state} in {paths[0].parent if paths else f'/{file.folder}'}")
        if state == "missing":
            problems.append(f"{file.name} is missing: sudo sco-hwtest udev install")
        elif len(paths) > 1:
            differing = "" if state == "installed" else ", differs from this version's"
            problems.append(
                f"{paths[0]} overrides {paths[1]}{differing}: sudo rm {paths[0]}, then: sudo sco-hwtest udev reload"
            )
        elif state == "differs":
            problems.append(
                f"{file.name} differs from this version's: sudo sco-hwtest udev install; "
                f"keep your own changes in a file of another name"
            )
    for known in tree.names():
        click.echo(f"{known:16} is named in /{NAMES}")
    if not tree.group_exists():
        problems.append(f"there is no group {GROUP}: sudo sco-hwtest udev install --create-group")
    elif tree.live:
        problems += _membership()
    if tree.live:
        udev_system.present()
        udev_system.settle()
        problems += _devices()
    return problems


def _membership() -> list[str]:
    """Check that this process has the group, or will have it after a login."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrnam(GROUP)
    if os.geteuid() == 0 or group.gr_gid in {*os.getgroups(), os.getegid()}:
        click.echo(f"{user:16} has the access of the group {GROUP}")
        return []
    if user in group.gr_mem:
        return [f"{user} was added to the group {GROUP} after logging in: log in again"]
    return [f"{user} is not in the group {GROUP}: sudo usermod --append --groups {GROUP} {user}, and log in again"]


def _devices() -> list[str]:
    problems = []
    found = udev_system.links()
    named = Tree().names()
    kinds = {link.node: kind for link in found if (kind := _kind(link.name))}
    if not found:
        click.echo("no device that the rules name is plugged in")
    for link in found:
        if link.node is None:
            problems.append(f"/dev/sco/{link.name} points to no device: sudo udevadm trigger")
            continue
        access = f"{link.group} {link.mode:o}"
        click.echo(f"/dev/sco/{link.name} -> {link.node}  {access}{'' if link.openable else '  not for this user'}")
        if link.mode & 0o007:
            problems.append(f"all users may open {link.node} ({link.mode:o}): another rule overrides ours")
        elif link.group != GROUP and not _keeps_its_group(kinds.get(link.node, ""), link.name in named):
            problems.append(f"{link.node} belongs to the group {link.group}, not {GROUP}: another rule overrides ours")
        elif not link.openable:
            problems.append(f"this user may not open {link.node}: the group {link.group} may")
        if link.claims > 1:
            problems.append(
                f"{link.claims} devices claim the name /dev/sco/{link.name}; another one may get it at the next start: "
                f"sudo sco-hwtest udev name {link.name} {link.node}"
            )
    for kind in udev.KINDS:
        count = sum(1 for link in found if _kind(link.name) == kind and link.name != kind)
        if count > 1 and kind not in named:
            click.echo(f"{count} devices of the kind {kind}: name them by port: sco-hwtest udev name {kind} DEVICE")
    drivers = udev_system.loaded(udev.KERNEL_NFC)
    if drivers:
        problems.append(f"the kernel's NFC driver is loaded ({', '.join(drivers)}): sudo sco-hwtest udev install")
    if Path("/run/pcscd/pcscd.comm").exists() and any(_kind(link.name) == "nfc" for link in found):
        problems.append(
            "pcscd is running and takes NFC readers that are also smart card readers, such as an ACR122U: "
            "sudo systemctl disable --now pcscd.socket pcscd, or open the reader by pcsc://"
        )
    return problems


def _keeps_its_group(kind: str, named: bool) -> bool:
    return kind in udev.OF_THE_SYSTEM and not (named and kind == "serial")


def _kind(name: str) -> str:
    """The kind in `KIND` and in `by-port/KIND-PORT`, there the longest: `printer-usb` is not `printer`."""
    rest = name.removeprefix("by-port/")
    if rest == name:
        return name if name in udev.KINDS else ""
    return max((kind for kind in udev.KINDS if rest.startswith(f"{kind}-")), key=len, default="")


@udev_group.command("print")
@click.option("--blacklist", "which", flag_value="blacklist", help="Print what disables the kernel's NFC drivers.")
@click.option("--unit", "which", flag_value="unit", help="Print a systemd unit that runs a lane in a sandbox.")
def print_rules(which: str | None) -> None:
    """Print the rules that `install` installs."""
    file = {"blacklist": udev.BLACKLIST, "unit": udev.UNIT}.get(which or "", udev.RULES)
    click.echo(file.text(), nl=False)
