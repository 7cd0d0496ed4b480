"""The one error tree of the hardware layer. No other exception leaves a public call.

::

    DeviceError
    ├── BadDeviceUrl (ValueError)            the URL is wrong
    │   └── UnknownScheme                    no driver of this kind has that scheme
    ├── DriverUnavailable (ImportError)      a library or shared object that the driver needs is missing
    ├── DeviceNotFound (FileNotFoundError)   no such device
    ├── DevicePermission (PermissionError)   it exists, and this user may not open it
    ├── DeviceBusy (BlockingIOError)         another program uses it
    ├── DeviceGone (ConnectionError)         it was unplugged, closed, or lost power
    ├── DeviceTimeout (TimeoutError)         it did not answer or take data in time
    ├── DeviceProtocolError (OSError)        its answer does not follow its protocol
    ├── DeviceClosed (ValueError)            it was closed by the caller
    ├── PrinterError (OSError)               see `sco_drivers.printer`
    ├── NfcError (OSError)                   see `sco_drivers.nfc`
    ├── ScreenError (OSError)                see `sco_drivers.screen`
    ├── TouchError (OSError)                 see `sco_drivers.touch`
    └── DisplayError (OSError)               see `sco_drivers.display`

Every error names the device (`url`), says what was found (`str(error)`), what to do (`hint`), and whether
the same call may succeed when it is repeated (`retryable`).
"""

from __future__ import annotations

from collections.abc import Collection

from sco_drivers.plain import one_line

RULES_HINT = "install the rules 60-sco.rules (sco-hwtest udev install) and join the group sco"
"""The hint for a device that this user may not open."""

FIND_HINT = "list the devices with sco-hwtest discover"
"""The hint for a device that does not exist."""


class DeviceError(Exception):
    """Something about a device. Catch this to catch all of them.

    Args:
        message: what was found, in one sentence.
        url: the device's URL as the caller gave it.
        hint: what to do about it; empty when that is not known.
        retryable: whether the same call may succeed when repeated; by default the class decides.
    """

    retryable: bool = False

    def __init__(self, message: str, *, url: str = "", hint: str = "", retryable: bool | None = None) -> None:
        message = one_line(message)  # may quote what a tag, a printer or a USB device says of itself
        super().__init__(message)
        self.message = message
        self.url = url
        self.hint = hint
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        text = f"{self.url}: {self.message}" if self.url else self.message
        return one_line(f"{text} ({self.hint})" if self.hint else text)


class BadDeviceUrl(DeviceError, ValueError):
    """The URL is wrong; the message names the part.

    Args:
        parameters: the query parameters that are wrong; empty when another part is wrong.
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
    """No driver of this kind has that scheme; the hint lists the known ones."""


class DriverUnavailable(DeviceError, ImportError):
    """A library or shared object that the driver needs is missing; the hint says how to install it."""


class DeviceNotFound(DeviceError, FileNotFoundError):
    """There is no such device."""

    retryable = True


class DevicePermission(DeviceError, PermissionError):
    """The device exists, and this user may not open it; the hint names the udev rule or group."""


class DeviceBusy(DeviceError, BlockingIOError):
    """Another process or another object of this process owns the device."""

    retryable = True


class DeviceGone(DeviceError, ConnectionError):
    """The device was unplugged, closed the connection, or lost power."""

    retryable = True


class DeviceTimeout(DeviceError, TimeoutError):
    """The device did not answer, or did not take data, in time."""

    retryable = True


class DeviceProtocolError(DeviceError, OSError):
    """The device's answer does not follow its protocol."""

    retryable = True


class DeviceClosed(DeviceError, ValueError):
    """The caller closed the device before this call."""


class PrinterError(DeviceError, OSError):
    """Base of errors that only printers have; they are defined in `sco_drivers.printer`."""


class NfcError(DeviceError, OSError):
    """Base of errors that only tags and their readers have; they are defined in `sco_drivers.nfc`."""


class ScreenError(DeviceError, OSError):
    """Base of errors that only screens have; they are defined in `sco_drivers.screen`."""


class TouchError(DeviceError, OSError):
    """Base of errors that only touch panels have; they are defined in `sco_drivers.touch`."""


class DisplayError(DeviceError, OSError):
    """Base of errors that only customer displays have; they are defined in `sco_drivers.display`."""
