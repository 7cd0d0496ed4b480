"""The `TagReader` for all readers that nfcpy supports; `sco_drivers.nfc.opening` opens them by URL.

Each call switches the field on, works with exactly one tag, and switches the field off. After a fault of the reader the
next call opens it again, so a reader may be unplugged and plugged in. Every retry is bounded, and only a single Type 2
tag in the field is ever written.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from sco_drivers import tap
from sco_drivers.errors import DeviceClosed, DeviceError, DeviceProtocolError, DeviceTimeout, NfcError
from sco_drivers.identity import DeviceIdentity
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
from sco_drivers.nfc.radio import Radio
from sco_drivers.nfc.tag import HEAD_PAGES, SelectedTag, identify
from sco_drivers.nfc.transport import Collision, NoResponse, TransmissionError
from sco_drivers.nfc.type2 import (
    GENERIC,
    PAGE,
    Model,
    NotNdef,
    TooLong,
    Writes,
    find_ndef,
    format_writes,
    lock_writes,
    message_in,
    mirror_writes,
    needs_pages,
    ntag_of,
    pages_of,
    password_writes,
    plan_message,
)

_LOOK_FOR_A_STICKER = "look for a sticker over the tag"
_READER_FAILED = (DeviceTimeout, DeviceProtocolError)
Protection = Literal["none", "password", "forever"]


@dataclass(slots=True)
class _Tries:
    """What the attempts of one call have done to the tag.

    Attributes:
        may_carry: the links that a phone may find, "" for none; None while nothing was written.
        written: how often each page was written.
    """

    may_carry: tuple[str, ...] | None = None
    written: Counter[int] = field(default_factory=Counter)

    @property
    def write_count(self) -> int:
        """How often the most frequently written page was written."""
        return max(self.written.values(), default=0)


class NfcpyReader:
    """A `TagReader` through nfcpy.

    Args:
        url: as the caller gave it.
        radio: the reader's field.
        key: the shop's key, for tags with a password.
        attempts: how often a write may be tried in one call; each attempt starts from what the tag carries then. With
            more than one, any other operation in which the reader failed is repeated once too.
    """

    def __init__(
        self,
        url: str,
        radio: Radio,
        *,
        key: TagKey | None = None,
        attempts: int = 2,
    ) -> None:
        self._url = url
        self._radio = radio
        self._through = tap.current()
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

    def identity(self) -> DeviceIdentity:
        """What the reader reports about itself; the tag is not touched.

        Raises:
            DeviceError: it did not answer, or is closed.
        """
        with self._lock:
            if self._closed:
                raise DeviceClosed("the reader was closed", url=self._url)
            return self._radio.identity()

    # -- the field ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _field(self, uid: bytes | None) -> Iterator[SelectedTag]:
        """Switch the field on with the one tag in it; switch it off afterwards, whatever happens.

        Checks for a second tag at the end, unless `_make_sure` has done so before.

        Args:
            uid: the tag's enrolled serial number; None accepts any.
        """
        with self._lock:
            if self._closed:
                raise DeviceClosed("the reader was closed", url=self._url)
            try:
                tag = self._select(uid)
                yield tag
                if not tag.alone:
                    self._expect_alone(tag.uid)
            except BaseException as error:
                with suppress(DeviceError):
                    self._radio.mute()
                if None in self._models.values():  # perhaps an NTAG whose answer to GET_VERSION was lost
                    self._models.clear()
                if isinstance(error, NoResponse):
                    raise NoTag("the tag does not answer", url=self._url, hint="check that it is in place") from error
                if isinstance(error, Collision):
                    raise SeveralTags(
                        f"several tags answer at once ({error})", url=self._url, hint=_LOOK_FOR_A_STICKER
                    ) from error
                if isinstance(error, TransmissionError):
                    raise TagGarbled(
                        f"the tag's answer is damaged: {error}",
                        url=self._url,
                        hint="look for a second tag, and for metal near it",
                    ) from error
                if isinstance(error, NotNdef):
                    raise UnsupportedTag(str(error), url=self._url, hint=error.hint) from error
                if isinstance(error, DeviceError) and not error.url:
                    error.url = self._url
                raise
            self._radio.mute()

    def _select(self, uid: bytes | None) -> SelectedTag:
        found = self._radio.select()
        if not found.is_type2:
            raise UnsupportedTag("a phone, a bank card or another kind of tag lies on the reader")
        if uid is not None and found.uid != uid:
            self._expect_alone(found.uid)
            raise ForeignTag(f"a tag {found.uid.hex()} is there instead of {uid.hex()}")
        if found.uid not in self._models:
            self._models = {found.uid: identify(self._radio, found.uid)}
        return SelectedTag(self._radio, found.uid, self._models[found.uid])

    def _expect_alone(self, uid: bytes) -> None:
        """Raise SeveralTags if another tag answers. Halts the tag."""
        other = self._radio.another()
        if other is not None and other != uid:
            second = f"a second tag {other.hex()}" if other else "a tag of another kind"
            raise SeveralTags(f"{second} lies with {uid.hex()}", hint=_LOOK_FOR_A_STICKER)

    def _make_sure(self, tag: SelectedTag) -> None:
        """Before a write, check that no other tag is there. The tag is selected again afterwards."""
        self._expect_alone(tag.uid)
        tag.alone = True
        self._radio.select(tag.uid)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _contents(self, tag: SelectedTag) -> TagContents:
        image = tag.image
        layout = find_ndef(image)
        message = message_in(image, layout)
        area = range(layout.place // PAGE, layout.end // PAGE)
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
            damaged=layout.damaged,
        )

    def read(self) -> TagContents:
        """See `TagReader.read`."""
        return self._again(self._read)

    def _read(self) -> TagContents:
        with self._field(None) as tag:
            tag.survey()
            return self._contents(tag)

    def _again(self, call: Callable[[], TagContents]) -> TagContents:
        """Repeat `call` once if the reader failed, not the tag: a lost octet must not disable the tag."""
        try:
            return call()
        except _READER_FAILED:
            if self._attempts == 1:
                raise
        return call()

    def verify(self, uri: str | None, *, uid: bytes | None = None) -> TagContents:
        """See `TagReader.verify`."""
        message = b"" if uri is None else uri_message(uri)
        return self._again(lambda: self._verify(message, uid))

    def _verify(self, message: bytes, uid: bytes | None) -> TagContents:
        with self._field(uid) as tag:
            tag.survey(need=HEAD_PAGES + len(message) // PAGE)
            self._refuse_a_mirror(tag)
            contents = self._contents(tag)
            self._expect(contents, message)
            return contents

    def _refuse_a_mirror(self, tag: SelectedTag) -> None:
        """Refuse a tag with ASCII mirror: what is written to it is not what a phone finds."""
        if tag.image.mirrors:
            raise UnsupportedTag(
                "the tag mirrors its serial number or counter in its data", hint="provision it, or use a fresh tag"
            )

    def _expect(self, contents: TagContents, message: bytes) -> None:
        if contents.damaged:
            raise WrongContent("the tag's structure is invalid: a write was interrupted", hint="write or clear it")
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
        tries = _Tries()
        failure: DeviceError | None = None
        for _ in range(self._attempts):
            try:
                return replace(self._put_once(message, uid, tries), write_count=tries.write_count)
            except DeviceError as error:
                failure = error
                if tries.may_carry is None and not isinstance(error, _READER_FAILED):
                    raise
                if not error.retryable:
                    break
        assert failure is not None
        if tries.may_carry is None:  # nothing has been written: the tag is as it was
            raise failure
        raise TagWriteFailed(
            f"the write was interrupted: {failure.message}",
            may_carry=tries.may_carry,
            url=self._url,
            hint=failure.hint,
            retryable=failure.retryable,
        ) from failure

    def _put_once(self, message: bytes, uid: bytes | None, tries: _Tries) -> TagContents:
        """One attempt; records in `tries` what a phone may find on the tag, before each step."""
        with self._field(uid) as tag:
            tag.survey(need=HEAD_PAGES + len(message) // PAGE)
            self._refuse_a_mirror(tag)
            layout = find_ndef(tag.image)
            old = uri_of(message_in(tag.image, layout)) or ""
            new = uri_of(message) or ""
            tag.whole(lambda image: [image.pages[page] for page in range(needs_pages(layout, message))])
            try:
                plan = plan_message(tag.image, layout, message)
            except TooLong as error:
                raise TagTooSmall(str(error), hint="use a larger tag, e.g. NTAG215") from error
            if not plan.writes:
                if tries.may_carry is not None:
                    tries.may_carry = (new,)
                return self._contents(tag)
            self._make_sure(tag)
            self._permit(tag, plan.writes)
            self._through.message_at(layout.place, message)
            steps: tuple[tuple[Writes, tuple[str, ...]], ...] = (
                (plan.disable, (old, "")),
                (plan.body, ("",)),
                (plan.enable, ("", new)),
            )
            if not message:  # a clear consists of `enable` only
                steps = ((plan.enable, (old, "")),)
            for writes, may_carry in steps:
                for page, data in writes:
                    tries.may_carry = tuple(dict.fromkeys(may_carry))
                    tries.written[page] += 1
                    try:
                        tag.write(page, data)
                    except TagLocked:
                        if tries.written.total() == 1:  # nothing was changed
                            tries.may_carry = None
                            tries.written.clear()
                        raise
            tries.may_carry = (new,)
            return self._read_back(tag, plan.writes, message, tries)

    def _read_back(self, tag: SelectedTag, writes: Writes, message: bytes, tries: _Tries) -> TagContents:
        changed = pages_of(writes)
        written = dict(writes)
        tag.load(min(changed), max(changed) + 1)
        contents = self._contents(tag)
        wrong = [page for page in changed if tag.pages[page] != written[page]]
        if wrong or contents.damaged or contents.ndef != message:
            tries.may_carry = (contents.uri or "",)
            raise TagWriteFailed(f"pages {wrong} read back differently", may_carry=tries.may_carry)
        return contents

    def _permit(self, tag: SelectedTag, writes: Writes) -> None:
        """Refuse writes that the tag would refuse, before the first one; authenticate where a password is needed."""
        image = tag.image
        locked = sorted(image.locked_pages().intersection(pages_of(writes)))
        if image.access_forbids_write or locked:
            raise TagLocked(
                f"the tag is permanently locked (pages {locked or 'all, by its access byte'})", hint="use a fresh tag"
            )
        self._unlock(tag, pages_of(writes))

    def _unlock(self, tag: SelectedTag, pages: Iterable[int]) -> None:
        if any(map(tag.image.protected, pages)):
            if self._key is None:
                raise TagLocked("the tag needs a password", hint="add key=FILE to the reader's URL")
            tag.authenticate(self._key)

    def provision(self, uri: str, *, protection: Protection, uid: bytes | None = None) -> TagContents:
        """Prepare a tag for a lane: write `uri`, protect it against writing, and read all of it back.

        A blank tag is formatted first. If a run was interrupted, call it again to complete it.

        Args:
            uri: the lane's static link; with protection "password" it may be empty: the lane then writes links later.
            protection: "none", "password" (from the key file, AUTHLIM 0) or "forever" (lock bits: irreversible).
            uid: refuse every other tag.

        Raises:
            TagLocked: "password" without a key file, or the tag is locked. TagWriteFailed. Those of `write_uri`.
            ValueError: "forever" without a link.
        """
        if protection == "password" and self._key is None:
            raise TagLocked("a password needs a key file", url=self._url, hint="add key=FILE to the reader's URL")
        if protection == "forever" and not uri:
            raise ValueError("a tag that is locked without a link can never carry one")
        with self._lock:
            self._again(lambda: self._format(uid, protection))
            self._again(lambda: self._prepare(uid, protection))
            contents = self.write_uri(uri, uid=uid) if uri else self.clear(uid=uid)
            if protection == "none":
                return contents
            try:
                return self._again(lambda: self._protected(contents, protection))
            except NfcError as error:
                if not error.retryable or (isinstance(error, TagWriteFailed) and error.may_carry):
                    raise
                raise TagWriteFailed(
                    f"the protection was interrupted: {error.message}",
                    may_carry=(contents.uri or "",),
                    url=self._url,
                    hint="provision it again",
                ) from error

    def format(self, *, uid: bytes | None = None) -> TagContents:
        """Make a blank NTAG21x (no capability container) an empty NDEF tag; one that is an NDEF tag is not changed.

        Raises:
            UnsupportedTag: another kind of tag, or one that was formatted for another use. TagLocked, ForeignTag.
            TagWriteFailed, and those of `read`.
        """
        return self._again(lambda: self._format(uid, "none"))

    def _format(self, uid: bytes | None, protection: Protection) -> TagContents:
        with self._field(uid) as tag:
            tag.survey_state()
            writes = format_writes(tag.image) if tag.model is not None else []
            if writes:
                self._protecting(tag, protection)
                self._make_sure(tag)
                self._permit(tag, writes)
                for page, data in writes:
                    tag.write(page, data)
            tag.survey()
            return self._contents(tag)

    def _prepare(self, uid: bytes | None, protection: Protection) -> TagContents:
        """Refuse a tag that cannot be protected this way, before anything is written; switch off its ASCII mirror."""
        with self._field(uid) as tag:
            tag.survey()
            self._protecting(tag, protection)
            writes = mirror_writes(tag.image)
            if writes:
                self._refuse_a_frozen(tag, writes)
                self._make_sure(tag)
                self._unlock(tag, pages_of(writes))
                for page, data in writes:
                    tag.write(page, data)
            return self._contents(tag)

    def _protecting(self, tag: SelectedTag, protection: Protection) -> Writes:
        image = tag.image
        if protection == "none":
            return []
        if protection == "forever":
            writes = lock_writes(image)
        else:
            assert self._key is not None
            proven = image.protected(ntag_of(image).password_page)
            writes = password_writes(image, *self._key.password(tag.uid), proven=proven)
        self._refuse_a_frozen(tag, writes)
        return writes

    def _refuse_a_frozen(self, tag: SelectedTag, writes: Writes) -> None:
        config = ntag_of(tag.image).config_page
        if tag.image.configuration_is_frozen and not {config, config + 1}.isdisjoint(pages_of(writes)):
            raise TagLocked("the tag's configuration is permanently frozen", hint="use a fresh tag")

    def _protected(self, contents: TagContents, protection: Protection) -> TagContents:
        self._protect(contents, protection)
        return self._verified(contents, protection)

    def _protect(self, contents: TagContents, protection: Protection) -> None:
        with self._field(contents.uid) as tag:
            tag.survey()
            now = self._contents(tag)
            if now.ndef != contents.ndef:  # written by another device meanwhile; a lock would be permanent
                raise TagWriteFailed(f"the tag now carries {now.uri or 'no link'}", may_carry=(now.uri or "",))
            writes = self._protecting(tag, protection)
            self._make_sure(tag)
            pages = pages_of(writes)
            if protection == "password":  # authenticate with the present password even if it is not written again
                pages.append(ntag_of(tag.image).password_page)
            self._unlock(tag, pages)
            for page, data in writes:
                tag.write(page, data)

    def _verified(self, contents: TagContents, protection: Protection) -> TagContents:
        """The contents after a restart of the field, with the password tried."""
        with self._field(contents.uid) as tag:
            tag.survey()
            after = self._contents(tag)
            protected = not lock_writes(tag.image) if protection == "forever" else after.protected
            if after.ndef != contents.ndef or not protected:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
