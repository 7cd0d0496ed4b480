"""A run with its page, in this process; and the browser."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import urllib3

from sco_hwtest import Report, run
from sco_hwtest.progress import PlainLines
from sco_hwtest.results import Kind
from sco_hwtest.station.session import Session
from tests.hwtest.station.own_suite import install
from tests.service.web.conftest import chromium as chromium


class Bench:
    """A run in a thread of its own, without a terminal."""

    def __init__(self, *devices: tuple[Kind, str], absent_s: float = 600.0, **options: Any) -> None:
        self.stop = threading.Event()
        self.output = io.StringIO()
        self.session = Session(
            devices, "127.0.0.1", 0, PlainLines(self.output), self.stop, self.output, absent_s=absent_s
        )
        self.url = self.session.url
        self.report: Report | None = None
        self._devices, self._options = devices, options
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.report = run(
            self._devices, operator=self.session.ask, progress=self.session, stop=self.stop, **self._options
        )
        self.session.show(self.report)

    def begin(self) -> None:
        """Start the run."""
        self._thread.start()

    def ended(self) -> Report:
        """The report, once the page is closed."""
        self._thread.join(300)
        assert not self._thread.is_alive(), "the run does not end"
        assert self.report is not None
        return self.report

    def close(self) -> None:
        """End whatever is open."""
        self.stop.set()
        self.session.__exit__(None, None, None)


class Browser:
    """What a browser sends, without one."""

    def __init__(self, url: str, name: str) -> None:
        self.root, _, token = url.partition("/?token=")
        self.name = name
        self.headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """The answer to a GET."""
        return self._http.request("GET", self.root + path, headers={**self.headers, **headers})

    def state(self, after: int = 0, wait_s: int = 0) -> dict[str, Any]:
        """What it shows."""
        answer = self.get(f"/state?client={self.name}&after={after}&wait_s={wait_s}")
        assert answer.status == 200, answer.data
        return dict(answer.json())

    def wait(self, what: str) -> dict[str, Any]:
        """The state once it has `what`."""
        state = self.state()
        while not state[what]:
            assert not state["report"], state
            state = self.state(state["version"], 5)
        return state

    def post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a POST."""
        answer = self._http.request("POST", self.root + path, headers=self.headers, json={"client": self.name, **body})
        return answer.status, dict(answer.json())

    def answer(self, number: int, word: str = "yes") -> tuple[int, str]:
        """Answer a question: status, and the code of a refusal."""
        status, body = self.post("/answer", question=number, answer=word)
        return status, body.get("code", "")


@pytest.fixture
def own_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs have the tests' own devices."""
    install(monkeypatch.setattr)


@pytest.fixture
def open_bench() -> Iterator[Any]:
    """Opens benches, and closes them after the test."""
    with ExitStack() as stack:

        def opened(*devices: tuple[Kind, str], **options: Any) -> Bench:
            bench = Bench(*devices, **options)
            stack.callback(bench.close)
            return bench

        yield opened
