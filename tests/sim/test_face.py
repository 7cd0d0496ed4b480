"""The public names of `sco_sim`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sco_sim


@pytest.mark.parametrize("name", sco_sim.__all__)
def test_each_public_name_exists(name: str) -> None:
    public = getattr(sco_sim, name)
    assert getattr(public, "__name__", name) == name


def test_dir_lists_the_public_names_only() -> None:
    assert dir(sco_sim) == sorted(sco_sim.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'VirtualTill'"):
        _ = sco_sim.VirtualTill


def test_importing_the_package_loads_nothing_else_of_ours() -> None:
    program = "import sys, sco_sim; dir(sco_sim); print(*sorted(m for m in sys.modules if m.startswith('sco_')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sco_sim"]
