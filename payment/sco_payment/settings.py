"""The settings of a lane: every section and setting with its default, its limits and what it means.

`settings_reader` reads them from a TOML file and the environment, and checks them.
"""

# ruff: noqa: RUF009 - `_setting` is `dataclasses.field` with the reference's description next to the default

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sco_payment.attempt import Mode, Timing

TOKEN_VARIABLE = "SCO_PAYMASTER_TOKEN"  # noqa: S105 - the variable's name, not a token
SERVICE_TOKEN_VARIABLE = "SCO_SERVICE_TOKEN"  # noqa: S105 - of a till; not a setting of the lane
LOCAL = (
    "lane.pos_id",
    "lane.acquirer",
    "acquirer_options.*",
    "devices.*",
    "journal.*",
    "fleet.*",
    "paymaster.base_url",
    "paymaster.ca_file",
    "paymaster.proxy",
    "paymaster.proxy_login_file",
    "paymaster.test_mode",
    "service.listen",
    "service.tls_certificate",
    "service.tls_key",
    "service.host_names",
    "service.operators_file",
    "service.clients",
)
"""What only the lane's own file sets: which lane it is, what is plugged in, where its journal is, who takes its
payments and gets its token, whether test payments count as money, who may use it and whom it obeys. Settings from the
fleet never name these."""


def _setting(
    default: Any,
    doc: str,
    *,
    min: float | None = None,  # noqa: A002 - the word for it
    max: float | None = None,  # noqa: A002
    choices: tuple[str, ...] = (),
) -> Any:
    """A setting; of a text, `max` counts characters of one printable line."""
    metadata = {"doc": doc, "min": min, "max": max, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """Who and where the lane is."""

    pos_id: str = _setting("", "PosID: the lane's id at PayMaster", max=64)
    shop: str = _setting("", "the shop's name, as the customer reads it on the ticket and in the bank's app", max=64)
    profile: str = _setting("4:3", "shape of the screen; mixed payment exists only on 4:3", choices=("4:3", "16:9"))
    language: str = _setting("ru", "language of the lane's texts", choices=("ru", "en"))
    acquirer: str = _setting("paymaster", "who takes the payments: paymaster, or the name of an installed adapter")
    result_s: float = _setting(5.0, "how long the screen shows paid or not paid", min=0, max=60)
    logo: str = _setting(
        "", "PNG file next to «Откройте приложение банка», e.g. the sign of SBP; relative: from the settings file"
    )
    accent: str = _setting("", "colour of the button that stands out and of the drawings, as #rrggbb; empty: blue")
    theme: str = _setting(
        "",
        "TOML file with the shop's colours; refused if a text in them cannot be read; relative: from the settings file",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PayMasterSettings:
    """How to reach PayMaster."""

    base_url: str = _setting("https://paymaster.ru", "service address; plain http is allowed only to this machine")
    merchant_id: str = _setting("", "merchant id, from PayMaster's account page")
    token_file: str = _setting(
        "", f"file with the token, mode 0600, read again when PayMaster refuses it; empty: it is in {TOKEN_VARIABLE}"
    )
    ca_file: str = _setting("", "PEM file of certificate authorities; empty: those of the system")
    proxy: str = _setting(
        "", "http://host:port of the proxy to reach PayMaster through; empty: none, whatever the environment says"
    )
    proxy_login_file: str = _setting("", "file with user:password for the proxy, mode 0600; empty: it asks for none")
    test_mode: bool = _setting(False, "create test payments")
    connect_timeout_s: float = _setting(3.0, "how long connecting may take", min=0.1, max=30)
    read_timeout_s: float = _setting(7.0, "how long PayMaster may take to answer", min=0.1, max=60)
    callback_url: str = _setting("", "where PayMaster sends notifications; the lane itself does not need them")
    states: dict[str, int] = _setting(
        {},
        "order state (1 to 6) of a PayMaster status; extends the built-in table, whose words cannot become paid (5) or "
        "closed (6) here",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplaySettings:
    """How the customer gets the link."""

    mode: int = _setting(
        1, "0: printed on the receipt tape; 1: on the lane's screen; 2: plate or NFC tag", min=0, max=2
    )
    plate: str = _setting(
        "static",
        "mode 2. static: the lane activates the cash link on plate and tag; dynamic: it writes each link to the tag",
        choices=("static", "dynamic"),
    )
    qr_on_screen: bool = _setting(True, "mode 1 with devices.display: show the QR code on the screen too")
    sticker_id: str = _setting("", "mode 2 static: id of the cash link that the lane activates")
    plate_link: str = _setting("", "mode 2 static: the link that plate and tag carry")
    qr_with_plate: bool = _setting(True, "mode 2: show the QR code on the screen too")
    link_hosts: tuple[str, ...] = _setting(
        (),
        "hosts whose links may be shown besides nspk.ru and the acquirer's own, with their subdomains; links to any "
        "other are refused",
    )
    retract_ticket: str = _setting(
        "end",
        "mode 0, a printer that holds the ticket in its output: when one that nobody took is retracted. end: when the "
        "payment ends or its link expires; expiry: when its link expires; never: before the next ticket only",
        choices=("end", "expiry", "never"),
    )
    qr_mm: float = _setting(40.0, "mode 0: side of the printed code in mm, quiet zone included", min=20, max=72)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSettings:
    """What mode 0 prints besides the shop, the amount, the code and how long it can be paid."""

    logo: str = _setting("", "picture at the top, e.g. a PNG file; relative: from the settings file; empty: none")
    logo_mm: float = _setting(40.0, "width of the logo in mm", min=5, max=112)
    header: str = _setting("", "lines under the shop's name, separated by line breaks")
    footer: str = _setting("", "lines at the end, separated by line breaks")
    lane: bool = _setting(True, "print the lane's PosID")
    date_time: bool = _setting(True, "print when the payment began")
    order: bool = _setting(True, "print the order's number")
    not_a_receipt: bool = _setting(True, 'print "не является кассовым чеком"')


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """URLs of the lane's devices; empty: the lane has no such device."""

    printer: str = _setting("", "receipt printer, e.g. tcp://10.0.0.5:9100")
    nfc: str = _setting("", "NFC reader of the tag, e.g. pn532:///dev/ttyS1?baud=921600")
    nfc_uid: str = _setting("", "UID of the lane's tag in hex; empty: any tag is accepted")
    screen: str = _setting("", "screen, e.g. fb:///dev/fb0; empty or none:// if the lane's own software draws")
    touch: tuple[str, ...] = _setting(
        (),
        "touch panel, e.g. evdev:///dev/sco/touch; a list for several: panel, keypad, buttons. In the environment "
        "separated by spaces",
    )
    display: str = _setting("", "customer QR display for display mode 1, e.g. mertech:///dev/sco/display")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSettings:
    """The timing of a payment."""

    poll_interval_s: float = _setting(3.0, "between two status requests", min=0.1, max=60)
    poll_timeout_s: float = _setting(
        90.0, "how long to wait for a status of PayMaster before the customer is asked", min=1, max=3600
    )
    invoice_life_s: float = _setting(
        300.0, "how long the link can be paid; of a static plate at most 1200", min=60, max=86400
    )
    create_window_s: float = _setting(20.0, "how long to try to create the payment", min=1, max=120)
    create_retry_s: float = _setting(2.0, "between two tries to create the payment", min=0.1, max=30)
    present_timeout_s: float = _setting(
        40.0, "after how long a link counts as presented if the device reports nothing", min=1, max=120
    )
    confirm_timeout_s: float = _setting(
        15.0, "how long to wait for the final status before a case is opened", min=1, max=120
    )
    watch_interval_s: float = _setting(30.0, "between two status requests in the background", min=1, max=600)
    tag_check_s: float = _setting(30.0, "between two checks of the NFC tag while the lane is idle", min=1, max=3600)
    grace_s: float = _setting(600.0, "how long to watch for late money after the link has expired", min=0, max=86400)
    overdue_days: float = _setting(
        7.0, "for how many days after that to ask about a payment without a final status", min=0, max=90
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogSettings:
    """The dialog Повторить / Отменить. It never cancels without an answer."""

    again: bool = _setting(False, "after Повторить, show the dialog again after each further poll timeout")
    poll_while_shown: bool = _setting(True, "keep polling while the dialog is shown; a final status closes the dialog")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the journal is kept, and what remembers its last row."""

    path: str = _setting(
        "",
        "SQLite file on a disk that survives power loss; its folder must exist; relative: from the settings file",
    )
    anchor: str = _setting(
        "",
        "file, best on another disk, that remembers the journal's last row, so that a lost journal or an older copy is "
        "noticed; empty: one in the unit's state folder (STATE_DIRECTORY), where that is not the journal's",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The lane as a local service (`sco-pay serve`), for tills and browsers. Without it nothing here is used."""

    listen: str = _setting(
        "127.0.0.1:8723", "address and port; another address than this machine's own only with tls_certificate"
    )
    tls_certificate: str = _setting("", "PEM file with the certificate and its chain; empty: plain HTTP")
    tls_key: str = _setting("", "PEM file with the certificate's key, mode 0600")
    host_names: str = _setting(
        "", "names by which clients reach the lane, separated by spaces, besides 127.0.0.1 and localhost", max=500
    )
    taken_within_s: float = _setting(
        120.0, "after how long an outcome of paid that the till has not taken becomes a case", min=1, max=3600
    )
    screen_without_token: bool = _setting(
        True, "browsers on this machine get the screen and may press its buttons without a token"
    )
    attendant_language: str = _setting("ru", "language of the page /attendant", choices=("ru", "en"))
    operators_file: str = _setting(
        "", "file with one `name: PIN` a line, mode 0600; closing a case then needs the PIN. Empty: a name is enough"
    )
    clients: dict[str, dict[str, str]] = _setting(
        {},
        "who may use the service: [service.clients.NAME] with role (till, attendant or monitor) and token_file, a file "
        "of mode 0600",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """The chain's server (`sco-fleet serve`), which gets the journal and may give settings. Without `url` nothing here
    is used."""

    url: str = _setting("", "the server's address; plain http is allowed only to this machine; empty: no fleet")
    token_file: str = _setting("", "file with the lane's token at the fleet, mode 0600")
    ca_file: str = _setting("", "PEM file of certificate authorities; empty: those of the system")
    ship_interval_s: float = _setting(5.0, "how long a record may wait for further ones", min=0.1, max=3600)
    heartbeat_s: float = _setting(60.0, "between two reports of the lane's health", min=1, max=3600)
    batch_rows: int = _setting(200, "records in one request", min=1, max=500)
    timeout_s: float = _setting(15.0, "how long a request may take", min=1, max=120)
    longest_wait_s: float = _setting(300.0, "longest time between two tries without an answer", min=1, max=3600)
    settings_key: tuple[str, ...] = _setting(
        (),
        "public key of `sco-fleet settings keygen` whose settings the lane takes; a list of two while one replaces the "
        "other; empty: none accepted",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one lane."""

    lane: LaneSettings = field(default_factory=LaneSettings)
    paymaster: PayMasterSettings = field(default_factory=PayMasterSettings)
    display: DisplaySettings = field(default_factory=DisplaySettings)
    ticket: TicketSettings = field(default_factory=TicketSettings)
    devices: DeviceSettings = field(default_factory=DeviceSettings)
    timing: TimingSettings = field(default_factory=TimingSettings)
    dialog: DialogSettings = field(default_factory=DialogSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    service: ServiceSettings = field(default_factory=ServiceSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    acquirer_options: dict[str, Any] = field(default_factory=dict)
    """What another acquirer than PayMaster needs, as its adapter documents it."""

    @property
    def mode(self) -> Mode:
        """The display mode."""
        return Mode(self.display.mode)

    @property
    def machine_timing(self) -> Timing:
        """The timing in ms, as the state machine takes it."""
        t = self.timing
        return Timing(
            poll_ms=round(t.poll_interval_s * 1000),
            poll_timeout_ms=round(t.poll_timeout_s * 1000),
            create_window_ms=round(t.create_window_s * 1000),
            create_retry_ms=round(t.create_retry_s * 1000),
            present_ms=round(t.present_timeout_s * 1000),
            confirm_ms=round(t.confirm_timeout_s * 1000),
            watch_ms=round(t.watch_interval_s * 1000),
            grace_ms=round(t.grace_s * 1000),
            overdue_ms=round(t.overdue_days * 86_400_000),
            dialog_again=self.dialog.again,
            poll_in_dialog=self.dialog.poll_while_shown,
        )


def is_local(section: str, name: str) -> bool:
    """Whether only the lane's own file sets this."""
    return f"{section}.*" in LOCAL or f"{section}.{name}" in LOCAL


def local_in(table: Mapping[str, Any]) -> list[str]:
    """The settings of a table, section -> name -> value, that only the lane's own file sets."""
    return [
        f"{section}.{name}"
        for section, entries in table.items()
        for name in (entries if isinstance(entries, Mapping) else ())
        if is_local(section, name)
    ]
