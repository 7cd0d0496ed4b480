"""The station page's door: its token, hosts and origins, what a request may be, and what waits."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from sco_hwtest import questions
from sco_hwtest.contracts.printer import _MANUAL
from sco_hwtest.manual import READY
from sco_hwtest.questions import Question
from sco_hwtest.station.board import Board
from sco_hwtest.station.server import StationServer
from tests.hwtest.station.conftest import Browser

NAME = "tablet-of-the-test"


@pytest.fixture
def board() -> Board:
    found = Board([("printer", "sim://")], threading.Event())
    found.device("printer", "sim://", 1)
    return found


@pytest.fixture
def server(board: Board) -> Iterator[StationServer]:
    found = StationServer(board, "127.0.0.1", 0)
    yield found
    found.close()


@pytest.fixture
def tablet(server: StationServer) -> Browser:
    return Browser(server.url, NAME)


def test_only_this_machine_reaches_it_by_default(server: StationServer) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", server.url)


def test_each_run_has_a_token_of_its_own(server: StationServer, board: Board) -> None:
    other = StationServer(board, "127.0.0.1", 0)
    token = other.url.partition("token=")[2]
    other.close()
    assert urllib3.request("GET", f"{server.root}/?token={token}").status == 401


def test_the_address_opens_the_page_and_gives_a_cookie_that_scripts_cannot_read(server: StationServer) -> None:
    page = urllib3.request("GET", server.url)
    assert page.status == 200
    cookie = page.headers["Set-Cookie"]
    assert cookie.endswith("; HttpOnly; SameSite=Strict; Path=/")
    name = cookie.partition(";")[0]
    again = urllib3.request("GET", f"{server.root}/", headers={"Cookie": f"theme=dark; {name}"})
    assert again.status == 200
    state = urllib3.request("GET", f"{server.root}/state?client={NAME}", headers={"Cookie": name})
    assert state.json()["yours"]


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/state?client=tablet-of-the-test", "/report.html", "/pictures/1/0"]
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Cookie": "sco_station_1=x; a=\x01"}])
def test_nothing_is_shown_without_the_token(server: StationServer, path: str, headers: dict[str, str]) -> None:
    answer = urllib3.request("GET", server.root + path, headers=headers)
    assert answer.status == 401
    assert b"sim://" not in answer.data
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/answer", "/seat", "/abort", "/close"])
def test_nothing_is_done_without_the_token(server: StationServer, board: Board, path: str) -> None:
    board.ask(Question("q", "Is it so?"))
    body = {"client": NAME, "question": 1, "answer": "yes"}
    assert urllib3.request("POST", server.root + path, json=body).status == 401
    assert board.answer_of(1) is None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "bench.evil.example"}, "host_refused"),
        ({"Host": "127.0.0.1:1"}, "host_refused"),
        ({"Host": "192.168.1.7"}, "host_refused"),
        ({"Origin": "https://evil.example"}, "origin_refused"),
        ({"Origin": "null"}, "origin_refused"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_refused"),
    ],
)
def test_other_hosts_and_other_sites_pages_are_refused(tablet: Browser, headers: dict[str, str], code: str) -> None:
    answer = tablet.get(f"/state?client={NAME}", **headers)
    assert (answer.status, answer.json()["code"]) == (403, code)


def test_every_address_of_the_machine_but_no_foreign_name_reaches_it_when_it_listens_everywhere(board: Board) -> None:
    server = StationServer(board, "0.0.0.0", 0)
    try:
        port = server.root.rpartition(":")[2]
        tablet = Browser(f"http://127.0.0.1:{port}/?token={server.url.partition('token=')[2]}", NAME)
        assert tablet.get("/", Host=f"192.168.1.7:{port}").status == 200
        assert tablet.get("/", Host=f"bench.evil.example:{port}").status == 403
    finally:
        server.close()


def test_pages_load_nothing_from_elsewhere_and_allow_no_frame(tablet: Browser) -> None:
    for path in ("/", "/station.js", "/station.css"):
        answer = tablet.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        links = re.findall(rb"(?:https?:)?//[\w.]+\.\w+", answer.data.replace(b"http://www.w3.org/2000/svg", b""))
        assert not links, links
    assert tablet.get("/nothing").status == 404
    assert tablet.get("/locked.html").status == 404


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/answer", {"question": 1, "answer": "maybe"}, "bad_field"),
        ("/answer", {"question": "1", "answer": "yes"}, "bad_field"),
        ("/answer", {"question": 0, "answer": "yes"}, "bad_field"),
        ("/answer", {"answer": "yes"}, "bad_field"),
        ("/seat", {"client": "terminal"}, "bad_field"),
        ("/seat", {"more": 1}, "unknown_field"),
    ],
)
def test_wrong_requests_are_refused_by_field(
    tablet: Browser, board: Board, path: str, body: dict[str, object], code: str
) -> None:
    board.ask(Question("q", "Is it so?"))
    status, answer = tablet.post(path, **body)
    assert (status, answer["code"]) == (400, code)
    assert board.answer_of(1) is None


def test_form_of_another_page_is_no_answer(server: StationServer, board: Board) -> None:
    board.ask(Question("q", "Is it so?"))
    token = server.url.partition("token=")[2]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain"}
    body = b'{"client": "tablet-of-the-test", "question": 1, "answer": "yes"}'
    assert urllib3.request("POST", f"{server.root}/answer", headers=headers, body=body).status == 415
    assert board.answer_of(1) is None


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_wrong_methods_are_refused(server: StationServer, method: str) -> None:
    token = server.url.partition("token=")[2]
    answer = urllib3.request(method, f"{server.root}/answer", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/pictures/", "/pictures/1", "/pictures/1/x", "/pictures/9/0", "/pictures/1/0"])
def test_pictures_that_are_not_there(tablet: Browser, board: Board, path: str) -> None:
    board.ask(Question("q", "Is it so?"))
    assert tablet.get(path).status == 404


def test_waiting_browser_hears_of_a_question_at_once(tablet: Browser, board: Board) -> None:
    version = tablet.state()["version"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tablet.state, version, 10)
        board.ask(Question("q", "Is it so?"))
        assert waiting.result()["question"]["name"] == "q"


def test_browser_that_comes_back_is_told_everything(tablet: Browser, server: StationServer, board: Board) -> None:
    """A reload, another tablet, or one whose network was gone: each begins with version 0."""
    board.begins("prints")
    number = board.ask(Question("q", "Is it so?"))
    before = tablet.state()
    again = Browser(server.url, NAME).state()
    assert again == before
    assert again["question"]["number"] == number
    assert again["yours"]
    watcher = Browser(server.url, "another-tablet")
    assert not watcher.state()["yours"]
    assert tablet.state()["others"] == 1


@pytest.mark.parametrize(
    "task",
    [*_MANUAL.values(), READY, questions.phone_reads("https://qr.nspk.ru/AD1"), questions.CUT],
    ids=lambda task: task.name,
)
def test_each_task_of_the_operator_has_a_drawing(tablet: Browser, task: Question) -> None:
    assert f'<symbol id="d-{task.name}"'.encode() in tablet.get("/").data
