"""Which lines of a udev rules file match a device, and what they give it: names, group, mode.

Implements as much of udev(7) as rules that name devices need: match keys that /sys can answer, GOTO and LABEL, and
assignments of names, group and mode. What only a running udev knows (PROGRAM, IMPORT of programs) never matches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from sco_hwtest.discovery.sysfs import SysDevice

_TERM = re.compile(r'\s*([A-Z_]+)(?:\{([^}]*)\})?\s*(==|!=|\+=|-=|:=|=)\s*(i|e)?"((?:[^"\\]|\\.)*)"\s*,?')
_OF_PARENTS = {"KERNELS": "KERNEL", "SUBSYSTEMS": "SUBSYSTEM", "DRIVERS": "DRIVER", "ATTRS": "ATTR"}


@dataclass(slots=True)
class Given:
    """What a rules file gives a device.

    Attributes:
        lines: numbers of the lines that assign something.
        names: additional names in /dev.
        group, mode: of its file; None if no line assigns it.
    """

    lines: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    group: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class _Term:
    key: str
    attribute: str | None
    operator: str
    value: str


def given(text: str, device: SysDevice, environment: Mapping[str, str]) -> Given:
    """What the rules in `text` give `device`, whose udev properties are `environment` (`ID_INPUT_TOUCHSCREEN`, ...)."""
    found = Given()
    known = dict(environment)
    label: str | None = None
    for number, line in _lines(text):
        terms = [_Term(key, attribute, operator, value) for key, attribute, operator, _, value in _TERM.findall(line)]
        if label is not None:
            if not any(term.key == "LABEL" and term.value == label for term in terms):
                continue
            label = None
        if not _matches(terms, device, known):
            continue
        label = _assign(terms, number, device, known, found)
    return found


def _lines(text: str) -> list[tuple[int, str]]:
    """Logical lines with the number of their first line: a backslash joins lines, comments are left out."""
    found: list[tuple[int, str]] = []
    part, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        start = start if part else number
        part += line.removesuffix("\\")
        if not line.endswith("\\"):
            if part.strip():
                found.append((start, part))
            part = ""
    return found


def _matches(terms: list[_Term], device: SysDevice, environment: Mapping[str, str]) -> bool:
    """Whether all match keys of a line match; those of parents must match on the same parent."""
    own = [term for term in terms if term.operator in ("==", "!=") and term.key not in _OF_PARENTS]
    above = [term for term in terms if term.operator in ("==", "!=") and term.key in _OF_PARENTS]
    if any(term.key == "IMPORT" and term.attribute == "program" for term in terms):
        return False
    if not all(_holds(term, term.key, device, environment) for term in own):
        return False
    return not above or any(
        all(_holds(term, _OF_PARENTS[term.key], parent, environment) for term in above) for parent in device.chain
    )


def _holds(term: _Term, key: str, device: SysDevice, environment: Mapping[str, str]) -> bool:
    match key:
        case "ACTION":
            value: str | None = "add"
        case "KERNEL":
            value = device.kernel
        case "SUBSYSTEM":
            value = device.subsystem
        case "DRIVER":
            value = device.driver
        case "ATTR":
            value = device.attr(term.attribute or "")
        case "ENV" if term.attribute == "DEVTYPE":
            value = device.devtype
        case "ENV":
            value = environment.get(term.attribute or "", "")
        case "IMPORT":
            return True  # builtins and the database: `environment` contains what they would give
        case "TEST":
            path = _substituted(term.value, device, environment)
            there = device.machine.exists(path) if path.startswith("/") else (device.path / path).exists()
            return there == (term.operator == "==")
        case _:
            return False
    same = value is not None and any(fnmatchcase(value, pattern) for pattern in term.value.split("|"))
    return same if term.operator == "==" else not same


def _assign(
    terms: list[_Term], number: int, device: SysDevice, environment: dict[str, str], found: Given
) -> str | None:
    """Apply what a matching line assigns; returns the label of its GOTO."""
    label = None
    assigned = False
    for term in terms:
        if term.operator in ("==", "!="):
            continue
        value = _substituted(term.value, device, environment)
        match term.key:
            case "SYMLINK":
                found.names += [f"/dev/{name}" for name in value.split()]
                assigned = True
            case "GROUP":
                found.group, assigned = value, True
            case "MODE":
                found.mode, assigned = value, True
            case "ENV" if term.attribute:
                environment[term.attribute] = value
            case "GOTO":
                label = value
    if assigned:
        found.lines.append(number)
    return label


def _substituted(value: str, device: SysDevice, environment: Mapping[str, str]) -> str:
    number = re.search(r"\d*$", device.kernel)
    value = value.replace("$kernel", device.kernel).replace("%k", device.kernel)
    value = value.replace("$number", number[0] if number else "").replace("%n", number[0] if number else "")

    def attribute(match: re.Match[str]) -> str:
        for one in device.chain:
            text = one.attr(match[1])
            if text is not None:
                return re.sub(r"[^\w#+\-.:=@/]", "_", text)
        return ""

    value = re.sub(r"(?:\$attr|%s)\{([^}]*)\}", attribute, value)
    return re.sub(r"(?:\$env|%E)\{([^}]*)\}", lambda match: environment.get(match[1], ""), value)
