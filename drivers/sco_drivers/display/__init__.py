"""The public interface of customer QR displays: small screens on a serial line that show one code at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from sco_drivers.errors import DisplayError
from sco_drivers.qr import MAX_BYTES

__all__ = ["CodeMayShow", "CodeRefused", "DisplayError", "DisplayedCode", "QrDisplay"]


class CodeRefused(DisplayError, ValueError):
    """The code cannot be shown by any display. Nothing was sent."""


class CodeMayShow(DisplayError):
    """Sending failed after a part of the code was sent: the display may show it. The cause is the line's error."""

    retryable = True


@dataclass(frozen=True, slots=True)
class DisplayedCode:
    """What the display shows while it waits for the customer.

    Attributes:
        link: the content of the code.
        amount: the amount, already formatted ("253,00 ₽"); empty for none.
        text: further words.

    A display that has only the code ignores `amount` and `text`.
    """

    link: str
    amount: str = ""
    text: str = ""

    def check(self, url: str) -> None:
        """Check what every display must be able to show; `url` is for the message.

        Raises:
            CodeRefused: no link, one that no QR code holds, a control character, or text that is not UTF-8.
        """
        for name, words in (("link", self.link), ("amount", self.amount), ("text", self.text)):
            if any(character < " " or character == "\x7f" for character in words):
                raise CodeRefused(f"the {name} contains a control character: {words!r}", url=url)
            try:
                words.encode()
            except UnicodeEncodeError:
                raise CodeRefused(f"the {name} is not UTF-8 text: {words!r}", url=url) from None
        size = len(self.link.encode())
        if not 0 < size <= MAX_BYTES["L"]:
            raise CodeRefused(f"the link has {size} bytes; a QR code holds 1 to {MAX_BYTES['L']}", url=url)


@runtime_checkable
class QrDisplay(Protocol):
    """A customer display. Thread-safe.

    It does not report what it shows: a call that returns means that everything was sent, never that it is visible.
    """

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    def show_code(self, code: DisplayedCode) -> None:
        """Send the code, which replaces what is shown.

        Raises:
            CodeMayShow: a part of it was sent. Any other DeviceError: nothing was sent. CodeRefused; DeviceGone: the
                display was unplugged; DeviceTimeout: it takes no data; DeviceClosed: `close` was called.
        """
        ...

    def show_result(self, *, paid: bool, text: str = "") -> None:
        """Replace the code by the picture of a payment that succeeded or failed.

        Args:
            paid: which of the two.
            text: the words for it, on a display that has no pictures.

        Raises:
            DeviceGone, DeviceTimeout, DeviceClosed: the code may still be shown.
        """
        ...

    def clear(self) -> None:
        """Remove whatever is shown.

        Raises:
            DeviceGone, DeviceTimeout, DeviceClosed: the code may still be shown.
        """
        ...

    def check(self) -> None:
        """Check that the display is still connected. After a reconnection it shows nothing: send it all again.

        Raises:
            DeviceGone: it was unplugged. DeviceClosed: `close` was called.
        """
        ...

    def close(self) -> None:
        """Release the line; what is shown stays. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
