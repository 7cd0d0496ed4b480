"""A printer that no profile knows is described by asking it and by a person who reads its strip."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from click.testing import CliRunner

from sco_drivers import open_printer
from sco_drivers.errors import BadDeviceUrl, DeviceError
from sco_drivers.printer import PrintOutcome, Ticket
from sco_drivers.printer.description import load
from sco_drivers.printer.profile import profile
from sco_hwtest.cli.main import main
from sco_hwtest.printer_probe import LETTERS, WIDTHS, Choice, Findings, probe
from sco_hwtest.printer_profiles import explain
from sco_sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


class Reader:
    """A person who answers from what is on the paper, and from nothing else."""

    def __init__(self, paper: VirtualPrinter, **own: str | None) -> None:
        self.paper, self.own = paper, own
        self.asked: list[str] = []

    def __call__(self, choice: Choice) -> str | None:
        self.asked.append(choice.name)
        assert self.paper.wait_idle()
        assert not self.paper.state()["in_presenter"], "the strip cannot be seen"
        if choice.name in self.own:
            return self.own[choice.name]
        answer: Callable[[Choice], str | None] = getattr(self, choice.name)
        said = answer(choice)
        assert said is None or said in choice.answers
        return said

    def marks(self) -> list[Any]:
        return [mark for ticket in self.paper.tickets for mark in ticket.marks]

    def below(self, label: str) -> list[Any]:
        """The pictures between that label and the next text."""
        found: list[Any] = []
        after = False
        for mark in self.marks():
            if mark.kind == "text":
                after = mark.text.strip() == label
            elif mark.kind == "bitmap" and after:
                found.append(mark)
        return found

    def strip(self, choice: Choice) -> str:
        """A printer that is idle may not have read the strip's last octets yet."""
        return "y" if self.paper.wait_for(lambda one: "END" in one.text.splitlines(), 60) else "n"

    def letters(self, choice: Choice) -> str:
        lines = self.paper.text.splitlines()
        if "866-0" in choice.answers:
            for heading in ("866", "1251"):
                cells = "\n".join(lines).partition(f"\n{heading}\n")[2].partition("\n1251\n")[0]
                for line in cells.splitlines():
                    for cell in (line[at : at + 10] for at in range(0, 30, 10)):
                        if cell[4:8] == "Жёг№":
                            return f"{heading}-{int(cell[:4])}"
            return "0"
        return next((line.split()[0] for line in lines if line[3:] == LETTERS), "0")

    def width_dots(self, choice: Choice) -> str:
        good = []
        for width in WIDTHS:
            (bar,) = self.below(str(width))
            ends = bar.rows[0]
            if ends[:16] == ends[-16:] == b"\x01" * 16:
                good.append(width)
        return str(max(good))

    def dpi(self, choice: Choice) -> str:
        mm = int(self.width_dots(choice)) * 25.4 / self.paper.paper.dpi
        return min(choice.answers, key=lambda key: abs(float(choice.answers[key].split()[1]) - mm))

    def raster(self, choice: Choice) -> str:
        first, second = ([len(mark.rows) for mark in self.below(f"PICTURE {n}")] for n in (1, 2))
        return "2" if first == second == [96] else "1" if first == [96] else "0"

    def native_qr(self, choice: Choice) -> str:
        return "y" if self.below("QR") else "n"

    def cut(self, choice: Choice) -> str:
        return "y" if self.paper.cuts else "n"

    def presenter(self, choice: Choice) -> str:
        return "y" if self.paper.state()["in_output"] else "n"


def found(paper: VirtualPrinter, **own: str | None) -> tuple[Findings, Reader, list[str]]:
    reader, lines = Reader(paper, **own), []  # type: ignore[var-annotated]
    return probe(f"{paper.url}?status_s=0.2", reader, lines.append), reader, lines


def prints(paper: VirtualPrinter, findings: Findings, folder: Path) -> None:
    """The file that was found makes a ticket that is whole."""
    file = folder / "printer.toml"
    file.write_text(explain(findings.settings, "a test"), "utf-8")
    profile, codec = load(str(file))
    assert profile.code_pages.get(str(codec)) == findings.settings.get("code_page")
    before = paper.cuts
    with open_printer(f"{paper.url}?profile={file}") as printer:
        result = printer.print_ticket(Ticket("t1", LINK, above=()))
    assert result.outcome is PrintOutcome.PRINTED
    assert paper.wait_for(lambda one: one.cuts > before or findings.settings.get("cut") == "feed")
    assert [code.text for code in zxingcpp.read_barcodes(paper.tickets[-1].image())] == [LINK]


def test_a_modern_printer(tmp_path: Path) -> None:
    with VirtualPrinter() as paper:
        findings, reader, lines = found(paper)
        assert findings.settings == {
            "like": "default",
            "process_id": True,
            "clear_buffers": True,
            "asb": True,
            "identity": True,
            "codec": "cp866",
            "code_page": 17,
            "width_dots": 576,
            "dpi": 203,
            "raster": True,
            "raster_doubling": True,
            "native_qr": True,
            "cut": "partial",
        }
        assert findings.printer == "EPSON TM-T88V"
        assert (findings.open, reader.asked.count("cut")) == ([], 1)
        assert "model (GS I): EPSON TM-T88V" in lines
        assert paper.state()["ignored"] == {"ESC t": 4}
        prints(paper, findings, tmp_path)


def test_a_cheap_board_of_58_mm(tmp_path: Path) -> None:
    traits = dict.fromkeys(("process_id", "clear_buffer", "asb", "identity", "native_qr", "utf8", "cutter"), False)
    with VirtualPrinter(paper_mm=58, code_pages={0: "cp437", 73: "cp1251"}, echoes_unknown=True, **traits) as paper:
        findings, reader, _ = found(paper)
        settings = findings.settings
        assert (settings["codec"], settings["code_page"], settings["width_dots"]) == ("cp1251", 73, 384)
        assert [settings[name] for name in ("process_id", "clear_buffers", "asb", "identity", "native_qr")] == [
            False
        ] * 5
        assert (settings["cut"], reader.asked.count("cut")) == ("feed", 2)
        prints(paper, findings, tmp_path)


def test_a_printer_with_its_own_number_for_the_russian_page(tmp_path: Path) -> None:
    with VirtualPrinter(code_pages={0: "cp437", 92: "cp866"}) as paper:
        findings, reader, _ = found(paper, **{"all-letters": "y"})
        assert reader.asked[1:4] == ["letters", "all-letters", "letters"]
        assert (findings.settings["codec"], findings.settings["code_page"]) == ("cp866", 92)
        prints(paper, findings, tmp_path)


def test_a_printer_of_180_dpi(tmp_path: Path) -> None:
    with VirtualPrinter(dpi=180) as paper:
        findings, _, _ = found(paper)
        assert (findings.settings["width_dots"], findings.settings["dpi"]) == (512, 180)
        prints(paper, findings, tmp_path)


def test_a_kiosk_printer(tmp_path: Path) -> None:
    with VirtualPrinter(presenter=True, process_id=False, clear_buffer=False) as paper:
        findings, reader, lines = found(paper)
        assert findings.settings["presenter"] == "custom"
        assert "presenter" in reader.asked
        assert lines[-1] == "its sensor says that a ticket is in the output: yes; the ticket is retracted"
        assert paper.wait_for(lambda one: one.retracted == 1)


def test_a_printer_that_answers_nothing(tmp_path: Path) -> None:
    with VirtualPrinter(status=False, process_id=False, clear_buffer=False, asb=False, identity=False) as paper:
        findings, _, lines = found(paper)
        assert [findings.settings[name] for name in ("process_id", "clear_buffers", "asb", "identity")] == [False] * 4
        assert any("answers nothing" in line for line in lines)


def test_what_nobody_answers_is_left_to_the_profile() -> None:
    nothing = dict.fromkeys(("letters", "width_dots", "raster", "native_qr", "cut"))
    with VirtualPrinter() as paper:
        findings, _, _ = found(paper, **nothing)
    assert findings.open == list(nothing)
    assert set(findings.settings) == {"like", "process_id", "clear_buffers", "asb", "identity"}


@pytest.mark.parametrize("fault", ["run_out_of_paper", "open_cover"])
def test_a_printer_that_cannot_print_is_refused_before_the_questions(fault: str) -> None:
    with VirtualPrinter() as paper:
        getattr(paper, fault)()
        with pytest.raises(DeviceError, match=r"cannot print: the (paper|cover)") as refused:
            found(paper)
        assert "start again" in str(refused.value)


def test_paper_that_ends_within_the_strip_is_named() -> None:
    paper_out = pytest.raises(DeviceError, match="the paper has run out")
    with VirtualPrinter(roll_mm=100, buffer_bytes=65536) as paper, paper_out:
        found(paper)


def test_a_strip_that_never_came_asks_no_further_questions() -> None:
    with VirtualPrinter(wire="pty") as paper:
        paper.stall()
        reader = Reader(paper)
        with pytest.raises(DeviceError, match="it has not printed the strip"):
            probe(f"{paper.url}&status_s=0.1", lambda choice: "n" if choice.name == "strip" else reader(choice), print)
        assert reader.asked == []


def test_what_an_interrupted_picture_still_waits_for_is_given_first() -> None:
    with VirtualPrinter(clear_buffer=False) as paper:
        with open_printer(paper.url) as printer:
            printer._session.send(b"\x1dv0\x00\x68\x00\x10\x00" + b"\xff" * 100, 1.0)  # type: ignore[attr-defined]
        findings, _, _ = found(paper)
        assert findings.settings["asb"] is True
        assert findings.printer == "EPSON TM-T88V"


@pytest.mark.parametrize("given", ["profile=TM-T88V", "codec=cp866&code_page=7", "width_dots=576"])
def test_what_the_url_describes_already_is_not_found_out(given: str) -> None:
    with pytest.raises(BadDeviceUrl, match="what the probe finds out"):
        probe(f"tcp://127.0.0.1:9?{given}", lambda choice: None, lambda line: None)


# --- the commands ---


def command(*arguments: str, answers: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(main, ["printer", *arguments], input=answers)
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


def test_the_command_writes_the_file_that_the_url_reads(tmp_path: Path) -> None:
    file = tmp_path / "printer.toml"
    with VirtualPrinter() as paper:
        code, output = command("probe", paper.url, "-o", str(file), answers="y\none\n1\n576\n1\n2\ny\ny\n")
        assert code == 0, output
        assert "'one' is not one of the answers" in output
        assert f"sco-hwtest printer print '{paper.url}?profile={file}'" in output
        assert tomllib.loads(file.read_text("utf-8"))["code_page"] == 17
        assert command("print", f"{paper.url}?profile={file}")[0] == 0
        code, output = command("probe", paper.url, "-o", str(file))
        assert (code, "--force replaces it" in output) == (1, True)


def test_an_interrupted_probe_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "printer.toml"
    with VirtualPrinter() as paper:
        code, output = command("probe", paper.url, "-o", str(file), answers="y\n1\n576\n")
    assert code == 1
    assert f"{file} was not written" in output
    assert not file.exists()


def test_where_the_file_cannot_be_is_said_before_paper_is_used(tmp_path: Path) -> None:
    with VirtualPrinter() as paper:
        code, output = command("probe", paper.url, "-o", str(tmp_path / "no" / "printer.toml"))
        assert (code, "there is no folder" in output) == (1, True)
        assert paper.bytes_received == 0


def test_no_printer_is_said_in_one_line(tmp_path: Path) -> None:
    code, output = command("probe", "tcp://127.0.0.1:1", "-o", str(tmp_path / "printer.toml"))
    assert (code, output.count("\n")) == (1, 1)
    assert "the host answers, and refuses the connection" in output


def test_profiles_are_listed_and_explained(tmp_path: Path) -> None:
    code, output = command("profiles")
    assert code == 0
    assert "\nTM-T88V " in output
    assert "\nCUSTOM-VKP80 " in output
    code, output = command("profiles", "POS-5890")
    assert code == 0
    explained = tomllib.loads(output)
    assert (explained["like"], explained["width_dots"], explained["process_id"]) == ("POS-5890", 384, False)
    file = tmp_path / "own.toml"
    file.write_text(output, "utf-8")
    assert 'codec = "cp866"' in command("profiles", str(file))[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tm-t88", "did you mean TM-T88V"),
        ("qqqqqq", "`sco-hwtest printer profiles` lists them"),
        ("/nowhere/printer.toml", "No such file"),
    ],
)
def test_a_wrong_profile_is_explained(name: str, words: str) -> None:
    code, output = command("profiles", name)
    assert (code, words in output) == (1, True), output


@pytest.mark.parametrize("name", ["TM-T88V", "default", "CUSTOM-VKP80", "ZJ-5870"])
def test_an_explained_profile_is_the_same_when_it_is_read_back(name: str, tmp_path: Path) -> None:
    file = tmp_path / "printer.toml"
    file.write_text(command("profiles", name)[1], "utf-8")
    read, codec = load(str(file))
    expected = profile(name)
    assert read._replace(name="", code_pages={}) == expected._replace(name="", code_pages={})
    assert read.code_pages.get(str(codec)) == expected.code_pages.get(str(codec))
