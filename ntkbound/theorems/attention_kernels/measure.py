"""What is measured of a trained run: terms of the record and the series of its trace."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ntkbound.core.outcome import Terms
from ntkbound.theorems.attention_kernels import native
from ntkbound.theorems.attention_kernels.law import slope
from ntkbound.theorems.attention_kernels.trained import Trained

SUCCESS = 1e-3  # of f_0: descent succeeded, labels are feasible
REACHED = 1e-2  # of f_0 above the floor: the floor was reached
STUCK = 1e-8  # ‖∇f‖²/(2f) below which a run that has not reached its floor is trapped
EXACT = 1e-12  # of ½‖y‖²: least squares leave nothing
SEEN = 1e3  # times its rounding: a decrease that is told
ROUNDED = 1e-13  # of a loss, a sum of squares

Statistics = dict[str, float]


def terms(run: Trained) -> Terms:
    """Every number of the record; one that does not exist for this run is absent."""
    found: Terms = {
        "optimization": {"training": _optimization(run)},
        "floor": {"attainable": _attainable(run), "least_squares": _least_squares(run)},
        "spectrum": {"B": _of_B(run), "gram": _of_G(run)},
        "rank": {"dC_dQ": _of_J(run)},
        "pl": {"initial": _pl(run, slice(0, 1)), "trajectory": _pl(run, slice(None))},
        "descent": {"training": _descent(run)},
        "condition": _conditions(run),
        "attention": {"final": {
            "min": float(run.final.S.min()),
            "row_sum_min": float(run.final.S.sum(axis=-1).min()),
        }},
    }  # fmt: skip
    if run.law is not None:
        found["law"] = {"value_only": _law(run)}
    return {
        term: {probe: values for probe, values in probes.items() if values}
        for term, probes in found.items()
        if any(probes.values())
    }


def _optimization(run: Trained) -> Statistics:
    first, last = run.first, float(run.losses[-1])
    found = {"loss_final": last, "step_final": run.descent.step_final}
    if first > 0:
        found |= {"loss_ratio": last / first, "success": float(last < SUCCESS * first)}
    if first > 0 and run.floor is not None:
        excess = (last - run.floor) / first
        reached = excess < REACHED
        stuck = last > 0 and run.squared_gradient[-1] / (2 * last) < STUCK
        found |= {
            "excess_ratio": excess, "reached_floor": float(reached),
            "trap": float(stuck and not reached),
        }  # fmt: skip
    half = np.arange(len(run.losses) // 2, len(run.losses))
    half = half[run.losses[half] > 0]
    if len(half) > 1:
        found["rate"] = slope(half, np.log(run.losses[half]))
    return found


def _attainable(run: Trained) -> Statistics:
    if run.attainable is None:
        return {}
    found = {"value": run.attainable}
    if "V" not in run.config.train:
        found["feasible"] = float(run.attainable <= SUCCESS * run.losses[0])
    return found


def _least_squares(run: Trained) -> Statistics:
    found = {"value": run.least_squares}
    labels = 0.5 * float(np.square(run.problem.y).sum())
    if labels > 0:
        rows, columns = run.problem.initial.B.shape
        relative = run.least_squares / labels
        agrees = (relative < EXACT) == (columns >= rows)
        found |= {"relative": relative, "threshold_agrees": float(agrees)}
    return found


def _of_B(run: Trained) -> Statistics:
    _, values = run.spectrum.of_B
    found = {"sigma_min": run.spectrum.sigma_min, "rank": run.spectrum.rank_B}
    if values[-1] > 0:
        found["condition"] = float(values[0] / values[-1])
    return found


def _of_G(run: Trained) -> Statistics:
    values, _ = run.spectrum.of_G
    found = {"lambda_min": float(values[0]), "lambda_max": float(values[-1])}
    if run.spectrum.alpha > 0:
        found["over_alpha"] = float(values[0]) / run.spectrum.alpha
    return found


def _of_J(run: Trained) -> Statistics:
    if run.spectrum.rank_J is None or run.spectrum.delta is None:
        return {}
    N, n, *_ = run.config.sizes
    needed = N * n * (n - 1) if run.problem.kernel.normalised else N * n**2
    return {
        "value": run.spectrum.rank_J, "sigma_min": run.spectrum.delta, "needed": needed
    }  # fmt: skip


def _pl(run: Trained, steps: slice) -> Statistics:
    """The least ‖∇f‖²/(2f), and of the two factors that ‖∇_Q f‖²/(2f) is made of."""
    f, squared = run.losses[steps], run.squared_gradient[steps]
    found = {}
    if (f > 0).any():
        found["ratio_min"] = float((squared[f > 0] / (2 * f[f > 0])).min())
    if "Q" in run.config.train:
        of_Q, of_C = (run.descent.of(column)[steps] for column in (native.OF_Q, native.OF_C))
        if (of_C > 0).any():
            found["jacobian_factor"] = float((of_Q[of_C > 0] / of_C[of_C > 0]).min())
        if (f > 0).any():
            found["residual_factor"] = float((of_C[f > 0] / (2 * f[f > 0])).min())
    return found


def descents(run: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Steps that led on and whose decrease is not rounding, and D_t = (f_t − f_{t+1})/(η‖∇f‖²)."""
    f = run.losses
    noise = f * ROUNDED + np.sqrt(2 * f) * run.problem.initial.rounding
    expected = run.descent.of(native.STEP) * run.squared_gradient
    seen = (run.descent.of(native.MOVED) > 0) & (expected > SEEN * noise)
    seen[-1] = False
    steps = np.flatnonzero(seen)
    return steps, np.asarray((f[steps] - f[steps + 1]) / expected[steps])


def _descent(run: Trained) -> Statistics:
    _, ratios = descents(run)
    return {"ratio_min": float(ratios.min())} if len(ratios) else {}


def _conditions(run: Trained) -> dict[str, Statistics]:
    left = {
        "theorem2": run.left.theorem2(),
        "theorem3": run.left.theorem3(),
        "theorem3_corrected": run.left.theorem3_corrected(),
    }
    return {
        name: {"log10_left": value}
        for name, value in left.items()
        if value is not None and np.isfinite(value)
    }


def _law(run: Trained) -> Statistics:
    law, alpha = run.law, run.spectrum.alpha
    if law is None or not law.visible.any():
        return {}
    found = {"deviation": law.deviation(run.losses)}
    if alpha > 0:
        found["over_paper"] = law.over(run.losses, alpha)
        found["over_corrected"] = law.over(run.losses, run.spectrum.corrected)
    least = float(run.spectrum.of_G[0][0])
    rate = law.rate(run.losses)
    if least > 0 and rate is not None:
        found["rate_over_law"] = rate / (2 * law.eta * least)
    return found


def trace(run: Trained) -> Mapping[str, np.ndarray]:
    """Recorded steps and series; those of ‖∇f‖²/(2f) at the steps where f is not 0."""
    steps = run.descent.recorded
    f, squared = run.losses[steps], run.squared_gradient[steps]
    found = {"step": steps, "optimization/training/loss_final": f}
    if run.first > 0:
        found["optimization/training/loss_ratio"] = f / run.first
    found["optimization/training/step_final"] = run.descent.of(native.STEP)[steps]
    found["pl/trajectory/step"] = steps[f > 0]
    found["pl/trajectory/ratio_min"] = squared[f > 0] / (2 * f[f > 0])
    return found
