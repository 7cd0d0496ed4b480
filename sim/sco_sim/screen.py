"""A display that is a file: laid out like a framebuffer, mapped into memory, decoded to PNG. `sim://PATH?size=WxH&format=NAME`.

The scenes, the conversion and the rotation are those of a real display; what a plain file cannot have is ioctls. Any
process may map the file and look: `VirtualScreen` is the glass.

Parameters: `size` (1024x768), `format` (a name of `sco_drivers.screen.formats`, rgb565), `stride` bytes a row, and
those of every screen (`rotate`, `mm`, `guard_ms`, 0 here, since scripts press faster than people).
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote
from weakref import WeakValueDictionary

from sco_drivers.errors import DeviceGone, DeviceNotFound, DevicePermission, ScreenError
from sco_drivers.screen import Box
from sco_drivers.screen.formats import FORMATS, PixelFormat
from sco_drivers.screen.memory import Geometry, Rotation
from sco_drivers.screen.options import PARAMETERS, check_parameters, guard_of, pair_of, panel_of, rotation_of
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.screen.surface import Surface
from sco_drivers.urls import DeviceUrl, opener

if TYPE_CHECKING:
    from PIL.Image import Image

_NOWHERE = "/nonexistent/unplugged"
_COUNTER = struct.Struct("=Q")
_opened: WeakValueDictionary[str, SimulatedScreen] = WeakValueDictionary()


def _file_size(geometry: Geometry) -> int:
    """Bytes of the file: the rows, then, in the last eight of a whole number of pages, the count of frames."""
    need = geometry.stride * geometry.height + _COUNTER.size
    return -(-need // mmap.PAGESIZE) * mmap.PAGESIZE


class FileMemory:
    """A mapped file as a display's memory. A file that is unlinked is a display that was unplugged."""

    def __init__(self, url: DeviceUrl, path: Path, geometry: Geometry) -> None:
        self._url = url
        self._geometry = geometry
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = _file_size(geometry)
            if os.fstat(self._fd).st_size < size:
                os.ftruncate(self._fd, size)
            self._map = mmap.mmap(self._fd, size)
        except BaseException:
            os.close(self._fd)
            raise
        self._rows = memoryview(self._map)[: geometry.stride * geometry.height]
        self._closed = False

    @property
    def geometry(self) -> Geometry:
        """As the URL says."""
        return self._geometry

    def front(self) -> memoryview:
        """The only page."""
        return self._rows

    def back(self) -> memoryview:
        """The only page."""
        self.check()
        return self._rows

    def check(self) -> None:
        """Ask whether the file is still there.

        Raises:
            DeviceGone: it was unlinked.
        """
        if os.fstat(self._fd).st_nlink == 0:
            raise DeviceGone("the display was unplugged", url=self._url.text, hint="plug it in and open it again")

    def flip(self) -> None:
        """Count a frame.

        Raises:
            DeviceGone: the file was unlinked.
        """
        self.check()
        at = len(self._map) - _COUNTER.size
        _COUNTER.pack_into(self._map, at, _COUNTER.unpack_from(self._map, at)[0] + 1)

    def changed(self, boxes: Sequence[Box]) -> None:
        """Count a frame; the pixels are in the file already."""
        self.flip()

    def close(self) -> None:
        """Unmap. May be called twice."""
        if not self._closed:
            self._closed = True
            self._rows.release()
            self._map.close()
            os.close(self._fd)


class VirtualScreen:
    """The glass of a simulated display.

    Args:
        size: px of the device, before rotation.
        format: a name of `sco_drivers.screen.formats.FORMATS`.
        rotate: degrees clockwise by which drivers are to turn the picture.
        stride: bytes a row; tight when None.
        mm: size of the glass in mm.
        path: the file; a temporary one, removed by `close`, when None.
        guard_ms: see `sco_drivers.screen.options`.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1024, 768),
        format: str = "rgb565",  # noqa: A002 (the URL's word)
        *,
        rotate: Rotation = 0,
        stride: int | None = None,
        mm: tuple[int, int] | None = None,
        path: str | Path | None = None,
        guard_ms: int = 0,
    ) -> None:
        form = FORMATS[format]
        self.geometry = Geometry(*size, stride or form.row_bytes(size[0]), form, mm)
        self.rotate: Rotation = rotate
        self.guard_ms = guard_ms
        self._own = tempfile.TemporaryDirectory(prefix="sco-screen-") if path is None else None
        self.path = Path(self._own.name) / "screen.fb" if self._own is not None else Path(str(path)).absolute()

    @property
    def url(self) -> str:
        """The URL by which drivers open it."""
        geometry = self.geometry
        text = f"sim://{quote(str(self.path))}?size={geometry.width}x{geometry.height}&format={geometry.format.name}"
        if geometry.stride != geometry.format.row_bytes(geometry.width):
            text += f"&stride={geometry.stride}"
        if self.rotate:
            text += f"&rotate={self.rotate}"
        if geometry.panel_mm:
            text += f"&mm={geometry.panel_mm[0]}x{geometry.panel_mm[1]}"
        return text + (f"&guard_ms={self.guard_ms}" if self.guard_ms else "")

    def raw(self) -> bytes:
        """The rows as they lie in the file now."""
        return self.path.read_bytes()[: self.geometry.stride * self.geometry.height]

    def image(self) -> Image:
        """What the glass shows now, as an RGB image as a person sees it."""
        return Surface(self.geometry, self.rotate).picture(memoryview(self.raw()))

    def save_png(self, path: str | Path) -> None:
        """Write `image()` to a PNG file."""
        self.image().save(path, format="PNG")

    @property
    def frames(self) -> int:
        """How many pictures, whole or in part, have been put on the glass since the file was made; 0 without a file."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            file.seek(_file_size(self.geometry) - _COUNTER.size)
            return int(_COUNTER.unpack(file.read(_COUNTER.size))[0])

    def button(self, action: str) -> Box | None:
        """Where the button of that action stands on a screen that this process has open; None when there is none."""
        screen = _opened.get(str(self.path))
        return None if screen is None else screen.button_box(action)

    def unplug(self) -> None:
        """Fault: the display leaves. What has it open meets `DeviceGone`; who opens it, `DeviceNotFound`."""
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(_NOWHERE)

    def plug(self) -> None:
        """The display that left is there again, black, under the same URL."""
        if self.path.is_symlink():
            self.path.unlink()

    def close(self) -> None:
        """Remove the temporary file. May be called twice."""
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class SimulatedScreen(DrawnScreen):
    """A `DrawnScreen` on a file. `simulator` is its glass."""

    def __init__(self, url: DeviceUrl, memory: FileMemory, simulator: VirtualScreen) -> None:
        super().__init__(url, memory, guard_ms=0)
        self.simulator = simulator
        _opened[str(simulator.path)] = self

    def close(self) -> None:
        """Black the screen and unmap the file; a temporary one is removed. May be called twice."""
        super().close()
        self.simulator.close()


def _glass(url: DeviceUrl) -> tuple[PixelFormat, tuple[int, int], int]:
    """The format, the size in px and the bytes of a row."""
    form: PixelFormat = FORMATS[url.choice("format", "rgb565", tuple(FORMATS))]
    size = pair_of(url, "size") or (1024, 768)
    if min(size) < 64:
        raise url.wrong("size", "is too small for any scene")
    tight = form.row_bytes(size[0])
    return form, size, url.integer("stride", tight, min=tight, max=1 << 20)


def _check(url: DeviceUrl) -> None:
    _glass(url)
    check_parameters(url)


@opener(
    _check,
    example="sim:///tmp/screen?size=1024x768",
    params=("size", "format", "stride", *PARAMETERS),
    allows=("path",),
    simulated=True,
)
def open_sim(url: DeviceUrl, _options: None) -> SimulatedScreen:
    """Open `sim://[/PATH]`.

    Raises:
        BadDeviceUrl: an unknown parameter, format or size. DeviceNotFound: no such directory. DevicePermission.
    """
    form, size, stride = _glass(url)
    glass = VirtualScreen(
        size,
        form.name,
        rotate=rotation_of(url),
        stride=stride,
        mm=panel_of(url),
        path=url.path or None,
        guard_ms=guard_of(url, 0),
    )
    try:
        memory = FileMemory(url, glass.path, glass.geometry)
    except FileNotFoundError:
        if glass.path.is_symlink():
            raise DeviceNotFound("no display is plugged in", url=url.text, hint="VirtualScreen.plug") from None
        raise DeviceNotFound("no such directory", url=url.text, hint=f"mkdir -p {glass.path.parent}") from None
    except PermissionError:
        raise DevicePermission("this user may not write the file", url=url.text) from None
    except (OSError, ValueError) as error:
        raise ScreenError(f"the file cannot be mapped: {error}", url=url.text) from error
    return SimulatedScreen(url, memory, glass)
