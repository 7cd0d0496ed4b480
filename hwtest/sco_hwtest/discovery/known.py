"""Names of known USB devices by vendor and product number. Sources: usb.ids of linux-usb.org, nfcpy, libccid."""

from __future__ import annotations

NFC_READERS: dict[tuple[int, int], str] = {
    (0x072F, 0x2200): "ACS ACR122U",
    (0x04CC, 0x2533): "NXP PN533",
    (0x04CC, 0x0531): "NXP PN531",
    (0x04E6, 0x5591): "SCM SCL3711 (PN533)",
    (0x04E6, 0x5593): "SCM SCL3712 (PN533)",
    (0x054C, 0x0193): "Sony PN531",
    (0x054C, 0x02E1): "Sony RC-S330/360/370",
    (0x054C, 0x06C1): "Sony RC-S380",
    (0x054C, 0x06C3): "Sony RC-S380",
}
"""USB readers that nfcpy opens."""

PCSC_READERS: dict[tuple[int, int], tuple[str, str]] = {
    (0x072F, 0x221A): ("ACS ACR1251U", "ACR1251"),
    (0x072F, 0x2224): ("ACS ACR1281U", "ACR1281"),
    (0x072F, 0x223B): ("ACS ACR1252U", "ACR1252"),
    (0x072F, 0x223E): ("ACS ACR1252U", "ACR1252"),
    (0x072F, 0x223F): ("ACS ACR1255U-J1", "ACR1255"),
    (0x072F, 0x2259): ("ACS ACR1252IMP", "ACR1252"),
    (0x076B, 0x5022): ("HID OMNIKEY 5022", "5022"),
    (0x076B, 0x5023): ("HID OMNIKEY 5023", "5023"),
    (0x076B, 0x502A): ("HID OMNIKEY 5025 CL", "5025"),
    (0x076B, 0x5127): ("HID OMNIKEY 5127 CK", "5127"),
    (0x076B, 0x5321): ("HID OMNIKEY 5321", "5321"),
    (0x076B, 0x5422): ("HID OMNIKEY 5422", "5422"),
    (0x076B, 0x5427): ("HID OMNIKEY 5427 CK", "5427"),
}
"""Readers of contactless cards that PC/SC alone can use, and a part of the name that pcscd gives them."""

SERIAL_ADAPTERS: dict[tuple[int, int], str] = {
    (0x0403, 0x6001): "FTDI FT232R",
    (0x0403, 0x6010): "FTDI FT2232",
    (0x0403, 0x6015): "FTDI FT231X",
    (0x067B, 0x2303): "Prolific PL2303",
    (0x067B, 0x23A3): "Prolific PL2303GS",
    (0x10C4, 0xEA60): "Silicon Labs CP210x",
    (0x1A86, 0x5523): "WCH CH341",
    (0x1A86, 0x7523): "WCH CH340",
    (0x1A86, 0x55D4): "WCH CH9102",
}

PRINTER_VENDORS = frozenset((0x0519, 0x0619, 0x0D3A, 0x0DD4, 0x1504, 0x154F, 0x1D90, 0x2730, 0x2D37))
"""Makers of receipt printers: Star, Seiko Instruments, Posiflex, CUSTOM, Bixolon, SNBC, Citizen (two), Poskey."""

PRINTERS = frozenset(
    (
        *((0x0416, 0x5011), (0x0456, 0x0808), (0x0483, 0x070B), (0x0483, 0x5743), (0x04B8, 0x0202), (0x0FE6, 0x811E)),
        *((0x1FC9, 0x2016), (0x20D1, 0x7008), (0x28E9, 0x0289), (0x4B43, 0x3538), (0x4B43, 0x3830)),
        *((0x6868, 0x0200), (0x6868, 0x0500)),
    )
)
"""Printers of makers that make other devices too (Epson), or on a chip that others use too; as in the udev rules."""


def is_printer(vendor: int, product: int) -> bool:
    """Whether a receipt printer has these numbers."""
    epson_tm = vendor == 0x04B8 and product >> 8 == 0x0E  # other products of Epson's are scanners, for instance
    return epson_tm or vendor in PRINTER_VENDORS or (vendor, product) in PRINTERS


USB_CLASS_PRINTER = 0x07
USB_CLASS_SMART_CARD = 0x0B
USB_CLASS_VENDOR = 0xFF
