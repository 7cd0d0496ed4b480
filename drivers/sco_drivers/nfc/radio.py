"""One reader's field: find a tag, talk to it, look for a second one, switch off.

The only module that calls nfcpy to talk to tags. It knows nothing of memory or NDEF, and no exception of nfcpy leaves
it: a tag that is silent or garbled raises `Silent` or `Garbled`, a reader in trouble raises a `DeviceError`.

nfcpy spends four reader commands on each tag command: it reads three chip registers, writes them, and sets a response
timeout. On the PN53x family all three stand as we need them after a tag is found, so after `select` each tag command
is one InCommunicateThru through nfcpy's public chip object. Other readers go through `exchange`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sco_drivers.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceProtocolError,
    DeviceTimeout,
)

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

log = logging.getLogger(__name__)

_TAG_TIMEOUT = 0.0256  # seconds; longer than the slowest answer, a WRITE of about 5 ms
_RF_TIMEOUT_CODE = 9  # the chip's name for 25.6 ms: 100 us * 2 ** (n - 1)
_ERROR_TIMEOUT = 0x01
_IN_DESELECT = 0x44


class Silent(Exception):
    """The tag does not answer."""


class Garbled(Exception):
    """The tag's answer arrived damaged."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A tag that was found: its UID, and whether it is a Type 2 tag (a phone or a bank card is not)."""

    uid: bytes
    is_type2: bool


def crc_a(data: bytes) -> bytes:
    """ISO/IEC 14443-3 CRC_A of `data`, as it is sent."""
    crc = 0x6363
    for octet in data:
        octet ^= crc & 0xFF
        octet = (octet ^ octet << 4) & 0xFF
        crc = (crc >> 8) ^ (octet << 8) ^ (octet << 3) ^ (octet >> 4)
    return crc.to_bytes(2, "little")


def device_error(error: Exception, url: str, *, opening: bool, present: Callable[[], bool]) -> DeviceError:
    """What `error`, raised by nfcpy or below, means for the device at `url`.

    Args:
        opening: whether the reader was being opened.
        present: whether the device still exists.
    """
    number = getattr(error, "errno", None)
    text = str(error)
    if number in (errno.EACCES, errno.EPERM):
        return DevicePermission(
            "this user may not open the reader", url=url, hint="install the udev rules, or join the group dialout"
        )
    if number == errno.EBUSY or "exclusively lock" in text:
        return DeviceBusy("another process or object owns the reader", url=url)
    if not present():
        if opening:
            return DeviceNotFound("there is no such device", url=url, hint="check the cable and the path")
        return DeviceGone("the reader has left", url=url, hint="check its cable")
    if opening:
        return DeviceNotFound(
            f"nothing that we know as an NFC reader answers ({text})",
            url=url,
            hint="check wiring and power, and that a PN532 is set to HSU (UART)",
        )
    if number == errno.ENODEV:
        return DeviceGone("the reader has left", url=url, hint="check its cable")
    if number == errno.ETIMEDOUT:
        return DeviceTimeout("the reader did not answer", url=url)
    return DeviceProtocolError(f"the reader answered what its protocol does not know ({text or type(error)})", url=url)


class Radio:
    """A reader that is opened when first needed and opened again after it failed.

    Args:
        url: for messages.
        connect: opens the reader through nfcpy.
        present: whether the device still exists.
        longest_read: pages that one FAST_READ may ask for through this reader.
    """

    def __init__(
        self,
        url: str,
        connect: Callable[[], ContactlessFrontend],
        present: Callable[[], bool],
        *,
        longest_read: int = 60,
    ) -> None:
        self.url = url
        self.longest_read = longest_read
        self._connect = connect
        self._present = present
        self._frontend: ContactlessFrontend | None = None
        self._chipset: Any = None

    @contextlib.contextmanager
    def _guarded(self, *, opening: bool = False) -> Iterator[None]:
        """Turn whatever nfcpy raises into our errors, and let go of a reader that is in trouble."""
        import termios

        import nfc.clf
        from nfc.clf.pn53x import Chipset

        try:
            yield
        except (Silent, Garbled, DeviceError):
            raise
        except nfc.clf.TimeoutError as error:
            raise Silent from error
        except nfc.clf.CommunicationError as error:
            raise Garbled(str(error)) from error
        # nfcpy meets short or foreign frames with whatever its unpacking raises.
        except (
            OSError,
            termios.error,  # pyserial lets it through when the line has gone
            Chipset.Error,
            nfc.clf.Error,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:
            self.drop()
            raise device_error(error, self.url, opening=opening, present=self._present) from error

    def open(self) -> None:
        """Open the reader if it is not open. The field is off afterwards.

        Raises:
            DeviceError: it cannot be opened.
        """
        if self._frontend is not None:
            return
        with self._guarded(opening=True):
            from nfc.clf import pn53x

            self._frontend = self._connect()
            device = self._frontend.device
            if isinstance(device, pn53x.Device):
                self._chipset = device.chipset
                self._chipset.rf_configuration(0x02, bytes([0x0A, 0x0B, _RF_TIMEOUT_CODE]))

    def drop(self) -> None:
        """Let go of the reader, field off if it still listens. The next `open` starts afresh. Never raises."""
        frontend, self._frontend, self._chipset = self._frontend, None, None
        if frontend is None or frontend.device is None:
            return
        transport = getattr(getattr(frontend.device, "chipset", None), "transport", None)
        try:
            frontend.close()
        except Exception as error:  # a reader in any state of decay
            log.debug("%s: could not be closed in order: %r", self.url, error)
        if transport is not None:
            with contextlib.suppress(Exception):
                transport.close()

    def select(self, uid: bytes | None = None) -> Selected:
        """Switch the field off and on and take one tag in it: any, or the one with `uid`.

        Raises:
            Silent: there is none. DeviceError.
        """
        from nfc.clf import RemoteTarget

        self.open()
        assert self._frontend is not None
        wanted = {} if uid is None else {"sel_req": uid}
        with self._guarded():
            target = self._frontend.sense(RemoteTarget("106A", **wanted))
            if target is None:
                raise Silent
            if target.sdd_res is None:  # a Type 1 tag: it has a four-byte RID instead
                return Selected(bytes(target.rid_res[2:6]), False)
            return Selected(bytes(target.sdd_res), target.sel_res[0] & 0x60 == 0)

    def command(self, data: bytes) -> bytes:
        """Send `data` to the selected tag and return its answer without CRC.

        Raises:
            Silent, Garbled: nothing, or damage, came back. DeviceError.
        """
        assert self._frontend is not None, "select a tag first"
        if self._chipset is None:
            with self._guarded():
                answer = self._frontend.exchange(bytearray(data), _TAG_TIMEOUT)
                if answer is None:
                    raise Silent
                return bytes(answer)
        from nfc.clf.pn53x import Chipset

        with self._guarded():
            try:
                answer = bytes(self._chipset.in_communicate_thru(bytearray(data), _TAG_TIMEOUT + 0.1))
            except Chipset.Error as error:
                # 0x7F and 0xFF are the chip's and nfcpy's words for a reader that did not understand.
                if error.errno in (0x7F, 0xFF):
                    raise
                raise (Silent() if error.errno == _ERROR_TIMEOUT else Garbled(str(error))) from error
        if len(answer) > 2:  # a lone ACK or NAK nibble carries no CRC
            if crc_a(answer[:-2]) != answer[-2:]:
                raise Garbled("CRC_A")
            return answer[:-2]
        return answer

    def another(self) -> bytes | None:
        """Put the selected tag to sleep and look whether a second one answers; its UID, or None.

        Only the PN53x family can do it through nfcpy; with other readers the answer is always None.

        Raises:
            DeviceError.
        """
        if self._chipset is None:
            return None
        from nfc.clf.pn53x import Chipset

        with self._guarded():
            with contextlib.suppress(Chipset.Error):  # a tag that has left cannot be put to sleep
                self._chipset.command(_IN_DESELECT, b"\x01", timeout=0.25)
            found = self._chipset.in_list_passive_target(1, 0, b"")
            return None if found is None else bytes(found[4:])

    def mute(self) -> None:
        """Switch the field off, so that phones can read the tag.

        Raises:
            DeviceError: nobody knows whether the field is off.
        """
        if self._frontend is not None:
            with self._guarded():
                self._frontend.sense()  # without targets it only mutes
