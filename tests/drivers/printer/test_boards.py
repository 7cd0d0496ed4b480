"""Boards as they are sold: what they do not know, print by mistake, or answer late."""

from __future__ import annotations

import pytest
import zxingcpp

from sco_drivers.printer import PrintOutcome
from sco_drivers.printer.replies import QrSize, ReplyReader
from sco_sim.printer import VirtualPrinter
from tests.drivers.printer.test_session import LINK, opened, ticket

ECHOING = {
    "native_qr": False,
    "process_id": False,
    "identity": False,
    "asb": False,
    "utf8": False,
    "clear_buffer": False,
    "echoes_unknown": True,
}
"""A board that prints the parameters of all commands that it does not know, and answers DLE EOT and GS r."""


# --- a board without QR codes of its own ---


@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize("profile", ["default", "CUSTOM-VKP80"])
def test_an_unknown_board_without_qr_codes_prints_a_picture(profile: str, echoes: bool) -> None:
    board = ECHOING | {"echoes_unknown": echoes}
    with VirtualPrinter(**board) as paper, opened(paper, f"profile={profile}") as printer:
        for name in ("t1", "t2"):
            assert printer.print_ticket(ticket(name)).outcome is PrintOutcome.PRINTED
        assert paper.wait_idle()
        for one in paper.tickets:
            assert [code.text for code in zxingcpp.read_barcodes(one.image())] == [LINK]
            assert "qr.nspk.ru" not in one.text
        assert any("draws QR codes" in finding for finding in printer.health().findings)


def test_an_unknown_board_that_proves_its_qr_codes_is_sent_them() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=default") as printer:
        assert not any("QR" in finding for finding in printer.health().findings)
        assert not paper.tickets
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


def test_the_question_for_qr_codes_is_not_answered_while_the_cover_is_open() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=default") as printer:
        paper.open_cover()
        printer.health()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.NOT_PRINTED
        paper.close_cover()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


def test_a_choice_in_the_url_is_not_questioned() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=default&qr=native") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x37\x36117\x1f117\x1f1\x1f0\x00", [QrSize(True)]),
        (b"\x37\x360\x1f0\x1f1\x1f1\x00", [QrSize(False)]),
        (b"\x37\x36117\x1f117\x00", []),
        (b"\x37\x36" + b"1" * 40, []),
    ],
)
def test_the_size_of_a_code_is_recognised(data: bytes, found: list[QrSize]) -> None:
    reader = ReplyReader()
    assert [reply for byte in data for reply in reader.feed(bytes((byte,))) if isinstance(reply, QrSize)] == found
    assert reader.noise == (0 if found else len(data)) or not found
