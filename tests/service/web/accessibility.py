"""What can be measured of WCAG 2.1 AA: contrast, names, language, focus, and that nothing is cut off or covered."""

from __future__ import annotations

from typing import Any

from tests.service.web.chromium import Page

_CONTRAST = """(() => {
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), e = walker.currentNode.parentElement;
    if (!text || !e.checkVisibility() || e.closest('button:disabled')) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const [a, b] = [light(rgba(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push([ratio, large ? 3 : 4.5, text]);
  }
  return found;
})()"""

_BOXES = """(() => {
  const found = [];
  const add = (name, b) => { if (b.width && b.height) found.push([name, b.left, b.top, b.right, b.bottom]); };
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest('button')) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const b of range.getClientRects()) add(walker.currentNode.data.trim(), b);
  }
  for (const e of document.querySelectorAll('main img, main button, main #drawing'))
    if (e.checkVisibility()) add(e.id || e.innerText, e.id === 'drawing' ? e.firstElementChild.getBoundingClientRect()
      : e.getBoundingClientRect());
  for (const e of document.querySelectorAll('main button'))
    if (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) found.push([e.innerText, -1, -1, 0, 0]);
  return found;
})()"""


def check_contrast(page: Page) -> None:
    """Every visible text has the contrast that WCAG AA asks for its size."""
    found = page.run(_CONTRAST)
    assert found, "there is no text on the page"
    assert not [one for one in found if one[0] < one[1]]


def check_tree(page: Page) -> None:
    """Language and title are set, there is one main heading, and everything that takes the focus has a name."""
    assert page.run("document.documentElement.lang") in ("ru", "en")
    assert page.run("document.title")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    names = [(_value(node, "role"), _value(node, "name")) for node in nodes if not node["ignored"]]
    focusable = [node for node in nodes if any(p["name"] == "focusable" for p in node.get("properties", ()))]
    assert [role for role, _ in names].count("main") == 1
    nameless = [
        _value(one, "role") for one in focusable if not _value(one, "name") and _value(one, "role") != "RootWebArea"
    ]
    assert not nameless, names


def _value(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", ""))


def check_fits(page: Page, size: tuple[int, int]) -> None:
    """Texts, code and buttons are whole, on the screen, and apart."""
    boxes = page.run(_BOXES)
    for name, left, top, right, bottom in boxes:
        assert left >= 0, (size, name, left)
        assert top >= 0, (size, name, top)
        assert right <= size[0] + 0.5, (size, name, right)
        assert bottom <= size[1] + 0.5, (size, name, bottom)
    for n, (name, left, top, right, bottom) in enumerate(boxes):
        for other, x1, y1, x2, y2 in boxes[n + 1 :]:
            across, down = min(right, x2) - max(left, x1), min(bottom, y2) - max(top, y1)
            # line boxes are higher than letters: neighbouring lines may share a little
            assert min(across, down) <= 0.12 * min(bottom - top, y2 - y1), (size, name, other)


def check_focus(page: Page) -> None:
    """Tab comes to every control, and each shows that it has the focus."""
    wanted = page.run(
        "[...document.querySelectorAll('main button, main input, main textarea, main a[href]')]"
        ".filter(e => e.checkVisibility() && !e.disabled).length"
    )
    page.run("document.activeElement.blur()")
    seen = set()
    for _ in range(wanted + 3):
        page.key("Tab", 9)
        place = page.run(
            "(() => { const e = document.activeElement, s = getComputedStyle(e); return e === document.body ? null :"
            " [[...document.querySelectorAll('*')].indexOf(e), e.closest('main') !== null,"
            " s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"
        )
        if place is not None and place[1]:
            assert place[2], "the focus cannot be seen"
            seen.add(place[0])
    assert len(seen) == wanted
