"""What a paper asks of a figure: fonts, size, labels that are whole, arms told apart in grey."""

from __future__ import annotations

import itertools
import re
import zlib
from math import hypot

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ntkbound.report.notation import as_math, wrapped
from ntkbound.report.panels import draw_panels
from ntkbound.report.study_figure import plot_study
from ntkbound.report.style import WIDTHS, Layout, look, style
from ntkbound.report.ticks import log_ticks, spread, told
from ntkbound.studies.study import Line, Panel

LONG = "a certificate of something that nobody abbreviates, R̂(φ_s)/‖W_kq*‖"


def panel(arms=2, x=(16, 64, 256, 1024, 4096), y="ε_lin, worst", **changes):
    """Arms of slope −1/2 with seeds, a fit, a claim and a bound far above."""
    n, lines = np.array(x, dtype=float), []
    for arm in range(arms):
        middle = (arm + 1) / np.sqrt(n)
        seeds = middle[:, None] * [0.9, 1, 1.1]
        name, points = f"m {2**arm}", n.tolist()
        lines += [
            Line(name, points, middle.tolist(), seeds[:, 0].tolist(), seeds[:, 2].tolist(),
                 seeds=seeds.tolist()),
            Line("fitted", points, middle.tolist(), role="fitted", arm=name),
            Line("claimed", points, middle.tolist(), role="claimed", arm=name),
            Line("bound", points, (30 * middle).tolist(), role="upper", arm=name),
        ]  # fmt: skip
    fields = {"title": "", "x": "m", "y": y, "lines": lines, "note": "slope −0.50 [−0.6, −0.4]"}
    return Panel(**(fields | changes))


def fonts_of(pdf):
    """The subtypes of all fonts in a PDF, compressed objects and all."""
    text = pdf
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            text += zlib.decompress(found.group(1))
        except zlib.error:
            text += found.group(1)
    return set(re.findall(rb"/Subtype\s*/(Type3|Type0|CIDFontType\d|TrueType|Type1)\b", text))


def boxes(figure):
    """Window extents of all text that is shown, with the text."""
    renderer = figure.canvas.get_renderer()
    figure.draw_without_rendering()
    texts = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
    for axis in figure.axes:
        texts += [axis.title, axis._left_title, axis.xaxis.label, axis.yaxis.label]
        texts += [*axis.get_xticklabels(), *axis.get_yticklabels()]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]


def test_no_font_of_a_pdf_is_type_3(tmp_path):
    plot_study(tmp_path / "a.pdf", [panel(y=LONG)])
    found = fonts_of((tmp_path / "a.pdf").read_bytes())
    assert b"CIDFontType2" in found or b"TrueType" in found
    assert b"Type3" not in found


def test_the_parser_sees_a_font_of_type_3(tmp_path):
    """As matplotlib embeds them unasked."""
    (figure,) = draw_panels([panel()])
    figure.savefig(tmp_path / "b.pdf")
    assert b"Type3" in fonts_of((tmp_path / "b.pdf").read_bytes())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_is_as_wide_as_it_says_and_nothing_is_cut_off(width):
    panels = [panel(arms=5, y=LONG, title=LONG), panel(), panel(y="min R̂(φ_s)")]
    for figure in draw_panels(panels, Layout(width)):
        assert figure.get_size_inches()[0] == WIDTHS[width].inches
        page = figure.bbox
        for text, box in boxes(figure):
            inside = (box.x0 >= -1 and box.x1 <= page.width + 1
                      and box.y0 >= -1 and box.y1 <= page.height + 1)  # fmt: skip
            assert inside, (text, box, page)


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_of_ticks_do_not_overlap(width):
    x = (0.1, 0.2, 0.25, 0.3, 1, 1.4, 2, 3, 4, 1000)
    for figure in draw_panels([panel(x=x)] * 5 + [panel()], Layout(width)):
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        for axis in figure.axes:
            for side in (axis.get_xticklabels(), axis.get_yticklabels()):
                shown = [label.get_window_extent(renderer) for label in side if label.get_text()]
                assert len(shown) > 1
                for one, other in itertools.combinations(shown, 2):
                    assert not one.overlaps(other)


def test_a_sheet_holds_no_more_panels_than_read_well(tmp_path):
    sheets = draw_panels([panel()] * 44, Layout("text"))
    assert [len(figure.axes) for figure in sheets] == [9, 9, 9, 9, 8]
    assert max(figure.get_size_inches()[1] for figure in sheets) < 9.5
    assert [len(f.axes) for f in draw_panels([panel()] * 10, Layout("text"))] == [5, 5]
    assert [len(f.axes) for f in draw_panels([panel()] * 4, Layout("column"))] == [2, 2]
    found = plot_study(tmp_path / "many.png", [panel()] * 20)
    assert [path.name for path in found] == ["many.png", "many-2.png", "many-3.png"]
    assert plot_study(tmp_path / "many.pdf", [panel()] * 20) == [tmp_path / "many.pdf"]
    assert (tmp_path / "many.pdf").read_bytes().count(b"/Type /Page ") == 3


def test_one_legend_a_sheet_outside_the_axes():
    (figure,) = draw_panels([panel(arms=3)] * 6)
    (legend,) = figure.legends
    assert not any(axis.get_legend() for axis in figure.axes)
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["m 1", "m 2", "m 4", "a seed", "interval", "fitted", "claimed", "bound"]
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    box = legend.get_window_extent(renderer)
    assert not any(box.overlaps(axis.get_tightbbox(renderer)) for axis in figure.axes)


def lightness(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


# Viénot, Brettel and Mollon (1999), on linear RGB: what a protanope and a deuteranope see.
BLIND = (
    [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
)


def test_arms_are_told_apart_without_colour():
    looks = [look(arm) for arm in range(5)]
    assert len({one.marker for one in looks}) == len({str(one.dash) for one in looks}) == 5
    assert len({one.colour for one in looks}) == 5
    assert len({str(look(arm)) for arm in range(120)}) == 120
    for one, other in itertools.pairwise(looks[:3]):
        assert abs(lightness(one.colour) - lightness(other.colour)) > 0.1
    for matrix in BLIND:
        seen = [np.array(matrix) @ np.array(to_rgb(one.colour)) ** 2.2 for one in looks[:4]]
        for one, other in itertools.combinations(seen, 2):
            assert hypot(*(one - other)) > 0.1


def test_each_arm_keeps_its_look_in_all_panels():
    alone = panel(arms=2)
    second = Panel(
        "", "m", "y", [line for line in alone.lines if (line.arm or line.label) == "m 2"]
    )
    (figure,) = draw_panels([alone, second])
    found = {line.get_color() for line in figure.axes[1].lines if line.get_marker() == "s"}
    assert found == {look(1).colour}


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((1e-3, 1e1), ["$10^{-3}$", "$10^{-2}$", "$10^{-1}$", "$10^{0}$", "$10^{1}$"]),
        ((1e-20, 1.0), ["$10^{-20}$", "$10^{-16}$", "$10^{-12}$", "$10^{-8}$", "$10^{-4}$",
                        "$10^{0}$"]),
        ((0.04, 0.3), ["0.05", "0.1", "0.2"]),
        ((2.1e-5, 7e-5), [r"$3\times10^{-5}$", r"$5\times10^{-5}$", r"$7\times10^{-5}$"]),
    ],
)  # fmt: skip
def test_ticks_of_a_logarithmic_axis(ends, labels):
    assert log_ticks(*ends)[1] == labels


def test_every_logarithmic_axis_has_two_ticks():
    for low in np.geomspace(1e-9, 1e9, 61):
        for factor in (1.01, 1.2, 2, 3, 9, 11, 1e3, 1e12):
            found, labels = log_ticks(low, factor * low)
            assert len(found) == len(labels) > 1, (low, factor)
            assert low * 0.999 <= found[0] < found[-1] <= factor * low * 1.001


def test_counts_are_written_out():
    assert [told(v) for v in (16, 1600, 65536, 0.25, 1e-5)] == [
        "16", "1600", "65536", "0.25", "$10^{-5}$",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0], [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0]),
        ([0.1, 1.0, 1.01, 1.2, 1.34, 10.0], [0.1, 1.0, 10.0]),
        ([3.0], [3.0]),
    ],
)
def test_ticks_whose_labels_would_overlap_are_left_out(values, kept):
    assert spread(values, 3.0) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ε_lin, worst", r"$ε_{\mathrm{lin}}$, worst"),
        ("min R̂(φ_s)", r"min $\hat{R}$($φ_{\mathrm{s}}$)"),
        ("‖W_kq*‖", r"‖$W_{\mathrm{kq}}^{*}$‖"),
        (
            "min_mse of a_column",
            "min_mse of a_column".replace("a_column", r"$a_{\mathrm{column}}$"),
        ),
        ("costs $5", r"costs \$5"),
        ("≤ 1e−20", "≤ 10$^{−20}$"),
        ("n^0.5", "n$^{0.5}$"),
        ("m", "m"),
    ],
)
def test_labels_are_set_as_mathematics(text, shown):
    assert as_math(text) == shown


def test_lines_are_broken_between_words():
    assert wrapped("one two three", 0.6, 8.0).splitlines() == ["one two", "three"]


def test_a_bound_far_away_does_not_press_the_rest_into_a_line():
    near = panel(arms=1)
    far = Line("bound", [16.0, 4096.0], [1e3, 1e28], role="upper", arm="m 1")
    (figure,) = draw_panels([Panel("", "m", "y", [*near.lines[:-1], far])])
    assert figure.axes[0].get_ylim()[1] < 1e5
    assert "not shown: bounds to 10$^{28}$" in figure.axes[0].get_title(loc="left")


def test_the_style_is_left_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with style():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams) == before
