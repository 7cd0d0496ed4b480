"""`sco-pay demo --web` as a visitor uses it: with a mouse, in a real Chromium."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sco_payment.cli.exit_status import ExitStatus
from tests.payment.lane_kit import run
from tests.service.web.accessibility import check_contrast, check_tree
from tests.service.web.chromium import Chromium, Page


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Of the page, while the command runs; Ctrl-C must end it and its lane."""
    command = [sys.executable, "-u", "-m", "sco_payment.cli.main", "demo", "--web", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        with pytest.raises(ProcessLookupError):  # the lane was in the same group
            os.killpg(process.pid, 0)


def scene(page: Page, name: str) -> None:
    """Wait for a scene in the frame with the lane's screen."""
    page.wait(f"document.querySelector('#screen').contentDocument?.querySelector('#scene')?.dataset.scene === '{name}'")


def phone(page: Page, button: str) -> None:
    """Press a button of the phone."""
    found = f"document.querySelector('#phone').contentDocument?.querySelector('[data-act={button}]')"
    page.wait(f"{found}?.offsetParent != null")
    page.run(f"{found}.click()")


@pytest.mark.program("chromium")
def test_pays_in_each_mode_and_survives_a_kill(url: str, chromium: Chromium) -> None:
    with chromium.page(url + "?lang=ru", (1440, 900)) as page:
        page.wait("!document.querySelector('#pay').disabled && document.querySelector('[name=mode]:checked') !== null")
        check_contrast(page)
        check_tree(page)
        for number, (mode, way, end) in enumerate(
            (("1", "#scan-screen", "pay"), ("0", "#scan-paper", "decline"), ("2", "#tap-tag", "pay")), start=1
        ):
            page.wait("!document.querySelector('#modes').disabled")
            page.click(f"[name=mode][value='{mode}']")
            page.wait("!document.querySelector('[name=mode]:checked').disabled")
            page.wait("!document.querySelector('#pay').disabled")
            page.click("#pay")
            page.wait(f"document.querySelector('#till-said').innerText.startsWith('Чек {number}: идёт')")
            if mode == "1":
                scene(page, "qr")
            if mode == "0":
                page.wait("document.querySelector('#paper').offsetParent !== null")
            if mode == "2":
                page.wait("document.querySelector('#tag').innerText.includes('qr.nspk.ru')")
                page.click("[data-fault=service]")
                scene(page, "out_of_service")
            page.click(way)
            phone(page, end)
            if mode == "2":
                page.click("[data-fault=service]")
            page.wait(
                f"document.querySelector('#till-said').innerText.startsWith('Чек {number}: "
                f"{'не оплачен' if end == 'decline' else 'оплачен' if mode == '1' else ''}')"
            )
        page.wait("document.querySelector('#till-said').innerText.includes('обращение')")
        assert page.problems == []
    with chromium.page(url, (390, 844)) as page:
        page.wait("document.querySelector('#attendant').href.includes('token')")
        assert page.run("document.documentElement.scrollWidth") <= 390
        page.go(page.run("document.querySelector('#attendant').href"))
        page.wait("document.querySelectorAll('#cases a').length === 1")


def test_foreign_pages_cannot_use_it(url: str) -> None:
    import urllib3

    http = urllib3.PoolManager(retries=False)
    assert http.request("GET", f"{url}desk/state", headers={"Host": "evil.example"}).status == 400
    body = {"headers": {"Content-Type": "text/plain"}, "body": b'{"kopecks": 100}'}
    assert http.request("POST", f"{url}desk/pay", **body).status == 415
    foreign = {"Origin": "http://evil.example"}
    assert http.request("POST", f"{url}v1/payments/x/choice", json={"button": "cancel"}, headers=foreign).status == 403
    assert http.request("GET", f"{url}v1/lane").status == 401


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("demo", "--web", "--port", port, "--out", str(tmp_path))
    assert done.returncode == ExitStatus.WRONG_USAGE
    assert f"port {port}: Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--web", "--customer", "pays", "--json"), "leave out --customer, --json"),
        (("--port", "8000"), "add --web"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], words: str) -> None:
    done = run("demo", *arguments)
    assert done.returncode == ExitStatus.WRONG_USAGE
    assert words in done.stderr
