"""The installed package."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Its version; 0 where it is run from a source tree that is not installed."""
    try:
        return metadata.version("sco-paymaster")
    except metadata.PackageNotFoundError:
        return "0"
