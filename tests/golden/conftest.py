"""The browser."""

from __future__ import annotations

from tests.service.web.conftest import chromium as chromium
