"""A lane from its settings: journal, PayMaster's client, devices, screen. The one place that knows them all."""

from __future__ import annotations

import gc
import logging
from functools import partial
from pathlib import Path

from sco_drivers import open_nfc, open_printer, open_screen, open_touch
from sco_drivers.nfc.endurance import EnduranceExceeded, WriteEndurance
from sco_drivers.nfc.guard import GuardEvent
from sco_payment.attempt import Message, Plan
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import LaneUI, NoUI, ScreenUI, SeveralUIs
from sco_payment.devices import ReopeningDevice
from sco_payment.events import Observer, isolated, null_observer
from sco_payment.journal import Journal
from sco_payment.lane import Lane
from sco_payment.money import format_amount
from sco_payment.paymaster.adapter import Bank
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.token import Token
from sco_payment.runtime import Runtime, ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE, Settings

log = logging.getLogger(__name__)


def open_token(settings: Settings) -> Token:
    """The token, from the file that the settings name, else from the environment.

    Raises:
        TokenError: it is not there, or the file may be read by others.
    """
    if settings.paymaster.token_file:
        return Token.from_file(settings.paymaster.token_file)
    return Token.from_environment(TOKEN_VARIABLE)


def open_client(settings: Settings, token: Token | None = None) -> PayMaster:
    """PayMaster's client as the settings describe it, with `token` or the settings' own; nothing is sent yet.

    Raises:
        TokenError, ValueError: token, address or CA file cannot be used.
    """
    paymaster = settings.paymaster
    return PayMaster(
        paymaster.base_url,
        open_token(settings) if token is None else token,
        paymaster.merchant_id,
        connect_timeout_s=paymaster.connect_timeout_s,
        read_timeout_s=paymaster.read_timeout_s,
        test_mode=paymaster.test_mode,
        ca_file=paymaster.ca_file or None,
    )


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
    token: Token | None = None,
) -> Lane:
    """A lane that is ready to pay. Devices are opened when first used; no request is sent yet.

    Args:
        settings: validated settings.
        ui: the lane's own screen, in place of ours on `devices.screen`.
        also_show_on: further screens that show the same.
        observer: is told what happens.
        runtime: time and threads; real ones by default.
        token: PayMaster's token, where it comes from elsewhere than the settings say.

    Raises:
        JournalError: the journal cannot be opened for writing. TokenError, ValueError: see `open_client`. TypeError: a
            screen without `show`, `ask` or `close`, which would be missed only in the middle of a payment.
    """
    for given in (*also_show_on, *(() if ui is None else (ui,))):
        _check_ui(given)
    client = open_client(settings, token)
    journal = Journal(settings.journal.path)
    gc.collect()  # what the imports left behind; the devices' drivers then find room
    runtime = ThreadRuntime() if runtime is None else runtime
    observer = isolated(observer)
    devices = settings.devices
    first = screen_ui(settings) if ui is None else ui
    return Lane(
        settings,
        journal=journal,
        bank=Bank(
            client,
            runtime.now,
            states=settings.paymaster.states,
            describe=partial(_description, settings.lane.shop),
            callback_url=settings.paymaster.callback_url or None,
            pos_id=settings.lane.pos_id,
            wall=runtime.wall,
            clock_was_set_by=runtime.clock_was_set_by if isinstance(runtime, ThreadRuntime) else _never_set,
            test_mode=settings.paymaster.test_mode,
        ),
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
            "needs_person": event.needs_person,
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


def _description(shop: str, plan: Plan) -> str:
    """What the customer reads in the bank's app."""
    return f"{shop}, заказ {plan.order_no}, {format_amount(plan.kopecks)}"
