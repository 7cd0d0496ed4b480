"""Every command in the documentation is run, every example type-checked and run, every link followed."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from sco_payment.settings_reader import SettingsError, settings_from_mapping
from sco_sim.local import free_port
from tests.docs.docpages import BUILT, REASONS, ROOT, Block, Page, Sandbox, blocks, pages

SCRIPTS = {"sco-pay": "sco_payment.cli.main", "sco-hwtest": "sco_hwtest.cli.main", "sco-fleet": "sco_fleet.cli.main"}
PAGES = pages()
ONE_IN = 3
"""At most this share of the blocks may be left unrun."""


def by_name(page: Page) -> str:
    return page.name


def shell(page: Page) -> str:
    """The page's blocks as one script that says where it is."""
    parts = ["set -euo pipefail"]
    for block in page.blocks:
        if block.language != "sh" or block.norun:
            continue
        parts.append(f"echo '@@ {block.where}' >&2")
        if block.mark == "serve":
            log = f".served-{block.line}"
            parts += [
                "set -m",
                f"{{ {block.text.strip()}\n}} > {log} 2>&1 &",
                "set +m",
                'served="${served:-} $!"',
                f"for n in $(seq 1200); do [ -s {log} ] && break; kill -0 $!; sleep 0.1; done",
                f"cat {log} >&2; [ -s {log} ]",
            ]
        elif block.mark.startswith("status="):
            wanted = int(block.mark.removeprefix("status="))
            parts += [
                f"if {{ {block.text.strip()}\n}}; then status=0; else status=$?; fi",
                f"[ $status = {wanted} ] || {{ echo status $status >&2; exit 1; }}",
            ]
        else:
            parts.append(block.text)
    if any(block.mark == "serve" for block in page.blocks):
        parts.append(
            f"echo '@@ Ctrl-C' >&2; for one in $served; do kill -{signal.SIGINT.value} -- -$one; wait $one; done"
        )
    return "\n".join(parts) + "\n"


def unseen(page: Page, printed: str) -> list[str]:
    """The lines of the page's `text seen` blocks that the commands above them did not print, in this order."""
    output = dict(zip(*[iter(re.split(r"^@@ (.+)\n", printed, flags=re.MULTILINE)[1:])] * 2, strict=True))
    found, last = [], None
    for block in page.blocks:
        if block.language == "sh" and not block.norun:
            last = block
        elif (block.language, block.mark) == ("text", "seen"):
            lines = iter([" ".join(line.split()) for line in output.get(last.where if last else "", "").splitlines()])
            for wanted in filter(None, (" ".join(line.split()) for line in block.text.splitlines())):
                pattern = ".*".join(map(re.escape, wanted.split("…")))
                if not any(re.fullmatch(pattern, line) for line in lines):
                    found.append(f"{block.where}: {wanted}")
                    break
    return found


def needing(page: Page) -> list[pytest.MarkDecorator]:
    """The program that a page's commands need besides this package."""
    needs_curl = page.name.startswith("examples/bench") or any(
        "curl" in block.text for block in page.blocks if block.language == "sh" and "norun" not in block.mark
    )
    return [pytest.mark.program("curl")] if needs_curl else []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=by_name(page), marks=needing(page))
        for page in PAGES
        if any(block.language == "sh" for block in page.blocks)
    ],
)
def test_commands_run(page: Page, sandbox: Sandbox) -> None:
    script = shell(page).replace("127.0.0.1:8723", sandbox.environment["SCO_SERVICE_LISTEN"])  # none of another test's
    script = script.replace("8470", str(free_port()))
    if page.name.startswith("examples/"):  # its commands are meant for its own folder
        shutil.copytree((ROOT / page.name).parent, sandbox.folder, dirs_exist_ok=True)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=sandbox.folder,
        env=sandbox.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{page.name}: status {done.returncode}\n{done.stdout[-3000:]}"
    assert "Traceback" not in done.stdout, done.stdout[-3000:]
    assert not unseen(page, done.stdout), f"{unseen(page, done.stdout)}\n{done.stdout[-3000:]}"


def test_what_is_shown_must_be_printed_in_its_order() -> None:
    page = Page(
        "p.md",
        (
            Block("p.md", 1, "sh", "", "x"),
            Block("p.md", 5, "text", "seen", "one …\ntwo\n"),
            Block("p.md", 9, "sh", "", ""),
        ),
        "",
    )
    assert unseen(page, "@@ p.md:1\n  one 17\nother\ntwo\n@@ p.md:9\n") == []
    assert unseen(page, "@@ p.md:1\ntwo\none 17\n@@ p.md:9\n") == ["p.md:5: two"]
    assert unseen(page, "@@ p.md:1\none 17\n@@ p.md:9\ntwo\n") == ["p.md:5: two"]


def test_what_is_not_run_is_little_and_says_why() -> None:
    every = list(blocks("sh", "python"))
    left = [block for block in every if block.norun]
    listing = "\n".join(f"{block.where}: {block.mark}" for block in left)
    print(f"not run:\n{listing}")
    for block in left:
        assert block.mark.removeprefix("norun: ").startswith(REASONS), f"{block.where}: say why: {', '.join(REASONS)}"
    assert len(left) * ONE_IN <= len(every), f"{len(left)} of {len(every)} blocks are not run:\n{listing}"


def marks(block: Block) -> bool:
    known = {"sh": ("", "serve"), "python": ("", "pytest")}.get(block.language, (block.mark,))
    return block.mark in known or block.norun or (block.language == "sh" and block.mark.startswith("status="))


def test_marks_are_known() -> None:
    unknown = [f"{block.where}: {block.mark}" for page in PAGES for block in page.blocks if not marks(block)]
    assert not unknown
    wrong = [block.where for block in blocks("bash", "shell", "console", "py", "python3")]
    assert not wrong, "write sh or python, so that it is run"
    indented = [f"{page.name}: {line}" for page in PAGES for line in page.indented]
    assert not indented, f"write them in a ```sh block, so that they are run: {indented}"


# --- commands that are only named ---------------------------------------------------------------------------------


def commands_named() -> list[tuple[str, str]]:
    """In the running text, and in blocks that are not run."""
    found = [(page.name, code) for page in PAGES for code in page.code]
    for block in blocks("sh"):
        if block.norun:
            found += [(block.where, line) for line in block.text.replace("\\\n", " ").splitlines()]
    return found


def problem_of(line: str) -> str | None:
    """What is wrong with a line that names one of our commands; None for nothing, or when it is none of ours."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]
    if words and words[0] == "sudo":
        words = words[3:] if words[1:2] == ["-u"] else words[1:]
    if not words:
        return None
    words[0] = Path(words[0]).name
    if words[0] == "make" and len(words) > 1 and words[1].isidentifier():
        rules = (ROOT / "Makefile").read_text()
        return None if f"\n{words[1]}:" in rules else f"make has no target {words[1]}"
    if words[0] not in SCRIPTS:
        return None
    command: click.Command = importlib.import_module(SCRIPTS[words[0]]).main
    for word in words[1:]:
        if word in ("|", ">", "&", "&&", ";"):
            break
        if word.startswith("--"):
            name = word.partition("=")[0]
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            if name not in known | {"--help"}:
                return f"{command.name} has no option {name}"
        elif isinstance(command, click.Group):
            below = command.get_command(click.Context(command), word)
            if below is None and not word.startswith(("-", "…", "...")):
                return f"{command.name} has no command {word}"
            command = below or command
    return None


def test_commands_that_are_named_exist() -> None:
    problems = [f"{where}: `{line}`: {problem}" for where, line in commands_named() if (problem := problem_of(line))]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("sco-pay cases 3 --close --operator X", False),
        ("sco-pay cases 3 --shut", True),
        ("sco-pay dance", True),
        ("SCO_X=1 sco-pay settings check lane.toml | less --nothing", False),
        ("sudo -u sco /opt/sco/bin/sco-pay cases --shut", True),
        ("sudo ln -s /opt/sco/bin/sco-pay /usr/local/bin/", False),
        ("sudo sco-hwtest udev shut", True),
        ("make demo", False),
        ("make love", True),
    ],
)
def test_the_check_itself(line: str, wrong: bool) -> None:
    assert (problem_of(line) is not None) == wrong


# --- examples -----------------------------------------------------------------------------------------------------


def test_examples_are_typed(tmp_path: Path) -> None:
    names = []
    for block in blocks("python"):
        name = "_".join(block.page.removesuffix(".md").replace("-", "_").split("/")) + f"_line_{block.line}.py"
        (tmp_path / name).write_text(block.text, "utf-8")
        names.append(name)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--check-untyped-defs",
            "--cache-dir",
            str(ROOT / ".mypy_cache" / "docs"),
            *names,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [b for b in blocks("python") if not b.norun], ids=lambda block: block.where)
def test_examples_run(block: Block, sandbox: Sandbox) -> None:
    example = sandbox.folder / "test_example.py"
    example.write_text(block.text, "utf-8")
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if block.mark == "pytest" else []
    done = subprocess.run(
        [sys.executable, *how, example.name],
        cwd=sandbox.folder,
        env=sandbox.environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{block.where}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.parametrize("block", list(blocks("toml")), ids=lambda block: block.where)
def test_settings_shown_exist(block: Block) -> None:
    """A fragment lacks much, but what it says must be good."""
    data = tomllib.loads(block.text)
    try:
        settings_from_mapping(data, {}, token=False)
    except SettingsError as error:
        # the acquirer of the example is installed with it, not here
        own = ("acquirer 'neva'",) if block.page.startswith("examples/acquirer") else ()
        wrong = [text for text in error.problems if "missing" not in text and not any(word in text for word in own)]
        assert not wrong, f"{block.where}: {wrong}"


# --- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_somewhere(page: Page) -> None:
    by_path = {other.name: other for other in PAGES}
    for link in page.links:
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page.name).parent.joinpath(path).resolve() if path else ROOT / page.name
        name = str(target.relative_to(ROOT))
        assert target.exists() or name in BUILT, f"{page.name}: there is no {link}"
        if anchor and name in by_path:
            assert anchor in by_path[name].anchors, f"{page.name}: {name} has no heading #{anchor}"
