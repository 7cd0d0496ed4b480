"""Readers that are not a PN53x: nfcpy's UDP link, with our simulated field at its far end and with nfcpy's own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import nfc.clf
import pytest

from sco_drivers import open_nfc
from sco_drivers.nfc import ForeignTag, NoTag, SeveralTags, TagGarbled, TagReader, UnsupportedTag
from sco_sim.nfc.ntag import State, VirtualTag
from tests.simulators.udp_field import VirtualField

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
STRANGER = bytes.fromhex("04ffeeddccbbaa")


@pytest.fixture
def field() -> Iterator[VirtualField]:
    with VirtualField(VirtualTag(uri=OLD)) as field:
        yield field


@pytest.fixture
def reader(field: VirtualField) -> Iterator[TagReader]:
    with open_nfc(field.url) as nfc:
        yield nfc


def test_contents_of_the_field_are_distinguished(field: VirtualField, reader: TagReader) -> None:
    ours = field.tag
    field.tags.append(VirtualTag(uid=STRANGER, uri=OLD))
    for call in (lambda: reader.verify(OLD), lambda: reader.write_uri(NEW)):
        with pytest.raises(SeveralTags, match="04ffeeddccbbaa"):
            call()
    field.tags.remove(ours)
    with pytest.raises(ForeignTag):
        reader.verify(OLD, uid=ours.uid)
    field.tags.clear()
    with pytest.raises(NoTag):
        reader.read()
    assert not ours.page_writes


def test_nfcpy_does_not_log_each_opening(field: VirtualField) -> None:
    """Imported, it sets its level to INFO, whatever the program's is."""
    program = (
        "import logging, sys; logging.basicConfig(level=logging.ERROR); from sco_drivers import open_nfc; "
        "open_nfc(sys.argv[1]).close()"
    )
    done = subprocess.run([sys.executable, "-c", program, field.url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_damaged_answer_is_requested_again_and_permanent_damage_is_reported(
    field: VirtualField, reader: TagReader
) -> None:
    reader.read()
    field.noise = 0
    plain = field._answer
    damaged: list[bytes] = []

    def noisy(frame: bytes) -> bytes | None:
        if frame[0] == 0x3A and not damaged:
            damaged.append(frame)
            field.noise = 1
        return plain(frame)

    field._answer = noisy  # type: ignore[method-assign]
    assert reader.read().uri == OLD
    assert damaged

    def deaf_to_long_answers(frame: bytes) -> bytes | None:
        if frame[0] == 0x3A and frame[2] - frame[1] >= 12:
            field.noise = 1
        return plain(frame)

    field._answer = deaf_to_long_answers  # type: ignore[method-assign]
    assert reader.write_uri(NEW).uri == NEW

    def always(frame: bytes) -> bytes | None:
        field.noise = 1 if frame[0] == 0x3A else 0
        return plain(frame)

    field._answer = always  # type: ignore[method-assign]
    with pytest.raises(TagGarbled):
        reader.read()


def test_no_peer_is_no_tag() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with open_nfc(f"udp://127.0.0.1:{silent.getsockname()[1]}") as nfc, pytest.raises(NoTag):
            nfc.read()


def test_nfcpys_own_card_side_carries_a_whole_ntag() -> None:
    """nfcpy on both ends: its `listen` activates the card, the simulated tag answers the commands."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tag = VirtualTag(uri=OLD)
    over = threading.Event()
    card = nfc.clf.ContactlessFrontend(f"udp:127.0.0.1:{port}")

    def carry() -> None:
        wanted = nfc.clf.LocalTarget("106A", sens_res=b"\x44\x00", sdd_res=bytearray(tag.uid), sel_res=b"\x00")
        while not over.is_set():
            target = card.listen(wanted, timeout=0.5)
            if target is None:
                continue
            tag.state = State.ACTIVE
            command = target.tt2_cmd
            try:
                while command is not None:
                    answer = tag.exchange(bytes(command))
                    command = card.exchange(bytearray(answer) if answer is not None else None, 0.5)
            except nfc.clf.CommunicationError:  # the field went off
                pass
            tag.field_off()

    def when_it_listens(call: object) -> object:
        for _ in range(100):  # nfcpy takes its socket down between two activations
            try:
                return call()  # type: ignore[operator]
            except (NoTag, UnsupportedTag):
                time.sleep(0.1)
        raise AssertionError("the card side never listened")

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        with open_nfc(f"udp://127.0.0.1:{port}") as reader:
            assert when_it_listens(reader.read).uri == OLD  # type: ignore[attr-defined]
            assert when_it_listens(lambda: reader.write_uri(NEW)).uri == NEW  # type: ignore[attr-defined]
            assert tag.uri() == NEW
            assert when_it_listens(reader.clear).uri is None  # type: ignore[attr-defined]
            assert tag.uri() is None
    finally:
        over.set()
        thread.join(5)
        card.close()
