"""What an RC-S380 has of its own: see `test_usb` for the rest, `tests.simulators.port100_chip` for sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import xor

import nfc
import nfc.clf
import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceNotFound, DeviceProtocolError
from sco_drivers.nfc import NoTag, SeveralTags, TagGarbled, TagReader, UnsupportedTag
from sco_drivers.nfc.radio import Radio
from sco_drivers.nfc.transport import Collision, Selected
from sco_sim.nfc.iso14443 import crc_a
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.simulated_field import Fault
from tests.simulators.port100_frame import ACK, ERROR, information
from tests.simulators.rcs380 import RCS380_P, RCS380_S, CollisionReport, VirtualRcs380
from tests.simulators.usb_bus import Identity

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
OURS = bytes.fromhex("04a1b2c3d4e5f6")
ELSE = bytes.fromhex("04ffeeddccbbaa")  # another in the first cascade level already
ALIKE = bytes.fromhex("04a1b2aa00ff11")  # another in the second one only
IN_COMM_RF, IN_SET_PROTOCOL, SWITCH_RF = 0x04, 0x02, 0x06


def radio_of(reader: TagReader) -> Radio:
    return reader._radio  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def bench() -> VirtualRcs380:
    return VirtualRcs380(uri=OLD)


@pytest.fixture
def reader(bench: VirtualRcs380) -> Iterator[TagReader]:
    with bench.on_the_bus() as url, open_nfc(url + "?attempts=1") as reader:
        yield reader


# -- tags that answer at once ----------------------------------------------------------------------------------------


def calls(reader: TagReader) -> tuple[Callable[[], object], ...]:
    return (
        reader.read,
        lambda: reader.verify(OLD, uid=OURS),
        lambda: reader.write_uri(NEW, uid=OURS),
        lambda: reader.write_uri(NEW),
        reader.clear,
    )


@pytest.mark.parametrize("others", [[ELSE], [ALIKE], [ELSE, ALIKE]], ids=["else", "alike", "three"])
@pytest.mark.parametrize(
    ("on_collision", "error", "match"),
    [
        (CollisionReport.COLLISION, SeveralTags, r"several tags answer at once \(collision\).*sticker"),
        (CollisionReport.MIXED, SeveralTags, r"several tags answer at once \(a serial number that contradicts"),
        (CollisionReport.PARITY, TagGarbled, r"parity error.*look for a second tag"),
        (CollisionReport.STRONGEST, SeveralTags, r"a second tag 04.* lies with 04.*sticker"),
    ],
)
def test_tags_that_answer_at_once_are_reported(
    on_collision: CollisionReport, error: type[Exception], match: str, others: list[bytes]
) -> None:
    ours = VirtualTag(uid=OURS, uri=OLD)
    bench = VirtualRcs380(ours, on_collision=on_collision)
    with bench.on_the_bus() as url, open_nfc(url) as reader:
        reader.read()
        opened = bench.commands[0x2A]
        bench.tags += [VirtualTag(uid=uid, uri=OLD) for uid in others]
        before = [bytes(tag.memory) for tag in bench.tags]
        for call in calls(reader):
            with pytest.raises(error, match=match):
                call()
            assert not bench.field_on
        assert [tag.memory for tag in bench.tags] == before
        del bench.tags[1:]
        assert reader.write_uri(NEW, uid=OURS).uri == NEW
        assert bench.commands[0x2A] == opened, "the reader was opened again"


def test_two_tags_next_to_ours_are_several_too(bench: VirtualRcs380, reader: TagReader) -> None:
    """Ours is asked for by its UID, and the others answer when it sleeps."""
    bench.tags += [VirtualTag(uid=ELSE), VirtualTag(uid=ALIKE)]
    radio = radio_of(reader)
    for _ in range(2):
        assert radio.select(OURS) == Selected(OURS, True)
        assert radio.command(b"\x30\x00")[:3] == OURS[:3]
        with pytest.raises(Collision):
            radio.another()
    del bench.tags[2]
    radio.select(OURS)
    assert radio.another() == ELSE


def test_a_copy_with_the_same_serial_number_is_detected_by_its_content(bench: VirtualRcs380, reader: TagReader) -> None:
    bench.tags.append(VirtualTag(uid=OURS, uri=NEW))
    for call in calls(reader):
        with pytest.raises(SeveralTags, match="collision"):
            call()
    assert not any(tag.page_writes for tag in bench.tags)


def test_noise_in_one_frame_is_not_a_second_tag(bench: VirtualRcs380, reader: TagReader) -> None:
    reader.read()
    before = bench.command_count
    reader.read()
    for at in range(bench.command_count - before):
        bench.inject(Fault.AIR_NOISE, at_command=at)
        assert reader.read().uri == OLD
    bench.inject(Fault.AIR_NOISE, lasting=True)
    with pytest.raises((TagGarbled, SeveralTags)):
        reader.read()


# -- what else may lie there -----------------------------------------------------------------------------------------


class Scripted(VirtualRcs380):
    """What comes back upon each frame, in hexadecimal; a number is a status word. Nothing upon the others."""

    def __init__(self, script: dict[str, str | int]) -> None:
        super().__init__()
        self.script = script

    def _received(self, frame: bytes, *, noise: bool) -> tuple[int, bytes, int]:
        answer = self.script.get(frame.hex(), 0x80)
        return (answer, b"", 0) if isinstance(answer, int) else (0, bytes.fromhex(answer), 8)


def sent_uid(part: str) -> str:
    """`part` of a UID and its BCC."""
    return part + bytes([reduce(xor, bytes.fromhex(part))]).hex()


def activation(*parts: str, sak: str) -> dict[str, str | int]:
    script: dict[str, str | int] = {"26": "0400"}
    for code, part in zip(("93", "95", "97"), parts, strict=False):
        script |= {code + "20": sent_uid(part), code + "70" + sent_uid(part): sak if part == parts[-1] else "04"}
    return script


@pytest.mark.parametrize(
    ("parts", "sak", "found"),
    [
        (("08112233",), "00", Selected(bytes.fromhex("08112233"), True)),
        (("8804a1b2", "c3d4e5f6"), "00", Selected(OURS, True)),
        (("8804a1b2", "88112233", "44556677"), "00", Selected(bytes.fromhex("04a1b211223344556677"), True)),
        (("08112233",), "20", Selected(bytes.fromhex("08112233"), False)),  # a bank card
        (("08112233",), "60", Selected(bytes.fromhex("08112233"), False)),  # a phone
    ],
)
def test_serial_numbers_of_each_length_and_other_tag_types(parts: tuple[str, ...], sak: str, found: Selected) -> None:
    bench = Scripted(activation(*parts, sak=sak))
    with bench.on_the_bus() as url, open_nfc(url) as reader:
        for wanted in (None, found.uid):
            assert radio_of(reader).select(wanted) == found
        with pytest.raises(NoTag if found.is_type2 else UnsupportedTag):
            reader.read()
        assert not bench.field_on


def test_a_type_1_tag_is_reported(bench: VirtualRcs380) -> None:
    scripted = Scripted({"26": "000c"})
    with scripted.on_the_bus() as url, open_nfc(url) as reader:
        with pytest.raises(UnsupportedTag):
            reader.read()
        assert radio_of(reader).another() == b""


@pytest.mark.parametrize(
    ("script", "error", "match"),
    [
        ({}, NoTag, "does not answer"),
        ({"26": "44"}, TagGarbled, "44 in answer to a request"),
        ({"26": "4400"}, TagGarbled, "stops answering"),
        ({"26": "4400", "9320": "8804a1b2"}, TagGarbled, "8804a1b2 instead of a serial number"),
        ({"26": "4400", "9320": "8804a1b200"}, SeveralTags, "contradicts its check byte"),
        (activation("8804a1b2", "c3d4e5f6", sak="0000"), TagGarbled, "0000 in answer to a selection"),
        (activation("8804a1b2", "88c3d4e5", "88112233", sak="04"), TagGarbled, "longer than three levels"),
        ({"26": 0x01}, TagGarbled, "protocol error"),
        ({"26": 0x02}, TagGarbled, "parity error"),
        ({"26": 0x04}, TagGarbled, "CRC error"),
        ({"26": 0x08}, SeveralTags, "collision"),
        ({"26": 0x8A}, SeveralTags, "parity error, collision, no answer in time"),
        ({"26": 0x10}, TagGarbled, "overflow"),
        ({"26": 0x80000000}, TagGarbled, "wrong length"),
        ({"26": 0x20}, TagGarbled, "status 00000020"),
        ({"26": 0x40}, DeviceProtocolError, "too hot"),
        ({"26": 0x200}, DeviceProtocolError, "another field is on"),
        ({"26": 0x400}, DeviceProtocolError, "the field is off"),
        ({"26": 0x800}, DeviceProtocolError, "transmission took too long"),
    ],
)
def test_status_words_and_invalid_answers_become_typed_errors(
    script: dict[str, str | int], error: type[Exception], match: str
) -> None:
    bench = Scripted(script)
    with bench.on_the_bus() as url, open_nfc(url) as reader:
        for _ in range(2):
            with pytest.raises(error, match=match):
                reader.read()
            assert not bench.field_on


# -- the reader ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", [RCS380_S, RCS380_P], ids=lambda identity: identity.product)
def test_both_models_that_are_sold(identity: Identity) -> None:
    with VirtualRcs380(uri=OLD, identity=identity).on_the_bus() as url, open_nfc(url) as reader:
        assert reader.write_uri(NEW).uri == NEW


def test_a_tag_command_takes_one_reader_command(bench: VirtualRcs380, reader: TagReader) -> None:
    generic = VirtualTag("ntag216", ELSE, uri="https://example.org/" + "x" * 400)
    generic.fast = False
    reader.read()
    bench.commands.clear()
    reader.read()
    few, bench.tags[:] = bench.commands.copy(), [generic]
    reader.read()
    bench.commands.clear()
    reader.read()
    assert bench.commands[IN_COMM_RF] > few[IN_COMM_RF] + 20
    assert bench.commands[IN_SET_PROTOCOL] == few[IN_SET_PROTOCOL]


@pytest.mark.parametrize("fault", [Fault.CORRUPT, Fault.SHORT, Fault.ERROR_FRAME, Fault.SILENT, Fault.DEAF])
def test_an_unconfirmed_field_off_is_reported(bench: VirtualRcs380, reader: TagReader, fault: Fault) -> None:
    reader.read()
    before = bench.command_count
    reader.read()
    bench.inject(fault, at_command=bench.command_count - before - 1)  # SwitchRF, the last word of a reading
    with pytest.raises(Exception, match=r"did not answer|violates its protocol"):
        reader.read()
    assert reader.read().uri == OLD
    assert not bench.field_on


class Refusing(VirtualRcs380):
    """It answers a command with `answer`."""

    refuses, answer = -1, b""

    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        answer = super()._perform(code, data, noise=noise)
        return self.answer if code == self.refuses else answer


@pytest.mark.parametrize("code", [0x00, IN_SET_PROTOCOL, SWITCH_RF])
@pytest.mark.parametrize(
    ("answer", "match"), [(b"\x01", "PARAMETER_ERROR"), (b"\x63", "0x63"), (b"", "no answer to (In)?S")]
)
def test_a_refused_command_is_an_error(code: int, answer: bytes, match: str) -> None:
    bench = Refusing(uri=OLD)
    with bench.on_the_bus() as url, open_nfc(url + "?attempts=1") as reader:
        bench.refuses, bench.answer = code, answer
        with pytest.raises(DeviceProtocolError, match=match):
            reader.read()
        bench.refuses = -1
        assert reader.read().uri == OLD


@pytest.mark.parametrize("answer", [b"", b"\x00", b"\x00\x00\x00\x00", b"\x00\x00\x00"])
def test_a_truncated_rf_answer_is_reported(answer: bytes) -> None:
    bench = Refusing(uri=OLD)
    with bench.on_the_bus() as url, open_nfc(url) as reader:
        bench.refuses, bench.answer = IN_COMM_RF, answer
        with pytest.raises(DeviceProtocolError, match="no answer to InCommRF"):
            reader.read()
        bench.refuses = -1
        assert reader.read().uri == OLD


@pytest.mark.parametrize(("code", "answer"), [(0x20, b""), (0x20, b"\x11"), (0x22, b""), (0x2A, b"\x07"), (0x2A, b"")])
def test_a_failed_initialisation_is_reported(code: int, answer: bytes) -> None:
    bench = Refusing()
    bench.refuses, bench.answer = code, answer
    with (
        bench.on_the_bus() as url,
        pytest.raises(DeviceNotFound, match=r"no known NFC reader answers.*plug it in again"),
    ):
        open_nfc(url)
    assert bench.owner is None


class Mangling(VirtualRcs380):
    """What it sends in its turn number `turn`, counted from 0 at the first frame, is `instead`."""

    turn, instead, sent = -1, b"", 0

    def _send(self, frame: bytes) -> None:
        super()._send(self.instead if self.sent == self.turn else frame)
        self.sent += 1


VERSION = "0000ffffff 0400 fc d7211101 f6 00"


@pytest.mark.parametrize(
    ("turn", "instead", "match"),
    [
        (3, VERSION.replace("fc", "fd"), "a checksum is wrong"),
        (3, VERSION.replace("f6", "f7"), "a checksum is wrong"),
        (3, VERSION.replace("1101", "1102"), "a checksum is wrong"),
        (3, VERSION.removesuffix("00"), "incomplete frame"),
        (3, "0000ffffff 04", "incomplete frame"),
        (3, "0000ff00ff00", "incomplete frame"),
        (3, "0000ffffff", "the reader did not understand"),
        (3, "0000ffffff 0400 fc d7231101 f4 00", "no answer to GetFirmwareVersion"),
        (3, "0000ffffff 0400 fc d6211101 f7 00", "no answer to GetFirmwareVersion"),
        (2, "0000ffff0000", "no acknowledgement"),
        (2, VERSION, "no acknowledgement"),
    ],
)
def test_an_invalid_frame_or_a_wrong_checksum_is_reported(turn: int, instead: str, match: str) -> None:
    bench = Mangling()
    bench.turn, bench.instead = turn, bytes.fromhex(instead)
    with bench.on_the_bus() as url:
        with pytest.raises(DeviceNotFound, match=match):
            open_nfc(url)
        with open_nfc(url) as reader:
            assert reader.read().uri is None


# -- the simulator ---------------------------------------------------------------------------------------------------


def ask(bench: VirtualRcs380, command: str) -> list[bytes]:
    """What the command `command` (code and data) is answered by, transfer for transfer."""
    bench.bulk_out(information(b"\xd6" + bytes.fromhex(command)))
    return [answer for _ in range(3) if (answer := bench.bulk_in()) is not None]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("20", "d721 1101"),
        ("22", "d723 0001"),
        ("28", "d729 0000000000000003"),
        ("2a 01", "d72b 00"),
        ("2a 02", "d72b 01"),
        ("00 02030f03", "d701 00"),
        ("00 02030f07", "d701 01"),
        ("02 0018 0101", "d703 00"),
        ("02 0018 01", "d703 01"),
        ("02 0d00", "d703 01"),  # a setting that there is not
        ("02 1400", "d703 01"),
        ("06 01", "d707 00"),
        ("04 3601 26", "d705 80000000"),  # no modulation was set
        ("06 02", None),
        ("20 00", None),
        ("04 36", None),
        ("12 0000", None),
    ],
)
def test_each_command_is_acknowledged_and_answered(bench: VirtualRcs380, command: str, answer: str | None) -> None:
    assert ask(bench, command) == [ACK, ERROR if answer is None else information(bytes.fromhex(answer))]
    assert bench.unknown == (answer is None or answer[5:] == "01")


@pytest.mark.parametrize("frame", ["00", "0000ffffff", "0000ffffff0200fed6200b00", "0000ffffff0200ffd6200a00"])
def test_invalid_frames_are_not_answered(bench: VirtualRcs380, frame: str) -> None:
    bench.bulk_out(bytes.fromhex(frame))
    assert (bench.bulk_in(), bench.unknown) == (None, 1)


def test_a_tag_receives_frames_only_with_the_right_settings(bench: VirtualRcs380) -> None:
    def says(frame: str, **settings: int) -> bytes:
        numbers = {"crc": (0x01, 0x02), "checked": (0x02,), "parity": (0x04,), "bits": (0x07,)}
        pairs = [bytes([number, value]) for name, value in settings.items() for number in numbers[name]]
        ask(bench, "02 " + b"".join(pairs).hex())
        return ask(bench, "04 3601" + frame)[1][10:-2]

    ask(bench, "00 02030f03")
    silence = bytes.fromhex("80000000")
    ok = bytes.fromhex("00000000 08")
    assert says("26", crc=0, parity=0, bits=8) == silence  # a request has seven bits
    assert says("26", bits=7) == ok + b"\x44\x00"
    assert says("9320", bits=8) == silence  # without parity
    says("26", bits=7)
    assert says("9320", bits=8, parity=1) == ok + bytes.fromhex(sent_uid("8804a1b2"))
    assert says("9370" + sent_uid("8804a1b2")) == silence  # without CRC: no selection, and the tag is idle again
    says("26", bits=7)
    assert says("9370" + sent_uid("8804a1b2"), bits=8, crc=1) == ok + b"\x04"
    assert says("9570" + sent_uid("c3d4e5f6")) == ok + b"\x00"
    pages = bytes(bench.tag.memory[:16])
    assert says("3000") == ok + pages
    assert says("3000", checked=0) == ok + pages + crc_a(pages)
    assert says("a20400000000") == bytes.fromhex("00000000 04 0a")
    assert says("a20400000000", checked=1) == bytes.fromhex("04000000")  # an ACK has no CRC
    assert says("5000") == silence
    assert says("26", crc=0, parity=0, bits=7) == silence
    assert says("52") == ok + b"\x44\x00"


def test_nfcpys_own_driver_finds_one_tag_and_none_of_two(bench: VirtualRcs380) -> None:
    """The weakness that ours fixes; and a reading of the simulator by somebody else."""
    with bench.on_the_bus(), nfc.ContactlessFrontend("usb:054c:06c1") as frontend:
        target = frontend.sense(nfc.clf.RemoteTarget("106A"))
        assert (target.sdd_res, target.sel_res, target.sens_res) == (OURS, b"\x00", b"\x44\x00")
        assert frontend.exchange(bytearray.fromhex("3a000f"), 0.1) == bench.tag.memory[:64]
        assert frontend.exchange(bytearray.fromhex("a22700000000"), 0.1) == b"\x0a"
        with pytest.raises(nfc.clf.TimeoutError):
            frontend.exchange(bytearray.fromhex("1a00"), 0.1)
        bench.tags.append(VirtualTag(uid=ELSE))
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
    assert (bench.unknown, bench.field_on) == (0, False)
