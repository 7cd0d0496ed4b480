"""No test here waits for a clock."""

import pytest


@pytest.fixture(autouse=True)
def _waits_for_no_clock(idle_time: object) -> None:
    """See `tests.idle_time`."""
