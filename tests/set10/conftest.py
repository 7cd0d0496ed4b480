"""A bench for each test, which checks at its end what must hold in every one; and what the report says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.set10.kit import Bench, needs_java

REPORT = "SET10_REPORT"
"""Names the file into which the scenarios write what they showed, see report.py."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if needs_java():
        for item in items:
            if "tests/set10" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="needs a JDK: apt-get install openjdk-17-jdk-headless"))


@pytest.fixture
def open_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    """Opens a bench: its script at the bank, and sections of the lane's settings."""
    benches: list[Bench] = []

    def make(script: str = "leaves", **sections: Any) -> Bench:
        benches.append(Bench(tmp_path, script, **sections))
        return benches[-1]

    yield make
    try:
        for bench in benches:
            if (bench.folder / "till" / "receipt").exists():
                bench.check_money()
            if REPORT in os.environ:
                _note(request, bench)
    finally:
        for bench in benches:
            bench.close()
    for bench in benches:
        for till in bench.tills:
            till.check()


def _note(request: pytest.FixtureRequest, bench: Bench) -> None:
    mark = request.node.get_closest_marker("scenario")
    if mark is None:
        return
    forms = [one for till in bench.tills for one in till.messages if one["name"] in ("form", "turn_over", "ready")]
    row = {
        "point": mark.args[0],
        "test": request.node.name,
        "what": " ".join((request.node.function.__doc__ or "").split()),
        "variant": request.node.callspec.id if hasattr(request.node, "callspec") else "",
        "stored": list(bench.stored().values()) if (bench.folder / "till" / "receipt").exists() else [],
        "till": [
            {key: one[key] for key in ("name", "kind", "text", "what", "sum", "paymaster.case") if key in one}
            for one in forms
        ],
        "bank": [[payment.kopecks, payment.status, payment.cancel_requests] for payment in bench.bank.payments],
        "cases": [[case["number"], case["reason"]] for case in bench.cases()],
    }
    with Path(os.environ[REPORT]).open("a", encoding="utf-8") as out:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
