"""Hardware drivers of a self-checkout lane: receipt printer, NFC tag and reader, screen, touch panel.

Each device is named by a URL and opened through `sco_drivers.registry`; nothing here knows of money.
Importing this package imports no driver and no third-party library.
"""

from sco_drivers.errors import DeviceError
from sco_drivers.registry import check_url, open_nfc, open_printer, open_screen, open_touch

__all__ = ["DeviceError", "check_url", "open_nfc", "open_printer", "open_screen", "open_touch"]
