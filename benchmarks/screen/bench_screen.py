"""Link -> pixels in the mapped buffer: ours, the naive path, other conversions, and memcpy, side by side in one run.

    python benchmarks/screen/bench_screen.py

Every figure is the median of `ROUNDS` runs that take turns, so that all of them meet the same machine. "page with code"
is a white page with the code on it, as large as the height allows; "scene" is the whole QR scene with its texts.
"""

from __future__ import annotations

import io
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import segno
from PIL import Image

from sco_drivers import qr
from sco_drivers.registry import open_screen
from sco_drivers.screen import Box, Drawing, Scene, palette
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.surface import Surface
from sco_hwtest.contracts.screen import LINK, scenes

ROUNDS = 31


def medians(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def table(title: str, found: dict[str, float], unit: float) -> None:
    print(f"\n{title}")
    for name, ms in found.items():
        print(f"  {name:46} {ms:8.3f} ms  {ms / unit:7.1f} x memcpy")


def to_565_numpy(image: Image.Image) -> bytes:
    pixels = np.asarray(image, dtype=np.uint16)
    return (((pixels[..., 0] & 0xF8) << 8) | ((pixels[..., 1] & 0xFC) << 3) | (pixels[..., 2] >> 3)).tobytes()


def to_565_bands(image: Image.Image) -> bytes:
    """As luma.core does it for 16-bit displays, without its Python loop: bands, tables, merged bytes."""
    red, green, blue = image.split()
    high = Image.merge("RGB", (red.point(lambda v: v & 0xF8), green.point(lambda v: v >> 5), blue))
    first = np.asarray(high)[..., 0] | np.asarray(high)[..., 1]
    second = ((np.asarray(green) & 0x1C) << 3) | (np.asarray(blue) >> 3)
    return np.stack((second, first), axis=-1).tobytes()


def geometry(wide: int, high: int, name: str) -> None:
    form = FORMATS[name]
    stride = form.row_bytes(wide)
    size = stride * high
    surface = Surface(Geometry(wide, high, stride, form), 0)
    matrix = qr.encode(LINK)
    module = high // matrix.full_size
    side = module * matrix.full_size
    box = Box((wide - side) // 2, (high - side) // 2, side, side)
    white = form.native((255, 255, 255)) * (wide * high)
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        memory = mmap.mmap(file.fileno(), size)
        rows = memoryview(memory)

        def ours(encode: bool) -> None:
            if encode:
                qr.encode.cache_clear()
            rows[:] = white
            surface.blit_code(rows, box, qr.encode(LINK), module)

        def naive() -> None:
            data = io.BytesIO()
            segno.make_qr(LINK, error="m", boost_error=False).save(data, kind="png", scale=module, border=4)
            page = Image.new("RGB", (wide, high), "white")
            page.paste(Image.open(data).convert("RGB"), (box.x, box.y))
            rows[:] = to_565_numpy(page) if form.bits == 16 else page.tobytes("raw", "BGRX")

        def copy() -> None:
            rows[:] = white

        def encode() -> None:
            qr.encode.cache_clear()
            qr.encode(LINK)

        found = medians(
            {
                "memcpy of the frame": copy,
                "page with code, encoded before": lambda: ours(False),
                "page with code, encoding and all": lambda: ours(True),
                "of which encoding": encode,
                "naive: segno PNG -> Pillow -> page -> buffer": naive,
            }
        )
        frame_ms = found["memcpy of the frame"]
        table(f"{wide}x{high} {name}: link -> pixels in the mapped buffer", found, frame_ms)

        canvas = Image.effect_noise((wide, high), 80)
        rgb = Image.frombytes("RGB", (wide, high), b"".join(bytes(palette.table()[v]) for v in canvas.tobytes()))
        ways: dict[str, Callable[[], object]] = {"ours: palette image -> native rows": lambda: form.rows(canvas)}
        if form.bits == 16:
            ways["numpy: RGB -> RGB565"] = lambda: to_565_numpy(rgb)
            ways["bands and tables (luma-like)"] = lambda: to_565_bands(rgb)
        else:
            ways["Pillow: RGB -> BGRX"] = lambda: rgb.tobytes("raw", "BGRX")
        table(f"{wide}x{high} {name}: conversion of a full scene", medians(ways), frame_ms)
        rows.release()
        memory.close()

    with open_screen(f"sim://?size={wide}x{high}&format={name}") as screen:
        scene = next(scene for scene in scenes() if scene.name == "qr")
        found = medians({"show(QR scene), all of it": lambda: screen.show(scene)})
        table(f"{wide}x{high} {name}: a whole scene", found, frame_ms)
        screen.show(Scene("wait", "Пожалуйста, подождите", drawing=Drawing.SPINNER))
        frames, used, start = screen.simulator.frames, time.process_time(), time.perf_counter()
        time.sleep(4)
        used, took = time.process_time() - used, time.perf_counter() - start
        rate = (screen.simulator.frames - frames) / took
        print(f"  spinner: {rate:.1f} frames a second, {100 * used / took:.2f} % of one core")


if __name__ == "__main__":
    geometry(1024, 768, "rgb565")
    geometry(1920, 1080, "xrgb8888")
