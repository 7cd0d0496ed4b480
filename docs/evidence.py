"""Makes the pages that list points with the tests that show them: `conformance.md` and `guide/security.md`.

A test is marked with the points that it shows: `@pytest.mark.requirement("R4")`, `@pytest.mark.attack("A4")`.
`make diagrams` runs this; a test compares the pages with the marks.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parent
CONFORMANCE = HERE / "conformance.md"
SECURITY = HERE / "guide" / "security.md"
Tests = dict[str, list[tuple[str, str]]]
"""Point -> file and name of each test that is marked as showing it."""


def points(name: str) -> ModuleType:
    """A module of `tests/docs`, which is in no package that is installed."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def marked(mark: str) -> Tests:
    """The tests that carry `pytest.mark.MARK`, by what they show."""
    found: Tests = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text("utf-8")
        if f"mark.{mark}" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            for one in getattr(node, "decorator_list", []):
                if isinstance(one, ast.Call) and ast.unparse(one.func) == f"pytest.mark.{mark}":
                    for name in one.args:
                        place = (str(path.relative_to(ROOT)), getattr(node, "name", ""))
                        found.setdefault(ast.literal_eval(name), []).append(place)
    return found


def listed(tests: list[tuple[str, str]]) -> Iterator[str]:
    """A line for each file with its tests."""
    for file, names in groupby(sorted(tests, key=lambda one: one[0]), key=lambda one: one[0]):
        yield f"- `{file}`: {', '.join(f'`{name}`' for _, name in names)}"


def conformance() -> str:
    """Each point of the requirement, how it is read, and the tests that show it."""
    tests = marked("requirement")
    parts = [
        "# Conformance",
        "",
        "What is required of a lane that takes payments by QR code or NFC through PayMaster, point by point and in our",
        "words; what the lane or the till shows is exact. After each point: how we read it where it leaves something",
        "open, or where this software does something else; and the tests that show it. They run against simulators at",
        "the wire: PayMaster itself and real devices are for the [first payment](guide/install.md#first-payment).",
    ]
    section = ""
    for one in points("requirements").REQUIREMENTS:
        if one.section != section:
            section = one.section
            parts += ["", f"## {section}"]
        parts += ["", f"**{one.id}.** {one.text}"]
        if one.reading:
            parts += ["", f"*Reading:* {one.reading}"]
        if one.elsewhere:
            parts += ["", f"*Not in this software:* {one.elsewhere}"]
        lines = list(listed(tests.get(one.id, [])))
        parts += [""] * bool(lines) + lines
    return "\n".join(parts) + "\n"


_SECURITY = """# Security review

For whoever must decide whether this software may run on a shop's tills. Each row is an attack or an accident that was
tried on a lane, what the lane does instead, and the tests that try it again at every change. `SECURITY.md` says what
counts as a vulnerability and how to report one.

**Trusted**: root on the lane, the settings file, PayMaster over TLS as far as money goes. **Not trusted**: everything
that is read, the bank's texts included; devices and tags; whoever reaches the service's port; the network; the disk;
a till that disconnects. **Out of scope**: root on the lane, who can replace the software.

A lane needs the network only to reach PayMaster over HTTPS, directly or through a proxy; it listens on no port unless
`sco-pay serve` is configured to. It stores no card data and no data of customers: links, amounts, order numbers, and
the names of the employees who closed cases. [Money safety](../money-safety.md) is about crashes and networks, [a
service](install.md#a-service) about the systemd sandbox, [release steps](../release.md) about what a release consists
of.

Run them: `python -m pytest tests/security`, the whole suite with `make test`, and the commands named below."""


def security() -> str:
    """Each attack, what the lane does, and the tests that try it."""
    tests = marked("attack")
    parts = [_SECURITY]
    section = ""
    for one in points("attacks").ATTACKS:
        if one.section != section:
            section = one.section
            parts += ["", f"## {section}"]
        parts += ["", f"**{one.id}.** {one.attack}", "", f"*The lane:* {one.answer}", ""]
        parts += [f"- `make {one.command}`"] * bool(one.command)
        parts += listed(tests.get(one.id, []))
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write both."""
    CONFORMANCE.write_text(conformance(), "utf-8")
    SECURITY.write_text(security(), "utf-8")


if __name__ == "__main__":
    main()
