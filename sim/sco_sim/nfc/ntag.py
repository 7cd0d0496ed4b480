"""NTAG213, NTAG215 and NTAG216 at the level of their commands: memory, locks, password, counter, and faults.

Written from the datasheet (NTAG213/215/216 rev. 3.2), independently of the driver: it shares no layout code with it.
Independent of readers; `sco_sim.nfc.pn532` puts a tag into its field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from sco_sim.nfc.ntag_picture import render

# product: pages, user pages' end, pages per dynamic lock bit, storage size code of GET_VERSION, CC size byte
_KINDS = {
    "ntag213": (45, 40, 2, 0x0F, 0x12),
    "ntag215": (135, 130, 16, 0x11, 0x3E),
    "ntag216": (231, 226, 16, 0x13, 0x6D),
}
PRODUCTS = tuple(_KINDS)
ACK = b"\x0a"
NAK_ARGUMENT = b"\x00"
NAK_AUTH = b"\x04"

# Datasheet: WRITE takes at most 4.1 ms of programming after the command. ISO/IEC 14443-3: 106 kbit/s, 9 bits a byte.
BIT_US = 128 / 13.56
TURNAROUND_US = 91.0
PROGRAM_US = 4100.0


def frame_us(size: int) -> float:
    """Time on the air of a frame of `size` bytes (CRC included), in microseconds."""
    return (size * 9 + 2) * BIT_US


# Possible contents of a page after torn programming: it is erased, then bits are set in an undocumented order.
TEARS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "erased": lambda old, new: bytes(4),
    "all ones": lambda old, new: b"\xff" * 4,
    "some bits programmed": lambda old, new: bytes(octet & 0x5A for octet in new),
    "other bits programmed": lambda old, new: bytes(octet & 0xA5 for octet in new),
    "old and new mixed": lambda old, new: bytes((a & 0x0F) | (b & 0xF0) for a, b in zip(old, new, strict=True)),
    "not wholly erased": lambda old, new: bytes(a | b for a, b in zip(old, new, strict=True)),
    "first half": lambda old, new: new[:2] + old[2:],
    "second half": lambda old, new: old[:2] + new[2:],
    "whole": lambda old, new: new,
}


class State(Enum):
    """ISO/IEC 14443-3 type A states that matter here."""

    IDLE = "idle"
    READY_1 = "ready 1"  # asked for the first half of its UID
    READY_2 = "ready 2"
    ACTIVE = "active"
    HALT = "halt"


class Pages(Mapping[int, bytes]):
    """The pages of a memory, as a live mapping."""

    def __init__(self, memory: bytearray) -> None:
        self._memory = memory

    def __getitem__(self, page: int) -> bytes:
        data = bytes(self._memory[page * 4 : page * 4 + 4])
        if page < 0 or len(data) < 4:
            raise KeyError(page)
        return data

    def __len__(self) -> int:
        return len(self._memory) // 4

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))


class VirtualTag:
    """One tag.

    Attributes:
        memory: all its bytes, as a bytearray that may be changed.
        pages: the same by page, read-only.
        page_writes: how often each page was programmed.
        commands: how often each command byte arrived.
        mute: it receives commands and does not answer.
        fast: whether it knows GET_VERSION and FAST_READ; False makes it a generic Type 2 tag.
        air_us: time of its commands on the air, in microseconds.
    """

    def __init__(self, product: str = "ntag213", uid: bytes = bytes.fromhex("04a1b2c3d4e5f6"), uri: str = "") -> None:
        self.product = product.upper()
        self._pages, self._user_end, self._lock_step, self._size_code, container = _KINDS[product.lower()]
        if len(uid) != 7:
            raise ValueError("an NTAG has a UID of 7 bytes")
        self.uid = uid
        self.memory = bytearray(self._pages * 4)
        self.pages = Pages(self.memory)
        self.memory[0:3] = uid[:3]
        self.memory[3] = 0x88 ^ uid[0] ^ uid[1] ^ uid[2]
        self.memory[4:8] = uid[3:]
        self.memory[8] = uid[3] ^ uid[4] ^ uid[5] ^ uid[6]
        self.memory[9] = 0x48
        self.memory[12:16] = bytes([0xE1, 0x10, container, 0x00])
        self.memory[16:24] = bytes.fromhex("0103a00c340300fe" if product.lower() == "ntag213" else "0300fe0000000000")
        self._config = (self._user_end + 1) * 4
        self.memory[self._config : self._config + 8] = bytes.fromhex("040000ff00050000")
        self.memory[self._config + 8 : self._config + 16] = bytes.fromhex("ffffffff00000000")
        self.page_writes: Counter[int] = Counter()
        self.commands: Counter[int] = Counter()
        self.counter = 0
        self.mute = False
        self.fast = True
        self.air_us = 0.0
        self._state = State.IDLE
        self._unpowered = True
        self._first_protected, self._frozen = 0xFF, False
        self._trusted = False
        self._counted = False
        self._failed_passwords = 0
        self._compatible_page: int | None = None
        self._powerless = False
        self._tear_in: int | None = None
        self._tear_leaves: Callable[[bytes, bytes], bytes] | None = None
        self._leave_in: int | None = None
        if uri:
            self.put_uri(uri)

    # -- test controls -----------------------------------------------------------------------------------------------

    def put_uri(self, uri: str) -> None:
        """Put one URI record of `uri` into the memory, regardless of locks, as if it had been encoded elsewhere."""
        code, rest = (4, uri[8:]) if uri.startswith("https://") else (0, uri)
        payload = bytes([code]) + rest.encode()
        record = (
            bytes([0xD1, 1, len(payload)]) if len(payload) < 256 else b"\xc1\x01" + len(payload).to_bytes(4, "big")
        ) + (b"U" + payload)
        size = bytes([len(record)]) if len(record) < 255 else b"\xff" + len(record).to_bytes(2, "big")
        at = 21 if self.memory[16] == 1 else 16
        tlv = b"\x03" + size + record + b"\xfe"
        if at + len(tlv) - 1 > self._user_end * 4:
            raise ValueError(f"{len(record)} bytes do not fit an {self.product}")
        self.memory[at : at + len(tlv)] = tlv

    def uri(self) -> str | None:
        """The link that a phone opens: the URI of the first record of the first NDEF TLV; None if there is none."""
        data = self._mirrored()[16 : 16 + self.memory[14] * 8] + b"\xfe\xfe\xfe\xfe"
        at = 0
        while at < len(data) and data[at] not in (0x03, 0xFE):
            at += 1 if data[at] == 0 else 2 + data[at + 1]
        if at >= len(data) or data[at] == 0xFE:
            return None
        size, body = data[at + 1], at + 2
        if size == 0xFF:
            size, body = data[at + 2] << 8 | data[at + 3], at + 4
        record = data[body : body + size]
        if len(record) < 5 or record[0] & 0x07 != 1 or record[1] != 1:
            return None
        if record[0] & 0x10:
            length, start = record[2], 3
        else:
            length, start = int.from_bytes(record[2:6], "big"), 6
        payload = record[start + 1 : start + 1 + length]
        if record[start : start + 1] != b"U" or length == 0 or len(payload) != length:
            return None
        prefix = {0: "", 1: "http://www.", 2: "https://www.", 3: "http://", 4: "https://"}.get(payload[0])
        return None if prefix is None else prefix + payload[1:].decode("utf-8", "replace")

    def tear(self, after_writes: int, left: Callable[[bytes, bytes], bytes] | None = None) -> None:
        """Cut the tag's power during a future page write: after `after_writes` complete ones.

        Args:
            left: old and new octets -> content of the interrupted page; None leaves it unchanged. See `TEARS`. Lock
                bits and capability container are never torn: the datasheet guarantees it.
        """
        self._tear_in, self._tear_leaves = after_writes, left

    def leave_after(self, commands: int) -> None:
        """Cut the tag's power after `commands` more commands, until the field is switched on again."""
        self._leave_in = commands

    def lock(self) -> None:
        """Set every lock bit, as on a tag that was made read-only."""
        self.memory[10:12] = b"\xff\xff"
        self.memory[self._user_end * 4 : self._user_end * 4 + 2] = b"\xff\xff"

    def protect(self, password: bytes, acknowledge: bytes, first_page: int = 4) -> None:
        """Require `password` for writes from `first_page` on."""
        at = self._config
        self.memory[at + 3] = first_page
        self.memory[at + 8 : at + 14] = password + acknowledge

    def mirror(self, page: int, byte: int = 0, *, counter: bool = False) -> None:
        """Mirror the tag's serial number, or its counter, in ASCII into what is read from `page` and `byte` on."""
        self.memory[self._config] = (0x80 if counter else 0x40) | byte << 4 | 0x04
        self.memory[self._config + 2] = page

    def render_png(self, path: str | Path) -> None:
        """Draw the tag: its UID, the link a phone would open, and its pages in hex."""
        render(self, Path(path))

    # -- on the air --------------------------------------------------------------------------------------------------

    def field_off(self) -> None:
        """The tag loses its power."""
        self.state = State.IDLE
        self._trusted = self._counted = self._powerless = False
        self._compatible_page = None
        self._unpowered = True

    @property
    def state(self) -> State:
        """Its ISO/IEC 14443-3 state."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if state is State.ACTIVE and self._state is not State.ACTIVE:
            # AUTH0 as it is now guards this session; CFGLCK is read after power-up only.
            self._first_protected = self.memory[self._config + 3]
            if self._unpowered:
                self._frozen, self._unpowered = bool(self.memory[self._config + 4] & 0x40), False
        self._state = state

    @property
    def answers(self) -> bool:
        """Whether it would answer a request now."""
        return not (self.mute or self._powerless)

    def exchange(self, command: bytes) -> bytes | None:
        """The answer to `command` (without CRC); None for no answer. Counts commands and air time."""
        if self._leave_in is not None:
            self._leave_in -= 1
            if self._leave_in < 0:
                self._leave_in, self._powerless = None, True
        self.air_us += frame_us(len(command) + 2)
        if not command or self.state is not State.ACTIVE or not self.answers:
            return None
        self.commands[command[0]] += 1
        answer = self._answer(command)
        if answer is None:
            if not self._halted():  # HLTA has no answer either
                self.state = State.IDLE
            return None
        self.air_us += TURNAROUND_US + (5 * BIT_US if len(answer) == 1 else frame_us(len(answer) + 2))
        self.air_us += TURNAROUND_US
        if len(answer) == 1 and answer != ACK:
            self.state = State.IDLE  # datasheet 8.4: a NAK ends the active state
        return answer

    def _halted(self) -> bool:
        return self.state is State.HALT

    def _answer(self, command: bytes) -> bytes | None:
        if self._compatible_page is not None:
            page, self._compatible_page = self._compatible_page, None
            return self._write(page, command[:4]) if len(command) == 16 else NAK_ARGUMENT
        match command[0], len(command):
            case 0x30, 2:
                return self._read(command[1], 4, wrap=True)
            case 0x3A, 3 if self.fast:
                if command[2] < command[1]:
                    return NAK_ARGUMENT
                return self._read(command[1], command[2] - command[1] + 1, wrap=False)
            case 0xA2, 6:
                return self._write(command[1], command[2:])
            case 0xA0, 2:  # COMPATIBILITY_WRITE, in two parts: the second is 16 bytes, of which four are used
                if not self._writable(command[1]):
                    return NAK_ARGUMENT
                self._compatible_page = command[1]
                return ACK
            case 0x60, 1 if self.fast:
                return bytes([0x00, 0x04, 0x04, 0x02, 0x01, 0x00, self._size_code, 0x03])
            case 0x3C, 2 if self.fast:
                return bytes((17 * i + self.uid[i % 7]) & 0xFF for i in range(32))
            case 0x39, 2 if self.fast and command[1] == 2:
                return self.counter.to_bytes(3, "little")
            case 0x1B, 5 if self.fast:
                return self._authenticate(command[1:])
            case 0x50, 2:
                self.state = State.HALT
                self.air_us += 1000
                return None
        return None  # 0x1A and others: an NTAG does not know them and does not answer

    def _read(self, first: int, count: int, *, wrap: bool) -> bytes:
        if first >= self._pages or (not wrap and first + count > self._pages):
            return NAK_ARGUMENT
        if not self._counted:
            self._counted = True
            if self.memory[self._config + 4] & 0x10:  # NFC_CNT_EN
                self.counter = min(self.counter + 1, 0xFFFFFF)
        secret = (self._config + 8) // 4
        memory = self._mirrored()
        data = bytearray()
        for page in range(first, first + count):
            page %= self._pages
            if not self._trusted and self.memory[self._config + 4] & 0x80 and page >= self._first_protected:
                return NAK_ARGUMENT
            data += bytes(4) if page >= secret else memory[page * 4 : page * 4 + 4]
        return bytes(data)

    def _mirrored(self) -> bytes:
        """The memory as it is read: datasheet 8.7, ASCII mirror."""
        kind, page = self.memory[self._config] >> 6, self.memory[self._config + 2]
        text = {1: self.uid.hex(), 2: f"{self.counter:06x}", 3: f"{self.uid.hex()}x{self.counter:06x}"}.get(kind, "")
        at = page * 4 + (self.memory[self._config] >> 4 & 3)
        if page < 4 or at + len(text) > self._user_end * 4:
            return bytes(self.memory)
        return bytes(self.memory[:at]) + text.upper().encode() + bytes(self.memory[at + len(text) :])

    def _locked(self, page: int) -> bool:
        if 3 <= page < 16:
            return bool((self.memory[11] << 8 | self.memory[10]) >> page & 1)
        if 16 <= page < self._user_end:
            at = self._user_end * 4
            bits = self.memory[at] | self.memory[at + 1] << 8
            return bool(bits >> (page - 16) // self._lock_step & 1)
        if page >= self._user_end + 1:  # CFGLCK freezes CFG0 and CFG1
            return page < self._user_end + 3 and self._frozen
        return page < 2

    def _writable(self, page: int) -> bool:
        return page < self._pages and not self._locked(page) and (page < self._first_protected or self._trusted)

    def _write(self, page: int, data: bytes) -> bytes | None:
        if not self._writable(page):
            return NAK_ARGUMENT
        at = page * 4
        if self._tear_in is not None:
            if self._tear_in == 0:
                if self._tear_leaves is not None and page not in (2, 3, self._user_end):
                    self.memory[at : at + 4] = self._tear_leaves(bytes(self.memory[at : at + 4]), data)
                    self.page_writes[page] += 1
                self._tear_in, self._powerless = None, True
                return None
            self._tear_in -= 1
        self.page_writes[page] += 1
        self.air_us += PROGRAM_US
        if page == 2:  # lock bits can only be set
            self.memory[10] |= data[2]
            self.memory[11] |= data[3]
        elif page == 3:  # one-time programmable
            for i in range(4):
                self.memory[at + i] |= data[i]
        elif page == self._user_end:
            for i in range(3):
                self.memory[at + i] |= data[i]
        else:
            self.memory[at : at + 4] = data
        return ACK

    def _authenticate(self, password: bytes) -> bytes | None:
        limit = self.memory[self._config + 4] & 0x07
        if limit and self._failed_passwords >= limit:
            return NAK_AUTH
        if password == self.memory[self._config + 8 : self._config + 12]:
            self._trusted = True
            self._failed_passwords = 0
            return bytes(self.memory[self._config + 12 : self._config + 14])
        self._failed_passwords += 1
        return NAK_ARGUMENT
