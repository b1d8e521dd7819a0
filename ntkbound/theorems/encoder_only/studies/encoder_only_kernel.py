"""The tangent kernel at the start: width, limit, Hessian, samples."""

from ntkbound.studies.study import Study
from ntkbound.theorems.encoder_only.curves import sized
from ntkbound.theorems.encoder_only.statement import (
    ALPHA_SQUARED,
    HESSIAN,
    LAMBDA_MAX,
    LAMBDA_MIN,
    SHARE_QK,
    SIMILARITY,
    TO_LIMIT,
    TO_PRINTED,
)

STUDY = Study(
    title="The kernel at the start",
    question="How do λ_min, α², the distance to the limit and the Hessian go with the width, and "
    "λ_min with the number of samples?",
    reading="Raw tokens, N = 50, ds = 5, d = 20 for the kernel against dm; N = 8 for the Hessian; "
    "unit tokens at dm = 512 for N. A straight line on logarithmic axes is a power of dm.",
    theorem="encoder-only",
    axis="dm",
    arms=sized,
    measured=(
        LAMBDA_MIN, ALPHA_SQUARED, LAMBDA_MAX, SHARE_QK, TO_LIMIT, TO_PRINTED, HESSIAN,
        SIMILARITY["min"],
    ),
)  # fmt: skip
