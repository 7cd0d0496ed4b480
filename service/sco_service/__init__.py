"""One lane as a local HTTP service, for a till in any language: what `sco-pay serve` runs.

The contract is `openapi.yaml`. `Service` opens a lane from settings and answers; everything else is private.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sco_service.service import Service as Service
    from sco_service.service import ServiceError as ServiceError

_WHERE = {"Service": "service", "ServiceError": "service"}
__all__ = ["Service", "ServiceError"]


def __getattr__(name: str) -> Any:
    """A public name, from the module that has it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
