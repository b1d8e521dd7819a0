"""Names of what a run measures."""

from __future__ import annotations

from functools import partial

from ntkbound.core.quantity import Quantity

_training = partial(Quantity, "optimization", "training")
_descent = partial(Quantity, "descent", "training")

LOSS_RATIO = _training("loss_ratio", trained=True, headline=True, noise="square")
RATE = _training("rate")
QUANTITIES = (
    LOSS_RATIO, RATE,
    *(_training(name) for name in ("rate_r2", "rate_paper", "rate_proof", "rate_over_alpha",
      "rate_over_kernel", "linearized_ratio", "normalised_step", "steps_to_1e-2")),
    *(_descent(name) for name in ("ratio_min", "ratio_median", "share_O", "alignment",
      "sigma_over_alpha_min", "lemma12_max")),
    *(Quantity("drift", block, name) for block in ("O", "V", "Q", "K", "all")
      for name in ("relative", "absolute", "spectral_over_C")[: 2 if block == "all" else 3]),
    Quantity("kernel", "final", "distance"),
    Quantity("kernel", "trajectory", "distance_max"),
    Quantity("kernel", "trajectory", "distance_step"),
)  # fmt: skip
