"""Makes the reference pages that come from the code: `make docs` runs it before Sphinx.

`reference/settings.md`, `events.md`, `service.md`, `faults.md` and `diagrams/packages.svg` are in the
repository, and a test compares them with the code; `reference/commands.md`, `reference/modules.md` and
`diagrams/modules.svg` are made for each build.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from html import escape
from pathlib import Path

import click

HERE = Path(__file__).parent
ROOT = HERE.parent
SETTINGS = HERE / "reference" / "settings.md"
EVENTS = HERE / "reference" / "events.md"
SERVICE = HERE / "reference" / "service.md"
FAULTS = HERE / "reference" / "faults.md"
COMMANDS = HERE / "reference" / "commands.md"
MODULES = HERE / "reference" / "modules.md"
MODULES_PICTURE = HERE / "diagrams" / "modules.svg"
PACKAGES_PICTURE = HERE / "diagrams" / "packages.svg"
BUILT = (COMMANDS, MODULES, MODULES_PICTURE)
"""Made for each build; not in the repository."""

PACKAGES = {
    "sco_drivers": "drivers",
    "sco_payment": "payment",
    "sco_service": "service",
    "sco_sim": "sim",
    "sco_fleet": "fleet",
    "sco_hwtest": "hwtest",
}
SCRIPTS = {
    "sco-pay": "sco_payment.cli.main",
    "sco-hwtest": "sco_hwtest.cli.main",
    "sco-sim": "sco_sim.serve.main",
    "sco-fleet": "sco_fleet.cli.main",
}


def settings() -> str:
    """Every setting, as `sco-pay settings reference` prints them, a table a section."""
    from sco_payment.settings_reader import reference

    parts = [
        "# Settings",
        "",
        "A TOML file; `SCO_<SECTION>_<NAME>` in the environment overrides it. `sco-pay settings example` prints a file "
        "to start from,\n`sco-pay settings check FILE` names every mistake at once, `sco-pay settings reference` "
        "prints this list.",
    ]
    section = ""
    for name, setting, default, meaning in reference():
        if name != section:
            section = name
            parts += ["", f"## [{name}]", "", "| setting | default | meaning |", "|---|---|---|"]
        parts.append(f"| `{name}.{setting}` | `{default}` | {meaning} |")
    return "\n".join(parts) + "\n"


def events() -> str:
    """Every event of a lane and its fields in JSON."""
    from sco_payment.events import catalogue

    parts = [
        "# Events",
        "",
        "`open_lane(..., observer=f)` calls `f(event)` with one of these; `event.as_json()` is the object described",
        "here. `sco-pay pay --json` prints it, one a line; in place of `outcome_reached` and `outcome_taken` it prints",
        "its own last line, `outcome`. Times are in ms since the epoch (`_ms`).",
    ]
    for entry in catalogue():
        words = " ".join(entry.when.split())
        title = f"`{entry.name}`" if entry.name else "Every event"
        cls = f"`sco_payment.{entry.cls}`" + (f": {words}" if entry.name else ", the base of all.")
        parts += ["", f"## {title}", "", cls, "", "| field | meaning |", "|---|---|"]
        parts += [f"| `{field}` | {meaning} |" for field, meaning in entry.fields]
    return "\n".join(parts) + "\n"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def service() -> str:
    """Every resource of the service and every problem that it answers with."""
    from sco_service.problems import catalogue
    from sco_service.resources import routes

    parts = [
        "# The lane's service",
        "",
        "What `sco-pay serve` answers; see [Connect a till](../guide/connect-a-till.md) for its use. OpenAPI describes",
        "bodies and answers, at `/v1/openapi.yaml` of each service.",
        "",
        "## Resources",
        "",
        "| method | resource | roles |",
        "|---|---|---|",
    ]
    for route in routes():
        roles = "no token needed" if route.roles is None else ", ".join(sorted(route.roles))
        roles += "; a browser on the lane's machine" if route.screen else ""
        parts.append(f"| {route.method} | `{route.path}` | {roles} |")
    parts += [
        "",
        "## Problems",
        "",
        "A refusal is `application/problem+json` (RFC 9457). Codes do not change within a major version; new ones may",
        "be added: handle one that you do not know by `retry`, `nothing_done` and the status. `retry`: the same",
        "request may succeed later. `nothing_done`: it is certain that this request did nothing. Where it is missing,",
        "and where there is no answer, it may have done it. It says nothing of earlier requests.",
        "",
        "| code | status | retry | nothing_done | meaning | по-русски |",
        "|---|---|---|---|---|---|",
    ]
    parts += [
        f"| `{code}` | {kind.status} | {_yes(kind.retry)} | {_yes(kind.nothing_done)} | {kind.title} | {kind.russian} |"
        for code, kind in catalogue()
    ]
    return "\n".join(parts) + "\n"


def faults() -> str:
    """Every fault of the mock devices, and the options."""
    from sco_sim.serve.faults import CATALOGUE, OPTIONS

    parts = [
        "# Faults of mock devices",
        "",
        "`PUT /faults/NAME` of [`sco-sim serve`](../guide/testing.md#mock-devices-for-tests-in-any-language) begins",
        "one, `DELETE /faults/NAME` ends it. What happens *once* ends by itself; `POST /reset` undoes what it leaves.",
    ]
    device = ""
    for fault in CATALOGUE:
        if fault.device != device:
            device = fault.device
            parts += ["", f"## {device}", "", "| fault | what happens | options |", "|---|---|---|"]
        once = "once: " if fault.end is None else ""
        options = ", ".join(f"`{name}`" for name in fault.options)
        parts.append(f"| `{fault.name}` | {once}{fault.meaning} | {options} |")
    parts += ["", "## Options", "", "| option | meaning |", "|---|---|"]
    parts += [f"| `{name}` | {meaning} |" for name, meaning in OPTIONS.items()]
    return "\n".join(parts) + "\n"


# --- conformance ----------------------------------------------------------------------------------------------------


def commands() -> str:
    """The help of every command, as the program prints it."""
    parts = ["# Commands"]
    for script, module in SCRIPTS.items():
        main: click.Command = importlib.import_module(module).main
        for path, command in _commands(script, main):
            context = click.Context(command, info_name=path, terminal_width=84, max_content_width=84)
            level = "##" if path == script else "###"
            parts += ["", f"{level} {path}", "", "```{code-block} text", ":class: help"]
            parts += ["", command.get_help(context).strip(), "```"]
    return "\n".join(parts) + "\n"


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _commands(f"{path} {name}", below)


# --- modules --------------------------------------------------------------------------------------------------------


def modules() -> dict[str, Path]:
    """Every module of the packages, by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules among `known` that a module needs when it is loaded: neither for types alone, nor on first use."""
    found = set()
    for node in _loaded(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                found.add(whole if whole in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & set(known)


def _loaded(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _loaded(child)


def modules_page() -> str:
    """Each module with its own first sentence."""
    parts = [
        "# Modules",
        "",
        "The parts of all packages; imports run down only (a test draws this and fails on an arrow that runs up):",
        "",
        "![Packages and what they import](../diagrams/packages.svg)",
        "",
        "The lane's modules and what each needs to be loaded (arrows that follow from others are left out):",
        "",
        "![Modules of sco_payment](../diagrams/modules.svg)",
    ]
    package = ""
    for name, path in modules().items():
        if name.split(".")[0] != package:
            package = name.split(".")[0]
            parts += ["", f"## {package}", "", "| module | what it is for |", "|---|---|"]
        words = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0]
        parts.append(f"| `{name}` | {words} |".replace("\n", " "))
    return "\n".join(parts) + "\n"


def modules_picture() -> str:
    """The modules of a lane in layers: each is above everything that it needs."""
    known = modules()
    names = [
        name
        for name in known
        if (name.startswith("sco_payment.") and ".simulator" not in name and name != "sco_sim.demo")
        or name
        in ("sco_drivers.errors", *(f"sco_drivers.{kind}" for kind in ("display", "nfc", "printer", "screen", "touch")))
    ]
    needs = {name: imports(known[name], known) & set(names) - {name} for name in names}
    reach: dict[str, set[str]] = {}

    def below(name: str) -> set[str]:
        if name not in reach:
            reach[name] = set().union(needs[name], *(below(one) for one in needs[name]))
        return reach[name]

    depth: dict[str, int] = {}

    def layer(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((layer(one) for one in needs[name]), default=-1)
        return depth[name]

    layers: dict[int, list[str]] = {}
    for name in names:
        if needs[name] or any(name in other for other in needs.values()):
            layers.setdefault(layer(name), []).append(name)
    direct = {
        (name, one)
        for name in names
        for one in needs[name]
        if not any(one in below(other) for other in needs[name] - {one})
    }
    return _layered(layers, direct, "Modules of a lane and what each needs")


def packages() -> dict[str, set[str]]:
    """Each part of a package (`sco_payment.attempt`) -> the other parts that it imports."""
    known = modules()

    def part(name: str) -> str:
        return ".".join(name.split(".")[:2])

    needs: dict[str, set[str]] = {part(name): set() for name in known if "." in name}
    for name, path in known.items():
        if "." in name:
            needs[part(name)] |= {part(one) for one in imports(path, known) if "." in one} - {part(name)}
    return needs


def packages_picture() -> str:
    """The parts of all packages, package above package; raises ValueError for an import that runs up or in a circle."""
    needs = packages()
    layers: dict[int, list[str]] = {}
    floor = 0
    for package in PACKAGES:  # from the ground up
        own = {name: needs[name] for name in needs if name.split(".")[0] == package}
        above = list(PACKAGES)[list(PACKAGES).index(package) + 1 :]
        if upward := [(name, one) for name in own for one in own[name] if one.split(".")[0] in above]:
            raise ValueError(f"imports that run up: {upward}")
        try:
            order = list(TopologicalSorter({name: own[name] & own.keys() for name in own}).static_order())
        except CycleError as error:
            raise ValueError(f"imports that run in a circle: {error.args[1]}") from None
        depth: dict[str, int] = {}
        for name in order:
            depth[name] = 1 + max((depth[one] for one in own[name] & own.keys()), default=-1)
            layers.setdefault(floor + depth[name], []).append(name)
        floor += 1 + max(depth.values())
    below: dict[str, set[str]] = {}
    for name in (name for level in sorted(layers) for name in layers[level]):
        below[name] = needs[name].union(*(below[one] for one in needs[name]))
    direct = {
        (name, one)
        for name in needs
        for one in needs[name]
        if not any(one in below[other] for other in needs[name] - {one})
    }
    return _layered(layers, direct, "Packages and what they import")


def _layered(layers: dict[int, list[str]], arrows: set[tuple[str, str]], label: str) -> str:
    wide, step, gap = 150, 92, 14
    across = max(len(row) for row in layers.values()) * (wide + gap) + gap
    place: dict[str, tuple[float, float]] = {}
    top = max(layers)
    for level in sorted(layers):
        under = {name: [place[one][0] for begin, one in arrows if begin == name] for name in layers[level]}
        row = sorted(layers[level], key=lambda name: (sum(under[name]) / len(under[name]) if under[name] else 0, name))
        room = across / len(row)
        for n, name in enumerate(row):
            place[name] = (room * (n + 0.5), 30 + (top - level) * step)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {60 + top * step}" role="img" '
        f'aria-label="{label}">',
        "<style>text{font:12px system-ui,'DejaVu Sans',Arial,sans-serif;text-anchor:middle;fill:#14213d}"
        "path{fill:none;stroke:#94a3b8}rect{fill:#eef2ff;stroke:#1d4ed8;rx:7px}"
        ".drivers rect{fill:#dcfce7;stroke:#15803d}.sim rect{fill:#fef3c7;stroke:#b45309}"
        ".hwtest rect{fill:#fae8ff;stroke:#a21caf}</style>",
        f'<rect width="{across}" height="{60 + top * step}" style="fill:#fff;stroke:none;rx:0"/>',
    ]
    for begin, end in sorted(arrows):
        (x1, y1), (x2, y2) = place[begin], place[end]
        parts.append(
            f'<path d="M{x1:.0f} {y1 + 14:.0f}C{x1:.0f} {y1 + 60:.0f} {x2:.0f} {y2 - 60:.0f} {x2:.0f} {y2 - 14:.0f}"/>'
        )
    for name, (x, y) in place.items():
        kind = name.split(".")[0].removeprefix("sco_")
        parts.append(
            f'<g class="{kind}"><rect x="{x - wide / 2:.0f}" y="{y - 14:.0f}" width="{wide}" height="28"/>'
            f'<text x="{x:.0f}" y="{y + 4:.0f}">{escape(name.removeprefix("sco_"))}</text></g>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Write all of them."""
    for path, text in (
        (SETTINGS, settings()),
        (EVENTS, events()),
        (SERVICE, service()),
        (FAULTS, faults()),
        (COMMANDS, commands()),
        (MODULES, modules_page()),
        (MODULES_PICTURE, modules_picture()),
        (PACKAGES_PICTURE, packages_picture()),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
