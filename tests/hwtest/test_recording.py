"""`sco-hwtest record`, `replay` and `report --send-ready`: what is written, and that nothing of the shop is in it."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_hwtest.bundle import bundle
from sco_hwtest.cli.main import main
from sco_hwtest.recording import CannotRecord, record, recorded_url
from sco_sim import VirtualPrinter, VirtualReader, VirtualTag
from sco_sim.replay.trace import read_trace
from tests.traces import make
from tests.traces.kit import lines_of, octets_of, write
from tests.traces.test_traces import encodings

TOKEN = "Bearer-7f3c91d2aa44"
HOST = "kassa-7.romashka.example"


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a recorded printer with the shop's serial number, and a tag with the shop's link."""
    folder = tmp_path_factory.mktemp("bench") / "recorded"
    tag = VirtualTag("ntag213", make.UID, make.OLD)
    with VirtualPrinter(serial=make.SERIAL) as printer, VirtualReader(tag) as reader:
        code, output = run(
            "record", "--printer", printer.url, "--nfc", reader.url, "--display", "sim://", "--out", folder, "--yes"
        )
    assert code == 3, output
    assert "printer-1.trace:" in output
    return folder


def test_each_device_is_recorded_and_the_traces_fit(folder: Path) -> None:
    assert {one.name for one in folder.iterdir()} == {
        "report.json",
        "printer-1.trace",
        "nfc-2.trace",
        "display-3.trace",
    }
    code, output = run("replay", *sorted(folder.glob("*.trace")))
    assert code == 0, output
    assert "calls" in output
    assert "octets as then" in output
    assert "frames as then" in output
    urls = [device["url"] for device in json.loads((folder / "report.json").read_text())["devices"]]
    assert not any("record+" in url for url in urls)


def test_a_difference_is_printed_and_the_exit_status_says_so(folder: Path, tmp_path: Path) -> None:
    lines = lines_of(folder / "display-3.trace")
    at = next(number for number, one in enumerate(lines) if one.get(">"))
    lines[at][">"] = "00" + lines[at][">"][2:]
    code, output = run("replay", write(tmp_path / "changed.trace", lines))
    assert code == 1
    assert f"line {at + 1}" in output
    assert "expected octet 1 of what is sent to begin 00" in output
    cut = tmp_path / "cut.trace"
    cut.write_bytes(b"".join((folder / "display-3.trace").read_bytes().splitlines(keepends=True)[:-2]))
    code, output = run("replay", cut)
    assert (code, "was cut off" in output) == (3, True)
    (tmp_path / "no.trace").write_text("no trace\n")
    code, output = run("replay", tmp_path / "no.trace")
    assert (code, "is not a line of a trace" in output) == (1, True)


def test_one_file_to_send_and_a_look_into_it_before(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "send.zip"
    code, output = run("report", folder)
    assert code == 0
    assert "report.json:" in output
    assert "printer-1.trace: serial number, in printer's answer to GS I D" in output
    assert not archive.exists()
    code, shown = run("report", folder, "--show")
    assert code == 0
    code, output = run("report", folder, "--send-ready", "--out", archive)
    assert code == 0
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            assert f"--- {name}\n" in shown
            assert opened.read(name).decode() in shown
        rows = json.loads(opened.read("redactions.json"))["redactions"]
    assert {"printer-1.trace", "nfc-2.trace", "report.json"} <= {row["file"] for row in rows}
    code, output = run("report", folder, "--send-ready", "--out", archive)
    assert (code, "File exists" in output) == (1, True)


def test_no_planted_secret_is_in_any_file_of_the_bundle(folder: Path, tmp_path: Path) -> None:
    document = json.loads((folder / "report.json").read_text())
    document["machine"]["host"] = HOST
    document["token"] = TOKEN
    first = document["devices"][0]
    first["url"] = f"usb://04b8:0202/{make.SERIAL}?profile=TM-T88V"
    first["about"]["shop"] = make.SHOP
    first["serial_number"] = make.SERIAL
    for check in first["checks"]:
        check["found"] = (
            f"at {make.LINK}: {make.UID.hex(' ')} {make.UID.hex()} {make.SHOP} {make.SERIAL} {HOST} {TOKEN}"
        )
    planted = tmp_path / "planted"
    planted.mkdir()
    for path in folder.glob("*.trace"):
        (planted / path.name).write_bytes(path.read_bytes())
    (planted / "report.json").write_text(json.dumps(document, ensure_ascii=False))
    archive = tmp_path / "send.zip"
    assert run("report", planted, "--send-ready", "--out", archive)[0] == 0
    with zipfile.ZipFile(archive) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    streams = dict(contents)
    for path in planted.glob("*.trace"):
        streams |= {f"{path.name} {key}": octets_of(lines_of(path), key) for key in ("<", ">")}
    for secret in (*make.SECRETS, HOST, TOKEN, make.ORDER):
        for form in {*encodings(secret), base64.b64encode(secret if isinstance(secret, bytes) else secret.encode())}:
            assert [name for name, stream in streams.items() if form in stream] == [], form
    report = json.loads(contents["report.json"])
    assert report["devices"][0]["url"] == "usb://04b8:0202?profile=TM-T88V"
    assert report["devices"][0]["identity"]["model"] == "TM-T88V"
    assert report["devices"][0]["figures"]
    assert [check["name"] for check in report["devices"][0]["checks"]]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "sco-hwtest record --out FOLDER makes one"),
        ({"report.json": "no JSON"}, "is not a report"),
        ({"report.json": "[]"}, "is not a report of a run"),
        ({"report.json": '{"devices": []}'}, "has no trace"),
        ({"report.json": '{"devices": []}', "a.trace": "x"}, "line 1 is not a line of a trace"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_what_is_missing(files: dict[str, str], words: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    code, output = run("report", tmp_path, "--send-ready")
    assert (code, words in output) == (1, True), output


def test_a_folder_with_anything_in_it_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    code, output = run("record", "--display", "sim://", "--out", tmp_path, "--yes")
    assert (code, "is not empty" in output) == (1, True)
    with pytest.raises(CannotRecord):
        record([("display", "sim://")], tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_a_screen_is_checked_and_not_recorded(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report, traces = record([("screen", "sim://"), ("touch", "sim://")], out, only=["code-is-readable"])
    assert [path.name for path in traces] == ["touch-2.trace"]
    assert len(report.devices) == 2
    assert read_trace(traces[0])
    assert bundle(out).files


def test_the_url_of_a_recording_keeps_the_devices_parameters() -> None:
    assert recorded_url("tcp://h?a=1", Path("/x y/t")) == "record+tcp://h?a=1&trace=/x%20y/t"
