"""What has changed between two tickets: octets in words, and both pictures side by side with framed changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from PIL import Image, ImageDraw, ImageOps

from sco_sim.printer.decoder import next_command
from tests.golden.tickets import Printed

MOST_LINES = 12
_LONG_OCTETS = 12
_GAP, _EDGE, _FRAME = 24, 3, (200, 30, 20)
_TOGETHER_DOTS = 10
"""Changes that are no farther apart are framed together."""


def in_words(before: Printed, now: Printed) -> list[str]:
    """A sentence for each change of the octets, command by command; at most `MOST_LINES`."""
    if before.picture is None or now.picture is None:
        return [f"it was {_state(before)}", f"it is {_state(now)}"]
    if before.octets == now.octets:
        return ["the octets are the same: the simulated printer draws them in another way"]
    old, new = list(_commands(before.octets)), list(_commands(now.octets))
    matcher = SequenceMatcher(None, [words for _, words in old], [words for _, words in new], autojunk=False)
    lines = [f"{len(before.octets)} octets became {len(now.octets)}"]
    for kind, a, b, c, d in matcher.get_opcodes():
        gone, come = ", ".join(words for _, words in old[a:b]), ", ".join(words for _, words in new[c:d])
        at = old[a][0] if a < len(old) else len(before.octets)
        if kind == "replace":
            lines.append(f"at octet {at}: {gone} became {come}")
        elif kind == "delete":
            lines.append(f"at octet {at}: {gone} is gone")
        elif kind == "insert":
            lines.append(f"at octet {at}: {come} is new")
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"and {more} more changes"]


def _state(one: Printed) -> str:
    return "printed" if one.picture else f"refused: {one.refusal}" if one.refusal else "not there"


def _commands(octets: bytes) -> Iterator[tuple[int, str]]:
    """Offset and words of each command."""
    at = 0
    while at < len(octets):
        command = next_command(octets[at:])
        if command is None:
            yield at, f"an unfinished command {octets[at : at + _LONG_OCTETS].hex(' ')}"
            return
        yield at, _words(command.name, command.params)
        at += command.length


def _words(name: str, params: bytes) -> str:
    if name == "text":
        # All Russian code pages of printers have ASCII, and CP866 is what most profiles print with.
        return f"“{params.decode('cp866', 'replace')}”"
    if len(params) > _LONG_OCTETS:
        return f"{name} {params[:_LONG_OCTETS].hex(' ')} … ({len(params)} octets)"
    return f"{name} {params.hex(' ')}".rstrip()


def side_by_side(before: Image.Image | None, now: Image.Image | None) -> Image.Image:
    """The picture before on the left and the one of now on the right, with frames around what differs."""
    pictures = [Image.new("RGB", (320, 80), "white") if one is None else one.convert("RGB") for one in (before, now)]
    if before is not None and now is not None:
        for picture, boxes in zip(pictures, _changed_areas(before, now), strict=True):
            pen = ImageDraw.Draw(picture)
            for box in boxes:
                pen.rectangle(box, outline=_FRAME, width=_EDGE)
    wide = sum(one.width for one in pictures) + 3 * _GAP
    sheet = Image.new("RGB", (wide, max(one.height for one in pictures) + 2 * _GAP), (0x78, 0x80, 0x88))
    left = _GAP
    for one in pictures:
        sheet.paste(one, (left, _GAP))
        left += one.width + _GAP
    return sheet


Box = tuple[int, int, int, int]


def _changed_areas(before: Image.Image, now: Image.Image) -> tuple[list[Box], list[Box]]:
    """Where each picture differs from the other. A line that was put in does not make all below it differ."""
    boxes: tuple[list[Box], list[Box]] = ([], [])
    for a, b, c, d in _together(_rows(before), _rows(now)):
        for found, picture, top, bottom in ((boxes[0], before, a, b), (boxes[1], now, c, d)):
            ink = ImageOps.invert(picture.convert("L").crop((0, top, picture.width, bottom))).getbbox()
            if ink is not None:
                found.append(
                    (
                        max(0, ink[0] - 2 * _EDGE),
                        max(0, top + ink[1] - 2 * _EDGE),
                        min(picture.width, ink[2] + 2 * _EDGE),
                        min(picture.height, top + ink[3] + 2 * _EDGE),
                    )
                )
    return boxes


def _rows(picture: Image.Image) -> list[bytes]:
    data = picture.convert("L").tobytes()
    return [data[at : at + picture.width] for at in range(0, len(data), picture.width)]


def _together(old: Sequence[bytes], new: Sequence[bytes]) -> list[Box]:
    """The rows that differ: first and end in the one, first and end in the other; near ones as one."""
    # Blank rows are everywhere: only inked rows are matched, and what lies between two matches goes with them.
    found: list[Box] = []
    for kind, a, b, c, d in SequenceMatcher(None, _inked(old), _inked(new), autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if found and min(a - found[-1][1], c - found[-1][3]) <= _TOGETHER_DOTS:
            a, c = found.pop()[0::2]
        found.append((a, b, c, d))
    return found


def _inked(rows: Sequence[bytes]) -> list[object]:
    """The rows; a blank one by its distance to the next inked one, so that it is matched with its like only."""
    marked: list[object] = []
    blank = 0
    for row in reversed(rows):
        blank = blank + 1 if min(row) == 255 else 0
        marked.append(("blank", blank) if blank else row)
    return marked[::-1]
