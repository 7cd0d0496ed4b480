"""Renders the pictures that README and docs show, from whole payments on the simulated lane: `make pictures`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent / "pictures"

RUNS = (
    # arguments of `sco-pay demo`, picture of the run, its name in the docs
    (["--mode", "1", "--speed", "2"], "screen-pay.png", "pay.png"),
    (["--mode", "0", "--speed", "2"], "paper.png", "paper.png"),
    (["--mode", "2", "--speed", "2"], "tag.png", "tag.png"),
    (["--mode", "1", "--customer", "pays-offline", "--speed", "20"], "screen-dialog.png", "dialog.png"),
)

SHEETS = (("1024x768", "scenes.png"), ("480x800", "scenes-tall.png"))


def main() -> None:
    """Run the payments and keep one picture of each."""
    HERE.mkdir(exist_ok=True)
    command = Path(sys.executable).parent / "sco-pay"
    for arguments, picture, name in RUNS:
        with tempfile.TemporaryDirectory() as out:
            subprocess.run([command, "demo", *arguments, "--out", out], check=True, stdout=subprocess.DEVNULL)
            shutil.copy(Path(out) / picture, HERE / name)
            sys.stdout.write(f"docs/pictures/{name}\n")
    for size, name in SHEETS:
        walk = [command.with_name("sco-hwtest"), "screen", "walk", f"sim://?size={size}&format=xrgb8888", "--sheet"]
        subprocess.run([*walk, HERE / name], check=True, stdout=subprocess.DEVNULL)
        with Image.open(HERE / name) as sheet:  # a third of the bytes; no level differs by more than 6 of 255
            few = sheet.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(HERE / name, optimize=True)
        sys.stdout.write(f"docs/pictures/{name}\n")
    subprocess.run([sys.executable, HERE.parent / "browser_pictures.py"], check=True)


if __name__ == "__main__":
    main()
