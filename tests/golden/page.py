"""The page of a change: each changed ticket before and now, with the change in words. It needs no other machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path

from tests.golden.difference import in_words, side_by_side
from tests.golden.tickets import Printed

OUT = Path(__file__).parents[2] / "out" / "golden"
ACCEPT = "make golden"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f6f8;color:#16202b}
main{max-width:1400px;margin:auto;padding:24px}
section{background:#fff;border:1px solid #dfe5ea;border-radius:12px;padding:16px 20px;margin:16px 0}
h2{margin:0;font-size:20px}p{margin:4px 0}.who{color:#5b6875}img{max-width:100%;display:block}
figure{margin:12px 0 0;display:table}figcaption{display:flex;font-weight:600;padding-left:24px}figcaption span{flex:1}
code{background:#f1f4f7;padding:1px 6px}
"""

Tickets = Mapping[tuple[str, str], Printed]


def changes(before: Tickets, now: Tickets) -> dict[tuple[str, str], tuple[Printed, Printed]]:
    """Before and now of each ticket that has changed, come or gone."""
    nothing = Printed()
    both = {key: (before.get(key, nothing), now.get(key, nothing)) for key in {**before, **now}}
    return {key: (old, new) for key, (old, new) in both.items() if old != new}


def write(changed: Mapping[tuple[str, str], tuple[Printed, Printed]], out: Path = OUT) -> str:
    """Write `index.html` and a PNG for each change; profiles on which a template has changed alike share one.

    Returns:
        A sentence with the page's path, what has changed, and the command that accepts it.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    alike: list[tuple[str, tuple[Printed, Printed], list[str]]] = []
    for (template, model), pair in changed.items():
        for known, other, models in alike:
            if known == template and other == pair:
                models.append(model)
                break
        else:
            alike.append((template, pair, [model]))
    sections, first_words = [], ""
    for template, (old, new), models in alike:
        words = in_words(old, new)
        first_words = first_words or f"{template} on {models[0]}: {'; '.join(words[:3])}"
        name = f"{template}-{models[0]}.png"
        side_by_side(old.picture, new.picture).save(out / name, optimize=True)
        items = "".join(f"<li>{escape(line)}</li>" for line in words)
        sections.append(
            f'<section><h2>{escape(template)}</h2><p class="who">{escape(", ".join(models))}</p><ul>{items}</ul>'
            "<figure><figcaption><span>Before</span><span>Now</span></figcaption>"
            f'<img src="{escape(name)}" alt=""></figure>'
            "</section>"
        )
    count = f"{len(changed)} {'ticket has' if len(changed) == 1 else 'tickets have'} changed"
    (out / "index.html").write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Changed tickets</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{count}</h1>"
        f"<p>Look at each. If all are as they should be: <code>{ACCEPT}</code></p>{''.join(sections)}"
        "</main></body></html>\n",
        "utf-8",
    )
    return f"{count}, the first: {first_words}.\nLook at {out / 'index.html'}\nAccept them with: {ACCEPT}"
