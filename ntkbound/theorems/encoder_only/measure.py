"""What is measured of a trained run: terms of the record and the series of its trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ntkbound.core.outcome import Terms
from ntkbound.theorems.encoder_only.descent import Series
from ntkbound.theorems.encoder_only.start import Start
from ntkbound.theorems.encoder_only.watch import BLOCKS, Watch, spectral_norms

STOP = 1e-24  # of ℓ_0, where a fit of the loss ends: below it is rounding
REACHED = 1e-2  # of ℓ_0

Statistics = dict[str, float]


@dataclass(frozen=True, eq=False)
class Trained:
    """A run after its descent."""

    start: Start
    series: Series
    watch: Watch

    @property
    def adaptive(self) -> bool:
        return self.start.config.step == "adaptive"

    @property
    def step(self) -> float:
        """γw."""
        return self.start.gamma * self.start.problem.weight

    @cached_property
    def squares(self) -> np.ndarray:
        """(T + 1,) ‖∇ℓ‖²."""
        return np.asarray(self.series.squares.sum(axis=1))

    @cached_property
    def taken(self) -> np.ndarray:
        """The steps that were taken, above the rounding of the loss, where there was somewhere to
        go."""
        above = self.series.loss[:-1] > STOP * self.series.loss[0]
        return np.flatnonzero((self.series.gamma > 0) & above & (self.squares[:-1] > 0))

    @cached_property
    def ratios(self) -> np.ndarray:
        """D_t = (ℓ_t − ℓ_{t+1})/(γ_t‖∇ℓ_t‖²) of the steps ``taken``."""
        loss, t = self.series.loss, self.taken
        return np.asarray((loss[t] - loss[t + 1]) / (self.series.gamma[t] * self.squares[t]))


def terms(run: Trained) -> Terms:
    """Numbers of training, drift and descent; one that does not exist for this run is absent."""
    found: Terms = {
        "optimization": {"training": _optimization(run)},
        "descent": {"training": _descent(run)},
    }
    if run.series.weights is not None:
        found["drift"] = _drift(run)
    return found


def kernel_terms(run: Trained) -> Terms:
    """How far the kernel went from K_0; of steps between only where they were asked for."""
    watch = run.watch
    distance, step = np.array(watch.kernel_rows).T
    found: dict[str, Statistics] = {}
    if run.series.weights is not None:
        found["final"] = {"distance": float(distance[-1])}
    if run.start.config.kernel_every is not None:
        found["trajectory"] = {
            "distance_max": float(distance.max()),
            "distance_step": float(step.max()),
        }
    return {"kernel": found}


def _optimization(run: Trained) -> Statistics:
    loss = run.series.loss
    found: Statistics = {}
    if not run.series.diverged:
        found["loss_ratio"] = float(loss[-1] / loss[0])
        if loss[-1] > 0:
            found["log_loss_ratio"] = math.log10(found["loss_ratio"])
    reached = np.flatnonzero(loss <= REACHED * loss[0])
    if len(reached):
        found["steps_to_1e-2"] = int(reached[0])
    slope, fit = rate(loss)
    if slope is not None:
        found |= {"rate": slope, "rate_r2": fit}
    return found | ({} if run.adaptive else _of_fixed_step(run, slope))


def rate(loss: np.ndarray) -> tuple[float | None, float]:
    """The slope of log ℓ by least squares over the last three quarters, and R²; None where fewer
    than three losses are left above 1e-24 ℓ_0."""
    below = np.flatnonzero(loss < STOP * loss[0])
    end = int(below[0]) if len(below) else len(loss)
    t = np.arange(end // 4, end)
    if len(t) < 3:
        return None, math.nan
    y = np.log(loss[t])
    x, apart = t - t.mean(), y - y.mean()
    slope = float(x @ apart / (x @ x))
    left, whole = apart - slope * x, float(apart @ apart)
    return slope, 1.0 if whole == 0 else 1 - float(left @ left) / whole


def _of_fixed_step(run: Trained, slope: float | None) -> Statistics:
    """What the kernel and the theorem say of a step that does not change."""
    start, step = run.start, run.step
    kernel = start.kernel
    found = {"normalised_step": step * kernel.largest}
    linearized = linearized_ratio(run)
    if math.isfinite(linearized):  # a step far beyond 2/λ_max overflows
        found["linearized_ratio"] = linearized
    paper = step * kernel.alpha_squared / 2
    for name, fraction in (("rate_paper", paper), ("rate_proof", paper / 2)):
        if fraction < 1:
            found[name] = -math.log1p(-fraction)
    if slope is not None and found.get("rate_paper"):
        found["rate_over_alpha"] = slope / -found["rate_paper"]
    if slope is not None and kernel.smallest > 0:
        found["rate_over_kernel"] = slope / (-2 * step * kernel.smallest)
    return found


def linearized_ratio(run: Trained) -> float:
    """½w Σ_k c_k²(1 − γwκ_k)^{2T}/ℓ_0: the loss if the kernel stayed K_0 = Σ κ_k v_k v_kᵀ, r_0 = Σ
    c_k v_k."""
    values, vectors = torch.linalg.eigh(run.start.kernel.whole)
    squares = (vectors.mT @ torch.from_numpy(run.series.residual)).square()
    known = run.start.config.tau or 0
    left = (1 - run.step * values).abs().pow(2 * known)
    return float(squares @ left / squares.sum())


def _drift(run: Trained) -> dict[str, Statistics]:
    """How far each block went: ‖ΔW‖_F over ‖W_0‖_F, ‖ΔW‖_F, and ‖ΔW‖ over ‖W_0‖."""
    start, end, workers = run.start, run.series.weights, run.start.workers
    if end is None:
        return {}
    ranks, before = workers.ranks, start.initial
    moved = type(end)(end.Q - before.Q, end.K - before.K, end.V - before.V, end.O - before.O)
    squares = ranks.sum_(torch.stack([getattr(moved, b).square().sum() for b in BLOCKS]))
    sizes = ranks.sum_(torch.stack([getattr(before, b).square().sum() for b in BLOCKS]))
    spectral = spectral_norms(moved, workers) / run.watch.norms[0]
    found: dict[str, Statistics] = {}
    for place, block in enumerate(BLOCKS):
        found[block] = {
            "relative": float((squares[place] / sizes[place]).sqrt()),
            "absolute": float(squares[place].sqrt()),
            "spectral_over_C": float(spectral[place]),
        }
    found["all"] = {
        "relative": float((squares.sum() / sizes.sum()).sqrt()),
        "absolute": float(squares.sum().sqrt()),
        "spectral_over_C": float(spectral.max()),
    }
    return found


def _descent(run: Trained) -> Statistics:
    ratios, found = run.ratios, {}
    if len(ratios):
        found = {"ratio_min": float(ratios.min()), "ratio_median": float(np.median(ratios))}
    moving = run.squares > 0
    if moving.any():
        shares = run.series.squares[moving, 0] / run.squares[moving]
        found["share_O"] = float(np.median(shares))
    alpha = run.start.kernel.alpha_squared
    if alpha > 0:
        found["sigma_over_alpha_min"] = float(np.sqrt(run.watch.sigma.min() / alpha))
    along = alignment(run)
    if np.isfinite(along).any():
        found["alignment"] = float(np.nanmedian(along))
    found["lemma12_max"] = float(lemma12(run).max())
    return found


def alignment(run: Trained) -> np.ndarray:
    """(K,) ‖Fᵀr‖²/(σ_min(F)²‖r‖²) at the recorded steps; NaN where σ_min(F) is 0."""
    watch = run.watch
    above = run.start.problem.weight * watch.residual * np.sqrt(watch.sigma)
    onto = np.sqrt(run.series.squares[watch.steps, 0])  # ‖∇_Oℓ‖ = w‖Fᵀr‖
    ratio = np.divide(onto, above, out=np.full(len(onto), np.nan), where=above > 0)
    return np.asarray(ratio**2)


def lemma12(run: Trained) -> np.ndarray:
    """(K, 4) ‖∇‖ of O, V, Q, K over the bounds of Lemma 12 at the current spectral norms.

    With ρ = √N ds^{3/2} s C_x, C_x the largest ‖X_n‖_F/√ds: wρλ_V‖r‖, wρλ_O‖r‖ and
    2wρτ0C_x²ds λ_Vλ_O‖r‖ times λ_K or λ_Q.
    """
    problem, watch = run.start.problem, run.watch
    O, V, Q, K = watch.norms.T  # noqa: E741
    C_x = float(problem.X.flatten(1).norm(dim=1).max()) / math.sqrt(problem.ds)
    rho = math.sqrt(problem.N) * problem.ds**1.5 * problem.factor * C_x
    through = 2 * problem.tau0 * C_x**2 * problem.ds * V * O
    bounds = np.stack([V, O, through * K, through * Q], axis=1)
    bounds *= problem.weight * rho * watch.residual[:, None]
    measured = np.sqrt(run.series.squares[watch.steps])
    found = np.zeros_like(bounds)
    np.divide(measured, bounds, out=found, where=bounds > 0)
    return found


def trace(run: Trained) -> Mapping[str, np.ndarray]:
    """Recorded steps and series; the kernel's at steps of their own."""
    series, watch = run.series, run.watch
    steps = np.array(watch.steps)
    distance, moved = np.array(watch.kernel_rows).T
    total = run.squares[steps]
    kept = np.isin(steps, run.taken)
    places = np.searchsorted(run.taken, steps[kept])
    found = {
        "step": steps,
        "optimization/training/loss": series.loss[steps],
        "optimization/training/loss_ratio": series.loss[steps] / series.loss[0],
        "descent/training/gradient_norm": np.sqrt(total),
        "descent/training/sigma_squared": watch.sigma,
        "descent/training/alignment": alignment(run),
        "descent/training/lemma12": lemma12(run).max(axis=1),
        "descent/ratio/step": steps[kept],
        "descent/ratio/ratio": run.ratios[places],
        "descent/ratio/gamma": series.gamma[steps[kept]],
        "kernel/trajectory/step": np.array(watch.kernel_steps),
        "kernel/trajectory/distance": distance,
        "kernel/trajectory/distance_step": moved,
    }
    for place, block in enumerate(BLOCKS):
        found[f"descent/{block}/gradient_norm"] = np.sqrt(series.squares[steps, place])
        found[f"drift/{block}/spectral"] = watch.norms[:, place]
    return found
