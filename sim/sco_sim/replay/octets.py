"""A recorded wire of octets, for the drivers of printers and displays.

What is sent is compared octet by octet, whatever pieces it comes in. What was received after so many sent octets, and
so many reads that gave nothing, is there after as many, or when its time has come.
"""

from __future__ import annotations

from sco_drivers import errors
from sco_drivers.errors import DeviceError, DeviceGone
from sco_sim.replay import words
from sco_sim.replay.player import Player, described
from sco_sim.replay.trace import Entry

_LATE_S = 1e-6
"""A wait ends so much after its deadline, as real ones do: at the very moment the deadline might not be over."""


def recorded_error(name: str, what: str) -> DeviceError:
    """An error as it was raised then."""
    kind = getattr(errors, name, DeviceGone)
    kind = kind if isinstance(kind, type) and issubclass(kind, DeviceError) else DeviceGone
    return kind(f"as when the trace was recorded: {what} failed")


class ReplayedWire:
    """A printer's `Transport`, or a display's `Wire`."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._unread: list[bytes] = []
        self._begun = 0  # octets of the next entry that were sent already
        self._empty = 0  # of the reads before the next entry, which gave nothing
        self._connect()

    def _connect(self) -> None:
        self._player.check()
        self._skip_received()
        entry = self._player.peek()
        if entry is not None and entry.says.get("fails") == "open":
            self._take()
            raise recorded_error(entry.says.get("error", ""), "opening")
        if entry is None or "open" not in entry.says:
            raise self._player.differs(entry, _expected(entry), "that it is opened")
        self._take()

    def _take(self) -> Entry:
        self._empty = 0
        return self._player.take()

    def _skip_received(self, *, keep: bool = False) -> None:
        while (entry := self._player.peek()) is not None and "<" in entry.says:
            self._take()
            if keep:
                self._unread.append(bytes.fromhex(entry.says["<"]))

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`."""
        player = self._player
        player.check()
        taken = 0
        while taken < len(data):
            self._skip_received(keep=True)
            entry = player.peek()
            if entry is not None and entry.says.get("fails") == "write":
                self._take()
                raise recorded_error(entry.says.get("error", ""), "sending")
            if entry is None or not {">", "withheld"} & set(entry.says):
                raise player.differs(entry, _expected(entry), f"to be sent {words.octets(data[taken:])}")
            size = self._compared(entry, data[taken:])
            taken += size
            if self._begun < _size(entry):
                break  # the rest of this piece comes with the next call
            self._begun = 0
            self._take()
            if "of" in entry.says:  # it took no more in time then
                player.pass_until(player.now_s + timeout_s if not size else player.now_s)
                break
        return taken

    def _compared(self, entry: Entry, data: bytes) -> int:
        """How many octets of `data` are those of `entry`; all that both have."""
        size = min(_size(entry) - self._begun, len(data))
        if "withheld" not in entry.says:
            then = bytes.fromhex(entry.says[">"])[self._begun :]
            for at in range(size):
                if then[at] != data[at]:
                    octet = self._player.sent + at + 1
                    expected = f"octet {octet} of what is sent to begin {words.octets(then[at:])}"
                    raise self._player.differs(entry, expected, words.octets(data[at:]))
        self._begun += size
        self._player.sent += size
        return size

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """See `Transport`."""
        return self.write(data, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        player = self._player
        player.check()
        if self._unread:
            return self._unread.pop(0)
        entry = player.peek()
        end = player.now_s + timeout_s
        then = entry.says.get("empty", ()) if entry is not None else ()
        # A busy machine may have woken the driver long after its deadline, with what had come by then.
        if entry is not None and (self._empty >= len(then) or entry.t <= end):
            if "<" in entry.says:
                return bytes.fromhex(self._take().says["<"])
            if entry.says.get("fails") == "read":
                self._take()
                raise recorded_error(entry.says.get("error", ""), "reading")
        player.pass_until(max(end + _LATE_S, then[self._empty]) if self._empty < len(then) else end + _LATE_S)
        self._empty += 1
        return b""

    def flush(self, timeout_s: float) -> bool:
        """See `sco_drivers.display.serial_line.Wire`."""
        self._player.check()
        entry = self._player.peek()
        if entry is None or entry.says.get("fails") != "flush":
            return True
        self._take()
        if entry.says.get("error"):
            raise recorded_error(entry.says["error"], "sending")
        self._player.pass_until(self._player.now_s + timeout_s)
        return False

    def close(self, *, discard: bool = False) -> None:
        """See `Transport`."""
        player = self._player
        if player.difference is not None:
            return
        self._skip_received()
        entry = player.peek()
        if entry is not None and "close" in entry.says:
            self._take()
        elif entry is not None or player.recording.whole:
            player.differs(entry, _expected(entry), "that it is closed")


def _size(entry: Entry) -> int:
    return int(entry.says["withheld"]) if "withheld" in entry.says else len(entry.says[">"]) // 2


def _expected(entry: Entry | None) -> str:
    return "nothing more" if entry is None else described(entry)
