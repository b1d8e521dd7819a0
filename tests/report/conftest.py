"""The made-up theorem is the only one that there is."""

from __future__ import annotations

import pytest

from ntkbound.core import registry
from tests.report import made_up


@pytest.fixture(autouse=True)
def _least_squares(monkeypatch):
    monkeypatch.setattr(registry, "find", made_up.find)
