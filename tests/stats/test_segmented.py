"""Two straight lines through planted data bend where they were made to."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.stats.segmented import fit_bend
from tests.support.planted import planted


@pytest.mark.parametrize(("where", "before"), [(0.7, -0.9), (1.0, -0.5), (1.6, -0.4)])
def test_a_planted_bend_is_found(where, before):
    series = planted(
        [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8],
        lambda x: 0.1 + before * np.minimum(x - where, 0),
    )
    bend = fit_bend(series)
    assert bend.low <= where * 1.02 and bend.high >= where * 0.98
    assert bend.x == pytest.approx(where, rel=0.05)
    assert bend.before == pytest.approx(before, rel=0.05)
    assert bend.after == pytest.approx(0, abs=0.02)


def test_four_points_have_no_bend():
    bend = fit_bend(planted([1, 2, 3, 4], np.sqrt))
    assert np.isnan(bend.x) and bend.high == np.inf
