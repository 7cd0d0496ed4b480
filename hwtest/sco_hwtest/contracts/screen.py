"""The contract of a screen. Each check takes an open screen and raises AssertionError with what was found.

It uses the public protocol and the device's memory (`save_png`), so that it checks what a customer sees. Where the
memory can be read without the driver, it is (`readback`). Codes need a decoder: zxing-cpp, from the extra `simulator`.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sco_drivers.errors import DeviceClosed
from sco_drivers.screen import Button, Drawing, Scene, Screen
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.readback import readback_of, why_not_readable
from sco_payment import attempt as m
from sco_payment.customer.screens import Surroundings, screen_of
from sco_payment.customer.texts import LANGUAGES, RUSSIAN
from sco_payment.customer.ui import scene_of

if TYPE_CHECKING:
    from PIL.Image import Image

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length."""

SUM = "253,00\u00a0₽"
CASE = 123
PRESENT = RUSSIAN.pay
CANCEL = Button("cancel", RUSSIAN.cancel)
RETRY = Button("retry", RUSSIAN.retry, primary=True)


_PLAN = m.Plan("k", "42", 253_00, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=0)
_SHOWN = m.State(_PLAN, m.Phase.WAITING, payment_id="p", link=LINK, presented=True)
_STATES: dict[str, tuple[m.State, m.View]] = {
    "wait": (replace(_SHOWN, phase=m.Phase.CANCELLING), m.View.WAIT),
    "qr": (_SHOWN, m.View.PAY),
    "plate": (replace(_SHOWN, plan=replace(_PLAN, mode=m.Mode.PLATE)), m.View.PAY),
    "paper": (replace(_SHOWN, plan=replace(_PLAN, mode=m.Mode.PRINT)), m.View.PAY),
    "dialog": (replace(_SHOWN, phase=m.Phase.ASKING), m.View.DIALOG),
    "paid": (replace(_SHOWN, phase=m.Phase.PAID), m.View.PAID),
    "unpaid": (replace(_SHOWN, phase=m.Phase.CLOSED), m.View.UNPAID),
    "attendant": (replace(_SHOWN, phase=m.Phase.WATCHING), m.View.ATTENDANT),
    "begin": (m.State(_PLAN), m.View.WAIT),
    "checking": (_SHOWN, m.View.PAY),
    "plate-only": (replace(_SHOWN, plan=replace(_PLAN, mode=m.Mode.PLATE)), m.View.PAY),
    "no-tag": (replace(_SHOWN, plan=replace(_PLAN, mode=m.Mode.PLATE)), m.View.PAY),
}


def scenes(left_s: float = 277.0, language: str = "ru", kopecks: int = 253_00) -> tuple[Scene, ...]:
    """Every scene of a payment as a lane shows it; the countdowns start at `left_s` seconds."""
    texts = LANGUAGES[language]
    ends_at_ms = round((time.time() + left_s) * 1000)

    def scene(name: str) -> Scene:
        state, view = _STATES[name]
        around = Surroundings(
            ends_at_ms,
            case=CASE,
            checking=name == "checking",
            qr_with_plate=name != "plate-only",
            tag_ok=name != "no-tag",
        )
        screen = screen_of(texts, replace(state, plan=replace(state.plan, kopecks=kopecks)), view, around)
        return replace(scene_of(screen, texts), name=name)

    return (
        *(scene(name) for name in _STATES),
        Scene("out-of-service", texts.out_of_service, drawing=Drawing.WRENCH),
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
    """The texts of the codes that an independent decoder finds in `image`."""
    import zxingcpp

    kind = zxingcpp.barcode_formats_from_str("QRCode")
    return [str(found.text) for found in zxingcpp.read_barcodes(image, kind)]


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
        assert image.size == screen.size, f"the picture is {image.size}, the screen reports {screen.size}"
        colours = image.getcolors(image.width * image.height) or []
        assert len(colours) >= 2, f"{scene.name}: nothing is drawn"
        twin = seen.setdefault(image.tobytes(), scene.name)
        assert twin == scene.name, f"{scene.name} looks like {twin}"


def code_is_readable(screen: Screen) -> None:
    """A decoder reads the right link from the device's memory."""
    screen.show(_by_name("qr"))
    found = decoded(look(screen))
    assert found == [LINK], f"the decoder read {found}"


def memory_shows_the_scene(screen: Screen) -> None:
    """The memory, read without the driver, shows the code, and the same picture that the driver reports."""
    read = readback_of(screen)
    assert read is not None, "its memory cannot be read without the driver"
    screen.show(Scene("qr", PRESENT, amount=SUM, qr=LINK, buttons=(CANCEL,)))
    seen = read().picture()
    found = decoded(seen)
    assert found == [LINK], f"the decoder read {found}"
    assert seen.tobytes() == look(screen).tobytes(), "the driver's picture differs from the memory"


def code_disappears(screen: Screen) -> None:
    """The code is gone once another scene is shown."""
    screen.show(_by_name("qr"))
    screen.show(_by_name("paid"))
    found = decoded(look(screen))
    assert not found, f"the decoder still reads {found}"


def long_codes_are_readable(screen: Screen) -> None:
    """A code three times as long as usual is readable."""
    text = LINK + "&x=" + "0123456789" * 22
    screen.show(Scene("qr", PRESENT, amount=SUM, qr=text, buttons=(CANCEL,)))
    found = decoded(look(screen))
    assert found == [text], f"the decoder read {found}"


def buttons_answer(screen: Screen) -> None:
    """Both buttons respond where they are shown, the first on the left or above, and nothing else does."""
    screen.show(_by_name("dialog"))
    later = time.monotonic() + 60  # a touch that cannot belong to the previous scene
    hits: dict[str, list[tuple[int, int]]] = {}
    for x, y in _points(screen):
        action = screen.button_at(x, y, later)
        if action is not None:
            hits.setdefault(action, []).append((x, y))
    assert set(hits) == {"retry", "cancel"}, f"the screen responds with {sorted(hits)}"
    assert min(hits["retry"]) < min(hits["cancel"]) or hits["retry"][0][1] < hits["cancel"][0][1], "wrong order"
    share = sum(map(len, hits.values())) / len(_points(screen))
    assert share < 0.5, f"{share:.0%} of the screen is buttons"


def no_tap_through(screen: Screen) -> None:
    """A touch that began before the scene was shown presses nothing, and a button that is gone cannot be pressed."""
    screen.show(_by_name("wait"))
    before = time.monotonic()
    screen.show(_by_name("dialog"))
    assert all(screen.button_at(x, y, before) is None for x, y in _points(screen, 16)), "an old touch pressed a button"
    screen.show(_by_name("wait"))
    later = time.monotonic() + 60
    assert all(screen.button_at(x, y, later) is None for x, y in _points(screen, 16)), "a removed button was pressed"


def keyboard_presses_buttons(screen: Screen) -> None:
    """The n-th key of a keyboard presses the n-th button."""
    screen.show(_by_name("dialog"))
    later = time.monotonic() + 60
    found = [screen.button_at(-1 - n, -1, later) for n in range(3)]
    assert found == ["retry", "cancel", None], f"the keys press {found}"


def closes_twice(screen: Screen) -> None:
    """`close` may be called twice; later calls raise DeviceClosed. Leaves the screen closed."""
    screen.close()
    screen.close()
    try:
        screen.show(_by_name("wait"))
    except DeviceClosed:
        return
    raise AssertionError("a closed screen accepted a scene")


CHECKS: tuple[Check[Screen], ...] = (
    Check(shows_every_scene),
    Check(code_is_readable),
    Check(memory_shows_the_scene, why_not_readable),
    Check(code_disappears),
    Check(long_codes_are_readable),
    Check(buttons_answer),
    Check(no_tap_through),
    Check(keyboard_presses_buttons),
    Check(closes_twice),
)
"""In this order; the last one leaves the screen closed."""
