"""The statistics see no theorem but those of these tests."""

import pytest

from tests.support.synthetic import OTHER, PLANTED, registered


@pytest.fixture(autouse=True)
def _theorems():
    with registered(PLANTED, OTHER):
        yield
