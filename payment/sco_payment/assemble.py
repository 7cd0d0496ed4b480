"""A lane from its settings: journal, PayMaster's client, devices, screen. The one place that knows them all."""

from __future__ import annotations

from functools import partial

from sco_drivers import open_nfc, open_printer, open_screen, open_touch
from sco_payment.acquirer import Bank
from sco_payment.devices import Held
from sco_payment.journal import Journal
from sco_payment.lane import Lane, Message, Observer, nobody
from sco_payment.machine import Plan
from sco_payment.money import for_people
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.token import Token
from sco_payment.present import Presenter
from sco_payment.runtime import Runtime, ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE, Settings
from sco_payment.texts import LANGUAGES
from sco_payment.ui import LaneUI, NoUI, ScreenUI, SeveralUIs


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
    touch = Held(partial(open_touch, devices.touch)) if devices.touch else None
    return ScreenUI(Held(partial(open_screen, devices.screen)), touch, LANGUAGES[settings.lane.language])


def open_lane(
    settings: Settings,
    *,
    ui: LaneUI | None = None,
    also_show_on: tuple[LaneUI, ...] = (),
    observer: Observer = nobody,
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
        JournalError: the journal cannot be opened for writing. TokenError, ValueError: see `open_client`.
    """
    client = open_client(settings, token)
    journal = Journal(settings.journal.path)
    runtime = ThreadRuntime() if runtime is None else runtime
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
        ),
        presenter=Presenter(
            settings,
            LANGUAGES[settings.lane.language],
            printer=Held(partial(open_printer, devices.printer)) if devices.printer else None,
            nfc=Held(partial(open_nfc, devices.nfc)) if devices.nfc else None,
            wall=runtime.wall,
        ),
        ui=SeveralUIs(first, also_show_on) if also_show_on else first,
        runtime=runtime,
        observer=observer,
    )


def _description(shop: str, plan: Plan) -> str:
    """What the customer reads in the bank's app."""
    return f"{shop}, заказ {plan.order_no}, {for_people(plan.kopecks)}"
