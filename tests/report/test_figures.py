"""Figures of any theorem: what is drawn of fits and studies, and what is wrong is told of the field
that named the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.report import figures
from ntkbound.report.study_figure import draw_study, plot_study
from ntkbound.report.style import Layout
from ntkbound.report.verdict_panels import draw_verdicts, plot_verdicts, verdict_panels
from ntkbound.stats import check
from ntkbound.studies.study import Line, Panel, Surface
from tests.report.made_up import claim, planted
from tests.support.inside import numbered, traced
from tests.support.synthetic import KEY


@pytest.fixture(scope="module")
def records():
    return planted(-1.0)


@pytest.fixture
def fits(records):
    return check(records, [claim()], unclaimed=True, axes=("n",)).fits


def roles(panel):
    return {line.role: line for line in panel.lines}


def test_seeds_median_slope_claim_and_bound(records, fits):
    first, *others = verdict_panels(fits, records)
    found = roles(first)
    assert list(found) == ["measured", "fitted", "claimed", "upper"]
    measured = found["measured"]
    np.testing.assert_allclose(measured.y, [np.median(seeds) for seeds in measured.seeds])
    assert {len(seeds) for seeds in measured.seeds} == {5}
    for role, slope in (("fitted", fits[0].estimate), ("claimed", -0.5)):
        x, y = np.log(found[role].x), np.log(found[role].y)
        np.testing.assert_allclose(np.diff(y) / np.diff(x), slope)
        np.testing.assert_allclose(y.mean(), np.log(measured.y).mean())
    np.testing.assert_allclose(found["upper"].y, 2 / np.array(measured.x))
    assert first.note.startswith("slope −1.00 [") and first.note.endswith("≤ −0.5: faster")
    assert [list(roles(panel)) for panel in others] == [["measured", "fitted"]] * 2


def test_what_is_drawn_is_what_the_panel_holds(records, fits):
    (figure,) = draw_verdicts(fits, records)
    axis = figure.axes[0]
    panel = verdict_panels(fits, records)[0]
    drawn = {tuple(np.round(line.get_ydata(), 12)) for line in axis.lines}
    for line in panel.lines:
        assert tuple(np.round(line.y, 12)) in drawn, line.role
    every = {round(v, 12) for seeds in panel.lines[0].seeds for v in seeds}
    assert any({round(v, 12) for v in line.get_ydata()} == every for line in axis.lines)
    (bars,) = axis.collections
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [*zip(panel.lines[0].low, panel.lines[0].high, strict=True)])


def test_every_form_is_drawn():
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
    panels = verdict_panels(fits, [])
    rate, exponential, share, order, level = panels
    (figure,) = draw_verdicts(fits, [])
    assert [axis.get_xscale() for axis in figure.axes[:2]] == ["log", "linear"]
    x, y = (np.array(v) for v in (roles(rate)["claimed"].x, roles(rate)["claimed"].y))
    np.testing.assert_allclose(np.ptp(np.log(y) - 2 * np.log(np.log(x)) + np.log(x)), 0, atol=1e-9)
    x, y = (np.array(v) for v in (roles(exponential)["claimed"].x, roles(exponential)["claimed"].y))
    np.testing.assert_allclose(np.diff(np.log(y)) / np.diff(x), -0.001)
    assert share.categories == ["2", "4"] and level.categories == ["a", "b"]
    assert share.note.startswith("claimed ≥ 0.9 of runs: ") and "share of runs" in share.y
    assert not share.lines[0].seeds and set(roles(share)["claimed"].y) == {0.9}
    np.testing.assert_allclose(order.lines[0].seeds, [[1, 1, 1.1, 0.9]])
    shown = [label.get_text() for label in figure.axes[4].get_xticklabels()]
    assert shown == ["a", "b"]


def test_a_floor_is_part_of_the_curve():
    noisy = [
        replace(run, terms={"excess": {"test": {"max": run.terms["excess"]["test"]["max"] + 0.02}}})
        for run in planted(-1.0)
    ]
    (fit,) = check(noisy, [claim(exponent=-1.0, floor=True)]).fits
    found = roles(verdict_panels([fit], noisy)[0])
    np.testing.assert_allclose(found["fitted"].y, found["measured"].y, rtol=0.05)


def test_arms_of_a_claim_share_a_panel_each_with_its_own_bound():
    near = planted(-1.0)
    far = [
        replace(
            run, id=f"{run.id}-far", config={**run.config, "d": 8},
            checks=(replace(run.checks[0], bound=100 * run.checks[0].bound),),
        )
        for run in near
    ]  # fmt: skip
    both = near + far
    (panel,) = verdict_panels(check(both, [claim()]).fits, both)
    bounds = {line.arm: line.y[0] for line in panel.lines if line.role == "upper"}
    assert bounds == pytest.approx({"d = 4": 2 / 16, "d = 8": 200 / 16})
    assert panel.note.startswith("slopes −1.00, claimed ≤ −0.5: faster")


def test_a_panel_has_no_more_arms_than_can_be_told_apart():
    every = [
        replace(run, id=f"{run.id}-{d}", config={**run.config, "d": d})
        for d in range(1, 8) for run in planted(-1.0)
    ]  # fmt: skip
    panels = verdict_panels(check(every, [claim()]).fits, every)
    counts = [sum(line.role == "measured" for line in panel.lines) for panel in panels]
    assert counts == [5, 2]


def test_axes_are_called_as_the_theorem_says(records, fits):
    panel = verdict_panels(fits, records)[0]
    assert (panel.x, panel.y) == ("N", "E[R] − R*")
    assert verdict_panels(fits, [])[0].x == "n", "nothing is declared of a table"


def test_a_figure_is_a_whole_file(records, fits, tmp_path):
    path = tmp_path / "rates.pdf"
    assert plot_verdicts(path, fits, records) == [path]
    assert path.read_bytes().startswith(b"%PDF")


def test_mistakes_name_the_field(records, fits, tmp_path, monkeypatch):
    with pytest.raises(InputError) as told:
        plot_verdicts(tmp_path / "rates.gif", fits, records)
    assert told.value.field == "plot"
    assert "unknown format; accepted: .pdf, .svg, .png" in str(told.value)
    bare = [replace(fit, evidence=None) for fit in fits]
    with pytest.raises(InputError, match=r"^plot: no fit has a slope, there is nothing to draw$"):
        plot_verdicts(tmp_path / "rates.svg", bare, records)
    for suffix in ("svg", "pdf"):
        with pytest.raises(InputError, match=r"^plot .*: cannot be written \(No such file"):
            plot_verdicts(tmp_path / "nowhere" / f"rates.{suffix}", fits, records)
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^curve: needs matplotlib"):
        figures.check_figure("curve", tmp_path / "rates.svg")
    with pytest.raises(InputError, match=r"^plot: needs matplotlib"):
        draw_verdicts(fits, records)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("width", "wide", "'wide' is unknown; accepted: column, text, full"),
        ("dpi", 0, "0 is none of 50 … 1200 dots per inch"),
        ("dpi", 5000, "5000 is none of 50"),
    ],
)
def test_a_layout_is_one_of_an_article(field, value, told):
    with pytest.raises(InputError, match=told) as error:
        Layout(**{field: value})
    assert error.value.field == field


def test_panels_of_a_study(tmp_path):
    line = Line(
        "[red]", [1.0, 2.0, 4.0], [3.0, 2.0, 1.0], low=[2.0, 1.0, 0.5], high=[4.0, 3.0, 2.0]
    )
    bound = Line("bound", [1.0, 4.0], [0.0, 0.0], role="upper", arm="[red]")
    panels = [Panel("excess", "n", "", [line, bound])] * 4
    path = tmp_path / "study.svg"
    assert plot_study(path, panels) == [path]
    assert "<svg" in path.read_text(encoding="utf-8")
    assert len(draw_study(panels)) == 1
    with pytest.raises(InputError) as told:
        plot_study(tmp_path / "study.gif", panels)
    assert told.value.field == "figure_format"


def test_a_surface_is_a_map_with_its_scale_and_level_lines():
    grid = [[(x - 1) ** 2 + y for x in range(4)] for y in range(3)]
    shown = Surface([0, 1, 2, 3], [0, 1, 2], grid, "loss")
    (figure,) = draw_study([Panel("Figure 4", "along d2", "along d1", (), surface=shown)])
    axis, bar = figure.axes
    mesh, levels = axis.collections
    assert mesh.get_array().tolist() == grid
    assert mesh.get_rasterized() and len(levels.levels) > 2
    assert bar.get_ylabel() == "loss" and axis.get_xlabel() == "along d2"


def test_a_flat_surface_has_no_level_lines():
    flat = Surface([0, 1], [0, 1], [[2.0, 2.0], [2.0, 2.0]], "loss")
    (figure,) = draw_study([Panel("flat", "x", "y", (), surface=flat)])
    assert len(figure.axes[0].collections) == 1
