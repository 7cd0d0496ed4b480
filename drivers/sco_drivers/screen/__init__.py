"""The public interface of screens.

A screen shows one `Scene` at a time. A scene is plain data (texts, a code, buttons, a deadline): the caller chooses the
words, the screen lays them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, Self, runtime_checkable

from sco_drivers.errors import ScreenError
from sco_drivers.screen.theme import DEFAULT_THEME, Logo, Theme, from_hex

__all__ = [
    "DEFAULT_THEME",
    "Box",
    "Button",
    "Drawing",
    "Logo",
    "ModeRefused",
    "Scene",
    "Screen",
    "ScreenError",
    "Theme",
    "UnsupportedScreen",
    "from_hex",
]


class UnsupportedScreen(ScreenError):
    """The pixel format or geometry is not supported; the message contains what was found."""


class ModeRefused(ScreenError):
    """The display refused the mode."""


class Drawing(Enum):
    """The picture of a scene."""

    NONE = "none"
    SPINNER = "spinner"  # moves until the next scene
    TAP_OR_SCAN = "tap_or_scan"  # how to use the plate: a phone, waves, a sticker with a code
    TICKET = "ticket"  # a phone, and a printed ticket with a code
    TICK = "tick"
    CROSS = "cross"
    ATTENDANT = "attendant"  # an attendant is called
    WRENCH = "wrench"  # out of service


@dataclass(frozen=True, slots=True)
class Button:
    """A button; `action` is what `Screen.button_at` returns for a tap on it."""

    action: str
    label: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What the screen shows.

    Attributes:
        name: stable name of the scene ("wait", "qr", ...), for logs and tests.
        headline: the main text. Always shown in full, wrapped at words.
        lines: texts below it.
        prominent: how many of `lines`, from the first, are as large as the headline; the others are smaller.
        amount: the amount, already formatted ("253,00 ₽"); empty for none.
        number: a number to be read out, in its words ("Обращение № 12"): the largest text; empty for none.
        qr: the content of the QR code; None for no code.
        drawing: the picture. With a code it leads, and the code is smaller.
        hint: a help, next to the theme's logo.
        status: what is going on, next to a spinner; it takes the place of the hint, and nothing else moves.
        busy: a small spinner before the headline, where the scene has no other.
        buttons: at most two, left to right.
        deadline: end of the countdown, in seconds since the epoch; None for no countdown.
        deadline_label: the words before the countdown ("Осталось").
        theme: colours and logo.
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
    prominent: int = 0
    number: str = ""
    hint: str = ""
    status: str = ""
    busy: bool = False
    theme: Theme = field(default=DEFAULT_THEME, repr=False)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in px, origin top left, in the viewer's orientation."""

    x: int
    y: int
    width: int
    height: int

    def contains(self, x: int, y: int) -> bool:
        """Whether the point lies in the box."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


@runtime_checkable
class Screen(Protocol):
    """A screen. Thread-safe. A spinner and a countdown move by themselves until the next scene."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px in the viewer's orientation (after rotation)."""
        ...

    def show(self, scene: Scene) -> None:
        """Draw `scene`; it is visible when this returns.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called. UnsupportedScreen: the panel is too
                small for the scene. ScreenError. ValueError: no QR code holds the text in `scene.qr`.
        """
        ...

    def check(self) -> None:
        """Check that the display is still connected. Draws nothing: after a reconnection, call `show` again.

        Raises:
            DeviceGone: the display was unplugged. DeviceClosed: `close` was called. ScreenError.
        """
        ...

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        """The action of the current scene's button at that point, in px in the viewer's orientation; None for none.

        `pressed_at` is the tap's: a touch that began before this scene was shown returns None.
        """
        ...

    def save_png(self, path: str) -> None:
        """Save what the device's memory (not the scene) contains now as a PNG, in the viewer's orientation.

        Raises:
            ScreenError: the file cannot be written, or there is no picture. DeviceClosed: `close` was called.
        """
        ...

    def close(self) -> None:
        """Stop animations, make the screen black, release the console. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
