"""Whatever was shown and however it moved, memory holds what the whole scene drawn again would: no pixel is left over.

Random scenes, formats, turns, strides and pages; the clock is the test's, and the wall's clock may jump.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sco_drivers import qr
from sco_drivers.screen import (
    DEFAULT_THEME,
    Box,
    Button,
    Drawing,
    Logo,
    Scene,
    Theme,
    UnsupportedScreen,
    paint,
    renderer,
)
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.urls import DeviceUrl

SIZES = ((320, 240), (333, 257), (240, 320), (250, 122), (481, 275))
NOISE = 0xA5


class Clock:
    """What the renderer sees as `time`."""

    now = 1000.0
    wall = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall


class Pages:
    """A display's memory, noise at first."""

    def __init__(self, geometry: Geometry, count: int) -> None:
        self.geometry = geometry
        self._pages = [bytearray([NOISE]) * (geometry.stride * geometry.height) for _ in range(count)]
        self._seen = 0

    def front(self) -> memoryview:
        return memoryview(self._pages[self._seen])

    def back(self) -> memoryview:
        return memoryview(self._pages[self._seen - 1])

    def flip(self) -> None:
        self._seen = (self._seen + 1) % len(self._pages)

    def check(self) -> None:
        pass

    def changed(self, boxes: Sequence[Box]) -> None:
        for box in boxes:
            assert 0 <= box.x < box.x + box.width <= self.geometry.width
            assert 0 <= box.y < box.y + box.height <= self.geometry.height

    def close(self) -> None:
        pass

    def seen(self) -> bytes:
        geometry = self.geometry
        image = geometry.format.image(self.front(), geometry.width, geometry.height, geometry.stride)
        return image.tobytes()


class StillScreen(DrawnScreen):
    """A screen without a thread: it moves when it is reported to."""

    def _is_animated(self) -> bool:
        return False

    def turn(self) -> None:
        if super()._is_animated():
            self._step()

    def redrawn(self) -> bytes:
        """The current scene, drawn whole at this moment into another memory."""
        assert isinstance(self._memory, Pages)
        memory = Pages(self._memory.geometry, 1)
        other = StillScreen(self._url, memory)
        layout, scene = self._layout, self._scene
        assert layout is not None
        assert scene is not None
        other._left = self._left
        other._draw(layout, qr.encode(scene.qr) if scene.qr else None, scene.theme)
        if layout.spinner is not None:
            pictures = list(paint.spinner(layout.spinner.width))
            other._surface.put(memory.front(), layout.spinner, pictures[self._turns])
        return memory.seen()


@dataclass(frozen=True)
class Turn:
    """Time that passes before the screen moves, and how far the wall's clock goes meanwhile."""

    seconds: float
    wall: float


WORDS = st.lists(
    st.sampled_from(["Для", "оплаты", "NFC", "или", "отсканируйте", "QR-код", "нет", "связи", "№"]), max_size=9
)
TEXTS = WORDS.map(" ".join)
SCENES = st.builds(
    Scene,
    name=st.just("x"),
    headline=TEXTS,
    lines=st.lists(TEXTS, max_size=2).map(tuple),
    amount=st.sampled_from(["", "1,00 ₽", "9 999 999,99 ₽"]),
    qr=st.sampled_from([None, None, "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6"]),
    drawing=st.sampled_from(Drawing),
    prominent=st.integers(0, 2),
    number=st.sampled_from(["", "Обращение № 12"]),
    hint=st.sampled_from(["", "Откройте приложение банка"]),
    status=st.sampled_from(["", "Проверяем оплату"]),
    busy=st.booleans(),
    theme=st.sampled_from(
        [DEFAULT_THEME, Theme(accent=(0x7A, 0x1F, 0xA2), logo=Logo((40, 20), bytes(range(200)) * 16))]
    ),
    buttons=st.sampled_from([(), (Button("b", "Отменить"),), (Button("a", "Да", primary=True), Button("b", "Нет"))]),
    deadline=st.sampled_from([None, Clock.wall - 5, Clock.wall + 0.4, Clock.wall + 61, Clock.wall + 600]),
    deadline_label=st.sampled_from(["", "Осталось"]),
)
TURNS = st.builds(Turn, st.sampled_from([0.07, 0.5, 1.0, 7.0, 300.0]), st.sampled_from([0.0, 1.0, -3600.0, 3600.0]))


@given(
    size=st.sampled_from(SIZES),
    form=st.sampled_from(sorted(FORMATS)),
    rotate=st.sampled_from([0, 90, 180, 270]),
    pad=st.sampled_from([0, 6, 64]),
    pages=st.integers(1, 2),
    steps=st.lists(SCENES | TURNS, min_size=1, max_size=8),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_pixel_is_left_of_what_was_shown_before(
    size: tuple[int, int],
    form: str,
    rotate: int,
    pad: int,
    pages: int,
    steps: list[Scene | Turn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(renderer, "time", clock)
    kind = FORMATS[form]
    memory = Pages(Geometry(*size, kind.row_bytes(size[0]) + pad, kind), pages)
    screen = StillScreen(DeviceUrl.parse(f"sim://?rotate={rotate}"), memory)
    for step in steps:
        if isinstance(step, Turn):
            clock.now += step.seconds
            clock.wall += step.wall
            screen.turn()
        else:
            with contextlib.suppress(UnsupportedScreen):  # then the previous scene stays
                screen.show(step)
        if screen.scene is not None:
            assert memory.seen() == screen.redrawn()
