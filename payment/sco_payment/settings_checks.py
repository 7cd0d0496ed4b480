"""Checks of settings that types and limits cannot express: what depends on several of them, and on the lane's machine.

`settings_reader` reads the settings. An office does without `check_lane`.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sco_drivers import DeviceError, check_url
from sco_payment import link as links
from sco_payment.attempt import Mode
from sco_payment.customer.theme import read_theme
from sco_payment.settings import FleetSettings, PayMasterSettings, ServiceSettings, Settings

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f]*:[0-9a-f:.]+")
_KEY = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")
_LONGEST_PLATE_S = 1200.0
"""For which SBP keeps an amount on a cash link."""


def check_combinations(settings: Settings, problems: list[str]) -> None:
    """Check what depends on several settings, and what a type and limits cannot express."""
    display, paymaster, timing = settings.display, settings.paymaster, settings.timing
    url = _check_address("paymaster.base_url", paymaster.base_url, "https://paymaster.ru", problems)
    _check_proxy(paymaster, plain=url is not None and url.scheme == "http", problems=problems)
    for host in display.link_hosts:
        if not links.is_host(host):
            problems.append(f"display.link_hosts: {host!r} is not the name of a public host, e.g. qr.bank.example")
    if display.mode == Mode.PLATE.value:
        _check_plate(settings, problems)
    _check_service(settings.service, problems)
    if timing.invoice_life_s < timing.create_window_s + timing.poll_interval_s:
        problems.append("timing.invoice_life_s must be at least create_window_s + poll_interval_s")
    if timing.poll_timeout_s <= timing.poll_interval_s:
        problems.append(
            "timing.poll_timeout_s must be longer than poll_interval_s: there is no answer between two polls"
        )


def check_lane(settings: Settings, problems: list[str]) -> None:
    """Check what is known on the lane only: what its own file sets, its files and its devices."""
    display, devices, paymaster = settings.display, settings.devices, settings.paymaster
    for where, value in (
        ("lane.pos_id", settings.lane.pos_id),
        ("lane.shop", settings.lane.shop),
        *((("paymaster.merchant_id", paymaster.merchant_id),) if settings.lane.acquirer == "paymaster" else ()),
        ("journal.path", settings.journal.path),
    ):
        if not value and not any(problem.startswith(f"{where} = ") for problem in problems):
            problems.append(f"{where} is missing")
    if display.mode == Mode.PRINT.value and not devices.printer:
        problems.append("display.mode = 0 prints the code, but devices.printer is missing")
    if display.mode == Mode.SCREEN.value and not display.qr_on_screen and not devices.display:
        problems.append(
            "display.qr_on_screen = false shows the code on the customer display, but devices.display is missing"
        )
    if display.mode == Mode.PLATE.value and display.plate == "dynamic" and not devices.nfc:
        problems.append('display.plate = "dynamic" writes each link to the tag, but devices.nfc is missing')
    for where, file in (
        ("paymaster.ca_file", paymaster.ca_file),
        ("ticket.logo", settings.ticket.logo),
        ("service.tls_certificate", settings.service.tls_certificate),
        ("service.tls_key", settings.service.tls_key),
    ):
        _check_file(where, file, problems)
    problems += read_theme(settings.lane)[1]
    if devices.nfc_uid:
        try:
            good = len(bytes.fromhex(devices.nfc_uid)) in (4, 7, 10)
        except ValueError:
            good = False
        if not good:
            problems.append(f"devices.nfc_uid = {devices.nfc_uid!r}: must be 4, 7 or 10 bytes in hex")
    _check_fleet(settings.fleet, problems)
    for where, device in (
        ("printer", devices.printer),
        ("nfc", devices.nfc),
        ("screen", devices.screen),
        *(("touch", url) for url in devices.touch),
        ("display", devices.display),
    ):
        if device:
            _check_device(where, device, problems)


def _check_service(service: ServiceSettings, problems: list[str]) -> None:
    url = _split(f"//{service.listen}")
    if url is None or not url.hostname or url.port is None or url.netloc != service.listen:
        problems.append(f"service.listen = {service.listen!r}: must be address:port, e.g. 127.0.0.1:8723")
    elif not service.tls_certificate and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        problems.append(
            f"service.listen = {service.listen!r}: plain HTTP is allowed only on this machine; give tls_certificate "
            "and tls_key, or listen on 127.0.0.1"
        )
    if bool(service.tls_certificate) != bool(service.tls_key):
        problems.append("service.tls_certificate and service.tls_key go together")


def _check_file(where: str, path: str, problems: list[str]) -> None:
    """Check that a file that is named can be read."""
    if not path:
        return
    try:
        Path(path).open("rb").close()
    except OSError as error:
        problems.append(f"{where}: {path}: {error.strerror}")
    except ValueError:
        problems.append(f"{where} = {path!r}: no file has such a name")


def _check_address(where: str, address: str, example: str, problems: list[str]) -> SplitResult | None:
    """The parts of a server's address; None if it has none."""
    url = _split(address)
    if url is None or url.scheme not in ("https", "http") or not _HOST.fullmatch(url.hostname or ""):
        problems.append(f"{where} = {address!r}: must be an https address, e.g. {example}")
    elif "@" in url.netloc or url.query or url.fragment:
        problems.append(f"{where}: must be scheme, host and port only, without user, query and fragment")
    elif url.scheme == "http" and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        problems.append(f"{where}: plain http is allowed only to this machine; write https")
    return url


def _check_fleet(fleet: FleetSettings, problems: list[str]) -> None:
    """Check what is written; files that cannot be read stop no lane: its fleet's thread reports them."""
    if not fleet.url:
        if fleet.token_file or fleet.ca_file or fleet.settings_key:
            problems.append(
                "fleet.token_file, ca_file and settings_key are for the fleet's server, but fleet.url is missing"
            )
        return
    _check_address("fleet.url", fleet.url, "https://fleet.example.ru", problems)
    if not fleet.token_file:
        problems.append("fleet.token_file is missing: the file with the token that `sco-fleet lane add` printed")
    for key in fleet.settings_key:
        if not _KEY.fullmatch(key):
            problems.append(f"fleet.settings_key: {key[:80]!r} is not a key printed by `sco-fleet settings keygen`")


def _check_proxy(paymaster: PayMasterSettings, *, plain: bool, problems: list[str]) -> None:
    if not paymaster.proxy:
        if paymaster.proxy_login_file:
            problems.append("paymaster.proxy_login_file is for a proxy, but paymaster.proxy is missing")
        return
    url = _split(paymaster.proxy)
    if "@" in paymaster.proxy:  # the value is not shown
        problems.append(
            "paymaster.proxy: must be without user and password: write user:password into a file of mode 0600, "
            "and its name into paymaster.proxy_login_file"
        )
    elif (
        url is None
        or url.scheme != "http"
        or not _HOST.fullmatch(url.hostname or "")
        or not url.port
        or url.path.strip("/")
        or url.query
        or url.fragment
    ):
        problems.append(f"paymaster.proxy = {paymaster.proxy!r}: must be http://host:port, e.g. http://10.0.0.1:3128")
    elif plain:
        problems.append("paymaster.proxy: base_url is plain http to this machine, which needs no proxy; remove it")


def _split(text: str) -> SplitResult | None:
    """The parts of an address; None if it is not one."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


def _check_plate(settings: Settings, problems: list[str]) -> None:
    display = settings.display
    if display.plate == "dynamic":
        return
    if settings.timing.invoice_life_s > _LONGEST_PLATE_S:
        problems.append(
            f"timing.invoice_life_s = {settings.timing.invoice_life_s:g}: a static plate stays armed for at most "
            f"{_LONGEST_PLATE_S:g} s; write less"
        )
    if not display.sticker_id:
        problems.append('display.plate = "static" activates a cash link, but display.sticker_id is missing')
    if not display.plate_link:
        problems.append('display.plate = "static" needs the link on the plate, but display.plate_link is missing')
        return
    judgement = links.judge(display.plate_link)
    if judgement.verdict is links.Verdict.REFUSED:
        problems.append(f"display.plate_link: {judgement.reason}")
    elif judgement.link is not None and judgement.link.static is False:
        problems.append(
            "display.plate_link is a dynamic link (D in its QRC id), valid for one payment; a plate needs a static link"
        )
    elif judgement.link is not None and judgement.link.sum_kopecks is not None:
        problems.append("display.plate_link asks for an amount of its own (sum); a plate needs a link without one")


def _check_device(where: str, url: str, problems: list[str]) -> None:
    """Check the URL with every parameter, without opening the device."""
    try:
        problems += [f"devices.{where}: {error}" for error in check_url(where, url)]  # type: ignore[arg-type]
    except DeviceError as error:  # the driver cannot be loaded
        problems.append(f"devices.{where}: {error}")
