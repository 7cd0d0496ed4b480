"""A lane from its settings: journal, acquirer, devices, screen. The one place that knows them all."""

from __future__ import annotations

import gc
import logging
from functools import partial
from pathlib import Path

from sco_drivers import open_nfc, open_printer, open_screen, open_touch
from sco_drivers.nfc.endurance import EnduranceExceeded, WriteEndurance
from sco_drivers.nfc.guard import GuardEvent
from sco_payment.acquirer import open_acquirer
from sco_payment.attempt import Message
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import LaneUI, NoUI, ScreenUI, SeveralUIs
from sco_payment.devices import ReopeningDevice
from sco_payment.events import Observer, isolated, null_observer
from sco_payment.journal import Journal
from sco_payment.lane import Lane
from sco_payment.runtime import Runtime, ThreadRuntime
from sco_payment.settings import Settings

log = logging.getLogger(__name__)


class _LaneClock:
    """A runtime as an acquirer's clock; a test's time is never set."""

    def __init__(self, runtime: Runtime[Message]) -> None:
        self.now = runtime.now
        self.wall = runtime.wall
        self.clock_was_set_by = runtime.clock_was_set_by if isinstance(runtime, ThreadRuntime) else _never_set


def screen_ui(settings: Settings) -> LaneUI:
    """Our own screen on the settings' devices; `NoUI` where the lane has none."""
    devices = settings.devices
    if not devices.screen:
        return NoUI()
    if devices.screen.removeprefix("spy+").startswith(("fb:", "drm:")):
        from sco_drivers.screen.console import watch_exits

        watch_exits()  # here, since the screen is opened in another thread
    touch = ReopeningDevice(partial(open_touch, devices.touch)) if devices.touch else None
    return ScreenUI(ReopeningDevice(partial(open_screen, devices.screen)), touch, LANGUAGES[settings.lane.language])


def open_lane(
    settings: Settings,
    *,
    ui: LaneUI | None = None,
    also_show_on: tuple[LaneUI, ...] = (),
    observer: Observer = null_observer,
    runtime: Runtime[Message] | None = None,
    token: object | None = None,
) -> Lane:
    """A lane that is ready to pay. Devices are opened when first used; no request is sent yet.

    Args:
        settings: validated settings.
        ui: the lane's own screen, in place of ours on `devices.screen`.
        also_show_on: further screens that show the same.
        observer: is told what happens.
        runtime: time and threads; real ones by default.
        token: the acquirer's credential, where it comes from elsewhere than the settings say; a
            `paymaster.token.Token` for PayMaster.

    Raises:
        JournalError: the journal cannot be opened for writing. ValueError: the acquirer cannot be opened, see
            `acquirer.open_acquirer`. TypeError: a screen without `show`, `ask` or `close`, which would be missed only
            in the middle of a payment.
    """
    for given in (*also_show_on, *(() if ui is None else (ui,))):
        _check_ui(given)
    runtime = ThreadRuntime() if runtime is None else runtime
    acquirer = open_acquirer(settings, _LaneClock(runtime), token)
    journal = Journal(settings.journal.path, lane_id=settings.lane.pos_id, acquirer=acquirer.name)
    gc.collect()  # what the imports left behind; the devices' drivers then find room
    observer = isolated(observer)
    devices = settings.devices
    first = screen_ui(settings) if ui is None else ui
    return Lane(
        settings,
        journal=journal,
        acquirer=acquirer,
        presenter=Presenter(
            settings,
            LANGUAGES[settings.lane.language],
            printer=ReopeningDevice(partial(open_printer, devices.printer)) if devices.printer else None,
            nfc=ReopeningDevice(partial(open_nfc, devices.nfc)) if devices.nfc else None,
            wall=runtime.wall,
            on_tag=partial(_tell_of_tag, observer),
            wear=_tag_wear(settings, observer),
        ),
        ui=SeveralUIs(first, also_show_on) if also_show_on else first,
        runtime=runtime,
        observer=observer,
    )


def _check_ui(ui: object) -> None:
    if isinstance(ui, type):
        raise TypeError(f"{ui.__name__} is a class: pass an object of it")
    missing = [name for name in ("show", "ask", "close") if not callable(getattr(ui, name, None))]
    if missing:
        raise TypeError(f"{type(ui).__name__} is no screen of a lane: it has no {', '.join(missing)}")


def _never_set() -> float:
    """Of a test's clock."""
    return 0.0


def _tell_of_tag(observer: Observer, event: GuardEvent) -> None:
    log.warning("the NFC tag: %s%s", event.error or "well again", "; out of use" if event.disabled else "")
    observer(
        "tag",
        {
            "found": None if event.error is None else str(event.error),
            "disabled": event.disabled,
            "needs_person": event.needs_attendant,
        },
    )


def _tag_wear(settings: Settings, observer: Observer) -> WriteEndurance | None:
    """The count of a dynamic tag's writes, beside the journal. A simulated tag is a new one each time."""
    nfc = settings.devices.nfc.removeprefix("spy+")
    if settings.display.plate != "dynamic" or not nfc or nfc.startswith("sim:"):
        return None
    journal = Path(settings.journal.path)
    return WriteEndurance(journal.with_name(journal.name + ".tags"), partial(_tell_of_wear, observer))


def _tell_of_wear(observer: Observer, worn: EnduranceExceeded) -> None:
    log.error(
        "the NFC tag %s was written %d times; it is made for %d: have it changed",
        worn.uid.hex(),
        worn.writes,
        worn.life,
    )
    observer("tag_worn", {"uid": worn.uid.hex(), "writes": worn.writes, "life": worn.life})
