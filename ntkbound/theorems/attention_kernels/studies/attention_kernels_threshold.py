"""W_V alone: the threshold HD ≥ Nn, and both α."""

from ntkbound.studies.study import Study
from ntkbound.theorems.attention_kernels.curves import arm
from ntkbound.theorems.attention_kernels.statement import (
    CONDITION_B,
    DEVIATION,
    OVER_ALPHA,
    OVER_CORRECTED,
    OVER_PAPER,
    RELATIVE,
    SUCCESS,
    THRESHOLD,
)

STUDY = Study(
    title="W_V alone",
    question="Is HD ≥ Nn the threshold, and which α bounds the rate?",
    reading="The least-squares floor relative to ½‖y‖² is 0 from HD = Nn on. f_t over a bound is "
    "above 1 where the bound is violated: (1 − ηα)^t with the paper's α = ‖W_O‖²σ_B², and with "
    "min_h ‖W_O^h‖² in place of ‖W_O‖².",
    theorem="attention-kernels",
    axis="D",
    arms=arm,
    measured=(RELATIVE, THRESHOLD, CONDITION_B, OVER_ALPHA, OVER_PAPER, OVER_CORRECTED, DEVIATION,
              SUCCESS),
)  # fmt: skip
