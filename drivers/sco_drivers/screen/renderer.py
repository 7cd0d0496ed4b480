"""The screen for every backend with memory: shows scenes, animates them, finds the button at a point.

While a scene has a moving part, a thread draws only that part: the spinner's square from prepared pictures, the
countdown's digits once a second. It does not touch the rest of the memory between scenes.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from sco_drivers import qr
from sco_drivers.errors import DeviceClosed, DeviceError, DeviceGone, ScreenError
from sco_drivers.screen import DEFAULT_THEME, Box, Scene, Theme, UnsupportedScreen, paint
from sco_drivers.screen.layout import (
    MIN_MODULE_MM,
    Layout,
    countdown_text,
    lay_out,
    max_code_px,
    min_touch_target_px,
)
from sco_drivers.screen.memory import Memory, Rotation, Rows
from sco_drivers.screen.options import GUARD_MS, guard_of, rotation_of
from sco_drivers.screen.surface import Moving, Surface
from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)

FRAME_S = 1 / 15
"""Time of one picture of the spinner."""


def draw_page(
    surface: Surface, rows: Rows, layout: Layout, matrix: qr.QrMatrix | None, left: str, theme: Theme = DEFAULT_THEME
) -> Moving | None:
    """Draw a whole scene into `rows`, with `left` as the countdown's digits. Returns its spinner, at its beginning."""
    code = layout.code
    placed = (code.box, matrix, code.module) if code is not None and matrix is not None else None
    surface.theme = theme
    surface.page(rows, paint.GROUND, placed)
    for box, image in paint.pieces(layout):
        surface.put(rows, box, image)
    if layout.logo is not None and theme.logo is not None:
        size = (layout.logo.width, layout.logo.height)
        surface.put_picture(rows, layout.logo, paint.logo(theme.logo, size, theme.page))
    if layout.countdown is not None:
        surface.put(rows, layout.countdown.box, paint.paint_countdown(layout.countdown, left))
    place = layout.spinner
    if place is None:
        return None
    spinner = surface.moving(place, paint.spinner(place.width), paint.SPINNER_FRAMES)
    spinner.show(rows, 0)
    return spinner


class DrawnScreen:
    """A `Screen` over any `Memory`.

    Args:
        url: as it was opened; `rotate`, `guard_ms` are read from it.
        memory: the display; closed with the screen.

    Attributes:
        module_mm: size of a module of the last shown code in mm; None if the panel's size is unknown. Below
            `layout.MIN_MODULE_MM` phones begin to fail.
    """

    def __init__(self, url: DeviceUrl, memory: Memory, *, guard_ms: int = GUARD_MS) -> None:
        self._url = url
        self._memory = memory
        self._surface = Surface(memory.geometry, rotation_of(url))
        self._button_height = min_touch_target_px(self._surface.size, self._density())
        self._max_code = max_code_px(self._density())
        self._guard_s = guard_of(url, guard_ms) / 1000
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._animator: threading.Thread | None = None
        self._closed = False
        self._lost: DeviceError | None = None
        self._layout: Layout | None = None
        self._scene: Scene | None = None
        self._shown_at = 0.0
        self._ends_at: float | None = None
        self._left = ""
        self._spinner: Moving | None = None
        self._turns = 0
        self.module_mm: float | None = None
        self._warned_small = False

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px in the viewer's orientation."""
        return self._surface.size

    @property
    def scene(self) -> Scene | None:
        """The current scene; None before the first."""
        return self._scene

    def show(self, scene: Scene) -> None:
        """Draw `scene`; it is visible when this returns.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called.
            UnsupportedScreen: the panel is too small for the scene. ValueError: the code's text cannot be encoded.
        """
        matrix = qr.encode(scene.qr) if scene.qr is not None else None
        with self._lock:
            self._check_open()
            self._lost = None  # the display may have been connected again
            now = time.monotonic()
            ends_at = None if scene.deadline is None else now + scene.deadline - time.time()
            left = "" if ends_at is None else countdown_text(ends_at - now)
            try:
                layout = lay_out(scene, self.size, matrix, left, self._button_height, self._max_code)
            except ValueError as error:  # the present scene continues, with its countdown
                raise UnsupportedScreen(str(error), url=self.url, hint="use a larger panel or shorter texts") from None
            # A finger that is on a button while only the status changes means that button.
            before = self._scene
            other_status = before is not None and before != scene and replace(before, status=scene.status) == scene
            self._ends_at, self._left = ends_at, left
            self._scene = self._layout = None  # no button works until the new scene is shown
            try:
                self._memory.check()  # the memory of an unplugged display must not be written
                self._draw(layout, matrix, scene.theme)
            except DeviceError as error:
                self._lost = error
                raise
            self._scene, self._layout = scene, layout
            if not other_status:
                self._shown_at = time.monotonic()
            if self._is_animated() and self._animator is None:
                self._animator = threading.Thread(target=self._animate, name=f"screen {self.url}", daemon=True)
                self._animator.start()
            self._wake.notify_all()

    @property
    def rotation(self) -> Rotation:
        """Degrees clockwise by which the picture is turned on its way into memory."""
        return self._surface.rotation

    def mark(self, x: int, y: int) -> None:
        """Show an empty page with a cross at that px (viewer's orientation), to be tapped for calibration.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called. ValueError: too close to an edge.
        """
        with self._lock:
            self._check_open()
            self._memory.check()
            self._lost = self._ends_at = self._scene = self._layout = self._spinner = None
            cross = paint.cross(min(self.size) // 12)
            box = Box(x - cross.width // 2, y - cross.height // 2, cross.width, cross.height)
            if min(box.x, box.y) < 0 or box.x + box.width > self.size[0] or box.y + box.height > self.size[1]:
                raise ValueError(f"a cross at {x}, {y} does not fit the panel")
            rows = self._memory.back()
            self._surface.page(rows, paint.GROUND)
            self._surface.put(rows, box, cross)
            self._memory.flip()

    def check(self) -> None:
        """Check that the display is still connected.

        Raises:
            DeviceGone: it was unplugged. DeviceClosed: `close` was called. ScreenError: it failed in another way.
        """
        with self._lock:
            self._check_open()
            if self._lost is not None:
                raise self._lost
            try:
                self._memory.check()
                self._repair()
            except DeviceError as error:
                self._lost = error
                raise

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        """The action of the current scene's button at that point; None for none.

        Returns None for a touch that cannot have been meant for this scene: one that began before it was shown, or
        within `guard_ms` after. A scene that differs only in its status is not a new one.

        Args:
            x, y: px in the viewer's orientation. A keyboard's `Tap` at x = -1 - n, y = -1 means the n-th button.
            pressed_at: when the finger came down, by `time.monotonic()`; now if not given.
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
            return next((placed.button.action for placed in buttons if placed.reach.contains(x, y)), None)

    def button_box(self, action: str) -> Box | None:
        """The box of the current scene's button of that action, in the viewer's orientation; None if it has none."""
        with self._lock:
            placed = self._layout.buttons if self._layout is not None and not self._closed else ()
            return next((button.box for button in placed if button.button.action == action), None)

    def save_png(self, path: str) -> None:
        """See `Screen.save_png`."""
        with self._lock:
            self._check_open()
            image = self._surface.picture(self._memory.front())
        try:
            image.save(path, format="PNG")
        except OSError as error:
            raise ScreenError(f"{path} cannot be written: {error.strerror or error}", url=self.url) from error

    def image(self) -> Image:
        """What the device's memory contains now, as an RGB image in the viewer's orientation."""
        with self._lock:
            self._check_open()
            return self._surface.picture(self._memory.front())

    def close(self) -> None:
        """Stop animations, make the screen black, release the console. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._wake.notify_all()
        if self._animator is not None and self._animator is not threading.current_thread():
            self._animator.join(timeout=5)
        with self._lock:
            try:
                if not isinstance(self._lost, DeviceGone):
                    self._memory.check()
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

    def _draw(self, layout: Layout, matrix: qr.QrMatrix | None, theme: Theme) -> None:
        """Draw the whole scene into the back page, and show it."""
        code = layout.code
        self._spinner = None
        self._memory.damaged = False
        back = self._memory.back()
        self._spinner, self._turns = draw_page(self._surface, back, layout, matrix, self._left, theme), 0
        if code is not None:
            self.module_mm = self._module_mm(code.module)
            if self.module_mm is not None and self.module_mm < MIN_MODULE_MM and not self._warned_small:
                self._warned_small = True
                _log.warning(
                    "%s: a module of the code is %.2f mm, less than %.1f: some phones will not read it",
                    self.url,
                    self.module_mm,
                    MIN_MODULE_MM,
                )
        self._memory.flip()

    def _repair(self) -> None:
        """Draw the current scene again if another program may have drawn over it."""
        if self._memory.damaged and self._layout is not None and self._scene is not None:
            matrix = qr.encode(self._scene.qr) if self._scene.qr is not None else None
            self._draw(self._layout, matrix, self._scene.theme)

    def _density(self) -> float | None:
        """Px per mm, of the denser axis; None if the panel's size is unknown."""
        geometry = self._memory.geometry
        if geometry.panel_mm is None:
            return None
        return max(geometry.width / geometry.panel_mm[0], geometry.height / geometry.panel_mm[1])

    def _module_mm(self, module: int) -> float | None:
        density = self._density()
        return None if density is None else module / density

    def _is_animated(self) -> bool:
        return (
            not self._closed
            and self._lost is None
            and (self._spinner is not None or (self._ends_at is not None and self._left != "0:00"))
        )

    def _animate(self) -> None:
        """The thread: draws the moving parts when they are due, as long as the screen is open."""
        with self._lock:
            due = time.monotonic()
            while not self._closed:
                if not self._is_animated():
                    self._wake.wait()
                    due = time.monotonic()
                    continue
                now = time.monotonic()
                due = max(due + FRAME_S, now) if self._spinner is not None else self._next_second(now)
                if due > now and self._wake.wait(due - now):
                    due = time.monotonic()  # another scene
                    continue
                try:
                    if self._is_animated():
                        self._step()
                except DeviceError as error:
                    self._lost = error  # the next `show` raises it to the caller
                except Exception as error:  # no memory, a bug: the next scene must still be animated
                    _log.exception("%s: the animation has stopped", self.url)
                    self._lost = ScreenError(f"cannot be drawn: {error}", url=self.url)

    def _next_second(self, now: float) -> float:
        assert self._ends_at is not None
        left = max(0.0, self._ends_at - now)
        return now + max(0.01, left - (-int(-left // 1) - 1))

    def _step(self) -> None:
        rows = self._memory.front()
        changed: list[Box] = []
        if self._spinner is not None:
            self._turns = (self._turns + 1) % self._spinner.count
            changed.append(self._spinner.show(rows, self._turns))
        layout = self._layout
        if self._ends_at is not None and layout is not None and layout.countdown is not None:
            left = countdown_text(self._ends_at - time.monotonic())
            if left != self._left:
                self._left = left
                image = paint.paint_countdown(layout.countdown, left)
                changed.append(self._surface.put(rows, layout.countdown.box, image))
        if changed:
            self._memory.changed(changed)
            self._repair()
