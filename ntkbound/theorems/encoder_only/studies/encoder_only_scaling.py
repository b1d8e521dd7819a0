"""Separation (i): two scalings of the logits, at one step and at steps of their own."""

from ntkbound.studies.study import Study
from ntkbound.theorems.encoder_only.curves import arm
from ntkbound.theorems.encoder_only.statement import (
    KERNEL_MOVED,
    LOSS_RATIO,
    RATIO_MIN,
    STEP,
    TRACE,
)

STUDY = Study(
    title="Scaling of the logits",
    question="Is τ0 = dm^-1/2 faster than dm^-1, or is its step?",
    reading="ℓ_T/ℓ_0 by tokens, scaling and step: γ of half for both, 1/λ_max of its own for each, "
    "or adaptive. A loss ratio is read beside γwλ_max(K_0), the normalised step.",
    theorem="encoder-only",
    axis="dm",
    arms=arm,
    measured=(LOSS_RATIO, STEP, TRACE, RATIO_MIN, KERNEL_MOVED),
)
