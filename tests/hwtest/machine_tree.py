"""A machine's sys, dev, proc, etc and run as the kernel lays them out, in a folder: for looking at it by path."""

from __future__ import annotations

import os
from pathlib import Path

from sco_hwtest.discovery import Account

TILL = Account("till", 54321, frozenset({54321}))
"""An account that owns nothing in the tree, whoever runs the tests."""


class MachineTree:
    """Builds the files. Every device gets real folders under sys/devices and the links that the kernel makes."""

    def __init__(self, root: Path, *, udev: bool = True, usb: bool = True) -> None:
        self.root = root
        for folder in ("sys/class/tty", "sys/class/input", "sys/class/drm", "sys/class/graphics", "dev", "proc", "etc"):
            (root / folder).mkdir(parents=True)
        if usb:
            (root / "sys/bus/usb/devices").mkdir(parents=True)
        if udev:
            self.write("run/udev/control", "")
        self.write("etc/passwd", f"root:x:0:0::/root:/bin/sh\nme:x:{os.getuid()}:0::/:/bin/sh\n")
        self.write("etc/group", "root:x:0:\ndialout:x:20:\nlp:x:7:\n")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def link(self, name: str, target: Path) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))

    def node(self, name: str, mode: int = 0o600) -> Path:
        path = self.write(f"dev/{name}", "")
        path.chmod(mode)
        return path

    def device(self, path: str, subsystem: str | None = None, *, uevent: str = "", **attributes: str | bytes) -> Path:
        folder = self.root / "sys/devices" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "uevent").write_text(uevent)
        for name, value in attributes.items():
            (folder / name).write_bytes(value if isinstance(value, bytes) else f"{value}\n".encode())
        if subsystem is not None:
            (self.root / "sys/subsystems" / subsystem).mkdir(parents=True, exist_ok=True)
            (folder / "subsystem").symlink_to(os.path.relpath(self.root / "sys/subsystems" / subsystem, folder))
        return folder

    def driver(self, device: Path, name: str) -> None:
        target = self.root / "sys/bus/usb/drivers" / name
        target.mkdir(parents=True, exist_ok=True)
        (device / "driver").symlink_to(os.path.relpath(target, device))

    # --- USB ---

    def usb(self, port: str, vid: str, pid: str, *, serial: str = "", mode: int = 0o600, **more: str) -> Path:
        number = len(list((self.root / "sys/bus/usb/devices").iterdir())) + 1
        attributes = {
            "idVendor": vid,
            "idProduct": pid,
            "busnum": "1",
            "devnum": str(number),
            "bDeviceClass": "00",
        }
        if serial:
            attributes["serial"] = serial
        node = f"bus/usb/001/{number:03d}"
        if not (self.root / "sys/devices/pci0000:00/0000:00:14.0").exists():
            self.device("pci0000:00/0000:00:14.0", "pci")
        folder = self.device(
            f"pci0000:00/0000:00:14.0/usb1/{port}",
            "usb",
            uevent=f"DEVTYPE=usb_device\nDEVNAME={node}\n",
            **attributes,
            **more,
        )
        self.link(f"sys/bus/usb/devices/{port}", folder)
        self.node(node, mode)
        return folder

    def interface(self, device: Path, number: int, kind: str) -> Path:
        name = f"{device.name}:1.{number}"
        folder = self.device(
            f"pci0000:00/0000:00:14.0/usb1/{device.name}/{name}",
            "usb",
            uevent="DEVTYPE=usb_interface\n",
            bInterfaceClass=kind,
            bInterfaceSubClass="01" if kind == "07" else "00",
            bInterfaceProtocol="02" if kind == "07" else "00",
            bInterfaceNumber=f"{number:02d}",
        )
        self.link(f"sys/bus/usb/devices/{name}", folder)
        return folder

    def usb_printer(self, port: str, *, serial: str = "", lp: int | None = None, mode: int = 0o600) -> Path:
        device = self.usb(port, "04b8", "0202", serial=serial, mode=mode, manufacturer="EPSON", product="TM-T88V")
        interface = self.interface(device, 0, "07")
        if lp is not None:
            self.driver(interface, "usblp")
            path = str((interface / f"usbmisc/lp{lp}").relative_to(self.root / "sys/devices"))
            self.link(f"sys/class/usbmisc/lp{lp}", self.device(path, "usbmisc", uevent=f"DEVNAME=usb/lp{lp}\n"))
            self.node(f"usb/lp{lp}", mode)
        return device

    def usb_serial(
        self, port: str, tty: str, *, vid: str = "0403", serial: str = "", mode: int = 0o600, by: tuple[str, ...] = ()
    ) -> None:
        device = self.usb(port, vid, "6001", serial=serial, manufacturer="FTDI", product="FT232R USB UART")
        interface = self.interface(device, 0, "ff")
        path = (interface / tty).relative_to(self.root / "sys/devices")
        self.device(str(path), "usb-serial")
        folder = self.device(f"{path}/tty/{tty}", "tty", uevent=f"DEVNAME={tty}\n")
        (folder / "device").symlink_to("../..")
        self.link(f"sys/class/tty/{tty}", folder)
        node = self.node(tty, mode)
        for name in by:
            self.link(f"dev/serial/{name}", node)

    # --- displays and inputs ---

    def card(self, number: int, connectors: dict[str, str], *, edid: bytes = b"", framebuffer: bool = True) -> None:
        pci = self.device(f"pci0000:00/0000:00:0{number + 2}.0", "pci")
        base = f"pci0000:00/{pci.name}/drm/card{number}"
        card = self.device(base, "drm", uevent=f"DEVTYPE=drm_minor\nDEVNAME=dri/card{number}\n")
        (card / "device").symlink_to("../..")
        self.link(f"sys/class/drm/card{number}", card)
        self.node(f"dri/card{number}")
        for name, modes in connectors.items():
            folder = self.device(
                f"{base}/card{number}-{name}",
                "drm",
                status="connected" if modes else "disconnected",
                modes=modes.replace(" ", "\n"),
                edid=edid if modes else b"",
            )
            self.link(f"sys/class/drm/card{number}-{name}", folder)
        if framebuffer:
            self.framebuffer(number, f"pci0000:00/{pci.name}")

    def framebuffer(self, number: int, parent: str = "platform/vfb.0") -> None:
        self.device(parent)
        folder = self.device(
            f"{parent}/graphics/fb{number}",
            "graphics",
            uevent=f"DEVNAME=fb{number}\n",
            name="simpledrmdrmfb",
            virtual_size="1280,800",
            bits_per_pixel="32",
        )
        (folder / "device").symlink_to("../..")
        self.link(f"sys/class/graphics/fb{number}", folder)
        self.node(f"fb{number}")

    def event(self, number: int, name: str, *, ev: str, abs_: str = "0", key: str = "0", properties: str = "0") -> None:
        folder = self.device(f"virtual/input/input{number}", "input", name=name, properties=properties)
        for part, text in {
            "capabilities/ev": ev,
            "capabilities/abs": abs_,
            "capabilities/key": key,
            "id/vendor": "222a",
            "id/product": "0001",
        }.items():
            path = folder / part
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n")
        event = self.device(
            f"virtual/input/input{number}/event{number}", "input", uevent=f"DEVNAME=input/event{number}\n"
        )
        (event / "device").symlink_to("..")
        self.link(f"sys/class/input/event{number}", event)
        self.node(f"input/event{number}")

    def process(self, pid: int, name: str, *files: str) -> None:
        self.write(f"proc/{pid}/comm", name + "\n")
        folder = self.root / f"proc/{pid}/fd"
        folder.mkdir(parents=True)
        for number, file in enumerate(files):
            (folder / str(number)).symlink_to(file)
