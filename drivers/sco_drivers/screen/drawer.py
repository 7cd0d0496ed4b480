"""The screen that every backend with memory shares: shows scenes, moves what moves, answers where a finger fell.

One thread of its own runs while a scene has something that moves, and draws only that: the spinner's square from
pictures made beforehand, the countdown's digits once a second. Nothing else of the memory is touched between scenes.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from sco_drivers import qr
from sco_drivers.errors import BadDeviceUrl, DeviceClosed, DeviceError
from sco_drivers.screen import Box, Drawing, Scene, UnsupportedScreen
from sco_drivers.screen.layout import Layout, countdown_text, lay_out
from sco_drivers.screen.memory import Memory
from sco_drivers.screen.surface import Rotation, Surface
from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from PIL.Image import Image

PARAMETERS = ("rotate", "mm", "guard_ms")
"""Query parameters that every screen with memory takes."""

FRAME_S = 1 / 15
"""Time of one picture of the spinner."""

GUARD_MS = 250
"""Nobody reads a button and presses it faster: a touch that soon after a new scene was meant for the one before."""


def rotation_of(url: DeviceUrl) -> Rotation:
    """The URL's `rotate`.

    Raises:
        BadDeviceUrl: another angle than 0, 90, 180, 270.
    """
    return int(url.choice("rotate", "0", ("0", "90", "180", "270")))  # type: ignore[return-value]


def panel_of(url: DeviceUrl) -> tuple[int, int] | None:
    """The URL's `mm=WxH`: the size of the glass as the device has it, before rotation; None when not given.

    Raises:
        BadDeviceUrl: not two whole numbers with an `x` between.
    """
    return pair_of(url, "mm")


def pair_of(url: DeviceUrl, name: str) -> tuple[int, int] | None:
    """Query parameter `name` as `WxH`; None when absent.

    Raises:
        BadDeviceUrl: not two whole numbers above zero with an `x` between.
    """
    text = url.params.get(name)
    if text is None:
        return None
    wide, cross, high = text.partition("x")
    if not (cross and wide.isascii() and wide.isdigit() and high.isascii() and high.isdigit()):
        raise BadDeviceUrl(f"{name}={text!r} is not WIDTHxHEIGHT", url=url.text)
    if not (0 < int(wide) <= 16384 and 0 < int(high) <= 16384):
        raise BadDeviceUrl(f"{name}={text} is out of range 1x1..16384x16384", url=url.text)
    return int(wide), int(high)


class DrawnScreen:
    """A `Screen` over any `Memory`.

    Args:
        url: as it was opened; `rotate`, `guard_ms` are read from it.
        memory: the display; closed with the screen.

    Attributes:
        module_mm: size of a module of the code that was shown last, in mm; None where the panel's size is not known.
            Under `layout.LEAST_MODULE_MM` phones begin to fail.
    """

    def __init__(self, url: DeviceUrl, memory: Memory, *, guard_ms: int = GUARD_MS) -> None:
        from PIL import Image

        self._url = url
        self._memory = memory
        self._surface = Surface(memory.geometry, rotation_of(url))
        self._guard_s = url.integer("guard_ms", guard_ms, least=0, most=5000) / 1000
        self._canvas = Image.new("L", self._surface.size)
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._mover: threading.Thread | None = None
        self._closed = False
        self._lost: DeviceError | None = None
        self._layout: Layout | None = None
        self._scene: Scene | None = None
        self._shown_at = 0.0
        self._ends_at: float | None = None
        self._left = ""
        self._turn: list[bytes] = []
        self._spinner_box = Box(0, 0, 0, 0)
        self._turns = 0
        self.module_mm: float | None = None

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px as a person sees them."""
        return self._surface.size

    @property
    def scene(self) -> Scene | None:
        """The scene that is shown; None before the first."""
        return self._scene

    def show(self, scene: Scene) -> None:
        """Draw `scene`; it is on the glass when this returns.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called.
            UnsupportedScreen: the glass is too small for the scene. ValueError: the code's text cannot be encoded.
        """
        matrix = qr.encode(scene.qr) if scene.qr is not None else None
        with self._lock:
            self._check_open()
            self._lost = None  # a display that was plugged in again may be tried again
            now = time.monotonic()
            self._ends_at = None if scene.deadline is None else now + scene.deadline - time.time()
            self._left = "" if self._ends_at is None else countdown_text(self._ends_at - now)
            try:
                layout = lay_out(scene, self.size, matrix, self._left)
            except ValueError as error:
                raise UnsupportedScreen(str(error), url=self.url, hint="use a larger panel or shorter texts") from None
            self._scene = self._layout = None  # no button answers for a scene that does not stand
            try:
                self._draw(layout, matrix)
            except DeviceError as error:
                self._lost = error
                raise
            self._scene, self._layout = scene, layout
            self._shown_at = time.monotonic()
            if self._still_moves() and self._mover is None:
                self._mover = threading.Thread(target=self._move, name=f"screen {self.url}", daemon=True)
                self._mover.start()
            self._wake.notify_all()

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        """The action of the shown scene's button at that point; None for none.

        A touch that cannot have been meant for this scene answers nothing: one that began before the scene stood, or
        within `guard_ms` after.

        Args:
            x, y: px as a person sees them. A keyboard's `Tap` lies at x = -1 - n, y = -1 and means the n-th button.
            pressed_at: when the finger came down, by `time.monotonic()`; now when not given.
        """
        with self._lock:
            if self._layout is None or self._closed:
                return None
            when = time.monotonic() if pressed_at is None else pressed_at
            if when < self._shown_at + self._guard_s:
                return None
            buttons = self._layout.buttons
            if y == -1 and x < 0:
                return buttons[-1 - x].button.action if -1 - x < len(buttons) else None
            return next((placed.button.action for placed in buttons if placed.reach.holds(x, y)), None)

    def button_box(self, action: str) -> Box | None:
        """Where the shown scene's button of that action stands, in px as a person sees them; None when it has none."""
        with self._lock:
            placed = self._layout.buttons if self._layout is not None and not self._closed else ()
            return next((button.box for button in placed if button.button.action == action), None)

    def save_png(self, path: str) -> None:
        """Write what the device's memory (not the scene) holds now to a PNG, as a person would see it."""
        with self._lock:
            self._check_open()
            image = self._surface.picture(self._memory.front())
        image.save(path, format="PNG")

    def image(self) -> Image:
        """What the device's memory holds now, as an RGB image as a person would see it."""
        with self._lock:
            self._check_open()
            return self._surface.picture(self._memory.front())

    def close(self) -> None:
        """Stop moving things, black the screen, give the console back. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._wake.notify_all()
        if self._mover is not None and self._mover is not threading.current_thread():
            self._mover.join(timeout=5)
        with self._lock:
            try:
                self._black()
            except DeviceError:
                pass  # an unplugged display is black already
            finally:
                self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed("the screen is closed", url=self.url)

    def _black(self) -> None:
        rows = self._memory.front()
        form = self._memory.geometry.format
        fill = b"\xff" if form.inverted else b"\x00"
        rows[:] = fill * len(rows)
        self._memory.changed((Box(0, 0, self._memory.geometry.width, self._memory.geometry.height),))

    def _draw(self, layout: Layout, matrix: qr.QrMatrix | None) -> None:
        """The whole scene, into the back page, and show it."""
        from sco_drivers.screen import paint

        surface, canvas = self._surface, self._canvas
        paint.paint(layout, canvas)
        if layout.countdown is not None:
            box = layout.countdown.box
            canvas.paste(paint.paint_countdown(layout.countdown, self._left), (box.x, box.y))
        self._turn = []
        if layout.drawing is Drawing.SPINNER and layout.drawing_box is not None:
            self._make_spinner(layout.drawing_box)
        code = layout.code
        coarse = surface.geometry.format.bits < 8
        if code is not None and matrix is not None and coarse:
            canvas.paste(paint.paint_code(matrix, code.module), (code.box.x, code.box.y))
        whole = Box(0, 0, surface.geometry.width, surface.geometry.height)
        rows = self._memory.back()
        surface.blit(rows, whole, surface.native(canvas))
        if code is not None and matrix is not None:
            if not coarse:
                surface.blit_code(rows, surface.to_device(code.box), matrix, code.module)
            self.module_mm = self._module_mm(code.module)
        self._memory.flip()

    def _module_mm(self, module: int) -> float | None:
        geometry = self._memory.geometry
        if geometry.panel_mm is None:
            return None
        return module * min(geometry.panel_mm[0] / geometry.width, geometry.panel_mm[1] / geometry.height)

    def _make_spinner(self, box: Box) -> None:
        """All pictures of the spinner as native rows, so that a turn costs copies only."""
        from sco_drivers.screen import paint

        aligned = self._surface.byte_aligned(box)
        ground = self._canvas.crop((aligned.x, aligned.y, aligned.x + aligned.width, aligned.y + aligned.height))
        self._turn = []
        for frame in paint.spinner(box.width):
            ground.paste(frame, (box.x - aligned.x, box.y - aligned.y))
            self._turn.append(self._surface.native(ground))
        self._canvas.paste(paint.spinner(box.width)[0], (box.x, box.y))
        self._spinner_box = self._surface.to_device(aligned)
        self._turns = 0

    def _still_moves(self) -> bool:
        return (
            not self._closed
            and self._lost is None
            and (bool(self._turn) or (self._ends_at is not None and self._left != "0:00"))
        )

    def _move(self) -> None:
        """The thread: sleeps till the next thing moves, moves it, for as long as the screen is open."""
        with self._lock:
            due = time.monotonic()
            while not self._closed:
                if not self._still_moves():
                    self._wake.wait()
                    due = time.monotonic()
                    continue
                now = time.monotonic()
                due = max(due + FRAME_S, now) if self._turn else self._next_second(now)
                if due > now and self._wake.wait(due - now):
                    due = time.monotonic()  # another scene, with its own times
                    continue
                try:
                    if self._still_moves():
                        self._step()
                except DeviceError as error:
                    self._lost = error  # the next `show` meets the same and tells the caller

    def _next_second(self, now: float) -> float:
        assert self._ends_at is not None
        left = max(0.0, self._ends_at - now)
        return now + max(0.01, left - (-int(-left // 1) - 1))

    def _step(self) -> None:
        rows = self._memory.front()
        changed: list[Box] = []
        if self._turn:
            self._turns = (self._turns + 1) % len(self._turn)
            self._surface.blit(rows, self._spinner_box, self._turn[self._turns])
            changed.append(self._spinner_box)
        layout = self._layout
        if self._ends_at is not None and layout is not None and layout.countdown is not None:
            left = countdown_text(self._ends_at - time.monotonic())
            if left != self._left:
                from sco_drivers.screen import paint

                self._left = left
                box = layout.countdown.box
                self._canvas.paste(paint.paint_countdown(layout.countdown, left), (box.x, box.y))
                aligned = self._surface.byte_aligned(box)
                part = self._canvas.crop((aligned.x, aligned.y, aligned.x + aligned.width, aligned.y + aligned.height))
                device = self._surface.to_device(aligned)
                self._surface.blit(rows, device, self._surface.native(part))
                changed.append(device)
        if changed:
            self._memory.changed(changed)
