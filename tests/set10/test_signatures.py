"""Our signatures of the till's API against the real one, where `SET10_API_JAR` names it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.set10.kit import ROOT

API = os.environ.get("SET10_API_JAR", "")
pytestmark = pytest.mark.skipif(not API, reason="needs CSI's API: SET10_API_JAR=/path/set10pos-api-1.20.0.jar")


def test_plugin_and_signatures_agree_with_the_real_api(tmp_path: Path) -> None:
    build = subprocess.run(
        ["sh", ROOT / "till/set10/build.sh"], env={**os.environ, "OUT": str(tmp_path)}, capture_output=True, text=True
    )
    assert build.returncode == 0, build.stderr
    assert ", 0 differences" in build.stdout
    assert (tmp_path / "real/plugin/sco/set10/PaymasterPlugin.class").exists()


@pytest.mark.parametrize(
    ("file", "ours", "wrong"),
    [
        ("spi/POSInfo.java", "int getShopNumber", "long getShopNumber"),
        ("spi/ui/QrFormParameters.java", "public BigDecimal getSum", "public BigDecimal sum"),
        ("api/plugin/PaymentPlugin.java", "extends FiscalizationListener", "extends java.io.Serializable"),
        (
            "spi/equipment/CustomerDisplayMessage.java",
            "String qrPayload, BigDecimal sum",
            "BigDecimal sum, String qrPayload",
        ),
    ],
)
def test_another_signature_is_found(tmp_path: Path, file: str, ours: str, wrong: str) -> None:
    sources = tmp_path / "sources"
    shutil.copytree(ROOT / "till/set10/api-signatures", sources)
    path = sources / "ru/crystals/pos" / file
    assert ours in path.read_text()
    path.write_text(path.read_text().replace(ours, wrong))
    files = [str(one) for one in sources.rglob("*.java")]
    classes = tmp_path / "classes"
    subprocess.run(["javac", "-nowarn", "--release", "8", "-Xlint:-options", "-d", classes, *files], check=True)
    check = [sys.executable, ROOT / "till/set10/check_signatures.py", sources, classes]
    slf4j = os.environ.get("SLF4J_JAR", "/usr/share/java/slf4j-api.jar")
    found = subprocess.run([*check, f"{API}:{slf4j}"], capture_output=True, text=True)
    assert found.returncode == 1, found.stdout + found.stderr
    assert Path(file).stem in found.stderr
