"""The public face: what `import sco_drivers` offers, and nothing else."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import sco_drivers

FACES = ("sco_drivers", "sco_drivers.printer")


@pytest.mark.parametrize("name", FACES)
def test_every_public_name_exists_and_dir_shows_nothing_else(name: str) -> None:
    face = importlib.import_module(name)
    assert dir(face) == sorted(face.__all__)
    for public in face.__all__:
        assert getattr(face, public).__doc__, public


def test_names_are_imported_on_first_use() -> None:
    program = (
        "import sys, sco_drivers; before = 'sco_drivers.printer' in sys.modules;"
        "sco_drivers.Ticket; print(before, 'sco_drivers.printer' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="tickets"):
        _ = sco_drivers.tickets
    with pytest.raises(ImportError):
        from sco_drivers import tickets  # noqa: F401
