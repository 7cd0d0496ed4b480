"""Sphinx: `make docs` builds the site into out/docs. Nothing in it is fetched when it is read."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import diagrams
import generate

generate.main()
diagrams.main()

project = "sco-paymaster"
copyright = "sco-paymaster maintainers, Apache-2.0"  # noqa: A001 - Sphinx names it so
version = release = installed("sco-paymaster")
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
nitpicky = False
suppress_warnings = ["toc.empty_glob"]
exclude_patterns = ["**/_*"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Message": "Message", "Observer": "Observer"}
napoleon_use_ivar = True  # the attributes of our dataclasses are listed once


def _skip(_app: object, _what: str, _name: str, member: object, skip: bool, _options: object) -> bool:
    """A named tuple's fields: their docstring lists them."""
    return skip or type(member).__name__ == "_tuplegetter"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _skip)


html_theme = "furo"
html_title = f"sco-paymaster {version}"
html_copy_source = False
html_show_sphinx = False
