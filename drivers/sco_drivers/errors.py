"""The one error tree of the hardware layer. No exception of a library below leaves a public call.

::

    DeviceError
    ├── BadDeviceUrl (ValueError)            the URL cannot be understood
    │   └── UnknownScheme                    no driver of this kind has that scheme
    ├── DriverUnavailable (ImportError)      a library or shared object that the driver needs is missing
    ├── DeviceNotFound (FileNotFoundError)   nothing answers to that name
    ├── DevicePermission (PermissionError)   it is there, and we may not open it
    ├── DeviceBusy (BlockingIOError)         another owner has it
    ├── DeviceGone (ConnectionError)         it was there and has left (unplugged, closed, power lost)
    ├── DeviceTimeout (TimeoutError)         it did not answer or take data in the time given
    ├── DeviceProtocolError (OSError)        it answered something that its protocol does not know
    ├── DeviceClosed (ValueError)            the caller had closed it before
    ├── PrinterError (OSError)               see `sco_drivers.printer`
    ├── NfcError (OSError)                   see `sco_drivers.nfc`
    ├── ScreenError (OSError)                see `sco_drivers.screen`
    └── TouchError (OSError)                 see `sco_drivers.touch`

Every error names the device (`url`), says what was found (`str(error)`), what to do (`hint`), and whether
the same call may go well if it is simply made again (`retryable`).
"""

from __future__ import annotations

from collections.abc import Collection

RULES_HINT = "install the rules 60-sco.rules (sco-hwtest udev install) and join the group sco"
"""For devices that this user may not open."""

FIND_HINT = "sco-hwtest discover tells what is there"
"""For names behind which there is nothing."""


class DeviceError(Exception):
    """Something about a device. Catch this to catch all of them.

    Args:
        message: what was found, in one sentence.
        url: the device's URL as the caller gave it.
        hint: what a person can do about it; empty when nothing is known.
        retryable: whether the same call may succeed when made again; the class's own answer if not given.
    """

    retryable: bool = False

    def __init__(self, message: str, *, url: str = "", hint: str = "", retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.url = url
        self.hint = hint
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        text = f"{self.url}: {self.message}" if self.url else self.message
        return f"{text} ({self.hint})" if self.hint else text


class BadDeviceUrl(DeviceError, ValueError):
    """The URL cannot be understood; says which part.

    Args:
        parameters: the query parameters that are wrong; none when it is another part.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str = "",
        hint: str = "",
        retryable: bool | None = None,
        parameters: Collection[str] = (),
    ) -> None:
        super().__init__(message, url=url, hint=hint, retryable=retryable)
        self.parameters = frozenset(parameters)


class UnknownScheme(BadDeviceUrl):
    """No driver of this kind has that scheme; the hint lists those that are known."""


class DriverUnavailable(DeviceError, ImportError):
    """A library or shared object that the driver needs is missing; the hint says how to install it."""


class DeviceNotFound(DeviceError, FileNotFoundError):
    """Nothing answers to that name."""

    retryable = True


class DevicePermission(DeviceError, PermissionError):
    """The device is there, and this user may not open it; the hint names the udev rule or group."""


class DeviceBusy(DeviceError, BlockingIOError):
    """Another process or another object of this process owns the device."""

    retryable = True


class DeviceGone(DeviceError, ConnectionError):
    """The device was there and has left: unplugged, closed by the peer, power lost."""

    retryable = True


class DeviceTimeout(DeviceError, TimeoutError):
    """The device did not answer, or did not take data, in the time given."""

    retryable = True


class DeviceProtocolError(DeviceError, OSError):
    """The device answered something that its protocol does not know."""

    retryable = True


class DeviceClosed(DeviceError, ValueError):
    """The caller had closed the device before this call."""


class PrinterError(DeviceError, OSError):
    """Base of what only a printer can say; its children live in `sco_drivers.printer`."""


class NfcError(DeviceError, OSError):
    """Base of what only a tag or its reader can say; its children live in `sco_drivers.nfc`."""


class ScreenError(DeviceError, OSError):
    """Base of what only a screen can say; its children live in `sco_drivers.screen`."""


class TouchError(DeviceError, OSError):
    """Base of what only a touch panel can say; its children live in `sco_drivers.touch`."""
