"""Log-log panels of any theorem's fits; what is wrong is told of the field that named the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.report import figures
from ntkbound.report.study_figure import plot_study
from ntkbound.report.verdict_panels import plot_verdicts
from ntkbound.stats import check
from ntkbound.studies.study import Line, Panel
from tests.report.made_up import claim, planted
from tests.support.inside import numbered, traced
from tests.support.synthetic import KEY


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
    plot_verdicts(tmp_path / "rates.svg", fits, records)
    (figure,) = drawn
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == len(fits) == 3
    lines = lines_of(shown[0])
    assert {"median", "−1.00", "claimed −0.50", "bound"} <= lines.keys()
    x, y = lines["bound"].get_data()
    np.testing.assert_allclose(y, 2 / np.array(x))
    assert "bound" not in lines_of(shown[1]), "only what has a check has a bound"
    assert "claimed −0.50" not in lines_of(shown[1])


def test_every_form_is_drawn(drawn, tmp_path):
    late = [
        *numbered([1, 1, 0, 0], d=2), *numbered([1, 1, 1, 1], d=4),
        *numbered([1, 2, 1.5, 1.8], kernel="a"), *numbered([2, 3, 2.6, 2.7], kernel="b"),
    ]  # fmt: skip
    about = KEY._asdict()
    cells = [
        Claim(**about, form="fraction", share=0.9, where={"d": [2, 4]}),
        Claim(**about, form="order", smaller={"kernel": "a"}, larger={"kernel": "b"}),
        Claim(**about, form="level", kind="upper", level=2.2, where={"kernel": ["a", "b"]}),
    ]
    inside = [
        Claim(**about, axis="step", kind="upper", exponent=-1, log_power=2, start=100),
        Claim(**about, form="exponential", axis="step", kind="upper", rate=0.001, stop=2000),
    ]
    fits = [*check(late, cells).fits, *check(traced(lambda t: 1 / t), inside).fits]
    plot_verdicts(tmp_path / "forms.svg", fits, [])
    (figure,) = drawn
    shown = [axis for axis in figure.axes if axis.get_visible()]
    rate, exponential, share, order, level = shown
    assert [axis.get_xscale() for axis in (rate, exponential)] == ["log", "linear"]
    (told,) = (name for name in lines_of(rate) if name.startswith("claimed"))
    x, y = lines_of(rate)[told].get_data()
    np.testing.assert_allclose(np.ptp(np.log(y) - 2 * np.log(np.log(x)) + np.log(x)), 0, atol=1e-9)
    x, y = lines_of(exponential)["claimed 0.001"].get_data()
    np.testing.assert_allclose(np.diff(np.log(y)) / np.diff(x), -0.001)
    assert [text.get_text() for text in share.get_xticklabels()] == ["2", "4"]
    assert "claimed ≥ 0.9 of runs" in lines_of(share) and len(share.containers) == 2
    singles = [line.get_ydata() for line in order.lines if len(line.get_ydata()) == 4]
    np.testing.assert_allclose(singles, [[1, 1, 1.1, 0.9]])
    assert [text.get_text() for text in level.get_xticklabels()] == ["a", "b"]


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
    plot_verdicts(tmp_path / "rates.svg", fits, both)
    (figure,) = drawn
    found = sorted(lines_of(axis)["bound"].get_ydata()[0] for axis in figure.axes if axis.lines)
    np.testing.assert_allclose(found, [2 / 16, 200 / 16])


def test_a_figure_is_a_whole_file(records, fits, tmp_path):
    path = tmp_path / "rates.pdf"
    plot_verdicts(path, fits, records)
    assert path.read_bytes().startswith(b"%PDF")


def test_mistakes_name_the_field(records, fits, tmp_path, monkeypatch):
    with pytest.raises(InputError) as told:
        plot_verdicts(tmp_path / "rates.gif", fits, records)
    assert told.value.field == "plot"
    assert "unknown format; accepted: .pdf, .svg, .png" in str(told.value)
    bare = [replace(fit, evidence=None) for fit in fits]
    with pytest.raises(InputError, match=r"^plot: no fit has a slope, there is nothing to draw$"):
        plot_verdicts(tmp_path / "rates.svg", bare, records)
    with pytest.raises(InputError, match=r"^plot .*: cannot be written \(No such file"):
        plot_verdicts(tmp_path / "nowhere" / "rates.svg", fits, records)
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
