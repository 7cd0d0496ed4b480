"""A display in a file with the layout of a framebuffer, for tests and PNGs: `sim://PATH?size=WxH&format=NAME`.

The scenes, the conversion and the rotation are those of a real display; only ioctls are missing. Any process may map
the file and read it: `VirtualScreen` is the simulated panel.

Parameters: `size` (1024x768), `format` (a name of `sco_drivers.screen.formats`, rgb565), `stride` bytes a row, and
those of every screen (`rotate`, `mm`, `guard_ms`: 0 by default here, since scripts press faster than people).
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
    """Size of the file: the rows, and the frame counter in the last eight bytes of the last memory page."""
    need = geometry.stride * geometry.height + _COUNTER.size
    return -(-need // mmap.PAGESIZE) * mmap.PAGESIZE


class FileMemory:
    """A mapped file as a display's memory. Unlinking the file unplugs the display."""

    def __init__(self, url: DeviceUrl, path: Path, geometry: Geometry) -> None:
        self._url = url
        self._geometry = geometry
        self.damaged = False
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
        """From the URL."""
        return self._geometry

    def front(self) -> memoryview:
        """The only page."""
        return self._rows

    def back(self) -> memoryview:
        """The only page."""
        self.check()
        return self._rows

    def check(self) -> None:
        """Check that the file still exists.

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
    """The panel of a simulated display.

    Args:
        size: px of the device, before rotation.
        format: a name of `sco_drivers.screen.formats.FORMATS`.
        rotate: degrees clockwise by which drivers turn the picture.
        stride: bytes per row; no padding if None.
        mm: size of the panel in mm.
        path: the file; a temporary one, removed by `close`, if None.
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
        """The rows that are in the file now."""
        return self.path.read_bytes()[: self.geometry.stride * self.geometry.height]

    def image(self) -> Image:
        """What the panel shows now, as an RGB image in the viewer's orientation."""
        return Surface(self.geometry, self.rotate).picture(memoryview(self.raw()))

    def save_png(self, path: str | Path) -> None:
        """Save `image()` as a PNG file."""
        self.image().save(path, format="PNG")

    @property
    def frames(self) -> int:
        """How many pictures, whole or partial, were shown since the file was created; 0 without a file."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            file.seek(_file_size(self.geometry) - _COUNTER.size)
            return int(_COUNTER.unpack(file.read(_COUNTER.size))[0])

    @property
    def plugged(self) -> bool:
        """Whether the display is plugged in."""
        return not self.path.is_symlink()

    def button(self, action: str) -> Box | None:
        """The box of the button of that action on a screen that this process has open; None if there is none."""
        screen = _opened.get(str(self.path))
        return None if screen is None else screen.button_box(action)

    def unplug(self) -> None:
        """Fault: the display is unplugged. Open screens raise `DeviceGone`, opening one raises `DeviceNotFound`."""
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(_NOWHERE)

    def plug(self) -> None:
        """The display is plugged in again, black, with the same URL."""
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
    """A `DrawnScreen` on a file. `simulator` is its panel."""

    def __init__(self, url: DeviceUrl, memory: FileMemory, simulator: VirtualScreen) -> None:
        super().__init__(url, memory, guard_ms=0)
        self.simulator = simulator
        _opened[str(simulator.path)] = self

    def close(self) -> None:
        """Make the screen black and unmap the file; a temporary one is removed. May be called twice."""
        super().close()
        self.simulator.close()


def _panel(url: DeviceUrl) -> tuple[PixelFormat, tuple[int, int], int]:
    """The format, the size in px and the bytes of a row."""
    form: PixelFormat = FORMATS[url.choice("format", "rgb565", tuple(FORMATS))]
    size = pair_of(url, "size") or (1024, 768)
    if min(size) < 64:
        raise url.wrong("size", "is too small for any scene")
    tight = form.row_bytes(size[0])
    return form, size, url.integer("stride", tight, min=tight, max=1 << 20)


def _check(url: DeviceUrl) -> None:
    _panel(url)
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
    form, size, stride = _panel(url)
    panel = VirtualScreen(
        size,
        form.name,
        rotate=rotation_of(url),
        stride=stride,
        mm=panel_of(url),
        path=url.path or None,
        guard_ms=guard_of(url, 0),
    )
    try:
        memory = FileMemory(url, panel.path, panel.geometry)
    except FileNotFoundError:
        if panel.path.is_symlink():
            raise DeviceNotFound("no display is connected", url=url.text, hint="VirtualScreen.plug") from None
        raise DeviceNotFound("no such directory", url=url.text, hint=f"mkdir -p {panel.path.parent}") from None
    except PermissionError:
        raise DevicePermission("this user may not write the file", url=url.text) from None
    except (OSError, ValueError) as error:
        raise ScreenError(f"the file cannot be mapped: {error}", url=url.text) from error
    return SimulatedScreen(url, memory, panel)
