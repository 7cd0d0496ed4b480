"""The contract against the service that claims it: schemathesis sends what the contract allows, and what it forbids."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sco_service.resources import contract, routes
from tests.service.service_kit import serving

_CONFIG = """
[parameters]
"query.wait_s" = 0
"""
_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,ignored_auth,unsupported_method"
)


@pytest.mark.program("schemathesis")
@pytest.mark.parametrize("role", ["till", "attendant", "monitor"])
def test_the_service_keeps_to_its_contract(tmp_path: Path, role: str) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(_CONFIG)
    service = {"screen_without_token": False}
    with serving(tmp_path, service=service, devices={"printer": "sim://"}) as bench:
        bench.till.put("T-1")
        bench.till.outcome("T-1")
        bench.till.post("/v1/payments/T-1/not_accepted", {"reason": "for a case"})
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
             f"http://127.0.0.1:{bench.till.port}/v1/openapi.yaml", "--header", f"Authorization: Bearer {role}-token",
             "--checks", _CHECKS, "--max-examples", "15", "--seed", "1", "--no-color"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3000:]
        assert bench.monitor.get("/healthz").json == {"ok": True, "problems": []}


def test_the_contract_names_every_resource_and_no_other() -> None:
    text = contract().decode()
    declared: set[tuple[str, str]] = set()
    path = ""
    for line in text.partition("\npaths:\n")[2].partition("\ncomponents:\n")[0].splitlines():
        if (found := re.fullmatch(r"  (/\S+):", line)) is not None:
            path = found[1]
        elif (found := re.fullmatch(r"    (get|put|post|delete):", line)) is not None:
            declared.add((found[1].upper(), path))
    pages = {"/screen", "/attendant", "/pages/{name}"}
    assert declared == {(route.method, route.path) for route in routes() if route.path not in pages}
