"""Link -> pixels in the mapped buffer, conversion, spinner, memory: ours, peers and memcpy, side by side in one run.

    python -m benchmarks.screen.bench_screen

Times are medians of runs that take turns, so that all of them meet the same machine; each run encodes another link.
"page with code" is a white page with the code on it, as large as the height allows. "noise" is a picture in which no
two neighbours are alike, the worst case; a scene is mostly ground, and only its boxes are converted. memcpy copies a
frame that is ready, into the same mapped file.
"""

from __future__ import annotations

import io
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import segno
import zxingcpp
from PIL import Image, ImageChops

from benchmarks.installed import compile_packages
from benchmarks.report import Row, finish, options
from sco_drivers import qr
from sco_drivers.registry import open_screen
from sco_drivers.screen import Box, Drawing, Scene, palette
from sco_drivers.screen.formats import FORMATS, PixelFormat
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.surface import Surface
from sco_hwtest.contracts.screen import LINK, scenes

PANELS = ((1024, 768, "rgb565"), (1920, 1080, "xrgb8888"))
WAIT = Scene("wait", "Пожалуйста, подождите", drawing=Drawing.SPINNER)


def medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def links() -> Iterator[str]:
    """Links of the usual length, none twice."""
    for number in count():
        yield LINK.replace("10001246", f"{10001246 + number}")


def to_565_numpy(image: Image.Image) -> bytes:
    pixels = np.asarray(image, dtype=np.uint16)
    return (((pixels[..., 0] & 0xF8) << 8) | ((pixels[..., 1] & 0xFC) << 3) | (pixels[..., 2] >> 3)).tobytes()


def to_565_luma(image: Image.Image) -> bytes:
    """As luma.core does it for 16-bit displays, without its Python loop: bands, tables, merged bytes."""
    red, green, blue = image.split()
    high = Image.merge("RGB", (red.point(lambda v: v & 0xF8), green.point(lambda v: v >> 5), blue))
    first = np.asarray(high)[..., 0] | np.asarray(high)[..., 1]
    second = ((np.asarray(green) & 0x1C) << 3) | (np.asarray(blue) >> 3)
    return np.stack((second, first), axis=-1).tobytes()


def to_565_pillow(image: Image.Image) -> bytes:
    """Split, point, merge: Pillow alone."""
    red, green, blue = image.split()
    high = ImageChops.add(red.point([v & 0xF8 for v in range(256)]), green.point([v >> 5 for v in range(256)]))
    low = ImageChops.add(green.point([v << 3 & 0xE0 for v in range(256)]), blue.point([v >> 3 for v in range(256)]))
    return Image.merge("LA", (low, high)).tobytes()


def link_to_pixels(wide: int, high: int, form: PixelFormat, rounds: int) -> list[Row]:
    stride = form.row_bytes(wide)
    surface = Surface(Geometry(wide, high, stride, form), 0)
    matrix = qr.encode(LINK)
    module = high // matrix.full_size
    side = module * matrix.full_size
    box = Box((wide - side) // 2, (high - side) // 2, side, side)
    frame = form.native((255, 255, 255)) * (wide * high)
    fresh = links()
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), len(frame))
        memory = mmap.mmap(file.fileno(), len(frame))
        rows = memoryview(memory)

        def naive() -> None:
            data = io.BytesIO()
            segno.make_qr(next(fresh), error="m", boost_error=False).save(data, kind="png", scale=module, border=4)
            page = Image.new("RGB", (wide, high), "white")
            page.paste(Image.open(data).convert("RGB"), (box.x, box.y))
            rows[:] = to_565_numpy(page) if form.bits == 16 else page.tobytes("raw", "BGRX")

        def copy() -> None:
            rows[:] = frame

        found = medians(
            {
                "memcpy": copy,
                "before": lambda: surface.page(rows, palette.WHITE_INDEX, (box, matrix, module)),
                "all": lambda: surface.page(rows, palette.WHITE_INDEX, (box, qr.encode(next(fresh)), module)),
                "naive": naive,
            },
            rounds,
        )
        rows.release()
        memory.close()
    panel, name = f"{wide}x{high}x{form.bits}", "segno PNG, Pillow, page, buffer"
    share = found["before"] / found["memcpy"]
    return [
        Row(
            "screen",
            f"link to pixels in the mapped buffer, {panel}",
            "ms",
            found["all"],
            found["naive"],
            name,
            found["memcpy"],
            "memcpy",
            "at most 1.5 ms",
            found["all"] <= 1.5,
        ),
        Row(
            "screen",
            f"page with code to buffer, code encoded before, {panel}",
            "ms",
            found["before"],
            limit=found["memcpy"],
            limit_name="memcpy",
            goal="at most 5 x limit",
            met=share <= 5,
        ),
    ]


def encoding(rounds: int) -> list[Row]:
    fresh = links()
    kind = zxingcpp.BarcodeFormat.QRCode
    found = medians(
        {
            "ours": lambda: qr.encode(next(fresh)),
            "zxing-cpp": lambda: zxingcpp.create_barcode(next(fresh), kind, ec_level="M"),
            "segno": lambda: segno.make_qr(next(fresh), error="m", boost_error=False),
        },
        rounds,
    )
    return [Row("screen", "encoding a link", "ms", found["ours"], found[peer], peer) for peer in ("segno", "zxing-cpp")]


def conversion(wide: int, high: int, form: PixelFormat, rounds: int) -> list[Row]:
    noise = Image.effect_noise((wide, high), 80)
    rgb = Image.frombytes("RGB", (wide, high), b"".join(bytes(palette.table()[v]) for v in noise.tobytes()))
    peers: dict[str, Callable[[], object]]
    if form.bits == 16:
        peers = {
            "numpy": lambda: to_565_numpy(rgb),
            "Pillow": lambda: to_565_pillow(rgb),
            "luma-like": lambda: to_565_luma(rgb),
        }
    else:
        peers = {"Pillow": lambda: rgb.tobytes("raw", "BGRX")}
    found = medians({"ours": lambda: form.rows(noise), **peers}, rounds)
    best = min(found[peer] for peer in peers)
    return [
        Row(
            "screen",
            f"noise to native rows, {wide}x{high}x{form.bits}",
            "ms",
            found["ours"],
            found[peer],
            peer,
            goal="no slower than the best peer" if form.bits == 16 else "",
            met=found["ours"] <= best if form.bits == 16 else None,
        )
        for peer in peers
    ]


def scenes_on_screen(wide: int, high: int, form: PixelFormat, rounds: int, seconds: float) -> list[Row]:
    panel = f"{wide}x{high}x{form.bits}"
    fresh = links()
    with open_screen(f"sim://?size={wide}x{high}&format={form.name}") as screen:
        qr_scene = next(scene for scene in scenes() if scene.name == "qr")
        settled = {"show": lambda: screen.show(Scene(**{**_fields(qr_scene), "qr": next(fresh)}))}
        found = medians(settled, rounds)
        rows = [Row("screen", f"show of the whole QR scene, a new link, {panel}", "ms", found["show"])]
        screen.show(WAIT)
        frames, used, start = screen.simulator.frames, time.process_time(), time.perf_counter()
        time.sleep(seconds)
        used, took = time.process_time() - used, time.perf_counter() - start
        pictures, share = screen.simulator.frames - frames, 100 * used / took
        rows.append(
            Row(
                "screen",
                f"spinner at {pictures / took:.1f} pictures a second, {panel}",
                "% of a core",
                share,
                goal="under 3 % at 15 a second",
                met=share < 3 and (pictures + 1) / took > 14.5,  # the stretch of time cuts one off
            )
        )
        with screen._lock:
            screen._step()
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(40):
                screen._step()
            after, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        pixels = len(screen._spinner.frames) // screen._spinner.count
        rows.append(
            Row(
                "screen",
                f"memory taken while a picture of the spinner is drawn, {panel}",
                "bytes",
                peak - before,
                limit=pixels,
                limit_name="its pixels",
                goal="no pixels, nothing kept",
                met=peak - before < 4096 and after - before < 1024,
            )
        )
    return rows


def _fields(scene: Scene) -> dict[str, object]:
    return {name: getattr(scene, name) for name in Scene.__slots__}


_PROGRAM = """
import sys, time
def rss():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Rss:")) / 1024
import dataclasses, enum, logging, mmap, pathlib, tempfile, threading, typing, urllib.parse
import sco_drivers.registry
before, start = rss(), time.perf_counter()
screen = sco_drivers.registry.open_screen(sys.argv[1])
opened = (time.perf_counter() - start) * 1000
import sco_drivers.screen as s
from sco_drivers.screen import Drawing as D
cancel, retry, end = s.Button("cancel", "Отменить"), s.Button("retry", "Повторить", primary=True), time.time() + 300
pay, to = "Для оплаты используйте NFC или отсканируйте QR-код", dict(deadline=end, deadline_label="Осталось")
shown = []
for scene in (
    s.Scene("wait", "Пожалуйста, подождите", drawing=D.SPINNER),
    s.Scene("qr", pay, amount="253,00 ₽", qr=sys.argv[2], buttons=(cancel,), **to),
    s.Scene("dialog", "Оплата не завершена, нет связи с процессингом", amount="1 ₽", buttons=(retry, cancel), **to),
    s.Scene("plate", pay, amount="253,00 ₽", drawing=D.TAP_OR_SCAN, buttons=(cancel,), **to),
    s.Scene("paid", "Оплата прошла успешно", drawing=D.TICK),
    s.Scene("attendant", "Позовите сотрудника магазина", ("Обращение № 123",), drawing=D.ATTENDANT),
    s.Scene("wait", "Пожалуйста, подождите", drawing=D.SPINNER),
):
    start = time.perf_counter()
    screen.show(scene)
    shown.append((time.perf_counter() - start) * 1000)
geometry = screen._memory.geometry
print(opened, shown[0], shown[1], rss() - before - geometry.stride * geometry.height / 2**20)
"""


def first_use(wide: int, high: int, form: PixelFormat, rounds: int) -> list[Row]:
    """A process of its own: what loading and the first scenes cost, and the memory that a lane pays for its screen."""
    url = f"sim://?size={wide}x{high}&format={form.name}"
    runs = [
        [float(word) for word in subprocess.check_output([sys.executable, "-c", _PROGRAM, url, LINK]).split()]
        for _ in range(rounds)
    ]
    opened, waiting, code, memory = (statistics.median(column) for column in zip(*runs, strict=True))
    panel = f"{wide}x{high}x{form.bits}"
    return [
        Row("screen", f"first opening, driver imported, {panel}", "ms", opened),
        Row("screen", f"first scene of a process, Pillow imported, {panel}", "ms", waiting),
        Row("screen", f"first code of a process, {panel}", "ms", code),
        Row("screen", f"memory for the screen after all scenes, without the display's own, {panel}", "MiB", memory),
    ]


def main() -> None:
    """Measure all, and print or write it."""
    asked = options("The screen: link to pixels, conversion, spinner, memory.")
    rounds, seconds = (3, 0.5) if asked.quick else (61, 4.0)
    compile_packages()
    rows = encoding(rounds)
    for wide, high, name in PANELS:
        form = FORMATS[name]
        rows += link_to_pixels(wide, high, form, rounds)
        rows += conversion(wide, high, form, rounds)
        rows += scenes_on_screen(wide, high, form, rounds, seconds)
        rows += first_use(wide, high, form, 1 if asked.quick else 5)
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
