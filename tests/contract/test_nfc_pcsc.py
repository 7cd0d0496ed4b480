"""The contract of NFC readers over those behind a real pcscd: another process, whose time no test can skip."""

from __future__ import annotations

import pytest

from sco_drivers import open_nfc
from sco_drivers.nfc import TagReader
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.nfc import CHECKS, LINK
from tests.simulators.pcsc import DirectReader, OmnikeyReader, PcscReader, TransparentReader

OF_PCSC = [check for check in CHECKS if not check.why_not("pcsc://")]
pytestmark = [pytest.mark.program("pcscd"), pytest.mark.program("smartcard")]


@pytest.mark.parametrize("check", OF_PCSC, ids=lambda check: check.name)
@pytest.mark.parametrize(
    "make", [PcscReader, TransparentReader, OmnikeyReader, DirectReader], ids=lambda make: make.__name__
)
def test_contract_over_pcsc(make: type[PcscReader], check: Check[TagReader]) -> None:
    """Through vsmartcard's virtual reader."""
    bench = make(uri=LINK)
    with bench.behind_pcscd() as url, open_nfc(url) as nfc:
        check.run(nfc)
        assert not bench.field_on, "the field stayed on: no phone can read the tag"
    assert bench.tag.uri() == LINK


@pytest.mark.program("gcc")
@pytest.mark.parametrize("check", OF_PCSC, ids=lambda check: check.name)
def test_contract_over_pcsc_by_escape_commands(check: Check[TagReader]) -> None:
    """Through a driver of our own."""
    bench = DirectReader(uri=LINK)
    with bench.with_escapes() as url, open_nfc(url) as nfc:
        check.run(nfc)
        assert not bench.field_on, "the field stayed on: no phone can read the tag"
    assert bench.tag.uri() == LINK
