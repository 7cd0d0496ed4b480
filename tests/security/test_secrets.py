"""Where the token must not be found: in a log of TLS keys, in a core dump."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from sco_sim.paymaster import PayMasterSimulator, TlsFront
from tests.payment.lane_kit import bare_settings_file
from tests.payment.paymaster.test_tls import certificate, new_payment, trusting


@pytest.mark.attack("A24")
def test_no_log_of_tls_keys_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets a variable of the environment must not read the token off the network."""
    keys = tmp_path / "keys"
    ca = trustme.CA()
    with PayMasterSimulator() as bank, TlsFront(bank.base_url, certificate(tmp_path, ca)) as front:
        monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
        client = trusting(tmp_path, ca, front.base_url, bank)
        assert client.create_payment(new_payment(), "k").status == "Confirmation"
    assert not keys.exists()


DUMP = """
import os, resource, sys
from sco_payment.cli.output import load_settings_or_exit
load_settings_or_exit(sys.argv[1])
print(resource.getrlimit(resource.RLIMIT_CORE)[0], os.stat("/proc/self/environ").st_uid)
import ctypes
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.attack("A24")
def test_a_command_that_has_the_token_leaves_no_core_dump(tmp_path: Path) -> None:
    file = bare_settings_file(tmp_path, tmp_path / "j")
    done = subprocess.run(
        [sys.executable, "-c", DUMP, file],
        capture_output=True, text=True, check=True, env={"SCO_PAYMASTER_TOKEN": "t", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    limit, dumpable = done.stdout.split()[0], done.stdout.split()[-1]
    assert (limit, dumpable) == ("0", "0")
