"""`record+URL?trace=FILE`: a trace of a device's wire, for every kind but the screen, which has no wire.

The trace is written below the driver that ships: octets to and from a printer or display, frames of an NFC reader,
calls of PC/SC, events of a touch panel; and above it: what was called, and how it ended. Whatever says whose lane it
was is replaced before it is written (`veil`, `tag`). `docs/traces.md` describes the format; `sco_sim.replay` opens a
trace.

Recording never keeps a device from its work: a trace that cannot be written ends, with an error in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sco_drivers import tap
from sco_drivers.record.device import recorded
from sco_drivers.record.recorder import Recorder
from sco_drivers.urls import DeviceUrl

log = logging.getLogger(__name__)


def open_recorded(kind: str, url: DeviceUrl, opened: Callable[[], Any]) -> Any:
    """The device that `opened` opens, recorded to the file `url.trace`.

    Args:
        kind: "printer", "nfc", "touch" or "display".
        url: of the device.
        opened: opens it.
    """
    recorder = Recorder.begin(kind, url)
    if recorder is None:  # the log says why
        return opened()
    try:
        with tap.using(recorder):
            device = opened()
    except BaseException as error:
        recorder.end(error)
        raise
    return recorded(kind, device, recorder)
