"""Log-log panels of any theorem's fits; what is wrong is told of the field that named the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.report import figures
from ntkbound.report.study_figure import plot_study
from ntkbound.stats import check
from ntkbound.studies.study import Line, Panel
from tests.report.made_up import claim, planted


@pytest.fixture(scope="module")
def records():
    return planted(-1.0)


@pytest.fixture
def fits(records):
    return check(records, [claim()], unclaimed=True, axes=("n",)).fits


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would have been saved."""
    kept = []
    monkeypatch.setattr(figures, "save_figure", lambda field, path, figure: kept.append(figure))
    return kept


def lines_of(axis):
    return {line.get_label(): line for line in axis.lines}


def test_seeds_median_slope_claim_and_bound(records, fits, drawn, tmp_path):
    figures.plot_rates(tmp_path / "rates.svg", fits, records)
    (figure,) = drawn
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == len(fits) == 3
    lines = lines_of(shown[0])
    assert {"median", "−1.00", "claimed −0.50", "bound"} <= lines.keys()
    x, y = lines["bound"].get_data()
    np.testing.assert_allclose(y, 2 / np.array(x))
    assert "bound" not in lines_of(shown[1]), "only what has a check has a bound"
    assert "claimed −0.50" not in lines_of(shown[1])


def test_bounds_are_those_of_the_fits_own_arm(fits, drawn, tmp_path):
    near = planted(-1.0)
    far = [
        replace(
            run, id=f"{run.id}-far", config={**run.config, "d": 8},
            checks=(replace(run.checks[0], bound=100 * run.checks[0].bound),),
        )
        for run in near
    ]  # fmt: skip
    both = near + far
    fits = check(both, [claim()]).fits
    figures.plot_rates(tmp_path / "rates.svg", fits, both)
    (figure,) = drawn
    found = sorted(lines_of(axis)["bound"].get_ydata()[0] for axis in figure.axes if axis.lines)
    np.testing.assert_allclose(found, [2 / 16, 200 / 16])


def test_a_figure_is_a_whole_file(records, fits, tmp_path):
    path = tmp_path / "rates.pdf"
    figures.plot_rates(path, fits, records)
    assert path.read_bytes().startswith(b"%PDF")


def test_mistakes_name_the_field(records, fits, tmp_path, monkeypatch):
    with pytest.raises(InputError) as told:
        figures.plot_rates(tmp_path / "rates.gif", fits, records)
    assert told.value.field == "plot"
    assert "unknown format; accepted: .pdf, .svg, .png" in str(told.value)
    bare = [replace(fit, fit=None) for fit in fits]
    with pytest.raises(InputError, match=r"^plot: no fit has a slope, there is nothing to draw$"):
        figures.plot_rates(tmp_path / "rates.svg", bare, records)
    with pytest.raises(InputError, match=r"^plot .*: cannot be written \(No such file"):
        figures.plot_rates(tmp_path / "nowhere" / "rates.svg", fits, records)
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^curve: needs matplotlib"):
        figures.check_figure("curve", tmp_path / "rates.svg")


def test_panels_of_a_study(tmp_path):
    line = Line(
        "[red]", [1.0, 2.0, 4.0], [3.0, 2.0, 1.0], low=[2.0, 1.0, 0.5], high=[4.0, 3.0, 2.0]
    )
    dashed = Line("", [1.0, 4.0], [0.0, 0.0], dashed=True)
    panels = [Panel("excess", "n", "", [line, dashed])] * 4
    path = tmp_path / "study.svg"
    plot_study(path, panels)
    assert "<svg" in path.read_text(encoding="utf-8")
    with pytest.raises(InputError) as told:
        plot_study(tmp_path / "study.gif", panels)
    assert told.value.field == "figure_format"
