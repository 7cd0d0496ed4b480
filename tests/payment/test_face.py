"""The public face of `sco_payment`: what it shows, and what importing it costs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import sco_payment


def test_it_shows_its_public_names_and_nothing_else() -> None:
    program = (
        "import sys, json, sco_payment; shown = dir(sco_payment); "
        "print(json.dumps([shown, [name for name in sys.modules if name.startswith('sco_')]]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    shown, loaded = json.loads(done.stdout)
    assert shown == sco_payment.__all__ == sorted(sco_payment.__all__)
    assert loaded == ["sco_payment"]


def test_every_name_is_where_it_says() -> None:
    for name, where in sco_payment._WHERE.items():
        module = importlib.import_module(f"sco_payment.{where}")
        assert getattr(sco_payment, name) is getattr(module, name)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(str(sco_payment.__file__)).read_text("utf-8"))
    seen = {
        alias.asname: str(node.module).removeprefix("sco_payment.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sco_payment.")
        for alias in node.names
    }
    assert seen == sco_payment._WHERE
