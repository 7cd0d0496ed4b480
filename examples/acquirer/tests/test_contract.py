"""The adapter keeps the payment core's contract."""

from __future__ import annotations

import pytest

from sco_sim.testing import acquirer_contract as contract


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
def test_contract(check: contract.Check, bench: contract.AcquirerBench) -> None:
    check(bench)
