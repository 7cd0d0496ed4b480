"""The reader itself: opened when first needed, reopened after a failure, its errors translated into ours.

It has no knowledge of memory or NDEF, nor of how a kind of reader selects a tag: that is its `RfTransport`. No
exception of nfcpy leaves it: a tag that does not answer, or only damaged, raises `NoResponse` or `TransmissionError`; a
reader that fails raises a `DeviceError`.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import termios
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from sco_drivers.access import access_hint
from sco_drivers.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceProtocolError,
    DeviceTimeout,
)
from sco_drivers.identity import DeviceIdentity
from sco_drivers.nfc.identity import identity_of
from sco_drivers.nfc.transport import FIELD_OFF_S, NoResponse, RfTransport, Selected, TransmissionError

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

log = logging.getLogger(__name__)


def device_error(error: Exception, url: str, *, opening: bool, present: Callable[[], bool]) -> DeviceError:
    """What `error`, raised by nfcpy or below, means for the device at `url`.

    Args:
        opening: whether the reader was being opened.
        present: whether the device still exists; True where that is not known.
    """
    number = getattr(error, "errno", None)
    if number == errno.EIO and isinstance(error.__context__, OSError):
        number = error.__context__.errno  # nfcpy raises EIO for any reason that prevented an acknowledgement
    text = str(error)
    if number in (errno.EACCES, errno.EPERM):
        return DevicePermission("this user may not open the reader", url=url, hint=access_hint(url, number))
    if number == errno.EBUSY or "exclusively lock" in text:
        return DeviceBusy(
            "another process or object owns the reader", url=url, hint="stop the lane, or whatever else uses it"
        )
    if not present():
        if opening:
            return DeviceNotFound("there is no such device", url=url, hint="check the cable and the name")
        return DeviceGone("the reader was unplugged", url=url, hint="check its cable")
    if opening and (number == errno.ENOTTY or "Inappropriate ioctl" in text):
        return DeviceNotFound("this is not a serial line", url=url, hint="check the name")
    if opening:
        why = "" if number == errno.ENODEV else f" ({text})"
        return DeviceNotFound(
            f"no known NFC reader answers{why}",
            url=url,
            hint="unplug it and plug it in again"
            if url.startswith("usb:")
            else "check wiring and power, and that a PN532 is set to HSU (UART)",
        )
    if number == errno.ENODEV:
        return DeviceGone("the reader was unplugged", url=url, hint="check its cable")
    if number == errno.ETIMEDOUT:
        return DeviceTimeout("the reader did not answer", url=url)
    return DeviceProtocolError(f"the reader's answer violates its protocol ({text or type(error)})", url=url)


_TRANSPORTS = (
    ("nfc.clf.pn53x", "sco_drivers.nfc.transport_pn53x", "Pn53xTransport"),
    ("sco_drivers.nfc.port100", "sco_drivers.nfc.transport_port100", "Port100Transport"),
    ("sco_drivers.nfc.pcsc_field", "sco_drivers.nfc.pcsc_field", "transport_of"),
)
"""Module of the device's class or of a base of it, what makes our transport for it; loaded on first use, to save
memory."""
_OTHER_TRANSPORT = ("sco_drivers.nfc.transport_nfcpy", "NfcpyTransport")


def _transport_for(frontend: ContactlessFrontend) -> RfTransport:
    bases = {base.__module__ for base in type(frontend.device).__mro__}
    module, name = next((ours for theirs, *ours in _TRANSPORTS if theirs in bases), _OTHER_TRANSPORT)
    return cast(RfTransport, getattr(importlib.import_module(module), name)(frontend))


class Radio:
    """A reader that is opened when first needed and reopened after it failed.

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
        self._transport: RfTransport | None = None
        self._field_on = False
        self._off_since = 0.0  # monotonic

    @contextlib.contextmanager
    def _guarded(self, *, opening: bool = False) -> Iterator[None]:
        """Translate what nfcpy raises into our errors, and release a reader that fails."""
        import nfc.clf.transport
        from nfc.clf.pn53x import Chipset

        try:
            yield
        except (NoResponse, TransmissionError):
            raise
        except DeviceError as error:
            error.url = error.url or self.url
            self.drop()
            raise
        except nfc.clf.TimeoutError as error:
            raise NoResponse from error
        except nfc.clf.CommunicationError as error:
            raise TransmissionError(str(error)) from error
        # For short or foreign frames nfcpy raises whatever its unpacking raises.
        except (
            OSError,
            termios.error,  # pyserial lets it through when the line was unplugged
            Chipset.Error,
            nfc.clf.Error,
            nfc.clf.transport.libusb.USBError,
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
            self._frontend = self._connect()
            self._transport = _transport_for(self._frontend)
        self._field_on, self._off_since = False, time.monotonic()

    def identity(self) -> DeviceIdentity:
        """What the reader reports about itself. Opens it if it is not open.

        Raises:
            DeviceError: it cannot be opened, or did not answer.
        """
        self.open()
        assert self._frontend is not None
        with self._guarded():
            return identity_of(self._frontend.device)

    def drop(self) -> None:
        """Switch the field off if possible and release the reader. `open` initialises it again. Never raises."""
        frontend, self._frontend, self._transport = self._frontend, None, None
        if frontend is None or frontend.device is None:
            return
        transport = getattr(getattr(frontend.device, "chipset", None), "transport", None)
        try:
            frontend.close()
        except Exception as error:  # the reader may be in any state
            log.debug("%s: could not be closed cleanly: %r", self.url, error)
        if transport is not None:
            with contextlib.suppress(Exception):
                transport.close()

    def select(self, uid: bytes | None = None) -> Selected:
        """Switch the field off and on and take one tag in it: any, or the one with `uid`.

        Raises:
            NoResponse: there is none. TransmissionError, Collision: the answer is unreadable. DeviceError.
        """
        self.open()
        assert self._transport is not None
        if self._field_on:
            self.mute()
        # A tag that did not lose its power is still halted, or still waits for earlier commands.
        time.sleep(max(0.0, self._off_since + FIELD_OFF_S - time.monotonic()))
        self._field_on = True
        with self._guarded():
            return self._transport.select(uid)

    def command(self, data: bytes) -> bytes:
        """Send `data` to the selected tag and return its answer without CRC.

        Raises:
            NoResponse, TransmissionError: no answer, or a damaged one. DeviceError.
        """
        assert self._transport is not None, "select a tag first"
        with self._guarded():
            return self._transport.command(data)

    def another(self) -> bytes | None:
        """Halt the selected tag and check whether a second one answers; its UID, or None.

        Raises:
            TransmissionError, Collision: the answer is unreadable. DeviceError.
        """
        assert self._transport is not None, "select a tag first"
        with self._guarded():
            return self._transport.another()

    def mute(self) -> None:
        """Switch the field off, so that phones can read the tag.

        Raises:
            DeviceError: it is unknown whether the field is off.
        """
        if self._frontend is not None:
            with self._guarded():
                self._frontend.sense()  # without targets it only mutes
            self._field_on, self._off_since = False, time.monotonic()
