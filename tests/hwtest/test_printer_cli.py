"""`sco-hwtest printer print-file`: a text, a picture or commands, from a file or standard input."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from sco_hwtest.cli.main import main
from sco_sim.printer import VirtualPrinter


def print_file(paper: VirtualPrinter, *arguments: str, data: bytes = b"") -> tuple[int, str]:
    done = CliRunner().invoke(main, ["printer", "print-file", f"{paper.url}?profile=TM-T20II", *arguments], input=data)
    return done.exit_code, done.output


def test_a_text_from_standard_input() -> None:
    with VirtualPrinter() as paper:
        code, output = print_file(paper, "--font", "b", data="Привет, 漢\n\tмир\n".encode())
        assert (code, output.startswith("printed: ")) == (0, True)
        assert "the code page lacks '漢'" in output
        (one,) = paper.tickets
        assert one.text.split() == ["Привет,", "?", "мир"]
        assert {run.style.font for mark in one.marks for run in mark.runs} == {"B"}
        assert one.cut


def test_a_picture_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "logo.png"
    Image.new("1", (160, 40), 0).save(file)
    with VirtualPrinter() as paper:
        assert print_file(paper, str(file), "--no-cut", "--width-mm", "10")[0] == 0
        assert paper.cuts == 0
        (mark,) = [mark for mark in paper.tickets[0].marks if mark.kind == "bitmap"]
        assert mark.width == 80


def test_commands_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "receipt.prn"
    file.write_bytes(b"\x1b@\x1bE\x01TOTAL 42\n\x1dV\x00")
    with VirtualPrinter() as paper:
        code, output = print_file(paper, str(file))
        assert (code, "use --raw" in output, paper.tickets) == (1, True, [])
        assert print_file(paper, str(file), "--raw")[0] == 0
        assert (paper.text, paper.cuts) == ("TOTAL 42", 1)


def test_what_is_not_printed_is_reported(tmp_path: Path) -> None:
    with VirtualPrinter() as paper:
        assert print_file(paper, str(tmp_path / "nowhere"))[0] == 2
        code, output = print_file(paper, data="Привет".encode("cp866"))
        assert (code, "not UTF-8 text" in output) == (1, True)
        code, output = print_file(paper, "--raw", data=b"\x1dv0\x00\x10\x00\x10\x00")
        assert (code, "bytes more" in output) == (1, True)
        paper.run_out_of_paper()
        code, output = print_file(paper, data=b"x")
        assert (code, "not_printed" in output, "paper has run out" in output) == (1, True, True)
        assert not paper.tickets


def test_an_id_of_ones_own_is_printed_once() -> None:
    """Within one process: another one knows no ids."""
    with VirtualPrinter() as paper:
        codes = [print_file(paper, "--id", "receipt-17", data=b"x")[0] for _ in range(2)]
        assert codes == [0, 1]
        assert paper.cuts == 1
