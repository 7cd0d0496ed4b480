"""Where PayMaster is asked about a day's payments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PayMasterAccess:
    """Where the merchant's payments are listed.

    Attributes:
        base_url, merchant_id, ca_file: as in a lane's settings.
        token_file: holds the token; only its owner may read it. Empty: the acquirer cannot be asked.
        states: status word -> order state, over PayMaster's own, as in a lane's settings.
        test_mode: test payments count as money.
    """

    base_url: str = "https://paymaster.ru"
    merchant_id: str = ""
    token_file: str = ""
    ca_file: str = ""
    states: Mapping[str, int] = field(default_factory=dict)
    test_mode: bool = False
