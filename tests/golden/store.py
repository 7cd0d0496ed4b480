"""The octets and pictures that were accepted: `tickets/TEMPLATE/PROFILE.bin` and `.png`, and an index of them.

Many profiles print a template alike; their octets and picture are kept once, under the name of the first of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from tests.golden.tickets import Printed

FOLDER = Path(__file__).parent / "tickets"


def load(folder: Path = FOLDER) -> dict[tuple[str, str], Printed]:
    """What was accepted, by template and profile; nothing where nothing was yet."""
    if not (folder / "index.json").exists():
        return {}
    index: dict[str, dict[str, str]] = json.loads((folder / "index.json").read_text("utf-8"))
    kept: dict[Path, Printed] = {}
    found = {}
    for template, models in index.items():
        for model, entry in models.items():
            path = folder / template / entry
            if entry.startswith("refused: "):
                found[template, model] = Printed(refusal=entry.removeprefix("refused: "))
                continue
            if path not in kept:
                with Image.open(f"{path}.png") as picture:
                    pixels = Image.frombytes("1", picture.size, picture.convert("1").tobytes())
                kept[path] = Printed(Path(f"{path}.bin").read_bytes(), pixels)
            found[template, model] = kept[path]
    return found


def save(everything: Mapping[tuple[str, str], Printed], folder: Path = FOLDER) -> None:
    """Accept it: replace what is kept."""
    shutil.rmtree(folder, ignore_errors=True)
    index: dict[str, dict[str, str]] = {}
    shared: dict[tuple[str, bytes, bytes], str] = {}
    for (template, model), one in everything.items():
        models = index.setdefault(template, {})
        if one.picture is None:
            models[model] = f"refused: {one.refusal}"
            continue
        key = template, one.octets, bytes(str(one.picture.size), "ascii") + one.picture.tobytes()
        models[model] = shared.setdefault(key, model)
        if models[model] == model:
            (folder / template).mkdir(parents=True, exist_ok=True)
            (folder / template / f"{model}.bin").write_bytes(one.octets)
            one.picture.save(folder / template / f"{model}.png", optimize=True)
    (folder / "index.json").write_text(json.dumps(index, ensure_ascii=False, indent=1) + "\n", "utf-8")
