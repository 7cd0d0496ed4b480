"""Whoever looks on at a lane: logs, live output, an integrator's own screen. Never anything that a payment hangs on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told what happens, for logs and live output. Must not raise and must return soon."""

    def __call__(self, name: str, data: Mapping[str, Any]) -> None: ...


def null_observer(name: str, data: Mapping[str, Any]) -> None:
    """The observer of a lane that nobody watches."""


def isolated(observer: Observer) -> Observer:
    """An observer whose exceptions are logged and go no further: whoever looks on ends no payment."""

    def observe(name: str, data: Mapping[str, Any]) -> None:
        try:
            observer(name, data)
        except Exception as error:
            log.error("the observer failed at %r: %s: %s", name, type(error).__name__, error)

    return observe
