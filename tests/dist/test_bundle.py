"""What goes into bundle and package beside the code: man pages, completion, and what the tree needs of a system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dist.test_release import PROJECT, ROOT, load


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `manual.py` makes."""
    folder = tmp_path_factory.mktemp("manual")
    subprocess.run([sys.executable, ROOT / "packaging/manual.py", folder], check=True)
    return folder


def test_each_command_has_a_page_and_completion(made: Path) -> None:
    names = set(PROJECT["scripts"]) - {"sco-fleet"}  # it runs in the office, not on a lane
    assert not list(made.rglob("*sco-fleet*"))
    for name in names:
        assert (made / f"man/{name}.1").read_text("utf-8").startswith(f'.TH "{name.upper()}" "1"')
        for path in (f"bash/{name}", f"zsh/_{name}", f"fish/{name}.fish"):
            assert f"_{name.replace('-', '_').upper()}_COMPLETE" in (made / "completion" / path).read_text("utf-8")
    assert {path.name.split(".")[0].rpartition("-")[0] for path in (made / "man").iterdir()} > {
        "sco-pay",
        "sco-pay-journal",
    }


def test_a_page_says_what_a_script_needs(made: Path) -> None:
    page = (made / "man/sco-pay-pay.1").read_text("utf-8")
    for words in (".SH SYNOPSIS", ".SH OPTIONS", r"\-\-tendered\-elsewhere", ".SH EXIT STATUS", "nothing was sent"):
        assert words in page


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_the_completion_completes(made: Path, name: str) -> None:
    """Bash asks the command itself."""
    asked = {
        "COMP_WORDS": f"{name} --vers",
        "COMP_CWORD": "1",
        f"_{name.replace('-', '_').upper()}_COMPLETE": "bash_complete",
    }
    module = PROJECT["scripts"][name].partition(":")[0]
    program = f"import sys; sys.argv[0] = {name!r}; from {module} import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, **asked}
    )
    assert done.stdout.split() == ["plain,--version"]


def test_what_a_file_needs_is_read_from_it() -> None:
    floor = load("floor")
    found = floor.needs(Path(os.path.realpath("/bin/sh")))
    assert found["GLIBC"] >= (2, 2, 5)
    assert floor.needs(ROOT / "README.md") == {}


@pytest.mark.attack("A30")
@pytest.mark.parametrize(
    ("name", "needs", "problem"),
    [
        ("lib/python3/dist-packages/x.so", {"GLIBC": (2, 29)}, "needs GLIBC 2.29, 2.28 is there"),
        ("lib/bundled/libssl.so.3", {"GLIBC": (2, 37)}, "needs GLIBC 2.37, 2.36 is there"),
        ("lib/python3/dist-packages/x.so", {"GLIBCXX": (3, 4, 26)}, "needs GLIBCXX 3.4.26"),
        ("lib/python3/dist-packages/x.so", {"libjpeg.so.62": ()}, "needs libjpeg.so.62, which is not in the tree"),
    ],
)
def test_a_bundle_that_needs_more_than_the_systems_have_fails(
    name: str, needs: dict[str, tuple[int, ...]], problem: str
) -> None:
    floor = load("floor")
    (found,) = floor.problems({name: needs})
    assert problem in found


def test_what_the_systems_have_is_enough() -> None:
    floor = load("floor")
    wheel, library = "lib/python3/dist-packages/x.so", "lib/bundled/libssl.so.3"
    needs = {wheel: {"GLIBC": (2, 28), "libssl.so.3": ()}, library: {"GLIBC": (2, 34), "GCC": (3, 4)}}
    assert list(floor.problems(needs)) == []


def test_the_package_asks_for_the_glibc_that_it_was_checked_for() -> None:
    control = (ROOT / "packaging/deb/control").read_text("utf-8")
    floor = ".".join(map(str, load("floor").GLIBC))
    assert f"libc6 (>= {floor})" in control
    for page in ("docs/guide/install.md", "docs/release.md"):
        assert f"glibc {floor}" in (ROOT / page).read_text("utf-8")


def test_the_workflows_build_and_publish_without_a_token() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    for words in (
        "make release TAG=",
        "attest-build-provenance",
        "id-token: write",
        "attestations: true",
        "environment: pypi",
    ):
        assert words in text
    assert "secrets." not in text
