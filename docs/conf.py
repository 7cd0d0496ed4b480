"""Sphinx: `make docs` builds the site into out/docs, and with the tag `ru` its Russian part, docs/ru, into out/docs/ru.

Each part has its own navigation, search and language. A link from one to the other is a plain link to the built page.
Nothing in the site is fetched when it is read.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import diagrams
import drawings
import evidence
import generate

HERE = Path(__file__).parent
RUSSIAN = tags.has("ru")  # type: ignore[name-defined]  # noqa: F821 - Sphinx's own
if not RUSSIAN:
    generate.main()
    diagrams.main()
    drawings.main()
    evidence.main()

project = "sco-paymaster"
copyright = "sco-paymaster maintainers, Apache-2.0"  # noqa: A001 - Sphinx names it so
version = release = installed("sco-paymaster")
language = "ru" if RUSSIAN else "en"
locale_dirs = [str(HERE / "locale")]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
nitpicky = False
suppress_warnings = ["toc.empty_glob"]
exclude_patterns = ["**/_*", "_*", "locale", "ru"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Message": "Message", "Observer": "Observer"}
napoleon_use_ivar = True  # the attributes of our dataclasses are listed once


def _skip(_app: object, _what: str, _name: str, member: object, skip: bool, _options: object) -> bool:
    """A named tuple's fields: their docstring lists them."""
    return skip or type(member).__name__ == "_tuplegetter"


PAIRS = {"index": "index", "guide/cases": "cases", "guide/browser": "attendant"}
"""English page -> the Russian one that is about the same; all others lead to the other start page."""
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>[^)\s#:]+)\.md(?P<anchor>#[^)\s]*)?\)")


def _link_across(_app: object, docname: str, source: list[str]) -> None:
    """Make a link to a page of the other language one to its HTML: this build does not know that page."""
    folder = ((HERE / "ru" if RUSSIAN else HERE) / docname).parent

    def across(found: re.Match[str]) -> str:
        target = (folder / f"{found['path']}.md").resolve()
        if target.is_relative_to(HERE / "ru") == RUSSIAN or not target.is_relative_to(HERE):
            return found[0]
        return f'<a class="reference" href="{found["path"]}.html{found["anchor"] or ""}">{found["text"]}</a>'

    source[0] = _LINK.sub(across, source[0])


def _other_language(app: Any, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """For `_templates/language.html`: where the switch leads."""
    if RUSSIAN:
        back = {russian: english for english, russian in PAIRS.items()}
        target = f"../{back.get(page, 'index')}.html"
    else:
        target = f"ru/{PAIRS.get(page, 'index')}.html"
    context["other_language"] = "../" * page.count("/") + target


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("source-read", _link_across)
    app.connect("html-page-context", _other_language)


html_theme = "furo"
html_title = "Касса СБП: памятка" if RUSSIAN else f"sco-paymaster {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        *("sidebar/brand.html", "language.html", "sidebar/search.html", "sidebar/scroll-start.html"),
        *("sidebar/navigation.html", "sidebar/scroll-end.html"),
    ]
}
html_copy_source = False
html_show_sphinx = False
