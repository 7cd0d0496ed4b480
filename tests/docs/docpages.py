"""The pages of the documentation, taken apart: code blocks, links, commands named in the text.

A block's fence says how it is tested, after its language:

    ```sh                       run, in order, with the page's other blocks, in one shell in a folder of its own
    ```sh status=4              the same; it must end with this status
    ```sh serve                 runs until Ctrl-C: in the background until the page's end, then interrupted
    ```sh norun: hardware ...   not run, and why: hardware, root, minutes or network; its commands must exist
    ```text seen                lines that the block above it prints, in this order; … is anything
    ```python                   type-checked and run
    ```python pytest            type-checked and run by pytest
    ```python norun: hardware   type-checked
    ```toml                     settings that exist and are good each by itself
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = {"docs/reference/commands.md", "docs/reference/modules.md"}
"""Made by docs/generate.py for each build."""

REASONS = ("hardware", "root", "minutes", "network")

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+|~~~+)(?P<info>.*)$")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<to>[^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: `line` is its first line's number, `mark` what follows the language."""

    page: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def norun(self) -> bool:
        return self.mark.startswith("norun")


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file: `prose` is it without its blocks, lines kept."""

    name: str
    blocks: tuple[Block, ...]
    prose: str

    @property
    def indented(self) -> list[str]:
        """Lines of indented code that look like commands: such a block has no language, and so is never run."""
        return re.findall(
            r"^(?: {4}|\t)((?:sco-pay|sco-hwtest|make|python3?|pip|sudo|systemctl) .*)$", self.prose, re.MULTILINE
        )

    @property
    def links(self) -> list[str]:
        return [found["to"] for found in _LINK.finditer(_CODE.sub("", self.prose))]

    @property
    def code(self) -> list[str]:
        """What stands in backticks in the running text."""
        return [" ".join(found.split()) for found in _CODE.findall(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """As GitHub and MyST name the headings."""
        found = set()
        for line in self.prose.splitlines():
            if line.startswith("#"):
                words = re.sub(r"[`*]", "", line.lstrip("#").strip()).lower()
                found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
        return found


def parsed(name: str) -> Page:
    """The page at `name`, a path from the root."""
    blocks, prose = [], []
    lines = (ROOT / name).read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            prose.append(lines[number])
            number += 1
            continue
        first = number + 1
        end = next(n for n in range(first, len(lines)) if lines[n].strip() == fence["ticks"])
        indent = len(fence["indent"])
        language, _, mark = fence["info"].strip().partition(" ")
        text = "\n".join(line[indent:] for line in lines[first:end]) + "\n"
        blocks.append(Block(name, first + 1, language, mark.strip(), text))
        prose += [""] * (end - number + 1)
        number = end + 1
    return Page(name, tuple(blocks), "\n".join(prose))


def pages() -> list[Page]:
    """README and its like, and all that is under docs/."""
    names = [path.name for path in ROOT.glob("*.md")]
    names += [str(path.relative_to(ROOT)) for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md")]
    return [parsed(name) for name in sorted(set(names) - BUILT)]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A folder and an environment in which any lane's settings mean simulators: the environment overrides the file."""

    folder: Path
    environment: dict[str, str]


def blocks(*languages: str) -> Iterator[Block]:
    for page in pages():
        for block in page.blocks:
            if block.language in languages:
                yield block
