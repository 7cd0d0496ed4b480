"""The description of what lanes ask the server has every route, and the server answers as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from sco_fleet import lanes_api, settings_api
from tests.fleet.kit import Fleet

_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,ignored_auth,unsupported_method"
)


def contract() -> str:
    return files("sco_fleet").joinpath("openapi.yaml").read_text("utf-8")


def test_every_route_of_the_lanes_is_described() -> None:
    described: set[tuple[str, str]] = set()
    path = ""
    for line in contract().partition("\npaths:\n")[2].partition("\ncomponents:\n")[0].splitlines():
        if (found := re.fullmatch(r"  (/\S+):", line)) is not None:
            path = found[1]
        elif (found := re.fullmatch(r"    (get|put|post|delete):", line)) is not None:
            described.add((path, found[1].upper()))
    routes = {
        (route.path, method)
        for route in (*lanes_api.ROUTES, *settings_api.ROUTES)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert routes <= described


@pytest.mark.program("schemathesis")
@pytest.mark.program("pg_createcluster")
def test_the_server_keeps_to_the_description(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "openapi.yaml").write_text(contract())
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "openapi.yaml"), "--url", fleet.url,
         "--include-path-regex", "^/health|^/lane/v1/(records|heartbeat|settings)",
         "--header", f"Authorization: Bearer {fleet.add_lane()}",
         "--checks", _CHECKS, "--max-examples", "25", "--seed", "1", "--no-color"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3000:]
