"""`sco-hwtest nfc` as a new user meets it: what it shows, and what it says when things go wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_drivers import open_nfc
from sco_hwtest.cli.main import main
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

LINK = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=FB7C"
OTHER = "https://example.org/"
STRANGER = bytes.fromhex("04ffeeddccbbaa")


@pytest.fixture
def bench() -> Iterator[VirtualReader]:
    with VirtualReader(uri=LINK) as reader:
        yield reader


def run(*words: str, status: int = 0, answer: str = "") -> str:
    done = CliRunner().invoke(main, ["nfc", *words], input=answer)
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done.output


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("protection", ["none", "forever"])
@pytest.mark.parametrize(
    ("link", "why"),
    [
        (LINK.replace("FB7C", "FB7D"), "crc FB7D is wrong"),
        (LINK.replace("sum=10000", "sum=1000"), "crc FB7C is wrong"),
        (LINK.replace("JL2", "JL"), "crc FB7C is wrong"),
        (LINK.replace("https", "http"), "not an https link"),
    ],
)
def test_a_refused_link_is_never_put_on_a_plate(link: str, why: str, protection: str, force: tuple[str, ...]) -> None:
    with VirtualReader() as bench:
        shown = run("provision", bench.url, link, "--protection", protection, "--yes", *force, status=1)
        assert why in shown
        assert not bench.tag.page_writes
        assert not bench.command_count, "the reader was opened"


def test_an_unverifiable_link_is_locked_in_with_force_only() -> None:
    with VirtualReader() as bench:
        command = ("provision", bench.url, OTHER, "--protection", "forever", "--yes")
        shown = run(*command, status=1)
        assert "neither amount nor crc can be checked" in shown
        assert "--force" in shown
        assert not bench.tag.page_writes
        assert "warning" in run("provision", bench.url, OTHER, "--protection", "none")
        run(*command, "--force")
        assert bench.tag.uri() == OTHER
        assert "permanently locked" in run("write", bench.url, LINK, status=1)


def test_a_blank_tag_is_formatted() -> None:
    with VirtualReader(VirtualTag()) as bench:
        bench.tag.memory[12:40] = bytes(28)
        assert "sco-hwtest nfc format" in run("read", bench.url, status=1)
        run("format", bench.url)
        assert LINK in run("write", bench.url, LINK)
        assert bench.tag.uri() == LINK


def test_read_write_verify_and_clear(bench: VirtualReader) -> None:
    shown = run("read", bench.url)
    for words in ("NTAG213", "04a1b2c3d4e5f6", "137 bytes", "unprotected", LINK):
        assert words in shown
    assert OTHER in run("write", bench.url, OTHER, "--uid", "04a1b2c3d4e5f6")
    assert bench.tag.uri() == OTHER
    run("verify", bench.url, OTHER)
    assert f"carries {OTHER}" in run("verify", bench.url, LINK, status=1)
    assert "instead of" in run("clear", bench.url, "--uid", STRANGER.hex(), status=1)
    assert re.search(r"link +none", run("clear", bench.url))
    assert bench.tag.uri() is None


def test_an_interrupted_write_is_reported(bench: VirtualReader) -> None:
    bench.tag.memory[20:24] = b"\x34\x55\xff\x01"
    assert "was interrupted" in run("read", bench.url)
    run("clear", bench.url)
    assert "was interrupted" not in run("read", bench.url)


def test_provisioning_with_a_password(bench: VirtualReader, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    assert "key=FILE" in run("provision", bench.url, LINK, "--protection", "password", status=1)
    shown = run("provision", f"spy+{bench.url}?key={key}", LINK, "--protection", "password")
    assert 'nfc_uid = "04a1b2c3d4e5f6"' in shown
    assert "which the URL's key opens" in shown  # whether it is the right one is not tried
    assert "key=FILE" in run("clear", bench.url, status=1)
    key.chmod(0o644)
    assert "chmod 600" in run("read", f"{bench.url}?key={key}", status=1)


def test_a_tag_is_locked_only_after_a_yes(bench: VirtualReader) -> None:
    assert "cannot be undone" in run("provision", bench.url, LINK, "--protection", "forever", status=1, answer="n\n")
    assert "needs its link" in run("provision", bench.url, "--protection", "forever", status=2)
    assert not bench.tag.page_writes
    assert "permanently locked" in run("provision", bench.url, LINK, "--protection", "forever", answer="y\n")
    assert "the tag is permanently locked" in run("write", bench.url, OTHER, status=1)


def test_errors_are_reported_in_one_line(bench: VirtualReader, tmp_path: Path) -> None:
    with open_nfc(bench.url):
        assert "stop the lane" in run("read", bench.url, status=1)
    bench.tags.append(VirtualTag(uid=STRANGER))
    assert STRANGER.hex() in run("read", bench.url, status=1)
    bench.tags.clear()
    assert "does not answer" in run("read", bench.url, status=1)
    file = tmp_path / "no-line"
    file.touch()
    for url, words, status in (
        ("pn532:///dev/none", "no such device", 1),
        (f"pn532://{file}", "not a serial line", 1),
        ("pn532://", "the path is missing", 2),
        ("usb://1234:5678", "no such device", 1),
        ("usb://printer", "vendor and product", 2),
        (f"{bench.url}?baud=1", "115200", 2),
        (f"{bench.url}?speed=1", "known:", 2),
        ("fax://x", "known: pcsc, pn532", 2),
    ):
        _, _, shown = run("read", url, status=status).partition("Error: ")
        assert words in shown
        assert url in shown
        assert len(shown.splitlines()) == 1


def test_a_line_that_cannot_be_made_is_reported() -> None:
    assert (
        run("simulate", "--line", "/nope/x", status=1)
        == "Error: --line /nope/x cannot be made: No such file or directory\n"
    )


@pytest.mark.parametrize(("uid", "words"), [("04a1", "4, 7 or 10 bytes"), ("4x", "not hexadecimal"), ("", "4, 7 or")])
def test_an_invalid_uid_is_refused(bench: VirtualReader, uid: str, words: str) -> None:
    assert words in run("clear", bench.url, "--uid", uid, status=2)


def test_nfcpy_prints_nothing_on_stderr() -> None:
    """In a process of its own: logging as a user has it."""
    program = (
        "from sco_sim.nfc.pn532 import Fault, VirtualReader\n"
        "from sco_hwtest.cli.main import main\n"
        "with VirtualReader() as bench:\n"
        "    bench.inject(Fault.DEAF, lasting=True)\n"
        "    main(['nfc', 'read', bench.url])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "set to HSU" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_permission_says_what_to_do(bench: VirtualReader) -> None:
    line = bench.path.resolve()
    line.chmod(0o000)
    program = (
        "import contextlib, os\n"
        "from sco_drivers import open_nfc\n"
        "with contextlib.suppress(FileNotFoundError):\n"
        "    open_nfc('pn532:///dev/none')  # imports what it needs while it still may read it\n"
        "if os.getuid() == 0:\n"
        "    os.setegid(65534), os.seteuid(65534)\n"
        "try:\n"
        f"    open_nfc('pn532://{line}')\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "DevicePermission" in done.stdout, done.stdout + done.stderr
    assert "let a group open it: it is " in done.stdout  # no rule of ours is for this port


def test_watch_prints_each_change_once(bench: VirtualReader) -> None:
    shown = run("watch", bench.url, LINK, "--interval", "0.1", "--count", "3")
    assert [line.split(" ", 1)[-1] for line in shown.splitlines()] == ["ok", "3 times"]
    bench.tag.put_uri(OTHER)
    shown = run("watch", bench.url, LINK, "--interval", "0.1", "--count", "3", status=1)
    assert shown.count(OTHER) == 1
    assert "until the operator has checked it" in shown


def test_simulate_is_a_reader_for_other_processes_and_draws_the_tag(tmp_path: Path) -> None:
    png, line = tmp_path / "tag.png", tmp_path / "reader"
    command = [sys.executable, "-m", "sco_hwtest.cli.main", "nfc", "simulate", "--uri", LINK]
    with subprocess.Popen(
        [*command, "--line", str(line), "--png", str(png)], stdout=subprocess.PIPE, text=True
    ) as bench:
        try:
            assert bench.stdout is not None
            url = bench.stdout.readline().strip()
            assert url == f"pn532://{line}"
            assert OTHER in run("write", url, OTHER)
        finally:
            bench.terminate()
        said = bench.stdout.read()
    assert (bench.returncode, OTHER in said) == (0, True)
    assert png.stat().st_size > 1000
    assert not line.is_symlink()
    assert "do not fit" in run("simulate", "--uri", "https://example.org/" + "x" * 300, status=1)
    png.touch()
    assert "exists" in run("simulate", "--line", str(png), status=1)
