"""What any screen must do, on any URL. Each check takes an open screen and raises AssertionError with what was found.

Works through the public protocol and the device's own memory (`save_png`), so that it judges what a customer sees;
where the memory can be read past the driver, it is (`eye`).
Needs a decoder (zxing-cpp, the extra `simulator`) for the codes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sco_drivers.errors import DeviceClosed
from sco_drivers.screen import Button, Drawing, Scene, Screen
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.readback import eye_on
from sco_payment.customer.texts import LANGUAGES, RUSSIAN

if TYPE_CHECKING:
    from PIL.Image import Image

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length."""

SUM = "253,00\u00a0₽"
CASE = 123
PRESENT = RUSSIAN.pay
CANCEL = Button("cancel", RUSSIAN.cancel)
RETRY = Button("retry", RUSSIAN.retry, primary=True)


def scenes(left_s: float = 277.0, language: str = "ru") -> tuple[Scene, ...]:
    """Every scene of a payment as a lane shows it, with `left_s` seconds on the countdowns."""
    end, say = time.time() + left_s, LANGUAGES[language]
    cancel, retry = Button("cancel", say.cancel), Button("retry", say.retry, primary=True)

    def timed(name: str, headline: str, *lines: str, **rest: Any) -> Scene:
        return Scene(name, headline, lines, SUM, deadline=end, deadline_label=say.time_left, **rest)

    return (
        Scene("wait", say.wait, drawing=Drawing.SPINNER),
        timed("qr", say.pay, qr=LINK, buttons=(cancel,)),
        timed("plate", say.pay, say.scan_plate, drawing=Drawing.TAP_OR_SCAN, buttons=(cancel,)),
        timed("paper", say.wait, say.scan_ticket, drawing=Drawing.SPINNER, buttons=(cancel,)),
        timed("dialog", say.dialog, buttons=(retry, cancel)),
        Scene("paid", say.paid, amount=SUM, drawing=Drawing.TICK),
        Scene("unpaid", say.unpaid, drawing=Drawing.CROSS),
        Scene("attendant", say.attendant, (say.case.format(number=CASE),), SUM, drawing=Drawing.ATTENDANT),
        Scene("out-of-service", say.out_of_service, drawing=Drawing.WRENCH),
    )


def look(screen: Screen) -> Image:
    """What the device's memory shows now, as an RGB image."""
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="sco-look-") as folder:
        path = str(Path(folder) / "screen.png")
        screen.save_png(path)
        with Image.open(path) as image:
            return image.convert("RGB")


def decoded(image: Image) -> list[str]:
    """The codes that an independent decoder finds in `image`."""
    import zxingcpp

    return [str(found.text) for found in zxingcpp.read_barcodes(image)]


def _by_name(name: str) -> Scene:
    return next(scene for scene in scenes() if scene.name == name)


def _points(screen: Screen, step: int = 8) -> list[tuple[int, int]]:
    wide, high = screen.size
    return [(x, y) for y in range(0, high, step) for x in range(0, wide, step)]


def shows_every_scene(screen: Screen) -> None:
    """Every scene is drawn, and no two look the same."""
    seen: dict[bytes, str] = {}
    for scene in scenes():
        screen.show(scene)
        image = look(screen)
        assert image.size == screen.size, f"the picture is {image.size}, the screen says {screen.size}"
        colours = image.getcolors(maxcolors=1 << 24) or []
        assert len(colours) >= 2, f"{scene.name}: nothing is drawn"
        twin = seen.setdefault(image.tobytes(), scene.name)
        assert twin == scene.name, f"{scene.name} looks like {twin}"


def code_reads(screen: Screen) -> None:
    """The code is read from the device's memory, and says what it should."""
    screen.show(_by_name("qr"))
    found = decoded(look(screen))
    assert found == [LINK], f"the decoder read {found}"


def raw_memory_reads(screen: Screen) -> None:
    """The device's memory, read and turned without the driver, shows the code and what the driver says it shows."""
    read = eye_on(screen)
    if read is None:
        return
    screen.show(Scene("qr", PRESENT, amount=SUM, qr=LINK, buttons=(CANCEL,)))
    seen = read().picture()
    found = decoded(seen)
    assert found == [LINK], f"the decoder read {found}"
    assert seen.tobytes() == look(screen).tobytes(), "the driver's picture of its memory is not what the memory holds"


def code_goes(screen: Screen) -> None:
    """Nothing of a code is left once another scene stands."""
    screen.show(_by_name("qr"))
    screen.show(_by_name("paid"))
    found = decoded(look(screen))
    assert not found, f"the decoder still reads {found}"


def long_codes_read(screen: Screen) -> None:
    """A code three times as long as usual is still read."""
    text = LINK + "&x=" + "0123456789" * 22
    screen.show(Scene("qr", PRESENT, amount=SUM, qr=text, buttons=(CANCEL,)))
    found = decoded(look(screen))
    assert found == [text], f"the decoder read {found}"


def buttons_answer(screen: Screen) -> None:
    """Both buttons answer where they stand, the first on the left or above, and nothing else does."""
    screen.show(_by_name("dialog"))
    later = time.monotonic() + 60  # a press that cannot have been meant for the scene before
    hits: dict[str, list[tuple[int, int]]] = {}
    for x, y in _points(screen):
        action = screen.button_at(x, y, later)
        if action is not None:
            hits.setdefault(action, []).append((x, y))
    assert set(hits) == {"retry", "cancel"}, f"the glass answers {sorted(hits)}"
    assert min(hits["retry"]) < min(hits["cancel"]) or hits["retry"][0][1] < hits["cancel"][0][1], "wrong order"
    share = sum(map(len, hits.values())) / len(_points(screen))
    assert share < 0.5, f"{share:.0%} of the glass is buttons"


def no_tap_through(screen: Screen) -> None:
    """A finger that came down before the scene stood does not press its buttons; nor is a gone button pressed."""
    screen.show(_by_name("wait"))
    before = time.monotonic()
    screen.show(_by_name("dialog"))
    assert all(screen.button_at(x, y, before) is None for x, y in _points(screen, 16)), "an old touch answered"
    screen.show(_by_name("wait"))
    later = time.monotonic() + 60
    assert all(screen.button_at(x, y, later) is None for x, y in _points(screen, 16)), "a gone button answered"


def keyboard_answers(screen: Screen) -> None:
    """A keyboard's tap means the n-th button."""
    screen.show(_by_name("dialog"))
    later = time.monotonic() + 60
    found = [screen.button_at(-1 - n, -1, later) for n in range(3)]
    assert found == ["retry", "cancel", None], f"the keys answer {found}"


def closes_twice(screen: Screen) -> None:
    """`close` may be called twice, and what comes after is told so. Leaves the screen closed."""
    screen.close()
    screen.close()
    try:
        screen.show(_by_name("wait"))
    except DeviceClosed:
        return
    raise AssertionError("a closed screen took a scene")


CHECKS: tuple[Check[Screen], ...] = tuple(
    Check(run)
    for run in (
        shows_every_scene,
        code_reads,
        raw_memory_reads,
        code_goes,
        long_codes_read,
        buttons_answer,
        no_tap_through,
        keyboard_answers,
        closes_twice,
    )
)
"""In this order; the last one leaves the screen closed."""
