"""A selected tag: the commands of NTAG21x and Type 2, and the pages read so far.

It uses NDEF only to decide how far to read. It does not switch the field, and `NoResponse` and `TransmissionError` pass
through to the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from sco_drivers.nfc import TagGarbled, TagLocked, TagWriteFailed, UnsupportedTag
from sco_drivers.nfc.keys import TagKey
from sco_drivers.nfc.radio import Radio
from sco_drivers.nfc.transport import NoResponse, TransmissionError
from sco_drivers.nfc.type2 import NTAG213, PAGE, Image, Model, find_ndef, message_in, model_of

_READ, _WRITE, _FAST_READ, _GET_VERSION, _PWD_AUTH = 0x30, 0xA2, 0x3A, 0x60, 0x1B
_ACKNOWLEDGE = b"\x0a"
_REFUSALS = (b"\x00", b"\x04", b"\x05")  # NTAG21x, 9.3: argument, authentication, EEPROM; 1 is damage on the air
_NOT_PROGRAMMED = b"\x05"
HEAD_PAGES = 16
"""Pages that hold a tag's state and the head of its message."""


def identify(radio: Radio, uid: bytes) -> Model | None:
    """The model of the selected tag; None for a generic one. Selects it again after a command that it did not know.

    Asks twice: an NTAG whose answer was lost must not be taken for a generic tag, whose locks and password are unknown.

    Raises:
        NoResponse, TransmissionError: it answers no command, or only damaged. DeviceError.
    """
    for _ in range(2):
        try:
            version = radio.command(bytes([_GET_VERSION]))
        except NoResponse:
            version = b""
        model = model_of(version)
        if model is not None:
            return model
        radio.select(uid)  # a tag that does not know the command leaves the active state
        if len(version) > 1:  # an unknown model
            break
    return None


class SelectedTag:
    """The tag that the reader has selected.

    Args:
        radio: the reader's field, in which it was selected.
        uid: its serial number.
        model: what it is; None for a generic Type 2 tag.

    Attributes (and the arguments):
        pages: what has been read of its memory: page number -> 4 bytes.
        alone: whether a check for a second tag was done.
    """

    def __init__(self, radio: Radio, uid: bytes, model: Model | None) -> None:
        self.radio = radio
        self.uid = uid
        self.model = model
        self.pages: dict[int, bytes] = {}
        self.alone = False
        self._longest_read = radio.longest_read

    @property
    def image(self) -> Image:
        return Image(self.model, self.pages)

    def _asked(self, command: bytes, size: int) -> bytes:
        """Send a command that may safely be repeated; its answer of `size` bytes."""
        for last in (False, True):
            try:
                answer = self.radio.command(command)
            except TransmissionError:
                if last:
                    raise
                continue
            if len(answer) == size:
                return answer
            if answer in _REFUSALS:
                raise UnsupportedTag(
                    f"the tag refuses command {command.hex()} (answer {answer.hex()})",
                    hint="it may need a password for reading: use a tag of the shop's own",
                )
            if len(answer) != 1:
                if last:
                    raise TransmissionError(f"{len(answer)} bytes instead of {size}")
                continue
            # The command arrived damaged: the tag has reported it with a NAK and left the active state.
            if last:
                raise TagGarbled(
                    f"the tag received command {command.hex()} damaged (answer {answer.hex()})",
                    hint="look for a second tag, and for metal near it",
                )
            self.radio.select(self.uid)
        raise AssertionError("unreachable")

    def load(self, first: int, stop: int) -> None:
        """Read pages `first`..`stop` (without `stop`), with FAST_READ where the tag has it.

        A range whose answer arrives damaged twice is read in halves: not every reader can receive a long answer.
        """
        while first < stop:
            if self.model is None:
                data = self._asked(bytes([_READ, first]), 4 * PAGE)
            else:
                end = min(first + self._longest_read, stop)
                try:
                    data = self._asked(bytes([_FAST_READ, first, end - 1]), (end - first) * PAGE)
                except TransmissionError:
                    if end - first <= PAGE:
                        raise
                    self._longest_read = (end - first + 1) // 2
                    continue
            for i in range(0, len(data), PAGE):
                self.pages[first + i // PAGE] = data[i : i + PAGE]
            first += len(data) // PAGE

    def survey_state(self) -> None:
        """Read the pages with the tag's state, whatever the data area holds."""
        self.pages.clear()
        self.load(0, HEAD_PAGES)
        if self.model is not None:
            self.load(self.model.lock_page, self.model.config_page + 2)

    def survey(self, need: int = 0) -> None:
        """Read the pages with the tag's state and the whole message; at least up to page `need`, if there is one."""
        self.pages.clear()
        if self.model is NTAG213:
            self.load(0, NTAG213.pages)  # state and contents, in one command if the reader can receive the answer
            return
        if self.model is None:
            self.load(0, HEAD_PAGES)
            self.load(HEAD_PAGES, min(need, self.image.data_end // PAGE))
        else:
            self.load(0, min(max(need, HEAD_PAGES), self.model.user_end))
            self.load(self.model.lock_page, self.model.config_page + 2)
        self.whole(lambda image: message_in(image, find_ndef(image)))

    def whole(self, look: Callable[[Image], object]) -> None:
        """Read more pages until `look` finds all that it needs."""
        while True:
            try:
                look(self.image)
            except KeyError as missing:
                first = int(missing.args[0])
                end = self.image.data_end // PAGE
                self.load(first, max(first + 1, min(end, first + self._longest_read)))
            else:
                return

    def write(self, page: int, data: bytes) -> None:
        """Write a page.

        Raises:
            TagLocked: the tag refuses; the page is unchanged. TagWriteFailed: it could not be programmed.
            NoResponse, TransmissionError, DeviceError: the page's content is unknown.
        """
        answer = self.radio.command(bytes([_WRITE, page]) + data)
        if answer == _NOT_PROGRAMMED:
            raise TagWriteFailed(
                f"the tag could not program page {page} (answer {answer.hex()})",
                hint="move it closer to the reader, or use a new one: this one may be worn out",
            )
        if answer != _ACKNOWLEDGE and answer not in _REFUSALS:
            raise TransmissionError(f"{answer.hex()} in answer to a write")
        if answer != _ACKNOWLEDGE:
            raise TagLocked(f"the tag refuses to write page {page} (answer {answer.hex()})")
        self.pages[page] = data

    def authenticate(self, key: TagKey) -> None:
        """Authenticate with the password from our key.

        Raises:
            TagLocked: the tag has another password. NoResponse, TransmissionError, DeviceError.
        """
        password, acknowledge = key.password(self.uid)
        answer = self.radio.command(bytes([_PWD_AUTH]) + password)
        if answer not in _REFUSALS and len(answer) != len(acknowledge):
            raise TransmissionError(f"{answer.hex()} in answer to a password")
        if answer != acknowledge:
            raise TagLocked("the tag has another password than the one from our key file")
