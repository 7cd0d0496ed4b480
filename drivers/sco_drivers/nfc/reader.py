"""Readers that nfcpy knows, behind the `TagReader` protocol: PN532 on a serial line, USB readers, nfcpy's UDP.

    pn532:///dev/ttyS1?baud=921600     PN532 (HSU); baud: 115200, 230400, 460800 or 921600
    usb://072f:2200  usb://            ACR122U, PN533, RC-S380, ...; without vendor and product the first one found
    udp://127.0.0.1:54321              nfcpy's link over UDP, for benches

All take `key=FILE` (the shop's key, for tags with a password) and `attempts=N` (how often a write may be tried).

A call switches the field on, does its work with exactly one tag, and switches the field off. After a fault of the
reader it is opened afresh by the next call, so a reader that was unplugged may come back. Nothing is retried for ever
and no tag other than a lone Type 2 tag is ever written.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from sco_drivers.errors import BadDeviceUrl, DeviceClosed, DeviceError, DriverUnavailable
from sco_drivers.nfc import (
    ForeignTag,
    NoTag,
    SeveralTags,
    TagContents,
    TagGarbled,
    TagLocked,
    TagTooSmall,
    TagWriteFailed,
    UnsupportedTag,
    WrongContent,
)
from sco_drivers.nfc.keys import TagKey
from sco_drivers.nfc.message import uri_message, uri_of
from sco_drivers.nfc.radio import Garbled, Radio, Silent
from sco_drivers.nfc.type2 import (
    GENERIC,
    NTAG213,
    PAGE,
    Image,
    Model,
    NotNdef,
    TooLong,
    Writes,
    find_ndef,
    lock_writes,
    message_in,
    model_of,
    needs_pages,
    pages_of,
    password_writes,
    plan_message,
)
from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

    from sco_drivers.sim.pn532 import VirtualReader

_READ, _WRITE, _FAST_READ, _GET_VERSION, _PWD_AUTH = 0x30, 0xA2, 0x3A, 0x60, 0x1B
_ACKNOWLEDGE = b"\x0a"
_HEAD_PAGES = 16
Protection = Literal["none", "password", "forever"]


class _Tag:
    """The selected tag: commands of NTAG21x and Type 2, and what has been read of its memory."""

    def __init__(self, radio: Radio, uid: bytes, model: Model | None) -> None:
        self.radio = radio
        self.uid = uid
        self.model = model
        self.pages: dict[int, bytes] = {}

    @property
    def image(self) -> Image:
        return Image(self.model, self.pages)

    def _asked(self, command: bytes, size: int) -> bytes:
        """An answer of `size` bytes to a command that may safely be repeated."""
        for last in (False, True):
            try:
                answer = self.radio.command(command)
            except Garbled:
                if last:
                    raise
                continue
            if len(answer) == size:
                return answer
            if len(answer) == 1:
                raise UnsupportedTag(f"the tag refuses command {command.hex()} (answer {answer.hex()})")
            if last:
                raise Garbled(f"{len(answer)} bytes instead of {size}")
        raise AssertionError("unreachable")

    def load(self, first: int, stop: int) -> None:
        """Read pages `first`..`stop` (without `stop`)."""
        step = self.radio.longest_read if self.model is not None else PAGE
        for start in range(first, stop, step):
            if self.model is None:
                data = self._asked(bytes([_READ, start]), 4 * PAGE)
            else:
                end = min(start + step, stop)
                data = self._asked(bytes([_FAST_READ, start, end - 1]), (end - start) * PAGE)
            for i in range(0, len(data), PAGE):
                self.pages[start + i // PAGE] = data[i : i + PAGE]

    def survey(self, need: int = 0) -> None:
        """Read what tells the tag's state, and the whole message; at least up to page `need`."""
        self.pages.clear()
        if self.model is NTAG213:
            self.load(0, NTAG213.pages)  # state and content in one command
            return
        self.load(0, max(need, _HEAD_PAGES))
        if self.model is not None:
            self.load(self.model.lock_page, self.model.config_page + 2)
        self.whole(lambda image: message_in(image, find_ndef(image)))

    def whole(self, look: Callable[[Image], object]) -> None:
        """Read on until `look` finds every page that it asks for."""
        while True:
            try:
                look(self.image)
            except KeyError as missing:
                first = int(missing.args[0])
                end = self.image.data_end // PAGE
                self.load(first, max(first + 1, min(end, first + self.radio.longest_read)))
            else:
                return

    def write(self, page: int, data: bytes) -> None:
        answer = self.radio.command(bytes([_WRITE, page]) + data)
        if answer != _ACKNOWLEDGE:
            raise TagLocked(f"the tag refuses to write page {page} (answer {answer.hex()})")
        self.pages[page] = data

    def authenticate(self, key: TagKey) -> None:
        password, acknowledge = key.password(self.uid)
        try:
            answer = self.radio.command(bytes([_PWD_AUTH]) + password)
        except Silent:
            answer = b""
        if answer != acknowledge:
            raise TagLocked("the tag asks for a password, and the one from our key file is not it")


class NfcpyReader:
    """A `TagReader` through nfcpy.

    Args:
        url: as the caller gave it.
        radio: the reader's field.
        key: the shop's key, for tags with a password.
        attempts: how often a write may be tried in one call; each goes on from what the tag then carries.
        simulator: the simulated reader that belongs to it and is closed with it, when it is one (`sim://`).
    """

    def __init__(
        self,
        url: str,
        radio: Radio,
        *,
        key: TagKey | None = None,
        attempts: int = 2,
        simulator: VirtualReader | None = None,
    ) -> None:
        self.simulator = simulator
        self._url = url
        self._radio = radio
        self._key = key
        self._attempts = attempts
        self._lock = threading.RLock()
        self._closed = False
        self._models: dict[bytes, Model | None] = {}
        with self._lock:
            radio.open()

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url

    # -- the field ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _field(self, uid: bytes | None, *, alone_first: bool = False) -> Iterator[_Tag]:
        """The field switched on, with the one tag in it; off again behind it, whatever happens.

        Args:
            uid: the tag's enrolled serial number, if it matters.
            alone_first: look for a second tag before anything is done with the first one, not after.
        """
        with self._lock:
            if self._closed:
                raise DeviceClosed("the reader was closed", url=self._url)
            try:
                tag = self._select(uid, alone_first)
                yield tag
                if not alone_first:
                    self._expect_alone(tag.uid)
            except BaseException as error:
                with suppress(DeviceError):
                    self._radio.mute()
                if isinstance(error, Silent):
                    raise NoTag("the tag does not answer", url=self._url, hint="check that it lies in place") from error
                if isinstance(error, Garbled):
                    raise TagGarbled(f"the tag's answer is damaged: {error}", url=self._url) from error
                if isinstance(error, NotNdef):
                    raise UnsupportedTag(str(error), url=self._url, hint="format it as an NDEF tag") from error
                if isinstance(error, DeviceError) and not error.url:
                    error.url = self._url
                raise
            self._radio.mute()

    def _select(self, uid: bytes | None, alone_first: bool) -> _Tag:
        found = self._radio.select()
        if not found.is_type2:
            raise UnsupportedTag("a phone, a bank card or another kind of tag lies on the reader")
        if alone_first and self._expect_alone(found.uid):
            self._radio.select(found.uid)
        if uid is not None and found.uid != uid:
            self._expect_alone(found.uid)
            raise ForeignTag(f"a tag {found.uid.hex()} is there instead of {uid.hex()}")
        if found.uid not in self._models:
            try:
                version = self._radio.command(bytes([_GET_VERSION]))
            except Silent:
                version = b""
            model = model_of(version)
            if model is None:  # what does not know the command goes to sleep over it
                self._radio.select(found.uid)
            self._models = {found.uid: model}
        return _Tag(self._radio, found.uid, self._models[found.uid])

    def _expect_alone(self, uid: bytes) -> bool:
        other = self._radio.another()
        if other is not None and other != uid:
            raise SeveralTags(
                f"a second tag {other.hex()} lies with {uid.hex()}", hint="look for a sticker put over the tag"
            )
        return True

    # -- what it says ------------------------------------------------------------------------------------------------

    def _contents(self, tag: _Tag) -> TagContents:
        image = tag.image
        layout = find_ndef(image)
        message = message_in(image, layout)
        area = range(layout.tlv // PAGE, layout.end // PAGE)
        locked = image.access_forbids_write or not image.locked_pages().isdisjoint(area)
        protected = any(image.protected(page) for page in area)
        return TagContents(
            uid=tag.uid,
            product=tag.model.product if tag.model is not None else GENERIC,
            capacity=layout.capacity,
            ndef=message,
            uri=uri_of(message),
            writable=not locked and (not protected or self._key is not None),
            locked=locked,
            protected=protected,
        )

    def read(self) -> TagContents:
        """See `TagReader.read`."""
        with self._field(None) as tag:
            tag.survey()
            return self._contents(tag)

    def verify(self, uri: str, *, uid: bytes | None = None) -> TagContents:
        """See `TagReader.verify`."""
        message = uri_message(uri)
        with self._field(uid) as tag:
            tag.survey(need=_HEAD_PAGES + len(message) // PAGE)
            contents = self._contents(tag)
            self._expect(contents, message)
            return contents

    def _expect(self, contents: TagContents, message: bytes) -> None:
        if contents.ndef != message:
            found = contents.uri or (f"octets {contents.ndef[:24].hex()}..." if contents.ndef else "no message")
            raise WrongContent(f"the tag carries {found}", url=self._url)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write_uri(self, uri: str, *, uid: bytes | None = None) -> TagContents:
        """See `TagReader.write_uri`."""
        return self._put(uri_message(uri), uid)

    def clear(self, *, uid: bytes | None = None) -> TagContents:
        """See `TagReader.clear`."""
        return self._put(b"", uid)

    def _put(self, message: bytes, uid: bytes | None) -> TagContents:
        carries: list[tuple[str, ...]] = []
        failure: DeviceError | None = None
        for _ in range(self._attempts):
            try:
                return self._put_once(message, uid, carries)
            except DeviceError as error:
                failure = error
                if not carries:  # nothing has been written: the tag is as it was
                    raise
                if not error.retryable:
                    break
        assert failure is not None
        raise TagWriteFailed(
            f"the write was cut short: {failure.message}",
            may_carry=tuple(dict.fromkeys(uri for state in carries[-1:] for uri in state)),
            url=self._url,
            hint=failure.hint,
            retryable=failure.retryable,
        ) from failure

    def _put_once(self, message: bytes, uid: bytes | None, carries: list[tuple[str, ...]]) -> TagContents:
        """One try; appends to `carries` what a phone may find on the tag, before each step that changes it."""
        with self._field(uid, alone_first=True) as tag:
            tag.survey(need=_HEAD_PAGES + len(message) // PAGE)
            layout = find_ndef(tag.image)
            old = uri_of(message_in(tag.image, layout)) or ""
            new = uri_of(message) or ""
            tag.whole(lambda image: [image.pages[page] for page in range(needs_pages(layout, message))])
            try:
                plan = plan_message(tag.image, layout, message)
            except TooLong as error:
                raise TagTooSmall(str(error), hint="use a larger tag, e.g. NTAG215") from error
            if not plan.writes:
                if carries:
                    carries.append((new,))
                return self._contents(tag)
            self._permit(tag, plan.writes)
            steps: tuple[tuple[Writes, tuple[str, ...]], ...] = (
                (plan.disable, (old, "")),
                (plan.body, ("",)),
                (plan.enable, ("", new)),
            )
            if not message:  # the only write of a clearing is its `enable`
                steps = ((plan.disable, ()), (plan.body, ()), (plan.enable, (old, "")))
            elif not plan.disable and old:
                steps = ((plan.disable, ()), (plan.body, (old, "")), (plan.enable, ("", new)))
            for writes, may_carry in steps:
                for page, data in writes:
                    if not carries or carries[-1] != may_carry:
                        carries.append(may_carry)
                    tag.write(page, data)
            carries.append((new,))
            return self._read_back(tag, plan.writes, message, carries)

    def _read_back(self, tag: _Tag, writes: Writes, message: bytes, carries: list[tuple[str, ...]]) -> TagContents:
        changed = pages_of(writes)
        written = dict(writes)
        tag.load(min(changed), max(changed) + 1)
        contents = self._contents(tag)
        wrong = [page for page in changed if tag.pages[page] != written[page]]
        if wrong or contents.ndef != message:
            carries.append((contents.uri or "",))
            raise TagWriteFailed(f"pages {wrong} read back differently", may_carry=(contents.uri or "",))
        return contents

    def _permit(self, tag: _Tag, writes: Writes) -> None:
        """Refuse writes that the tag would refuse, before the first one; give the password where it is asked for."""
        image = tag.image
        locked = sorted(image.locked_pages().intersection(pages_of(writes)))
        if image.access_forbids_write or locked:
            raise TagLocked(
                f"the tag is locked for ever (pages {locked or 'all, by its access byte'})", hint="use a fresh tag"
            )
        if any(image.protected(page) for page in pages_of(writes)):
            if self._key is None:
                raise TagLocked("the tag asks for a password", hint="add key=FILE to the reader's URL")
            tag.authenticate(self._key)

    def provision(self, uri: str, *, protection: Protection, uid: bytes | None = None) -> TagContents:
        """Make a tag a lane's own: write `uri`, protect it against writing, and read all of it back.

        Args:
            uri: the lane's static link; with protection "password" it may be empty: the lane writes links later.
            protection: "none", "password" (from the key file, AUTHLIM 0) or "forever" (lock bits: no way back).
            uid: refuse every other tag.

        Raises:
            TagLocked: "password" without a key file, or the tag is locked. TagWriteFailed. Those of `write_uri`.
        """
        if protection == "password" and self._key is None:
            raise TagLocked("a password needs a key", url=self._url, hint="add key=FILE to the reader's URL")
        with self._lock:
            contents = self.write_uri(uri, uid=uid) if uri else self.clear(uid=uid)
            if protection == "none" or (protection == "forever" and contents.locked):
                return contents
            self._protect(contents.uid, protection)
            after = self._verified(contents, protection)
            if protection == "password" and not after.protected:
                raise TagWriteFailed("the tag took the password and does not ask for it", url=self._url)
            return after

    def _protect(self, uid: bytes, protection: Protection) -> None:
        with self._field(uid, alone_first=True) as tag:
            tag.survey()
            if protection == "forever":
                writes = lock_writes(tag.image)
            else:
                assert self._key is not None
                writes = password_writes(tag.image, *self._key.password(uid))
            self._permit(tag, writes)
            for page, data in writes:
                tag.write(page, data)

    def _verified(self, contents: TagContents, protection: Protection) -> TagContents:
        """What the tag says after a fresh start of the field, the password tried."""
        with self._field(contents.uid) as tag:
            tag.survey()
            after = self._contents(tag)
            if after.ndef != contents.ndef or (protection == "forever" and not after.locked):
                raise TagWriteFailed("the tag is not as it was provisioned", may_carry=(after.uri or "",))
            if protection == "password":
                assert self._key is not None
                tag.authenticate(self._key)
            return after

    def close(self) -> None:
        """See `TagReader.close`."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with suppress(DeviceError):
                    self._radio.mute()
                self._radio.drop()
                if self.simulator is not None:
                    self.simulator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# -- URLs ------------------------------------------------------------------------------------------------------------

COMMON = ("key", "attempts")


def _load_nfcpy(url: DeviceUrl) -> None:
    try:
        import nfc.clf  # noqa: F401
    except (ImportError, OSError) as error:
        raise DriverUnavailable(f"nfcpy cannot be loaded: {error}", url=url.text, hint="pip install nfcpy") from error


def build(url: DeviceUrl, radio: Radio, *, simulator: VirtualReader | None = None) -> NfcpyReader:
    """The reader over `radio`, with the options that every NFC URL takes (`COMMON`).

    Raises:
        DeviceError: an option is wrong, or the reader cannot be opened.
    """
    key = TagKey.load(url.params["key"], url=url.text) if "key" in url.params else None
    attempts = url.integer("attempts", 2, least=1, most=5)
    return NfcpyReader(url.text, radio, key=key, attempts=attempts, simulator=simulator)


def serial_radio(url: DeviceUrl, path: str, baud: int) -> Radio:
    """The field of a PN532 on the serial line `path`."""
    _load_nfcpy(url)
    from sco_drivers.nfc import uart

    if baud not in uart.BAUDS:
        raise BadDeviceUrl(f"baud={baud} is not one of {', '.join(map(str, uart.BAUDS))}", url=url.text)
    return Radio(url.text, lambda: uart.connect(path, baud), Path(path).exists)


def open_pn532(url: DeviceUrl) -> NfcpyReader:
    """Open a PN532 on a serial line: `pn532:///dev/ttyS1?baud=921600` (the default speed is 921600).

    Raises:
        DeviceError: it cannot be opened.
    """
    url.only("baud", *COMMON)
    if not url.path or url.host:
        raise BadDeviceUrl("no serial line is named", url=url.text, hint="e.g. pn532:///dev/ttyS1?baud=921600")
    return build(url, serial_radio(url, url.path, url.integer("baud", 921600)))


def open_usb(url: DeviceUrl) -> NfcpyReader:
    """Open a USB reader: `usb://072f:2200`, or `usb://` for the first one found.

    Raises:
        DeviceError: it cannot be opened.
    """
    url.only(*COMMON)
    if url.host and not re.fullmatch(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", url.host):
        raise BadDeviceUrl("not a vendor and product", url=url.text, hint="e.g. usb://072f:2200")
    _load_nfcpy(url)
    _load_libusb(url)
    path = f"usb:{url.host}" if url.host else "usb"

    def connect() -> ContactlessFrontend:
        import nfc

        frontend = nfc.ContactlessFrontend()
        if not frontend.open(path):
            raise OSError("no reader found")
        return frontend

    return build(url, Radio(url.text, connect, lambda: True))


def _load_libusb(url: DeviceUrl) -> None:
    """Give nfcpy's USB binding the system's libusb, else the one that the package libusb-package carries."""
    import ctypes

    import usb1  # type: ignore[import-untyped]

    try:
        usb1.loadLibrary()
    except OSError:
        try:
            import libusb_package

            usb1.loadLibrary(ctypes.CDLL(str(libusb_package.get_library_path())))
        except (ImportError, OSError) as error:
            raise DriverUnavailable(
                f"libusb cannot be loaded: {error}", url=url.text, hint="apt-get install libusb-1.0-0"
            ) from error


def open_udp(url: DeviceUrl) -> NfcpyReader:
    """Open nfcpy's link over UDP: `udp://127.0.0.1:54321`.

    Raises:
        DeviceError: the host is not known.
    """
    url.only(*COMMON)
    _load_nfcpy(url)
    path = f"udp:{url.host or 'localhost'}:{url.port or 54321}"

    def connect() -> ContactlessFrontend:
        import nfc

        return nfc.ContactlessFrontend(path)

    return build(url, Radio(url.text, connect, lambda: True))
