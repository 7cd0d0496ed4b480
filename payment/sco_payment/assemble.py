"""A lane from its settings: journal, acquirer, devices, screen. The one place that knows them all."""

from __future__ import annotations

import gc
import importlib
import logging
from functools import partial
from pathlib import Path

from sco_drivers import DeviceError, open_display, open_nfc, open_printer, open_screen, open_touch
from sco_drivers.nfc.endurance import EnduranceExceeded, WriteEndurance
from sco_drivers.nfc.guard import GuardEvent
from sco_drivers.registry import Kind, traits
from sco_drivers.urls import Traits
from sco_payment.acquirer import open_acquirer
from sco_payment.attempt import Message
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.qr_display import CodeDisplay
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.theme import load_theme
from sco_payment.customer.ui import Choose, LaneUI, NoUI, ScreenUI, SeveralUIs
from sco_payment.devices import ReopeningDevice
from sco_payment.events import Observer, TagChanged, TagEnduranceExceeded, isolated, null_observer, stamped
from sco_payment.journal.opening import open_journal
from sco_payment.lane import Lane, LaneDevice
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
    """The lane's own screen on the settings' devices; `NoUI` where the lane has none."""
    devices = settings.devices
    if not devices.screen:
        return NoUI()
    if _traits("screen", devices.screen).owns_console:
        importlib.import_module(
            "sco_drivers.screen.console"
        ).watch_exits()  # here, because the screen is opened in another thread
    touch = [ReopeningDevice(partial(open_touch, url)) for url in devices.touch]
    screen = ReopeningDevice(partial(open_screen, devices.screen))
    return ScreenUI(screen, touch, LANGUAGES[settings.lane.language], theme=load_theme(settings))


def _screen_devices(screen: LaneUI, settings: Settings) -> list[LaneDevice]:
    if not isinstance(screen, ScreenUI):
        return []
    devices = settings.devices
    panels = [LaneDevice("touch", url, device) for url, device in zip(devices.touch, screen.panels, strict=True)]
    return [LaneDevice("screen", devices.screen, screen.screen), *panels]


def _traits(kind: Kind, url: str) -> Traits:
    """What the driver states about itself; without a driver nothing is known, and opening the device will report it."""
    try:
        return traits(kind, url)
    except DeviceError:
        return Traits()


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
        ui: the lane's screen, instead of the one on `devices.screen`.
        also_show_on: further screens that show the same.
        observer: receives the lane's events; what it raises is logged.
        runtime: time and threads; real ones by default.
        token: the acquirer's credential, instead of the one that the settings name; a `paymaster.token.Token` for
            PayMaster.

    Raises:
        JournalError: the journal cannot be opened for writing. ValueError: the acquirer cannot be opened, see
            `acquirer.open_acquirer`. TypeError: a screen without `show` or `close`, which would otherwise be noticed
            only in the middle of a payment.
    """
    for given in (*also_show_on, *(() if ui is None else (ui,))):
        _check_ui(given)
    runtime = ThreadRuntime() if runtime is None else runtime
    acquirer = open_acquirer(settings, _LaneClock(runtime), token)
    journal = open_journal(settings, acquirer.name)
    gc.collect()  # what the imports left over; the devices' drivers then find room
    observer = stamped(isolated(observer), runtime.now)
    texts = LANGUAGES[settings.lane.language]
    devices = settings.devices
    first = screen_ui(settings) if ui is None else ui
    printer = ReopeningDevice(partial(open_printer, devices.printer)) if devices.printer else None
    nfc = ReopeningDevice(partial(open_nfc, devices.nfc)) if devices.nfc else None
    display = ReopeningDevice(partial(open_display, devices.display)) if devices.display else None
    used = (("printer", devices.printer, printer), ("nfc", devices.nfc, nfc), ("display", devices.display, display))
    lane = Lane(
        settings,
        journal=journal,
        acquirer=acquirer,
        presenter=Presenter(
            settings,
            texts,
            printer=printer,
            nfc=nfc,
            wall=runtime.wall,
            clock_ahead_s=lambda: acquirer.clock_ahead_s,
            on_tag=partial(_report_tag, observer),
            endurance=_write_endurance(settings, observer),
            display=None if display is None else CodeDisplay(settings, display),
        ),
        ui=SeveralUIs(first, also_show_on) if also_show_on else first,
        runtime=runtime,
        observer=observer,
        devices=[
            *(LaneDevice(kind, url, device) for kind, url, device in used if device is not None),
            *_screen_devices(first, settings),
        ],
    )
    for screen in (first, *also_show_on):
        bind_screen(screen, lane.choose)
    return lane


def bind_screen(screen: LaneUI, choose: Choose) -> None:
    """Give a screen that has a method `bind` the function that takes the customer's choices."""
    bind = getattr(screen, "bind", None)
    if bind is not None:
        bind(choose)


def _check_ui(ui: object) -> None:
    if isinstance(ui, type):
        raise TypeError(f"{ui.__name__} is a class: pass an object of it")
    missing = [name for name in ("show", "close") if not callable(getattr(ui, name, None))]
    if missing:
        raise TypeError(f"{type(ui).__name__} is not a lane screen: it lacks {', '.join(missing)}")


def _never_set() -> float:
    """For a runtime that has no wall clock of its own."""
    return 0.0


def _report_tag(observer: Observer, event: GuardEvent) -> None:
    log.warning("the NFC tag: %s%s", event.error or "in order again", "; out of use" if event.disabled else "")
    observer(
        TagChanged(
            problem=None if event.error is None else str(event.error),
            disabled=event.disabled,
            needs_operator=event.needs_attendant,
        )
    )


def _write_endurance(settings: Settings, observer: Observer) -> WriteEndurance | None:
    """The count of a dynamic tag's writes, in a file next to the journal. A simulated tag is a new one each time."""
    nfc = settings.devices.nfc
    if settings.display.plate != "dynamic" or not nfc or _traits("nfc", nfc).simulated:
        return None
    journal = Path(settings.journal.path)
    return WriteEndurance(journal.with_name(journal.name + ".tags"), partial(_report_endurance, observer))


def _report_endurance(observer: Observer, exceeded: EnduranceExceeded) -> None:
    uid = exceeded.uid.hex()
    log.error(
        "the NFC tag %s was written %d times; it is rated for %d: replace it", uid, exceeded.writes, exceeded.life
    )
    observer(TagEnduranceExceeded(uid=uid, write_count=exceeded.writes, endurance=exceeded.life))
