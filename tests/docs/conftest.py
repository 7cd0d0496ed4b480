"""Where the documentation's commands are run: a folder, the simulated PayMaster, simulated devices."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from sco_sim.local import free_port
from sco_sim.paymaster import PayMasterSimulator
from tests.docs.docpages import ROOT, Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with PayMasterSimulator(script="pays") as paymaster:
        sticker = paymaster.bank.add_sticker()
        (tmp_path / "lane.toml").write_text(files("sco_payment").joinpath("example.toml").read_text("utf-8"), "utf-8")
        tools = tmp_path / ".bin"
        tools.mkdir()
        # `make` in the docs is the repository's, with the environment that already runs these tests
        (tools / "make").write_text(
            f'#!/bin/sh\nexec {shutil.which("make")} -C {ROOT} -o .venv/.installed BIN={sys.prefix}/bin "$@"\n'
        )
        (tools / "make").chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCO_", "COV_", "PYTEST_"))}
        yield Sandbox(
            tmp_path,
            {
                **kept,
                "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "SCO_PAYMASTER_BASE_URL": paymaster.base_url,
                "SCO_PAYMASTER_MERCHANT_ID": paymaster.merchant_id,
                "SCO_PAYMASTER_TOKEN": paymaster.token,
                "SCO_PAYMASTER_TOKEN_FILE": "",
                "SCO_DISPLAY_STICKER_ID": sticker.id,
                "SCO_DISPLAY_PLATE_LINK": sticker.payload,
                "SCO_DEVICES_PRINTER": "sim://",
                "SCO_DEVICES_NFC": "sim://",
                "SCO_DEVICES_SCREEN": "sim://?size=800x600",
                "SCO_DEVICES_TOUCH": "none://",
                "SCO_JOURNAL_PATH": str(tmp_path / "journal.db"),
                "SCO_LANE_RESULT_S": "0",
                "SCO_TIMING_POLL_INTERVAL_S": "0.2",
                "SCO_SIMULATOR_PORT": "0",
                "SCO_SERVICE_LISTEN": f"127.0.0.1:{free_port()}",
            },
        )
