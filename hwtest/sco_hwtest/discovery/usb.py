"""Finds receipt printers and NFC readers on USB, and how to distinguish two of the same model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

from sco_hwtest.discovery.found import Address, Found, Problem, Scan
from sco_hwtest.discovery.known import (
    NFC_READERS,
    PCSC_READERS,
    USB_CLASS_PRINTER,
    USB_CLASS_SMART_CARD,
    USB_CLASS_VENDOR,
    is_printer,
)
from sco_hwtest.discovery.sysfs import SysDevice
from sco_hwtest.udev_rules import KERNEL_NFC

_FOLDER = "/sys/bus/usb/devices"
_IN_VENDOR_MODE = (
    "it is in a vendor-specific mode: if it does not print, set its switch to USB printer class; see its manual"
)
Identity = tuple[int, int, str | None]


def identity(device: SysDevice) -> Identity:
    """Vendor, product, serial number."""
    return device.number("idVendor") or 0, device.number("idProduct") or 0, device.attr("serial") or None


def environment(device: SysDevice, interface: SysDevice | None = None) -> dict[str, str]:
    """The udev properties of a USB device (or of the device on its `interface`), as usb_id and path_id set them."""
    vendor, product, serial = identity(device)
    interfaces = [
        "".join(one.attr(f"bInterface{part}") or "00" for part in ("Class", "SubClass", "Protocol"))
        for one in _interfaces(device)
    ]
    found = {
        "ID_BUS": "usb",
        "ID_VENDOR_ID": f"{vendor:04x}",
        "ID_MODEL_ID": f"{product:04x}",
        "ID_USB_INTERFACES": f":{':'.join(interfaces)}:",
    }
    if device.bus_place:
        place = device if interface is None else interface
        found["ID_PATH"] = f"{device.bus_place}-usb-0:{place.kernel.partition('-')[2]}"
    return found | ({"ID_SERIAL_SHORT": serial} if serial else {})


def describe(device: SysDevice, known: str | None = None) -> str:
    """Maker, product, numbers, serial number."""
    vendor, product, serial = identity(device)
    said = " ".join(text for text in (device.attr("manufacturer"), device.attr("product")) if text)
    name = known or said or "no name given"
    return f"{name}, USB {vendor:04x}:{product:04x}" + (f", serial number {serial}" if serial else ", no serial number")


def where(device: SysDevice) -> str:
    """The port, as the kernel names it."""
    return f"USB port {device.kernel}"


def devices(scan: Scan) -> list[SysDevice]:
    """All USB devices except hubs."""
    return [
        device
        for device in scan.machine.devices(_FOLDER)
        if device.number("idVendor") is not None and device.number("bDeviceClass") != 0x09
    ]


def find(scan: Scan) -> Iterator[Found]:
    """Printers and readers."""
    plugged = devices(scan)
    alike = Counter(identity(device) for device in plugged)
    models = Counter(identity(device)[:2] for device in plugged)
    for device in plugged:
        vendor, product, _ = identity(device)
        classes = [interface.number("bInterfaceClass") for interface in _interfaces(device)]
        if (vendor, product) in NFC_READERS:
            yield _reader(scan, device, models)
        elif (vendor, product) in PCSC_READERS:
            yield _pcsc_reader(scan, device, models)
        elif USB_CLASS_PRINTER in classes:
            yield _printer(scan, device, models, alike)
        elif USB_CLASS_SMART_CARD in classes:
            yield _card_reader(scan, device)
        elif USB_CLASS_VENDOR in classes and is_printer(vendor, product):
            yield _printer(scan, device, models, alike, _IN_VENDOR_MODE)


def _interfaces(device: SysDevice) -> list[SysDevice]:
    return [one for one in device.below() if one.number("bInterfaceClass") is not None]


def bus_file(device: SysDevice) -> str:
    """Its file in /dev/bus/usb, even if the kernel's uevent file does not name it."""
    return device.node or f"/dev/bus/usb/{int(device.attr('busnum') or 0):03d}/{int(device.attr('devnum') or 0):03d}"


def _printer(
    scan: Scan, device: SysDevice, models: Counter[tuple[int, int]], alike: Counter[Identity], *notes_before: str
) -> Found:
    vendor, product, serial = identity(device)
    bare = f"usb://{vendor:04x}:{product:04x}"
    notes = [*notes_before]
    if serial and alike[vendor, product, serial] == 1:
        urls = [Address(f"{bare}/{quote(serial)}", "by its serial number, at any port")]
    elif models[vendor, product] == 1:
        urls = [Address(bare, "it has no serial number: only one of this model can be used so")]
    else:
        urls = [Address(f"{bare}?port={device.kernel}", "by its port: it must stay plugged in there")]
        notes.append(
            f"{models[vendor, product]} printers of this model are plugged in and "
            + ("have the same serial number" if serial else "have no serial number")
            + ": only the port tells them apart (or name each: sco-hwtest udev name --help)"
        )
    lp = next((child for child in device.all_below() if child.subsystem == "usbmisc" and child.node), None)
    rule, given = scan.rule_for(device, environment(device))
    node = bus_file(device)
    problems = scan.held(node)
    files = [scan.rights(node)]
    if lp is not None and lp.node is not None:
        lp_rule, lp_given = scan.rule_for(lp, environment(device, lp.parent("usb", "usb_interface")))
        names = scan.stable(lp.node)
        urls += [Address(f"lp://{name}", "through the kernel's usblp") for name in names]
        if not names:
            urls.append(
                Address(f"lp://{lp.node}", "through the kernel's usblp; the number depends on the order of plugging in")
            )
        files.append(scan.rights(lp.node))
        problems += scan.held(lp.node)
        rule, given = (f"{rule}; {lp_rule}" if rule else lp_rule, lp_given) if lp_rule else (rule, given)
    present = [file for file in files if file is not None]
    if not present:
        problems.append(
            Problem(
                f"{node} is missing", f"in a container, start it with --device={node} or -v /dev/bus/usb:/dev/bus/usb"
            )
        )
    elif not any(file.may for file in present):
        problems.append(scan.not_allowed(present[-1], given))
    return Found(
        "printer", describe(device), where(device), tuple(urls), tuple(present), rule, tuple(problems), tuple(notes)
    )


def _reader(scan: Scan, device: SysDevice, models: Counter[tuple[int, int]]) -> Found:
    vendor, product, _ = identity(device)
    node = bus_file(device)
    rule, given = scan.rule_for(device, environment(device))
    files, missing = scan.reach(node, given)
    problems = scan.held(node)
    for interface in _interfaces(device):
        if interface.driver in KERNEL_NFC:
            problems.append(
                Problem(
                    f"the kernel's own driver {interface.driver} has it",
                    "sudo sco-hwtest udev install keeps it off; now, at once: "
                    f"echo {interface.kernel} | sudo tee /sys/bus/usb/drivers/{interface.driver}/unbind",
                )
            )
    problems += missing
    count = models[vendor, product]
    bare = f"usb://{vendor:04x}:{product:04x}"
    address = Address(bare) if count == 1 else Address(f"{bare}?port={device.kernel}", "by its port, of several alike")
    return Found(
        "nfc",
        describe(device, NFC_READERS[vendor, product]),
        where(device),
        (address,),
        files,
        rule,
        tuple(problems),
    )


def _pcsc_reader(scan: Scan, device: SysDevice, models: Counter[tuple[int, int]]) -> Found:
    vendor, product, _ = identity(device)
    known, name = PCSC_READERS[vendor, product]
    several = (f"{models[vendor, product]} of this model: add index=1 for the second, ...",)
    return Found(
        "nfc",
        describe(device, known),
        where(device),
        (_through_pcscd(name),),
        problems=_pcscd_missing(scan),
        notes=several if models[vendor, product] > 1 else (),
    )


def _card_reader(scan: Scan, device: SysDevice) -> Found:
    """A smart-card reader of an unknown model, or a token that presents itself as one."""
    words = (device.attr("product") or "").split()
    # The word that is most likely a model: pcscd writes the others in its own way.
    name = next((word for word in words if any(sign.isdigit() for sign in word)), words[0] if words else "")
    address = _through_pcscd(name)
    unsure = Problem(
        "smart-card reader; usable if it is contactless, which its USB descriptors do not say",
        f"put a tag on it and try: sco-hwtest nfc read '{address.url}'",
    )
    return Found("nfc", describe(device), where(device), (address,), problems=(*_pcscd_missing(scan), unsure))


def _through_pcscd(name: str) -> Address:
    url = f"pcsc://?name={quote(name)}" if name else "pcsc://"
    return Address(url, "through pcscd; needs pyscard: pip install 'sco-paymaster[pcsc]'")


def _pcscd_missing(scan: Scan) -> tuple[Problem, ...]:
    if scan.machine.exists("/run/pcscd/pcscd.comm"):
        return ()
    return (
        Problem(
            "pcscd is not running, and this reader can be used through it only",
            "sudo apt-get install pcscd; sudo systemctl enable --now pcscd.socket",
        ),
    )
