"""Makes the pages that list points with the tests that show them: `conformance.md`, `banks.md` and `guide/security.md`.

A test is marked with the points that it shows: `@pytest.mark.requirement("R4")`, `@pytest.mark.bank("B4")`,
`@pytest.mark.attack("A4")`.
`make diagrams` runs this; a test compares the pages with the marks.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
CONFORMANCE = HERE / "conformance.md"
BANKS = HERE / "banks.md"
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
        "the wire: PayMaster itself and real devices are for the [first payment](guide/install.md#first-payment). What",
        "the lane does where a bank, a clock or a network behaves otherwise than one expects: [banks and clocks as",
        "they are](banks.md).",
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


_BANKS = """# Banks and clocks as they are

What happens if the bank answers twice, or never? If it keeps a payment open, refunds it, or calls it rejected and
settles it later? If a clock is wrong? Banks differ, and their documents leave much of this open. Each row below is
something that a bank, a clock, a network or a till may do, by public documents and bug reports of payment systems; what
the lane does about it; and what shows that. *The bank* is PayMaster with all that is behind it; for the other words see
[terms](payment.md#terms).

- **Try it**: `sco-pay simulate --script "WORDS"` starts a simulated PayMaster that does it. Then [pay on a lane that
  uses it](guide/testing.md#paymaster), or with your own till. Where the customer leaves and the row needs one who pays
  or cancels, be the customer: pay on the page that the simulator prints, cancel with Ctrl-C.
- **Met by**: engines that bring it about together with lost answers, power cuts and whatever else may go wrong: [the
  explorer](money-safety.md#explored-every-state-within-bounds), by scenarios; [the
  simulation](money-safety.md#simulated-the-real-lane-with-seeded-faults), by kinds of faults; [kill
  -9](money-safety.md#kill--9), by scenarios.
- **Seeded, and caught**: mistakes that are put into the lane's code on purpose, one at a time. Each must be noticed, or
  `make verify` fails."""


def banks() -> str:
    """Each thing that a bank, a clock or a network may do, what the lane does, and what shows it."""
    tests, source = marked("bank"), points("banks")
    parts = [_BANKS, "", *_bank_table(source.ROWS, tests)]
    section = ""
    for one in source.ROWS:
        if one.section != section:
            section = one.section
            parts += ["", f"## {section}"]
        parts += ["", f"### {one.id}. {one.title}", "", one.happens, "", f"*The lane:* {one.answer}", ""]
        parts.append(
            f"- Try it: {_quoted(one.scripts) if one.scripts else f'no script does this, since {one.no_script}'}"
        )
        met = [f"by {source.ENGINES[name].title}: {_quoted(words)}" for name, words in one.met.items()]
        parts += [f"- Met {'; '.join(met)}"] * bool(met)
        for name, faults in one.faults.items():
            parts.append(f"- Seeded, and caught by {source.ENGINES[name].title}: {'; '.join(faults)}")
        parts += listed(tests.get(one.id, []))
    return "\n".join([*parts, *_seeded(source), *_explored(source)]) + "\n"


def _bank_table(rows: Iterable[Any], tests: Tests) -> Iterator[str]:
    yield "| row | what may happen | simulator's script | seeded and caught | tests |"
    yield "|---|---|---|---|---|"
    for one in rows:
        more = f" and {len(one.scripts) - 1} more" if one.scripts[1:] else ""
        script = f"`{one.scripts[0]}`{more}" if one.scripts else "—"
        faults = sum(len(names) for names in one.faults.values())
        anchor = re.sub(r"[^\w\- ]", "", f"{one.id}. {one.title}".lower()).replace(" ", "-")
        yield f"| [{one.id}](#{anchor}) | {one.title} | {script} | {faults} | {len(tests.get(one.id, []))} |"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in words)


def _seeded(source: ModuleType) -> Iterator[str]:
    yield from ("", "## Seeded faults", "")
    yield "That each of the rows' seeded faults is caught, `test_a_seeded_fault_is_caught` of these files shows:"
    yield from ("", "| caught by | faults | file |", "|---|---|---|")
    for name, engine in source.ENGINES.items():
        faults = {fault for one in source.ROWS for fault in one.faults.get(name, ())}
        yield f"| {engine.title} | {len(faults)} | `{engine.test}` |"


def _explored(source: ModuleType) -> Iterator[str]:
    yield from ("", "## States explored", "")
    yield "How many different states `make explore LIFE=n` visits; the invariants hold in each. *Before* is commit"
    yield f"`{source.EXPLORED_BEFORE}`, the last one without these rows; *now* is this version. A dash: a new scenario."
    yield "Bank and clocks may do more now. A scenario can have fewer states all the same: states that differ only in"
    yield "what nothing looks at any more count as one."
    yield from ("", "| scenario | LIFE | before | now |", "|---|---|---|---|")
    for one in source.EXPLORED:
        yield f"| {one.scenario} | {one.life} | {f'{one.before:,}' if one.before else '—'} | {one.now:,} |"
    before, now = (sum(counts) for counts in zip(*((one.before, one.now) for one in source.EXPLORED), strict=True))
    yield f"| all | | {before:,} | {now:,} |"


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
    """Write them all."""
    CONFORMANCE.write_text(conformance(), "utf-8")
    BANKS.write_text(banks(), "utf-8")
    SECURITY.write_text(security(), "utf-8")


if __name__ == "__main__":
    main()
