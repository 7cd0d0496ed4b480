"""What is fuzzed. Each function returns for any bytes whatsoever; whatever it raises is a finding."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sco_drivers.errors import BadDeviceUrl
from sco_drivers.nfc import message, type2
from sco_drivers.printer import PrinterStatus, replies
from sco_drivers.touch.events import EventReader
from sco_drivers.urls import DeviceUrl
from sco_payment import link
from sco_payment.journal import Journal, JournalError
from sco_payment.money import kopecks_from_text
from sco_payment.paymaster import client, wire
from sco_payment.paymaster.adapter import _wait_ms
from sco_payment.paymaster.errors import TooManyRequests
from sco_payment.settings_reader import SettingsError, load_settings

CORPORA = Path(__file__).parents[2] / "corpora"
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def json_answer(data: bytes) -> None:
    """An answer's body, a notification (which may begin with a byte-order mark), a page, an error."""
    for parse in (wire.parse_payment, wire.parse_notification, wire.parse_page, wire.parse_sticker):
        with contextlib.suppress(wire.WireError):
            parse(data)
    with contextlib.suppress(wire.WireError):
        wire.parse_page(data, "42")
    failure = wire.parse_failure(data)
    assert isinstance(failure.code, str)
    assert isinstance(failure.message, str)


def headers(data: bytes) -> None:
    """Retry-After and Date, as urllib3 hands them over: latin-1 text."""
    text = data.decode("latin-1")
    wait = client.retry_after_s(text)
    assert wait is None or 0 <= wait < float("inf")
    assert _wait_ms(TooManyRequests("", wait_s=wait)) >= 0
    client._http_date(text)


def sbp_link(data: bytes) -> None:
    """A link, alone and after the right host, which lets more of it be read."""
    text = data.decode("utf-8", "replace")
    for candidate in (text, f"https://{link.HOST}/{text}"):
        judgement = link.judge(candidate, kopecks=25_300)
        assert judgement.reason
        if judgement.verdict is link.Verdict.VERIFIED:
            assert judgement.link is not None
            assert judgement.link.sum_kopecks in (None, 25_300)
            assert link.crc_of(candidate.partition("&crc=")[0]) == str(judgement.link.crc).upper()


def settings(data: bytes) -> None:
    """A settings file."""
    with tempfile.NamedTemporaryFile(dir=_MEMORY, suffix=".toml") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(SettingsError):
            load_settings(file.name, {"SCO_PAYMASTER_TOKEN": "t"})


def device_url(data: bytes) -> None:
    """A device's URL and its parameters."""
    with contextlib.suppress(BadDeviceUrl):
        url = DeviceUrl.parse(data.decode("utf-8", "replace"))
        for name in list(url.params):
            for read in (url.integer, url.number):
                with contextlib.suppress(BadDeviceUrl):
                    read(name, 0)
        url.only("baud")


def ndef_message(data: bytes) -> None:
    """The message on a tag: a URI that is found in it, and that we would write, is found in what we write."""
    uri = message.uri_of(data)
    if uri is not None:
        with contextlib.suppress(ValueError):  # empty, or with spaces or control characters: never written
            assert message.uri_of(message.uri_message(uri)) == uri


_PAGE_COUNT = 45


def tag_memory(data: bytes) -> None:
    """A Type 2 tag's memory. What is planned for it puts the message there, wherever the old one stood."""
    pages = data.ljust(_PAGE_COUNT * 4, b"\0")
    model = type2.NTAG213 if len(data) % 2 else None
    memory = {n: pages[n * 4 : n * 4 + 4] for n in range(len(pages) // 4)}
    image = type2.Image(model, memory)
    image.locked_pages()
    with contextlib.suppress(type2.NotNdef, type2.TooLong, _PageNotRead):
        with _page_not_read():
            layout = type2.find_ndef(image)
            message.uri_of(type2.message_in(image, layout))
            new = message.uri_message("https://qr.nspk.ru/A")
            plan = type2.plan_message(image, layout, new)
        after = type2.Image(model, {**memory, **dict(plan.writes)})
        found = type2.find_ndef(after)
        assert type2.message_in(after, found) == new
        with contextlib.suppress(type2.NotNdef):
            type2.lock_writes(image)
            type2.password_writes(image, b"1234", b"12", proven=False)


class _PageNotRead(Exception):
    """A page that the short memory here has not: the reader would read it."""


@contextlib.contextmanager
def _page_not_read():  # type: ignore[no-untyped-def]
    try:
        yield
    except KeyError as missing:
        if not isinstance(missing.args[0], int):
            raise
        raise _PageNotRead from None


def printer_bytes(data: bytes) -> None:
    """A printer's bytes, at once and one by one: the same replies."""
    whole, bytewise = replies.ReplyReader(), replies.ReplyReader()
    if data[:1] == b"\x01":
        whole.expecting_full_status = bytewise.expecting_full_status = True
    whole.expecting_in_order = bytewise.expecting_in_order = len(data) % 3
    found = whole.feed(data)
    pieces = [reply for n in range(len(data)) for reply in bytewise.feed(data[n : n + 1])]
    assert found == pieces, (found, pieces)
    status = PrinterStatus()
    for reply in found:
        match reply:
            case replies.RealTime(byte=byte):
                for n in (1, 2, 3, 4):
                    status = replies.with_real_time(status, n, byte, drawer_open_is_high=bool(byte & 1))
            case replies.Asb(data=asb):
                status = replies.with_asb(status, asb)


def touch_events(data: bytes) -> None:
    """Bytes of an evdev device."""
    list(EventReader().feed(data))


def sum_text(data: bytes) -> None:
    """An amount as an operator types it."""
    with contextlib.suppress(ValueError):
        assert kopecks_from_text(data.decode("utf-8", "replace")) > 0


def journal_file(data: bytes) -> None:
    """The journal's file, damaged: it is refused, or read with `verify` reporting what is wrong; nothing else."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        path = Path(folder) / "j"
        path.write_bytes(data)
        for open_it in (partial(Journal, read_only=True), partial(Journal, lane_id="lane-1", acquirer="paymaster")):
            with contextlib.suppress(JournalError), open_it(path) as journal:
                for look in (
                    journal.verify,
                    journal.attempts,
                    lambda: journal.cases(include_closed=True),
                    lambda: journal.timeline("k1"),
                    journal.records,
                    lambda: journal.conflicting_attempts("A-1"),
                    journal.head,
                ):
                    with contextlib.suppress(JournalError):
                        look()


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        json_answer,
        headers,
        sbp_link,
        settings,
        device_url,
        ndef_message,
        tag_memory,
        printer_bytes,
        touch_events,
        sum_text,
        journal_file,
    )
}


def corpus(name: str) -> list[Path]:
    """The kept inputs of a target."""
    folder = CORPORA / name
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
