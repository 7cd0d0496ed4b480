"""Where PayMaster is asked about a day's payments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from sco_payment.paymaster.adapter import TOKEN_VARIABLE
from sco_payment.paymaster.token import Token


@dataclass(frozen=True, slots=True)
class PayMasterAccess:
    """Where the merchant's payments are listed.

    Attributes:
        base_url, merchant_id, ca_file: as in a lane's settings.
        token_file: holds the token; only its owner may read it. Empty: it is in the
            environment, in `SCO_PAYMASTER_TOKEN`.
        states: status word -> order state, over PayMaster's own, as in a lane's settings.
        test_mode: test payments count as money.
        shops: whose payments are this merchant's, where the chain has several merchants; all shops' without any.
    """

    base_url: str = "https://paymaster.ru"
    merchant_id: str = ""
    token_file: str = ""
    ca_file: str = ""
    states: Mapping[str, int] = field(default_factory=dict)
    test_mode: bool = False
    shops: tuple[str, ...] = ()

    @property
    def is_set(self) -> bool:
        """Whether PayMaster can be asked."""
        return bool(self.merchant_id and (self.token_file or os.environ.get(TOKEN_VARIABLE)))

    def token(self) -> Token:
        """The token. Raises TokenError."""
        return Token.from_file(self.token_file) if self.token_file else Token.from_environment(TOKEN_VARIABLE)
