"""The lane's screen: what a caller may rely on.

A screen shows one `Scene` at a time. A scene is plain data (texts, a code, buttons, a deadline); how it is laid out is
the screen's business, what the words are is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, Self, runtime_checkable

from sco_drivers.errors import ScreenError


class UnsupportedScreen(ScreenError):
    """The pixel format or geometry is none that we can draw; says what was found."""


class ModeRefused(ScreenError):
    """The display would not take the mode."""


class Drawing(Enum):
    """The picture of a scene."""

    NONE = "none"
    SPINNER = "spinner"  # moves until the next scene
    TAP_OR_SCAN = "tap_or_scan"  # what to do at the plate: a phone, waves, a sticker with a code
    TICK = "tick"
    CROSS = "cross"
    ATTENDANT = "attendant"  # a person is called
    WRENCH = "wrench"  # out of service


@dataclass(frozen=True, slots=True)
class Button:
    """A button: `action` comes back from the touch panel when it is tapped."""

    action: str
    label: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands on the screen.

    Attributes:
        name: stable name of the scene ("wait", "qr", ...), for logs and tests.
        headline: the main text. Shown whole, wrapped at words.
        lines: smaller texts under it.
        amount: the sum, already formatted ("253,00 ₽"); empty for none.
        qr: what the code says; None for no code.
        drawing: the picture.
        buttons: at most two, left to right.
        deadline: seconds since the epoch to which a countdown runs; None for no countdown.
        deadline_label: the words before the countdown ("Осталось").
    """

    name: str
    headline: str
    lines: tuple[str, ...] = ()
    amount: str = ""
    qr: str | None = None
    drawing: Drawing = Drawing.NONE
    buttons: tuple[Button, ...] = ()
    deadline: float | None = None
    deadline_label: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in px, origin top left, in the orientation that a person sees."""

    x: int
    y: int
    width: int
    height: int

    def holds(self, x: int, y: int) -> bool:
        """Whether the point lies in the box."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


@runtime_checkable
class Screen(Protocol):
    """A screen. Safe from several threads. A spinner and a countdown move by themselves until the next scene."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px as a person sees them (after rotation)."""
        ...

    def show(self, scene: Scene) -> None:
        """Draw `scene`; it is on the glass when this returns.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called. ScreenError.
        """
        ...

    def check(self) -> None:
        """Look whether the display is still there. Draws nothing: when it is back, `show` again what is to stand.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called. ScreenError.
        """
        ...

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        """The action of the shown scene's button at that point, in px as a person sees them; None for none.

        `pressed_at` is the tap's: a touch that began before this scene stood answers nothing.
        """
        ...

    def save_png(self, path: str) -> None:
        """Write what the device's memory (not the scene) holds now to a PNG, as a person would see it."""
        ...

    def close(self) -> None:
        """Stop moving things, black the screen, give the console back. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
